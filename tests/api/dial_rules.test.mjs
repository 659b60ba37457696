// Dial rules: what a rule may say, by itself and against the numbers, users and rules around it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';
import { lifecycle, refused } from '../lib/lifecycle.mjs';

let w;
let t; // US, one site in the US
let stranger;
let wide; // US, sites in the US and in Germany
let german;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: null });
	stranger = await w.tenant({ numbers: null, users: 0 });
	wide = await w.tenant({ numbers: null, users: 0 });
	const address = await wide.address({ region: 'DE', admin_area: null, city: 'Berlin' });
	german = await wide.site({ region: 'DE', address_id: address.id });
});
after(() => w.close());

const GROUP = { type: 'sip_group', address: 'group-1', name: null, staffed_24x7: null };
const INSIDE = ['team_only', 'team_then_psap', 'sip_group_only', 'team_then_sip_group'];
const OUTSIDE = ['psap_only', 'psap_and_team', null, undefined];
let serial = 0;
// A pattern that no other rule of these tests has: 8 and four digits.
const fresh = () => `8${String(++serial).padStart(4, '0')}`;
const custom = (body) => ({ name: 'r', kind: 'custom', route: 'team_only', pattern: fresh(), ...body });
const mask = (body) => ({ name: 'm', kind: 'mask', pattern: fresh(), translation: '911', ...body });
const creating = (body, of = t) => of.call('POST', '/dial-rules', { body });
const creation = (body, of = t) => of.create('dial-rules', body);

lifecycle({
	kind: 'dial-rules',
	tenant: () => t,
	other: () => stranger,
	least: () => ({ name: 'm', kind: 'mask', pattern: fresh(), translation: '911' }),
	all: () => ({
		external_id: unique('r'),
		site_id: t.home.id,
		name: 'Infirmary',
		pattern: '7xx*#',
		kind: 'custom',
		translation: '+1425555x1x',
		route: 'team_then_sip_group',
		max_hold_seconds: 600,
		sip_group: GROUP,
		notify: false,
	}),
	defaults: { external_id: null, site_id: null, route: null, max_hold_seconds: null, sip_group: null, notify: true, warnings: [] },
	nulls: ['external_id', 'site_id', 'max_hold_seconds', 'sip_group', 'notify'],
	change: () => ({ name: 'Sick bay', route: 'psap_only', max_hold_seconds: 30 }),
});

test('filters: site and kind', async () => {
	const of = await w.tenant({ numbers: null, users: 0, body: { external_id: unique('t') } });
	const external_id = unique('s');
	const site = await of.site({ external_id });
	const a = await creation(mask({ site_id: site.id }), of);
	const b = await creation(custom({ site_id: `ext:${external_id}` }), of);
	const c = await creation(custom(), of);
	assert.equal(b.site_id, site.id);
	assert.deepEqual(await of.list('dial-rules', { site_id: `ext:${external_id}` }), [a, b]);
	assert.deepEqual(await of.list('dial-rules', { kind: 'custom' }), [b, c]);
	assert.deepEqual(await of.list('dial-rules', { kind: 'custom', site_id: site.id }), [b]);
	assert.equal((await of.call('GET', '/dial-rules?kind=alias')).status, 400);
});

