// The configuration: each resource created, read and listed, by all the names it goes by, and what belongs
// together checked.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { CCAAS, DESK, enc, unique } from '../lib/fixture.mjs';

let w;
let t;
let german; // an address
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 3, users: 2 });
	german = await t.address({ region: 'DE', admin_area: null, city: 'Berlin', street: 'Platz' });
});
after(() => w.close());

const hookUrl = 'https://ccaas.example/hooks';
// kind, the least that is needed, everything that can be said, what it reads by default
const RESOURCES = {
	addresses: {
		least: () => ({ region: 'US', city: 'Redmond', street: 'Main St' }),
		all: () => ({
			external_id: unique('a'),
			kind: 'personal',
			region: 'PR',
			admin_area: 'WA',
			city: 'S\u00e3o "Paulo" \u{1f3e2}',
			postal_code: '98052',
			street: "O'Hara \\ St",
			house_number: '1b',
			floor: '3',
			room: '12',
			name: 'HQ',
			latitude: -47.625,
			longitude: 122.125,
			uncertainty_m: 12.5,
			validated_at: '2026-03-02T15:04:05.123456Z',
		}),
		defaults: { external_id: null, kind: 'company', floor: null, latitude: null, uncertainty_m: null, validated_at: null },
	},
	sites: {
		least: () => ({ name: 'HQ', region: 'US', address_id: t.homeAddress.id }),
		all: () => ({
			external_id: unique('s'),
			name: 'HQ',
			region: 'US',
			address_id: t.homeAddress.id,
			policy_id: null,
			safety_team: DESK,
			fallback: { type: 'phone_number', address: '+12065550100', name: 'Desk', staffed_24x7: true },
			resource_account: { ...role(), licensed: true },
			receptionist: { ...role(), staffed_24x7: true },
			call_queue: { ...role(), dedicated_to_safety: true, number_type: 'byoc' },
		}),
		defaults: {
			external_id: null,
			policy_id: null,
			safety_team: null,
			fallback: null,
			resource_account: null,
			receptionist: null,
			call_queue: null,
		},
	},
	'phone-numbers': {
		least: () => ({ number: w.number(), number_type: 'native', region: 'US', usage: 'user' }),
		all: () => ({
			number: w.number('+4930'),
			number_type: 'operator_connect',
			region: 'DE',
			usage: 'callback',
			address_id: german.id,
			state: 'porting_in',
		}),
		defaults: { address_id: null, state: 'active', pool_id: null, user_id: null },
	},
	pools: {
		least: () => ({ site_id: t.home.id, name: 'pool', region: 'US', number_type: 'native' }),
		all: () => ({ external_id: unique('p'), site_id: t.home.id, name: 'pool', region: 'US', number_type: 'byoc', low_water: 10_000 }),
		defaults: { external_id: null, low_water: 1, counts: { total: 0, free: 0, leased: 0, in_call: 0 } },
	},
	users: {
		least: () => ({ display_name: 'Ada', site_id: t.home.id }),
		all: () => ({
			external_id: unique('u'),
			display_name: 'Ada',
			site_id: t.home.id,
			kind: 'room',
			extension: '4711',
			number_id: null,
			address_id: t.homeAddress.id,
			policy_id: null,
			active: false,
			remote: true,
			outbound_enabled: false,
			provisioning: {
				teams_phone_license: true,
				enterprise_voice: false,
				capacity_profile: null,
				outbound_profile: true,
				browser_location_region: 'US',
			},
			endpoints: [
				{ ...CCAAS, cellular: null, expires_at: null },
				{ type: 'mobile', address: '+14255550142', cellular: false, expires_at: '2030-01-01T00:00:00.000000Z' },
			],
		}),
		defaults: {
			external_id: null,
			kind: 'person',
			extension: null,
			number_id: null,
			address_id: null,
			active: true,
			remote: false,
			outbound_enabled: true,
			provisioning: null,
			endpoints: [],
		},
	},
	'webhook-endpoints': {
		least: () => ({ url: hookUrl }),
		all: () => ({
			url: `${hookUrl}?a=b&c=%20d`,
			description: 'x',
			event_types: ['lease.expired', 'webhook.test'],
			payload_format: 'cloudevents',
			detail: 'full',
			enabled: false,
		}),
		defaults: {
			description: null,
			event_types: [],
			payload_format: 'standard',
			detail: 'minimal',
			enabled: true,
			disabled_reason: null,
		},
		hidden: ['secret'],
	},
	'api-keys': {
		least: () => ({ name: 'k', scopes: ['calls:read'] }),
		all: () => ({ name: 'k', scopes: ['calls:read', 'config:read', 'webhooks:manage'], expires_at: '2036-03-02T15:04:05.000000Z' }),
		defaults: { expires_at: null, last_used_at: null },
		hidden: ['key'],
	},
};

