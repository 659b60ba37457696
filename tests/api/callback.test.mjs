// Somebody calls one of our numbers: who is rung, where, and how urgently.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { CCAAS, DESK, TEAMS, codes, unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 30 });
});
after(() => w.close());

const PHONE = { type: 'desk_phone', address: 'sip:phone-7@desk.example' };
const GONE = { type: 'tablet', address: 'sip:tablet@desk.example', expires_at: '2020-01-01T00:00:00Z' };
const rung = ({ targets }) => targets.map((target) => target.type);
const ringing = (...endpoints) =>
	endpoints.map((e) => ({ type: e.type, address: e.address, start_after_seconds: 0, reachable: 'unknown' }));

// The lease of a user who placed a call from this endpoint, and ended it.
async function leased(user, endpoint, tenant = t) {
	const answer = await tenant.place(user, endpoint && { endpoint });
	await tenant.end(answer);
	return answer.lease;
}

const expire = (lease) =>
	w.sql(
		`WITH l AS (UPDATE leases SET expires_at = now() - interval '1 s' WHERE id = $1 RETURNING number_id)
	UPDATE pool_numbers n SET free_at = now() - interval '1 s' FROM l WHERE n.number_id = l.number_id`,
		[lease.id],
	);

test('placed from the CCaaS client: CCaaS and Teams clients ring at once, and no other', async () => {
	const agent = await t.user({ endpoints: [PHONE, TEAMS, CCAAS] });
	const callback = await t.resolve((await leased(agent, CCAAS)).number);
	assert.deepEqual(callback.targets, ringing(TEAMS, CCAAS));
	assert.equal(callback.ring, 'simultaneous');
});

test('placed from the Teams client: Teams clients ring only', async () => {
	const agent = await t.user({ endpoints: [PHONE, CCAAS, TEAMS] });
	const callback = await t.resolve((await leased(agent, TEAMS)).number);
	assert.deepEqual(callback.targets, ringing(TEAMS));
});

test('placed from another endpoint: that one rings first, then the rest', async () => {
	const agent = await t.user({ endpoints: [CCAAS, TEAMS, PHONE] });
	const callback = await t.resolve((await leased(agent, PHONE)).number);
	assert.deepEqual(callback.targets, ringing(PHONE));
	assert.deepEqual(callback.then, [
		{ after_seconds: 20, targets: [CCAAS, TEAMS] },
		{ after_seconds: 40, targets: [DESK] },
	]);
});

test('no endpoint said, or none of that type left: all of them ring', async () => {
	const agent = await t.user({ endpoints: [CCAAS, PHONE] });
	assert.deepEqual(rung(await t.resolve((await leased(agent)).number)).sort(), ['ccaas_client', 'desk_phone']);
	assert.deepEqual(rung(await t.resolve((await leased(agent, TEAMS)).number)).sort(), ['ccaas_client', 'desk_phone']);
});

test('an endpoint whose login is over is not rung', async () => {
	const agent = await t.user({ endpoints: [CCAAS, { ...TEAMS, expires_at: '2020-01-01T00:00:00Z' }, GONE] });
	assert.deepEqual(rung(await t.resolve((await leased(agent, CCAAS)).number)), ['ccaas_client']);
});

test('the newest call under a lease decides where it rings', async () => {
	const agent = await t.user();
	const lease = await leased(agent, CCAAS);
	assert.equal((await leased(agent, TEAMS)).id, lease.id);
	assert.deepEqual(rung(await t.resolve(lease.number)), ['teams_client']);
});

test('the called number is normalised like a dial string', async () => {
	const agent = await t.user();
	const { number } = await leased(agent);
	const dashed = `${number.slice(0, 2)}-${number.slice(2, 5)}-${number.slice(5)}`;
	for (const called of [
		`tel:${number}`,
		`tel:${dashed}`,
		dashed,
		`sip:${number}@sbc.example;user=phone`,
		` ${number} `,
		`<sip:${number}@sbc.example>`,
	]) {
		const callback = await t.resolve(called);
		assert.deepEqual([callback.called_number, callback.user?.id], [number, agent.id], called);
	}
});

