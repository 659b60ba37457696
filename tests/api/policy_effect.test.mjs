// Configuration in force: what a policy, a dial rule, a carrier route or a recipient says holds for the next
// call, in every process.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { DESK, codes } from '../lib/fixture.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const GROUP = { type: 'sip_group', address: 'sip:guards@desk.example' };
const TEAM = { type: 'safety_team', address: 'sip:team@desk.example' };
const soon = (ms) => new Date(Date.now() + ms).toISOString();

let serial = 0;
const policy = (t, fields) => t.create('policies', { name: `policy ${++serial}`, ...fields });
const give = (t, of, fields) => policy(t, fields).then((made) => t.change(of, { policy_id: made.id }).then(() => made));
const effective = (t, user) => t.get(`/users/${user.id}/effective-policy`);

// A call through each process, ended at once: both must say the same but for what is a call's own.
async function everywhere(t, of, body = {}) {
	const seen = [];
	for (const server of w.servers) {
		const call = await t.place(of, body, { server });
		await t.end(call, { server });
		seen.push(call);
	}
	const [one, other] = seen.map(({ route, restrictions, notifications, warnings }) => ({ route, restrictions, notifications, warnings }));
	assert.deepEqual(one, other);
	return seen[0];
}
const targets = (call) => call.route.legs.map(({ target, start_after_seconds }) => `${target}@${start_after_seconds}`);
const blocked = async (t, of) => (await everywhere(t, of)).restrictions.blocked_operations;

test('user over site over tenant over what is built in, each in force within the next call', async () => {
	const t = await w.tenant();
	const user = `/users/${t.agent.id}`;
	const site = `/sites/${t.home.id}`;
	assert.equal((await blocked(t, t.agent)).length, 8);
	const steps = [
		[() => give(t, '', { blocked_operations: ['hold'], record: true }), ['hold'], 'tenant'],
		[() => give(t, site, { blocked_operations: ['transfer'] }), ['transfer'], 'site'],
		[() => give(t, user, { blocked_operations: [] }), [], 'user'],
		[() => t.change('', { policy_order: 'site_first' }), ['transfer'], 'site'],
		[() => t.change(site, { policy_id: null }), [], 'user'],
		[() => t.change('', { policy_order: 'user_first' }), [], 'user'],
		[() => t.change(user, { policy_id: null }), ['hold'], 'tenant'],
	];
	for (const [change, expected, level] of steps) {
		const made = await change();
		const call = await everywhere(t, t.agent);
		assert.deepEqual(call.restrictions.blocked_operations, expected, `${change}`);
		assert.equal(call.restrictions.record, true, 'a field that a level leaves out comes from below it');
		const field = (await effective(t, t.agent)).blocked_operations;
		assert.deepEqual([field.value, field.level], [expected, level]);
		if ('preset' in made) assert.equal(field.policy_id, made.id);
	}
	assert.deepEqual((await effective(t, t.agent)).record.level, 'tenant');
	await t.change('', { policy_id: null });
	assert.equal((await blocked(t, t.agent)).length, 8);
	assert.deepEqual((await effective(t, t.agent)).blocked_operations.policy_id, null);
});

test('a change of the policy itself is in force within the next call', async () => {
	const t = await w.tenant();
	const made = await give(t, `/users/${t.agent.id}`, { route: 'psap_and_team', safety_team: TEAM });
	assert.deepEqual(targets(await everywhere(t, t.agent)), ['psap@0', 'safety_team@0']);
	await t.change(`/policies/${made.id}`, { route: 'team_then_psap', max_hold_seconds: 15 });
	assert.deepEqual(targets(await everywhere(t, t.agent)), ['safety_team@0', 'psap@15']);
	await t.change(`/policies/${made.id}`, { route: 'team_only' });
	const alone = await everywhere(t, t.agent);
	assert.deepEqual([targets(alone), codes(alone)], [['safety_team@0'], ['psap_not_reached']]);
	await t.change(`/policies/${made.id}`, { route: 'team_then_sip_group', sip_group: GROUP });
	const legs = (await everywhere(t, t.agent)).route.legs;
	assert.deepEqual(
		legs.map(({ target, destination }) => [target, destination.address]),
		[
			['safety_team', TEAM.address],
			['sip_group', GROUP.address],
		],
	);
});

