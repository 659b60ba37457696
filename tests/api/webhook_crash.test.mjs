// What a committed call owes its webhooks when the process dies in between.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';

let w;
before(async () => {
	w = await world();
});
after(() => w.close());

const PRESENCE = { event_types: ['presence.do_not_disturb', 'presence.restored'] };

async function playTheEnd(hook, t, agent, call) {
	const [locked, restored] = [await hook.next((d) => d.answer === 204), await hook.next((d) => d.answer === 204)];
	assert.deepEqual([locked.type, restored.type], ['presence.do_not_disturb', 'presence.restored']);
	assert.deepEqual([locked.data.emergency_call_id, restored.data.emergency_call_id], [call.id, call.id]);
	assert.deepEqual([locked.data.sequence, restored.data.sequence, restored.data.availability], [1, 2, 'available']);
	const events = await w.sql(`SELECT id FROM events WHERE tenant_id = $1 AND type LIKE 'presence.%' ORDER BY event_no`, [t.id]);
	assert.deepEqual(
		[locked.id, restored.id],
		events.map((e) => e.id),
		'under the ids they were committed with',
	);
	assert.deepEqual((await t.presence(agent)).availability, 'available');
}

// The first one may have failed while the second waited, and is not sent again then.
async function endsRestored(hook, call) {
	const restored = await hook.next('presence.restored');
	assert.deepEqual([restored.data.emergency_call_id, restored.data.sequence, restored.data.availability], [call.id, 2, 'available']);
	const sequences = hook.accepted.map((d) => d.data.sequence);
	assert.deepEqual(sequences, [1, 2].slice(-sequences.length));
}

async function callWithHook() {
	const t = await w.tenant({ numbers: 2 });
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	await t.setPresence(t.agent, 'available');
	return { t, hook, agent: t.agent };
}

test('SIGKILL between commit and delivery: after the restart both webhooks arrive, in order, verified', async () => {
	const { t, hook, agent } = await callWithHook();
	hook.answer = () => 'hang'; // so that the delivery of what was committed cannot be over
	const call = await t.place(agent);
	await t.end(call);
	await w.servers[0].kill();
	assert.deepEqual(hook.accepted, []);
	hook.answer = () => 204;
	await w.serve();
	await playTheEnd(hook, t, agent, call);
});

test('SIGKILL while the first delivery is under way: it comes again, under the same id', async () => {
	const { t, hook, agent } = await callWithHook();
	hook.answer = () => 'hang';
	const call = await t.place(agent);
	const first = await hook.next('presence.do_not_disturb');
	await t.end(call);
	await w.servers[0].kill();
	assert.deepEqual(
		hook.deliveries.map((d) => d.type),
		['presence.do_not_disturb'],
		'what is newer waited',
	);
	hook.answer = () => 204;
	await w.serve();
	await playTheEnd(hook, t, agent, call);
	assert.equal(hook.deliveries.filter((d) => d.id === first.id).length, 2);
});

test('SIGKILL while the receiver refuses: after the restart the presence is right', async () => {
	const { t, hook, agent } = await callWithHook();
	await hook.refuse();
	const call = await t.place(agent);
	await t.end(call);
	await w.servers[0].kill();
	await hook.listen();
	await w.serve();
	await endsRestored(hook, call);
});

test('another process delivers what a dead one had claimed, without a restart', async () => {
	const doomed = await w.serve();
	const { t, hook, agent } = await callWithHook();
	hook.answer = () => 'hang';
	const call = await t.place(agent, {}, { server: doomed });
	await hook.next('presence.do_not_disturb');
	await t.end(call, { server: doomed });
	const claims = await w.sql(`SELECT DISTINCT claimed_by FROM webhook_deliveries WHERE tenant_id = $1 AND state = 'pending'`, [t.id]);
	assert.equal(claims.length, 1, 'one process has claimed them all');
	assert.ok(claims[0].claimed_by !== null);
	hook.answer = () => 204;
	await doomed.kill();
	await playTheEnd(hook, t, agent, call);
});

test('a process that is asked to stop leaves its undelivered webhooks to the others', async () => {
	const leaving = await w.serve();
	const { t, hook, agent } = await callWithHook();
	await hook.refuse();
	const call = await t.place(agent, {}, { server: leaving });
	await t.end(call, { server: leaving });
	await leaving.stop();
	await hook.listen();
	await endsRestored(hook, call);
});

test('killed again and again under load: every committed event is delivered, in order for each user', async () => {
	const t = await w.tenant({ numbers: 5, users: 8 });
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	for (let round = 0; round < 4; round++) {
		const victim = await w.serve({ SWITCHBACK_DATABASE_URL: `${w.url}${w.url.includes('?') ? '&' : '?'}application_name=victim` });
		const work = t.users.map(async (user) => {
			for (let n = 0; n < 20; n++) {
				const call = await t.place(user, {}, { server: victim });
				await t.end(call, { server: victim });
			}
		});
		const settled = Promise.allSettled(work);
		const target = hook.deliveries.length + 5 + round * 7;
		await until('some were delivered', () => hook.deliveries.length >= target);
		await victim.kill();
		await settled;
		// What the victim had sent may still be committed after its end.
		const sessions = () => w.sql(`SELECT FROM pg_stat_activity WHERE application_name = 'victim'`);
		await until('its sessions are gone', async () => (await sessions()).length === 0);
		// Calls that were cut off between place and end would hold the presence for good.
		for (const call of await t.list('emergency-calls', { state: 'placed' })) await t.end(call);
	}
	const events = await w.sql(
		`SELECT id, data->>'user_id' AS user_id FROM events WHERE tenant_id = $1 AND type LIKE 'presence.%' ORDER BY event_no`,
		[t.id],
	);
	const arrived = () => new Set(hook.accepted.map((d) => d.id));
	await until('all of them arrived', () => arrived().size >= events.length);
	hook.verifyAll();
	assert.deepEqual(
		events.filter((e) => !arrived().has(e.id)),
		[],
	);
	for (const user of t.users) {
		const first = new Map();
		hook.accepted.filter((d) => d.data.user_id === user.id).forEach((d) => first.has(d.id) || first.set(d.id, d.data.sequence));
		const sequences = [...first.values()];
		assert.deepEqual(
			sequences,
			[...sequences].sort((a, b) => a - b),
		);
		assert.equal(sequences.at(-1) % 2, 0, 'the last one is a restore');
	}
});