test('caller and priority never decide', async () => {
	const agent = await t.user();
	const { number } = await leased(agent);
	for (const body of [
		{ caller_number: 'anonymous' },
		{ caller_number: '' },
		{ caller_number: 'sip:psap@esinet.example', sip_priority: 'non-urgent' },
		{ sip_priority: 'x'.repeat(500) },
	]) {
		const callback = await t.resolve(number, body);
		assert.deepEqual([callback.outcome, callback.user.id, callback.priority], ['user', agent.id, 'emergency'], JSON.stringify(body));
		assert.equal(callback.caller_number, body.caller_number ?? null);
	}
});

test('the same external_call_id gets the same resolution, whatever else is said', async () => {
	const lease = await leased(await t.user());
	const external_call_id = unique('in-7781');
	const first = await t.resolve(lease.number, { external_call_id, caller_number: '+12065550911' });
	const again = await t.resolve(lease.number, { external_call_id });
	assert.deepEqual(again, first);
	const other = await t.resolve(lease.number, { external_call_id: unique('in') });
	assert.notEqual(other.id, first.id);
	assert.deepEqual((await t.world.call('GET', `/v1/callback-resolutions/${first.id}`, { key: t.key, expect: 200 })).body, first);
	const parallel = await Promise.all(Array.from({ length: 20 }, () => t.resolve(lease.number, { external_call_id: 'in-parallel' })));
	assert.equal(new Set(parallel.map((r) => r.id)).size, 1);
});

test('what does not fit is left out, with a warning; only the called number is needed', async () => {
	const { number } = await leased(await t.user());
	const callback = await t.resolve(number, {
		caller_number: 5,
		sip_priority: [],
		external_call_id: 'two words',
		caller_user_id: 7,
		nmae: 1,
	});
	assert.deepEqual(codes(callback), Array(5).fill('ignored_member'));
	assert.deepEqual([callback.outcome, callback.external_call_id, callback.caller_number], ['user', null, null]);
	for (const body of [{}, { called_number: null }, { called_number: 14255550100 }, { called_number: '' }]) {
		const reply = await w.call('POST', '/v1/callback-resolutions', { key: t.key, body });
		assert.deepEqual([reply.status, reply.body.errors.map((e) => e.pointer)], [422, ['/called_number']], JSON.stringify(body));
	}
	const plain = await w.call('POST', '/v1/callback-resolutions', {
		key: t.key,
		text: JSON.stringify({ called_number: number }),
		type: 'text/plain',
	});
	assert.equal(plain.status, 201, 'the content type is not checked');
});

test('a number nobody registered, or of another tenant, is not managed; the operator resolves any', async () => {
	const other = await w.tenant({ numbers: 1 });
	const theirs = await leased(other.agent, CCAAS, other);
	const asked = async (called_number) =>
		(await w.call('POST', '/v1/callback-resolutions', { key: t.key, body: { called_number }, expect: 404 })).body;
	const [foreign, unknown] = [await asked(theirs.number), await asked('+14250000001')];
	const plain = (body, number) => JSON.stringify({ ...body, request_id: '' }).replaceAll(number, 'N');
	assert.equal(foreign.code, 'number_not_managed');
	assert.equal(plain(foreign, theirs.number), plain(unknown, '+14250000001'));
	const resolved = (await w.asOperator('POST', '/v1/callback-resolutions', { body: { called_number: theirs.number }, expect: 201 })).body;
	assert.deepEqual([resolved.tenant_id, resolved.user.id], [other.id, other.agent.id]);
	assert.equal((await w.asOperator('GET', `/v1/callback-resolutions/${resolved.id}`, { expect: 200 })).body.id, resolved.id);
	assert.equal((await w.call('GET', `/v1/callback-resolutions/${resolved.id}`, { key: t.key })).status, 404);
});

test('the holder who calls their own number may leave a message', async () => {
	const agent = await t.user();
	const answer = await t.place(agent);
	await t.end(answer);
	for (const caller_user_id of [agent.id, `ext:${agent.external_id}`]) {
		const callback = await t.resolve(answer.lease.number, { caller_user_id });
		assert.deepEqual([callback.outcome, callback.reason], ['message', 'self_call']);
		assert.deepEqual(
			callback.targets.map(({ type, address }) => ({ type, address })),
			[DESK],
		);
	}
	const colleague = await t.user();
	assert.equal((await t.resolve(answer.lease.number, { caller_user_id: colleague.id })).outcome, 'user');
	assert.equal((await t.presence(agent)).sequence, 2, 'no Do Not Disturb for it');
});

