// POST users/batch: users by the thousand, taken in while they arrive.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { raw, until, within, world } from '../lib/harness.mjs';
import { CCAAS, SCOPES, TEAMS, unique } from '../lib/fixture.mjs';

const NDJSON = 'application/x-ndjson';
const MEGABYTE = 1024 * 1024;

let w;
let t;

before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 3, users: 1 });
});
after(() => w.close());

const lines = (users) => users.map((user) => (typeof user === 'string' ? user : JSON.stringify(user))).join('\n');
const agents = (n, more = {}) =>
	Array.from({ length: n }, () => ({ external_id: unique('b'), display_name: 'Bea Batch', site_id: t.home.id, ...more }));

const batch = (text, { of = t, type = NDJSON, ...options } = {}) =>
	of.call('POST', '/users/batch', { patience: 120_000, text: typeof text === 'string' ? text : lines(text), type, ...options });
const items = async (text, options) => (await batch(text, { expect: 200, ...options })).body.items;
const short = ({ index, status, code, errors }) => [index, status, code, ...errors.map((error) => error.pointer)];
const configVersion = async () => (await w.sql('SELECT config_version::int AS v FROM tenants WHERE id = $1', [t.id]))[0].v;
const audits = async (id) => (await w.sql('SELECT action FROM audit_entries WHERE resource_id = $1 ORDER BY id', [id])).map((row) => row.action);

test('creates, then updates by external_id; a second run makes no duplicates', async () => {
	const users = agents(450);
	const first = await items(users);
	assert.deepEqual(
		first.map(({ index, status, code, errors }) => [index, status, code, errors]),
		users.map((_, i) => [i, 'created', null, []]),
	);
	const stored = await t.get(`/users/${first[7].id}`);
	assert.equal(stored.external_id, users[7].external_id);
	assert.equal(stored.kind, 'person');
	assert.deepEqual(await t.presence(first[7]).then(({ availability, sequence }) => [availability, sequence]), ['unknown', 0]);
	const again = await items(users);
	assert.deepEqual(
		again.map(({ status, id }) => [status, id]),
		first.map(({ id }) => ['updated', id]),
	);
	assert.equal((await w.sql('SELECT count(*)::int AS n FROM users WHERE tenant_id = $1 AND external_id = ANY($2)', [t.id, users.map((u) => u.external_id)]))[0].n, 450);
});

test('an update replaces the members that it names, and leaves the others', async () => {
	const external_id = unique('b');
	const whole = { external_id, display_name: 'Before', site_id: t.home.id, extension: '4711', active: false, endpoints: [CCAAS, TEAMS], provisioning: { enterprise_voice: true, capacity_profile: true } };
	const [{ id }] = await items([whole]);
	const before = await t.call('GET', `/users/${id}`);
	const [updated] = await items([{ external_id, display_name: 'After', site_id: t.home.id, provisioning: { enterprise_voice: false } }]);
	assert.equal(updated.id, id);
	const now = await t.get(`/users/${id}`);
	assert.deepEqual([now.display_name, now.extension, now.active, now.endpoints.length], ['After', '4711', false, 2]);
	assert.deepEqual([now.provisioning.enterprise_voice, now.provisioning.capacity_profile], [false, null], 'a nested member is replaced whole');
	assert.notEqual((await t.call('GET', `/users/${id}`)).headers.etag, before.headers.etag);
	await items([{ external_id, display_name: 'After', site_id: t.home.id, extension: null, endpoints: [] }]);
	const last = await t.get(`/users/${id}`);
	assert.deepEqual([last.extension, last.endpoints, last.active], [null, [], false], 'null is a value');
});

