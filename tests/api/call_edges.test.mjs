// Emergency calls at their edges: a query that nobody knows, facts that are reported late or twice, and two
// keys that name one call.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { call, until, world } from '../lib/harness.mjs';
import { codes, enc, unique } from '../lib/fixture.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const getLease = (t, { id }) => t.get(`/leases/${id}`);
const stateOf = async (t, { id }) => (await t.get(`/emergency-calls/${id}`)).state;

// --- a query on an emergency route

for (const query of ['?trace=1', '?x=%zz', '?%00', '?a&a&a', '?=']) {
	test(`${query} refuses no emergency call: it is left out, and named`, async () => {
		const t = await w.tenant();
		const placed = (await t.call('POST', `/emergency-calls${query}`, { body: { user_id: t.agent.id, dial_string: '911' } })).body;
		assert.equal(placed.state, 'placed', JSON.stringify(placed));
		assert.deepEqual(codes(placed), ['ignored_member']);
		const body = { called_number: placed.lease.number };
		const { status, body: callback } = await call(w.servers[0], 'POST', `/v1/callback-resolutions${query}`, { key: t.key, body });
		assert.deepEqual([status, callback.user?.id, codes(callback)], [201, t.agent.id, ['ignored_member']]);
		for (const [verb, state] of [
			['connect', 'connected'],
			['end', 'ended'],
		]) {
			const moved = await t.call('POST', `/emergency-calls/${placed.id}/${verb}${query}`);
			assert.deepEqual([moved.status, moved.body.state], [200, state], verb);
			assert.ok(codes(moved.body).includes('ignored_member'), verb);
		}
	});
}

test('a query that nobody knows cancels as well', async () => {
	const t = await w.tenant();
	const { status, body } = await t.call('POST', `/emergency-calls/${(await t.place(t.agent)).id}/cancel?why=x`);
	assert.deepEqual([status, body.state], [200, 'cancelled']);
});

test('an ordinary route refuses a query that nobody knows', async () => {
	const t = await w.tenant();
	assert.equal((await t.call('GET', '/emergency-calls?trace=1')).status, 400);
});

// --- late reports

// The call has timed out, and the sweeper has done it.
async function timeOut(t, { id }) {
	await w.sql('UPDATE emergency_calls SET times_out_at = now() WHERE id = $1', [id]);
	await until('the call times out', async () => (await stateOf(t, { id })) === 'timed_out');
}

// The time of a lease is over, and the sweeper has closed it.
async function expire({ lease }) {
	await w.sql(
		`WITH l AS (UPDATE leases SET expires_at = now() WHERE id = $1 RETURNING number_id, id)
		UPDATE pool_numbers n SET free_at = now() FROM l WHERE n.number_id = l.number_id AND n.lease_id = l.id`,
		[lease.id],
	);
	await until('the lease is closed', async () => (await w.sql('SELECT state FROM leases WHERE id = $1', [lease.id]))[0].state === 'expired');
}

test('a late connect brings an expired lease back: the caller is called back', async () => {
	const hook = await w.receiver();
	const t = await w.tenant({ numbers: 1 });
	await t.hook(hook, { event_types: ['lease.created', 'lease.renewed', 'lease.expired'] });
	const placed = await t.place(t.agent);
	await timeOut(t, placed);
	await expire(placed);
	assert.equal((await t.resolve(placed.lease.number)).reason, 'lease_expired');
	const connected = await t.act(placed, 'connect');
	assert.deepEqual([connected.state, codes(connected)], ['connected', ['late_report']]);
	const lease = await getLease(t, placed.lease);
	assert.deepEqual([lease.state, lease.in_call, lease.ended_at], ['active', true, null]);
	const callback = await t.resolve(placed.lease.number);
	assert.deepEqual([callback.reason, callback.user?.id, callback.lease_id], ['active_lease', t.agent.id, placed.lease.id]);
	assert.equal((await t.presence(t.agent)).availability, 'do_not_disturb');
	for (const type of ['lease.created', 'lease.expired', 'lease.renewed']) assert.equal((await hook.next(() => true)).type, type);
	await t.end(placed);
	await hook.next('lease.expired');
	assert.equal((await t.resolve(placed.lease.number)).outcome, 'fallback', 'and after its end it is over again');
});

