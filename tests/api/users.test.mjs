// Users: changed and deleted, with their numbers, extensions and calls; where they are, as calls see it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { CCAAS, SCOPES, TEAMS, unique } from '../lib/fixture.mjs';

const MERGE = 'application/merge-patch+json';

let w;
let t;

before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 20, users: 1 });
});
after(() => w.close());

const patch = (user, body, options) => t.call('PATCH', `/users/${user.id}`, { body, type: MERGE, ...options });
const patched = async (user, body) => (await patch(user, body, { expect: 200 })).body;
const remove = (user, options) => t.call('DELETE', `/users/${user.id}`, options);
const refused = ({ status, body }) => [status, body.code, ...body.errors.map((error) => error.pointer)];
const etag = async (path) => (await t.call('GET', path, { expect: 200 })).headers.etag;
const configVersion = async () => (await w.sql('SELECT config_version::int AS v FROM tenants WHERE id = $1', [t.id]))[0].v;
const audits = async (id) => (await w.sql('SELECT action FROM audit_entries WHERE resource_id = $1 ORDER BY id', [id])).map((row) => row.action);
const rows = async (table, column, id) => (await w.sql(`SELECT count(*)::int AS n FROM ${table} WHERE ${column} = $1`, [id]))[0].n;

// As if the hour of the user's lease were over: that of the lease, and of the number's head.
async function expire(user) {
	const leases = await w.sql("UPDATE leases SET expires_at = now() - interval '1 s' WHERE user_id = $1 RETURNING id", [user.id]);
	await w.sql("UPDATE pool_numbers SET free_at = now() - interval '1 s' WHERE lease_id = ANY($1)", [leases.map(({ id }) => id)]);
}

// ---- PATCH

test('a change raises the ETag of the user, and no config_version', async () => {
	const user = await t.user({ provisioning: { enterprise_voice: true, capacity_profile: true } });
	const at = await configVersion();
	const before_ = await etag(`/users/${user.id}`);
	const now = await patched(user, { display_name: 'Grace', remote: true, provisioning: { capacity_profile: null }, endpoints: [CCAAS] });
	assert.deepEqual([now.display_name, now.remote, now.site_id, now.endpoints.length], ['Grace', true, user.site_id, 1]);
	assert.deepEqual([now.provisioning.enterprise_voice, now.provisioning.capacity_profile], [true, null]);
	const after_ = await etag(`/users/${user.id}`);
	assert.notEqual(after_, before_);
	assert.equal(await configVersion(), at);
	assert.deepEqual(await audits(user.id), ['created', 'updated']);
	await patched(user, { display_name: 'Grace' });
	assert.equal(await etag(`/users/${user.id}`), after_, 'nothing was changed');
	assert.equal((await patch(user, { remote: false }, { headers: { 'if-match': before_ } })).status, 412);
});

test('what other people\'s decisions know of a user raises config_version', async () => {
	const user = await t.user();
	for (const change of [{ extension: '3030' }, { extension: null }, { external_id: unique('renamed') }, { external_id: null }]) {
		const at = await configVersion();
		await patched(user, change);
		assert.equal(await configVersion(), at + 1, JSON.stringify(change));
	}
	// 9911 is 911 with a prefix, until it is somebody's extension; both processes have decided it before.
	const dial = (server) => t.placing(t.agent, { dial_string: '9911' }, { server });
	for (const server of w.servers) assert.equal((await dial(server)).status, 201);
	await patched(user, { extension: '9911' });
	for (const server of w.servers) assert.equal((await dial(server)).body.code, 'not_an_emergency_number');
	await remove(user, { expect: 204 });
	for (const server of w.servers) assert.equal((await dial(server)).status, 201);
});