test('an update that changes nothing leaves version and audit trail alone; a slice raises config_version once', async () => {
	const users = agents(3, { endpoints: [{ ...CCAAS, expires_at: '2031-01-01T00:00:00+01:00' }], provisioning: { browser_location_region: 'US' } });
	const at = await configVersion();
	const made = await items(users);
	assert.equal(await configVersion(), at + 1, 'three users, one slice');
	const etags = await Promise.all(made.map(async ({ id }) => (await t.call('GET', `/users/${id}`)).headers.etag));
	assert.deepEqual(await audits(made[0].id), ['created']);
	assert.deepEqual((await items(users)).map(({ status }) => status), ['updated', 'updated', 'updated']);
	users[1].display_name = 'Somebody else';
	await items(users);
	const now = await Promise.all(made.map(async ({ id }) => (await t.call('GET', `/users/${id}`)).headers.etag));
	assert.deepEqual([now[0] === etags[0], now[1] === etags[1], now[2] === etags[2]], [true, false, true]);
	assert.deepEqual(await audits(made[0].id), ['created']);
	assert.deepEqual(await audits(made[1].id), ['created', 'updated']);
	assert.equal(await configVersion(), at + 1, 'what is only updated has versions of its own');
	const [entry] = await w.sql('SELECT * FROM audit_entries WHERE resource_id = $1', [made[0].id]);
	assert.deepEqual([entry.key_id, entry.resource_type, entry.tenant_id], [t.apiKey.id, 'user', t.id]);
});

test('the same external_id twice: the first creates, the second updates; without one it is always created', async () => {
	const external_id = unique('b');
	const one = { external_id, display_name: 'One', site_id: t.home.id };
	const [a, b] = await items([one, { ...one, display_name: 'Two' }]);
	assert.deepEqual([a.status, b.status, b.id], ['created', 'updated', a.id]);
	assert.equal((await t.get(`/users/${a.id}`)).display_name, 'Two');
	const nobody = { display_name: 'Nobody', site_id: t.home.id };
	const [c, d] = await items([nobody, { ...nobody, external_id: null }]);
	assert.deepEqual([c.status, d.status], ['created', 'created']);
	assert.notEqual(c.id, d.id);
});

test('an element that is wrong is told with code and pointers; the others are taken in', async () => {
	const other = await w.tenant({ numbers: 1, users: 1 });
	const service = await t.ownNumber({ usage: 'callback' });
	const own = await t.ownNumber();
	const holder = await t.user({ number_id: own.id, extension: '8800' });
	const good = () => agents(1)[0];
	const deep = `{"display_name":${'['.repeat(20)}${']'.repeat(20)}}`;
	const cases = [
		[good(), 'created', null],
		['{"display_name": "no end"', 'error', 'invalid_json', ''],
		['[1, 2]', 'error', 'invalid_json', ''],
		['nonsense', 'error', 'invalid_json', ''],
		['{"display_name":"A","display_name":"B"}', 'error', 'duplicate_member', ''],
		[deep, 'error', 'invalid_json', ''],
		[`{"display_name":"${'x'.repeat(70_000)}"}`, 'error', 'body_too_large', ''],
		[{ site_id: t.home.id }, 'error', 'required', '/display_name'],
		[{ ...good(), display_name: 5 }, 'error', 'invalid_value', '/display_name'],
		[{ ...good(), nickname: 'B' }, 'error', 'unknown_field', '/nickname'],
		[{ ...good(), id: t.agent.id }, 'error', 'read_only', '/id'],
		[{ ...good(), ['y'.repeat(300)]: 1 }, 'error', 'unknown_field', ''],
		[{ ...good(), endpoints: [CCAAS, { type: 'fax' }] }, 'error', 'invalid_value', '/endpoints/1/type', '/endpoints/1/address'],
		[{ ...good(), site_id: other.home.id }, 'error', 'unknown_reference', '/site_id'],
		[{ ...good(), site_id: 'ext:nowhere' }, 'error', 'unknown_reference', '/site_id'],
		[{ ...good(), number_id: other.numbers[0] }, 'error', 'unknown_reference', '/number_id'],
		[{ ...good(), address_id: other.homeAddress.id }, 'error', 'unknown_reference', '/address_id'],
		[{ ...good(), policy_id: t.home.id }, 'error', 'unknown_reference', '/policy_id'],
		[{ ...good(), number_id: service.number }, 'error', 'number_usage', '/number_id'],
		[{ ...good(), number_id: own.number }, 'error', 'number_in_use', '/number_id'],
		[{ ...good(), extension: '8800' }, 'error', 'already_exists', '/extension'],
		[{ ...good(), a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 }, 'error', 'unknown_field', '/a', '/b', '/c', '/d', '/e'],
		[good(), 'created', null],
	];
	const got = await items(lines(cases.map(([element]) => element)));
	assert.deepEqual(
		got.map(short),
		cases.map(([, ...expected], index) => [index, ...expected]),
	);
	assert.ok(got.every(({ status, id }) => (status === 'error') === (id === null)));
	assert.equal((await t.get(`/users/${holder.id}`)).number_id, own.id);
	assert.match(got[19].errors[0].detail, /another user/);
});