function role() {
	return {
		number: w.number(),
		number_type: 'native',
		destination: { type: 'call_queue', address: 'queue@teams.example' },
		staffed_24x7: false,
		dedicated_to_safety: false,
		licensed: null,
	};
}

// What was sent is in the answer; in objects that were sent, members that were not are null.
function assertContains(answer, sent, at = '') {
	for (const [name, value] of Object.entries(sent))
		if (value !== null && typeof value === 'object' && !Array.isArray(value)) assertContains(answer[name], value, `${at}/${name}`);
		else assert.deepEqual(answer[name], value, `${at}/${name}`);
}

for (const [kind, { least, all, defaults, hidden = [] }] of Object.entries(RESOURCES))
	test(`${kind}: created with the least and with everything, read back the same`, async () => {
		for (const body of [least(), all()]) {
			const reply = await t.call('POST', `/${kind}`, { body, expect: 201 });
			assertContains(reply.body, body);
			if (Object.keys(body).length === Object.keys(least()).length) assertContains(reply.body, defaults);
			assert.equal(reply.headers.location, `${t.path}/${kind}/${reply.body.id}`);
			assert.equal(reply.body.created_at, reply.body.updated_at);
			assert.equal(reply.body.id[14], '7', 'the id is a UUIDv7');
			const shown = Object.fromEntries(Object.entries(reply.body).filter(([name]) => !hidden.includes(name)));
			const got = await t.call('GET', `/${kind}/${reply.body.id}`, { expect: 200, server: w.servers[1] });
			assert.deepEqual(got.body, shown);
			assert.equal(got.headers.etag, reply.headers.etag);
			const [listed] = (await t.list(kind)).filter((item) => item.id === reply.body.id);
			assert.deepEqual({ ...listed, last_used_at: null }, { ...shown, last_used_at: null });
		}
	});

test('tenants: created, read and listed by the operator', async () => {
	const body = {
		external_id: unique('acme'),
		name: 'Acme',
		region: 'DE',
		language: 'de-CH',
		policy_order: 'site_first',
		safety_team: DESK,
		fallback: { type: 'sip_uri', address: 'sip:desk@example.com' },
	};
	const made = await w.asOperator('POST', '/v1/tenants', { body, expect: 201 });
	assertContains(made.body, body);
	assert.equal(made.headers.location, `/v1/tenants/${made.body.id}`);
	const least = (await w.asOperator('POST', '/v1/tenants', { body: { name: 'x', region: 'US' }, expect: 201 })).body;
	assertContains(least, {
		external_id: null,
		language: 'en',
		policy_order: 'user_first',
		safety_team: null,
		fallback: null,
		policy_id: null,
	});
	for (const path of [made.body.id, enc(`ext:${body.external_id}`)])
		assert.deepEqual((await w.asOperator('GET', `/v1/tenants/${path}`, { expect: 200 })).body, made.body);
	const { key } = (
		await w.asOperator('POST', `/v1/tenants/${enc(`ext:${body.external_id}`)}/api-keys`, {
			body: { name: 'k', scopes: ['config:read'] },
			expect: 201,
		})
	).body;
	assert.deepEqual((await w.call('GET', `/v1/tenants/${enc(`ext:${body.external_id}`)}/sites`, { key, expect: 200 })).body, {
		items: [],
	});
	assert.equal((await w.call('GET', `/v1/tenants/${enc(`ext:${body.external_id}x`)}/sites`, { key })).status, 404);
	const found = (await w.asOperator('GET', `/v1/tenants?external_id=${enc(body.external_id)}`, { expect: 200 })).body;
	assert.deepEqual(found, { items: [made.body] });
	const again = await w.asOperator('POST', '/v1/tenants', { body });
	assert.deepEqual([again.status, again.body.code, again.body.errors.map((e) => e.pointer)], [409, 'already_exists', ['/external_id']]);
});

