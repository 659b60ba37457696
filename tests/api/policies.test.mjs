// Policies: every field with its values, and to whom they are given. Their effect is not tested here.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { DESK, unique } from '../lib/fixture.mjs';
import { lifecycle, refused } from '../lib/lifecycle.mjs';

let w;
let t;
let stranger;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: null });
	stranger = await w.tenant({ numbers: null, users: 0 });
});
after(() => w.close());

const destination = { type: 'sip_group', address: 'group-1', name: null, staffed_24x7: true };
const inAnHour = () => new Date(Date.now() + 3600_000).toISOString().replace('Z', '000Z');
const ROUTES = ['psap_only', 'psap_and_team', 'team_only', 'team_then_psap', 'sip_group_only', 'team_then_sip_group'];
const OPERATIONS = [
	'hold', 'local_mute', 'remote_mute', 'transfer', 'start_recording', 'stop_recording', 'add_participant', 'remove_participant',
];
// What api.md lists for every field: values that are taken, then some that are not.
const FIELDS = {
	preset: [['teams_phone', 'dynamics_365', 'zoom_phone'], ['avaya', '']],
	calling: [['auto', 'primary', 'shared'], ['own']],
	caller_id: [['number_pool', 'receptionist', 'call_queue', 'resource_account'], ['fallback']],
	caller_id_control: [['switchback', 'platform'], ['pbx']],
	lease_ttl_seconds: [[60, 86400], [59, 86401, 60.5, '60']],
	test_lease_ttl_seconds: [[60, 3600], [59, 3601]],
	lease_clock: [['placed', 'ended'], ['connected']],
	lease_repeat: [['renew', 'next'], ['same']],
	lease_exhausted: [['reuse_oldest', 'reuse_first', 'fallback'], ['refuse']],
	unleased_callback: [['last_holder', 'resource_account', 'receptionist', 'call_queue', 'safety_team', 'fallback'], ['nobody']],
	callback_grace_seconds: [[0, 604800], [-1, 604801]],
	callback_ring: [['by_placing_client', 'ccaas_only', 'placing_endpoint', 'all_endpoints'], ['teams_only']],
	callback_no_answer: [['safety_team', 'fallback', 'candidates', 'none'], ['voicemail']],
	callback_no_answer_seconds: [[5, 120], [4, 121]],
	route: [ROUTES, ['team']],
	max_hold_seconds: [[1, 60], [0, 61]],
	safety_team: [[destination], ['sip:x', {}, { ...destination, type: 'nowhere' }]],
	sip_group: [[destination], [{ type: 'phone_number', address: '911' }, { type: 'sip_uri', address: 'x' }]],
	record_safety_team: [[true, false], ['false', 0]],
	psap_enabled: [[true], ['true']],
	notify_mode: [['none', 'notify', 'listen', 'speak'], ['silent']],
	blocked_operations: [[[], ['hold'], OPERATIONS], ['hold', ['mute'], ['hold', 'hold'], [null]]],
	visible_controls: [[[], ['end_call', 'device_settings']], [['hang_up'], ['end_call', 'end_call']]],
	block_incoming: [[true, false], [1]],
	record: [[true, false], ['no']],
	history: [[true, false], ['no']],
	presence_lock: [[true, false], ['no']],
	presence_value: [['do_not_disturb', 'busy'], ['away']],
	presence_restore: [['call_ended', 'session_closed'], ['never']],
	max_call_seconds: [[60, 86400], [59, 86401]],
	retention_seconds: [[0, 31536000], [-1, 31536001]],
};
const inherited = Object.fromEntries([...Object.keys(FIELDS), 'psap_disabled_until', 'external_id'].map((name) => [name, null]));

lifecycle({
	kind: 'policies',
	tenant: () => t,
	other: () => stranger,
	least: () => ({ name: 'p' }),
	all: () => ({
		...Object.fromEntries(Object.entries(FIELDS).map(([name, [good]]) => [name, good.at(-1)])),
		external_id: unique('p'),
		name: 'S\u00e3o "Paulo"',
		psap_enabled: false,
		psap_disabled_until: inAnHour(),
	}),
	defaults: inherited,
	nulls: Object.keys(inherited),
	change: () => ({ name: 'q', route: 'team_only', blocked_operations: ['transfer', 'hold'] }),
});

for (const [name, [good, bad]] of Object.entries(FIELDS))
	test(`${name}: its values, and no other`, async () => {
		const made = await t.create('policies', { name: 'p' });
		for (const value of [...good, null]) {
			assert.deepEqual((await t.create('policies', { name: 'p', [name]: value }))[name], value);
			assert.deepEqual((await t.change(`/policies/${made.id}`, { [name]: value }))[name], value);
		}
		for (const value of bad) {
			const asked = await t.call('POST', '/policies', { body: { name: 'p', [name]: value } });
			assert.equal(asked.status, 422, JSON.stringify(value));
			for (const { pointer } of asked.body.errors) assert.match(pointer, new RegExp(`^/${name}(/|$)`));
			assert.equal((await t.changing(`/policies/${made.id}`, { [name]: value })).status, 422, JSON.stringify(value));
		}
		assert.equal((await t.get(`/policies/${made.id}`))[name], null, 'what was refused left nothing');
	});

