// Webhooks with a backlog: what failed or hangs holds up nothing that is newer, nor anybody else's, and costs
// PostgreSQL little; what is due goes out from the process that committed it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';

const DND = 'presence.do_not_disturb';
const PRESENCE = { event_types: [DND, 'presence.restored'] };

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const delivery = async (endpoint, id) =>
	(await w.sql('SELECT * FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id = $2', [endpoint.id, id]))[0];
// Answered, recorded, and waiting for its next attempt.
const waiting = (endpoint, { id }) =>
	until('the attempt is recorded', async () => {
		const row = await delivery(endpoint, id);
		return row.state === 'pending' && !row.in_flight && row.attempts === 1 ? row : null;
	});

test('a presence event that waits for its retry holds up no newer one: the newer goes at once, the older never again', async () => {
	const hook = await w.receiver();
	const t = await w.tenant();
	const endpoint = await t.hook(hook, PRESENCE);
	hook.answer = ({ type }) => (type === DND ? { status: 503, headers: { 'retry-after': '3600' } } : 204);
	const call = await t.place(t.agent);
	const failed = await hook.next(DND);
	await waiting(endpoint, failed);
	await t.end(call);
	const restored = await hook.next(() => true);
	assert.deepEqual([restored.type, restored.data.sequence], ['presence.restored', 2]);
	await until('the older one is superseded', async () => (await delivery(endpoint, failed.id)).state === 'superseded');
	await until('the newer one is delivered', async () => (await delivery(endpoint, restored.id)).state === 'delivered');
	hook.answer = () => 204;
	await t.end(await t.place(t.agent));
	for (const sequence of [3, 4]) assert.equal((await hook.next(() => true)).data.sequence, sequence);
	assert.equal((await delivery(endpoint, failed.id)).attempts, 1);
});

test('one that waits holds up no newer one of the next call either, though several have failed', async () => {
	const hook = await w.receiver();
	const t = await w.tenant();
	const endpoint = await t.hook(hook, PRESENCE);
	hook.answer = () => ({ status: 500, headers: { 'retry-after': '3600' } });
	const call = await t.place(t.agent);
	await waiting(endpoint, await hook.next(DND));
	await t.end(call);
	await waiting(endpoint, await hook.next('presence.restored'));
	hook.answer = () => 204;
	await t.end(await t.place(t.agent));
	const accepted = [await hook.next(() => true), await hook.next(() => true)];
	assert.deepEqual(
		accepted.map((d) => d.data.sequence),
		[3, 4],
	);
	const states = () => w.sql('SELECT state FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY event_no', [endpoint.id]);
	await until('nothing waits any more', async () => (await states()).every((row) => row.state !== 'pending'));
	assert.deepEqual(
		(await states()).map((row) => row.state),
		['superseded', 'superseded', 'delivered', 'delivered'],
	);
});

const commits = async () => {
	const [{ n }] = await w.sql('SELECT xact_commit::int AS n FROM pg_stat_database WHERE datname = current_database()');
	return n;
};

test('four endpoints that hang delay no other tenant, and nobody asks for them again and again', async (context) => {
	const [hung, well] = [await w.receiver(), await w.receiver()];
	const [sick, other] = [await w.tenant({ numbers: 3, users: 40 }), await w.tenant({ numbers: 9, users: 2 })];
	for (let i = 0; i < 4; i++) await sick.hook(hung, { event_types: [DND, 'emergency_call.placed'] });
	await other.hook(well, { event_types: [DND, 'lease.expired'] });
	hung.answer = () => 'hang';
	const [server] = w.servers;
	await Promise.all(sick.users.map((user) => sick.place(user, {}, { server })));
	await until('each endpoint has all that it gets at a time', () => hung.deliveries.length === 4 * 16);
	const placed = [];
	for (const user of other.users) {
		placed.push(await other.place(user, {}, { server }));
		assert.equal((await well.next(DND)).data.user_id, user.id);
	}
	assert.equal(hung.deliveries.length, 4 * 16, 'and nothing that hangs was given up before');

	// Between two sweeps, with more due than may go: each process looks a few times a second.
	const lookups = [await commits()];
	for (const call of placed) {
		await other.end(call);
		await w.sql('UPDATE leases SET expires_at = now() WHERE id = $1', [call.lease.id]);
		await well.next('lease.expired');
		lookups.push(await commits());
	}
	context.diagnostic(`${lookups[2] - lookups[0]} transactions between three looks`);
	assert.ok(lookups[2] - lookups[0] < 1000, 'it does not spin');
	await until('none of the hung ones is held any more', () => {
		hung.answer = () => 204;
		hung.release();
		return hung.held.length === 0;
	});
});

test('the process that commits an event is the one that delivers it, before the next call is placed', async () => {
	const hook = await w.receiver();
	const t = await w.tenant({ numbers: 3 });
	const endpoint = await t.hook(hook, PRESENCE);
	const claimedBy = [new Set(), new Set()];
	for (let i = 0; i < 20; i++) {
		const server = w.servers[i % 2];
		const call = await t.place(t.agent, {}, { server });
		const locked = await hook.next(() => true);
		assert.deepEqual([locked.type, locked.data.emergency_call_id], [DND, call.id]);
		await t.end(call, { server });
		const restored = await hook.next(() => true);
		assert.deepEqual([restored.type, restored.data.emergency_call_id], ['presence.restored', call.id]);
		for (const { id } of [locked, restored]) claimedBy[i % 2].add((await delivery(endpoint, id)).claimed_by);
	}
	assert.deepEqual(
		claimedBy.map((set) => set.size),
		[1, 1],
	);
	assert.notDeepEqual(claimedBy[0], claimedBy[1]);
	assert.ok(hook.deliveries.every((d) => d.attempt === 1));
});