test("a guest has the policy of the request's site, else of the tenant", async () => {
	const t = await w.tenant();
	await give(t, '', { blocked_operations: ['hold'] });
	await give(t, `/sites/${t.home.id}`, { blocked_operations: ['transfer'] });
	const guest = (site_id) => t.place('somebody', { site_id });
	assert.deepEqual((await guest(null)).restrictions.blocked_operations, ['hold']);
	assert.deepEqual((await guest(t.home.id)).restrictions.blocked_operations, ['transfer']);
});

test('a preset, and a field that goes before it', async () => {
	const t = await w.tenant();
	const made = await give(t, `/users/${t.agent.id}`, { preset: 'zoom_phone' });
	const preset = await effective(t, t.agent);
	for (const [name, { value, level, policy_id }] of Object.entries(preset))
		assert.deepEqual([level, policy_id], value === null ? ['built_in', null] : ['user', made.id], name);
	assert.deepEqual([preset.record_safety_team.value, preset.presence_lock.value], [true, false]);
	const call = await t.place(t.agent);
	assert.equal(call.presence.availability, 'unknown', 'zoom_phone leaves the presence alone');
	await t.end(call);
	await t.change(`/policies/${made.id}`, { presence_lock: true });
	assert.equal((await t.place(t.agent)).presence.availability, 'do_not_disturb');
});

test('psap_enabled: false holds until psap_disabled_until, and then no more, though nothing was changed', async () => {
	const t = await w.tenant();
	await give(t, `/sites/${t.home.id}`, { psap_enabled: false, psap_disabled_until: soon(3_600_000) });
	const off = await everywhere(t, t.agent);
	assert.deepEqual([targets(off), codes(off)], [[], ['psap_not_reached']]);
	await give(t, `/sites/${t.home.id}`, { psap_enabled: false, psap_disabled_until: soon(4_000) });
	const first = await everywhere(t, t.agent);
	assert.deepEqual(targets(first), []);
	assert.equal((await effective(t, t.agent)).psap_enabled.value, false);
	for (const server of w.servers)
		await until('the PSAP is reached again', async () => {
			const call = await t.place(t.agent, {}, { server });
			await t.end(call, { server });
			return targets(call).length === 1;
		});
	assert.deepEqual(codes(await everywhere(t, t.agent)), []);
	const { psap_enabled, psap_disabled_until } = await effective(t, t.agent);
	assert.deepEqual([psap_enabled.value, psap_enabled.level, psap_disabled_until.value], [true, 'built_in', null]);
});

test('caller ID by policy: own number, pool, receptionist, call queue, resource account', async () => {
	const answering = (number) => ({ number, destination: { type: 'receptionist', address: 'sip:front@desk.example' }, staffed_24x7: true, dedicated_to_safety: true });
	const t = await w.tenant({ site: { receptionist: answering(w.number()), call_queue: answering(w.number()) } });
	const own = await t.ownNumber();
	const agent = await t.user({ number_id: own.id });
	const made = await give(t, `/users/${agent.id}`, {});
	const shown = async (fields) => {
		await t.change(`/policies/${made.id}`, fields);
		const { caller_id, warnings } = await everywhere(t, agent);
		assert.deepEqual(warnings, []);
		return [caller_id.source, caller_id.number];
	};
	assert.deepEqual(await shown({ calling: null }), ['user_number', own.number]);
	assert.equal((await shown({ calling: 'shared' }))[0], 'pool_lease');
	assert.deepEqual(await shown({ caller_id: 'receptionist' }), ['receptionist', t.home.receptionist.number]);
	assert.deepEqual(await shown({ caller_id: 'call_queue' }), ['call_queue', t.home.call_queue.number]);
	assert.deepEqual(await shown({ caller_id: 'resource_account' }), ['resource_account', t.home.resource_account.number]);
	assert.deepEqual(await shown({ calling: 'primary' }), ['user_number', own.number]);
});

