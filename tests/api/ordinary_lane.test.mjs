// The ordinary lane under batches (POST users/batch): who waits for whom, what a slow body may take, and what
// an answer weighs. What holds a batch is a lock that the test has; nothing here is told by a clock.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { until, within, world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';

const NDJSON = 'application/x-ndjson';
const MEGABYTE = 1024 * 1024;
const SANITIZED = Boolean(process.env.ASAN_OPTIONS || process.env.TSAN_OPTIONS);

let w;
let t;
let other;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 1, users: 0 });
	other = await w.tenant({ numbers: 1, users: 0 });
});
after(() => w.close());

const agents = (n) => Array.from({ length: n }, () => ({ external_id: unique('b'), display_name: 'Bea', site_id: t.home.id }));
const lines = (users) => users.map((user) => JSON.stringify(user)).join('\n');
const batch = (users, { key, ...options } = {}) =>
	t.call('POST', '/users/batch', {
		text: typeof users === 'string' ? users : lines(users),
		type: NDJSON,
		headers: key ? { 'idempotency-key': key } : {},
		...options,
	});
const stored = async ({ external_id }) => (await w.sql('SELECT FROM users WHERE tenant_id = $1 AND external_id = $2', [t.id, external_id])).length === 1;

// ---- fairness

test('batches hold half of the threads: another tenant is answered while they all wait', async () => {
	const [user] = agents(1);
	await batch([user], { expect: 200 });
	const held = () => w.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%import_users_1%' AND datname = current_database()");
	let answered = 0;
	const batches = await w.transaction(async (sql) => {
		await sql('SELECT FROM users WHERE external_id = $1 FOR UPDATE', [user.external_id]);
		const running = Array.from({ length: 8 }, () => batch([{ ...user, display_name: unique('n') }]));
		let done = false;
		const over = Promise.all(running).then((replies) => ((done = true), replies));
		await until('batches wait for the lock', async () => (await held()).length >= 2);
		let most = 0;
		while (!done && answered < 50) {
			await other.call('GET', '/sites', { expect: 200 });
			answered += !done;
			most = Math.max(most, (await held()).length);
		}
		assert.ok(most <= 2, `${most} threads were held`);
		return over;
	});
	// The lock was theirs to wait for, not to get: each gave up at last.
	assert.deepEqual(new Set(batches.map(({ status }) => status)), new Set([503]));
	assert.ok(answered >= 10, `${answered} were answered meanwhile`);
});

test('a small batch does not wait for the large ones before it: each has a slice in its turn', async () => {
	const finished = [];
	const large = Array.from({ length: 10 }, () => agents(1200));
	const running = large.map((users) => batch(users, { expect: 200 }).then(() => finished.push('large')));
	await until('the first slice is stored', async () => (await Promise.all(large.map(([user]) => stored(user)))).includes(true));
	await batch(agents(1), { expect: 200 }).then(() => finished.push('small'));
	await Promise.all(running);
	assert.ok(finished.indexOf('small') < 5, finished.join());
});

test('many that wait for one Idempotency-Key shed nobody else', async () => {
	const key = unique('key');
	const hold = open({ key });
	const [user] = agents(1);
	hold.write(`${JSON.stringify(user)}\n`);
	await until('the key is claimed', async () => {
		hold.write('\n');
		return stored(user);
	});
	const waiting = Array.from({ length: 700 }, () => batch('\n', { key }));
	let answered = 0;
	let first = null;
	waiting.forEach((one) => one.then((reply) => (first ??= reply.status)));
	// Past what waits in the queue, some are refused; it is as full as it gets from then on.
	await until('some are refused', () => first !== null);
	for (; answered < 30; answered++) await other.call('GET', '/sites', { expect: 200 });
	for (const { status } of await Promise.all(waiting)) assert.ok([409, 503].includes(status), `${status}`);
	hold.socket.destroy();
});

// ---- slow bodies

