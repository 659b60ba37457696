// The second wall between tenants: row-level security, under the role that the service works as.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import pg from 'pg';
import { SUPERUSER_URL, WITHOUT_SUPERUSER, run, urlOf, world } from '../lib/harness.mjs';

let w;
let mine;
let other;
let client;
let tables;
before(async () => {
	w = await world();
	[mine, other] = [await w.tenant({ numbers: 2 }), await w.tenant({ numbers: 2 })];
	const hook = await w.receiver();
	for (const t of [mine, other]) {
		// a row in every table, for either
		await t.hook(hook);
		const call = await t.place(t.agent, { external_call_id: 'same' });
		await t.resolve(call.lease.number);
	}
	// As the service connects: the same login, and then the role.
	client = new pg.Client({ connectionString: w.url });
	await client.connect();
	await client.query('SET ROLE switchback_app; SET search_path = switchback');
	tables = (
		await w.sql(`SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'switchback'::regnamespace
		AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id') ORDER BY 1`)
	).map((r) => r.relname);
});
after(async () => {
	await client?.end();
	await w.close();
});

// The rows of a query in a transaction bound to a tenant ('' and null: to none), rolled back.
async function as(tenant, sql, values = []) {
	await client.query('BEGIN');
	try {
		if (tenant !== null) await client.query(`SELECT set_config('switchback.tenant', $1, true)`, [tenant]);
		const result = await client.query(sql, values);
		return result.command === 'SELECT' ? result.rows : result.rowCount;
	} finally {
		await client.query('ROLLBACK');
	}
}

test('every table is of a tenant, or holds nothing of one; security is on and forced', async () => {
	const open = await w.sql(`SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'switchback'::regnamespace
		AND NOT (relrowsecurity AND relforcerowsecurity) ORDER BY 1`);
	const granted = [];
	for (const { relname } of open) {
		const [{ may }] = await w.sql(`SELECT has_table_privilege('switchback_app', $1::regclass, 'INSERT, UPDATE, DELETE') AS may`, [
			relname,
		]);
		if (may) granted.push(relname);
	}
	assert.deepEqual(granted, [], 'the service writes to no table without it');
	assert.ok(tables.length >= 12, tables.join());
	const owners = await w.sql(
		`SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relkind = 'r' AND relnamespace = 'switchback'::regnamespace AND relname <> 'schema_migrations'`,
	);
	assert.ok(
		owners.every(({ owner }) => owner !== 'switchback_app'),
		'the service owns no table',
	);
	const [role] = await w.sql(`SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'switchback_app'`);
	assert.deepEqual(role, { rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false });
});

test('without a tenant the service sees nothing, in any table', async () => {
	for (const table of [...tables, 'tenants'])
		for (const tenant of [null, '']) {
			const [{ n }] = await as(tenant, `SELECT count(*)::int AS n FROM ${table}`);
			assert.equal(n, 0, `${table} with ${JSON.stringify(tenant)}`);
		}
});

test("with a tenant it sees that one's rows, and none of another", async () => {
	for (const table of tables) {
		const all = await w.sql(`SELECT tenant_id, count(*)::int AS n FROM ${table} WHERE tenant_id = ANY ($1) GROUP BY 1`, [
			[mine.id, other.id],
		]);
		const seen = await as(mine.id, `SELECT tenant_id, count(*)::int AS n FROM ${table} GROUP BY 1`);
		assert.deepEqual(
			seen,
			all.filter((row) => row.tenant_id === mine.id),
			table,
		);
		assert.equal(all.length, 2, `${table} has rows of both, so that this shows something`);
	}
	assert.deepEqual(await as(mine.id, 'SELECT id FROM tenants'), [{ id: mine.id }]);
});