test('an ETag holds until the configuration changes: 304; calls, leases and counts do not change it', async () => {
	const before_ = {};
	const paths = [`/users/${t.agent.id}`, `/pools/${t.homePool.id}`, `/sites/${t.home.id}`, `/phone-numbers/${enc(t.numbers[0])}`, ''];
	for (const path of paths) before_[path] = (await t.call('GET', path, { expect: 200 })).headers.etag;
	await t.end(await t.place(t.agent));
	for (const path of paths) {
		const etag = before_[path];
		const unchanged = await t.call('GET', path, { headers: { 'if-none-match': etag }, expect: 304 });
		assert.deepEqual([unchanged.text, unchanged.headers.etag], ['', etag], path);
		for (const tag of [`"x", ${etag}`, `W/${etag}`, '*'])
			assert.equal((await t.call('GET', path, { headers: { 'if-none-match': tag } })).status, 304, `${path} ${tag}`);
		for (const tag of ['"x"', etag.slice(1, -1), ''])
			assert.equal((await t.call('GET', path, { headers: { 'if-none-match': tag } })).status, 200, `${path} ${tag}`);
	}
	assert.equal((await t.call('GET', '/users/ext%3Anobody', { headers: { 'if-none-match': '*' } })).status, 404);
});

test('a resource is named by its id or ext:, in paths, members and filters', async () => {
	const ids = { address: unique('a/1'), site: unique('s 1'.replace(' ', '%')), pool: unique('p?1'), user: unique('u#1') };
	const address = await t.address({ external_id: ids.address });
	const site = await t.site({ external_id: ids.site, address_id: `ext:${ids.address}` });
	const pool = await t.create('pools', {
		external_id: ids.pool,
		site_id: `ext:${ids.site}`,
		name: 'x',
		region: 'US',
		number_type: 'native',
	});
	const user = await t.user({ external_id: ids.user, site_id: `ext:${ids.site}`, address_id: `ext:${ids.address}` });
	assert.deepEqual(
		[site.address_id, pool.site_id, user.site_id, user.address_id],
		[address.id, site.id, site.id, address.id],
		'answers name by id',
	);
	for (const [kind, external_id, made] of [
		['addresses', ids.address, address],
		['sites', ids.site, site],
		['pools', ids.pool, pool],
		['users', ids.user, user],
	]) {
		assert.deepEqual(await t.get(`/${kind}/${enc(`ext:${external_id}`)}`), made);
		assert.deepEqual(await t.list(kind, { external_id }), [made]);
		assert.deepEqual(await t.list(kind, { external_id: `${external_id}x` }), []);
		const again = await t.call('POST', `/${kind}`, { body: { ...RESOURCES[kind].least(), external_id } });
		assert.deepEqual(
			[again.status, again.body.code, again.body.errors.map((e) => e.pointer)],
			[409, 'already_exists', ['/external_id']],
		);
	}
	assert.deepEqual(await t.list('pools', { site_id: `ext:${ids.site}` }), [pool]);
	assert.deepEqual(await t.list('users', { site_id: site.id }), [user]);
	const other = await w.tenant({ users: 0 });
	await other.site({ external_id: ids.site }); // another tenant's may be the same
	const [{ number, id }] = await t.list('phone-numbers', { number: t.numbers[0] });
	assert.equal((await t.get(`/phone-numbers/${enc(number)}`)).id, id);
	assert.equal((await t.get(`/phone-numbers/${id}`)).number, number);
});

