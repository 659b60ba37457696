// Readiness: every finding is provoked through the API and gone after what its fix says; findings of a call are
// the warnings of a call that is really placed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { world } from '../lib/harness.mjs';
import { DESK, SCOPES, Tenant, enc, unique } from '../lib/fixture.mjs';

let w;
let serial = 0;
before(async () => {
	w = await world();
});
after(() => w.close());

const STAFFED = { ...DESK, staffed_24x7: true };
const now = () => new Date().toISOString();
const inAnHour = () => new Date(Date.now() + 3600_000).toISOString();
const seen = ({ findings }) => findings.map(({ code }) => code).sort();
const readiness = (t, user = t.agent, options) => t.get(`/users/${user.id ?? user}/readiness`, options);

// A tenant of which nothing is to be said.
async function sound(body = {}) {
	const { site = {}, numbers = 2, user = {}, ...others } = body;
	const t = await w.tenant({ numbers, users: 0, ...others, site: { fallback: STAFFED, ...site } });
	await t.change(`/addresses/${t.homeAddress.id}`, { validated_at: now() });
	t.agent = await t.user(user);
	t.webhook = await t.create('webhook-endpoints', { url: 'https://desk.example/hooks', event_types: [] });
	return t;
}

const site = (t, body) => t.change(`/sites/${t.home.id}`, body);
const user = (t, body) => t.change(`/users/${t.agent.id}`, body);

async function policy(t, fields) {
	const made = await t.create('policies', { name: unique('policy'), ...fields });
	await user(t, { policy_id: made.id });
	return made;
}

const role = (type, body = {}) => ({
	number: w.number(),
	destination: { type, address: `${type}@desk.example` },
	staffed_24x7: true,
	dedicated_to_safety: true,
	...body,
});

const located = (t, body = {}) => t.address({ street: 'Elm St', kind: 'personal', validated_at: now(), ...body });

async function own(t, body = {}) {
	const number = await t.ownNumber(body);
	await user(t, { number_id: number.id });
	return number;
}

const trunk = (t, body = {}) => t.create('carrier-routes', { pattern: '911', trunk: 'sbc1', ...body });
const emptied = async (t, pool) => {
	for (const { id } of await t.list(`pools/${pool.id}/numbers`)) await t.delete(`/pools/${pool.id}/numbers/${id}`);
};