test('an error of the database\'s rules spoils neither the slice nor what follows in it', async () => {
	const users = agents(5, { extension: '5511' });
	const got = await items(users);
	assert.deepEqual(got.map(({ status }) => status), ['created', 'error', 'error', 'error', 'error']);
	// One gives the extension up, the next one takes it: in the order of the batch.
	const swap = [{ ...users[0], extension: null }, users[1]];
	assert.deepEqual((await items(swap)).map(({ status }) => status), ['updated', 'created']);
	assert.equal((await t.get(`/users/ext:${users[1].external_id}`)).extension, '5511');
});

test('numbers that are assigned and given back change, too', async () => {
	const number = await t.ownNumber();
	const etag = async () => (await t.call('GET', `/phone-numbers/${number.id}`)).headers.etag;
	const [user] = agents(1, { number_id: number.number });
	const at = await etag();
	const [{ id }] = await items([user]);
	assert.equal((await t.get(`/phone-numbers/${number.id}`)).user_id, id);
	const given = await etag();
	assert.notEqual(given, at);
	await items([{ ...user, number_id: null }]);
	assert.equal((await t.get(`/phone-numbers/${number.id}`)).user_id, null);
	assert.notEqual(await etag(), given);
});

// ---- how it arrives

const without = (list) => list.map(({ id, ...rest }) => rest);

test('array and lines give the same; CRLF, empty lines and white space do not matter', async () => {
	const users = [...agents(3), { display_name: 'No site' }, ...agents(2)];
	const asLines = without(await items(users));
	const text = (as) => without(as);
	const again = users.map((user) => ({ ...user, external_id: user.external_id && `${user.external_id}-2` }));
	assert.deepEqual(text(await items(JSON.stringify(again), { type: 'application/json' })), asLines);
	const third = users.map((user) => ({ ...user, external_id: user.external_id && `${user.external_id}-3` }));
	assert.deepEqual(text(await items(JSON.stringify(third, null, '\t\r\n'), { type: 'application/json; charset=utf-8' })), asLines);
	const fourth = users.map((user) => ({ ...user, external_id: user.external_id && `${user.external_id}-4` }));
	const crlf = `\r\n  \r\n${fourth.map((user) => ` ${JSON.stringify(user)}\t`).join('\r\n\r\n')}\r\n\n`;
	assert.deepEqual(text(await items(crlf, { type: 'application/jsonl' })), asLines);
	assert.deepEqual(await items('', { type: 'application/ndjson' }), []);
	assert.deepEqual(await items(' [ ] ', { type: 'application/json' }), []);
});

test('an array that is none ends where it cannot be followed, and says so', async () => {
	const [a, b, c] = agents(3).map((user) => JSON.stringify(user));
	const cases = [
		[`[${a},{"display_name":},${b}]`, 2],
		[`[${a},nonsense,${b}]`, 2],
		[`[${a} ${b}]`, 2],
		[`[${a},]`, 2],
		[`[${a}`, 2],
		[`[${a},`, 2],
		[`[${a},{"display_name": "x`, 2],
		[`[${a}] ${b}`, 2],
		[`[${a}},${b}]`, 2],
	];
	for (const [text, n] of cases) {
		const got = await items(text, { type: 'application/json' });
		assert.equal(got.length, n, text);
		assert.deepEqual(short(got.at(-1)), [n - 1, 'error', 'invalid_json', ''], text);
		assert.match(got.at(-1).errors[0].detail, /cannot be followed/, text);
	}
	// JSON, though no object: nothing is lost.
	const followed = await items(`[1, "}{", [${c}], null, ${b}]`, { type: 'application/json' });
	assert.deepEqual(followed.map(({ status, code }) => code ?? status), ['invalid_json', 'invalid_json', 'invalid_json', 'invalid_json', 'created']);
	for (const text of ['', '{}', 'x', '   ', a]) {
		const { status, body } = await batch(text, { type: 'application/json' });
		assert.deepEqual([status, body.code], [400, 'invalid_json'], text);
	}
});