test('lists come in order of creation, over pages of any size, none missing and none twice', async () => {
	const own = await w.tenant({ numbers: 0, users: 0 });
	const made = [];
	for (let i = 0; i < 23; i++) made.push((await own.user()).id);
	for (const page_size of [1, 2, 7, 22, 23, 24, 1000])
		assert.deepEqual(
			(await own.list('users', { page_size })).map((u) => u.id),
			made,
			`page_size ${page_size}`,
		);
	const first = await own.get('/users?page_size=10');
	assert.equal(first.items.length, 10);
	const late = await own.user(); // created between two pages
	const second = await own.get(`/users?page_size=100&page_token=${enc(first.next_page_token)}`, { server: w.servers[1] });
	assert.deepEqual(
		second.items.map((u) => u.id),
		[...made.slice(10), late.id],
		'a token holds for any process and page size',
	);
	assert.deepEqual(Object.keys(second), ['items'], 'no token at the end');
	assert.deepEqual(await own.get('/users?page_size=50000').then((p) => p.items.length), 24, 'a larger size is clamped');
	assert.deepEqual(await own.get('/pools?external_id=none'), { items: [] });
});

test('without page_size a page has a hundred items; more than a thousand are clamped to it', async () => {
	const own = await w.tenant({ numbers: 0, users: 0 });
	const numbers = Array.from({ length: 1002 }, () => w.number());
	for (const slice of [numbers.slice(0, 1000), numbers.slice(1000)])
		await own.create(`pools/${own.homePool.id}/numbers`, { numbers: slice });
	const path = `/pools/${own.homePool.id}/numbers`;
	assert.equal((await own.get(path)).items.length, 100);
	assert.equal((await own.get(`${path}?page_size=5000`)).items.length, 1000);
	assert.deepEqual((await own.list(path.slice(1), { page_size: 333 })).map((n) => n.number).sort(), numbers);
	assert.deepEqual((await own.get(`/pools/${own.homePool.id}`)).counts, { total: 1002, free: 1002, leased: 0, in_call: 0 });
});

test('phone numbers are listed by usage, state and number', async () => {
	const own = await w.tenant({ numbers: 1, users: 0 });
	const suspended = await own.ownNumber({ state: 'suspended' });
	const numbers = async (query) => (await own.list('phone-numbers', query)).map((n) => n.number).sort();
	assert.deepEqual(await numbers({}), [own.account.number, own.numbers[0], suspended.number].sort());
	assert.deepEqual(await numbers({ usage: 'user' }), [suspended.number]);
	assert.deepEqual(await numbers({ usage: 'callback' }), [own.numbers[0]]);
	assert.deepEqual(await numbers({ usage: 'service' }), [own.account.number]);
	assert.deepEqual(await numbers({ state: 'suspended' }), [suspended.number]);
	assert.deepEqual(await numbers({ number: own.numbers[0] }), [own.numbers[0]]);
	assert.deepEqual(await numbers({ number: own.numbers[0], usage: 'user' }), []);
});

test('a number is registered once in the whole deployment', async () => {
	const other = await w.tenant({ numbers: 1, users: 0 });
	for (const number of [other.numbers[0], t.numbers[0]]) {
		const taken = await t.call('POST', '/phone-numbers', { body: { number, number_type: 'native', region: 'US', usage: 'user' } });
		assert.deepEqual([taken.status, taken.body.code, taken.body.errors.map((e) => e.pointer)], [409, 'number_in_use', ['/number']]);
	}
	const added = await t.call('POST', `/pools/${t.homePool.id}/numbers`, { body: { numbers: [w.number(), other.numbers[0]] } });
	assert.deepEqual([added.status, added.body.code, added.body.errors.map((e) => e.pointer)], [409, 'number_in_use', ['/numbers/1']]);
	assert.equal((await t.get(`/pools/${t.homePool.id}`)).counts.total, 3, 'all or none');
	const named = await t.call('POST', '/sites', {
		body: { ...RESOURCES.sites.least(), resource_account: { ...role(), number: other.account.number } },
	});
	assert.deepEqual(
		[named.status, named.body.code, named.body.errors.map((e) => e.pointer)],
		[409, 'number_in_use', ['/resource_account/number']],
	);
});

