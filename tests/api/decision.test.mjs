// What is decided for a call: caller ID, location, and what is left out of the request with a warning.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { CCAAS, codes, unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 10 });
});
after(() => w.close());

async function placedAndEnded(of, body, tenant = t) {
	const answer = await tenant.place(of, body);
	await tenant.end(answer);
	return answer;
}

// --- caller ID

test('a user with a number of their own presents it, and is called back on it', async () => {
	const number = await t.ownNumber();
	const agent = await t.user({ number_id: number.number });
	const quiet = await t.resolve(number.number);
	assert.deepEqual(
		[quiet.outcome, quiet.reason, quiet.user.id, quiet.priority, quiet.bypass],
		['user', 'user_number', agent.id, 'normal', []],
	);
	const hinted = await t.resolve(number.number, { sip_priority: 'psap-callback' });
	assert.deepEqual([hinted.priority, hinted.bypass.length], ['emergency', 6]);

	const answer = await t.place(agent, { endpoint: CCAAS });
	assert.deepEqual(answer.caller_id, { number: number.number, source: 'user_number', number_type: 'native' });
	assert.deepEqual([answer.lease, answer.warnings], [null, []]);
	assert.deepEqual([answer.agent_notice.callback_number, answer.agent_notice.expires_at], [number.number, null]);
	for (const state of ['during the call', 'after it']) {
		const callback = await t.resolve(number.number);
		assert.deepEqual(
			[callback.outcome, callback.reason, callback.user.id, callback.lease_id],
			['user', 'user_number', agent.id, null],
			state,
		);
		assert.deepEqual([callback.priority, callback.bypass.length, callback.emergency_call_id], ['emergency', 6, answer.id], state);
		assert.deepEqual(
			callback.targets.map((x) => x.type),
			['ccaas_client', 'teams_client'],
		);
		await t.end(answer);
	}
	assert.deepEqual(await t.list('leases', { user_id: agent.id }), []);
});

test("no pool at all: the resource account's number, and a warning", async () => {
	const site = await t.site({ resource_account: { ...t.account, number: w.number() } });
	const answer = await placedAndEnded(await t.user({ site_id: site.id }));
	assert.deepEqual(answer.caller_id, { number: site.resource_account.number, source: 'resource_account', number_type: 'native' });
	assert.equal(answer.lease, null);
	assert.ok(codes(answer).includes('no_pool'), codes(answer).join());
});

test("a pool without a usable number: the resource account's number, and a warning", async () => {
	const site = await t.site({ resource_account: { ...t.account, number: w.number() } });
	const agent = await t.user({ site_id: site.id });
	const pool = await t.pool({ site });
	const empty = await placedAndEnded(agent);
	assert.deepEqual(
		[empty.caller_id.source, empty.caller_id.number, empty.lease],
		['resource_account', site.resource_account.number, null],
	);
	assert.ok(codes(empty).includes('pool_empty'), codes(empty).join());

	const suspended = await t.create('phone-numbers', {
		number: w.number(),
		number_type: 'native',
		region: 'US',
		usage: 'callback',
		state: 'suspended',
	});
	await t.create(`pools/${pool.id}/numbers`, { numbers: [suspended.number] });
	assert.equal((await placedAndEnded(agent)).caller_id.source, 'resource_account', 'only an active number is leased');

	const fresh = w.number();
	await t.create(`pools/${pool.id}/numbers`, { numbers: [fresh] });
	const leased = await placedAndEnded(agent);
	assert.deepEqual([leased.caller_id.source, leased.caller_id.number], ['pool_lease', fresh]);
	assert.deepEqual(leased.warnings, [], 'a number added a moment ago is used at once');
});

test('nothing to present: the call is placed all the same', async () => {
	const site = await t.site();
	const answer = await placedAndEnded(await t.user({ site_id: site.id }));
	assert.deepEqual(answer.caller_id, { number: null, source: 'none', number_type: null });
	assert.ok(codes(answer).includes('no_caller_id') && codes(answer).includes('no_pool'), codes(answer).join());
	assert.equal(answer.agent_notice.callback_number, null);
	assert.equal(answer.route.legs[0].dial, '911');
});