// The bytes in pieces that are cut anywhere, each a write of its own.
async function inPieces(text, cuts, { type = NDJSON, chunked = false } = {}) {
	const bytes = Buffer.from(text);
	const ends = [...new Set(cuts.map((cut) => Math.floor(cut * bytes.length)))].sort((x, y) => x - y);
	const pieces = [...ends, bytes.length].map((end, i) => bytes.subarray(i ? ends[i - 1] : 0, end)).filter((piece) => piece.length);
	const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`;
	const head = `POST ${t.path}/users/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.key}\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`;
	const chunk = (piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
	const parts = chunked ? [...pieces.map(chunk), Buffer.from('0\r\n\r\n')] : pieces;
	const reply = await raw(w.servers[0], [head, ...parts.map((part) => part.toString('latin1'))]);
	assert.equal(reply.status, 200, reply.text);
	return reply.body.items;
}

test('however the body is cut, the result is the same', async () => {
	const users = agents(40, { display_name: 'Zoë “Ünïcode” \\ }{][ \u2028 agent' });
	const elements = [...users, '{"broken": ', { display_name: 'x"\\' }, '7'].map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
	const text = elements.join('\r\n');
	const good = users.map((user) => JSON.stringify(user));
	const array = `[${[...good, '{"display_name":"x\\"\\\\"}', '7', '"}"'].join(' ,\n')}]`;
	await items(text);
	const expected = without(await items(text));
	const expectedOfArray = without(await items(array, { type: 'application/json' }));
	let seed = 7;
	const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
	for (let round = 0; round < 12; round++) {
		const cuts = Array.from({ length: 1 + Math.floor(random() * 60) }, random);
		const chunked = round % 2 === 0;
		assert.deepEqual(without(await inPieces(text, cuts, { chunked })), expected, `lines, ${chunked ? 'chunked' : 'with a length'}: ${cuts}`);
		assert.deepEqual(without(await inPieces(array, cuts, { chunked, type: 'application/json' })), expectedOfArray, `array: ${cuts}`);
	}
});

test('a body of many pieces in large chunks', async () => {
	const users = agents(3000, { display_name: 'x'.repeat(150) });
	const got = await inPieces(lines(users), [0.3, 0.31, 0.9], { chunked: true });
	assert.deepEqual(without(got), users.map((_, index) => ({ index, status: 'created', code: null, errors: [] })));
});

// ---- limits and refusals

test('10000 users at most: the next one is refused, those before are there', async () => {
	const [user] = agents(1);
	const text = Array(10_001).fill(JSON.stringify(user)).join('\n');
	const { status, body } = await batch(text);
	assert.deepEqual([status, body.code, body.errors.map((error) => error.pointer)], [422, 'invalid_value', ['']]);
	assert.match(body.errors[0].detail, /at most 10000/);
	assert.equal((await t.get(`/users?external_id=${user.external_id}`)).items.length, 1);
	assert.equal((await items(Array(10_000).fill(JSON.stringify(user)).join('\n'))).length, 10_000);
});

test('16 MiB at most: 413, before anything is done where the length is told', async () => {
	const users = agents(2, { display_name: 'x'.repeat(200) });
	const text = `${lines(users)}\n${' '.repeat(16 * MEGABYTE)}`;
	const told = await batch(text);
	assert.deepEqual([told.status, told.body.code], [413, 'body_too_large']);
	assert.deepEqual((await t.get(`/users?external_id=${users[0].external_id}`)).items, []);
	const untold = await batch(text, { headers: { 'transfer-encoding': 'chunked' } });
	assert.deepEqual([untold.status, untold.body.code], [413, 'body_too_large']);
	assert.equal((await t.get(`/users?external_id=${users[0].external_id}`)).items.length, 1, 'it was taken in before');
});

test('who may not is told so, whatever is sent', async () => {
	const text = lines(agents(3000, { display_name: 'x'.repeat(100) }));
	const { key } = await t.create('api-keys', { name: 'reader', scopes: SCOPES.filter((scope) => scope !== 'config:write') });
	const other = await w.tenant({ numbers: null, users: 0 });
	const cases = [
		[{ key: null }, 401, 'unauthorized'],
		[{ key: 'sb_x' }, 401, 'unauthorized'],
		[{ key: other.key }, 404, 'not_found'],
		[{ key }, 403, 'forbidden'],
		[{ type: 'text/csv' }, 415, 'unsupported_media_type'],
		[{ type: 'application/jsonlines' }, 415, 'unsupported_media_type'],
	];
	for (const [options, expected, code] of cases) {
		const { status, body } = await batch(text, options);
		assert.deepEqual([status, body.code], [expected, code]);
	}
	const query = await t.call('POST', '/users/batch?dry_run=1', { text, type: NDJSON });
	assert.equal(query.status, 400);
	assert.equal((await t.call('GET', '/users/batch')).status, 405);
});

// ---- many at once, slow ones, and those that never end

const highWater = (server) => Number(readFileSync(`/proc/${server.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+) kB/)[1]) * 1024;