test('references of a user are checked as at creation', async () => {
	const other = await w.tenant({ numbers: 1, users: 1 });
	const user = await t.user();
	const service = await t.ownNumber({ usage: 'service' });
	const own = await t.ownNumber();
	await t.user({ number_id: own.id, extension: '2020' });
	const cases = [
		[{ site_id: other.home.id }, 422, 'unknown_reference', '/site_id'],
		[{ site_id: null }, 422, 'invalid_value', '/site_id'],
		[{ number_id: other.numbers[0] }, 422, 'unknown_reference', '/number_id'],
		[{ address_id: 'ext:nowhere' }, 422, 'unknown_reference', '/address_id'],
		[{ policy_id: user.id }, 422, 'unknown_reference', '/policy_id'],
		[{ number_id: service.number }, 422, 'number_usage', '/number_id'],
		[{ number_id: t.numbers[0] }, 422, 'number_usage', '/number_id'],
		[{ number_id: own.number }, 409, 'number_in_use', '/number_id'],
		[{ extension: '2020' }, 409, 'already_exists', '/extension'],
		[{ external_id: t.agent.external_id }, 409, 'already_exists', '/external_id'],
		[{ id: user.id }, 422, 'read_only', '/id'],
		[{ nickname: 'x' }, 422, 'unknown_field', '/nickname'],
	];
	for (const [body, ...expected] of cases) assert.deepEqual(refused(await patch(user, body)), expected, JSON.stringify(body));
	assert.deepEqual(await t.get(`/users/${user.id}`), user);
	assert.equal((await t.call('PATCH', `/users/${other.agent.id}`, { body: {}, type: MERGE })).status, 404);
});

test('an extension may not be what a custom dial rule takes, of the tenant or of any site', async () => {
	const rule = (body) => t.create('dial-rules', { name: unique('rule'), kind: 'custom', route: 'team_only', ...body });
	await rule({ pattern: '77xx' });
	await rule({ pattern: '*88', site_id: t.home.id });
	const user = await t.user({ extension: '6000' });
	for (const extension of ['7700', '7799', '*88']) {
		assert.deepEqual(refused(await patch(user, { extension })), [422, 'pattern_conflict', '/extension'], extension);
		const made = await t.call('POST', '/users', { body: { display_name: 'A', site_id: t.home.id, extension } });
		assert.deepEqual(refused(made), [422, 'pattern_conflict', '/extension'], extension);
		const line = JSON.stringify({ display_name: 'A', site_id: t.home.id, extension });
		const { body } = await t.call('POST', '/users/batch', { text: line, type: 'application/x-ndjson', expect: 200 });
		assert.deepEqual([body.items[0].code, body.items[0].errors[0].pointer], ['pattern_conflict', '/extension']);
	}
	for (const extension of ['770', '77001', '7*00', '88', '#88']) assert.equal((await patched(user, { extension })).extension, extension);
});

test('an extension and a dial rule that takes it are never both there, whoever comes first or at once', async () => {
	const rule = (pattern, kind = 'custom') => ({ name: unique('rule'), pattern, kind, translation: '+12065550100' });
	const masked = String(700_000 + Math.floor(Math.random() * 99_000));
	await t.create('dial-rules', { ...rule(masked, 'mask'), translation: '911' });
	assert.deepEqual(refused(await t.call('POST', '/users', { body: { display_name: 'x', site_id: t.home.id, extension: masked } })), [422, 'pattern_conflict', '/extension']);
	for (let round = 0; round < 15; round++) {
		const digits = String(800_000 + round * 7919);
		const [made, user] = await Promise.all([
			t.call('POST', '/dial-rules', { body: rule(digits), server: w.servers[0] }),
			t.call('POST', '/users', { body: { display_name: 'x', site_id: t.home.id, extension: digits }, server: w.servers[1] }),
		]);
		assert.deepEqual([made.status, user.status].sort(), [201, 422], digits);
	}
});

test('a slice of a batch raises config_version once, whatever it changes', async () => {
	const users = Array.from({ length: 50 }, (_, i) => ({ external_id: unique('slice'), display_name: 'x', site_id: t.home.id, extension: String(610_000 + i) }));
	const load = (list) => t.call('POST', '/users/batch', { body: list, expect: 200 });
	for (const list of [users, users.map((user, i) => ({ ...user, extension: String(620_000 + i) }))]) {
		const before_ = await configVersion();
		assert.ok((await load(list)).body.items.every(({ status }) => status !== 'error'));
		assert.equal(await configVersion(), before_ + 1);
	}
});

