// Webhooks under a receiver that fails: order, repeats, and what each endpoint gets.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';

let w;
let t;
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 20 });
});
after(() => w.close());

const PRESENCE = { event_types: ['presence.do_not_disturb', 'presence.restored'] };
const CALL_EVENTS = ['lease.created', 'emergency_call.placed', 'emergency_call.connected', 'emergency_call.ended'];
const stateOf = async (endpoint, type) =>
	(
		await w.sql(
			`SELECT d.state FROM webhook_deliveries d JOIN events e USING (tenant_id)
	WHERE e.id = d.event_id AND d.endpoint_id = $1 AND e.type = $2`,
			[endpoint.id, type],
		)
	)[0]?.state;

test('a presence event that fails is tried again, under the same id, and what follows waits for it', async () => {
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	const failing = { 1: 500, 2: 'reset' };
	hook.answer = (d) => (d.type === 'presence.do_not_disturb' && failing[d.attempt]) || 204;
	const agent = await t.user();
	const call = await t.place(agent);
	const attempts = [await hook.next(() => true), await hook.next(() => true), await hook.next(() => true)];
	assert.deepEqual(
		attempts.map((d) => [d.type, d.attempt, d.id]),
		[1, 2, 3].map((n) => ['presence.do_not_disturb', n, attempts[0].id]),
	);
	assert.deepEqual(new Set(attempts.map((d) => d.text)).size, 1, 'the body is the same in every attempt');
	await t.end(call);
	assert.equal((await hook.next(() => true)).type, 'presence.restored');
	assert.deepEqual(
		hook.accepted.map((d) => d.data.sequence),
		[1, 2],
	);
});

test('a presence event that failed while a newer one waits is not tried again: presence is a state', async () => {
	const hook = await w.receiver();
	const endpoint = await t.hook(hook, PRESENCE);
	hook.answer = (d) => (d.type === 'presence.do_not_disturb' ? 'hang' : 204);
	const agent = await t.user();
	const call = await t.place(agent);
	await hook.next('presence.do_not_disturb');
	await t.end(call); // the newer one is written while the first is still under way
	assert.equal(hook.deliveries.length, 1, 'and waits for it');
	hook.release(500);
	const restored = await hook.next(() => true);
	assert.deepEqual([restored.type, restored.data.sequence, restored.data.availability], ['presence.restored', 2, 'unknown']);
	await until('the first one is superseded', async () => (await stateOf(endpoint, 'presence.do_not_disturb')) === 'superseded');
	await until('the second is delivered', async () => (await stateOf(endpoint, 'presence.restored')) === 'delivered');
	assert.deepEqual(
		hook.deliveries.map((d) => d.type),
		['presence.do_not_disturb', 'presence.restored'],
	);
});

test('every event of a call arrives in the order in which it happened, though the first attempt of each fails', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: CALL_EVENTS });
	hook.answer = (d) => (d.type === 'lease.created' && d.attempt === 1 ? 503 : 204);
	const call = await t.place(await t.user());
	await t.act(call, 'connect', undefined, { server: w.servers[1] });
	await t.end(call);
	for (const type of ['lease.created', ...CALL_EVENTS]) assert.equal((await hook.next(() => true)).type, type);
	assert.deepEqual(
		hook.accepted.map((d) => d.type),
		CALL_EVENTS,
	);
});

test('a user, an endpoint or a stream that fails holds up no other', async () => {
	const [sick, well] = [await w.receiver(), await w.receiver()];
	await t.hook(sick, { event_types: [...CALL_EVENTS, ...PRESENCE.event_types] });
	await t.hook(well, PRESENCE);
	const [one, two] = [await t.user(), await t.user()];
	sick.answer = (d) => (d.data.user_id === one.id ? (d.type.startsWith('presence.') ? 'hang' : 500) : 204);
	const first = await t.place(one);
	await sick.next((d) => d.type === 'presence.do_not_disturb' && d.data.user_id === one.id);
	const second = await t.place(two);
	await t.end(second);
	for (const type of ['presence.do_not_disturb', ...CALL_EVENTS.filter((x) => x !== 'emergency_call.connected'), 'presence.restored'])
		await sick.next((d) => d.type === type && d.data.user_id === two.id);
	await t.end(first);
	const seen = [];
	for (let i = 0; i < 4; i++) seen.push(await well.next(() => true));
	for (const user of [one, two])
		assert.deepEqual(
			seen.filter((d) => d.data.user_id === user.id).map((d) => d.data.sequence),
			[1, 2],
		);
});

