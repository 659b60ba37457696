// Many calls at once through two processes on one pool of ten numbers: no number is taken from its holder
// while another one is free. Judged by what each transaction could see, as timestamps give false alarms:
// a reuse keeps the snapshot of its check, a take and a freeing their transaction ids.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { codes } from '../lib/fixture.mjs';

const CALLERS = 64;
const NUMBERS = 10;

let w;
before(async () => {
	w = await world({ servers: 2 });
	// When a number was taken: leased, or renewed (its holder may come back just when its time is up).
	await w.sql(`CREATE VIEW test_takes AS SELECT tenant_id, id, number_id, taken_xid AS xid, leased_at AS at FROM leases
		UNION ALL SELECT e.tenant_id, e.id, l.number_id, e.xid, e.occurred_at FROM events e
		JOIN leases l ON l.tenant_id = e.tenant_id AND l.id = e.lease_id WHERE e.type = 'lease.renewed'`);
	// When a number became free, other than by never having been taken: in which transaction, after which takes.
	await w.sql('CREATE TABLE test_freed (number_id uuid NOT NULL, xid xid8, takes_before uuid[] NOT NULL)');
});
after(() => w.close());

const server = (i) => w.servers[i % w.servers.length];
const crowd = () => w.tenant({ numbers: NUMBERS, users: CALLERS });
const placeAll = (t) => Promise.all(t.users.map((user, i) => t.place(user, {}, { server: server(i) })));
const endAll = (t, calls) => Promise.all(calls.map((call, i) => t.end(call, { server: server(i + 1) })));

// Reuses in whose snapshot a number of the pool was free: it had become free in a transaction that the
// snapshot shows (or was never taken, xid null), and no later take of it is in the snapshot, nor was made
// earlier in the reuse's own transaction.
const VIOLATIONS = `
	SELECT l.id, l.number, n.number AS was_free
	FROM leases l
	JOIN pool_numbers n ON n.tenant_id = l.tenant_id AND n.pool_id = l.pool_id
	JOIN (SELECT number_id, NULL::xid8 AS xid, '{}'::uuid[] AS takes_before FROM pool_numbers
		UNION ALL SELECT * FROM test_freed) f ON f.number_id = n.number_id
	WHERE l.tenant_id = $1 AND l.reuse_snapshot IS NOT NULL
		AND (f.xid IS NULL OR pg_visible_in_snapshot(f.xid, l.reuse_snapshot))
		AND NOT EXISTS (SELECT FROM test_takes x WHERE x.tenant_id = l.tenant_id AND x.number_id = n.number_id
			AND x.id <> l.id AND x.id <> ALL (f.takes_before)
			AND CASE WHEN x.xid = l.taken_xid THEN x.at < l.leased_at
				ELSE pg_visible_in_snapshot(x.xid, l.reuse_snapshot) END)`;

async function assertNoViolation(t) {
	const [{ reuses }] = await w.sql('SELECT count(*)::int AS reuses FROM leases WHERE tenant_id = $1 AND reuse_snapshot IS NOT NULL', [
		t.id,
	]);
	assert.ok(reuses > 0, 'numbers were reused at all');
	assert.deepEqual(await w.sql(VIOLATIONS, [t.id]), [], 'no number was reused while another was free');
	// The check can fail: were one number free all the time, every reuse would be found.
	const found = await w.transaction(async (query) => {
		await query(
			`INSERT INTO test_freed SELECT number_id, NULL, array_agg(id) FROM test_takes WHERE tenant_id = $1
			GROUP BY number_id ORDER BY number_id LIMIT 1`,
			[t.id],
		);
		const rows = await query(VIOLATIONS, [t.id]);
		await query('TRUNCATE test_freed');
		return rows;
	});
	assert.ok(found.length >= reuses, 'the check finds what is wrong');
	return reuses;
}

// When all calls are over: nothing presents a number, and every lease that is over said so exactly once.
async function assertConsistent(t) {
	const of = (sql) => w.sql(sql, [t.id]);
	assert.deepEqual(await of('SELECT number FROM pool_numbers WHERE tenant_id = $1 AND in_call <> 0'), []);
	assert.deepEqual(await of('SELECT id FROM leases WHERE tenant_id = $1 AND in_call <> 0'), []);
	assert.deepEqual(await of('SELECT holder_id FROM user_states WHERE tenant_id = $1 AND in_progress <> 0'), []);
	assert.deepEqual(
		await of(`SELECT number FROM leases WHERE tenant_id = $1 AND state = 'active' GROUP BY number HAVING count(*) > 1`),
		[],
	);
	assert.deepEqual(
		await of(`SELECT l.id, l.state, count(e.id) FROM leases l LEFT JOIN events e ON e.lease_id = l.id
		AND e.type IN ('lease.superseded', 'lease.expired', 'lease.released')
		WHERE l.tenant_id = $1 GROUP BY l.id, l.tenant_id, l.state HAVING count(e.id) <> (l.state <> 'active')::int`),
		[],
		'a closing event for each lease that is over',
	);
	assert.deepEqual(
		await of(`SELECT lease_id FROM events WHERE tenant_id = $1 AND type = 'lease.created' GROUP BY lease_id HAVING count(*) <> 1`),
		[],
	);
}