test('a number that is given and taken away has changed; it belongs to one user', async () => {
	const [one, two] = [await t.ownNumber(), await t.ownNumber()];
	const user = await t.user({ number_id: one.id });
	const tags = async () => Promise.all([one, two].map(({ id }) => etag(`/phone-numbers/${id}`)));
	const holders = async () => Promise.all([one, two].map(async ({ id }) => (await t.get(`/phone-numbers/${id}`)).user_id));
	const at = await tags();
	await patched(user, { display_name: 'Same number' });
	assert.deepEqual(await tags(), at);
	await patched(user, { number_id: two.number });
	const moved = await tags();
	assert.ok(moved.every((tag, i) => tag !== at[i]), 'both have changed');
	assert.deepEqual(await holders(), [null, user.id]);
	await remove(user, { expect: 204 });
	assert.deepEqual(await holders(), [null, null]);
	assert.notEqual((await tags())[1], moved[1]);
});

test('two who ask for the same number or extension at once: one gets it', async () => {
	const number = await t.ownNumber();
	const users = await Promise.all(Array.from({ length: 6 }, () => t.user()));
	for (const change of [{ number_id: number.id }, { extension: '4545' }]) {
		const replies = await Promise.all(users.map((user, i) => patch(user, change, { server: w.servers[i % 2] })));
		const got = replies.map(({ status }) => status).sort();
		assert.equal(got.filter((status) => status === 200).length, 1, got.join());
		assert.ok(replies.every(({ status, body }) => status === 200 || [409, 503].includes(status)), JSON.stringify(replies.map(({ body }) => body.code)));
	}
});

// ---- DELETE

test('a user with a call or a live lease is in use; then it goes with its state and location', async () => {
	const user = await t.user();
	await t.call('PUT', `/users/${user.id}/location`, { body: { address_id: t.homeAddress.id }, expect: 200 });
	const call = await t.place(user);
	const during = await remove(user);
	assert.deepEqual([during.status, during.body.code], [409, 'in_use']);
	const references = [{ type: 'emergency_call', id: call.id }, { type: 'lease', id: call.lease.id }];
	assert.deepEqual(during.body.references.sort((a, b) => a.type.localeCompare(b.type)), references);
	await t.end(call);
	const leased = await remove(user);
	assert.deepEqual([leased.status, leased.body.references], [409, [references[1]]]);
	await expire(user);
	assert.equal((await remove(user, { headers: { 'if-match': '"0"' } })).status, 412);
	await remove(user, { expect: 204 });
	assert.equal((await t.call('GET', `/users/${user.id}`)).status, 404);
	assert.equal((await remove(user)).status, 404);
	assert.deepEqual(await audits(user.id), ['created', 'deleted']);
	for (const [table, column] of [['users', 'id'], ['user_states', 'holder_id'], ['user_locations', 'user_id']])
		assert.equal(await rows(table, column, user.id), 0, table);
	// What it left behind can be read, and called back.
	assert.equal((await t.get(`/emergency-calls/${call.id}`)).state, 'ended');
	assert.equal((await t.get(`/leases/${call.lease.id}`)).state, 'expired');
	assert.notEqual((await t.resolve(call.lease.number)).outcome, undefined);
});

test('a superseded lease is live, too', async () => {
	const of = await w.tenant({ numbers: 1, users: 2 });
	const [a, b] = of.users;
	await of.end(await of.place(a));
	await of.end(await of.place(b));
	const { status, body } = await of.call('DELETE', `/users/${a.id}`);
	assert.deepEqual([status, body.references.map(({ type }) => type)], [409, ['lease']]);
	assert.equal((await of.get(`/leases/${body.references[0].id}`)).state, 'superseded');
});

