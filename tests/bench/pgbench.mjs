// The same stored functions without the service: pgbench runs place_call_3 and move_call_1 as the service's
// role, one transaction each, with the parameters of calls that the service decided before.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

// One row a user: what the service passed to place_call_3 for the call that the row is taken from. Ids and
// versions are those of now.
const TABLE = `
	CREATE UNLOGGED TABLE bench_calls AS
	SELECT row_number() OVER (ORDER BY c.user_id)::int AS n,
		jsonb_build_object('holder_id', c.holder_id, 'user_id', c.user_id, 'external_id', u.external_id, 'guest', c.guest, 'site_id', c.site_id,
			'dial_string', c.dial_string, 'dialed_as', c.dialed_as, 'service_urn', c.service_urn, 'origin', c.origin, 'endpoint', c.endpoint,
			'metadata', c.metadata, 'presented_number', c.presented_number, 'external_call_id', NULL, 'key_hash', NULL, 'external_hash', NULL,
			'presence', NULL, 'locks_presence', c.locks_presence, 'test', c.test, 'warnings', '[]'::jsonb, 'rerun', false, 'ttl_seconds', 3600,
			'max_call_seconds', 14400, 'tenant_version', t.config_version, 'user_version', u.version, 'request_id', 'bench', 'traceparent', NULL) AS p,
		json_build_array(json_build_object('source', 'pool_lease',
			'types', json_build_object(c.number_type, json_build_object('decision', c.decision, 'warnings', '[]'::json)),
			'pools', (SELECT json_agg(p.id ORDER BY p.id) FROM pools p WHERE p.tenant_id = c.tenant_id AND p.site_id = c.site_id))) AS ladder
	FROM (SELECT DISTINCT ON (user_id) * FROM emergency_calls WHERE tenant_id = $1 ORDER BY user_id) c
	JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id JOIN tenants t ON t.id = c.tenant_id`;

const place = (alone, variables) => `
BEGIN;
SELECT set_config('switchback.tenant', :tenant::text, true);
SELECT (r.outcome = 'alone')::int AS again${variables} FROM bench_calls b, LATERAL place_call_3(:tenant::uuid,
	b.p || jsonb_build_object('call_id', :call::text, 'new_call_id', :call::text), b.ladder, 1, ${alone}) r WHERE b.n = :n \\gset
COMMIT;`;
const end = (alone) => `
BEGIN;
SELECT set_config('switchback.tenant', :tenant::text, true);
SELECT (outcome = 'alone')::int AS again FROM move_call_1(:tenant::uuid, :call::text, 'end', '{}', 1, ${alone}) \\gset
COMMIT;`;
const again = (script) => `\\if :again${script}\n\\endif`;

// As the service does, what cannot be had without waiting is tried again alone.
const SCRIPT = `
\\set n random(1, :users)
SELECT gen_random_uuid() AS call \\gset${place(false, '')}
${again(place(true, ''))}${end(false)}
${again(end(true))}
`;

export async function prepare(world, tenant) {
	await world.sql('DROP TABLE IF EXISTS bench_calls');
	await world.pool.query(TABLE.replace('$1', `'${tenant.id}'`));
	await world.sql('ALTER TABLE bench_calls ADD PRIMARY KEY (n)');
	await world.sql('GRANT SELECT ON bench_calls TO switchback_app');
	await world.sql('ANALYZE');
	const [{ n }] = await world.sql('SELECT count(*)::int AS n FROM bench_calls');
	return n;
}

// { pairs, seconds, latencies } as load() gives them; a pair is one run of the script.
export async function pgbench(world, tenant, users, clients, seconds) {
	const folder = mkdtempSync(join(tmpdir(), 'switchback-bench-'));
	try {
		writeFileSync(join(folder, 'place_end.sql'), SCRIPT);
		const args = [
			'--no-vacuum',
			'--protocol=prepared',
			`--client=${clients}`,
			'--jobs=2',
			`--time=${seconds}`,
			'--log',
			`--log-prefix=${join(folder, 'log')}`,
			`--define=users=${users}`,
			`--define=tenant=${tenant.id}`,
			`--file=${join(folder, 'place_end.sql')}`,
			world.url,
		];
		await promisify(execFile)('pgbench', args, {
			env: { ...process.env, PGOPTIONS: '-c role=switchback_app -c search_path=switchback,pg_temp' },
			maxBuffer: 1 << 26,
		});
		const latencies = readdirSync(folder)
			.filter((name) => name.startsWith('log'))
			.flatMap((name) =>
				readFileSync(join(folder, name), 'utf8')
					.split('\n')
					.filter(Boolean)
					.map((line) => Number(line.split(' ')[2]) / 1000),
			);
		return { pairs: latencies.length, seconds, latencies: latencies.sort((a, b) => a - b) };
	} finally {
		rmSync(folder, { recursive: true });
	}
}
