// Who may do what: keys, scopes, and the wall between tenants.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { call, until, world } from '../lib/harness.mjs';
import { SCOPES, enc, unique } from '../lib/fixture.mjs';
import { operations } from '../lib/openapi.mjs';

let w;
let t;
let other;
let placed;
let resolution;
let hooked;
before(async () => {
	w = await world();
	[t, other] = await Promise.all([w.tenant({ numbers: 3 }), w.tenant({ numbers: 3 })]);
	placed = await other.place(other.agent, { external_call_id: 'theirs' });
	resolution = await other.resolve(placed.lease.number);
	hooked = await other.create('webhook-endpoints', { url: 'https://ccaas.example/' });
});
after(() => w.close());

const UNKNOWN = '01981f6a-3c01-7a10-8f00-0000000000ff';
const guarded = operations.filter((o) => o.scope !== null);
const keyWith = async (scopes, body = {}) => t.create('api-keys', { name: unique('key'), scopes, ...body });
const fill = (path, ids) => path.replace(/\{(\w+)\}/g, (_, name) => enc(ids[name] ?? UNKNOWN));
const send = (operation, ids, options) =>
	call(w.servers[0], operation.method, fill(operation.path, ids), {
		...(['POST', 'PUT', 'PATCH'].includes(operation.method) && { body: {} }),
		...(operation.method === 'PATCH' && { type: 'application/merge-patch+json' }),
		...options,
	});

test('a key that is missing, malformed, unknown or wrong: 401 with WWW-Authenticate, on every guarded route', async () => {
	const [, id, secret] = t.key.split('_').length >= 3 ? /^sb_([^_]+)_(.+)$/.exec(t.key) : [];
	const wrong = `${secret.slice(0, -2)}${secret.endsWith('AA') ? 'BB' : 'AA'}`;
	const bad = [
		undefined,
		'Bearer',
		'Bearer ',
		`Basic ${Buffer.from('a:b').toString('base64')}`,
		'Bearer sb_',
		'Bearer sb__',
		`Bearer sb_${id}`,
		`Bearer sb_${id}_`,
		`Bearer sb_${id}_${wrong}`,
		`Bearer sb_${id}_${secret}x`,
		`Bearer sb_${UNKNOWN}_${secret}`,
		`Bearer SB_${id}_${secret}`,
		`Bearer ${t.key} ${t.key}`,
		`Bearer ${t.key},`,
		t.key,
		`Bearer ${w.operatorKey.slice(0, -1)}`,
		`Bearer ${w.operatorKey}0`,
		`Bearer ${'x'.repeat(3000)}`,
		'Bearer \u00e9',
		"Bearer sb_'; DROP TABLE api_keys; --_x",
	];
	for (const authorization of bad) {
		const headers = authorization === undefined ? {} : { authorization };
		const reply = await t.call('GET', '/users', { key: undefined, headers });
		assert.deepEqual([reply.status, reply.body.code], [401, 'unauthorized'], String(authorization));
		assert.match(reply.headers['www-authenticate'], /^Bearer/);
		assert.ok(!reply.text.includes(secret), 'and tells nothing of the key');
	}
	for (const operation of guarded) assert.equal((await send(operation, { tenant_id: t.id })).status, 401, operation.operationId);
	assert.equal(
		(await t.call('GET', '/users', { headers: { authorization: `bearer ${t.key}` }, key: undefined })).status,
		200,
		'the scheme is in any case (RFC 9110)',
	);
});

test('an expired key is no key', async () => {
	const soon = await keyWith(['config:read'], { expires_at: new Date(Date.now() + 3_600_000).toISOString() });
	assert.equal((await t.call('GET', '/sites', { key: soon.key })).status, 200);
	await w.sql(`UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = $1`, [soon.id]);
	const fresh = await w.serve(); // a key is taken from a cache for up to a second: this process has none
	assert.equal((await t.call('GET', '/sites', { key: soon.key, server: fresh })).status, 401);
	await fresh.stop();
});

test('each operation needs its scope, or one of its scopes: 403 without, and no other will do', async () => {
	const keys = new Map();
	const keyOf = async (scopes) => keys.get(scopes.join()) ?? keys.set(scopes.join(), (await keyWith(scopes)).key).get(scopes.join());
	for (const operation of guarded.filter((o) => o.scope !== 'operator')) {
		const needed = operation.scope.split(' ');
		const refused = await send(operation, { tenant_id: t.id }, { key: await keyOf(SCOPES.filter((scope) => !needed.includes(scope))) });
		assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden'], `${operation.operationId} without ${needed}`);
		assert.ok(
			needed.some((scope) => refused.body.detail.includes(scope)),
			`${operation.operationId} names its scope: ${refused.body.detail}`,
		);
		for (const scope of needed) {
			const allowed = await send(operation, { tenant_id: t.id }, { key: await keyOf([scope]) });
			assert.ok(![401, 403].includes(allowed.status), `${operation.operationId} with ${scope}: ${allowed.status}`);
		}
	}
});

test('only the operator key reaches tenants as a whole', async () => {
	for (const operation of guarded.filter((o) => o.scope === 'operator'))
		assert.equal((await send(operation, { tenant_id: t.id }, { key: t.key })).status, 403, operation.operationId);
	assert.equal((await w.asOperator('GET', '/v1/tenants')).status, 200);
	assert.equal((await w.asOperator('GET', `/v1/tenants/${enc(`ext:${t.resource.external_id}`)}`)).status, 404, 'there is no ext:null');
	assert.equal((await w.asOperator('GET', `${t.path}/users`)).status, 200, 'and what belongs to each');
	assert.equal((await t.call('GET', '')).body.id, t.id, 'a tenant reads itself');
});

