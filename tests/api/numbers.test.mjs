// The rules of pools and numbers: what cannot be made, changed or deleted, and what is said about it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { assertRefused, patch, reference, remove } from '../lib/refusals.mjs';
import { codes, enc, tenant } from '../lib/fixture.mjs';

let w;
let t;
let german; // a site with a German address
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 3, users: 3 });
	german = await germanSite(t);
});
after(() => w.close());

async function germanSite(of) {
	const address = await of.address({ region: 'DE', admin_area: null, city: 'Berlin', street: 'Platz' });
	return of.site({ region: 'DE', address_id: address.id });
}

const add = (pool, numbers, options) => t.call('POST', `/pools/${pool.id}/numbers`, { body: { numbers }, ...options });
const pooled = (pool, number) => `/pools/${pool.id}/numbers/${enc(number.number ?? number)}`;
const get = (number) => t.get(`/phone-numbers/${enc(number.number ?? number)}`);
const path = (number) => `/phone-numbers/${enc(number.number ?? number)}`;
const callbackNumber = (body) => t.ownNumber({ usage: 'callback', ...body });
const keyOf = async (scopes) => (await t.create('api-keys', { name: 'k', scopes })).key;

// The time of the lease is up, as if it had been a TTL ago.
async function expire(lease) {
	await w.sql(`UPDATE pool_numbers SET free_at = now() - interval '1 s' WHERE lease_id = $1`, [lease.id]);
	await w.sql(`UPDATE leases SET expires_at = now() - interval '1 s' WHERE id = $1`, [lease.id]);
}

test('a phone number is changed: state, address of record, and what it is while nothing relies on it', async () => {
	const number = await t.ownNumber();
	const puertoRico = await t.address({ region: 'PR', admin_area: null, city: 'San Juan', street: 'Calle' });
	for (const change of [
		{ state: 'suspended' },
		{ address_id: t.homeAddress.id, state: 'porting_out' },
		{ address_id: puertoRico.id },
		{ region: 'PR' },
		{ address_id: null, state: null },
		{ usage: 'callback', number_type: 'byoc', region: 'CA' },
	]) {
		const was = await t.call('GET', path(number), { expect: 200 });
		const now = await patch(t, path(number), change, { headers: { 'if-match': was.headers.etag }, expect: 200 });
		const said = { ...change, ...('state' in change && { state: change.state ?? 'active' }) };
		assert.deepEqual(now.body, { ...was.body, ...said, updated_at: now.body.updated_at });
		assert.notEqual(now.headers.etag, was.headers.etag);
		assert.deepEqual(await get(number), now.body);
		assertRefused(await patch(t, path(number), change, { headers: { 'if-match': was.headers.etag } }), '412 precondition_failed');
		const same = await patch(t, path(number), change, { expect: 200 });
		assert.equal(same.headers.etag, now.headers.etag, 'what changes nothing leaves the ETag');
	}
});

test('the digits of a number never change', async () => {
	const number = await t.ownNumber();
	const same = await patch(t, path(number), { number: number.number }, { expect: 200 });
	assert.deepEqual(same.body, number);
	assertRefused(await patch(t, path(number), { number: w.number() }), '422 invalid_value', ['/number']);
});

test('usage, number_type and region of a number do not change while a pool, a user or a site relies on them', async () => {
	const inPool = await callbackNumber();
	await add(t.homePool, [inPool.number], { expect: 201 });
	const ofUser = await t.ownNumber();
	const user = await t.user({ number_id: ofUser.id });
	const ofSite = await get(t.account);
	for (const [number, by] of [
		[inPool, reference('pool', t.homePool)],
		[ofUser, reference('user', user)],
		[ofSite, reference('site', t.home)],
	]) {
		const other = { usage: number.usage === 'user' ? 'callback' : 'user', number_type: 'byoc', region: 'DE' };
		for (const [name, value] of Object.entries(other))
			assertRefused(await patch(t, path(number), { [name]: value }), '409 in_use', [`/${name}`], [by]);
		assertRefused(await patch(t, path(number), other), '409 in_use', ['/usage'], [by]);
		await patch(t, path(number), { region: 'PR', state: 'suspended' }, { expect: 200 });
		await patch(t, path(number), { region: 'US', state: 'active' }, { expect: 200 });
	}
	await remove(t, pooled(t.homePool, inPool), { expect: 204 });
	await patch(t, path(inPool), { usage: 'user', number_type: 'byoc', region: 'DE' }, { expect: 200 });
});