test('users that are deleted while they place calls: each call is answered, as a user\'s or a guest\'s', async () => {
	const of = await w.tenant({ numbers: 3, users: 0 });
	for (let round = 0; round < 15; round++) {
		const user = await of.user();
		const ref = `ext:${user.external_id}`;
		// Both processes know the user from a call before; its number is then somebody else's to have.
		for (const server of w.servers) await of.end(await of.place(ref, {}, { server }), { server });
		await expire(user);
		const place = (i) => of.placing(ref, {}, { server: w.servers[i % 2] });
		const [deleted, ...placed] = await Promise.all([of.call('DELETE', `/users/${user.id}`), place(0), place(1), place(2)]);
		assert.ok([204, 409, 503].includes(deleted.status), `DELETE: ${deleted.status} ${deleted.text}`);
		for (const { status, body, text } of placed) {
			assert.equal(status, 201, text);
			assert.ok(body.user_id === user.id || body.guest?.reference === ref, text);
			if (deleted.status === 204) assert.equal(body.user_id, null, 'placed by whom there is not');
			await of.end(body);
		}
		if (deleted.status !== 204) continue;
		const late = await of.place(ref);
		assert.deepEqual([late.user_id, late.guest.reference], [null, ref]);
		await of.end(late);
		assert.equal(await rows('user_states', 'holder_id', user.id), 0);
	}
});

// ---- endpoints

test('endpoints of a login: the user\'s version, no config_version, no audit; callbacks ring them', async () => {
	const user = await t.user({ endpoints: [] });
	const at = await configVersion();
	const before_ = await etag(`/users/${user.id}`);
	const put = (endpoints, options) => t.call('PUT', `/users/${user.id}/endpoints`, { body: { endpoints }, ...options });
	const first = await put([{ ...CCAAS, expires_at: '2031-01-01T01:00:00+01:00' }], { expect: 200 });
	assert.deepEqual(first.body.endpoints, [{ ...CCAAS, cellular: null, expires_at: '2031-01-01T00:00:00.000000Z' }]);
	assert.notEqual(first.headers.etag, before_);
	assert.equal(await etag(`/users/${user.id}`), first.headers.etag);
	const again = await put([{ ...CCAAS, expires_at: '2031-01-01T00:00:00Z' }], { expect: 200 });
	assert.equal(again.headers.etag, first.headers.etag, 'the same login changes nothing');
	assert.equal(await configVersion(), at);
	assert.deepEqual(await audits(user.id), ['created']);
	const call = await t.place(user);
	await put([TEAMS], { expect: 200, server: w.servers[1] });
	assert.deepEqual((await t.resolve(call.lease.number)).targets.map(({ address }) => address), [TEAMS.address]);
	await t.end(call);
	await put([], { expect: 200 });
	const cases = [
		[{}, 'required', '/endpoints'],
		[{ endpoints: null }, 'invalid_value', '/endpoints'],
		[{ endpoints: [{ type: 'fax', address: 'x' }] }, 'invalid_value', '/endpoints/0/type'],
		[{ endpoints: Array(21).fill(CCAAS) }, 'invalid_value', '/endpoints'],
		[{ endpoints: [], id: 'x' }, 'unknown_field', '/id'],
	];
	for (const [body, ...expected] of cases)
		assert.deepEqual(refused(await t.call('PUT', `/users/${user.id}/endpoints`, { body })), [422, ...expected], JSON.stringify(body));
	const { key } = await t.create('api-keys', { name: 'no calls', scopes: SCOPES.filter((scope) => scope !== 'calls:write') });
	assert.equal((await put([], { key })).status, 403);
	assert.equal((await t.call('PUT', '/users/ext:nobody/endpoints', { body: { endpoints: [] } })).status, 404);
});

// ---- location

