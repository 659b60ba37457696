// One emergency call from dialling to the end, its states, and how it is named and listed.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import createClient from 'openapi-fetch';
import { until, world } from '../lib/harness.mjs';
import { CCAAS, DESK, TEAMS, codes, enc, unique } from '../lib/fixture.mjs';
import { document, validateReply } from '../lib/openapi.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 20 });
});
after(() => w.close());

const ALL_OPERATIONS = [
	'hold',
	'local_mute',
	'remote_mute',
	'transfer',
	'start_recording',
	'stop_recording',
	'add_participant',
	'remove_participant',
];
const BLOCKED = {
	blocked_operations: ALL_OPERATIONS,
	visible_controls: ['device_settings', 'end_call'],
	incoming_calls: 'blocked',
	record: false,
	history: true,
};
const FREE = { blocked_operations: [], visible_controls: [], incoming_calls: 'allowed', record: false, history: true };
const REQUEST = {
	dial_string: '911',
	endpoint: CCAAS,
	site_id: null,
	region: 'US',
	location: {
		address_id: null,
		region: 'US',
		admin_area: 'WA',
		city: 'Redmond',
		street: 'Main St',
		house_number: '1',
		floor: '3',
		latitude: 47.6,
		longitude: -122.1,
		method: 'manual',
		detected_at: null,
	},
	presence: { availability: 'busy' },
	origin: 'planned',
	presented_number: null,
	on_behalf_of: null,
	metadata: { queue: 'sales' },
};

test('the whole call: placed, Do Not Disturb, called back on both clients, ended, presence restored', async () => {
	const hook = await w.receiver();
	const endpoint = await t.hook(hook, { event_types: ['presence.do_not_disturb', 'presence.restored'] });
	const agent = await t.user();
	await t.setPresence(agent, 'available');
	const external_call_id = `${unique('a84b4c76e66710')}@pbx.example`;

	const answer = await t.place(agent, { ...REQUEST, user_id: `ext:${agent.external_id}`, external_call_id });
	const { lease } = answer;
	assert.ok(t.numbers.includes(lease.number), 'the leased number is one of the pool');
	const { id, placed_at, agent_notice, location, ...rest } = answer;
	assert.ok(id);
	assert.deepEqual(rest, {
		external_call_id,
		state: 'placed',
		test: false,
		degraded: false,
		origin: 'planned',
		user_id: agent.id,
		guest: null,
		site_id: t.home.id,
		dial_string: '911',
		dialed_as: '911',
		service_urn: 'urn:service:sos',
		caller_id: { number: lease.number, source: 'pool_lease', number_type: 'native' },
		lease: { id: lease.id, number: lease.number, expires_at: lease.expires_at, shared: false, test: false },
		route: {
			path: 'psap_only',
			handled_by: 'switch',
			legs: [{ target: 'psap', dial: '911', via: 'native', trunk: null, start_after_seconds: 0, alternates: [] }],
		},
		restrictions: BLOCKED,
		presence: { availability: 'do_not_disturb', base_availability: 'busy', sequence: 1 },
		notifications: [],
		announcement: null,
		warnings: [],
		presented_number: null,
		metadata: { queue: 'sales' },
		connected_at: null,
		ended_at: null,
		end_reason: null,
	});
	assert.deepEqual([location.source, location.conveyed_by, location.caller_address], ['caller', 'pidf_lo', null]);
	assert.deepEqual(
		[location.address.city, location.address.floor, location.address.latitude, location.address.method],
		['Redmond', '3', 47.6, 'manual'],
	);
	assert.deepEqual(
		[agent_notice.language, agent_notice.callback_number, agent_notice.expires_at],
		['en', lease.number, lease.expires_at],
	);
	assert.ok(agent_notice.text.includes(lease.number), 'the agent is told the number');
	const held = (Date.parse(lease.expires_at) - Date.parse(placed_at)) / 1000;
	assert.ok(Math.abs(held - 3600) < 1, `the lease is for an hour by the database's clock, not ${held} s`);

	const locked = await hook.next('presence.do_not_disturb');
	const { occurred_at, ...data } = locked.data;
	assert.equal(locked.body.timestamp, occurred_at);
	assert.deepEqual(data, {
		user_id: agent.id,
		external_id: agent.external_id,
		availability: 'do_not_disturb',
		previous: 'busy',
		base_availability: 'busy',
		reason: 'emergency_call',
		emergency_call_id: id,
		callback_id: null,
		sequence: 1,
	});
	assert.deepEqual((await t.presence(agent)).locked_by, [{ type: 'emergency_call', id }]);

	const connected = await t.act(answer, 'connect');
	assert.equal(connected.state, 'connected');
	assert.ok(connected.connected_at >= placed_at);
	assert.deepEqual(connected.restrictions, BLOCKED);

	const callback = await t.resolve(lease.number, { caller_number: '+12065550911', sip_priority: 'psap-callback' });
	assert.deepEqual(
		[callback.state, callback.outcome, callback.reason, callback.user],
		['resolved', 'user', 'active_lease', { id: agent.id, external_id: agent.external_id }],
	);
	assert.deepEqual(
		callback.targets,
		[CCAAS, TEAMS].map((e) => ({ ...e, start_after_seconds: 0, reachable: 'unknown' })),
	);
	assert.equal(callback.ring, 'simultaneous');
	assert.deepEqual(callback.then, [{ after_seconds: 20, targets: [DESK] }]);
	assert.deepEqual(callback.never, ['voicemail', 'ivr', 'queue_treatment', 'music_on_hold']);
	assert.deepEqual(callback.bypass, [
		'routing_rules',
		'capacity_profiles',
		'presence',
		'call_forwarding',
		'call_waiting',
		'working_hours',
	]);
	assert.deepEqual([callback.priority, callback.on_busy, callback.degraded, callback.tenant_id], ['emergency', 'interrupt', false, t.id]);
	assert.deepEqual([callback.emergency_call_id, callback.lease_id], [id, lease.id]);
	assert.deepEqual(
		callback.candidates.map((c) => c.user_id),
		[agent.id],
	);
	assert.deepEqual([callback.called_number, callback.caller_number, callback.warnings], [lease.number, '+12065550911', []]);

	const ended = await t.act(answer, 'end', { reason: 'remote' });
	assert.deepEqual([ended.state, ended.end_reason, ended.restrictions], ['ended', 'remote', FREE]);
	assert.ok(ended.ended_at >= connected.connected_at);
	assert.deepEqual(ended.presence, { availability: 'busy', base_availability: 'busy', sequence: 2 });
	assert.deepEqual(ended.lease, lease, 'the end neither ends nor shortens the lease');

	const restored = await hook.next('presence.restored');
	assert.deepEqual(
		{ ...restored.data, occurred_at: null },
		{ ...data, availability: 'busy', previous: 'do_not_disturb', sequence: 2, occurred_at: null },
	);
	assert.ok(restored.at > locked.at, 'the webhooks arrive in order');
	assert.deepEqual(
		hook.deliveries.map((d) => d.path),
		[endpoint.path, endpoint.path],
		'one webhook each, and no others',
	);

	const after_ = await t.get(`/leases/${lease.id}`);
	assert.deepEqual(
		[after_.state, after_.in_call, after_.number, after_.user_id, after_.emergency_call_id],
		['active', false, lease.number, agent.id, id],
	);
	assert.deepEqual(await t.get(`/emergency-calls/${id}`), ended);
	assert.equal((await t.resolve(lease.number)).user.id, agent.id, 'after the call the number still reaches the agent');
});

