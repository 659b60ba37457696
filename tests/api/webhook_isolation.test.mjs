// What one endpoint, or a lost connection, must not do to the webhooks of others.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { WITHOUT_SUPERUSER, until, world } from '../lib/harness.mjs';

let w;
before(async () => {
	w = await world();
});
after(() => w.close());

const PRESENCE = { event_types: ['presence.do_not_disturb', 'presence.restored'] };
const instances = () => w.sql(`SELECT objid::bigint::integer AS id FROM pg_locks WHERE locktype = 'advisory' AND classid = 22868 AND objid <> 0
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);

async function callWithHook(users = 1) {
	const t = await w.tenant({ users });
	const hook = await w.receiver();
	const endpoint = await t.hook(hook, PRESENCE);
	return { t, hook, endpoint };
}

test('a restore does not wait for the retry of its Do Not Disturb, however far off that is', async () => {
	const { t, hook, endpoint } = await callWithHook();
	hook.answer = () => 500;
	const call = await t.place(t.agent);
	await hook.next('presence.do_not_disturb');
	const pending = `endpoint_id = $1 AND state = 'pending' AND last_status = 500 AND next_attempt_at > now()`;
	await until('the attempt is recorded', async () => (await w.sql(`UPDATE webhook_deliveries SET attempts = 130, next_attempt_at = now() + interval '2 h'
		WHERE ${pending} RETURNING id`, [endpoint.id])).length);
	hook.answer = () => 204;
	await t.end(call);
	await hook.next('presence.restored', { ms: 3000 });
	const states = () => w.sql('SELECT state FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY event_no', [endpoint.id]);
	await until('both are over', async () => (await states()).every((d) => d.state !== 'pending'));
	assert.deepEqual((await states()).map((d) => d.state), ['superseded', 'delivered']);
});

test('thousands of deliveries that wait for one endpoint delay no other tenant', async () => {
	const sick = await callWithHook();
	const { t, hook } = await callWithHook();
	const [instance] = await instances();
	// So many people with an event that failed, and a later one that waits behind it.
	await w.sql(`WITH p AS (SELECT gen_random_uuid() AS holder, i FROM generate_series(1, 4000) i),
		e AS (INSERT INTO events (tenant_id, id, type, holder_id, event_no, data, occurred_at)
			SELECT $1, uuid7(), 'emergency_call.placed', holder, 2 * i + k, '{"a":1}', now() FROM p, generate_series(0, 1) k RETURNING *)
		INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, holder_id, stream, event_no, next_attempt_at, claimed_by, attempts)
		SELECT $1, uuid7(), $2, id, holder_id, 'other', event_no, now() + (CASE event_no % 2 WHEN 0 THEN interval '2 h' ELSE interval '-1 h' END),
			CASE event_no % 2 WHEN 1 THEN $3::integer END, CASE event_no % 2 WHEN 0 THEN 5 ELSE 0 END FROM e`, [sick.t.id, sick.endpoint.id, instance.id]);
	await t.end(await t.place(t.agent));
	await hook.next('presence.do_not_disturb', { ms: 2000 });
	await hook.next('presence.restored', { ms: 2000 });
	await until('none is looked at again', async () => (await w.sql(`SELECT FROM webhook_deliveries WHERE endpoint_id = $1
		AND state = 'pending' AND next_attempt_at <= now() LIMIT 1`, [sick.endpoint.id])).length === 0);
	assert.deepEqual(sick.hook.deliveries, []);
});

test('its connection lost again and again: everything arrives all the same, in order', { skip: WITHOUT_SUPERUSER }, async () => {
	const { t, hook } = await callWithHook(10);
	const before = await instances();
	let over = false;
	const cutting = (async () => {
		while (!over) {
			await w.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'switchback delivery' AND datname = current_database()`);
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	})();
	await Promise.all(t.users.map(async (user) => {
		for (let n = 0; n < 10; n++)
			await t.end(await t.place(user));
	}));
	over = true;
	await cutting;
	await until('all of them arrived', () => new Set(hook.accepted.map((d) => d.id)).size === 200, { ms: 5000 });
	for (const user of t.users) {
		const sequences = [...new Set(hook.accepted.filter((d) => d.data.user_id === user.id).map((d) => d.data.sequence))];
		assert.deepEqual(sequences, Array.from({ length: 20 }, (_, i) => i + 1));
	}
	await until('the claims have their lock again', async () => (await instances()).length === 1);
	assert.deepEqual(await instances(), before);
	w.expectsErrors = true; // a cut connection may be told as an outcome that is unknown
});