test('the address of record of a number is in its region', async () => {
	const address_id = (await t.address({ region: 'DE', admin_area: null })).id;
	const body = { number: w.number(), number_type: 'native', region: 'US', usage: 'user' };
	assertRefused(await t.call('POST', '/phone-numbers', { body: { ...body, address_id } }), '422 invalid_value', ['/address_id']);
	const number = await t.create('phone-numbers', { ...body, address_id: t.homeAddress.id });
	assertRefused(await patch(t, path(number), { address_id }), '422 invalid_value', ['/address_id']);
	assertRefused(await patch(t, path(number), { region: 'DE' }), '422 invalid_value', ['/region']);
	assertRefused(await patch(t, path(number), { address_id: 'ext:nobody' }), '422 unknown_reference', ['/address_id']);
	const both = await patch(t, path(number), { region: 'DE', address_id }, { expect: 200 });
	assert.deepEqual([both.body.region, both.body.address_id], ['DE', address_id]);
});

test("a pool is in the region of its site's address; it moves only to a site of that region", async () => {
	const pool = await t.pool({ numbers: 1 });
	const wrong = { site_id: t.home.id, name: 'x', region: 'DE', number_type: 'native' };
	assertRefused(await t.call('POST', '/pools', { body: wrong }), '422 invalid_value', ['/region']);
	assertRefused(await patch(t, `/pools/${pool.id}`, { region: 'DE' }), '422 invalid_value', ['/region']);
	assertRefused(await patch(t, `/pools/${pool.id}`, { site_id: german.id }), '422 invalid_value', ['/site_id']);
	const number = reference('phone_number', await get(pool.numbers[0]));
	const away = { region: 'DE', site_id: german.id };
	assertRefused(await patch(t, `/pools/${pool.id}`, away), '409 in_use', ['/region'], [number]);
	const island = await t.address({ region: 'PR', admin_area: null });
	const site = await t.site({ address_id: island.id });
	const moved = await patch(t, `/pools/${pool.id}`, { site_id: site.id, region: 'PR', low_water: 5, name: 'y' }, { expect: 200 });
	assert.deepEqual([moved.body.site_id, moved.body.region, moved.body.low_water, moved.body.counts.total], [site.id, 'PR', 5, 1]);
	await remove(t, pooled(pool, pool.numbers[0]), { expect: 204 });
	assert.equal((await patch(t, `/pools/${pool.id}`, away, { expect: 200 })).body.region, 'DE');
});

test('a pool has one number_type: it does not change while numbers are in it', async () => {
	const pool = await t.pool({ numbers: 22 });
	const refused = await patch(t, `/pools/${pool.id}`, { number_type: 'byoc' });
	assert.deepEqual(
		[refused.status, refused.body.code, refused.body.errors.map((e) => e.pointer), refused.body.references.length],
		[409, 'in_use', ['/number_type'], 20],
		'at most twenty are named',
	);
	const ids = (await t.list(`pools/${pool.id}/numbers`)).map((n) => n.id);
	assert.ok(refused.body.references.every(({ type, id }) => type === 'phone_number' && ids.includes(id)));
	assert.equal((await t.get(`/pools/${pool.id}`)).number_type, 'native');
	const empty = await t.pool();
	assert.equal((await patch(t, `/pools/${empty.id}`, { number_type: 'byoc' }, { expect: 200 })).body.number_type, 'byoc');
});

test('what may not be added to a pool is named, each number with its rule, and nothing is added', async () => {
	const pool = await t.pool();
	const fine = w.number();
	const wrong = async (number, expected, options) =>
		assertRefused(await add(pool, [fine, number, w.number()], options), expected, ['/numbers/1']);
	await wrong(fine, '422 invalid_value');
	await wrong((await tenant(w, { numbers: 1 })).numbers[0], '409 number_in_use');
	await wrong(t.numbers[0], '409 number_in_use');
	await wrong((await t.ownNumber()).number, '422 number_usage');
	await wrong(t.account.number, '422 number_usage');
	await wrong((await callbackNumber({ region: 'DE' })).number, '422 number_usage');
	await wrong((await callbackNumber({ number_type: 'byoc' })).number, '422 number_usage');
	const key = await keyOf(['config:write']);
	assertRefused(await add(pool, [(await callbackNumber()).number, w.number()], { key }), '403 forbidden', ['/numbers/1']);
	const both = await add(pool, [t.numbers[0], fine, t.account.number]);
	assert.deepEqual([both.status, both.body.errors.map((e) => e.pointer)], [409, ['/numbers/0', '/numbers/2']]);
	assert.equal((await t.get(`/pools/${pool.id}`)).counts.total, 0);
	assert.deepEqual(await t.list('phone-numbers', { number: fine }), [], 'nor is anything registered');
	const known = await callbackNumber({ region: 'PR', state: 'suspended' });
	const [added] = (await add(pool, [known.number], { key, expect: 201 })).body.items;
	assert.deepEqual([added.id, added.pool_id], [known.id, pool.id]);
});

