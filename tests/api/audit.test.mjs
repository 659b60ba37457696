// Audit entries: who changed what, and nothing about whom.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { DESK, unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 2 });
});
after(() => w.close());

const of = (resource_id) => t.list('audit-entries', { resource_id });
const told = (entries) => entries.map(({ action, resource_type }) => `${action} ${resource_type}`);

test('each write leaves one entry with the key that made it; the operator has none', async () => {
	const site = await t.site();
	await t.change(`/sites/${site.id}`, { name: 'other' });
	await t.delete(`/sites/${site.id}`);
	const entries = await of(site.id);
	assert.deepEqual(told(entries), ['created site', 'updated site', 'deleted site']);
	assert.ok(entries.every(({ key_id }) => key_id === t.apiKey.id));
	assert.deepEqual(told(await of(t.id)).slice(0, 1), ['created tenant']);
	assert.equal((await of(t.id))[0].key_id, null);
	assert.deepEqual(
		(await t.list('audit-entries', { key_id: t.apiKey.id, resource_type: 'site' })).filter((e) => e.resource_id === site.id),
		entries,
	);
});

test('a write that fails, and one that changes nothing, leave none', async () => {
	const site = await t.site();
	await t.changing(`/sites/${site.id}`, { name: site.name }, { expect: 200 });
	await t.changing(`/sites/${site.id}`, { name: 'x' }, { etag: '"9"', expect: 412 });
	await t.changing(`/sites/${site.id}`, { region: 'DE' });
	await t.call('DELETE', `/addresses/${t.homeAddress.id}`, { expect: 409 });
	assert.deepEqual(told(await of(site.id)), ['created site']);
	assert.deepEqual(told(await of(t.homeAddress.id)), ['created address']);
});

test('numbers that come with a pool or a site are registered, and that is told', async () => {
	const number = w.number();
	await t.create(`pools/${t.homePool.id}/numbers`, { numbers: [number] });
	const pooled = await t.get(`/phone-numbers/${encodeURIComponent(number)}`);
	assert.deepEqual(told(await of(pooled.id)), ['created phone_number']);
	const role = { number: w.number(), destination: DESK };
	await t.site({ receptionist: role });
	const service = await t.get(`/phone-numbers/${encodeURIComponent(role.number)}`);
	assert.deepEqual(told(await of(service.id)), ['created phone_number']);
});

test('calls, presence and other operational things leave none', async () => {
	const before = await t.list('audit-entries');
	await t.setPresence(t.agent, 'busy');
	await t.end(await t.place(t.agent));
	assert.deepEqual(await t.list('audit-entries'), before);
});

test('no number, address or name is in any entry, whatever is written', async () => {
	const canary = unique('canary');
	const number = w.number();
	const address = await t.address({ street: canary, external_id: canary });
	await t.change(`/addresses/${address.id}`, { city: canary });
	await t.create('phone-numbers', { number, number_type: 'native', region: 'US', usage: 'user' });
	await t.user({ display_name: canary });
	const [{ all }] = await w.sql(`SELECT string_agg(a::text, ' ') AS all FROM audit_entries a`);
	assert.ok(!all.includes(canary) && !all.includes(number) && !all.includes(number.slice(1)));
	assert.match(all, new RegExp(address.id));
});

test('entries are told in order, page by page, and to nobody else', async () => {
	const entries = await t.list('audit-entries', { page_size: 3 });
	assert.deepEqual(entries, await t.list('audit-entries'));
	assert.ok(entries.every((e, i) => i === 0 || e.at >= entries[i - 1].at));
	const other = await w.tenant({ numbers: null, users: 0 });
	const theirs = await other.list('audit-entries');
	assert.ok(theirs.length > 0 && theirs.every((e) => !entries.some(({ id }) => id === e.id)));
});

test('the service may add entries and read them, no more', async () => {
	for (const privilege of ['UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) {
		const [{ may }] = await w.sql(`SELECT has_table_privilege('switchback_app', 'audit_entries', $1) AS may`, [privilege]);
		assert.equal(may, false, privilege);
	}
});