// code, severity, what brings it about (all of it is found), and what its fix says: nothing of it is left. what
// comes along: other codes that the same fault has.
const CASES = [
	{
		code: 'no_caller_id', severity: 'error', along: ['no_emergency_carrier', 'pool_empty'],
		with: { numbers: null, site: { resource_account: null } },
		fix: (t) => t.pool({ numbers: 2 }),
	},
	{
		code: 'no_caller_id', severity: 'warning',
		provoke: (t) => policy(t, { calling: 'primary' }),
		fix: (t) => own(t),
	},
	{ code: 'pool_empty', severity: 'error', along: ['answering_point_not_staffed'], with: { numbers: null }, fix: (t) => t.pool({ numbers: 2 }) },
	{
		code: 'pool_empty', severity: 'error', along: ['answering_point_not_staffed'],
		provoke: (t) => emptied(t, t.homePool),
		fix: (t) => t.create(`pools/${t.homePool.id}/numbers`, { numbers: [w.number(), w.number()] }),
	},
	{
		code: 'pool_small', severity: 'warning', with: { numbers: 1 },
		fix: (t) => t.create(`pools/${t.homePool.id}/numbers`, { numbers: [w.number()] }),
	},
	{
		code: 'pool_mixed_types', severity: 'warning', along: ['byoc_not_confirmed'],
		provoke: async (t) => (t.other = await t.pool({ numbers: 1, number_type: 'byoc' })),
		fix: (t) => emptied(t, t.other),
	},
	{
		code: 'region_mismatch', severity: 'error',
		provoke: async (t) => (t.number = await own(t, { region: 'GB' })),
		fix: async (t) => user(t, { number_id: (await t.ownNumber()).id }),
	},
	{
		code: 'no_address', severity: 'error',
		provoke: (t) => user(t, { remote: true }),
		fix: async (t) => user(t, { address_id: (await located(t)).id }),
	},
	{
		code: 'address_stale', severity: 'warning',
		provoke: (t) => t.change(`/addresses/${t.homeAddress.id}`, { validated_at: '2020-01-01T00:00:00Z' }),
		fix: (t) => t.change(`/addresses/${t.homeAddress.id}`, { validated_at: now() }),
	},
	{
		code: 'address_stale', severity: 'warning',
		provoke: async (t) => {
			await trunk(t, { emergency_confirmed_at: now() });
			const home = await located(t);
			await user(t, { address_id: home.id });
			t.number = await own(t, { number_type: 'byoc' });
			t.elm = home;
		},
		fix: (t) => t.change(`/phone-numbers/${t.number.id}`, { address_id: t.elm.id }),
	},
	{
		code: 'remote_user_on_pool', severity: 'error',
		provoke: async (t) => {
			await trunk(t, { emergency_confirmed_at: now() });
			await emptied(t, t.homePool);
			await t.pool({ numbers: 2, number_type: 'byoc' });
			t.elm = await located(t);
			await user(t, { remote: true, address_id: t.elm.id });
		},
		fix: async (t) => own(t, { number_type: 'byoc', address_id: t.elm.id }),
	},
	{
		code: 'no_emergency_carrier', severity: 'error', with: { numbers: null, site: { resource_account: null } },
		provoke: (t) => t.pool({ numbers: 2, number_type: 'byoc' }),
		fix: (t) => trunk(t, { emergency_confirmed_at: now() }),
	},
	{
		code: 'byoc_not_confirmed', severity: 'warning', with: { numbers: null, site: { resource_account: null } },
		provoke: async (t) => {
			await t.pool({ numbers: 2, number_type: 'byoc' });
			t.route = await trunk(t);
		},
		fix: (t) => t.change(`/carrier-routes/${t.route.id}`, { emergency_confirmed_at: now() }),
	},
	{
		code: 'byoc_not_confirmed', severity: 'warning',
		provoke: async (t) => (t.route = await trunk(t, { emergency_confirmed_at: now() })),
		fix: (t) => t.delete(`/carrier-routes/${t.route.id}`),
	},
	{
		code: 'fallback_missing', severity: 'error',
		provoke: (t) => policy(t, { route: 'psap_and_team' }),
		fix: (t) => site(t, { safety_team: STAFFED }),
	},
	{
		code: 'fallback_missing', severity: 'error', with: { site: { resource_account: null, fallback: null } },
		fix: (t) => site(t, { fallback: STAFFED }),
	},
	{
		code: 'answering_point_not_staffed', severity: 'warning',
		provoke: async (t) => {
			await policy(t, { caller_id: 'receptionist' });
			t.role = role('receptionist', { staffed_24x7: false });
			await site(t, { receptionist: t.role });
		},
		fix: (t) => site(t, { receptionist: { staffed_24x7: true } }),
	},
	{
		code: 'answering_point_not_staffed', severity: 'warning',
		provoke: (t) => policy(t, { unleased_callback: 'resource_account' }),
		fix: (t) => site(t, { resource_account: { staffed_24x7: true } }),
	},
	{
		code: 'answering_point_not_dedicated', severity: 'warning',
		provoke: async (t) => {
			await policy(t, { caller_id: 'call_queue' });
			await site(t, { call_queue: role('call_queue', { dedicated_to_safety: false }) });
		},
		fix: (t) => site(t, { call_queue: { dedicated_to_safety: true } }),
	},
	{
		code: 'team_not_staffed', severity: 'warning',
		provoke: async (t) => {
			await site(t, { safety_team: DESK });
			await policy(t, { route: 'psap_and_team' });
		},
		fix: (t) => site(t, { safety_team: { staffed_24x7: true } }),
	},
	{
		code: 'psap_disabled', severity: 'error', along: ['psap_not_reached'],
		provoke: async (t) => (t.policy = await policy(t, { psap_enabled: false, psap_disabled_until: inAnHour() })),
		fix: (t) => t.change(`/policies/${t.policy.id}`, { psap_enabled: null, psap_disabled_until: null }),
	},
	{
		code: 'psap_delayed', severity: 'warning',
		provoke: async (t) => {
			await site(t, { safety_team: STAFFED });
			t.policy = await policy(t, { route: 'team_then_psap' });
		},
		fix: (t) => t.change(`/policies/${t.policy.id}`, { route: 'psap_and_team' }),
	},
	{
		code: 'psap_not_reached', severity: 'error',
		provoke: async (t) => {
			await site(t, { safety_team: STAFFED });
			t.policy = await policy(t, { route: 'team_only' });
		},
		fix: (t) => t.change(`/policies/${t.policy.id}`, { route: 'psap_and_team' }),
	},
	{
		code: 'psap_not_reached', severity: 'error',
		provoke: async (t) => {
			const sip_group = { type: 'sip_group', address: 'group-1' };
			t.rule = await t.create('dial-rules', { name: 'desk', kind: 'override', pattern: '911', route: 'sip_group_only', sip_group, site_id: t.home.id });
		},
		fix: (t) => t.delete(`/dial-rules/${t.rule.id}`),
	},
	{
		code: 'outbound_disabled', severity: 'error',
		provoke: (t) => user(t, { outbound_enabled: false }),
		fix: (t) => user(t, { outbound_enabled: true }),
	},
	...[
		['license_missing', 'teams_phone_license'],
		['enterprise_voice_off', 'enterprise_voice'],
		['capacity_profile_missing', 'capacity_profile'],
		['capacity_profile_missing', 'outbound_profile'],
	].map(([code, member]) => ({
		code, severity: 'error',
		provoke: (t) => user(t, { provisioning: { [member]: false } }),
		fix: (t) => user(t, { provisioning: { [member]: true } }),
	})),
	{
		code: 'browser_location_region', severity: 'error',
		provoke: async (t) => {
			await user(t, { provisioning: { browser_location_region: 'DE' } });
			await policy(t, { preset: 'dynamics_365' });
		},
		fix: (t) => user(t, { provisioning: { browser_location_region: 'PR' } }),
	},
	{
		code: 'browser_location_region', severity: 'warning',
		provoke: (t) => user(t, { provisioning: { browser_location_region: 'DE' } }),
		fix: (t) => user(t, { provisioning: { browser_location_region: 'US' } }),
	},
	{
		code: 'resource_account_unlicensed', severity: 'error',
		provoke: (t) => site(t, { resource_account: { licensed: false } }),
		fix: (t) => site(t, { resource_account: { licensed: true } }),
	},
	{
		code: 'no_webhook_for_presence', severity: 'warning', tenant: true,
		provoke: (t) => t.change(`/webhook-endpoints/${t.webhook.id}`, { event_types: ['presence.restored'] }),
		fix: (t) => t.change(`/webhook-endpoints/${t.webhook.id}`, { event_types: ['presence.restored', 'presence.do_not_disturb'] }),
	},
	{
		code: 'no_webhook_for_presence', severity: 'warning', tenant: true,
		provoke: (t) => t.delete(`/webhook-endpoints/${t.webhook.id}`),
		fix: (t) => t.create('webhook-endpoints', { url: 'https://desk.example/hooks' }),
	},
	{
		code: 'guest_calls_seen', severity: 'warning', tenant: true,
		provoke: async (t) => {
			t.guest = unique('stranger');
			await t.place(`ext:${t.guest}`, { site_id: t.home.id });
		},
		fix: (t) => t.user({ external_id: t.guest }),
	},
];