// Rules that break one by themselves: what they say, and what is answered.
const ALONE = [
	[custom({ pattern: '' }), 'invalid_value', '/pattern'],
	[custom({ pattern: '12a' }), 'invalid_value', '/pattern'],
	[custom({ pattern: '12X' }), 'invalid_value', '/pattern'],
	[custom({ pattern: '+0425555' }), 'invalid_value', '/pattern'],
	[custom({ pattern: '+1425555010x' }), 'invalid_value', '/pattern'],
	[custom({ pattern: '8'.repeat(33) }), 'invalid_value', '/pattern'],
	[custom({ pattern: `8${'x'.repeat(16)}` }), 'invalid_value', '/pattern'],
	[custom({ translation: '' }), 'invalid_value', '/translation'],
	[custom({ translation: 'sip:x' }), 'invalid_value', '/translation'],
	[custom({ translation: '+1425555xxxx' }), 'invalid_value', '/translation'],
	[custom({ pattern: '8xx', translation: '8xxx' }), 'invalid_value', '/translation'],
	[custom({ max_hold_seconds: 0 }), 'invalid_value', '/max_hold_seconds'],
	[custom({ max_hold_seconds: 601 }), 'invalid_value', '/max_hold_seconds'],
	[custom({ route: 'team' }), 'invalid_value', '/route'],
	[custom({ kind: 'alias' }), 'invalid_value', '/kind'],
	[custom({ sip_group: { type: 'sip_uri', address: 'x' } }), 'invalid_value', '/sip_group/address'],
	[custom({ site_id: 'ext:nowhere' }), 'unknown_reference', '/site_id'],
	[mask({ translation: undefined }), 'required', '/translation'],
	[mask({ translation: null }), 'required', '/translation'],
	[mask({ translation: '+14255550100' }), 'invalid_value', '/translation'],
	[mask({ max_hold_seconds: 61 }), 'invalid_value', '/max_hold_seconds'],
	[custom({ kind: 'override', pattern: '911', translation: '911' }), 'invalid_value', '/translation'],
	[custom({ kind: 'override', pattern: '9x1' }), 'invalid_value', '/pattern'],
	[custom({ kind: 'override', pattern: '8911' }), 'invalid_value', '/pattern'],
	[custom({ kind: 'override', pattern: '911', max_hold_seconds: 61 }), 'invalid_value', '/max_hold_seconds'],
];
for (const [body, code, pointer] of ALONE) {
	const { kind, name, ...shown } = body;
	test(`${kind} ${JSON.stringify(shown)}: ${code} at ${pointer}`, () => refused(creating(body), 422, code, pointer));
}

test('patterns that are taken', async () => {
	for (const pattern of ['80', '*80#', 'xxxxxxx', '+14255550142', '8'.repeat(32), `8${'x'.repeat(15)}`]) {
		const made = await creation(custom({ pattern }));
		assert.equal(made.pattern, pattern);
		await t.delete(`/dial-rules/${made.id}`);
	}
});

test('a pattern may be there twice: the oldest comes first', async () => {
	const body = custom();
	const [a, b] = [await creation(body), await creation(body)];
	assert.notEqual(a.id, b.id);
});

// pattern, what must be named; US unless said otherwise
const CONFLICTS = [
	['custom', '911', '911'],
	['custom', '112', '112'],
	['custom', 'xxx', '112'],
	['custom', '9x1', '911'],
	['custom', '933', '933'],
	['custom', '93x', '933'],
	['test', '911', '911'],
	['test', '1xx', '112'],
];
for (const [kind, pattern, named] of CONFLICTS)
	test(`a ${kind} pattern ${pattern} would take ${named}: refused, when created and when changed`, async () => {
		assert.match(await refused(creating(custom({ kind, pattern })), 422, 'pattern_conflict', '/pattern'), new RegExp(named));
		const { id } = await creation(custom({ kind }));
		assert.match(await refused(t.changing(`/dial-rules/${id}`, { pattern }), 422, 'pattern_conflict', '/pattern'), new RegExp(named));
	});

test('a conflict is told before a missing translation', () =>
	refused(creating({ name: 'r', kind: 'custom', pattern: '911' }), 422, 'pattern_conflict', '/pattern'));

test('933 is a test number of ours to describe, and 110 no number of the US', async () => {
	await creation(custom({ kind: 'test', pattern: '933' }));
	await creation(custom({ pattern: '110' }));
});