test("a platform that presents a number of the pools: the lease is that number's, whoever had it", async () => {
	const t = await w.tenant({ users: 3 });
	const [holder, platform, other] = t.users;
	const held = await t.place(holder);
	const made = await give(t, `/users/${platform.id}`, { caller_id_control: 'platform', lease_ttl_seconds: 120 });
	const call = await t.place(platform, { presented_number: held.caller_id.number });
	assert.deepEqual(call.caller_id, { number: held.caller_id.number, source: 'platform', number_type: 'native' });
	assert.deepEqual([call.lease.number, call.lease.shared, codes(call)], [held.caller_id.number, true, ['number_shared']]);
	assert.equal((await t.resolve(call.caller_id.number)).user.id, platform.id);
	assert.equal((await t.get(`/leases/${held.lease.id}`)).state, 'superseded');
	const again = await t.place(platform, { presented_number: held.caller_id.number });
	assert.equal(again.lease.id, call.lease.id);
	await t.change(`/users/${other.id}`, { policy_id: made.id });
	const foreign = await t.place(other, { presented_number: '+14255559999' });
	assert.deepEqual([foreign.caller_id.source, foreign.caller_id.number, foreign.lease], ['platform', '+14255559999', null]);
});

test('dial rules: a mask, an override, a custom number; and none of them once they are deleted', async () => {
	const t = await w.tenant({ site: { safety_team: TEAM } });
	const mask = await t.create('dial-rules', { name: 'old number', kind: 'mask', pattern: '5555', translation: '911' });
	const masked = await everywhere(t, t.agent, { dial_string: '5555' });
	assert.deepEqual([masked.dial_string, masked.dialed_as, masked.service_urn, masked.route.legs[0].dial], ['911', '5555', 'urn:service:sos', '911']);

	const override = await t.create('dial-rules', { name: 'team first', kind: 'override', pattern: '911', route: 'team_then_psap', max_hold_seconds: 30 });
	assert.deepEqual(targets(await everywhere(t, t.agent)), ['safety_team@0', 'psap@30']);
	assert.deepEqual(targets(await everywhere(t, t.agent, { dial_string: '112' })), ['psap@0'], 'of exactly this number');
	await t.change(`/dial-rules/${override.id}`, { route: 'team_only' });
	assert.deepEqual(targets(await everywhere(t, t.agent)), ['safety_team@0']);

	const custom = await t.create('dial-rules', { name: 'infirmary', kind: 'custom', pattern: '70xx', translation: '+142555501xx', route: 'psap_and_team' });
	const call = await everywhere(t, t.agent, { dial_string: '7042' });
	assert.deepEqual([call.service_urn, call.test, call.dial_string], [null, false, '7042']);
	assert.deepEqual(targets(call), ['psap@0', 'safety_team@0']);
	assert.equal(call.route.legs[0].dial, '+14255550142');

	for (const rule of [mask, override, custom]) await t.delete(`/dial-rules/${rule.id}`);
	assert.deepEqual(targets(await everywhere(t, t.agent)), ['psap@0']);
	for (const server of w.servers) {
		const { status, body } = await t.placing(t.agent, { dial_string: '7042' }, { server });
		assert.deepEqual([status, body.code], [422, 'not_an_emergency_number']);
		assert.deepEqual(body.emergency_numbers, ['112', '911']);
	}
});

test("a rule of another site is none of the caller's", async () => {
	const t = await w.tenant();
	const elsewhere = await t.site();
	await t.create('dial-rules', { name: 'there', kind: 'custom', pattern: '7042', translation: '+14255550100', route: 'psap_only', site_id: elsewhere.id });
	assert.equal((await t.placing(t.agent, { dial_string: '7042' })).status, 422);
	assert.equal((await t.placing(t.agent, { dial_string: '7042', site_id: elsewhere.id })).status, 201);
});

test('carrier routes: the matching trunk first, the others as alternates', async () => {
	const t = await w.tenant();
	const route = await t.create('carrier-routes', { pattern: '911', trunk: 'sbc1', emergency_confirmed_at: '2026-01-02T03:04:05Z' });
	await t.create('carrier-routes', { pattern: '.*', trunk: 'sbc2', site_id: t.home.id });
	const call = await everywhere(t, t.agent);
	const [leg] = call.route.legs;
	assert.equal(leg.via, 'byoc');
	assert.deepEqual([leg, ...leg.alternates].map(({ via, trunk }) => [via, trunk]), [
		['byoc', 'sbc2'],
		['byoc', 'sbc1'],
		['native', null],
	]);
	assert.deepEqual(codes(call), ['caller_id_not_on_carrier']);
	await t.delete(`/carrier-routes/${route.id}`);
	assert.deepEqual((await everywhere(t, t.agent)).route.legs[0].alternates, [{ via: 'native', trunk: null }]);
});