test('a site registers the numbers it names; several sites may name one', async () => {
	const account = role();
	const [one, two] = [await t.site({ resource_account: account }), await t.site({ receptionist: account })];
	assert.deepEqual(
		[one.resource_account, two.receptionist],
		[account, account].map((a) => ({ ...a, destination: { ...a.destination, name: null, staffed_24x7: null } })),
	);
	const [number] = await t.list('phone-numbers', { number: account.number });
	assert.deepEqual([number.usage, number.number_type, number.region], ['service', 'native', 'US']);
	const wrong = await t.call('POST', '/sites', { body: { ...RESOURCES.sites.least(), call_queue: { ...role(), number: t.numbers[0] } } });
	assert.deepEqual(
		[wrong.status, wrong.body.code, wrong.body.errors.map((e) => e.pointer)],
		[422, 'number_usage', ['/call_queue/number']],
	);
});

test("a user's number is of usage user, and of one user", async () => {
	const number = await t.ownNumber();
	const user = await t.user({ number_id: number.number });
	assert.deepEqual([user.number_id, (await t.get(`/phone-numbers/${number.id}`)).user_id], [number.id, user.id]);
	const again = await t.call('POST', '/users', { body: { ...RESOURCES.users.least(), number_id: number.id } });
	assert.equal(again.status, 409, again.text);
	assert.deepEqual(
		again.body.errors.map((e) => e.pointer),
		['/number_id'],
	);
	for (const other of [t.numbers[0], t.account.number]) {
		const wrong = await t.call('POST', '/users', { body: { ...RESOURCES.users.least(), number_id: other } });
		assert.deepEqual(
			[wrong.status, wrong.body.code, wrong.body.errors.map((e) => e.pointer)],
			[422, 'number_usage', ['/number_id']],
			wrong.text,
		);
	}
	const pooled = await t.call('POST', `/pools/${t.homePool.id}/numbers`, { body: { numbers: [number.number] } });
	assert.deepEqual([pooled.status, pooled.body.errors.map((e) => e.pointer)], [422, ['/numbers/0']], pooled.text);
});

test('an extension is unique in its tenant, and there only', async () => {
	await t.user({ extension: '100' });
	const again = await t.call('POST', '/users', { body: { ...RESOURCES.users.least(), extension: '100' } });
	assert.deepEqual([again.status, again.body.code, again.body.errors.map((e) => e.pointer)], [409, 'already_exists', ['/extension']]);
	const other = await w.tenant({ users: 0 });
	await other.user({ extension: '100' });
});

test('numbers, pool and site are of one region; US stands for its territories; a pool has one number type', async () => {
	const mixed = await t.call('POST', '/sites', { body: { ...RESOURCES.sites.least(), address_id: german.id } });
	assert.deepEqual([mixed.status, mixed.body.errors.length], [422, 1], mixed.text);
	const puertoRico = await t.create('addresses', { region: 'PR', city: 'San Juan', street: 'Calle' });
	const island = await t.site({ address_id: puertoRico.id, region: 'US' });
	const pool = await t.create('pools', { site_id: island.id, name: 'x', region: 'US', number_type: 'native' });
	const foreign = await t.call('POST', '/pools', { body: { site_id: island.id, name: 'x', region: 'DE', number_type: 'native' } });
	assert.deepEqual([foreign.status, foreign.body.errors.map((e) => e.pointer)], [422, ['/region']]);
	const numbers = {
		german: await t.create('phone-numbers', { number: w.number('+4930'), number_type: 'native', region: 'DE', usage: 'callback' }),
		byoc: await t.create('phone-numbers', { number: w.number(), number_type: 'byoc', region: 'US', usage: 'callback' }),
		island: await t.create('phone-numbers', { number: w.number('+1787'), number_type: 'native', region: 'PR', usage: 'callback' }),
	};
	for (const wrong of [numbers.german, numbers.byoc]) {
		const reply = await t.call('POST', `/pools/${pool.id}/numbers`, { body: { numbers: [wrong.number] } });
		assert.deepEqual([reply.status, reply.body.errors.map((e) => e.pointer)], [422, ['/numbers/0']], reply.text);
	}
	const added = await t.create(`pools/${pool.id}/numbers`, { numbers: [numbers.island.number] });
	assert.deepEqual(
		added.items.map((n) => [n.number, n.pool_id, n.usage]),
		[[numbers.island.number, pool.id, 'callback']],
	);
});

