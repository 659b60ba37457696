// Sites and addresses, changed and deleted: what a site names is registered, what relies on them is kept.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { assertRefused, patch, reference, remove } from '../lib/refusals.mjs';
import { DESK, enc, tenant, unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 1, users: 1 });
});
after(() => w.close());

const abroad = (of = t) => of.address({ region: 'DE', admin_area: null, city: 'Berlin', street: 'Platz' });
const destination = { type: 'call_queue', address: 'queue@teams.example' };
const role = (body) => ({ number: w.number(), destination, ...body });
const site = (made) => `/sites/${made.id}`;
const registered = async (number) => (await t.list('phone-numbers', { number }))[0];
const keyOf = async (scopes) => (await t.create('api-keys', { name: 'k', scopes })).key;

test('a site is changed: objects merge, null takes away, what it was read with holds', async () => {
	const account = role({ licensed: true });
	const made = await t.site({ resource_account: account, safety_team: DESK });
	const was = await t.call('GET', site(made), { expect: 200 });
	const queue = role({ number_type: 'byoc' });
	const now = await patch(
		t,
		site(made),
		{
			name: 'new',
			external_id: unique('s'),
			fallback: { type: 'phone_number', address: '+12065550100' },
			safety_team: { name: 'Desk' },
			resource_account: { staffed_24x7: true, licensed: null, destination: { name: 'Reception' } },
			call_queue: queue,
		},
		{ headers: { 'if-match': was.headers.etag }, expect: 200 },
	);
	assert.deepEqual(now.body.safety_team, { ...DESK, name: 'Desk', staffed_24x7: null });
	assert.deepEqual(now.body.resource_account, {
		...made.resource_account,
		staffed_24x7: true,
		licensed: null,
		destination: { ...made.resource_account.destination, name: 'Reception' },
	});
	assert.deepEqual([now.body.call_queue.number, now.body.call_queue.dedicated_to_safety], [queue.number, false]);
	assert.deepEqual(await t.get(site(made)), now.body);
	assertRefused(await patch(t, site(made), { name: 'x' }, { headers: { 'if-match': was.headers.etag } }), '412 precondition_failed');
	const same = await patch(t, site(made), { name: 'new', call_queue: queue }, { expect: 200 });
	assert.equal(same.headers.etag, now.headers.etag);
	const bare = { safety_team: null, fallback: null, resource_account: null, call_queue: null, external_id: null };
	const cleared = (await patch(t, site(made), bare, { expect: 200 })).body;
	assert.deepEqual(cleared, { ...made, ...bare, name: 'new', updated_at: cleared.updated_at });
	for (const number of [account.number, queue.number]) assert.equal((await registered(number)).usage, 'service', 'it stays registered');
});

test('what a change makes of a whole object is held against its rules', async () => {
	const made = await t.site({ fallback: DESK });
	assertRefused(await patch(t, site(made), { fallback: { type: 'sip_uri', address: 'x' } }), '422 invalid_value', ['/fallback/address']);
	assertRefused(await patch(t, site(made), { fallback: { address: null } }), '422 invalid_value', ['/fallback/address']);
	assertRefused(await patch(t, site(made), { receptionist: { destination } }), '422 required', ['/receptionist/number']);
	assertRefused(await patch(t, site(made), { call_queue: role({ destination: { type: 'phone_number', address: 'x' } }) }), '422 invalid_value', [
		'/call_queue/destination/address',
	]);
	assert.deepEqual(await t.get(site(made)), made);
});

test('the number of a role is of usage service and of its type, and registering it needs its scope', async () => {
	const made = await t.site();
	const other = await tenant(w, { numbers: 0 });
	const named = role();
	await patch(t, site(made), { receptionist: named }, { expect: 200 });
	const wrong = async (value, expected, member, options) =>
		assertRefused(await patch(t, site(made), { call_queue: value }, options), expected, [`/call_queue/${member}`]);
	await wrong(role({ number: t.numbers[0] }), '422 number_usage', 'number');
	await wrong(role({ number: (await t.ownNumber()).number }), '422 number_usage', 'number');
	await wrong({ ...named, number_type: 'byoc' }, '422 number_usage', 'number_type');
	await wrong(role({ number: other.account.number }), '409 number_in_use', 'number');
	const key = await keyOf(['config:write', 'config:read']);
	await wrong(role(), '403 forbidden', 'number', { key });
	assertRefused(await patch(t, site(made), { receptionist: { number_type: 'byoc' } }), '422 number_usage', ['/receptionist/number_type']);
	const two = { receptionist: role(), call_queue: role() };
	two.call_queue.number = two.receptionist.number;
	two.call_queue.number_type = 'byoc';
	assertRefused(await patch(t, site(made), two), '422 number_usage', ['/call_queue/number_type']);
	assert.equal(await registered(two.receptionist.number), undefined, 'nothing of what is refused stays');
	await patch(t, site(made), { call_queue: named, name: 'x' }, { key, expect: 200 });
});