test('it changes and deletes nothing of another tenant, and writes nothing in its name', async () => {
	for (const table of tables) {
		assert.equal(await as(mine.id, `UPDATE ${table} SET tenant_id = tenant_id WHERE tenant_id = $1`, [other.id]), 0, table);
		assert.equal(await as(mine.id, `DELETE FROM ${table} WHERE tenant_id = $1`, [other.id]), 0, table);
		await assert.rejects(
			as(mine.id, `UPDATE ${table} SET tenant_id = $1`, [other.id]),
			/row-level security|violates foreign key/,
			`${table}: giving rows away`,
		);
		await assert.rejects(
			as(
				mine.id,
				`INSERT INTO ${table} SELECT (jsonb_populate_record(x, jsonb_build_object('tenant_id', $1::text))).* FROM ${table} x LIMIT 1`,
				[other.id],
			),
			/row-level security/,
			`${table}: planting one`,
		);
	}
	await assert.rejects(as(mine.id, `INSERT INTO tenants (id, name, region) VALUES ($1, 'x', 'US')`, [other.id]), /row-level security/);
	assert.equal(await as(mine.id, 'DELETE FROM tenants WHERE id = $1', [other.id]), 0);
});

test("the functions of calls keep to their tenant's wall", async () => {
	const [{ id }] = await w.sql('SELECT id FROM emergency_calls WHERE tenant_id = $1', [other.id]);
	const [moved] = await as(mine.id, `SELECT outcome FROM move_call_1($1, $2, 'end', '{}', 1, false)`, [other.id, id]);
	assert.equal(moved.outcome, 'not_found');
	const [{ context }] = await as(mine.id, 'SELECT call_context_1($1, $2, NULL, NULL, NULL) AS context', [other.id, other.agent.id]).then(
		(rows) => (rows.length ? rows : [{ context: null }]),
	);
	assert.equal(context, null);
});

test('what is asked before a tenant is known shows ids and hashes only, and only to the service', async () => {
	const functions =
		await w.sql(`SELECT p.oid::regprocedure::text AS name, pg_get_userbyid(p.proowner) AS owner, has_function_privilege('public', p.oid, 'EXECUTE') AS public
		FROM pg_proc p WHERE p.pronamespace = 'switchback'::regnamespace AND p.prosecdef`);
	assert.ok(functions.length >= 4);
	for (const f of functions) assert.deepEqual([f.owner, f.public], ['switchback_lookup', false], f.name);
	const [role] = await w.sql(`SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'switchback_lookup'`);
	assert.deepEqual(role, { rolcanlogin: false, rolsuper: false, rolbypassrls: false });
	const writes = await w.sql(`SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'switchback'::regnamespace AND c.relkind = 'r'
		AND has_table_privilege('switchback_lookup', c.oid, 'INSERT, UPDATE, DELETE')`);
	assert.deepEqual(writes, []);
});

test('serve refuses a role that the wall does not hold: exit 2, and it says so', { skip: WITHOUT_SUPERUSER }, async () => {
	const settings = (extra) => ({ ...w.settings, ...extra });
	// The login itself does not matter: serve works as switchback_app. What matters is that role.
	const asSuperuser = await w.serve({ SWITCHBACK_DATABASE_URL: urlOf(SUPERUSER_URL, w.database) });
	assert.equal(
		(await mine.call('GET', '/users', { server: asSuperuser })).body.items.length,
		1,
		"a superuser's login is behind the wall too",
	);
	await asSuperuser.stop();
	for (const [spoil, mend] of [
		['ALTER ROLE switchback_app SUPERUSER', 'ALTER ROLE switchback_app NOSUPERUSER'],
		['ALTER ROLE switchback_app BYPASSRLS', 'ALTER ROLE switchback_app NOBYPASSRLS'],
		['ALTER TABLE events OWNER TO switchback_app', 'ALTER TABLE events OWNER TO switchback_owner'],
	]) {
		await w.sql(spoil);
		try {
			const { code, stderr } = await run(['serve'], settings());
			assert.equal(code, 2, spoil);
			assert.match(stderr, /superuser|row security|own/);
			assert.doesNotMatch(stderr, /listening/);
		} finally {
			await w.sql(mend);
		}
	}
});