test('a user elsewhere gets a number of the site in the request', async () => {
	const site = await t.site({ external_id: unique('branch') });
	const pool = await t.pool({ site, numbers: 1 });
	for (const site_id of [site.id, `ext:${site.external_id}`]) {
		const moved = await placedAndEnded(t.agent, { site_id });
		assert.deepEqual([moved.site_id, moved.caller_id.number, moved.warnings], [site.id, pool.numbers[0], []]);
		assert.equal(moved.location.address.address_id, site.address_id);
	}
});

test('users who may not call out, or are not active, are served', async () => {
	const barred = await placedAndEnded(await t.user({ outbound_enabled: false }));
	assert.equal(barred.caller_id.source, 'pool_lease');
	const gone = await placedAndEnded(await t.user({ active: false }));
	assert.equal(gone.caller_id.source, 'pool_lease');
});

// --- guests

test("a user_id that names nobody is a guest: served, and called back on the request's endpoint", async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: ['presence.do_not_disturb', 'emergency_call.placed', 'emergency_call.ended'] });
	const endpoint = { type: 'desk_phone', address: 'sip:lobby@desk.example' };
	const answer = await t.place('ext:visitor', { site_id: t.home.id, endpoint });
	assert.deepEqual([answer.user_id, answer.guest, answer.presence], [null, { reference: 'ext:visitor' }, null]);
	assert.deepEqual([codes(answer), answer.caller_id.source, answer.site_id], [['unknown_user'], 'pool_lease', t.home.id]);
	const lease = await t.get(`/leases/${answer.lease.id}`);
	assert.deepEqual([lease.user_id, lease.guest, lease.in_call], [null, { reference: 'ext:visitor' }, true]);

	const callback = await t.resolve(answer.lease.number);
	assert.deepEqual([callback.outcome, callback.reason, callback.user], ['user', 'active_lease', null]);
	assert.deepEqual(callback.targets, [{ ...endpoint, start_after_seconds: 0, reachable: 'unknown' }]);
	assert.equal((await t.end(answer)).state, 'ended');
	assert.equal((await hook.next('emergency_call.placed')).data.guest.reference, 'ext:visitor');
	await hook.next('emergency_call.ended');
	assert.deepEqual(
		hook.deliveries.filter((d) => d.type.startsWith('presence.')),
		[],
		'nobody has a presence to set',
	);
});

test('the same guest again renews the lease; another one gets another number', async () => {
	const site = await t.site();
	await t.pool({ site, numbers: 2 });
	const one = await placedAndEnded('ext:guest-1', { site_id: site.id });
	const again = await placedAndEnded('ext:guest-1', { site_id: site.id });
	const other = await placedAndEnded('ext:guest-2', { site_id: site.id });
	assert.equal(again.lease.id, one.lease.id);
	assert.notEqual(other.lease.number, one.lease.number);
});

test('a guest nobody knows the place of: no caller ID, no address, and still a route', async () => {
	const answer = await t.place('somebody');
	assert.deepEqual([answer.site_id, answer.caller_id.source, answer.guest.reference], [null, 'none', 'somebody']);
	assert.deepEqual([answer.location.source, answer.location.address, answer.location.conveyed_by], ['none', null, null]);
	for (const code of ['unknown_user', 'no_caller_id', 'no_address']) assert.ok(codes(answer).includes(code), codes(answer).join());
	assert.deepEqual([answer.route.legs[0].target, answer.route.legs[0].dial], ['psap', '911']);
	await t.end(answer);
});

test("an id of another tenant's user, or of no user, is a guest too", async () => {
	const other = await w.tenant();
	for (const user_id of [
		other.agent.id,
		`ext:${other.agent.external_id}`,
		'01981f6a-3c01-7a10-8f00-000000000001',
		'ext:',
		'agent 42',
		'"; DROP TABLE users; --',
	]) {
		const answer = await placedAndEnded(user_id);
		assert.deepEqual([answer.user_id, answer.guest?.reference], [null, user_id]);
		assert.ok(codes(answer).includes('unknown_user'));
	}
	assert.equal((await other.presence(other.agent)).sequence, 0);
});

// --- location

