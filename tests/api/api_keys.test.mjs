// API keys: rotated, narrowed, revoked, in every process.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { call, until, world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: null, users: 0 });
});
after(() => w.close());

const make = (body = {}) => t.create('api-keys', { name: unique('key'), scopes: ['config:read', 'config:write'], ...body });
const sites = (key, server) => t.call('GET', '/sites', { key, server });
const everywhere = (what, key, status) =>
	Promise.all(w.servers.map((server) => until(`${what} in every process`, async () => (await sites(key, server)).status === status)));

test('two keys live side by side while one replaces the other', async () => {
	const [old, next] = [await make({ name: 'backend' }), await make({ name: 'backend' })];
	for (const server of w.servers)
		for (const { key } of [old, next]) assert.equal((await sites(key, server)).status, 200);
	await t.delete(`/api-keys/${old.id}`, { key: next.key });
	await everywhere('the old key is refused', old.key, 401);
	for (const server of w.servers) assert.equal((await sites(next.key, server)).status, 200);
	assert.equal((await t.call('GET', `/api-keys/${old.id}`)).status, 404);
	assert.ok(!(await t.list('api-keys')).some(({ id }) => id === old.id));
});

test('a key may revoke itself', async () => {
	const { id, key } = await make();
	await t.delete(`/api-keys/${id}`, { key });
	await everywhere('it is refused', key, 401);
});

test('scopes that are taken away are gone in every process; the key itself stays', async () => {
	const { id, key } = await make();
	await Promise.all(w.servers.map((server) => sites(key, server)));
	const changed = await t.change(`/api-keys/${id}`, { scopes: ['calls:read'] });
	assert.deepEqual(changed.scopes, ['calls:read']);
	assert.ok(!('key' in changed));
	await everywhere('the scope is missing', key, 403);
});

test('an expiry that is set is kept to, and may be taken back', async () => {
	const { id, key } = await make();
	const soon = new Date(Date.now() + 600).toISOString();
	assert.equal((await t.change(`/api-keys/${id}`, { expires_at: soon })).expires_at, soon.replace('Z', '000Z'));
	await everywhere('it has expired', key, 401);
	// Other members can be changed without the expiry being looked at again.
	assert.equal((await t.change(`/api-keys/${id}`, { name: 'late' })).name, 'late');
	await t.change(`/api-keys/${id}`, { expires_at: null });
	await everywhere('it is valid again', key, 200);
	const past = await t.changing(`/api-keys/${id}`, { expires_at: '2020-01-01T00:00:00Z' });
	assert.deepEqual([past.status, past.body.errors[0].pointer], [422, '/expires_at']);
});

test('a key gives no scope by a change that it does not have, and leaves those that were there', async () => {
	const weak = await make();
	const strong = await make({ scopes: ['config:read', 'calls:write'] });
	const refused = await t.changing(`/api-keys/${strong.id}`, { scopes: ['calls:write', 'calls:read'] }, { key: weak.key });
	assert.deepEqual([refused.status, refused.body.errors[0].pointer], [403, '/scopes/1']);
	const kept = await t.change(`/api-keys/${strong.id}`, { scopes: ['calls:write', 'config:write'] }, { key: weak.key });
	assert.deepEqual(kept.scopes, ['calls:write', 'config:write']);
	const own = await t.changing(`/api-keys/${weak.id}`, { scopes: ['numbers:write'] }, { key: weak.key });
	assert.equal(own.status, 403, 'not to itself, either');
});

test('a key gives an expired one its life back only with all the scopes of that one', async () => {
	const weak = await make({ scopes: ['config:write'] });
	const strong = await make({ scopes: ['config:read', 'calls:write'], expires_at: new Date(Date.now() + 3_600_000).toISOString() });
	for (const expires_at of [null, '2099-01-01T00:00:00Z']) {
		const refused = await t.changing(`/api-keys/${strong.id}`, { expires_at }, { key: weak.key });
		assert.deepEqual([refused.status, refused.body.errors[0].pointer], [403, '/scopes/0'], String(expires_at));
	}
	assert.equal((await t.change(`/api-keys/${strong.id}`, { name: 'renamed' }, { key: weak.key })).name, 'renamed');
	assert.equal((await t.change(`/api-keys/${strong.id}`, { expires_at: null })).expires_at, null);
});

test('using a key does not change its ETag', async () => {
	const { id, key } = await make();
	const before = await t.call('GET', `/api-keys/${id}`);
	await sites(key);
	const used = await until('last_used_at', async () => {
		const reply = await t.call('GET', `/api-keys/${id}`);
		return reply.body.last_used_at && reply;
	});
	assert.equal(used.headers.etag, before.headers.etag);
	await t.change(`/api-keys/${id}`, { name: 'other' }, { etag: before.headers.etag });
});

test('the operator key is no API key', async () => {
	const reply = await call(w.servers[0], 'GET', `${t.path}/api-keys/operator`, { key: w.operatorKey });
	assert.equal(reply.status, 404);
});