test('a number leaves its pool and stays registered', async () => {
	const [pool, other] = [await t.pool({ numbers: 2 }), await t.pool()];
	const [first] = pool.numbers;
	const was = await t.call('GET', pooled(pool, first), { expect: 200 });
	const pool_etag = (await t.call('GET', `/pools/${pool.id}`)).headers.etag;
	assertRefused(await remove(t, pooled(other, first)), '404 not_found');
	assertRefused(await remove(t, pooled(pool, first), { headers: { 'if-match': '"x"' } }), '412 precondition_failed');
	await remove(t, pooled(pool, first), { headers: { 'if-match': was.headers.etag }, expect: 204 });
	const now = await t.call('GET', path(first), { expect: 200 });
	assert.deepEqual([now.body.id, now.body.pool_id], [was.body.id, null]);
	assert.notEqual(now.headers.etag, was.headers.etag);
	assertRefused(await remove(t, pooled(pool, first)), '404 not_found');
	const after_ = await t.call('GET', `/pools/${pool.id}`);
	assert.deepEqual([after_.body.counts.total, after_.headers.etag], [1, pool_etag], 'counts are not of the ETag');
	assert.equal((await add(other, [first], { expect: 201 })).body.items[0].pool_id, other.id);
});

test('a leased number does not leave its pool, until its lease is over', async () => {
	const own = await tenant(w, { numbers: 1, users: 2 });
	const number = `/pools/${own.homePool.id}/numbers/${enc(own.numbers[0])}`;
	const [first, second] = own.users;
	const call = await own.place(first);
	const ofCall = [reference('lease', call.lease), reference('emergency_call', call)];
	assertRefused(await remove(own, number), '409 in_use', [], ofCall);
	await own.end(call);
	assertRefused(await remove(own, number), '409 in_use', [], [reference('lease', call.lease)]);
	const reuse = await own.end(await own.place(second));
	const leases = [reference('lease', call.lease), reference('lease', reuse.lease)];
	assertRefused(await remove(own, number), '409 in_use', [], leases);
	await expire(reuse.lease);
	assertRefused(await remove(own, number), '409 in_use', [], [reference('lease', call.lease)]);
	await expire(call.lease);
	await remove(own, number, { expect: 204 });
	const next = await own.place(first);
	assert.deepEqual([next.caller_id.source, codes(next)], ['resource_account', ['pool_empty']]);
});

test('a number that comes back to a pool has its place in the order of use, and its old lease is closed once', async () => {
	const own = await tenant(w, { numbers: 2, users: 2 });
	const [used, fresh] = own.numbers;
	const call = await own.end(await own.place(own.agent));
	assert.equal(call.lease.number, used);
	await expire(call.lease);
	await remove(own, `/pools/${own.homePool.id}/numbers/${enc(used)}`, { expect: 204 });
	await own.create(`pools/${own.homePool.id}/numbers`, { numbers: [used] });
	const [one, two] = [await own.place(own.users[0]), await own.place(own.users[1])];
	assert.deepEqual([one.lease.number, two.lease.number], [fresh, used]);
	const closings = await w.sql(
		`SELECT lease_id, type FROM events WHERE tenant_id = $1 AND type IN ('lease.expired', 'lease.superseded')`,
		[own.id],
	);
	assert.deepEqual(closings, [{ lease_id: call.lease.id, type: 'lease.expired' }]);
});

test('a call that is brought back after its number left: number and pool stay until it is over', async () => {
	const own = await tenant(w, { numbers: 1, users: 1 });
	const [number] = own.numbers;
	const call = await own.place(own.agent);
	await own.act(call, 'cancel');
	await expire(call.lease);
	await remove(own, `/pools/${own.homePool.id}/numbers/${enc(number)}`, { expect: 204 });
	await own.act(call, 'connect');
	const ofCall = [reference('lease', call.lease), reference('emergency_call', call)];
	assertRefused(await remove(own, path(number)), '409 in_use', [], ofCall);
	assertRefused(await remove(own, `/pools/${own.homePool.id}`), '409 in_use', [], [reference('lease', call.lease)]);
	assert.equal((await own.resolve(number)).user.id, own.agent.id);
	await own.create(`pools/${own.homePool.id}/numbers`, { numbers: [number] });
	assert.deepEqual((await own.get(`/pools/${own.homePool.id}`)).counts, { total: 1, free: 0, leased: 1, in_call: 1 });
	await own.end(call);
	await expire(call.lease);
	assert.equal((await own.get(`/pools/${own.homePool.id}`)).counts.in_call, 0);
	await remove(own, `/pools/${own.homePool.id}/numbers/${enc(number)}`, { expect: 204 });
	await remove(own, path(number), { expect: 204 });
	await remove(own, `/pools/${own.homePool.id}`, { expect: 204 });
});