test("the location is the caller's, else the user's, else the site's", async () => {
	const home = await t.address({ street: 'Home Road', kind: 'personal' });
	const atHome = await t.user({ address_id: home.id });
	const site = await placedAndEnded(t.agent);
	assert.deepEqual(
		[site.location.source, site.location.address.address_id, site.location.address.street],
		['site', t.homeAddress.id, 'Main St'],
	);
	const user = await placedAndEnded(atHome);
	assert.deepEqual(
		[user.location.source, user.location.address.address_id, user.location.address.street],
		['user', home.id, 'Home Road'],
	);
	const caller = await placedAndEnded(atHome, { location: { street: 'Third Ave', city: 'Seattle', region: 'US', room: '12' } });
	assert.deepEqual([caller.location.source, caller.location.address.street, caller.location.address.room], ['caller', 'Third Ave', '12']);
	assert.equal(caller.location.address.address_id, null);
	const named = await placedAndEnded(t.agent, { location: { address_id: home.id, floor: '2' } });
	assert.deepEqual(
		[named.location.source, named.location.address.address_id, named.location.address.street],
		['caller', home.id, 'Home Road'],
	);
	const point = await placedAndEnded(t.agent, {
		location: { latitude: 47.5, longitude: -122.5, uncertainty_m: 20, method: 'gps', detected_at: '2026-03-02T15:04:05Z' },
	});
	assert.deepEqual([point.location.source, point.location.address.latitude, point.location.address.method], ['caller', 47.5, 'gps']);
	for (const answer of [site, user, caller, named, point])
		assert.deepEqual([answer.location.conveyed_by, answer.warnings], ['pidf_lo', []]);
});

// --- what does not fit is left out, and said

const WRONG = [
	['external_call_id', 5],
	['external_call_id', ''],
	['external_call_id', 'two words'],
	['external_call_id', 'x'.repeat(256)],
	['endpoint', 'sip:me'],
	['endpoint', { type: 'telegraph', address: 'x' }],
	['endpoint', []],
	['site_id', 7],
	['site_id', 'nowhere'],
	['site_id', 'ext:nowhere'],
	['site_id', '01981f6a-3c01-7a10-8f00-000000000001'],
	['region', 'us'],
	['region', 'USA'],
	['region', 1],
	['region', 'ZZ'],
	['location', 'here'],
	['location', []],
	['location', 1],
	['presence', 'busy'],
	['presence', { availability: 'sleeping' }],
	['origin', 'imagined'],
	['origin', 3],
	['presented_number', '911'],
	['presented_number', 14255550100],
	['on_behalf_of', 5],
	['on_behalf_of', { a: 1 }],
	['assert_emergency', 'yes'],
	['assert_emergency', 1],
	['metadata', 'text'],
	['metadata', [1]],
	['nmae', 1],
	['User_id', 'x'],
	['id', '01981f6a-3c01-7a10-8f00-000000000001'],
	['state', 'ended'],
];

for (const [name, value] of WRONG)
	test(`${name}: ${JSON.stringify(value).slice(0, 60)} is left out, with a warning that names it`, async () => {
		const answer = await placedAndEnded(t.agent, { [name]: value });
		assert.deepEqual([...new Set(codes(answer))], ['ignored_member']);
		assert.match(answer.warnings[0].detail, new RegExp(`\\b${name}\\b`));
		assert.deepEqual(
			[answer.external_call_id, answer.site_id, answer.origin, answer.presented_number],
			[null, t.home.id, 'planned', null],
		);
		assert.equal(answer.caller_id.source, 'pool_lease');
	});

for (const [name, value] of [
	['latitude', 'north'],
	['latitude', 91],
	['longitude', -181],
	['city', 5],
	['street', ''],
	['region', 'usa'],
	['address_id', 'ext:nowhere'],
	['uncertainty_m', -1],
	['detected_at', 'yesterday'],
	['planet', 'earth'],
])
	test(`location.${name}: ${JSON.stringify(value)} is left out alone, the rest of the location is taken`, async () => {
		const answer = await placedAndEnded(t.agent, {
			location: { [name === 'city' ? 'street' : 'city']: 'Berlin', house_number: '12', [name]: value },
		});
		assert.deepEqual(codes(answer), ['ignored_member']);
		assert.match(answer.warnings[0].detail, new RegExp(name));
		assert.equal(answer.location.address.house_number, '12');
	});

test('every optional member may be null, without a warning', async () => {
	const nulls = Object.fromEntries(
		['external_call_id', 'endpoint', 'site_id', 'region', 'location', 'presence', 'presented_number', 'on_behalf_of', 'metadata'].map(
			(n) => [n, null],
		),
	);
	assert.deepEqual((await placedAndEnded(t.agent, nulls)).warnings, []);
});