test('a client made from openapi.yaml plays the call, ids by ext: in paths included', async () => {
	const fetchAndCheck = async (request) => {
		const reply = await fetch(request);
		validateReply({
			method: request.method,
			url: request.url,
			status: reply.status,
			headers: reply.headers,
			body: await reply.clone().text(),
		});
		return reply;
	};
	const client = createClient({ baseUrl: w.servers[0].url, fetch: fetchAndCheck, headers: { Authorization: `Bearer ${t.key}` } });
	const agent = await t.user({ external_id: `${unique('agent/7')}%2F?#` });
	const path = { tenant_id: t.id };
	const external_call_id = `${unique('a/b')};x=1@pbx`;
	const placed = await client.POST('/v1/tenants/{tenant_id}/emergency-calls', {
		params: { path },
		body: { user_id: `ext:${agent.external_id}`, dial_string: '911', external_call_id },
	});
	assert.equal(placed.response.status, 201);
	assert.equal(placed.data.user_id, agent.id);
	const named = { params: { path: { ...path, emergency_call_id: `ext:${external_call_id}` } } };
	assert.equal((await client.POST('/v1/tenants/{tenant_id}/emergency-calls/{emergency_call_id}/connect', named)).data.state, 'connected');
	assert.equal((await client.GET('/v1/tenants/{tenant_id}/emergency-calls/{emergency_call_id}', named)).data.id, placed.data.id);
	assert.equal((await client.POST('/v1/tenants/{tenant_id}/emergency-calls/{emergency_call_id}/end', named)).data.state, 'ended');
	const user = { params: { path: { ...path, user_id: `ext:${agent.external_id}` } } };
	assert.equal((await client.GET('/v1/tenants/{tenant_id}/users/{user_id}', user)).data.id, agent.id);
	assert.equal((await client.GET('/v1/tenants/{tenant_id}/users/{user_id}/presence', user)).data.sequence, 2);
});

