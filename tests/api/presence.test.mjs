// Do Not Disturb while an emergency call lasts, and what comes back after it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';

let w;
let t;
let hook;
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 20 });
	hook = await w.receiver();
	await t.hook(hook, { event_types: ['presence.do_not_disturb', 'presence.restored'] });
});
after(() => w.close());

const of = (user) => (delivery) => delivery.data.user_id === user.id;
const shown = ({ availability, base_availability, sequence }) => [availability, base_availability, sequence];
const seen = (user) => hook.deliveries.filter(of(user)).map((d) => [d.type, d.data.sequence]);

test('a new user is unknown, with sequence 0', async () => {
	const presence = await t.presence(await t.user());
	assert.deepEqual(
		{ ...presence, updated_at: null },
		{ availability: 'unknown', activity: null, base_availability: 'unknown', locked_by: [], sequence: 0, updated_at: null },
	);
});

test('every availability can be reported; no event is sent and the sequence stays', async () => {
	const agent = await t.user();
	for (const availability of [
		'available',
		'available_idle',
		'busy',
		'busy_idle',
		'do_not_disturb',
		'be_right_back',
		'away',
		'offline',
		'unknown',
	])
		for (const source of ['agent', 'system', undefined]) {
			const answer = await t.setPresence(agent, availability, { source, activity: 'in-a-meeting' });
			assert.deepEqual([...shown(answer), answer.ignored, answer.activity], [availability, availability, 0, false, 'in-a-meeting']);
		}
	assert.equal((await t.setPresence(agent, 'available')).activity, null, 'an activity that is not said is over');
	const call = await t.place(agent);
	assert.equal((await hook.next(of(agent))).type, 'presence.do_not_disturb', 'the first event is that of the call');
	await t.end(call);
	await hook.next(of(agent));
});

test('overlapping calls lock once and restore once, after the last; the sequence rises by one each', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'away');
	const [one, two, three] = [await t.place(agent), await t.place(agent, {}, { server: w.servers[1] }), await t.place(agent)];
	assert.deepEqual((await t.presence(agent)).locked_by.map((l) => l.id).sort(), [one.id, two.id, three.id].sort());
	await t.end(two);
	await t.act(one, 'cancel');
	assert.deepEqual(shown(await t.presence(agent)), ['do_not_disturb', 'away', 1]);
	const last = await t.end(three, { server: w.servers[1] });
	assert.deepEqual(shown(last.presence), ['away', 'away', 2]);
	assert.deepEqual((await t.presence(agent)).locked_by, []);
	const [locked, restored] = [await hook.next(of(agent)), await hook.next(of(agent))];
	assert.deepEqual([locked.data.emergency_call_id, restored.data.emergency_call_id], [one.id, three.id]);
	assert.deepEqual([restored.data.previous, restored.data.availability], ['do_not_disturb', 'away']);
	assert.deepEqual(seen(agent), [
		['presence.do_not_disturb', 1],
		['presence.restored', 2],
	]);
});

test('many calls of one user, placed and ended at once through two processes, restore once', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'busy');
	const calls = await Promise.all(Array.from({ length: 16 }, (_, i) => t.place(agent, {}, { server: w.servers[i % 2] })));
	assert.equal(new Set(calls.map((c) => c.lease.id)).size, 1, "they share the user's one lease");
	await Promise.all(calls.map((call, i) => t.end(call, { server: w.servers[(i + 1) % 2] })));
	const presence = await t.presence(agent);
	assert.deepEqual([...shown(presence), presence.locked_by], ['busy', 'busy', 2, []]);
	await hook.next(of(agent));
	await hook.next(of(agent));
	assert.deepEqual(seen(agent), [
		['presence.do_not_disturb', 1],
		['presence.restored', 2],
	]);
	assert.equal((await t.get(`/leases/${calls[0].lease.id}`)).in_call, false);
});