test('numbers added to a pool are registered; ones in it are returned as they are; ones in another are not', async () => {
	const pool = await t.pool();
	const [a, b] = [w.number(), w.number()];
	const first = await t.create(`pools/${pool.id}/numbers`, { numbers: [b, a] });
	assert.deepEqual(
		first.items.map((n) => n.number),
		[b, a],
		'in the order of the request',
	);
	for (const number of first.items)
		assert.deepEqual(
			[number.usage, number.number_type, number.region, number.pool_id, number.user_id, number.state],
			['callback', 'native', 'US', pool.id, null, 'active'],
		);
	const again = await t.create(`pools/${pool.id}/numbers`, { numbers: [a, w.number()] });
	assert.deepEqual(again.items[0], first.items[1]);
	assert.deepEqual(await t.get(`/pools/${pool.id}/numbers/${enc(a)}`), first.items[1]);
	assert.equal((await t.call('GET', `/pools/${pool.id}/numbers/${enc(t.numbers[0])}`)).status, 404, 'it is in another pool');
	const elsewhere = await t.call('POST', `/pools/${pool.id}/numbers`, { body: { numbers: [t.numbers[0]] } });
	assert.deepEqual([elsewhere.status, elsewhere.body.errors.map((e) => e.pointer)], [409, ['/numbers/0']], elsewhere.text);
	const twice = await t.call('POST', `/pools/${pool.id}/numbers`, { body: { numbers: [a, a] } });
	assert.ok([201, 422].includes(twice.status), twice.text);
});

test('times may come with any offset, and leave in UTC', async () => {
	const made = await t.address({ validated_at: '2026-03-02T17:04:05.5+02:00' });
	assert.equal(made.validated_at, '2026-03-02T15:04:05.500000Z');
	const user = await t.user({ endpoints: [{ ...CCAAS, expires_at: '2036-01-01T00:00:00-01:00' }] });
	assert.equal(user.endpoints[0].expires_at, '2036-01-01T01:00:00.000000Z');
});

test('a key for a POST is accepted on every resource', async () => {
	const made = await t.call('POST', '/addresses', {
		body: RESOURCES.addresses.least(),
		headers: { 'idempotency-key': unique('key') },
		expect: 201,
	});
	assert.equal((await t.get(`/addresses/${made.body.id}`)).id, made.body.id);
});

test('304 is for reads: a change with If-None-Match is made and told', async () => {
	const address = await t.address();
	const reply = await t.changing(`/addresses/${address.id}`, { city: 'Kirkland' }, { headers: { 'if-none-match': '*' } });
	assert.deepEqual([reply.status, reply.body.city], [200, 'Kirkland']);
});

test('an integer may be written as 2.0', async () => {
	const pool = await t.call('POST', '/pools', {
		text: JSON.stringify({ site_id: t.home.id, name: unique('pool'), region: 'US', number_type: 'native' }).replace('}', ',"low_water":2.0}'),
		expect: 201,
	});
	assert.equal(pool.body.low_water, 2);
	const half = await t.changing(`/pools/${pool.body.id}`, { low_water: 2.5 });
	assert.deepEqual([half.status, half.body.errors[0].pointer], [422, '/low_water']);
});