test('every documented member is in every answer about a call', async () => {
	const { required } = document.components.schemas.EmergencyCall;
	const placed = await t.place(await t.user());
	const answers = [placed, await t.get(`/emergency-calls/${placed.id}`), await t.act(placed, 'connect'), await t.end(placed)];
	for (const answer of answers) assert.deepEqual(Object.keys(answer).sort(), [...required].sort());
});

// --- states

const inState = {
	placed: () => undefined,
	connected: (c) => t.act(c, 'connect'),
	ended: (c) => t.act(c, 'end'),
	cancelled: (c) => t.act(c, 'cancel'),
	timed_out: async (c) => {
		await w.sql(`UPDATE emergency_calls SET times_out_at = now() - interval '1 s' WHERE id = $1`, [c.id]);
		await until('the call times out', async () => (await t.get(`/emergency-calls/${c.id}`)).state === 'timed_out');
	},
};

// from, action -> the state it leads to; null: 409; late: with a warning late_report
const TRANSITIONS = [
	['placed', 'connect', 'connected'],
	['placed', 'end', 'ended'],
	['placed', 'cancel', 'cancelled'],
	['connected', 'connect', 'connected'],
	['connected', 'end', 'ended'],
	['connected', 'cancel', null],
	['ended', 'connect', null],
	['ended', 'end', 'ended'],
	['ended', 'cancel', null],
	['cancelled', 'connect', 'connected', 'late'],
	['cancelled', 'end', null],
	['cancelled', 'cancel', 'cancelled'],
	['timed_out', 'connect', 'connected', 'late'],
	['timed_out', 'end', 'ended', 'late'],
	['timed_out', 'cancel', null],
];

test('the states of a call', async (s) => {
	const wide = await w.tenant({ numbers: TRANSITIONS.length, users: TRANSITIONS.length });
	const calls = await Promise.all(wide.users.map((user) => wide.place(user)));
	const own = t;
	t = wide; // inState acts on it
	try {
		await Promise.all(TRANSITIONS.map(([from], i) => inState[from](calls[i])));
	} finally {
		t = own;
	}
	for (const [i, [from, action, to, late]] of TRANSITIONS.entries())
		await s.test(`${action} when ${from}: ${to ?? '409'}${late ? ', late_report' : ''}`, async () => {
			const before_ = await wide.get(`/emergency-calls/${calls[i].id}`);
			assert.equal(before_.state, from);
			const reply = await wide.acting(calls[i], action);
			if (to === null) {
				assert.deepEqual([reply.status, reply.body.code], [409, 'invalid_state']);
				assert.match(reply.body.detail, new RegExp(`\\b${from}\\b`), 'the detail names the state');
				assert.deepEqual(await wide.get(`/emergency-calls/${calls[i].id}`), before_, 'nothing changed');
				return;
			}
			assert.equal(reply.status, 200);
			assert.equal(reply.body.state, to);
			assert.deepEqual(codes(reply.body), late ? ['late_report'] : []);
			if (from === to) assert.deepEqual(reply.body, before_, 'a repeated action changes nothing');
			const open = to === 'connected';
			assert.equal(reply.body.ended_at === null, open);
			assert.deepEqual(reply.body.restrictions, open ? BLOCKED : FREE);
			assert.deepEqual(reply.body.lease, calls[i].lease, 'no action ends or shortens a lease');
			const presence = await wide.presence(wide.users[i]);
			assert.equal(presence.availability, open ? 'do_not_disturb' : 'unknown');
			assert.equal((await wide.get(`/leases/${reply.body.lease.id}`)).in_call, open);
		});
});

test('a late connect locks the presence again, as an event of its own', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: ['presence.do_not_disturb', 'presence.restored', 'emergency_call.connected'] });
	const agent = await t.user();
	const placed = await t.place(agent);
	await t.act(placed, 'cancel', { reason: 'caller_abandoned', sip_status: 487 });
	await t.act(placed, 'connect');
	assert.equal((await t.end(placed)).state, 'ended');
	const seen = [];
	for (const type of ['presence.do_not_disturb', 'presence.restored', 'presence.do_not_disturb', 'presence.restored'])
		seen.push((await hook.next((d) => d.type === type && d.data.user_id === agent.id)).data.sequence);
	assert.deepEqual(seen, [1, 2, 3, 4]);
	await hook.next('emergency_call.connected');
});