test('a receiver that hangs is given up, and tried again', async () => {
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	hook.answer = (d) => (d.type === 'presence.do_not_disturb' ? 'hang' : 204);
	await t.end(await t.place(await t.user()));
	await hook.next('presence.do_not_disturb');
	const next = await hook.next((d) => d.answer === 204);
	assert.equal(next.type, 'presence.restored', 'what hung is older than what waits, and is not sent again');
});

test('a redirect is not followed, and is no success', async () => {
	const [hook, elsewhere] = [await w.receiver(), await w.receiver()];
	await t.hook(hook, PRESENCE);
	hook.answer = (d) => (d.attempt === 1 ? { status: 302, headers: { location: `${elsewhere.url}/stolen` } } : 204);
	const call = await t.place(await t.user());
	await hook.next((d) => d.attempt === 1);
	await hook.next((d) => d.attempt === 2);
	assert.deepEqual(elsewhere.deliveries, []);
	await t.end(call);
});

test('410 disables the endpoint, and the reason can be read', async () => {
	const [gone, other] = [await w.receiver(), await w.receiver()];
	const endpoint = await t.hook(gone, PRESENCE);
	await t.hook(other, PRESENCE);
	gone.answer = () => 410;
	await t.end(await t.place(await t.user()));
	await gone.next(() => true);
	const disabled = await until('it is disabled', async () => {
		const now = await t.get(`/webhook-endpoints/${endpoint.id}`);
		return now.enabled ? null : now;
	});
	assert.match(disabled.disabled_reason, /410/);
	await other.next('presence.restored');
	await t.end(await t.place(await t.user()));
	await other.next((d) => d.type === 'presence.restored');
	assert.equal(gone.deliveries.length, 1, 'nothing more is sent to it');
});

test('an endpoint gets the types it asked for, or all of them', async () => {
	const [some, all] = [await w.receiver(), await w.receiver()];
	await t.hook(some, { event_types: ['emergency_call.cancelled'] });
	await t.hook(all, { event_types: [] });
	const agent = await t.user();
	const call = await t.place(agent);
	await t.act(call, 'cancel');
	const expected = ['presence.do_not_disturb', 'lease.created', 'emergency_call.placed', 'presence.restored', 'emergency_call.cancelled'];
	for (const type of expected) await all.next(type);
	await some.next('emergency_call.cancelled');
	assert.deepEqual(all.deliveries.map((d) => d.type).sort(), [...expected].sort(), 'each once');
	assert.equal(some.deliveries.length, 1);
});

test('minimal tells no number, dial string or place; full does', async () => {
	const [minimal, full] = [await w.receiver(), await w.receiver()];
	await t.hook(minimal);
	await t.hook(full, { detail: 'full' });
	const agent = await t.user();
	const call = await t.place(agent, { location: { street: 'Canary Street', city: 'Birdtown', region: 'US' } });
	await t.resolve(call.lease.number, { caller_number: '+12065550911' });
	await t.act(call, 'connect', { presented_number: call.lease.number });
	await t.end(call);
	const events = {};
	for (const type of [...CALL_EVENTS, 'presence.do_not_disturb', 'presence.restored', 'callback.resolved']) {
		const told = await minimal.next(type);
		for (const secret of [call.lease.number, 'Canary', 'Birdtown', '"911"'])
			assert.ok(!JSON.stringify(told.data).includes(secret), `${type} minimal tells ${secret}`);
		events[type] = (await full.next(type)).data;
		assert.equal((await minimal.verify(told)).id, told.id);
	}
	assert.deepEqual(
		[events['emergency_call.placed'].dial_string, events['emergency_call.placed'].caller_id.number],
		['911', call.lease.number],
	);
	assert.equal(events['emergency_call.placed'].location.address.street, 'Canary Street');
	assert.equal(events['lease.created'].number, call.lease.number);
	assert.deepEqual(
		[events['callback.resolved'].called_number, events['callback.resolved'].caller_number],
		[call.lease.number, '+12065550911'],
	);
	assert.equal(events['callback.resolved'].targets.length, 2);
});