test('registering a number needs numbers:write, by whatever way it comes', async () => {
	const { key } = await keyWith(['config:read', 'config:write']);
	// Nor does the refusal tell whether somebody else has the number.
	const asked = await Promise.all(
		[w.number(), other.numbers[0]].map((number) => t.call('POST', `/pools/${t.homePool.id}/numbers`, { key, body: { numbers: [number] } })),
	);
	assert.deepEqual(
		asked.map(({ status, body }) => [status, body.errors]),
		Array(2).fill([403, asked[0].body.errors]),
	);
	const refused = [
		await t.call('POST', `/pools/${t.homePool.id}/numbers`, { key, body: { numbers: [w.number()] } }),
		await t.call('POST', '/sites', {
			key,
			body: { name: 'x', region: 'US', address_id: t.homeAddress.id, resource_account: { ...t.account, number: w.number() } },
		}),
		await t.call('POST', '/phone-numbers', { key, body: { number: w.number(), number_type: 'native', region: 'US', usage: 'user' } }),
	];
	assert.deepEqual(
		refused.map((r) => r.status),
		[403, 403, 403],
	);
	assert.equal(
		(await t.call('POST', `/pools/${t.homePool.id}/numbers`, { key, body: { numbers: [t.numbers[0]] } })).status,
		201,
		'a registered one can be used',
	);
});

test('a key gives only scopes that it has; the key itself is shown once', async () => {
	const { key } = await keyWith(['config:read', 'config:write']);
	assert.equal((await t.call('POST', '/api-keys', { key, body: { name: 'more', scopes: ['calls:write'] } })).status, 403);
	const made = (await t.call('POST', '/api-keys', { key, body: { name: 'less', scopes: ['config:read'] }, expect: 201 })).body;
	const { key: shown, ...rest } = made;
	assert.match(shown, new RegExp(`^sb_${made.id}_`));
	assert.deepEqual(await t.get(`/api-keys/${made.id}`), rest);
	assert.ok(!(await t.call('GET', '/api-keys')).text.includes(shown));
	const monitor = { body: { name: 'monitor', scopes: ['emergency:monitor'] } };
	assert.equal((await t.call('POST', '/api-keys', monitor)).status, 403);
	assert.equal(
		(await w.asOperator('POST', `${t.path}/api-keys`, monitor)).status,
		201,
		"the first emergency:monitor is the operator's to give",
	);
	const body = { name: 'op', scopes: ['operator'] };
	assert.equal((await w.asOperator('POST', `${t.path}/api-keys`, { body })).status, 422, 'operator is nothing to give');
	assert.equal((await t.call('GET', '/sites', { key: shown })).status, 200);
	const [{ secret_hash }] = await w.sql(`SELECT encode(secret_hash, 'hex') AS secret_hash FROM api_keys WHERE id = $1`, [made.id]);
	assert.equal(secret_hash.length, 64);
});

// --- the wall

// What every route says to another tenant's ids: walls.test.mjs.
const theirs = () => ({
	tenant_id: other.id,
	api_key_id: other.apiKey.id,
	address_id: other.homeAddress.id,
	site_id: other.home.id,
	number_id: other.numbers[0],
	pool_id: other.homePool.id,
	user_id: other.agent.id,
	webhook_endpoint_id: hooked.id,
	emergency_call_id: placed.id,
	lease_id: placed.lease.id,
	callback_resolution_id: resolution.id,
});

test("lists show what is one's own, and a page token of another tenant is worth nothing", async () => {
	for (const path of [
		'users',
		'sites',
		'pools',
		'addresses',
		'phone-numbers',
		'api-keys',
		'webhook-endpoints',
		'emergency-calls',
		'leases',
	]) {
		const mine = await t.call('GET', `/${path}`, { expect: 200 });
		for (const id of Object.values(theirs())) assert.ok(!mine.text.includes(id), path);
	}
	await other.user();
	const { next_page_token } = await other.get('/users?page_size=1');
	const reply = await t.call('GET', `/users?page_size=1&page_token=${enc(next_page_token)}`);
	assert.ok(reply.status === 400 || !reply.text.includes(other.agent.id), reply.text);
});

test("a key of one tenant never resolves, nor sees, another's callbacks", async () => {
	assert.equal(
		(await w.call('POST', '/v1/callback-resolutions', { key: t.key, body: { called_number: placed.lease.number } })).body.code,
		'number_not_managed',
	);
	assert.equal((await w.call('GET', `/v1/callback-resolutions/${resolution.id}`, { key: t.key })).status, 404);
	assert.deepEqual((await w.call('GET', `/v1/callback-resolutions/${resolution.id}`, { key: other.key })).body, resolution);
});

test('last_used_at tells that a key is used', async () => {
	const made = await keyWith(['config:read']);
	assert.equal(made.last_used_at, null);
	await t.call('GET', '/sites', { key: made.key, expect: 200 });
	const used = await until('it is noted', async () => (await t.get(`/api-keys/${made.id}`)).last_used_at);
	assert.ok(used >= made.created_at);
});