test('a number that two sites name is relied on until neither does', async () => {
	const named = role();
	const [one, two] = [await t.site({ receptionist: named }), await t.site({ call_queue: named })];
	const number = await registered(named.number);
	const path = `/phone-numbers/${number.id}`;
	const sites = [reference('site', one), reference('site', two)];
	assertRefused(await patch(t, path, { number_type: 'byoc' }), '409 in_use', ['/number_type'], sites);
	assertRefused(await remove(t, path), '409 in_use', [], sites);
	await patch(t, site(one), { receptionist: role() }, { expect: 200 });
	assertRefused(await remove(t, path), '409 in_use', [], [sites[1]]);
	await remove(t, site(two), { expect: 204 });
	await patch(t, path, { number_type: 'byoc' }, { expect: 200 });
	await remove(t, path, { expect: 204 });
	await patch(t, site(one), { call_queue: named }, { expect: 200 });
	assert.equal((await registered(named.number)).number_type, 'native', 'it is registered again');
});

test('a site is in the region of its address, and stays in that of its pools', async () => {
	const german = await abroad();
	const body = { name: 'x', region: 'US', address_id: german.id };
	assertRefused(await t.call('POST', '/sites', { body }), '422 invalid_value', ['/region']);
	const made = await t.site();
	assertRefused(await patch(t, site(made), { region: 'DE' }), '422 invalid_value', ['/region']);
	assertRefused(await patch(t, site(made), { address_id: german.id }), '422 invalid_value', ['/address_id']);
	assertRefused(await patch(t, site(made), { address_id: 'ext:nobody' }), '422 unknown_reference', ['/address_id']);
	assertRefused(await patch(t, site(made), { policy_id: 'ext:nobody' }), '422 unknown_reference', ['/policy_id']);
	const pool = await t.pool({ site: made });
	const away = { region: 'DE', address_id: german.id };
	assertRefused(await patch(t, site(made), away), '409 in_use', ['/address_id'], [reference('pool', pool)]);
	const island = await t.address({ region: 'PR', admin_area: null });
	const moved = (await patch(t, site(made), { region: 'VI', address_id: island.id }, { expect: 200 })).body;
	assert.deepEqual([moved.region, moved.address_id], ['VI', island.id], 'US counts its territories');
	await remove(t, `/pools/${pool.id}`, { expect: 204 });
	await patch(t, site(made), away, { expect: 200 });
});

test('a site that something refers to is not deleted', async () => {
	const made = await t.site();
	const refused = async (...references) => assertRefused(await remove(t, site(made)), '409 in_use', [], references);
	const user = await t.user({ site_id: made.id });
	const pool = await t.pool({ site: made });
	const rows = {
		dial_rule: ['dial_rules (tenant_id, id, site_id, name, pattern, kind)', `'x', '9911', 'mask'`],
		carrier_route: ['carrier_routes (tenant_id, id, site_id, pattern, trunk)', `'911', 'sbc1'`],
		notification_recipient: ['notification_recipients (tenant_id, id, site_id, channel, address)', `'email', 'desk@example.com'`],
	};
	const others = [];
	for (const [type, [into, values]] of Object.entries(rows)) {
		const [{ id }] = await w.sql(`INSERT INTO ${into} VALUES ($1, uuid7(), $2, ${values}) RETURNING id`, [t.id, made.id]);
		others.push({ type, id });
	}
	const call = await t.place('somebody else', { site_id: made.id });
	await refused(reference('user', user), reference('pool', pool), ...others, reference('emergency_call', call));
	await t.end(call);
	await refused(reference('user', user), reference('pool', pool), ...others);
	for (const [type, [into]] of Object.entries(rows))
		await w.sql(`DELETE FROM ${into.split(' ')[0]} WHERE id = $1`, [others.find((o) => o.type === type).id]);
	await patch(t, `/pools/${pool.id}`, { site_id: t.home.id }, { expect: 200 });
	await w.sql('UPDATE users SET site_id = $2 WHERE id = $1', [user.id, t.home.id]);
	assertRefused(await remove(t, site(made), { headers: { 'if-match': '"x"' } }), '412 precondition_failed');
	const etag = (await t.call('GET', site(made))).headers.etag;
	await remove(t, `/sites/${enc(made.id)}`, { headers: { 'if-match': etag }, expect: 204 });
	assertRefused(await remove(t, site(made)), '404 not_found');
});

test('an address is changed, both coordinates or none', async () => {
	const made = await t.address();
	const path = `/addresses/${made.id}`;
	const change = {
		external_id: unique('a'),
		kind: 'personal',
		city: 'Seattle',
		postal_code: '98101',
		floor: '3',
		room: null,
		latitude: 47.5,
		longitude: -122.25,
		uncertainty_m: 10,
		validated_at: '2026-03-02T17:04:05+02:00',
	};
	const now = (await patch(t, path, change, { expect: 200 })).body;
	assert.deepEqual(now, { ...made, ...change, validated_at: '2026-03-02T15:04:05.000000Z', updated_at: now.updated_at });
	assert.deepEqual(await t.get(path), now);
	assertRefused(await patch(t, path, { latitude: null }), '422 invalid_value', ['/latitude']);
	assertRefused(await patch(t, path, { longitude: null }), '422 invalid_value', ['/longitude']);
	const bare = (await patch(t, path, { latitude: null, longitude: null, kind: null }, { expect: 200 })).body;
	assert.deepEqual([bare.latitude, bare.longitude, bare.kind], [null, null, 'company']);
	assertRefused(await patch(t, path, { city: null }), '422 invalid_value', ['/city']);
	const taken = await t.address({ external_id: unique('a') });
	assertRefused(await patch(t, path, { external_id: taken.external_id }), '409 already_exists', ['/external_id']);
});