test('10000 users in one batch, and four batches at once, in less than 64 MiB; calls go on', async () => {
	const server = await w.serve();
	const of = await w.tenant({ numbers: 5, users: 1 });
	const many = (prefix, length) =>
		lines(
			Array.from({ length }, (_, i) => ({
				external_id: `${prefix}-${i}`,
				display_name: `Agent ${i}`,
				site_id: of.home.id,
				extension: `${prefix}${i}`,
				endpoints: [CCAAS, TEAMS],
			})),
		);
	let over = false;
	const calls = async () => {
		let placed = 0;
		for (; !over; placed++) {
			const made = await of.place(of.agent, {}, { server });
			await of.end(made, { server });
		}
		return placed;
	};
	const placing = calls();
	const one = await within('10000 users', items(many('1', 10_000), { of, server }), { ms: 120_000 });
	assert.ok(one.length === 10_000 && one.every(({ status }) => status === 'created'));
	// A sanitizer takes memory of its own, and gives nothing back for long.
	const bound = process.env.ASAN_OPTIONS || process.env.TSAN_OPTIONS ? Infinity : 64 * MEGABYTE;
	assert.ok(highWater(server) < bound, `one batch: ${highWater(server)} bytes`);
	const four = await Promise.all(['2', '3', '4', '5'].map((prefix) => items(many(prefix, 2_000), { of, server })));
	over = true;
	assert.ok((await placing) > 0, 'calls were placed meanwhile');
	assert.ok(four.flat().every(({ status }) => status === 'created'));
	assert.ok(highWater(server) < bound, `four batches: ${highWater(server)} bytes`);
	assert.equal((await w.sql('SELECT count(*)::int AS n FROM users WHERE tenant_id = $1', [of.id]))[0].n, 18_001);
	await server.stop();
});

// A batch of which the first part is sent, and not the rest: { send, reply, destroy }.
function halfSent(text, { of = t, server = w.servers[0], key, bearer = of.key } = {}) {
	const request = http.request({
		host: server.host,
		port: server.port,
		method: 'POST',
		path: `${of.path}/users/batch`,
		headers: {
			authorization: `Bearer ${bearer}`,
			'content-type': NDJSON,
			'transfer-encoding': 'chunked',
			...(key && { 'idempotency-key': key }),
		},
	});
	const reply = new Promise((resolve, reject) => {
		request.once('error', reject);
		request.once('response', (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk));
			response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: JSON.parse(Buffer.concat(chunks)) }));
		});
	});
	reply.catch(() => {});
	request.write(text);
	return { reply, end: (rest) => request.end(rest), destroy: () => request.destroy() };
}

const takenIn = (users) =>
	until('the first piece is taken in', async () => (await t.get(`/users?external_id=${users[0].external_id}`)).items.length === 1);

// Enough for a piece: what is sent after it waits until this was worked on.
const pieceOf = () => agents(800, { display_name: 'x'.repeat(180) });

test('uploads that are slow hold no worker: other requests are answered meanwhile', async () => {
	const halves = Array.from({ length: 12 }, () => {
		const users = pieceOf();
		return { users, upload: halfSent(`${lines(users)}\n{"external_id":"`) };
	});
	for (const { users } of halves) await takenIn(users);
	assert.equal((await t.call('GET', '/users')).status, 200);
	for (const [i, { users, upload }] of halves.entries()) {
		upload.end(`slow-${i}","display_name":"Last","site_id":"${t.home.id}"}`);
		const { status, body } = await upload.reply;
		assert.equal(status, 200);
		assert.deepEqual(body.items.map((item) => item.status), Array(users.length + 1).fill('created'));
	}
});