test('a late connect after another has taken the number: the later holder is called back, the first is a candidate', async () => {
	const t = await w.tenant({ numbers: 1, users: 2 });
	const [first, later] = t.users;
	const lost = await t.place(first);
	await timeOut(t, lost);
	await expire(lost);
	const held = await t.place(later);
	assert.equal(held.lease.number, lost.lease.number);
	await t.act(lost, 'connect');
	assert.deepEqual([(await getLease(t, lost.lease)).state, (await getLease(t, held.lease)).state], ['superseded', 'active']);
	const callback = await t.resolve(held.lease.number);
	assert.deepEqual(
		[callback.user?.id, callback.lease_id, callback.candidates.map((c) => c.user_id)],
		[later.id, held.lease.id, [later.id, first.id]],
	);
	assert.deepEqual(await w.sql('SELECT in_call FROM pool_numbers WHERE number = $1', [held.lease.number]), [{ in_call: 2 }]);
	await t.end(held);
	await expire(held);
	const { user } = await t.resolve(held.lease.number);
	assert.equal(user?.id, first.id, 'the only one left whose call goes on');
	await t.end(lost);
	assert.deepEqual(await w.sql('SELECT in_call FROM pool_numbers WHERE number = $1', [held.lease.number]), [{ in_call: 0 }]);
});

test('a late connect gives a call its longest time once more, and never more than that', async () => {
	const t = await w.tenant();
	const placed = await t.place(t.agent);
	const seconds = async () => {
		const [row] = await w.sql(
			`SELECT extract(epoch FROM times_out_at - connected_at)::float8 AS left, max_call_seconds FROM emergency_calls WHERE id = $1`,
			[placed.id],
		);
		return [row.left, row.max_call_seconds];
	};
	for (let round = 0; round < 3; round++) {
		await w.sql(`UPDATE emergency_calls SET placed_at = placed_at - interval '5 h' WHERE id = $1`, [placed.id]);
		await timeOut(t, placed);
		await t.act(placed, 'connect');
		assert.deepEqual(await seconds(), [14400, 14400]);
	}
});

// --- which number a call presents

test('connect once more, with the number that is really presented: it is recorded, and called back', async () => {
	const t = await w.tenant({ users: 2 });
	const { number } = t.account;
	const placed = await t.place(t.agent);
	await t.act(placed, 'connect');
	assert.notEqual((await t.resolve(number)).user?.id, t.agent.id);
	const again = await t.act(placed, 'connect', { presented_number: number });
	assert.deepEqual([again.state, again.id], ['connected', placed.id]);
	assert.deepEqual(await w.sql('SELECT presented_number FROM emergency_calls WHERE id = $1', [placed.id]), [{ presented_number: number }]);
	const callback = await t.resolve(number);
	assert.deepEqual([callback.outcome, callback.user?.id, callback.emergency_call_id], ['user', t.agent.id, placed.id]);
	await t.act(placed, 'connect');
	assert.equal((await t.resolve(number)).user?.id, t.agent.id, 'a connect that says nothing takes nothing back');
});

// --- repeats

test('a repeat found by one key is found by the other from then on', async () => {
	const t = await w.tenant();
	const [k1, k2, external_call_id] = [unique('key'), unique('key'), unique('call')];
	const placing = (key, body, server) =>
		t.placing(t.agent, body, { headers: { 'idempotency-key': key }, server: w.servers[server], expect: 201 });
	const first = await placing(k1, { external_call_id }, 0);
	const byCall = await placing(k2, { external_call_id }, 1);
	const byKey = await placing(k2, {}, 0);
	assert.deepEqual([byCall.body.id, byKey.body.id], [first.body.id, first.body.id]);
	assert.equal(byKey.headers['idempotent-replay'], 'true');
	assert.equal((await t.list('emergency-calls', { user_id: t.agent.id })).length, 1);
});

test('an external_call_id of 200 characters is stored, listed and acted on; one of 256 is no filter', async () => {
	const t = await w.tenant();
	const external_call_id = `${'x'.repeat(180)}@${'pbx'.repeat(5)}.exa`;
	assert.equal(external_call_id.length, 200);
	const placed = await t.place(t.agent, { external_call_id });
	assert.deepEqual([placed.external_call_id, placed.warnings], [external_call_id, []]);
	assert.deepEqual(
		(await t.list('emergency-calls', { external_call_id })).map((c) => c.id),
		[placed.id],
	);
	assert.equal((await t.end(`ext:${enc(external_call_id)}`)).id, placed.id);
	assert.equal((await t.call('GET', `/emergency-calls?external_call_id=${'x'.repeat(256)}`)).status, 400);
});