test('several faults: each has its warning, and the call is placed', async () => {
	const answer = await placedAndEnded('ext:unknown', { site_id: t.home.id, dial_string: '9911', region: 5, origin: 'x', foo: 1, bar: 2 });
	assert.deepEqual(codes(answer), [
		'assumed_prefix',
		'ignored_member',
		'ignored_member',
		'ignored_member',
		'ignored_member',
		'unknown_user',
	]);
});

test('what is missing is refused, and nothing else is', async () => {
	for (const [body, pointer] of [
		[{ dial_string: '911' }, '/user_id'],
		[{ user_id: 'ext:a' }, '/dial_string'],
		[{ user_id: null, dial_string: '911' }, '/user_id'],
		[{ user_id: 'ext:a', dial_string: null }, '/dial_string'],
		[{ user_id: 'ext:a', dial_string: 911 }, '/dial_string'],
		[{ user_id: 42, dial_string: '911' }, '/user_id'],
		[{ user_id: '', dial_string: '911' }, '/user_id'],
	]) {
		const reply = await t.call('POST', '/emergency-calls', { body });
		assert.deepEqual([reply.status, reply.body.errors.map((e) => e.pointer)], [422, [pointer]], JSON.stringify(body));
	}
	const both = await t.call('POST', '/emergency-calls', { body: {} });
	assert.deepEqual([both.status, both.body.code], [422, 'required']);
	for (const type of ['text/plain', 'application/x-www-form-urlencoded', null])
		assert.equal(
			(await t.call('POST', '/emergency-calls', { text: JSON.stringify({ user_id: t.agent.id, dial_string: '911' }), type })).status,
			201,
			`content type ${type}`,
		);
});

test('JSON that other routes refuse is taken: a member twice, any depth', async () => {
	const placing = (members) =>
		t.call('POST', '/emergency-calls', { text: `{"user_id":"${t.agent.id}","dial_string":"911",${members}}`, expect: 201 });
	const twice = (await placing('"region":"DE","region":"US"')).body;
	assert.deepEqual(codes(twice), ['ignored_member']);
	for (const depth of [16, 17, 100, 10_000]) {
		const { body } = await placing(`"metadata":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
		assert.deepEqual([body.user_id, body.caller_id.source], [t.agent.id, 'pool_lease']);
		assert.ok(
			codes(body).every((code) => code === 'ignored_member'),
			`depth ${depth}`,
		);
		await t.end(body);
	}
	await t.end(twice);
});

test('metadata comes back as it was', async () => {
	const metadata = { queue: 'sales', deep: { list: [1, 2.5, null, true, 'ü "quoted" \\ / \u{1f6a8}'] }, empty: {} };
	const answer = await placedAndEnded(t.agent, { metadata });
	assert.deepEqual(answer.metadata, metadata);
	assert.deepEqual((await t.get(`/emergency-calls/${answer.id}`)).metadata, metadata);
});

test('the request may report the presence; it is what comes back', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'available');
	const answer = await t.place(agent, { presence: { availability: 'away' } });
	assert.deepEqual(answer.presence, { availability: 'do_not_disturb', base_availability: 'away', sequence: 1 });
	assert.equal((await t.end(answer)).presence.availability, 'away');
});

test('a call under way elsewhere is only taken note of: lease, Do Not Disturb, no legs', async () => {
	const agent = await t.user();
	const answer = await t.place(agent, { origin: 'observed' });
	assert.deepEqual([answer.origin, answer.route.legs], ['observed', []]);
	assert.deepEqual([answer.presence.availability, answer.restrictions.incoming_calls], ['do_not_disturb', 'blocked']);
	await t.end(answer);
});

test("a mobile's own carrier takes its call: no lease, no Do Not Disturb", async () => {
	const agent = await t.user();
	const endpoint = { type: 'mobile', address: '+14255559999' };
	const answer = await t.place(agent, { endpoint });
	assert.deepEqual(
		[answer.route.handled_by, answer.lease, answer.presence],
		['device', null, { availability: 'unknown', base_availability: 'unknown', sequence: 0 }],
	);
	assert.equal((await t.end(answer)).presence.sequence, 0);
	const tablet = await placedAndEnded(agent, { endpoint: { ...endpoint, cellular: false } });
	assert.deepEqual([tablet.route.handled_by, tablet.caller_id.source], ['switch', 'pool_lease']);
});
