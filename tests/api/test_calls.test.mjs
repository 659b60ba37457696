// Test calls: what they are told, and that they never take a number from anybody.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { codes } from '../lib/fixture.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

const testing = (t, of, body, options) => t.place(of, { dial_string: '933', ...body }, options);
const leaseOf = (t, call) => t.get(`/leases/${call.lease.id}`);
const policy = async (t, of, fields) => t.change(of, { policy_id: (await t.create('policies', { name: 'a policy', ...fields })).id });

test('933 in the US: to the test service and nowhere else, with what an emergency call would present', async () => {
	const t = await w.tenant({ numbers: 2 });
	const call = await testing(t, t.agent);
	assert.deepEqual([call.test, call.service_urn, call.dial_string], [true, 'urn:service:test.sos', '933']);
	assert.deepEqual(call.route.legs, [
		{ target: 'test', dial: '933', via: 'native', trunk: null, start_after_seconds: 0, alternates: [] },
	]);
	assert.deepEqual([call.caller_id.source, call.caller_id.number, call.lease.test], ['pool_lease', t.numbers[0], true]);
	assert.deepEqual(call.warnings, []);
	const { text, ssml, language, play_to } = call.announcement;
	assert.deepEqual([language, play_to], ['en', 'caller']);
	for (const said of [call.caller_id.number, 'Main St 1, Redmond', 'would reach emergency services']) assert.ok(text.includes(said), text);
	assert.ok(ssml.includes(`<say-as interpret-as="telephone">${call.caller_id.number}</say-as>`), ssml);
	assert.equal((await leaseOf(t, call)).test, true);
	assert.deepEqual(await t.get(`/emergency-calls/${call.id}`), call);
	assert.equal((await t.resolve(call.caller_id.number)).user.id, t.agent.id, 'called back, it rings the one who tests');
	const emergency = await t.place(await t.user());
	assert.deepEqual([emergency.test, emergency.announcement, emergency.lease.test], [false, null, false]);
});

for (const [region, dial_string, outcome] of [
	['CA', '933', 'a test call'],
	['PR', '933', 'a test call'],
	['CA', 'urn:service:test.sos', 'a test call'],
	['DE', '933', 'no emergency number'],
])
	test(`${dial_string} in ${region} is ${outcome}`, async () => {
		const t = await w.tenant({ body: { region }, numbers: null });
		const reply = await t.placing(t.agent, { dial_string });
		if (outcome === 'a test call') {
			assert.equal(reply.status, 201);
			assert.deepEqual([reply.body.test, reply.body.route.legs[0].target], [true, 'test']);
		} else {
			assert.deepEqual([reply.status, reply.body.code, reply.body.region], [422, 'not_an_emergency_number', region]);
			assert.deepEqual(reply.body.emergency_numbers, ['110', '112']);
		}
	});

test('a test number of the tenant', async () => {
	const t = await w.tenant({ numbers: 1 });
	await t.create('dial-rules', { name: 'echo', kind: 'test', pattern: '*77xx', translation: '+1425555xx00' });
	const call = await testing(t, t.agent, { dial_string: '*7712' });
	assert.deepEqual([call.test, call.dial_string, call.dialed_as, call.route.legs[0].target], [true, '*7712', '*7712', 'test']);
	assert.equal(call.route.legs[0].dial, '+14255551200');
});

test('only recipients that list the number are told of a test', async () => {
	const t = await w.tenant({ numbers: 4 });
	const recipient = (address, dial_strings) => t.create('notification-recipients', { channel: 'email', address, dial_strings });
	await recipient('all@desk.example', []);
	await recipient('tests@desk.example', ['933']);
	const told = async (call) => (await call).notifications.map(({ address }) => address);
	assert.deepEqual(await told(testing(t, t.agent)), ['tests@desk.example']);
	assert.deepEqual(await told(t.place(t.agent)), ['all@desk.example']);
});

test('a lease of a test has a time of its own', async () => {
	const t = await w.tenant({ numbers: 2 });
	await policy(t, '', { test_lease_ttl_seconds: 60, lease_ttl_seconds: 7200 });
	const seconds = async (call) => {
		const { leased_at, expires_at } = await leaseOf(t, call);
		return Math.round((Date.parse(expires_at) - Date.parse(leased_at)) / 1000);
	};
	assert.equal(await seconds(await testing(t, t.agent)), 60);
	assert.equal(await seconds(await t.place(await t.user())), 7200);
});