const HERE = { region: 'US', city: 'Bellevue', street: 'Pine St', house_number: '7', floor: '12', latitude: 47.6, longitude: -122.2 };
const locate = (user, body, options) => t.call('PUT', `/users/${user.id}/location`, { body, ...options });
const whereIs = async (user, options) => {
	const made = await t.place(user, {}, options);
	await t.end(made, options);
	return [made.location.source, made.location.address?.city, made.location.address?.address_id];
};

test('a location is put, read and forgotten; it is no configuration', async () => {
	const user = await t.user();
	const path = `/users/${user.id}/location`;
	assert.equal((await t.call('GET', path)).status, 404);
	const at = await configVersion();
	const before_ = await etag(`/users/${user.id}`);
	const put = (await locate(user, { address: { ...HERE, validated_at: '2026-01-01T01:00:00+01:00' }, expires_at: '2031-01-01T01:00:00+01:00' }, { expect: 200 })).body;
	assert.deepEqual([put.address_id, put.expires_at], [null, '2031-01-01T00:00:00.000000Z']);
	assert.deepEqual(put.address, { admin_area: null, postal_code: null, room: null, name: null, uncertainty_m: null, ...HERE, validated_at: '2026-01-01T00:00:00.000000Z' });
	assert.deepEqual(await t.get(path), put);
	assert.equal(await etag(`/users/${user.id}`), before_, 'it is no part of the user');
	const named = (await locate(user, { address_id: t.homeAddress.id }, { expect: 200 })).body;
	assert.deepEqual([named.address_id, named.address, named.expires_at], [t.homeAddress.id, null, null]);
	for (let i = 0; i < 2; i++) await t.call('DELETE', path, { expect: 204 });
	assert.equal((await t.call('GET', path)).status, 404);
	await locate(user, { address: HERE, expires_at: '2020-01-01T00:00:00Z' }, { expect: 200 });
	assert.equal((await t.call('GET', path)).status, 404, 'it has expired');
	assert.equal(await configVersion(), at);
	assert.deepEqual(await audits(user.id), ['created']);
});

test('a location is no part of the user: neither ETag nor updated_at move, and If-Match still holds', async () => {
	const user = await t.user();
	const { headers, body } = await t.call('GET', `/users/${user.id}`);
	await t.call('PUT', `/users/${user.id}/location`, { body: { address_id: t.homeAddress.id }, expect: 200 });
	await t.call('DELETE', `/users/${user.id}/location`, { expect: 204 });
	const now = await t.call('GET', `/users/${user.id}`);
	assert.deepEqual([now.headers.etag, now.body], [headers.etag, body]);
	const stale = await t.call('PUT', `/users/${user.id}/endpoints`, { body: { endpoints: [TEAMS] }, headers: { 'if-match': '"99"' } });
	assert.equal(stale.status, 412);
	await t.call('PUT', `/users/${user.id}/endpoints`, { body: { endpoints: [TEAMS] }, headers: { 'if-match': headers.etag }, expect: 200 });
	assert.notEqual((await t.call('GET', `/users/${user.id}`)).headers.etag, headers.etag);
});

test('a location that is over holds no address, and is forgotten', async () => {
	const user = await t.user();
	const address = await t.address();
	const past = { address_id: address.id, expires_at: '2020-01-01T00:00:00Z' };
	await t.call('PUT', `/users/${user.id}/location`, { body: past, expect: 200 });
	await t.delete(`/addresses/${address.id}`);
	const own = { region: 'US', city: 'Redmond', street: unique('home') };
	await t.call('PUT', `/users/${user.id}/location`, { body: { address: own, expires_at: '2020-01-01T00:00:00Z' }, expect: 200 });
	await until('the place is in no table', async () => (await rows('user_locations', 'user_id', user.id)) === 0);
});