for (const { code, severity, along = [], tenant = false, provoke, fix, with: body } of CASES)
	test(`${code} (${severity}) ${++serial}: found, told as a thing to mend, and gone when it is`, async () => {
		const t = await sound(body);
		if (!body) assert.deepEqual(await readiness(t), { ready: true, findings: [] }, 'before');
		if (provoke) await provoke(t);
		const found = await readiness(t);
		assert.deepEqual(seen(found), [code, ...along].sort());
		assert.equal(found.findings.find((finding) => finding.code === code).severity, severity);
		assert.equal(found.ready, !found.findings.some((finding) => finding.severity === 'error'));
		for (const { detail, fix: how } of found.findings) assert.ok(detail.endsWith('.') && how.endsWith('.'), `${detail} ${how}`);

		const page = await t.get(`/readiness?site_id=${t.home.id}`);
		const { user_id, external_id, ...told } = page.items.find((item) => item.user_id === t.agent.id);
		assert.deepEqual({ user_id, external_id }, { user_id: t.agent.id, external_id: t.agent.external_id });
		assert.deepEqual(tenant ? page.tenant : told, found, 'the list says the same');
		assert.deepEqual(tenant ? told : page.tenant, { ready: true, findings: [] });

		await fix(t);
		assert.deepEqual(await readiness(t), { ready: true, findings: [] }, 'afterwards');
	});

