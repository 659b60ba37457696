// The preview of an emergency call: what placing it would answer in the same state, and nothing is written.
// The seed is printed; SWITCHBACK_TEST_SEED sets another one, SWITCHBACK_TEST_RUNS how many states are tried.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { world } from '../lib/harness.mjs';
import { DESK, SCOPES, codes } from '../lib/fixture.mjs';

const seed = Number(process.env.SWITCHBACK_TEST_SEED ?? 20260302);
const RUNS = Number(process.env.SWITCHBACK_TEST_RUNS ?? 300);
console.log(`# seed ${seed}, ${RUNS} runs`);

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const previewing = (t, body, options) => t.call('POST', '/emergency-calls/preview', { body, ...options });
const preview = async (t, body, options) => (await previewing(t, body, { expect: 200, ...options })).body;

// What goes on by itself: deliveries are tried again. Of these it counts how many there are.
const DELIVERIES = ['notification_deliveries', 'webhook_deliveries'];

// Every row of every table, but for when a key was last used.
async function contents() {
	const tables = await w.sql(`SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname = 'switchback' AND c.relname <> 'api_keys' ORDER BY 1`);
	assert.ok(tables.length > 15);
	const each = tables.map(({ name }) => `SELECT '${name}' AS name, count(*)::int AS n, ${DELIVERIES.includes(name) ? "''" : "md5(string_agg(t::text, ',' ORDER BY t::text))"} AS hash FROM ${name} t`);
	return w.sql(each.join(' UNION ALL '));
}

// A call without what is its own: ids, times, the sequence.
const timeless = (text) => text.replace(/\d\d:\d\d UTC/, 'HH:MM UTC');
function bare({ trace, ...call }) {
	const { lease, presence, agent_notice } = call;
	return {
		...call,
		...{ id: null, placed_at: null, connected_at: null, ended_at: null },
		lease: lease && { ...lease, id: null, expires_at: null },
		presence: presence && { ...presence, sequence: null },
		agent_notice: { ...agent_notice, expires_at: null, text: timeless(agent_notice.text) },
	};
}

test('the preview is what placing answers, without ids, times and sequence; nothing is written', async () => {
	const t = await w.tenant({ numbers: 2 });
	const body = { user_id: t.agent.id, dial_string: '9911', metadata: { a: [1] }, nmae: 1, location: { city: 'Redmond', planet: 1 } };
	const state = await contents();
	const shown = await preview(t, body);
	assert.deepEqual(await preview(t, body, { server: w.servers[1], type: 'text/plain' }), shown, 'of no content type, by any process');
	assert.deepEqual(await contents(), state);
	assert.deepEqual([shown.id, shown.state, shown.placed_at, shown.lease.id, shown.lease.expires_at], [null, 'placed', null, null, null]);
	assert.deepEqual([shown.presence.availability, shown.presence.sequence], ['do_not_disturb', null]);
	const placed = await t.place(t.agent, body);
	assert.deepEqual(bare(shown), bare(placed));
	assert.equal(shown.lease.number, placed.lease.number);
	assert.deepEqual(codes(shown), ['assumed_prefix', 'ignored_member', 'ignored_member']);
});

test('the number is the one that a call would take now: free, kept, used again', async () => {
	const t = await w.tenant({ numbers: 2, users: 3 });
	const [a, b, c] = t.users;
	const shown = (user) => preview(t, { user_id: user.id, dial_string: '911' });
	const because = ({ trace }) => trace.find(({ step }) => step === 'rung').because;
	assert.equal((await shown(a)).lease.number, t.numbers[0]);
	const first = await t.place(a);
	assert.equal((await shown(b)).lease.number, t.numbers[1]);
	assert.match(because(await shown(b)), /free/);
	await t.place(b);
	assert.equal((await shown(a)).lease.number, t.numbers[0]);
	assert.match(because(await shown(a)), /renewed/);
	const shared = await shown(c);
	assert.deepEqual([shared.lease.number, shared.lease.shared, codes(shared)], [t.numbers[0], true, ['number_shared', 'pool_exhausted']]);
	assert.match(because(shared), /used again/);
	await t.end(first);
	assert.deepEqual([(await shown(c)).lease.shared, codes(await shown(c))], [false, ['pool_exhausted']]);
});

