// The second wall between tenants: row-level security, under the role that the service works as.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import pg from 'pg';
import { estate } from '../lib/estate.mjs';
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
		await t.create('notification-recipients', { channel: 'webhook', address: `${hook.url}/told` });
		const call = await t.place(t.agent, { external_call_id: 'same' });
		await t.resolve(call.lease.number);
		await estate(w, t);
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
	const walled = `c.relrowsecurity AND c.relforcerowsecurity`;
	const bare = await w.sql(`SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname LIKE '%tenant%'
		WHERE c.relkind IN ('r', 'p', 'f') AND c.relnamespace = 'switchback'::regnamespace AND NOT (${walled})`);
	assert.deepEqual(bare, [], 'no table that knows of tenants is without it');
	const views = await w.sql(`SELECT c.relname FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'switchback'::regnamespace
		AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)`);
	assert.deepEqual(views, [], 'no view looks past it as its owner');
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

// How many rows a statement changes; none where the service may not do it to anybody's.
async function changes(tenant, sql, values) {
	return as(tenant, sql, values).catch((error) => {
		assert.match(error.message, /^permission denied/);
		return 0;
	});
}

test('it changes and deletes nothing of another tenant, and writes nothing in its name', async () => {
	for (const table of tables) {
		assert.equal(await changes(mine.id, `UPDATE ${table} SET tenant_id = tenant_id WHERE tenant_id = $1`, [other.id]), 0, table);
		assert.equal(await changes(mine.id, `DELETE FROM ${table} WHERE tenant_id = $1`, [other.id]), 0, table);
		await assert.rejects(
			as(mine.id, `UPDATE ${table} SET tenant_id = $1`, [other.id]),
			/row-level security|violates foreign key|permission denied/,
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

// The primary key of a table but for the tenant: what a statement names a row by that forgot the tenant.
async function keyOf(table) {
	const rows = await w.sql(
		`SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = $1::regclass AND i.indisprimary AND a.attname <> 'tenant_id' ORDER BY 1`,
		[table],
	);
	return rows.map((row) => row.name);
}

test("statements without any tenant predicate, with another tenant's ids: nothing seen, nothing changed", async () => {
	const dump = async (table) => (await w.sql(`SELECT t::text AS row FROM ${table} t WHERE tenant_id = $1 ORDER BY 1`, [other.id])).map((r) => r.row);
	for (const table of tables) {
		const key = await keyOf(table);
		const before_ = await dump(table);
		const [row] = await w.sql(`SELECT to_jsonb(t) AS all, ${key.map((name) => `t.${name}::text`).concat('1').join(', ')} FROM ${table} t WHERE tenant_id = $1 LIMIT 1`, [other.id]);
		const types = key.map((name, i) => `${name}::text = $${i + 1}`).concat('true').join(' AND ');
		const values = key.map((name) => row[name]);
		assert.equal((await as(mine.id, `SELECT FROM ${table} WHERE ${types} AND NOT tenant_id = '${mine.id}'`, values)).length, 0, `${table}: read`);
		if (key.length) {
			assert.deepEqual(await as(mine.id, `SELECT * FROM ${table} WHERE ${types}`, values), [], `${table}: read by key`);
			assert.equal(await changes(mine.id, `UPDATE ${table} SET tenant_id = tenant_id WHERE ${types}`, values), 0, `${table}: update by key`);
			assert.equal(await changes(mine.id, `DELETE FROM ${table} WHERE ${types}`, values), 0, `${table}: delete by key`);
		}
		// All that an UPDATE of everything finds is one's own.
		const own = (await w.sql(`SELECT count(*)::int AS n FROM ${table} WHERE tenant_id = $1`, [mine.id]))[0].n;
		const found = await changes(mine.id, `UPDATE ${table} SET tenant_id = tenant_id`);
		assert.ok(found === own || found === 0, `${table}: ${found} of ${own}`);
		// Even where every member is right but the tenant.
		await assert.rejects(
			as(mine.id, `INSERT INTO ${table} SELECT (jsonb_populate_record(NULL::${table}, $1)).*`, [JSON.stringify(row.all)]),
			/row-level security/,
			`${table}: insert`,
		);
		assert.deepEqual(await dump(table), before_, table);
	}
});

test('audit entries can be added and read, and by the service neither changed nor taken away', async () => {
	for (const sql of ['UPDATE audit_entries SET action = action', 'DELETE FROM audit_entries', 'TRUNCATE audit_entries'])
		await assert.rejects(as(mine.id, sql), /permission denied for table audit_entries/, sql);
	const [{ may }] = await w.sql(
		`SELECT has_table_privilege('switchback_app', 'audit_entries', 'UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS may`,
	);
	assert.equal(may, false);
	const [{ n }] = await as(mine.id, 'SELECT count(*)::int AS n FROM audit_entries');
	assert.ok(n >= 8, `${n} entries of what was configured`);
	const columns = await w.sql(`SELECT attname FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0
		AND has_column_privilege('switchback_app', attrelid, attnum, 'UPDATE')`);
	assert.deepEqual(columns, []);
	// Nothing else may change them either: no function of the owner's that the service can run.
	const others = await w.sql(`SELECT p.oid::regprocedure::text AS name FROM pg_proc p WHERE p.pronamespace = 'switchback'::regnamespace
		AND p.prosecdef AND p.prosrc ~* '(update|delete from|truncate)\\s+(switchback\\.)?audit_entries'`);
	assert.deepEqual(others, []);
});

test("the functions of calls keep to their tenant's wall", async () => {
	const [{ id }] = await w.sql('SELECT id FROM emergency_calls WHERE tenant_id = $1', [other.id]);
	const [moved] = await as(mine.id, `SELECT outcome FROM move_call_1($1, $2, 'end', '{}', 1, false)`, [other.id, id]);
	assert.equal(moved.outcome, 'not_found');
	const [{ context }] = await as(mine.id, 'SELECT call_context_3($1, $2, NULL, NULL, NULL) AS context', [other.id, other.agent.id]).then(
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
		(await w.sql('SELECT count(*)::int AS n FROM users WHERE tenant_id = $1', [mine.id]))[0].n,
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