test('a location is an address of the tenant or one of its own, not both, not neither', async () => {
	const other = await w.tenant({ numbers: null, users: 1 });
	const user = await t.user();
	const cases = [
		[{}, 'required', '/address_id'],
		[{ address_id: null, address: HERE }, 'invalid_value', '/address_id'],
		[{ address: null }, 'invalid_value', '/address'],
		[{ address_id: t.homeAddress.id, address: HERE }, 'invalid_value', '/address'],
		[{ address_id: other.homeAddress.id }, 'unknown_reference', '/address_id'],
		[{ address: { region: 'US', city: 'x' } }, 'required', '/address/street'],
		[{ address: { ...HERE, longitude: null } }, 'invalid_value', '/address/longitude'],
		[{ address: { ...HERE, kind: 'company' } }, 'unknown_field', '/address/kind'],
		[{ address: HERE, expires_at: 'soon' }, 'invalid_value', '/expires_at'],
	];
	for (const [body, ...expected] of cases) assert.deepEqual(refused(await locate(user, body)), [422, ...expected], JSON.stringify(body));
	for (const method of ['GET', 'PUT', 'DELETE'])
		assert.equal((await t.call(method, `/users/${other.agent.id}/location`, method === 'PUT' ? { body: { address: HERE } } : {})).status, 404);
	const reader = await t.create('api-keys', { name: 'reads', scopes: ['calls:read'] });
	const writer = await t.create('api-keys', { name: 'writes', scopes: ['calls:write'] });
	assert.equal((await locate(user, { address: HERE }, { key: reader.key })).status, 403);
	assert.equal((await locate(user, { address: HERE }, { key: writer.key })).status, 200);
	assert.equal((await t.call('GET', `/users/${user.id}/location`, { key: writer.key })).status, 403);
	assert.equal((await t.call('DELETE', `/users/${user.id}/location`, { key: reader.key })).status, 403);
});

test('a call knows where the user is: before the user\'s address, in every process, from the next call on', async () => {
	const home = await t.address({ city: 'Seattle', external_id: unique('home') });
	const user = await t.user({ address_id: home.id });
	const desk = await t.address({ city: 'Tacoma' });
	const everywhere = async (expected) => {
		for (const server of w.servers) assert.deepEqual(await whereIs(user, { server }), expected);
	};
	await everywhere(['user', 'Seattle', home.id]);
	await locate(user, { address: HERE }, { expect: 200 });
	await everywhere(['user', 'Bellevue', null]);
	await locate(user, { address_id: desk.id }, { expect: 200 });
	await everywhere(['user', 'Tacoma', desk.id]);
	await t.call('DELETE', `/users/${user.id}/location`, { expect: 204 });
	await everywhere(['user', 'Seattle', home.id]);
	const placed = await t.place(user, { location: { region: 'US', city: 'Kent', street: 'A' } });
	assert.equal(placed.location.source, 'caller');
	await t.end(placed);
});

test('the region of a location decides what may be dialled', async () => {
	const user = await t.user();
	assert.equal((await t.placing(user, { dial_string: '000' })).status, 422);
	await locate(user, { address: { region: 'AU', city: 'Perth', street: 'Hay St' } }, { expect: 200 });
	const { status, body } = await t.placing(user, { dial_string: '000' });
	assert.deepEqual([status, body.dial_string], [201, '000']);
	await t.end(body);
});

test('a location that expires is not used again, though nothing has changed and every process knows it', async () => {
	const user = await t.user();
	await locate(user, { address: HERE, expires_at: '2031-01-01T00:00:00Z' }, { expect: 200 });
	for (const server of w.servers) assert.deepEqual(await whereIs(user, { server }), ['user', 'Bellevue', null]);
	// Its end is near: no version moves between these calls and it.
	const ends = new Date(Date.now() + 1500).toISOString();
	await locate(user, { address: HERE, expires_at: ends }, { expect: 200 });
	const at = await etag(`/users/${user.id}`);
	for (const server of w.servers) assert.deepEqual(await whereIs(user, { server }), ['user', 'Bellevue', null]);
	await until('the location expires', async () => (await t.call('GET', `/users/${user.id}/location`)).status === 404);
	for (const server of w.servers) assert.deepEqual(await whereIs(user, { server }), ['site', 'Redmond', t.homeAddress.id]);
	assert.equal(await etag(`/users/${user.id}`), at);
});
