// Repeats of a call: the same Idempotency-Key or external_call_id is the same call while it lasts,
// through whatever process, and a new one afterwards.
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { codes, enc, unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 80 });
});
after(() => w.close());

const version = (id) => id[14];
const placing = (user, key, body = {}, server = 0) =>
	t.placing(user, body, {
		server: w.servers[server],
		headers: key ? { 'idempotency-key': key } : {},
		expect: 201,
	});
const isReplay = (reply) => reply.headers['idempotent-replay'] === 'true';
const stored = async (user) => (await w.sql('SELECT id FROM emergency_calls WHERE user_id = $1', [user.id])).length;

test('the same key, user and dial string is the same call, from the other process too, whatever else differs', async () => {
	const agent = await t.user();
	const key = unique('key');
	const first = await placing(agent, key, { metadata: { n: 1 } });
	const again = await placing(agent, key, { metadata: { n: 2 }, endpoint: { type: 'mobile', address: 'x' } }, 1);
	assert.equal(isReplay(first), false);
	assert.equal(isReplay(again), true);
	assert.deepEqual(again.body, first.body);
	assert.equal(again.headers.location, first.headers.location);
	const [spelled] = [await placing({ id: `ext:${agent.external_id}` }, key)];
	assert.equal(spelled.body.user_id, agent.id);
	assert.equal(await stored(agent), 1, 'by whatever name the user goes');
	await t.act(first.body, 'connect');
	assert.equal((await placing(agent, key, {}, 1)).body.state, 'connected', 'a replay shows the call as it is now');
	assert.equal((await t.presence(agent)).sequence, 1);
});

test('the key may be quoted or bare', async () => {
	const agent = await t.user();
	const key = unique('key');
	const first = await placing(agent, key);
	assert.equal((await placing(agent, `"${key}"`, {}, 1)).body.id, first.body.id);
});

test('the same external_call_id and user is the same call, from the other process too', async () => {
	const agent = await t.user();
	const external_call_id = unique('ext');
	const first = await placing(agent, null, { external_call_id });
	const again = await placing(agent, null, { external_call_id, dial_string: '112' }, 1);
	assert.deepEqual([isReplay(first), isReplay(again)], [false, true]);
	assert.deepEqual(again.body, first.body, 'other members are not compared');
	assert.equal(await stored(agent), 1);
});

test('fifty posts at once through two processes: one row, one id', async (s) => {
	for (const [by, headers, body] of [
		['Idempotency-Key', { 'idempotency-key': unique('fifty') }, {}],
		['external_call_id', {}, { external_call_id: unique('fifty') }],
		['both', { 'idempotency-key': unique('fifty') }, { external_call_id: unique('fifty') }],
	])
		await s.test(`by ${by}`, async () => {
			const agent = await t.user();
			const replies = await Promise.all(
				Array.from({ length: 50 }, (_, i) => t.placing(agent, body, { server: w.servers[i % 2], headers, expect: 201 })),
			);
			assert.equal(new Set(replies.map((reply) => reply.body.id)).size, 1);
			assert.equal(replies.filter((reply) => !isReplay(reply)).length, 1, 'one of them placed it');
			assert.equal(await stored(agent), 1);
			assert.equal((await t.list('leases', { user_id: agent.id })).length, 1);
			const presence = await t.presence(agent);
			assert.deepEqual([presence.sequence, presence.locked_by.length], [1, 1]);
			const [{ in_call }] = await w.sql('SELECT in_call FROM pool_numbers WHERE call_id = $1', [replies[0].body.id]);
			assert.equal(in_call, 1);
		});
});

test('fifty posts at once for a guest nobody has seen: one row, one id', async () => {
	const headers = { 'idempotency-key': unique('guest') };
	const replies = await Promise.all(
		Array.from({ length: 50 }, (_, i) =>
			t.placing('ext:guest', { site_id: t.home.id }, { server: w.servers[i % 2], headers, expect: 201 }),
		),
	);
	assert.equal(new Set(replies.map((reply) => reply.body.id)).size, 1);
	assert.equal((await w.sql(`SELECT id FROM emergency_calls WHERE guest = 'ext:guest'`)).length, 1);
});

test('once the call is over, the key is spent: a new call, UUIDv7, with a warning', async () => {
	const agent = await t.user();
	const key = unique('key');
	const first = await placing(agent, key);
	await t.end(first.body);
	const second = await placing(agent, key, {}, 1);
	assert.notEqual(second.body.id, first.body.id);
	assert.deepEqual([isReplay(second), codes(second.body)], [false, ['idempotency_key_reused']]);
	assert.equal(version(second.body.id), '7');
	const third = await placing(agent, key);
	assert.deepEqual([third.body.id, isReplay(third)], [second.body.id, true], 'from then on it is the key of the new call');
	await t.act(second.body, 'cancel');
	assert.notEqual((await placing(agent, key)).body.id, second.body.id);
});