test('nobody was ever leased the number, or no longer: the fallback', async () => {
	const bare = await w.tenant({ numbers: 2, users: 1 });
	const never = await bare.resolve(bare.numbers[1]);
	const nobody = { user: null, lease_id: null, emergency_call_id: null };
	const part = ({ user, lease_id, emergency_call_id }) => ({ user, lease_id, emergency_call_id });
	assert.deepEqual([never.outcome, never.reason, part(never)], ['fallback', 'never_leased', nobody]);
	assert.deepEqual(
		never.targets.map(({ type, address }) => ({ type, address })),
		[DESK],
	);
	const lease = await leased(bare.agent, CCAAS, bare);
	await expire(lease);
	const late = await bare.resolve(lease.number);
	assert.deepEqual([late.outcome, late.reason, part(late)], ['fallback', 'lease_expired', nobody]);
});

test("the fallback is the site's, else a safety team, else the tenant's, else the resource account, else none", async () => {
	const TEAM = { type: 'safety_team', address: 'sip:team@desk.example' };
	const TENANT = { type: 'phone_number', address: '+12065550123' };
	const reached = async (tenantBody, siteBody) => {
		const own = await w.tenant({
			numbers: 1,
			users: 0,
			body: tenantBody,
			site: { resource_account: null, fallback: null, ...siteBody },
		});
		return own.resolve(own.numbers[0]);
	};
	const address = ({ targets }) => targets.map((target) => target.address);
	const account = { number: w.number(), destination: { type: 'resource_account', address: 'reception' } };
	assert.deepEqual(address(await reached({ fallback: TENANT, safety_team: TEAM }, { fallback: DESK, resource_account: account })), [
		DESK.address,
	]);
	assert.deepEqual(address(await reached({ fallback: TENANT, safety_team: TEAM })), [TEAM.address]);
	assert.deepEqual(address(await reached({ fallback: TENANT }, { safety_team: TEAM })), [TEAM.address]);
	assert.deepEqual(address(await reached({ fallback: TENANT }, { resource_account: { ...account, number: w.number() } })), [
		TENANT.address,
	]);
	assert.deepEqual(address(await reached({}, { resource_account: { ...account, number: w.number() } })), ['reception']);
	const none = await reached({});
	assert.deepEqual([none.targets, codes(none)], [[], ['fallback_missing']]);
});

test("a resource account's number: the user whose call presented it is a candidate", async () => {
	const site = await t.site({ resource_account: { ...t.account, number: w.number() }, fallback: DESK });
	const agent = await t.user({ site_id: site.id });
	const before_ = await t.resolve(site.resource_account.number);
	assert.deepEqual([before_.outcome, before_.candidates], ['fallback', []]);
	const answer = await t.place(agent);
	assert.equal(answer.caller_id.source, 'resource_account');
	const callback = await t.resolve(site.resource_account.number);
	assert.deepEqual(
		callback.candidates.map((c) => c.user_id),
		[agent.id],
	);
	await t.end(answer);
});

test('a resolution that nobody connects times out, once, and says so', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: ['callback.resolved', 'callback.timed_out'], detail: 'full' });
	const lease = await leased(await t.user());
	const [first, second] = [await t.resolve(lease.number), await t.resolve(lease.number)];
	assert.deepEqual((await hook.next('callback.resolved')).data.callback_id, first.id);
	const timeOut = async (resolution) => {
		await w.sql(`UPDATE callback_resolutions SET times_out_at = now() - interval '1 s' WHERE id = $1`, [resolution.id]);
		assert.equal((await hook.next('callback.timed_out')).data.callback_id, resolution.id);
	};
	await timeOut(first);
	await timeOut(second);
	assert.equal(hook.deliveries.filter((d) => d.type === 'callback.timed_out').length, 2);
	await until(
		'it reads timed_out',
		async () => (await w.call('GET', `/v1/callback-resolutions/${first.id}`, { key: t.key })).body.state === 'timed_out',
	);
});