test('a test gets a number only while more than low_water are free', async () => {
	const t = await w.tenant({ numbers: null, users: 4 });
	const { numbers } = await t.pool({ numbers: 4, low_water: 2 });
	const calls = [];
	for (const user of t.users) calls.push(await testing(t, user));
	assert.deepEqual(
		calls.map((call) => call.caller_id.source),
		['pool_lease', 'pool_lease', 'none', 'none'],
	);
	for (const call of calls.slice(2)) {
		assert.deepEqual([call.lease, call.caller_id.number, codes(call)], [null, null, ['no_caller_id']]);
		assert.ok(call.announcement.text.includes('No callback number'), call.announcement.text);
	}
	assert.equal((await testing(t, t.users[0])).caller_id.number, numbers[0], 'a second test keeps the number of the first');
});

test('pools in their order: one that has none to spare is passed over', async () => {
	const t = await w.tenant({ numbers: null, users: 2 });
	await t.pool({ numbers: 1, low_water: 1 });
	const second = await t.pool({ numbers: 2, low_water: 1 });
	assert.equal((await testing(t, t.users[0])).caller_id.number, second.numbers[0]);
	assert.equal((await testing(t, t.users[1])).caller_id.number, null);
});

test('tests at once through two processes leave low_water numbers free', async () => {
	const t = await w.tenant({ numbers: null, users: 12 });
	await t.pool({ numbers: 8, low_water: 5 });
	const calls = await Promise.all(t.users.map((user, i) => testing(t, user, {}, { server: w.servers[i % 2] })));
	assert.equal(calls.filter((call) => call.lease).length, 3);
	assert.equal(new Set(calls.filter((call) => call.lease).map((call) => call.lease.number)).size, 3);
});

test("an emergency call takes a free number, then a test's, and only then another's, however long unused", async () => {
	const t = await w.tenant({ numbers: null, users: 7 });
	const { numbers } = await t.pool({ numbers: 4, low_water: 0 });
	const [a, b, ...others] = t.users;
	const oldest = await t.place(others[0]);
	await t.end(oldest);
	const first = await testing(t, a);
	const second = await testing(t, b);
	await t.end(second);
	const reals = [];
	for (const user of others.slice(1)) reals.push(await t.place(user));
	assert.deepEqual(
		reals.map((call) => call.caller_id.number),
		[numbers[3], second.caller_id.number, first.caller_id.number, oldest.caller_id.number],
		'the test that is over before the one in progress',
	);
	assert.deepEqual(reals.map(codes), [[], ['pool_exhausted'], ['number_shared', 'pool_exhausted'], ['pool_exhausted']]);
	for (const call of reals) assert.equal(call.lease.test, false);
	for (const call of [oldest, first, second]) assert.equal((await leaseOf(t, call)).state, 'superseded');
	assert.equal((await t.resolve(first.caller_id.number)).user.id, others[3].id, 'the latest caller is called back');
	const late = await testing(t, a);
	assert.deepEqual([late.lease, late.caller_id.source], [null, 'none'], 'a test takes nothing from anybody');
	for (const call of reals) assert.equal((await leaseOf(t, call)).state, 'active');
});

test('who has an emergency lease tests with another number; who tests and then calls keeps the number', async () => {
	const t = await w.tenant({ numbers: 4, users: 2 });
	const [caller, tester] = t.users;
	const real = await t.place(caller);
	const before = await leaseOf(t, real);
	const trial = await testing(t, caller);
	assert.notEqual(trial.caller_id.number, real.caller_id.number);
	assert.deepEqual(await leaseOf(t, real), before);
	assert.equal((await t.place(caller)).lease.id, real.lease.id, 'the next emergency call renews the real one');

	const tried = await testing(t, tester);
	const called = await t.place(tester);
	assert.deepEqual([called.lease.id, called.lease.test], [tried.lease.id, false]);
	assert.equal((await leaseOf(t, called)).test, false);
});

test('a test says whether an emergency call would reach a PSAP', async () => {
	const t = await w.tenant({ numbers: 3 });
	await policy(t, `/users/${t.agent.id}`, { psap_enabled: false, psap_disabled_until: new Date(Date.now() + 3600_000).toISOString() });
	const call = await testing(t, t.agent);
	assert.ok(call.announcement.text.includes('would not reach emergency services'), call.announcement.text);
	assert.deepEqual(call.route.legs.map((leg) => leg.target), ['test']);
});

test('in the language of the tenant: the notice and the announcement', async () => {
	const t = await w.tenant({ body: { language: 'de-AT' }, numbers: 3 });
	const call = await testing(t, t.agent);
	assert.deepEqual([call.agent_notice.language, call.announcement.language], ['de', 'de']);
	assert.match(call.announcement.text, /^Dies ist ein Testanruf\. .*\+1425/);
	assert.match(call.agent_notice.text, /\d\d:\d\d UTC unter \+1425\d+/);
	const none = await t.place('nobody-at-all');
	assert.ok(!none.agent_notice.text.includes('{') && none.agent_notice.language === 'de', none.agent_notice.text);
});