test('a repeat is the call that is in progress; a used external_call_id is told', async () => {
	const t = await w.tenant({ numbers: 3, users: 2 });
	const body = { user_id: t.agent.id, dial_string: '911', external_call_id: 'one@pbx' };
	const call = await t.place(t.agent, body);
	await t.act(call, 'connect');
	const again = await preview(t, { ...body, dial_string: '112' });
	assert.deepEqual([again.state, again.dial_string, again.trace.map(({ step }) => step)], ['connected', '911', ['repeat']]);
	assert.deepEqual(codes(await preview(t, { ...body, user_id: t.users[1].id })), ['idempotency_key_reused']);
	await t.end(call);
	assert.deepEqual(codes(await preview(t, body)), ['idempotency_key_reused']);
});

test('which policy won, and why a call would be refused', async () => {
	const t = await w.tenant({ numbers: 2 });
	const policy = await t.create('policies', { name: 'site', record: true, preset: 'teams_phone' });
	await t.change(`/sites/${t.home.id}`, { policy_id: policy.id });
	const { trace } = await preview(t, { user_id: t.agent.id, dial_string: '911' });
	const step = trace.find(({ outcome }) => outcome === 'record = true');
	assert.equal(step.level, 'site');
	assert.ok(step.because.includes(policy.id), step.because);
	const preset = trace.find(({ outcome }) => outcome === 'route = psap_only');
	assert.ok(preset.because.includes('teams_phone'), preset.because);
	const { status, body } = await previewing(t, { user_id: t.agent.id, dial_string: '411' });
	assert.deepEqual([status, body.code, body.emergency_numbers, body.region], [422, 'not_an_emergency_number', ['112', '911'], 'US']);
	for (const missing of [{ user_id: t.agent.id }, { dial_string: '911' }]) assert.equal((await previewing(t, missing)).body.code, 'required');
});

test('it needs calls:read and no more; a GET of it is no call', async () => {
	const t = await w.tenant({ numbers: 1 });
	const keyOf = async (scopes) => (await w.asOperator('POST', `${t.path}/api-keys`, { body: { name: 'one', scopes }, expect: 201 })).body.key;
	const body = { user_id: t.agent.id, dial_string: '911' };
	assert.equal((await previewing(t, body, { key: await keyOf(['calls:read']) })).status, 200);
	const others = SCOPES.filter((scope) => scope !== 'calls:read');
	assert.equal((await previewing(t, body, { key: await keyOf(others) })).status, 403);
	assert.equal((await t.call('GET', '/emergency-calls/preview')).status, 405);
});

// ---- in any state

const maybe = (arbitrary) => fc.option(arbitrary, { nil: null, freq: 2 });
const seldom = (arbitrary) => fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const choices = {
	calling: ['auto', 'primary', 'shared', 'shared'],
	caller_id: ['number_pool', 'number_pool', 'receptionist', 'call_queue', 'resource_account'],
	caller_id_control: ['switchback', 'switchback', 'platform'],
	route: ['psap_only', 'psap_and_team', 'team_only', 'team_then_psap', 'sip_group_only', 'team_then_sip_group'],
	notify_mode: ['none', 'notify', 'listen', 'speak'],
	preset: ['teams_phone', 'dynamics_365', 'zoom_phone'],
	lease_ttl_seconds: [60, 7200],
	presence_lock: [true, false],
	record: [true, false],
	sip_group: [{ type: 'sip_group', address: 'sip:group@desk.example' }],
	safety_team: [{ type: 'safety_team', address: 'sip:own@desk.example' }],
};
const policyFields = fc.record(Object.fromEntries(Object.entries(choices).map(([name, values]) => [name, maybe(fc.constantFrom(...values))])));