test('a number that a pool, a user, a site or a call has is not deleted', async () => {
	const inPool = await callbackNumber();
	await add(t.homePool, [inPool.number], { expect: 201 });
	const ofUser = await t.ownNumber();
	const user = await t.user({ number_id: ofUser.id });
	const ofSite = await get(t.account);
	const call = await t.place(user);
	assert.equal(call.caller_id.number, ofUser.number);
	assertRefused(await remove(t, path(inPool)), '409 in_use', [], [reference('pool', t.homePool)]);
	assertRefused(await remove(t, path(ofUser)), '409 in_use', [], [reference('user', user), reference('emergency_call', call)]);
	await t.end(call);
	assertRefused(await remove(t, path(ofUser)), '409 in_use', [], [reference('user', user)]);
	assertRefused(await remove(t, path(ofSite)), '409 in_use', [], [reference('site', t.home)]);
	await remove(t, pooled(t.homePool, inPool), { expect: 204 });
	assertRefused(await remove(t, path(inPool), { key: await keyOf(['config:write']) }), '403 forbidden');
	assertRefused(await remove(t, path(inPool), { headers: { 'if-match': '"x"' } }), '412 precondition_failed');
	await remove(t, path(inPool), { expect: 204 });
	assertRefused(await t.call('GET', path(inPool)), '404 not_found');
	const other = await tenant(w, { numbers: 0 });
	await other.ownNumber({ number: inPool.number });
});

test('a pool with numbers is not deleted', async () => {
	const pool = await t.pool({ numbers: 1 });
	const number = await get(pool.numbers[0]);
	assertRefused(await remove(t, `/pools/${pool.id}`), '409 in_use', [], [reference('phone_number', number)]);
	await remove(t, pooled(pool, number), { expect: 204 });
	assertRefused(await remove(t, `/pools/${pool.id}`, { headers: { 'if-match': '"x"' } }), '412 precondition_failed');
	await remove(t, `/pools/${pool.id}`, { expect: 204 });
	assertRefused(await t.call('GET', `/pools/${pool.id}`), '404 not_found');
});

test('who registers a number, puts it into a pool and takes it out is written down, number by number', async () => {
	const own = await tenant(w, { numbers: null, users: 0 });
	const pool = await own.pool();
	const [known, fresh] = [await own.ownNumber({ usage: 'callback' }), w.number()];
	const { items } = await own.create(`pools/${pool.id}/numbers`, { numbers: [known.number, fresh] });
	await remove(own, `/pools/${pool.id}/numbers/${known.id}`, { expect: 204 });
	await remove(own, `/phone-numbers/${known.id}`, { expect: 204 });
	const written = async ({ id }) =>
		(await own.list('audit-entries', { resource_id: id })).map((entry) => [entry.key_id, entry.resource_type, entry.action]);
	const by = (type, ...actions) => actions.map((action) => [own.apiKey.id, type, action]);
	assert.deepEqual(await written(known), by('phone_number', 'created', 'updated', 'updated', 'deleted'));
	assert.deepEqual(await written(items[1]), by('phone_number', 'created'));
	assert.deepEqual(await written(pool), by('pool', 'created', 'updated', 'updated'));
	const [account] = await own.list('phone-numbers', { usage: 'service' });
	assert.deepEqual(await written(account), by('phone_number', 'created'), 'by the site that names it');
});

for (const state of ['suspended', 'porting_in', 'porting_out'])
	test(`a number that is ${state} is not taken; its lease, call and callbacks go on`, async () => {
		const own = await tenant(w, { numbers: 2, users: 2 });
		const [first, second] = own.users;
		const call = await own.place(first);
		const { number } = call.lease;
		const other = own.numbers.find((n) => n !== number);
		await patch(own, path(number), { state }, { expect: 200 });
		assert.deepEqual((await own.get(`/pools/${own.homePool.id}`)).counts, { total: 2, free: 1, leased: 1, in_call: 1 });
		await own.act(call, 'connect');
		assert.deepEqual([(await own.resolve(number)).reason, (await own.resolve(number)).user.id], ['active_lease', first.id]);
		await own.end(call);
		assert.equal((await own.resolve(number)).user.id, first.id, 'the lease goes on');
		const redial = await own.end(await own.place(first));
		assert.equal(redial.lease.number, other, 'it is not taken again, not even by its holder');
		await expire(call.lease);
		const reuse = await own.place(second);
		assert.deepEqual([reuse.lease.number, codes(reuse)], [other, ['pool_exhausted']]);
		await patch(own, path(number), { state: 'active' }, { expect: 200 });
		assert.equal((await own.place(first)).lease.number, number);
		const [{ wrong }] = await w.sql(
			`SELECT count(*)::int AS wrong FROM pool_numbers i JOIN phone_numbers n ON n.id = i.number_id
			WHERE i.leasable <> (n.state = 'active')`,
		);
		assert.equal(wrong, 0);
	});
