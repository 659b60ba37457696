// Carrier routes: which dial strings leave by which trunk.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';
import { lifecycle, refused } from '../lib/lifecycle.mjs';

let w;
let t;
let stranger;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: null, users: 0 });
	stranger = await w.tenant({ numbers: null, users: 0 });
});
after(() => w.close());

lifecycle({
	kind: 'carrier-routes',
	tenant: () => t,
	other: () => stranger,
	least: () => ({ pattern: '911', trunk: 'sbc1' }),
	all: () => ({
		site_id: t.home.id,
		pattern: '.*',
		trunk: 'sbc1.example:5061;transport=tls',
		emergency_confirmed_at: '2026-03-02T15:04:05.123456Z',
	}),
	defaults: { site_id: null, emergency_confirmed_at: null },
	nulls: ['site_id', 'emergency_confirmed_at'],
	change: () => ({ pattern: '9x1', trunk: 'sbc2' }),
	external: false,
});

for (const pattern of ['.*', '*', '911', 'xxx', '*9#', '9'.repeat(32)])
	test(`pattern ${pattern} is taken`, async () => {
		const made = await t.create('carrier-routes', { pattern, trunk: 'sbc' });
		assert.equal(made.pattern, pattern);
	});

for (const pattern of ['', '.', '9.*', '+14255550100', '[0-9]', '^911$', '9 11', 'X', '9'.repeat(33), null, 911])
	test(`pattern ${JSON.stringify(pattern)} is refused`, async () => {
		await refused(t.call('POST', '/carrier-routes', { body: { pattern, trunk: 'sbc' } }), 422, 'invalid_value', '/pattern');
		const { id } = await t.create('carrier-routes', { pattern: '911', trunk: 'sbc' });
		await refused(t.changing(`/carrier-routes/${id}`, { pattern }), 422, 'invalid_value', '/pattern');
	});

test('what is needed', async () => {
	const { body } = await t.call('POST', '/carrier-routes', { body: {} });
	assert.deepEqual([body.code, body.errors.map(({ pointer }) => pointer)], ['required', ['/pattern', '/trunk']]);
	const asked = { pattern: '911', trunk: 'sbc', site_id: stranger.home.id };
	await refused(t.call('POST', '/carrier-routes', { body: asked }), 422, 'unknown_reference', '/site_id');
	const late = { pattern: '911', trunk: 'sbc', emergency_confirmed_at: 'yesterday' };
	await refused(t.call('POST', '/carrier-routes', { body: late }), 422, 'invalid_value', '/emergency_confirmed_at');
});

test('those of a site', async () => {
	const external_id = unique('s');
	const site = await t.site({ external_id });
	const made = await t.create('carrier-routes', { pattern: '.*', trunk: 'sbc', site_id: `ext:${external_id}` });
	assert.equal(made.site_id, site.id);
	assert.deepEqual(await t.list('carrier-routes', { site_id: `ext:${external_id}` }), [made]);
	assert.deepEqual(await t.list('carrier-routes', { site_id: stranger.home.id }), []);
});
