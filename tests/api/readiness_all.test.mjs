// The readiness of fifty thousand users, page by page, in bounded memory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { world } from '../lib/harness.mjs';
import { DESK, unique } from '../lib/fixture.mjs';

const MANY = 50_000;
const SITES = 40;
let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: null, users: 0 });
	await stock();
});
after(() => w.close());

// Sites of all kinds, policies at every level, rules and routes of tenant and site; and users all over them, by
// turns remote, with an address, a number and a policy of their own.
async function stock() {
	for (let i = 0; i < 20; i++) {
		await t.create('policies', { name: unique('policy'), preset: ['teams_phone', 'zoom_phone', null][i % 3], lease_ttl_seconds: 3600 + i });
		await t.create('dial-rules', { name: unique('rule'), kind: 'custom', pattern: `7${100 + i}`, translation: w.number() });
	}
	await t.create('carrier-routes', { pattern: '.*', trunk: 'sbc1' });
	for (let i = 0; i < SITES; i++) {
		const site = await t.site({ fallback: DESK, resource_account: t.account });
		if (i % 2) await t.pool({ site, numbers: 2, number_type: i % 4 === 1 ? 'byoc' : 'native' });
		await t.create('dial-rules', { name: unique('rule'), kind: 'mask', pattern: `8${100 + i}`, translation: '911', site_id: site.id });
	}
	await t.ownNumber();
	const user = await t.user();
	await w.sql(
		`WITH n AS (INSERT INTO phone_numbers (tenant_id, id, number, number_type, region, usage)
			SELECT $1, uuid7(), '+1999' || (1000000 + i), 'native', 'US', 'user' FROM generate_series(1, $3 / 5) i RETURNING id),
		numbered AS (SELECT id, row_number() OVER () * 5 AS at FROM n)
		INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object('id', lpad(to_hex(1700000000000 + i), 12, '0') || '70008000' || lpad(i::text, 12, '0'),
			'external_id', 'bulk-' || i, 'site_id', sites[1 + i % array_length(sites, 1)],
			'policy_id', CASE WHEN i % 3 = 0 THEN policies[1 + i % array_length(policies, 1)] END,
			'remote', i % 7 = 0, 'address_id', CASE WHEN i % 2 = 0 THEN $4 END, 'number_id', numbered.id))).*
		FROM users u, generate_series(1, $3) i LEFT JOIN numbered ON numbered.at = i,
			(SELECT array_agg(id) AS sites FROM sites WHERE tenant_id = $1) s, (SELECT array_agg(id) AS policies FROM policies WHERE tenant_id = $1) p
		WHERE u.tenant_id = $1 AND u.id = $2`,
		[t.id, user.id, MANY - 1, t.homeAddress.id],
	);
	await w.sql('ANALYZE');
}

const highWater = (server) => Number(readFileSync(`/proc/${server.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+) kB/)[1]) * 1024;

test(`the readiness of ${MANY} users: every one once, in bounded memory`, async (context) => {
	const ids = new Set();
	const told = new Map();
	const started = performance.now();
	for (let token, page = 0; page === 0 || token; page++) {
		const query = new URLSearchParams({ page_size: 1000, ...(token && { page_token: token }) });
		const body = await t.get(`/readiness?${query}`);
		for (const { user_id, findings } of body.items) {
			ids.add(user_id);
			for (const { code } of findings) told.set(code, (told.get(code) ?? 0) + 1);
		}
		assert.ok(body.items.length === 1000, 'fifty full pages');
		token = body.next_page_token;
	}
	const seconds = (performance.now() - started) / 1000;
	assert.equal(ids.size, MANY);
	// A sanitizer takes memory of its own, and gives nothing back for long.
	const bound = process.env.ASAN_OPTIONS || process.env.TSAN_OPTIONS ? Infinity : 64 * 2 ** 20;
	assert.ok(highWater(w.servers[0]) < bound, `${highWater(w.servers[0])} bytes`);
	context.diagnostic(`${seconds.toFixed(1)} s, VmHWM ${(highWater(w.servers[0]) / 2 ** 20).toFixed(1)} MiB, ${JSON.stringify(Object.fromEntries(told))}`);
});