test('a report while locked changes what comes back, and nothing else', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'available');
	const call = await t.place(agent);
	const answer = await t.setPresence(agent, 'be_right_back');
	assert.deepEqual([...shown(answer), answer.ignored], ['do_not_disturb', 'be_right_back', 1, false]);
	assert.deepEqual(answer.locked_by, [{ type: 'emergency_call', id: call.id }]);
	assert.deepEqual(shown((await t.end(call)).presence), ['be_right_back', 'be_right_back', 2]);
	assert.equal((await hook.next((d) => of(agent)(d) && d.type === 'presence.restored')).data.availability, 'be_right_back');
});

test('a do_not_disturb of the system while locked is the echo of our own change', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'available');
	const call = await t.place(agent);
	for (const source of ['system', undefined]) {
		const echo = await t.setPresence(agent, 'do_not_disturb', { source });
		assert.deepEqual([...shown(echo), echo.ignored], ['do_not_disturb', 'available', 1, true]);
	}
	const agents = await t.setPresence(agent, 'do_not_disturb');
	assert.deepEqual([...shown(agents), agents.ignored], ['do_not_disturb', 'do_not_disturb', 1, false], 'an agent may mean it');
	await t.setPresence(agent, 'available');
	await t.end(call);
	const free = await t.setPresence(agent, 'do_not_disturb', { source: 'system' });
	assert.deepEqual([...shown(free), free.ignored], ['do_not_disturb', 'do_not_disturb', 2, false], 'not locked: it is no echo');
});

test('who was in Do Not Disturb before is locked, told and restored to it all the same', async () => {
	const agent = await t.user();
	await t.setPresence(agent, 'do_not_disturb');
	const call = await t.place(agent);
	assert.deepEqual(shown(call.presence), ['do_not_disturb', 'do_not_disturb', 1]);
	await t.end(call);
	const [locked, restored] = [await hook.next(of(agent)), await hook.next(of(agent))];
	assert.deepEqual([locked.data.previous, locked.data.availability, restored.data.availability], Array(3).fill('do_not_disturb'));
	assert.deepEqual([locked.data.sequence, restored.data.sequence], [1, 2]);
});

test('a presence told by a second call while locked is taken as base, its do_not_disturb as echo', async () => {
	const agent = await t.user();
	const one = await t.place(agent, { presence: { availability: 'available' } });
	const two = await t.place(agent, { presence: { availability: 'do_not_disturb' } });
	assert.equal(two.presence.base_availability, 'available');
	await t.end(one);
	assert.equal((await t.end(two)).presence.availability, 'available');
});

test('one call after the other: the sequence goes on', async () => {
	const agent = await t.user();
	for (let i = 0; i < 3; i++) await t.end(await t.place(agent));
	assert.equal((await t.presence(agent)).sequence, 6);
	for (let i = 1; i <= 6; i++) assert.equal((await hook.next(of(agent))).data.sequence, i);
});

test('wrong reports are refused by name, and change nothing', async () => {
	const agent = await t.user();
	for (const [body, code, pointer] of [
		[{}, 'required', '/availability'],
		[{ availability: 'asleep' }, 'invalid_value', '/availability'],
		[{ availability: null }, 'invalid_value', '/availability'],
		[{ availability: 'busy', source: 'me' }, 'invalid_value', '/source'],
		[{ availability: 'busy', sequence: 5 }, 'read_only', '/sequence'],
		[{ availability: 'busy', nmae: 1 }, 'unknown_field', '/nmae'],
		[{ availability: 'busy', activity: 'a\nb' }, 'invalid_value', '/activity'],
	]) {
		const reply = await t.call('PUT', `/users/${agent.id}/presence`, { body });
		assert.deepEqual([reply.status, reply.body.code, reply.body.errors[0]?.pointer], [422, code, pointer], JSON.stringify(body));
	}
	assert.deepEqual(shown(await t.presence(agent)), ['unknown', 'unknown', 0]);
	assert.equal((await t.call('PUT', '/users/ext%3Anobody/presence', { body: { availability: 'busy' } })).status, 404);
});