test('PSAP routing is switched off for at most 24 hours, and for a known time', async () => {
	const creating = (body) => t.call('POST', '/policies', { body: { name: 'p', ...body } });
	const at = (hours) => new Date(Date.now() + hours * 3600_000).toISOString();
	const pointer = '/psap_disabled_until';
	await refused(creating({ psap_enabled: false }), 422, 'required', pointer);
	for (const psap_enabled of [true, null, undefined])
		await refused(creating({ psap_enabled, psap_disabled_until: at(1) }), 422, 'invalid_value', pointer);
	assert.match(await refused(creating({ psap_enabled: false, psap_disabled_until: at(-0.1) }), 422, 'invalid_value', pointer), /future/);
	assert.match(await refused(creating({ psap_enabled: false, psap_disabled_until: at(24.1) }), 422, 'invalid_value', pointer), /24/);
	const { body: made } = await creating({ psap_enabled: false, psap_disabled_until: at(23.9) });
	assert.equal(made.psap_enabled, false);
	const path = `/policies/${made.id}`;
	await refused(t.changing(path, { psap_enabled: true }), 422, 'invalid_value', pointer);
	await refused(t.changing(path, { psap_disabled_until: null }), 422, 'required', pointer);
	await refused(t.changing(path, { psap_disabled_until: at(25) }), 422, 'invalid_value', pointer);

	// Once the time has passed, the rest of the policy can still be changed, and the time only to a new one.
	const past = '2026-03-02T15:04:05.000000Z';
	await w.sql(`UPDATE policies SET fields = (fields::jsonb || $2)::json WHERE id = $1`, [made.id, { psap_disabled_until: past }]);
	const renamed = await t.change(path, { name: 'later' });
	assert.deepEqual([renamed.name, renamed.psap_enabled, renamed.psap_disabled_until], ['later', false, past]);
	await refused(t.changing(path, { psap_disabled_until: '2026-03-02T15:04:06Z' }), 422, 'invalid_value', pointer);
	await t.change(path, { psap_disabled_until: at(1) });
	const on = await t.change(path, { psap_enabled: null, psap_disabled_until: null });
	assert.deepEqual([on.psap_enabled, on.psap_disabled_until], [null, null]);
});

test('times are told in UTC', async () => {
	const local = new Date(Date.now() + 7200_000).toISOString().slice(0, 19);
	const made = await t.create('policies', { name: 'p', psap_enabled: false, psap_disabled_until: `${local}+01:00` });
	assert.equal(Date.parse(made.psap_disabled_until), Date.parse(`${local}+01:00`));
});

test('a policy that somebody has is not deleted, and says who', async () => {
	const external_id = unique('p');
	const { id } = await t.create('policies', { name: 'p', external_id });
	const policy_id = `ext:${external_id}`;
	const site = await t.site({ policy_id });
	const user = await t.user({ policy_id: id });
	await t.change('', { policy_id });
	assert.deepEqual([site.policy_id, user.policy_id, (await t.get('')).policy_id], [id, id, id]);
	const { status, body } = await t.call('DELETE', `/policies/${id}`);
	assert.deepEqual([status, body.code], [409, 'in_use']);
	assert.deepEqual(body.references, [
		{ type: 'tenant', id: t.id },
		{ type: 'site', id: site.id },
		{ type: 'user', id: user.id },
	]);
	const many = await t.create('policies', { name: 'many' });
	for (let i = 0; i < 21; i++) await t.user({ policy_id: many.id });
	assert.equal((await t.call('DELETE', `/policies/${many.id}`)).body.references.length, 20);
	await t.change('', { policy_id: null });
	assert.equal((await t.call('DELETE', `/policies/${id}`)).body.references.length, 2);
});

test('another tenant\'s policy can be given to nobody', async () => {
	const { id } = await stranger.create('policies', { name: 'p', external_id: unique('p') });
	await refused(t.changing('', { policy_id: id }), 422, 'unknown_reference', '/policy_id');
	const body = { name: 's', region: 'US', address_id: t.homeAddress.id, policy_id: id };
	await refused(t.call('POST', '/sites', { body }), 422, 'unknown_reference', '/policy_id');
});

test('writes of policies are in the audit and raise the version of the configuration', async () => {
	const version = async () => (await w.sql('SELECT config_version FROM tenants WHERE id = $1', [t.id]))[0].config_version;
	const first = await version();
	const { id } = await t.create('policies', { name: 'p', safety_team: DESK });
	await t.change(`/policies/${id}`, { safety_team: { name: 'Front' } });
	await t.delete(`/policies/${id}`);
	assert.equal(BigInt(await version()) - BigInt(first), 3n);
	const rows = await w.sql('SELECT action, resource_type FROM audit_entries WHERE resource_id = $1 ORDER BY id', [id]);
	assert.deepEqual(rows.map(({ action }) => action), ['created', 'updated', 'deleted']);
	assert.ok(rows.every(({ resource_type }) => resource_type === 'policy'));
});