test('every code of openapi.yaml has a case here', async () => {
	const { readFileSync } = await import('node:fs');
	const yaml = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');
	const [, list] = /\n {4}Finding:[^]*?enum:\s*\[([^\]]*)\]/.exec(yaml);
	assert.deepEqual([...new Set(CASES.map(({ code }) => code))].sort(), list.split(/[\s,]+/).filter(Boolean).sort());
});

// ---- what is said is what a call does

// [code, severity] and the warnings of the call that tell the same, both ways.
const SAME = [
	['no_caller_id', 'error', ['no_caller_id']],
	['no_caller_id', 'warning', ['caller_id_fallback']],
	['pool_empty', 'error', ['no_pool', 'pool_empty']],
	['remote_user_on_pool', 'error', ['remote_user_on_pool']],
	['no_emergency_carrier', 'error', ['no_emergency_carrier']],
	['psap_not_reached', 'error', ['psap_not_reached']],
	['outbound_disabled', 'error', ['outbound_disabled']],
];
const one = fc.constantFrom;
const PRIMARY = { US: '911', CA: '911', GB: '112', AU: '000' };
const fields = fc.record(
	{
		preset: one('teams_phone', 'dynamics_365', 'zoom_phone'),
		calling: one('auto', 'primary', 'shared'),
		caller_id: one('number_pool', 'receptionist', 'call_queue', 'resource_account'),
		caller_id_control: one('switchback', 'platform'),
		route: one('psap_only', 'psap_and_team', 'team_only', 'team_then_psap', 'sip_group_only', 'team_then_sip_group'),
		notify_mode: one('none', 'notify', 'listen', 'speak'),
		sip_group: one({ type: 'sip_group', address: 'group-1' }),
		off: one(true),
	},
	{ requiredKeys: [] },
);
const setups = fc.record({
	region: one(...Object.keys(PRIMARY)),
	policy_order: one('user_first', 'site_first'),
	policies: fc.tuple(...['user', 'site', 'tenant'].map(() => fc.option(fields))),
	pool: one(null, { numbers: 0 }, { numbers: 2 }, { numbers: 2, number_type: 'byoc' }),
	account: fc.boolean(),
	receptionist: fc.boolean(),
	fallback: one(null, STAFFED, 'number'),
	team: one(null, DESK, STAFFED),
	trunk: one(null, {}, { emergency_confirmed_at: '2026-03-02T14:00:00Z' }),
	number: one(null, {}, { number_type: 'byoc' }),
	recorded: fc.boolean(), // the number has an address of record
	address: fc.boolean(),
	user: fc.record({ remote: fc.boolean(), outbound_enabled: fc.boolean() }),
	endpoint: one({ type: 'ccaas_client' }, { type: 'desk_phone' }, { type: 'mobile' }, { type: 'mobile', cellular: false }),
	override: fc.option(one('team_only', 'psap_only')),
});