test('a rule of the tenant meets the numbers of all of its sites, a rule of a site those of its own', async () => {
	const pointer = '/pattern';
	assert.match(await refused(creating(custom({ pattern: '110' }), wide), 422, 'pattern_conflict', pointer), /110.*DE/);
	await refused(creating(custom({ pattern: '110', site_id: german.id }), wide), 422, 'pattern_conflict', pointer);
	const { id } = await creation(custom({ pattern: '110', site_id: wide.home.id }), wide);
	await refused(wide.changing(`/dial-rules/${id}`, { site_id: german.id }), 422, 'pattern_conflict', pointer);
	await refused(wide.changing(`/dial-rules/${id}`, { site_id: null }), 422, 'pattern_conflict', pointer);
	await creation(custom({ pattern: '933', site_id: german.id }), wide);
	await refused(creating(custom({ pattern: '933' }), wide), 422, 'pattern_conflict', pointer);
	await refused(wide.changing(`/dial-rules/${id}`, { kind: 'mask', site_id: stranger.home.id }), 422, 'required', '/translation');
	await refused(wide.changing(`/dial-rules/${id}`, { site_id: stranger.home.id }), 422, 'unknown_reference', '/site_id');
});

test("a pattern may not be a user's extension, but another tenant's is nobody's", async () => {
	await t.user({ extension: '6000' });
	await t.user({ extension: '*61' });
	for (const pattern of ['6000', '6xxx', '*61', '*6x'])
		for (const body of [custom({ pattern }), custom({ kind: 'test', pattern }), mask({ pattern })])
			assert.match(await refused(creating(body), 422, 'pattern_conflict', '/pattern'), /6000|\*61/);
	await creation(custom({ pattern: '60000' }));
	await creation(custom({ pattern: 'x61' }));
	await creation(custom({ pattern: '6000' }), stranger);
	const { id } = await creation(custom());
	await refused(t.changing(`/dial-rules/${id}`, { pattern: '600x' }), 422, 'pattern_conflict', '/pattern');
});

test('a custom rule that goes out to the public network needs a number to dial there', async () => {
	for (const route of INSIDE) await creation(custom({ route }));
	for (const route of OUTSIDE) {
		await refused(creating(custom({ route })), 422, 'translation_required', '/translation');
		await creation(custom({ route, translation: '+14255550142' }));
	}
	const { id } = await creation(custom());
	await refused(t.changing(`/dial-rules/${id}`, { route: null }), 422, 'translation_required', '/translation');
	await t.change(`/dial-rules/${id}`, { route: 'psap_only', translation: '4711' });
	await refused(t.changing(`/dial-rules/${id}`, { translation: null }), 422, 'translation_required', '/translation');
	await creation(custom({ kind: 'test', route: null }));
});

test('nobody configures an emergency number away', async () => {
	assert.match(await refused(creating(mask({ pattern: '911', translation: '4711' })), 422, 'pattern_conflict', '/pattern'), /911/);
	const { id } = await creation(mask({ pattern: '112', translation: '911' }));
	await refused(t.changing(`/dial-rules/${id}`, { translation: '0' }), 422, 'pattern_conflict', '/pattern');
	await t.delete(`/dial-rules/${id}`);
	assert.match(
		await refused(creating(mask({ pattern: '112', translation: '911' }), wide), 422, 'pattern_conflict', '/pattern'),
		/DE/,
	);
	await creation(mask({ pattern: '112', translation: '911', site_id: wide.home.id }), wide);
});

test('a mask is not masked again', async () => {
	const of = await w.tenant({ numbers: null, users: 0 });
	const elsewhere = await of.site();
	const first = await creation(mask({ pattern: '70x', translation: '71x' }), of);
	const named = (detail) => assert.match(detail, new RegExp(first.id));
	named(await refused(creating(mask({ pattern: '5', translation: '703' }), of), 422, 'invalid_value', '/translation'));
	named(await refused(creating(mask({ pattern: 'x11' }), of), 422, 'invalid_value', '/pattern'));
	named(await refused(creating(mask({ pattern: '5x', translation: '7x3', site_id: elsewhere.id }), of), 422, 'invalid_value', '/translation'));
	const second = await creation(mask({ pattern: '5' }), of);
	named(await refused(of.changing(`/dial-rules/${second.id}`, { translation: '700' }), 422, 'invalid_value', '/translation'));
	await of.change(`/dial-rules/${first.id}`, { site_id: of.home.id });
	await of.change(`/dial-rules/${second.id}`, { site_id: elsewhere.id, translation: '700' });
	await refused(of.changing(`/dial-rules/${first.id}`, { site_id: null }), 422, 'invalid_value', '/pattern');
	await creation(custom({ pattern: '703' }), of);
});