// A batch whose body is written by hand: { socket, write, reply }.
function open({ key, bearer = t.key, length } = {}) {
	const socket = net.connect({ host: w.servers[0].host, port: w.servers[0].port, noDelay: true });
	let text = '';
	const reply = new Promise((resolve, reject) => {
		socket.on('error', reject);
		socket.on('close', () => reject(new Error(`closed: ${text}`)));
		socket.on('data', (chunk) => {
			text += chunk;
			const end = text.indexOf('\r\n\r\n');
			const size = end < 0 ? Infinity : Number(/content-length: (\d+)/i.exec(text)[1]);
			if (text.length >= end + 4 + size) resolve({ status: Number(text.slice(9, 12)), head: text.slice(0, end), body: JSON.parse(text.slice(end + 4)) });
		});
	});
	reply.catch(() => {});
	const head = [`POST ${t.path}/users/batch HTTP/1.1`, 'Host: x', `Authorization: Bearer ${bearer}`, `Content-Type: ${NDJSON}`];
	if (key) head.push(`Idempotency-Key: ${key}`);
	head.push(length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`, '', '');
	socket.write(head.join('\r\n'));
	const write = (part) => socket.write(length === undefined ? `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n` : part);
	return { socket, write, reply, end: () => socket.write('0\r\n\r\n') };
}

test('what has arrived is taken in though it is less than a piece, once more arrives', async () => {
	const users = agents(2);
	const slow = open();
	slow.write(`${JSON.stringify(users[0])}\n`);
	await until('it is stored', async () => {
		slow.write(' \n');
		return stored(users[0]);
	});
	slow.write(JSON.stringify(users[1]));
	assert.equal(await stored(users[1]), false);
	slow.end();
	const { status, body } = await within('the answer', slow.reply);
	assert.equal(status, 200);
	assert.deepEqual(body.items.map((item) => item.status), ['created', 'created']);
});

test('slow bodies are answered however long they take: taken in, compared, or refused', { timeout: 120_000 }, async () => {
	const key = unique('key');
	const users = agents(13);
	const text = `${lines(users)}\n`;
	const first = await batch(text, { key, expect: 200 });
	const cases = [
		[open({ length: text.length }), 200, /"updated"/],
		[open({ length: text.length, key }), 200, /Idempotent-Replay: true/i],
		[open({ length: text.length, bearer: `${t.key}x` }), 401, /unauthorized/],
	];
	// A line a second: for longer than a body may be silent. It is this pace that is tested.
	for (const line of text.match(/.*\n/g)) {
		for (const [slow] of cases) slow.write(line);
		await new Promise((resolve) => setTimeout(resolve, 1000));
	}
	for (const [slow, status, expected] of cases) {
		const reply = await within('the answer', slow.reply);
		assert.equal(reply.status, status);
		assert.match(reply.head + JSON.stringify(reply.body), expected);
	}
	assert.equal(first.body.items.length, 13);
});

// ---- what an answer weighs

const highWater = (server) => Number(readFileSync(`/proc/${server.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+) kB/)[1]) * 1024;

// Names that double in size as JSON text: five that fill an item to the last byte, or large ones.
const worst = (i) => {
	const name = (n, k) => JSON.stringify(`${'"'.repeat(n)}${k}`);
	const names = (n) => [0, 1, 2, 3, 4, 5].map((k) => `${name(n, k)}:${k}`).join();
	if (i % 100 === 0) return `{${name(700, 'x')}:1,${name(700, 'x')}:2}`;
	return i % 10 ? `{${names(1)}}` : `{${names(i % 20 ? 57 : 98)}}`;
};

// Past the schema of the answer, which takes its time with 10000 items.
function sendWorst(server, text, key) {
	return new Promise((resolve, reject) => {
		const headers = { authorization: `Bearer ${t.key}`, 'content-type': NDJSON, 'idempotency-key': key, 'content-length': Buffer.byteLength(text) };
		const request = http.request({ host: server.host, port: server.port, method: 'POST', path: `${t.path}/users/batch`, headers });
		request.once('error', reject);
		request.once('response', (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk));
			response.on('end', () => resolve({ status: response.statusCode, replay: response.headers['idempotent-replay'], text: Buffer.concat(chunks).toString() }));
		});
		request.end(text);
	});
}