test('the region of an address is that of the sites, pools and numbers that have it', async () => {
	const address = await t.address();
	const path = `/addresses/${address.id}`;
	const made = await t.site({ address_id: address.id });
	const pool = await t.pool({ site: made });
	const number = await t.ownNumber({ address_id: address.id });
	const user = await t.user({ address_id: address.id });
	const rely = [reference('site', made), reference('pool', pool), reference('phone_number', number)];
	assertRefused(await patch(t, path, { region: 'DE' }), '409 in_use', ['/region'], rely);
	await patch(t, path, { region: 'GU' }, { expect: 200 });
	await remove(t, `/pools/${pool.id}`, { expect: 204 });
	await remove(t, site(made), { expect: 204 });
	assertRefused(await patch(t, path, { region: 'DE' }), '409 in_use', ['/region'], [rely[2]]);
	await remove(t, `/phone-numbers/${number.id}`, { expect: 204 });
	await patch(t, path, { region: 'DE' }, { expect: 200 });
	assert.equal((await t.get(`/users/${user.id}`)).address_id, address.id, 'a user may be anywhere');
});

test('an address that a site, a user, a number or a location has is not deleted', async () => {
	const address = await t.address();
	const path = `/addresses/${address.id}`;
	const refused = async (...references) => assertRefused(await remove(t, path), '409 in_use', [], references);
	const made = await t.site({ address_id: address.id });
	const number = await t.ownNumber({ address_id: address.id });
	const lives = await t.user({ address_id: address.id });
	const visits = await t.user();
	for (const user of [lives, visits])
		await w.sql('INSERT INTO user_locations (tenant_id, user_id, address_id) VALUES ($1, $2, $3)', [t.id, user.id, address.id]);
	const rest = [reference('site', made), reference('phone_number', number)];
	await refused(reference('user', lives), reference('user', visits), ...rest);
	await w.sql('DELETE FROM user_locations WHERE user_id = $1', [visits.id]);
	await refused(reference('user', lives), ...rest);
	await w.sql('UPDATE users SET address_id = NULL WHERE id = $1', [lives.id]);
	await refused(reference('user', lives), ...rest);
	await w.sql('DELETE FROM user_locations WHERE user_id = $1', [lives.id]);
	await patch(t, `/phone-numbers/${number.id}`, { address_id: null }, { expect: 200 });
	await refused(reference('site', made));
	await patch(t, site(made), { address_id: t.homeAddress.id }, { expect: 200 });
	await remove(t, path, { expect: 204 });
	assertRefused(await t.call('GET', path), '404 not_found');
});

test('of many that refer to it, twenty are named', async () => {
	const made = await t.site();
	await Promise.all(Array.from({ length: 23 }, () => t.user({ site_id: made.id })));
	const refused = await remove(t, site(made));
	assert.deepEqual([refused.status, refused.body.references.length], [409, 20]);
});

test('a site is not deleted under a call that is being placed there', async () => {
	const own = await world({ servers: 2 });
	try {
		const tenant = await own.tenant({ numbers: null, users: 0 });
		const [first, second] = own.servers;
		for (let round = 0; round < 12; round++) {
			const site = await tenant.site();
			const place = () => tenant.place('nobody', { site_id: site.id }, { server: second });
			await tenant.end(await place()); // the second process knows the site
			const [deleted, call] = await Promise.all([tenant.call('DELETE', `/sites/${site.id}`, { server: first }), place()]);
			if (call.site_id === site.id) assert.equal(deleted.status, 409);
			else assert.deepEqual([deleted.status, call.site_id], [204, null]);
			await tenant.end(call);
		}
	} finally {
		await own.close();
	}
});

test('while sites come and go every call is placed, of this tenant and of others', async () => {
	const own = await world({ servers: 2 });
	try {
		const [busy, other] = [await own.tenant({ numbers: null, users: 0 }), await own.tenant({ numbers: null, users: 0 })];
		let over = false;
		const churn = async (server) => {
			for (let n = 0; ; n++) {
				if (over) return n;
				const site = await busy.site({}, { server });
				await busy.delete(`/sites/${site.id}`, { server });
			}
		};
		const churning = own.servers.map(churn);
		const placing = [busy, other].map(async (tenant, i) => {
			for (let n = 0; n < 40; n++) await tenant.end(await tenant.place(`guest-${i}-${n}`));
		});
		await Promise.all(placing); // place() fails unless it is 201
		over = true;
		assert.ok((await Promise.all(churning)).every((n) => n > 0));
	} finally {
		await own.close();
	}
});