test('an override is of an emergency number of the region', async () => {
	const made = await creation({ name: 'o', kind: 'override', pattern: '911', route: 'team_then_psap', max_hold_seconds: 60, notify: false });
	assert.deepEqual([made.translation, made.warnings], [null, []]);
	await refused(t.changing(`/dial-rules/${made.id}`, { pattern: '110' }), 422, 'invalid_value', '/pattern');
	await creation({ name: 'o', kind: 'override', pattern: '110' }, wide);
	await creation({ name: 'o', kind: 'override', pattern: '110', site_id: german.id }, wide);
	await refused(creating({ name: 'o', kind: 'override', pattern: '110', site_id: wide.home.id }, wide), 422, 'invalid_value', '/pattern');
});

for (const code of ['211', '311', '411', '511', '611', '711', '811', '988'])
	test(`${code} is a public short code: accepted with a warning, in every answer`, async () => {
		const made = await creation(custom({ pattern: code }));
		assert.deepEqual(made.warnings.map((warning) => warning.code), ['public_short_code']);
		assert.match(made.warnings[0].detail, new RegExp(`${code}.*US`));
		const path = `/dial-rules/${made.id}`;
		assert.deepEqual((await t.get(path)).warnings, made.warnings);
		assert.deepEqual((await t.list('dial-rules')).find(({ id }) => id === made.id).warnings, made.warnings);
		assert.deepEqual((await t.change(path, { name: 'again' })).warnings, made.warnings);
		assert.deepEqual((await t.change(path, { pattern: fresh() })).warnings, []);
		await refused(t.changing(path, { warnings: [] }), 422, 'read_only', '/warnings');
	});

test('the warnings are those of the region of the site', async () => {
	const body = { ...custom({ pattern: '711' }), site_id: german.id };
	assert.deepEqual((await creation(body, wide)).warnings, []);
	assert.equal((await creation({ ...body, site_id: wide.home.id }, wide)).warnings.length, 1);
	assert.equal((await creation({ ...body, site_id: null }, wide)).warnings.length, 1);
	assert.equal((await creation({ ...body, pattern: '81x', site_id: null }, wide)).warnings.length, 1);
});

test('masks that are made at the same time do not chain', async () => {
	const of = await w.tenant({ numbers: null, users: 0 });
	for (let round = 0; round < 10; round++) {
		const [a, b] = [fresh(), fresh()];
		const replies = await Promise.all([
			creating(mask({ pattern: a, translation: b }), of),
			creating(mask({ pattern: b, translation: '911' }), of),
		]);
		assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 422]);
	}
});

test('a rule may be renamed where a site has been opened since whose numbers it takes', async () => {
	const tenant = await w.tenant({ numbers: null, users: 0 });
	const rule = await tenant.create('dial-rules', { name: 'infirmary', pattern: '999', kind: 'custom', translation: '+14255550199' });
	const british = await tenant.address({ region: 'GB' });
	await tenant.site({ region: 'GB', address_id: british.id });
	assert.equal((await tenant.change(`/dial-rules/${rule.id}`, { name: 'sick bay' })).name, 'sick bay');
	const moved = await tenant.changing(`/dial-rules/${rule.id}`, { translation: '+14255550198' });
	assert.deepEqual([moved.status, moved.body.code], [422, 'pattern_conflict']);
});