test('the answer to the worst 10000 lines has at most 4 MiB, and its key costs no more than 64 MiB', async () => {
	const server = await w.serve();
	const text = Array.from({ length: 10_000 }, (_, i) => worst(i)).join('\n');
	const key = unique('key');
	const one = await sendWorst(server, text, key);
	assert.equal(one.status, 200);
	const { items } = JSON.parse(one.text);
	assert.ok(items.length === 10_000 && items.every(({ status, errors }) => status === 'error' && errors.length >= 1));
	assert.ok(one.text.length <= 4 * MEGABYTE, `${one.text.length} bytes`);
	const peak = highWater(server);
	assert.ok(SANITIZED || peak < 64 * MEGABYTE, `one: ${peak} bytes`);
	const again = await sendWorst(server, text, key);
	assert.equal(again.replay, 'true');
	assert.equal(again.text, one.text);
	const replayed = highWater(server);
	assert.ok(SANITIZED || replayed < 96 * MEGABYTE, `replayed: ${replayed} bytes`);
	const four = await Promise.all(Array.from({ length: 4 }, () => sendWorst(server, text, unique('key'))));
	assert.deepEqual(four.map(({ status }) => status), [200, 200, 200, 200]);
	const all = highWater(server);
	assert.ok(SANITIZED || all < 128 * MEGABYTE, `four: ${all} bytes`);
	await server.stop();
	const figures = [peak, replayed, all].map((bytes) => Math.round(bytes / MEGABYTE));
	console.log(`# an answer of ${one.text.length} bytes; the most memory for one, its replay, four more: ${figures.join(', ')} MiB`);
});

// ---- header fields

test('an Idempotency-Key out of bounds is refused after the JSON, before the members', async () => {
	const post = (key, options) => t.call('POST', '/addresses', { body: { region: 'US', city: 'Redmond', street: unique('street') }, headers: { 'idempotency-key': key }, ...options });
	for (const key of ['k'.repeat(256), `"${'k'.repeat(256)}"`, '""', '']) {
		const { status, body } = await post(key);
		assert.deepEqual([status, body.code], [400, 'bad_request'], key);
		assert.match(body.detail, /Idempotency-Key.*1 to 255/);
		assert.equal((await post(key, { body: {} })).body.code, 'bad_request');
		assert.equal((await post(key, { text: '{' , body: undefined })).body.code, 'invalid_json');
		assert.equal((await batch('', { headers: { 'idempotency-key': key } })).body.code, 'bad_request');
		assert.equal((await t.call('GET', '/addresses', { headers: { 'idempotency-key': key } })).status, 200);
		const { status: placed } = await t.call('POST', '/emergency-calls', { body: { user_id: 'nobody', dial_string: '911' }, headers: { 'idempotency-key': key } });
		assert.notEqual(placed, 400);
	}
});

test('several lines of If-Match or If-None-Match are one list', async () => {
	const address = await t.address();
	const { headers } = await t.call('GET', `/addresses/${address.id}`);
	for (const tags of [[headers.etag, '"x"'], ['"x"', headers.etag], ['"x"', '"y"', headers.etag]]) {
		assert.equal((await t.call('GET', `/addresses/${address.id}`, { headers: { 'if-none-match': tags } })).status, 304, tags.join());
		const patched = await t.call('PATCH', `/addresses/${address.id}`, { body: { city: address.city }, type: 'application/merge-patch+json', headers: { 'if-match': tags } });
		assert.equal(patched.status, 200, tags.join());
		assert.equal(patched.headers.etag, headers.etag);
	}
	const none = await t.call('PATCH', `/addresses/${address.id}`, { body: { city: 'x' }, type: 'application/merge-patch+json', headers: { 'if-match': ['"x"', '"y"'] } });
	assert.equal(none.status, 412);
});