// What is set up once, and what each run may name of it.
async function estate() {
	const t = await w.tenant({ numbers: null, users: 0 });
	const e = { t, sites: [t.home], policies: [], users: [], numbers: [] };
	const point = (number) => ({ number, number_type: 'native', destination: { type: 'receptionist', address: 'sip:front@desk.example' } });
	e.points = [point(w.number()), point(w.number())];
	e.address = await t.address({ city: 'Seattle', external_id: 'seattle' });
	e.german = await t.address({ region: 'DE', city: 'Berlin' });
	e.sites.push(await t.site({ name: 'two pools' }), await t.site({ name: 'no pool' }));
	e.numbers.push(...(await t.pool({ numbers: 3, low_water: 1 })).numbers);
	e.numbers.push(...(await t.pool({ site: e.sites[1], numbers: 1, low_water: 0, number_type: 'byoc' })).numbers);
	e.numbers.push(...(await t.pool({ site: e.sites[1], numbers: 2 })).numbers);
	for (let i = 0; i < 3; i++) e.policies.push(await t.create('policies', { name: `policy ${i}` }));
	for (let i = 0; i < 6; i++) e.users.push(await t.user({ site_id: e.sites[i % 2].id }));
	e.own = await t.ownNumber();
	await t.create('dial-rules', { name: 'mask', kind: 'mask', pattern: '5555', translation: '911' });
	await t.create('dial-rules', { name: 'custom', kind: 'custom', pattern: '70xx', translation: '+142555501xx', route: 'team_then_psap', max_hold_seconds: 200 });
	await t.create('dial-rules', { name: 'override', kind: 'override', pattern: '112', route: 'psap_and_team', site_id: e.sites[1].id });
	await t.create('dial-rules', { name: 'test', kind: 'test', pattern: '*77' });
	await t.create('carrier-routes', { pattern: '911', trunk: 'sbc', site_id: e.sites[1].id });
	await t.create('notification-recipients', { channel: 'email', address: 'all@desk.example' });
	await t.create('notification-recipients', { channel: 'webhook', address: 'https://desk.example/tests', dial_strings: ['933', '7042'] });
	return e;
}

const index = (n) => fc.nat({ max: n - 1 });
const changes = fc.oneof(
	fc.record({ kind: fc.constant('policy'), at: index(3), fields: policyFields }),
	fc.record({ kind: fc.constant('user'), at: index(6), policy: maybe(index(3)), own: fc.boolean(), remote: fc.boolean(), site: index(3), address: fc.boolean() }),
	fc.record({ kind: fc.constant('site'), at: index(3), policy: maybe(index(3)), team: fc.boolean(), fallback: fc.boolean(), account: fc.boolean(), receptionist: fc.boolean() }),
	fc.record({ kind: fc.constant('tenant'), policy: maybe(index(3)), order: fc.constantFrom('user_first', 'site_first'), language: fc.constantFrom('en', 'de', 'fr-CA', 'xx'), team: fc.boolean() }),
);

async function change(e, c) {
	const policy_id = e.policies[c.policy]?.id ?? null;
	if (c.kind === 'policy') return e.t.change(`/policies/${e.policies[c.at].id}`, c.fields);
	if (c.kind === 'tenant')
		return e.t.change('', { policy_id, policy_order: c.order, language: c.language, safety_team: c.team ? DESK : null, fallback: c.team ? { type: 'phone_number', address: '+14255550199' } : null });
	if (c.kind === 'site')
		return e.t.change(`/sites/${e.sites[c.at].id}`, {
			policy_id,
			safety_team: c.team ? DESK : null,
			fallback: c.fallback ? { type: 'phone_number', address: '+14255550198' } : DESK,
			resource_account: c.account ? e.t.account : null,
			receptionist: c.receptionist ? e.points[0] : null,
			call_queue: c.receptionist ? e.points[1] : null,
		});
	if (c.own) await Promise.all(e.users.map((user, i) => i !== c.at && e.t.change(`/users/${user.id}`, { number_id: null })));
	return e.t.change(`/users/${e.users[c.at].id}`, {
		...{ policy_id, remote: c.remote, site_id: e.sites[c.site].id, number_id: c.own ? e.own.id : null, address_id: c.address ? e.address.id : null },
	});
}