test('once the call is over, its external_call_id is spent too, and names the newest', async () => {
	const agent = await t.user();
	const external_call_id = unique('ext');
	const first = await placing(agent, null, { external_call_id });
	await t.end(first.body);
	const second = await placing(agent, null, { external_call_id });
	assert.notEqual(second.body.id, first.body.id);
	assert.deepEqual(codes(second.body), ['idempotency_key_reused']);
	assert.equal((await t.get(`/emergency-calls/${enc(`ext:${external_call_id}`)}`)).id, second.body.id);
	assert.equal((await t.act(enc(`ext:${external_call_id}`), 'end')).id, second.body.id);
});

test('the same key for another user, or another dial string, is a new call with a warning', async () => {
	const [one, two] = [await t.user(), await t.user()];
	const key = unique('key');
	const external_call_id = unique('ext');
	const first = await placing(one, key, { external_call_id });
	const other = await placing(two, key, {}, 1);
	assert.deepEqual([other.body.user_id, codes(other.body), isReplay(other)], [two.id, ['idempotency_key_reused'], false]);
	const dialled = await placing(one, key, { dial_string: '112' });
	assert.notEqual(dialled.body.id, first.body.id);
	assert.deepEqual(codes(dialled.body), ['idempotency_key_reused']);
	const byExternal = await placing(two, null, { external_call_id });
	assert.notEqual(byExternal.body.id, first.body.id);
	assert.equal((await placing(one, key)).body.id, first.body.id, 'the first one is still itself');
});

test('a call placed with a key has a derived id: UUIDv8, the same in every process; without one UUIDv7', async () => {
	const agent = await t.user();
	const key = unique('key');
	const first = await placing(agent, key);
	assert.equal(version(first.body.id), '8');
	assert.equal(version((await placing(agent, null)).body.id), '7');
	// The same request into another, empty history derives the same id: forget the call and ask the other process.
	for (const table of ['emergency_calls', 'call_keys'])
		await w.sql(`DELETE FROM ${table} WHERE ${table === 'call_keys' ? 'call_id' : 'id'} = $1`, [first.body.id]);
	const again = await placing(agent, key, {}, 1);
	assert.deepEqual([again.body.id, isReplay(again)], [first.body.id, false]);
	const [other] = [await placing(await t.user(), key)];
	assert.notEqual(other.body.id, first.body.id);
});

test('the answer never arrived: asking again gives the call that was placed, once', async () => {
	const callers = await Promise.all(Array.from({ length: 10 }, async () => ({ user: await t.user(), key: unique('lost') })));
	await Promise.all(
		callers.map(
			({ user, key }, i) =>
				new Promise((resolve) => {
					const body = JSON.stringify({ user_id: user.id, dial_string: '911' });
					const { port, host } = w.servers[i % 2];
					const socket = net.connect(port, host, () =>
						socket.write(
							`POST ${t.path}/emergency-calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.key}\r\n` +
								`Idempotency-Key: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
							() => socket.destroy(),
						),
					);
					socket.on('close', resolve).on('error', () => {});
				}),
		),
	);
	const again = await Promise.all(callers.map(({ user, key }, i) => placing(user, key, {}, (i + 1) % 2)));
	for (const [i, { user }] of callers.entries()) {
		assert.equal(await stored(user), 1);
		assert.deepEqual(again[i].body.warnings, []);
		assert.equal((await t.presence(user)).sequence, 1);
	}
});

test('the key of one tenant means nothing to another', async () => {
	const foreign = await w.tenant({ numbers: 1 });
	const headers = { 'idempotency-key': unique('key') };
	const mine = await t.placing('ext:same', { site_id: t.home.id }, { headers, expect: 201 });
	const theirs = await foreign.placing('ext:same', { site_id: foreign.home.id }, { headers, expect: 201 });
	assert.notEqual(theirs.body.id, mine.body.id);
	assert.deepEqual(codes(theirs.body), ['unknown_user']);
});

test('a key out of its bounds does not stop a call', async () => {
	for (const key of ['x'.repeat(256), '"', '""', 'a"b']) assert.equal((await placing(await t.user(), key)).status, 201, key);
	const long = await placing(await t.user(), 'x'.repeat(255));
	assert.equal(version(long.body.id), '8');
});

test('a refused call leaves no key behind', async () => {
	const agent = await t.user();
	const headers = { 'idempotency-key': unique('key') };
	assert.equal((await t.placing(agent, { dial_string: '988' }, { headers })).status, 422);
	const placed = await t.placing(agent, {}, { headers, expect: 201 });
	assert.deepEqual([isReplay(placed), placed.body.warnings], [false, []]);
});
