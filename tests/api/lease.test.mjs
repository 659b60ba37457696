// Leases one step at a time: which number a call gets, for how long, and when it is given back.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { codes } from '../lib/fixture.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const brief = async (t, user, body) => t.end(await t.place(user, body));
const getLease = (t, { id }) => t.get(`/leases/${id}`);

// The lease is over so many seconds ago, and with it the time of its number.
const shift = (lease, seconds) =>
	w.sql(
		`WITH l AS (UPDATE leases SET expires_at = now() - make_interval(secs => $2) WHERE id = $1
	RETURNING number_id, id) UPDATE pool_numbers n SET free_at = now() - make_interval(secs => $2) FROM l WHERE n.lease_id = l.id`,
		[lease.id, seconds],
	);
const closings = (lease) =>
	w.sql(`SELECT type FROM events WHERE lease_id = $1 AND type IN ('lease.expired', 'lease.superseded', 'lease.released')`, [lease.id]);

test('the free number that has been unused longest is taken, a new one first', async () => {
	const t = await w.tenant({ numbers: 4, users: 5 });
	const sorted = [...t.numbers].sort();
	const leases = [];
	for (const user of t.users.slice(0, 3)) leases.push((await brief(t, user)).lease);
	assert.deepEqual(
		leases.map((l) => l.number),
		sorted.slice(0, 3),
	);
	await shift(leases[0], 30);
	await shift(leases[1], 60);
	await shift(leases[2], 10);
	const order = [];
	for (const user of [...t.users.slice(3), await t.user(), await t.user()]) order.push((await brief(t, user)).lease.number);
	assert.deepEqual(order, [sorted[3], leases[1].number, leases[0].number, leases[2].number]);
});

test('pools of a site are used in order of creation', async () => {
	const t = await w.tenant({ numbers: 1, users: 3 });
	const second = await t.pool({ numbers: 1 });
	const calls = [];
	for (const user of t.users) calls.push(await brief(t, user));
	assert.deepEqual(
		calls.map((c) => c.lease.number),
		[t.numbers[0], second.numbers[0], t.numbers[0]],
	);
	assert.deepEqual((await getLease(t, calls[1].lease)).pool_id, second.id);
	assert.deepEqual(codes(calls[2]), ['pool_exhausted']);
});

test('a used-up pool: the least recently leased number outside calls; all in use: shared; the latest caller is called back', async () => {
	const t = await w.tenant({ numbers: 3, users: 6 });
	const [a, b, c, d, e, f] = t.users;
	const callA = await t.place(a);
	const [endedB, endedC] = [await brief(t, b), await brief(t, c)];
	const callD = await t.place(d);
	assert.deepEqual([callD.lease.number, callD.lease.shared, codes(callD)], [endedB.lease.number, false, ['pool_exhausted']]);
	assert.deepEqual(
		[(await getLease(t, endedB.lease)).state, (await getLease(t, endedB.lease)).expires_at],
		['superseded', endedB.lease.expires_at],
		'it keeps its expiry',
	);
	const callE = await t.place(e);
	assert.deepEqual([callE.lease.number, callE.lease.shared], [endedC.lease.number, false]);
	const callF = await t.place(f);
	assert.deepEqual(
		[callF.lease.number, callF.lease.shared, codes(callF)],
		[callA.lease.number, true, ['number_shared', 'pool_exhausted']],
	);
	assert.deepEqual(
		[(await getLease(t, callF.lease)).shared, (await getLease(t, callA.lease)).state, (await getLease(t, callA.lease)).in_call],
		[true, 'superseded', true],
	);

	const who = async (number) => {
		const { user, reason, candidates, lease_id } = await t.resolve(number);
		return [user.id, reason, candidates.map((x) => x.user_id), lease_id];
	};
	assert.deepEqual(await who(callF.lease.number), [f.id, 'active_lease', [f.id, a.id], callF.lease.id]);
	assert.deepEqual(await who(callD.lease.number), [d.id, 'active_lease', [d.id, b.id], callD.lease.id]);

	// A superseded lease stays a candidate while its call goes on, whatever its expiry.
	await w.sql(`UPDATE leases SET expires_at = now() - interval '1 s' WHERE id = $1`, [callA.lease.id]);
	assert.deepEqual((await who(callF.lease.number))[2], [f.id, a.id]);

	// No active lease is left: the newest that was superseded and is not over gets the callbacks.
	for (const call of [callA, callD, callE, callF]) await t.end(call);
	await shift(callD.lease, 1);
	await until('the lease is expired', async () => (await getLease(t, callD.lease)).state === 'expired');
	const [candidate, , others] = await who(endedB.lease.number);
	assert.deepEqual([candidate, others], [b.id, [b.id]]);
	await w.sql(`UPDATE leases SET expires_at = now() WHERE id = $1`, [endedB.lease.id]);
	assert.equal((await t.resolve(endedB.lease.number)).outcome, 'fallback');
});