const requests = fc.record({
	user: fc.oneof({ weight: 6, arbitrary: index(6) }, { weight: 1, arbitrary: fc.constantFrom('a guest', 'another guest') }),
	dial_string: fc.constantFrom('911', '911', '911', '112', '933', '933', '*77', '7042', '5555', '9911', 'urn:service:sos', '411', '+4930123456'),
	site: seldom(fc.oneof(index(3), fc.constant('ext:nowhere'))),
	region: seldom(fc.constantFrom('US', 'DE', 'AQ')),
	location: maybe(fc.constantFrom('named', 'german', 'free', 'unknown')),
	endpoint: seldom(fc.constantFrom({ type: 'ccaas_client', address: 'sip:a@desk.example' }, { type: 'mobile', address: '+14255550123' }, { type: 'mobile', address: 'x', cellular: false })),
	presence: maybe(fc.record({ availability: fc.constantFrom('busy', 'do_not_disturb', 'away') })),
	origin: seldom(fc.constantFrom('planned', 'observed')),
	presented: seldom(fc.oneof(index(6), fc.constantFrom('own', 'foreign'))),
	assert_emergency: seldom(fc.boolean()),
	external_call_id: seldom(fc.constantFrom('one', 'two')),
	metadata: maybe(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 })),
});

const bodyOf = (e, { user, site, location, presented, ...rest }) => ({
	...rest,
	user_id: e.users[user]?.id ?? user,
	site_id: e.sites[site]?.id ?? site,
	location: {
		named: { address_id: 'ext:seattle', floor: '3', room: '12' },
		german: { address_id: e.german.id },
		free: { region: 'US', city: 'Redmond', street: 'Main & <2nd> St', latitude: 47.6 },
		unknown: { address_id: 'ext:nowhere', city: 5 },
	}[location] ?? null,
	presented_number: presented === 'own' ? e.own.number : presented === 'foreign' ? '+14255559999' : e.numbers[presented] ?? null,
});

// Warnings that only the preview's own steps tell of, too: each has its step.
function explained({ warnings, trace }) {
	if (trace.some(({ step }) => step === 'repeat')) return;
	const told = new Set(trace.map(({ outcome }) => outcome));
	for (const { code } of warnings) assert.ok(told.has(code), `the trace says nothing of ${code}`);
}

test('preview and place give the same answer in the same state, and a preview writes nothing', async (context) => {
	const e = await estate();
	const count = {};
	const note = (name) => (count[name] = (count[name] ?? 0) + 1);
	const property = fc.asyncProperty(fc.array(changes, { maxLength: 2 }), requests, fc.constantFrom('keep', 'keep', 'end', 'cancel'), fc.nat({ max: 1 }), async (made, request, then, at) => {
		for (const one of made) await change(e, one);
		const body = bodyOf(e, request);
		const state = await contents();
		const shown = await previewing(e.t, body, { server: w.servers[at] });
		assert.deepEqual(await contents(), state, 'it writes nothing');
		const placed = await e.t.call('POST', '/emergency-calls', { body, server: w.servers[1 - at] });
		if (placed.status === 422) {
			note('refused');
			const why = ({ status, body: { code, detail, errors, emergency_numbers, region } }) => ({ status, code, detail, errors, emergency_numbers, region });
			return assert.deepEqual(why(shown), why(placed));
		}
		assert.deepEqual([shown.status, placed.status], [200, 201], shown.text);
		assert.deepEqual(bare(shown.body), bare(placed.body));
		explained(shown.body);
		for (const name of [placed.body.caller_id.source, ...codes(placed.body), ...(placed.body.test ? ['test'] : []), ...(placed.body.lease ? ['lease'] : [])]) note(name);
		if (then !== 'keep') await e.t.acting(placed.body, then);
		return undefined;
	});
	const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, { seed, numRuns: RUNS, endOnFailure: true });
	context.diagnostic(JSON.stringify(count));
	assert.ok(!failed, `run ${numRuns} of seed ${seed}: ${errorInstance?.message}\nwith ${JSON.stringify(counterexample)}`);
	if (RUNS >= 300)
		for (const name of ['refused', 'test', 'lease', 'platform', 'user_number', 'pool_lease', 'none', 'pool_exhausted', 'number_shared']) assert.ok(count[name], `${name} was never seen: ${JSON.stringify(count)}`);
});