test('CloudEvents where an endpoint asks for them, under the same headers and signature', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { ...PRESENCE, payload_format: 'cloudevents' });
	const agent = await t.user();
	await t.end(await t.place(agent));
	const locked = await hook.next('presence.do_not_disturb');
	assert.deepEqual([locked.body.specversion, locked.body.source, locked.body.data.user_id], ['1.0', t.path, agent.id]);
	await hook.next('presence.restored');
});

test('request id and trace of the request that caused it go along', async () => {
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
	const headers = { 'x-request-id': 'my-request-7', traceparent };
	const { body, headers: answered } = await t.placing(await t.user(), {}, { headers, expect: 201 });
	assert.equal(answered['x-request-id'], 'my-request-7');
	const { headers: got } = await hook.next('presence.do_not_disturb');
	assert.equal(got['x-request-id'], 'my-request-7');
	assert.match(got.traceparent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
	await t.end(body);
});

test('a deleted endpoint gets nothing, not even what was waiting for it', async () => {
	const [gone, stays] = [await w.receiver(), await w.receiver()];
	const endpoint = await t.hook(gone, PRESENCE);
	await t.hook(stays, PRESENCE);
	gone.answer = () => 500;
	const call = await t.place(await t.user());
	await gone.next(() => true);
	await t.call('DELETE', `/webhook-endpoints/${endpoint.id}`, { expect: 204 });
	const seen = gone.deliveries.length;
	await t.end(call);
	await t.end(await t.place(await t.user()));
	for (let i = 0; i < 4; i++) await stays.next(() => true);
	assert.ok(gone.deliveries.length <= seen + 1, 'at most the attempt that was under way');
	assert.equal((await t.call('GET', `/webhook-endpoints/${endpoint.id}`)).status, 404);
	assert.equal((await t.call('DELETE', `/webhook-endpoints/${endpoint.id}`)).status, 404);
});

test('an endpoint made disabled gets nothing; events of other tenants reach nobody else', async () => {
	const [off, on, foreign] = [await w.receiver(), await w.receiver(), await w.receiver()];
	const other = await w.tenant();
	await t.hook(off, { ...PRESENCE, enabled: false });
	await t.hook(on, PRESENCE);
	await other.hook(foreign, PRESENCE);
	await t.end(await t.place(await t.user()));
	await on.next('presence.restored');
	await other.end(await other.place(other.agent));
	await foreign.next('presence.restored');
	assert.deepEqual([off.deliveries.length, foreign.deliveries.length], [0, 2]);
	assert.ok(on.deliveries.every((d) => d.data.user_id !== other.agent.id));
});

test('a hundred calls at once: every event once, in order for each user', async () => {
	const hook = await w.receiver();
	const own = await w.tenant({ numbers: 10, users: 50 });
	await own.hook(hook);
	await Promise.all(
		own.users.map(async (user, i) => {
			const server = w.servers[i % 2];
			for (let n = 0; n < 2; n++) await own.end(await own.place(user, {}, { server }), { server: w.servers[(i + n) % 2] });
		}),
	);
	const [{ events }] = await w.sql('SELECT count(*)::int AS events FROM events WHERE tenant_id = $1', [own.id]);
	await until('all of them arrived', () => hook.deliveries.length >= events);
	hook.verifyAll();
	assert.equal(new Set(hook.deliveries.map((d) => d.id)).size, events);
	for (const user of own.users) {
		const presence = hook.deliveries.filter((d) => d.data.user_id === user.id && d.type.startsWith('presence.'));
		assert.deepEqual(
			presence.map((d) => d.data.sequence),
			[1, 2, 3, 4],
		);
		const states = hook.deliveries.filter((d) => d.data.user_id === user.id && d.type.startsWith('emergency_call.'));
		assert.deepEqual(
			states.map((d) => d.data.state),
			['placed', 'ended', 'placed', 'ended'],
		);
	}
});