// Those that every run has: of the first nothing is to be said; of the others something that chance seldom brings.
const FINE = {
	region: 'US', policy_order: 'user_first', policies: [null, null, null], pool: { numbers: 2 }, account: true, receptionist: true,
	fallback: STAFFED, team: STAFFED, trunk: null, number: null, recorded: false, address: true,
	user: { remote: false, outbound_enabled: true }, endpoint: { type: 'ccaas_client' }, override: null,
};
const ALWAYS = [
	FINE,
	{ ...FINE, pool: null, account: false, receptionist: false },
	{ ...FINE, policies: [{ calling: 'primary' }, null, null] },
	{ ...FINE, region: 'GB', user: { remote: true, outbound_enabled: false } },
	{ ...FINE, override: 'team_only' },
].map((s) => [s]);

async function set_up(s) {
	const resource = (await w.asOperator('POST', '/v1/tenants', { body: { name: unique('tenant'), region: s.region, policy_order: s.policy_order }, expect: 201 })).body;
	const t = new Tenant(w, resource);
	t.key = (await w.asOperator('POST', `${t.path}/api-keys`, { body: { name: 'all', scopes: SCOPES }, expect: 201 })).body.key;
	t.homeAddress = await t.address();
	const policies = [];
	for (const { off, ...made } of s.policies.map((one) => one ?? {})) {
		const psap = off ? { psap_enabled: false, psap_disabled_until: inAnHour() } : {};
		policies.push((await t.create('policies', { name: unique('policy'), ...made, ...psap })).id);
	}
	const fallback = s.fallback === 'number' ? { type: 'phone_number', address: w.number() } : s.fallback;
	t.home = await t.site({
		fallback,
		safety_team: s.team,
		policy_id: policies[1],
		...(s.account && { resource_account: role('resource_account') }),
		...(s.receptionist && { receptionist: role('receptionist') }),
	});
	await w.asOperator('PATCH', t.path, { type: 'application/merge-patch+json', body: { policy_id: policies[2] }, expect: 200 });
	if (s.pool) await t.pool(s.pool);
	if (s.trunk) await trunk(t, { pattern: '.*', ...s.trunk });
	if (s.override) await t.create('dial-rules', { name: 'rule', kind: 'override', pattern: PRIMARY[s.region], route: s.override, site_id: t.home.id });
	const home = s.address || s.recorded ? (await located(t)).id : null;
	const number_id = s.number && (await t.ownNumber({ ...s.number, address_id: s.recorded ? home : null })).id;
	const endpoints = [{ address: 'sip:first@desk.example', ...s.endpoint }, { type: 'teams_client', address: 'second@teams.example' }];
	t.agent = await t.user({ ...s.user, endpoints, number_id, address_id: s.address ? home : null, policy_id: policies[0] });
	return t;
}

test('what readiness says is what a call that is placed then warns of, whatever is configured', async () => {
	const met = new Set();
	const check = async (s) => {
		const t = await set_up(s);
		const { ready, findings } = await readiness(t);
		const endpoint = { ...t.agent.endpoints[0], expires_at: undefined };
		const placed = await t.place(t.agent, { dial_string: PRIMARY[s.region], endpoint });
		const warned = placed.warnings.map((warning) => warning.code);
		const found = (code, severity) => findings.some((one) => one.code === code && one.severity === severity);
		for (const [code, severity, warnings] of SAME) {
			const warns = warnings.some((warning) => warned.includes(warning));
			assert.equal(found(code, severity), warns, `${code}: ${JSON.stringify({ findings, warned })}`);
			met.add(`${code} ${severity}: ${warns}`);
		}
		const nobody = !t.home.fallback && !t.home.safety_team && !t.home.resource_account && placed.route.handled_by !== 'device';
		assert.equal(found('fallback_missing', 'error'), nobody || warned.includes('fallback_missing'), JSON.stringify({ findings, warned }));
		assert.equal(found('psap_delayed', 'warning'), placed.route.legs.some((leg) => leg.target === 'psap' && leg.start_after_seconds > 0));
		assert.equal(ready, !findings.some((one) => one.severity === 'error'));
		if (ready) assert.ok(!warned.some((code) => SAME.some(([, severity, list]) => severity === 'error' && list.includes(code))), `${warned}`);
	};
	await fc.assert(fc.asyncProperty(setups, check), { numRuns: 60, examples: ALWAYS });
	for (const [code, severity] of SAME) for (const warns of [true, false]) assert.ok(met.has(`${code} ${severity}: ${warns}`), `${code} ${severity}: ${warns} was never met`);
});