test('a call that nobody ended times out once, restores the presence and says so', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: ['emergency_call.timed_out', 'presence.restored'] });
	const agent = await t.user();
	const [first, second] = [await t.place(agent), await t.place(await t.user())];
	await inState.timed_out(first);
	assert.equal((await hook.next('emergency_call.timed_out')).data.emergency_call_id, first.id);
	assert.equal((await hook.next('presence.restored')).data.user_id, agent.id);
	await inState.timed_out(second); // by then whatever would be done twice has been done
	await hook.next('emergency_call.timed_out');
	const again = hook.deliveries.filter((d) => d.type === 'emergency_call.timed_out' && d.data.emergency_call_id === first.id);
	assert.equal(again.length, 1);
	assert.equal((await t.get(`/leases/${first.lease.id}`)).in_call, false);
});

test('actions take no body, an empty one, or an object; what does not fit is ignored with a warning', async () => {
	const placed = await t.place(await t.user());
	assert.equal((await t.acting(placed, 'connect', { text: '', type: null, expect: 200 })).body.state, 'connected');
	const ended = (await t.acting(placed, 'end', { text: '{"reason":"dropped"}', type: 'text/plain', expect: 200 })).body;
	assert.equal(ended.end_reason, 'dropped', 'the content type is not checked');
	const other = await t.place(await t.user());
	const odd = await t.act(other, 'cancel', { reason: 'bored', sip_status: '487', nmae: 1 });
	assert.deepEqual([odd.state, codes(odd)], ['cancelled', ['ignored_member', 'ignored_member', 'ignored_member']]);
	for (const name of ['reason', 'sip_status', 'nmae'])
		assert.ok(
			odd.warnings.some(({ detail }) => detail.includes(name)),
			`a warning names ${name}`,
		);
	const third = await t.place(await t.user());
	const nulls = await t.act(third, 'end', { reason: null });
	assert.deepEqual([nulls.end_reason, nulls.warnings], ['unknown', []]);
});

test('connect reports the number that was presented; a callback on it rings the caller', async () => {
	const service = await t.create('phone-numbers', { number: w.number(), number_type: 'native', region: 'US', usage: 'service' });
	const agent = await t.user();
	const placed = await t.place(agent);
	const connected = await t.act(placed, 'connect', { presented_number: service.number });
	assert.equal(connected.presented_number, service.number);
	const callback = await t.resolve(service.number);
	assert.deepEqual([callback.user?.id, callback.emergency_call_id], [agent.id, placed.id]);
	await t.end(placed);
});

// --- naming and listing

test("a call is found by its id and by ext:, in any of its tenant's spellings", async () => {
	const external_call_id = unique('call/100%@pbx');
	const placed = await t.place(await t.user(), { external_call_id });
	for (const ref of [placed.id, placed.id.toUpperCase(), `ext:${external_call_id}`])
		assert.equal((await t.get(`/emergency-calls/${enc(ref)}`)).id, placed.id);
	for (const ref of ['ext:nobody', '01981f6a-3c01-7a10-8f00-000000000001', 'not-an-id', 'ext:', '%20'])
		assert.equal((await t.call('GET', `/emergency-calls/${enc(ref)}`, { expect: 404 })).body.code, 'not_found');
	for (const verb of ['connect', 'end', 'cancel']) await t.call('POST', `/emergency-calls/${enc('ext:nobody')}/${verb}`, { expect: 404 });
});

test('calls are listed by state, user, site and external_call_id', async () => {
	const mine = await w.tenant({ numbers: 5, users: 2 });
	const elsewhere = await mine.site();
	const [one, two] = mine.users;
	const external_call_id = unique('list');
	const a = await mine.place(one, { external_call_id });
	const b = await mine.place(two, { site_id: elsewhere.id });
	const c = await mine.place(one);
	await mine.end(a);
	const ids = async (query) => (await mine.list('emergency-calls', query)).map((item) => item.id).sort();
	assert.deepEqual(await ids({}), [a.id, b.id, c.id].sort());
	assert.deepEqual(await ids({ state: 'ended' }), [a.id]);
	assert.deepEqual(await ids({ state: 'placed' }), [b.id, c.id].sort());
	assert.deepEqual(await ids({ user_id: one.id }), [a.id, c.id].sort());
	assert.deepEqual(await ids({ user_id: `ext:${two.external_id}` }), [b.id]);
	assert.deepEqual(await ids({ site_id: elsewhere.id }), [b.id]);
	assert.deepEqual(await ids({ external_call_id }), [a.id]);
	assert.deepEqual(await ids({ external_call_id: 'none' }), []);
	assert.deepEqual(await ids({ user_id: 'ext:nobody' }), []);
	assert.deepEqual(await ids({ page_size: 1, user_id: one.id }), [a.id, c.id].sort(), 'over pages, none missing, none twice');
	const seen = (await mine.list('emergency-calls', { external_call_id }))[0];
	assert.deepEqual(seen, await mine.get(`/emergency-calls/${a.id}`), 'an item of the list is the call');
});