test('64 calls at once on 10 numbers: all served, ten alone, the others shared and told so; then all end', async () => {
	const t = await crowd();
	const calls = await placeAll(t);
	assert.ok(
		calls.every((call) => call.caller_id.source === 'pool_lease'),
		'a used-up pool refuses nobody',
	);
	const alone = calls.filter((call) => !call.lease.shared);
	assert.equal(alone.length, NUMBERS, 'sharing begins when all are in use, and not before');
	assert.equal(new Set(alone.map((call) => call.lease.number)).size, NUMBERS, 'each number was first given once');
	for (const call of calls) assert.deepEqual(codes(call), call.lease.shared ? ['number_shared', 'pool_exhausted'] : []);
	const { counts } = await t.get(`/pools/${t.homePool.id}`);
	assert.deepEqual(counts, { total: NUMBERS, free: 0, leased: NUMBERS, in_call: NUMBERS });

	await endAll(t, calls);
	assert.equal(await assertNoViolation(t), CALLERS - NUMBERS);
	await assertConsistent(t);
	const { counts: afterwards } = await t.get(`/pools/${t.homePool.id}`);
	assert.deepEqual(
		afterwards,
		{ total: NUMBERS, free: 0, leased: NUMBERS, in_call: 0 },
		'the end of a call frees no number before its time',
	);
});

test('calls that come and go: whoever is the latest caller of a number gets its callbacks', async () => {
	const t = await crowd();
	const turns = async (user, i) => {
		for (let turn = 0; turn < 3; turn++) {
			const call = await t.place(user, {}, { server: server(i + turn) });
			if (turn % 2) await t.act(call, 'connect', undefined, { server: server(i) });
			await t.act(call, turn === 2 ? 'cancel' : 'end', undefined, { server: server(i + 1) });
		}
	};
	await Promise.all(t.users.map(turns));
	await assertNoViolation(t);
	await assertConsistent(t);
	for (const number of t.numbers) {
		const callback = await t.resolve(number);
		const [newest] = await w.sql('SELECT user_id FROM leases WHERE number = $1 ORDER BY leased_at DESC LIMIT 1', [number]);
		assert.deepEqual([callback.reason, callback.user.id], ['active_lease', newest.user_id]);
	}
});

// The time of a number is up: its lease head and lease move back, unless a call presents it. Under the lock of
// the number, as the service's own changes; noted with the transaction that does it.
function expireSome(t, count) {
	return w.transaction(async (query) => {
		const rows = await query(
			`SELECT number_id, lease_id FROM pool_numbers WHERE tenant_id = $1 AND in_call = 0
			AND free_at > now() ORDER BY random() LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`,
			[t.id, count],
		);
		for (const { number_id, lease_id } of rows) {
			await query(`UPDATE pool_numbers SET free_at = now() - interval '1 s' WHERE number_id = $1`, [number_id]);
			await query(`UPDATE leases SET expires_at = now() - interval '1 s' WHERE id = $1`, [lease_id]);
			await query(`INSERT INTO test_freed SELECT $1, pg_current_xact_id(), array_agg(id) FROM test_takes WHERE number_id = $1`, [
				number_id,
			]);
		}
		return rows.length;
	});
}

test('numbers become free all the time while others are reused: a free one is always taken first', async () => {
	const t = await crowd();
	let expired = 0;
	let over = false;
	const clock = (async () => {
		while (!over) expired += await expireSome(t, 3);
	})();
	const turns = async (user, i) => {
		for (let turn = 0; turn < 6; turn++) await t.end(await t.place(user, {}, { server: server(i + turn) }), { server: server(i) });
	};
	try {
		await Promise.all(t.users.map(turns));
	} finally {
		over = true;
		await clock;
	}
	const [{ fresh, reused }] = await w.sql(
		`SELECT count(*) FILTER (WHERE reuse_snapshot IS NULL)::int AS fresh,
		count(*) FILTER (WHERE reuse_snapshot IS NOT NULL)::int AS reused FROM leases WHERE tenant_id = $1`,
		[t.id],
	);
	assert.ok(expired > 0 && fresh > NUMBERS && reused > 0, `both happened: ${expired} expired, ${fresh} taken free, ${reused} reused`);
	await assertNoViolation(t);
	await assertConsistent(t);
});