test('recipients of site and tenant are listed, unless the policy or the rule tells nobody', async () => {
	const t = await w.tenant();
	const elsewhere = await t.site();
	const recipient = (body) => t.create('notification-recipients', { channel: 'email', ...body });
	await recipient({ address: 'tenant@desk.example' });
	const home = await recipient({ channel: 'phone', address: '+14255550150', site_id: t.home.id, mode: 'listen' });
	await recipient({ address: 'elsewhere@desk.example', site_id: elsewhere.id });
	await recipient({ address: 'only112@desk.example', dial_strings: ['112'] });
	const told = async (body) => (await everywhere(t, t.agent, body)).notifications.map(({ address }) => address.split('@')[0]);
	assert.deepEqual((await everywhere(t, t.agent)).notifications, [
		{ channel: 'email', address: 'tenant@desk.example', mode: 'notify' },
		{ channel: 'phone', address: '+14255550150', mode: 'listen' },
	]);
	assert.deepEqual(await told({ dial_string: '112' }), ['tenant', '+14255550150', 'only112']);
	await t.delete(`/notification-recipients/${home.id}`);
	assert.deepEqual(await told(), ['tenant']);
	const quiet = await t.create('dial-rules', { name: 'quiet', kind: 'override', pattern: '911', notify: false });
	assert.deepEqual(await told(), []);
	await t.delete(`/dial-rules/${quiet.id}`);
	await give(t, `/sites/${t.home.id}`, { notify_mode: 'none' });
	assert.deepEqual(await told(), []);
});

test('restrictions, lease time, longest time and presence by policy', async () => {
	const t = await w.tenant({ site: { safety_team: DESK } });
	await give(t, '', { blocked_operations: ['hold'], visible_controls: [], block_incoming: false, record: true, history: true, presence_lock: false, lease_ttl_seconds: 600, notify_mode: 'listen' });
	const call = await t.place(t.agent, { presence: { availability: 'busy' } });
	assert.deepEqual(call.restrictions, { blocked_operations: ['hold'], visible_controls: [], incoming_calls: 'allowed', record: true, history: true });
	assert.deepEqual(call.presence, { availability: 'busy', base_availability: 'busy', sequence: 0 });
	assert.deepEqual(targets(call), ['psap@0', 'safety_team@0']);
	assert.equal(call.route.legs[1].mode, 'listen');
	const { leased_at, expires_at } = await t.get(`/leases/${call.lease.id}`);
	assert.equal(Math.round((Date.parse(expires_at) - Date.parse(leased_at)) / 1000), 600);
});

test('a mobile changes the presence only where a policy asks for it', async () => {
	const t = await w.tenant();
	const mobile = { endpoint: { type: 'mobile', address: '+14255550123' } };
	const first = await t.place(t.agent, mobile);
	assert.deepEqual([first.route.handled_by, first.lease, first.presence.availability], ['device', null, 'unknown']);
	await t.end(first);
	await give(t, '', { presence_lock: true });
	assert.equal((await t.place(t.agent, mobile)).presence.availability, 'do_not_disturb');
});

test('the effective policy of nobody, and of a user of another tenant, is not found', async () => {
	const t = await w.tenant();
	const other = await w.tenant();
	for (const id of [other.agent.id, 'ext:nobody', '01981f6a-3c01-7a10-8f00-000000000001'])
		assert.equal((await t.call('GET', `/users/${encodeURIComponent(id)}/effective-policy`)).status, 404);
	const mine = await t.get(`/users/${encodeURIComponent(`ext:${t.agent.external_id}`)}/effective-policy`);
	assert.deepEqual(mine.route, { value: 'psap_only', level: 'built_in', policy_id: null });
});