test('the same user again keeps number and lease, and gets a full hour more', async () => {
	const hook = await w.receiver();
	const t = await w.tenant({ numbers: 3 });
	await t.hook(hook, { event_types: ['lease.created', 'lease.renewed', 'lease.superseded'] });
	const first = await brief(t, t.agent);
	await w.sql(`UPDATE leases SET expires_at = now() + interval '10 s' WHERE id = $1`, [first.lease.id]);
	const second = await t.place(t.agent, {}, { server: w.servers[1] });
	assert.deepEqual([second.lease.id, second.lease.number, second.warnings], [first.lease.id, first.lease.number, []]);
	const seconds = (Date.parse(second.lease.expires_at) - Date.parse(second.placed_at)) / 1000;
	assert.ok(Math.abs(seconds - 3600) < 1, `${seconds} s`);
	const third = await t.place(t.agent);
	assert.equal(third.lease.id, first.lease.id);
	await t.end(second);
	assert.equal((await getLease(t, first.lease)).in_call, true, 'as long as one of its calls goes on');
	await t.end(third);
	const lease = await getLease(t, first.lease);
	assert.deepEqual([lease.in_call, lease.emergency_call_id, lease.state], [false, third.id, 'active']);
	for (const type of ['lease.created', 'lease.renewed', 'lease.renewed']) assert.equal((await hook.next(() => true)).type, type);
});

test('no longer in a pool of the site: a number of the other site', async () => {
	const t = await w.tenant({ numbers: 1 });
	const other = await t.site();
	const pool = await t.pool({ site: other, numbers: 1 });
	const first = await brief(t, t.agent);
	const moved = await brief(t, t.agent, { site_id: other.id });
	assert.deepEqual([moved.lease.number, moved.lease.id !== first.lease.id], [pool.numbers[0], true]);
	assert.equal((await getLease(t, first.lease)).state, 'active', 'the earlier lease stays until its time');
	assert.equal((await t.resolve(first.lease.number)).user.id, t.agent.id);
});

test('a lease that is over reads so at once, is closed by one process, once, and its number is free', async () => {
	const hook = await w.receiver();
	const t = await w.tenant({ numbers: 2, users: 3 });
	await t.hook(hook, { event_types: ['lease.expired'], detail: 'full' });
	const { lease } = await brief(t, t.agent);
	await shift(lease, 1);
	assert.equal((await getLease(t, lease)).state, 'expired', 'whether or not anybody has swept');
	assert.equal((await t.get(`/pools/${t.homePool.id}`)).counts.free, 2);
	const event = await hook.next('lease.expired');
	assert.deepEqual(
		[event.data.lease_id, event.data.state, event.data.number, event.data.user_id],
		[lease.id, 'expired', lease.number, t.agent.id],
	);
	const other = (await brief(t, t.users[1])).lease;
	await shift(other, 1);
	await hook.next((d) => d.data.lease_id === other.id); // by now both processes have swept again
	assert.deepEqual(await closings(lease), [{ type: 'lease.expired' }]);
	assert.ok((await getLease(t, lease)).ended_at);
	assert.equal((await t.resolve(lease.number)).reason, 'lease_expired');
});

test('who takes a number before anybody swept closes its lease as expired', async () => {
	const t = await w.tenant({ numbers: 1, users: 2 });
	const { lease } = await brief(t, t.agent);
	await shift(lease, 1);
	const next = await brief(t, t.users[1]);
	assert.deepEqual([next.lease.number, next.warnings], [lease.number, []], 'a free number is no reuse');
	assert.deepEqual([(await getLease(t, lease)).state, await closings(lease)], ['expired', [{ type: 'lease.expired' }]]);
});

