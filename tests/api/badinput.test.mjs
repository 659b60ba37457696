// What is wrong with a body or a query is refused by name and rule, stores nothing, and stops nobody.
import assert from 'node:assert/strict';
import test, { after, afterEach, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { enc, unique } from '../lib/fixture.mjs';

const TABLES = [
	'tenants',
	'api_keys',
	'addresses',
	'sites',
	'phone_numbers',
	'pools',
	'pool_numbers',
	'users',
	'webhook_endpoints',
	'emergency_calls',
	'leases',
	'callback_resolutions',
	'events',
];
const UNKNOWN = '01981f6a-3c01-7a10-8f00-0000000000ff';

let w;
let t;
let rows;
const count = async () =>
	await w.sql(TABLES.map((name) => `SELECT '${name}' AS name, count(*)::int AS n FROM ${name}`).join(' UNION ALL '));
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 2 });
	rows = await count();
});
// After each: the process serves on, and what was refused left nothing behind, not even half.
afterEach(async () => {
	assert.ok(w.servers[0].alive);
	assert.equal((await t.call('GET', '/users')).status, 200);
	assert.deepEqual(await count(), rows);
});
after(() => w.close());

const nested = (depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

async function refused(reply, status, code, pointers, what = '') {
	const { body } = await reply;
	assert.deepEqual([body.status, body.code], [status, code], `${what} ${JSON.stringify(body)}`);
	assert.ok(body.detail);
	if (pointers) {
		assert.deepEqual(body.errors.map((e) => e.pointer).sort(), [...pointers].sort(), JSON.stringify(body.errors));
		assert.ok(
			body.errors.every((e) => e.detail),
			'each names the rule',
		);
	}
}

const MALFORMED = [
	'',
	'{',
	'}',
	'{"name":',
	'{"name":"x"',
	'{"name":"x"}}',
	'{"name":"x"} {}',
	'{"name":"x",}',
	"{'name':'x'}",
	'{name:"x"}',
	'{"name":x}',
	'{"name":NaN}',
	'{"name":01}',
	'{"name":"\n"}',
	'{"name":"\\x"}',
	'{"name":"\\ud800"}',
	'{"name":"\\u0000"}',
	'[]',
	'"x"',
	'1',
	'null',
	'true',
	'\u0000',
	'\ufeff{}',
	'{"name":"x" /* c */}',
	'<xml/>',
	'name=x',
];

for (const text of MALFORMED)
	test(`a body of ${JSON.stringify(text.slice(0, 30))} is no JSON object`, async () => {
		const { status, body } = await t.call('POST', '/sites', { text });
		// An escaped NUL is JSON, but no text that we take; a number or a list is JSON, but no object.
		assert.ok(
			status === 400 ? body.code === 'invalid_json' : status === 422 && text.includes('\\u0000') && body.code === 'invalid_value',
			`${status} ${body.code}`,
		);
		const emergency = await t.call('POST', '/emergency-calls', {
			text: text.replace('"name":"x"', '"user_id":"x","dial_string":"988"'),
		});
		assert.ok(
			emergency.status === 400 || (text.includes('name') && emergency.status === 422),
			`${emergency.status}: ${emergency.text}`,
		);
		assert.ok([400, 422].includes((await w.call('POST', '/v1/callback-resolutions', { key: t.key, text })).status));
	});

test('bytes that are no UTF-8 are no JSON', async () => {
	for (const bytes of [
		Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
		Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
		Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
	])
		for (const path of ['/sites', '/emergency-calls']) await refused(t.call('POST', path, { text: bytes }), 400, 'invalid_json');
});

test('a member twice is refused, at any depth', async () => {
	for (const text of [
		'{"name":"a","name":"b","region":"US"}',
		'{"name":"a","fallback":{"type":"sip_uri","type":"sip_uri","address":"x"}}',
		'{"a":[{"b":1,"b":1}]}',
		'{"name":"a","n\\u0061me":"b"}',
	])
		await refused(t.call('POST', '/sites', { text }), 400, 'duplicate_member');
});

test('sixteen levels are taken, seventeen are not, nor a hundred thousand', async () => {
	await refused(t.call('POST', '/sites', { text: nested(16) }), 422, 'unknown_field');
	await refused(t.call('POST', '/sites', { text: nested(17) }), 400, 'invalid_json');
	await refused(t.call('POST', '/sites', { text: '['.repeat(60_000) }), 400, 'invalid_json');
});

const sized = (bytes) => '{}'.padEnd(bytes);
test('a body of 64 KiB is read, one byte more is too large, however large it is', async () => {
	await refused(t.call('POST', '/sites', { text: sized(65_536) }), 422, 'required');
	for (const size of [65_537, 1 << 20, 1 << 23])
		for (const path of ['/sites', '/emergency-calls'])
			await refused(t.call('POST', path, { text: sized(size) }), 413, 'body_too_large');
	const numbers = { numbers: Array.from({ length: 1000 }, () => 'x') };
	await refused(
		t.call('POST', `/pools/${t.homePool.id}/numbers`, { text: JSON.stringify(numbers).padEnd(262_144) }),
		422,
		'invalid_value',
	);
	await refused(
		t.call('POST', `/pools/${t.homePool.id}/numbers`, { text: JSON.stringify(numbers).padEnd(262_145) }),
		413,
		'body_too_large',
	);
	await refused(w.call('POST', '/v1/callback-resolutions', { key: t.key, text: sized(65_537) }), 413, 'body_too_large');
	await refused(t.call('POST', `/emergency-calls/${UNKNOWN}/end`, { text: sized(65_537) }), 413, 'body_too_large');
});

test('the same in chunks, without a length', async () => {
	const headers = { 'transfer-encoding': 'chunked' };
	await refused(t.call('POST', '/sites', { text: sized(65_536), headers }), 422, 'required');
	await refused(t.call('POST', '/sites', { text: sized(1 << 20), headers }), 413, 'body_too_large');
	await refused(t.call('POST', '/emergency-calls', { text: sized(1 << 20), headers }), 413, 'body_too_large');
});

test('another content type is refused, except on emergency routes', async () => {
	const text = JSON.stringify({ name: 'x' });
	for (const type of [
		'text/plain',
		'application/xml',
		'application/jsonx',
		'application/x-www-form-urlencoded',
		'multipart/form-data; boundary=x',
		'application',
		'json',
		null,
	])
		await refused(t.call('POST', '/sites', { text, type }), 415, 'unsupported_media_type');
	for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="UTF-8"'])
		await refused(t.call('POST', '/sites', { text, type }), 422, 'required');
});

const site = () => ({ name: 'x', region: 'US', address_id: t.homeAddress.id });
test('an unknown member is refused by name, so that a typo is not lost', async () => {
	await refused(t.call('POST', '/sites', { body: { ...site(), nmae: 1 } }), 422, 'unknown_field', ['/nmae']);
	await refused(t.call('POST', '/sites', { body: { ...site(), 'a/b~c': 1 } }), 422, 'unknown_field', ['/a~1b~0c']);
	await refused(
		t.call('POST', '/sites', { body: { ...site(), fallback: { type: 'sip_uri', address: 'sip:a@b', nmae: 1 } } }),
		422,
		'unknown_field',
		['/fallback/nmae'],
	);
	await refused(t.call('POST', '/sites', { body: { ...site(), Name: 'x' } }), 422, 'unknown_field', ['/Name']);
	await refused(
		t.call('POST', '/users', {
			body: {
				display_name: 'x',
				site_id: t.home.id,
				endpoints: [
					{ type: 'mobile', address: 'x' },
					{ type: 'mobile', address: 'x', adress: 'y' },
				],
			},
		}),
		422,
		'unknown_field',
		['/endpoints/1/adress'],
	);
});

test('a member that only the server sets is refused as such', async () => {
	for (const name of ['id', 'created_at', 'updated_at'])
		await refused(t.call('POST', '/sites', { body: { ...site(), [name]: 'x' } }), 422, 'read_only', [`/${name}`]);
	await refused(
		t.call('POST', '/pools', { body: { site_id: t.home.id, name: 'x', region: 'US', number_type: 'native', counts: {} } }),
		422,
		'read_only',
		['/counts'],
	);
	await refused(
		t.call('POST', '/phone-numbers', {
			body: { number: w.number(), number_type: 'native', region: 'US', usage: 'user', user_id: t.agent.id },
		}),
		422,
		'read_only',
		['/user_id'],
	);
	await refused(t.call('POST', '/webhook-endpoints', { body: { url: 'https://ccaas.example/', secret: 'whsec_x' } }), 422, 'read_only', [
		'/secret',
	]);
	await refused(t.call('POST', '/api-keys', { body: { name: 'x', scopes: ['calls:read'], key: 'sb_x' } }), 422, 'read_only', ['/key']);
});

test('every fault is told at once', async () => {
	const { body } = await t.call('POST', '/sites', { body: { region: 'us', address_id: 5, nmae: 1, external_id: 'two words' } });
	assert.deepEqual(body.errors.map((e) => e.pointer).sort(), ['/address_id', '/external_id', '/name', '/nmae', '/region']);
});

test('what is needed is asked for by name', async () => {
	for (const [path, needed] of [
		['/sites', ['name', 'region', 'address_id']],
		['/addresses', ['region', 'city', 'street']],
		['/users', ['display_name', 'site_id']],
		['/api-keys', ['name', 'scopes']],
		['/pools', ['site_id', 'name', 'region', 'number_type']],
		['/phone-numbers', ['number', 'number_type', 'region', 'usage']],
		['/webhook-endpoints', ['url']],
		[`/pools/${t.homePool.id}/numbers`, ['numbers']],
	])
		await refused(
			t.call('POST', path, { body: {} }),
			422,
			'required',
			needed.map((name) => `/${name}`),
		);
	await refused(w.asOperator('POST', '/v1/tenants', { body: {} }), 422, 'required', ['/name', '/region']);
});

const address = { region: 'US', city: 'c', street: 's' };
const user = () => ({ display_name: 'x', site_id: t.home.id });
const number = () => ({ number: '+14255559999', number_type: 'native', region: 'US', usage: 'user' });
const pool = () => ({ site_id: t.home.id, name: 'x', region: 'US', number_type: 'native' });
const hook = { url: 'https://ccaas.example/' };
const long = 'x'.repeat(201);
// path, a right body, member, wrong values
const WRONG = [
	['/addresses', () => address, 'region', ['us', 'USA', 'U', '', 5, null, 'ZZ', 'XX']],
	['/addresses', () => address, 'city', ['', long, 5, null, ['c'], {}, 'a\tb', 'a\u0007b', '\u007f', '\u0085']],
	['/addresses', () => address, 'kind', ['home', 'Company', 1, null]],
	['/addresses', () => address, 'latitude', [90.001, -91, '47', true, []]],
	['/addresses', () => address, 'longitude', [180.1, -181, 'x']],
	['/addresses', () => address, 'uncertainty_m', [-1, 'x', 1e9]],
	[
		'/addresses',
		() => address,
		'validated_at',
		['yesterday', '2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00', 5],
	],
	['/addresses', () => address, 'external_id', ['', 'two words', 'ü', 'x'.repeat(129), 5, 'a\nb']],
	['/addresses', () => address, 'floor', ['', long, 3]],
	['/sites', site, 'name', ['', long, 1, null]],
	['/sites', site, 'address_id', ['x', '', 5, null, 'ext:', 'ext:two words', '01981f6a-3c01-7a10-8f00-0000000000f']],
	['/sites', site, 'fallback', ['x', 5, [], {}]],
	['/users', user, 'display_name', ['', long, 5, null]],
	['/users', user, 'kind', ['robot', 1, null]],
	['/users', user, 'extension', ['', 'abc', 5, 'x'.repeat(40)]],
	['/users', user, 'active', ['true', 1, null]],
	['/users', user, 'remote', ['no', 0]],
	['/users', user, 'endpoints', ['x', {}, null, [5], [{}], [{ type: 'fax', address: 'x' }], [{ type: 'mobile', address: '' }]]],
	['/users', user, 'provisioning', ['x', 5, { enterprise_voice: 'yes' }, { nmae: 1 }]],
	['/users', user, 'number_id', ['x', '', 5, '14255550100', '+1']],
	[
		'/phone-numbers',
		number,
		'number',
		[
			'',
			'14255550100',
			'+0425',
			'+1',
			'+14255550100123456',
			'+1 425 555 0100',
			'+1425555O100',
			'tel:+14255550100',
			14255550100,
			null,
			'+\u0661425555',
		],
	],
	['/phone-numbers', number, 'number_type', ['voip', '', 5, null]],
	['/phone-numbers', number, 'usage', ['fax', null]],
	['/phone-numbers', number, 'state', ['gone', 5, null]],
	['/pools', pool, 'low_water', [-1, 1.5, '1', 1e10, null, 9007199254740993]],
	['/pools', pool, 'number_type', ['voip', null]],
	['/webhook-endpoints', () => hook, 'event_types', ['x', ['nothing'], [5], null, {}]],
	['/webhook-endpoints', () => hook, 'payload_format', ['xml', null]],
	['/webhook-endpoints', () => hook, 'detail', ['some', 1]],
	['/webhook-endpoints', () => hook, 'enabled', ['yes', 1, null]],
	['/webhook-endpoints', () => hook, 'description', ['', 'x'.repeat(501), 'a\nb']],
	[
		'/api-keys',
		() => ({ name: 'x', scopes: ['calls:read'] }),
		'scopes',
		[[], ['all'], 'calls:read', [5], null, ['calls:read', 'calls:read']],
	],
	['/api-keys', () => ({ name: 'x', scopes: ['calls:read'] }), 'expires_at', ['soon', 5, '2026-01-01']],
];

for (const [path, right, member, values] of WRONG)
	test(`${path} ${member}: out of its type or bounds is refused by name`, async () => {
		for (const value of values) {
			const { status, body } = await t.call('POST', path, { body: { ...right(), [member]: value } });
			assert.equal(status, 422, `${JSON.stringify(value)}: ${status} ${JSON.stringify(body)}`);
			assert.ok(
				body.errors.length > 0 && body.errors.every((e) => e.pointer === `/${member}` || e.pointer.startsWith(`/${member}/`)),
				`${JSON.stringify(value)}: ${JSON.stringify(body.errors)}`,
			);
		}
	});

test('numbers for a pool are all taken or none; each fault points at its place', async () => {
	const add = (numbers) => t.call('POST', `/pools/${t.homePool.id}/numbers`, { body: { numbers } });
	await refused(add([w.number(), '911', w.number(), '+0']), 422, 'invalid_value', ['/numbers/1', '/numbers/3']);
	await refused(add([]), 422, 'invalid_value', ['/numbers']);
	await refused(add(Array.from({ length: 1001 }, () => w.number())), 422, 'invalid_value', ['/numbers']);
	await refused(add('x'), 422, 'invalid_value', ['/numbers']);
	await refused(add([t.account.number]), 422, 'number_usage', ['/numbers/0']);
});

test('wrong queries are refused by name', async () => {
	for (const query of [
		'page_size=0',
		'page_size=-1',
		'page_size=x',
		'page_size=',
		'page_size=1.5',
		'page_size=1&page_size=2',
		'page_token=x',
		'page_token=',
		'nmae=x',
		'page-size=1',
		'%00=1',
		'page_size=%',
		'page_size=%zz',
		'page_size=1%00',
		'external_id=%ff',
		'state=active',
		'=',
		'a',
	])
		await refused(t.call('GET', `/users?${query}`), 400, 'invalid_query', undefined, query);
	for (const path of [
		'leases?state=gone',
		'leases?at=now',
		'leases?number=911',
		'leases?user_id=',
		'emergency-calls?state=over',
		'emergency-calls?user_id=x',
		'phone-numbers?usage=fax',
		'phone-numbers?number=1',
		'pools?site_id=x',
	])
		await refused(t.call('GET', `/${path}`), 400, 'invalid_query', undefined, path);
	const { next_page_token: token } = (await t.call('GET', '/phone-numbers?page_size=1', { expect: 200 })).body;
	await refused(t.call('GET', `/phone-numbers?page_size=1&usage=callback&page_token=${enc(token)}`), 400, 'invalid_query');
	await refused(t.call('GET', `/addresses?page_token=${enc(token)}`), 400, 'invalid_query');
	await refused(t.call('GET', `/phone-numbers?page_token=${enc(`${token.slice(0, -2)}zz`)}`), 400, 'invalid_query');
});

test('what names nothing is an unknown reference', async () => {
	for (const reference of [UNKNOWN, `ext:${unique('nothing')}`]) {
		await refused(t.call('POST', '/sites', { body: { ...site(), address_id: reference } }), 422, 'unknown_reference', ['/address_id']);
		await refused(t.call('POST', '/users', { body: { ...user(), site_id: reference } }), 422, 'unknown_reference', ['/site_id']);
		await refused(t.call('POST', '/users', { body: { ...user(), address_id: reference } }), 422, 'unknown_reference', ['/address_id']);
		await refused(t.call('POST', '/pools', { body: { ...pool(), site_id: reference } }), 422, 'unknown_reference', ['/site_id']);
		await refused(t.call('POST', '/users', { body: { ...user(), policy_id: reference } }), 422, 'unknown_reference', ['/policy_id']);
	}
	await refused(t.call('POST', '/users', { body: { ...user(), number_id: '+14250000009' } }), 422, 'unknown_reference', ['/number_id']);
});

test('text that would be SQL, HTML or a format is only text', async () => {
	for (const name of [
		"'; DROP TABLE users; --",
		'<script>alert(1)</script>',
		'%s%s%n',
		'${7*7}',
		'\\',
		'"',
		'\u202e',
		'\u{1f6a8}'.repeat(200),
	]) {
		const { status, body } = await w.asOperator('POST', '/v1/tenants', { body: { name, region: 'XX' } });
		assert.deepEqual([status, body.errors.map((e) => e.pointer)], [422, ['/region']], name);
	}
});