// ---- reading it

test('listReadiness: all users, or those of a site; other tenants and unknown users see nothing', async () => {
	const t = await sound();
	const other = await t.site({ external_id: unique('branch'), fallback: STAFFED });
	const far = await t.user({ site_id: other.id, remote: true });
	const [here, there, all, none] = await Promise.all(
		[`site_id=${t.home.id}`, `site_id=${enc(`ext:${other.external_id}`)}`, 'page_size=1000', 'site_id=ext:nowhere'].map((query) => t.get(`/readiness?${query}`)),
	);
	assert.deepEqual(here.items.map((item) => item.user_id), [t.agent.id]);
	assert.deepEqual(there.items.map((item) => item.user_id), [far.id]);
	assert.deepEqual(all.items, [...here.items, ...there.items]);
	assert.deepEqual(none.items, []);
	assert.deepEqual(seen(there.items[0]), ['no_address', 'no_caller_id', 'pool_empty'], 'the other site has no pool');
	const bad = await t.call('GET', '/readiness?site_id=x');
	assert.deepEqual([bad.status, bad.body.code], [400, 'invalid_query']);
	const stranger = await sound();
	for (const path of [`/users/${far.id}/readiness`, '/users/ext:nobody/readiness', '/users/x/readiness'])
		assert.equal((await stranger.call('GET', path)).status, 404, path);
	assert.equal((await stranger.call('GET', '/readiness', { key: t.key })).status, 404);
});

test('policies of every level, an expired location and an expired endpoint are read as a call reads them', async () => {
	const t = await sound({ site: { safety_team: STAFFED } });
	const delayed = (await t.create('policies', { name: 'delayed', route: 'team_then_psap' })).id;
	const direct = (await t.create('policies', { name: 'direct', route: 'psap_only' })).id;
	const of_tenant = (policy_id) => w.asOperator('PATCH', t.path, { type: 'application/merge-patch+json', body: { policy_id }, expect: 200 });
	await of_tenant(delayed);
	assert.deepEqual(seen(await readiness(t)), ['psap_delayed'], "the tenant's");
	await site(t, { policy_id: direct });
	assert.deepEqual(seen(await readiness(t)), [], "the site's over the tenant's");
	await user(t, { policy_id: delayed });
	assert.deepEqual(seen(await readiness(t)), ['psap_delayed'], "the user's over the site's");
	await user(t, { policy_id: null, remote: true });
	const there = { region: 'US', city: 'Redmond', street: 'Elm St', house_number: '7', validated_at: now() };
	await t.call('PUT', `/users/${t.agent.id}/location`, { body: { address: there }, expect: 200 });
	assert.deepEqual(seen(await readiness(t)), [], 'a location is known');
	await t.call('PUT', `/users/${t.agent.id}/location`, { body: { address: there, expires_at: '2020-01-01T00:00:00Z' }, expect: 200 });
	assert.deepEqual(seen(await readiness(t)), ['no_address'], 'it was, once');
	const endpoints = [{ type: 'mobile', address: 'x', expires_at: '2020-01-01T00:00:00Z' }, { type: 'desk_phone', address: 'y' }];
	await user(t, { remote: false, outbound_enabled: true, endpoints });
	await site(t, { policy_id: delayed });
	assert.deepEqual(seen(await readiness(t)), ['psap_delayed'], 'the desk phone is the first that has not expired');
	const off = await policy(t, { psap_enabled: false, psap_disabled_until: inAnHour() });
	assert.deepEqual(seen(await readiness(t)), ['psap_disabled', 'psap_not_reached']);
	const past = JSON.stringify({ psap_disabled_until: '2020-01-01T00:00:00.000000Z' });
	await w.sql('UPDATE policies SET fields = (fields::jsonb || $2::jsonb)::json WHERE id = $1', [off.id, past]);
	assert.deepEqual(seen(await readiness(t)), ['psap_delayed'], 'it is on again by itself');
});