test('a lease outlives its time while its call goes on, and ends with it', async () => {
	const hook = await w.receiver();
	const t = await w.tenant({ numbers: 3, users: 3 });
	await t.hook(hook, { event_types: ['lease.expired'] });
	const call = await t.place(t.agent);
	const marker = await brief(t, t.users[1]);
	await shift(call.lease, 5);
	await shift(marker.lease, 1);
	await hook.next((d) => d.data.lease_id === marker.lease.id); // the sweep has passed the older one
	const lease = await getLease(t, call.lease);
	assert.deepEqual([lease.state, lease.in_call], ['active', true]);
	assert.deepEqual([(await t.resolve(lease.number)).reason, await closings(lease)], ['active_lease', []]);
	assert.notEqual((await brief(t, t.users[2])).lease.number, lease.number, 'nobody else gets its number');
	await t.end(call);
	await hook.next((d) => d.data.lease_id === lease.id);
	assert.equal((await getLease(t, lease)).state, 'expired');
});

test('neither end nor cancel shortens a lease', async () => {
	const t = await w.tenant({ numbers: 2, users: 2 });
	for (const [user, verb] of [
		[t.users[0], 'end'],
		[t.users[1], 'cancel'],
	]) {
		const call = await t.place(user);
		await t.act(call, verb);
		const lease = await getLease(t, call.lease);
		assert.deepEqual(
			[lease.state, lease.expires_at, lease.in_call, lease.ended_at],
			['active', call.lease.expires_at, false, null],
			verb,
		);
	}
});

test('leases are listed by number, user, state and instant', async () => {
	const t = await w.tenant({ numbers: 2, users: 3 });
	const [a, b, c] = t.users;
	const calls = [await brief(t, a), await brief(t, b), await brief(t, c)]; // c reuses the number of a
	const [la, lb, lc] = calls.map((call) => call.lease);
	const ids = async (query) => (await t.list('leases', query)).map((lease) => lease.id).sort();
	assert.deepEqual(await ids({}), [la.id, lb.id, lc.id].sort());
	assert.deepEqual(await ids({ number: la.number }), [la.id, lc.id].sort());
	assert.deepEqual(await ids({ user_id: b.id }), [lb.id]);
	assert.deepEqual(await ids({ user_id: `ext:${c.external_id}` }), [lc.id]);
	assert.deepEqual(await ids({ state: 'superseded' }), [la.id]);
	assert.deepEqual(await ids({ state: 'active' }), [lb.id, lc.id].sort());
	assert.deepEqual(await ids({ number: la.number, state: 'active' }), [lc.id]);
	await shift(lb, 0.001);
	assert.deepEqual(await ids({ state: 'expired' }), [lb.id], 'as it reads, swept or not');
	const between = (await getLease(t, la)).leased_at;
	assert.deepEqual(await ids({ number: la.number, at: between }), [la.id], 'who held it then');
	assert.deepEqual(await ids({ number: la.number, at: new Date().toISOString() }), [lc.id], 'who holds it now');
	assert.deepEqual(await ids({ at: '2020-01-01T00:00:00Z' }), []);
	assert.deepEqual(await ids({ page_size: 1 }), [la.id, lb.id, lc.id].sort(), 'over pages');
});

test('a call that timed out no longer holds its number', async () => {
	const t = await w.tenant({ numbers: 1, users: 2 });
	const call = await t.place(t.agent);
	await w.sql(`UPDATE emergency_calls SET times_out_at = now() WHERE id = $1`, [call.id]);
	await until('it times out', async () => (await t.get(`/emergency-calls/${call.id}`)).state === 'timed_out');
	const next = await brief(t, t.users[1]);
	assert.deepEqual([next.lease.shared, codes(next)], [false, ['pool_exhausted']]);
});

test('what a pool counts', async () => {
	const t = await w.tenant({ numbers: 4, users: 3 });
	const counts = async () => (await t.get(`/pools/${t.homePool.id}`)).counts;
	assert.deepEqual(await counts(), { total: 4, free: 4, leased: 0, in_call: 0 });
	const call = await t.place(t.users[0]);
	const over = await brief(t, t.users[1]);
	assert.deepEqual(await counts(), { total: 4, free: 2, leased: 2, in_call: 1 });
	await t.end(call);
	await shift(over.lease, 1);
	assert.deepEqual(await counts(), { total: 4, free: 3, leased: 1, in_call: 0 });
});