test('a client that goes away: what was taken in stays, and the next run completes it', async () => {
	const users = pieceOf();
	const more = agents(10);
	const upload = halfSent(`${lines(users)}\n`);
	await takenIn(users);
	upload.destroy();
	const got = await items([...users, ...more]);
	assert.equal(got[0].status, 'updated');
	assert.deepEqual(got.slice(-10).map(({ status }) => status), Array(10).fill('created'));
});

test('a service that stops answers 503; the batch may be sent again', async () => {
	const server = await w.serve();
	const users = pieceOf();
	const upload = halfSent(`${lines(users)}\n`, { server });
	await takenIn(users);
	const logged = server.logged('stopping');
	const stopped = server.stop();
	await logged;
	upload.end(lines(pieceOf()));
	const { status, headers, body } = await upload.reply;
	assert.deepEqual([status, body.code, headers.connection], [503, 'unavailable', 'close']);
	await stopped;
	assert.ok((await items(users)).every((item) => ['updated', 'created'].includes(item.status)));
});

// ---- Idempotency-Key

const keyed = (text, key, options) => batch(text, { headers: { 'idempotency-key': key }, ...options });
const isReplay = ({ headers }) => headers['idempotent-replay'] === 'true';

test('the same key and body: the same answer, and nothing is done; another body is refused', async () => {
	const other = await w.serve();
	const users = [...pieceOf(), { display_name: 'No site' }];
	const key = unique('key');
	const first = await keyed(users, key, { expect: 200 });
	assert.ok(!isReplay(first));
	await w.sql("UPDATE users SET display_name = 'Changed' WHERE id = $1", [first.body.items[0].id]);
	const again = await keyed(users, key, { expect: 200, server: other });
	assert.ok(isReplay(again));
	assert.equal(again.text, first.text);
	assert.equal((await t.get(`/users/${first.body.items[0].id}`)).display_name, 'Changed', 'nothing was done again');
	const [extra] = agents(1);
	const more = await keyed([...users, extra], key);
	assert.deepEqual([more.status, more.body.code], [422, 'idempotency_key_reused']);
	assert.deepEqual((await t.get(`/users?external_id=${extra.external_id}`)).items, []);
	await other.stop();
});

test('a batch that failed gives its key up', async () => {
	const key = unique('key');
	const [user] = agents(1);
	const line = JSON.stringify(user);
	const failed = await keyed(Array(10_001).fill(line).join('\n'), key);
	assert.equal(failed.status, 422);
	const right = await keyed(line, key, { expect: 200 });
	assert.ok(!isReplay(right));
	assert.equal(right.body.items[0].status, 'updated');
});

test('while a batch runs, its key is refused elsewhere; when its client is gone, the key is free again', async () => {
	const users = pieceOf();
	const key = unique('key');
	const upload = halfSent(`${lines(users)}\n`, { key });
	await takenIn(users);
	const other = await w.serve();
	const meanwhile = await keyed(users, key, { server: other });
	assert.deepEqual([meanwhile.status, meanwhile.body.code], [409, 'idempotency_in_progress']);
	upload.destroy();
	const again = await until('the key is free', async () => {
		const reply = await keyed(users, key, { server: other });
		return reply.status === 200 && reply;
	});
	assert.ok(!isReplay(again));
	assert.ok(again.body.items.every(({ status }) => status === 'updated' || status === 'created'));
	await other.stop();
});

test('the second of two batches under one key waits for the first, and repeats its answer', async () => {
	const users = agents(600);
	const key = unique('key');
	const replies = await Promise.all([keyed(users, key), keyed(users, key)]);
	assert.deepEqual(replies.map(({ status }) => status), [200, 200]);
	assert.deepEqual(replies.map(isReplay).sort(), [false, true]);
	assert.equal(replies[0].text, replies[1].text);
	assert.ok(replies[0].body.items.every(({ status }) => status === 'created'));
});

test('a key that is revoked while the batch arrives', async () => {
	const users = pieceOf();
	const { id, key } = await t.create('api-keys', { name: 'short', scopes: ['config:write'] });
	const upload = halfSent(`${lines(users)}\n`, { bearer: key });
	await takenIn(users);
	await t.call('DELETE', `/api-keys/${id}`, { expect: 204 });
	await until('the key is refused', async () => (await batch(users.slice(0, 1), { key })).status === 401);
	upload.end(lines(pieceOf()));
	const { status, body } = await upload.reply;
	assert.deepEqual([status, body.code], [401, 'unauthorized']);
});
