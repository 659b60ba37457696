// Tenants: changed by themselves, deleted by the operator once they are empty.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { DESK, enc, unique } from '../lib/fixture.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

test('a tenant changes itself; nested objects are merged, null takes a member back', async () => {
	const t = await w.tenant({ numbers: null, users: 0 });
	const first = await t.change('', { name: 'New', safety_team: DESK, language: 'de-AT' }, { etag: '"1"' });
	assert.deepEqual([first.name, first.language, first.safety_team.address], ['New', 'de-AT', DESK.address]);
	const second = await t.change('', { safety_team: { name: 'Front' }, language: null });
	assert.deepEqual(second.safety_team, { ...first.safety_team, name: 'Front' });
	assert.equal(second.language, 'en', 'as if it had not been sent at creation');
	assert.equal((await t.change('', { safety_team: null })).safety_team, null);
	const partial = await t.changing('', { fallback: { name: 'no address' } });
	assert.deepEqual([partial.status, partial.body.code], [422, 'required'], 'a new object must be whole');
	assert.deepEqual(partial.body.errors.map(({ pointer }) => pointer).sort(), ['/fallback/address', '/fallback/type']);
});

test('a change that changes nothing leaves ETag, updated_at and the audit alone', async () => {
	const t = await w.tenant({ numbers: null, users: 0, body: { external_id: unique('t') } });
	const before = await t.call('GET', '');
	const audit = await t.list('audit-entries');
	const { id, created_at, updated_at, ...members } = before.body;
	for (const body of [{}, { name: before.body.name }, members]) {
		const reply = await t.changing('', body, { expect: 200 });
		assert.deepEqual([reply.headers.etag, reply.text], [before.headers.etag, before.text]);
	}
	assert.deepEqual(await t.list('audit-entries'), audit);
});

test('external_id of a tenant: unique in the deployment, and its new name is taken at once', async () => {
	const [a, b] = [unique('t'), unique('t')];
	const t = await w.tenant({ numbers: null, users: 0, body: { external_id: a } });
	const other = await w.tenant({ numbers: null, users: 0, body: { external_id: b } });
	const byOperator = (who, external_id) =>
		w.asOperator('PATCH', who.path, { type: 'application/merge-patch+json', body: { external_id } });
	const taken = await byOperator(other, a);
	assert.deepEqual([taken.status, taken.body.code, taken.body.errors[0].pointer], [409, 'already_exists', '/external_id']);
	const c = unique('t');
	const own = await t.changing('', { external_id: c });
	assert.deepEqual([own.status, own.body.errors[0].pointer], [403, '/external_id'], 'nobody takes a name that is to be given');
	assert.equal((await byOperator(t, c)).status, 200);
	await until('the new name', async () => (await w.asOperator('GET', `/v1/tenants/${enc(`ext:${c}`)}`)).status === 200);
	await until('the old one is gone', async () => (await w.asOperator('GET', `/v1/tenants/${enc(`ext:${a}`)}`)).status === 404);
});

test('a change of the tenant decides the next call, in every process', async () => {
	const t = await w.tenant({ numbers: 0, site: { resource_account: null, fallback: null } });
	for (const server of w.servers) await t.end(await t.place(t.agent, {}, { server }));
	await t.change('', { fallback: { type: 'phone_number', address: '+12065550100' } });
	for (const server of w.servers) {
		const call = await t.place(t.agent, {}, { server });
		assert.deepEqual([call.caller_id.number, call.caller_id.source], ['+12065550100', 'fallback']);
		await t.end(call);
	}
});

test('a tenant that has anything configured is not deleted, and says what is there', async () => {
	const t = await w.tenant({ numbers: 1 });
	const refused = await w.asOperator('DELETE', t.path);
	assert.deepEqual([refused.status, refused.body.code], [409, 'in_use']);
	const types = new Set(refused.body.references.map(({ type }) => type));
	for (const type of ['site', 'user', 'pool', 'phone_number', 'address']) assert.ok(types.has(type), type);
	assert.equal((await t.call('GET', '')).status, 200);
	assert.equal((await t.call('DELETE', '')).status, 403, 'and never by a key of its own');
});

test('an empty tenant is deleted with its keys, webhook endpoints and history; its audit stays in the database', async () => {
	const made = (await w.asOperator('POST', '/v1/tenants', { body: { name: 'brief', region: 'US' }, expect: 201 })).body;
	const path = `/v1/tenants/${made.id}`;
	const key = (await w.asOperator('POST', `${path}/api-keys`, { body: { name: 'k', scopes: ['config:read'] }, expect: 201 })).body;
	await w.asOperator('POST', `${path}/webhook-endpoints`, { body: { url: 'https://ccaas.example/' }, expect: 201 });
	const guest = await w.asOperator('POST', `${path}/emergency-calls`, { body: { user_id: 'nobody', dial_string: '911' }, expect: 201 });
	const busy = await w.asOperator('DELETE', path);
	assert.deepEqual(busy.body.references, [{ type: 'emergency_call', id: guest.body.id }]);
	await w.asOperator('POST', `${path}/emergency-calls/${guest.body.id}/end`, { expect: 200 });
	const stale = await w.asOperator('DELETE', path, { headers: { 'if-match': '"7"' } });
	assert.equal(stale.status, 412);
	await w.asOperator('DELETE', path, { expect: 204, headers: { 'if-match': '"1"' } });
	for (const server of w.servers) {
		await until('404', async () => (await w.asOperator('GET', path, { server })).status === 404);
		await until('401', async () => (await w.asOperator('GET', path, { server, key: key.key })).status === 401);
	}
	const tables = await w.sql(`SELECT table_name AS name FROM information_schema.columns
		WHERE table_schema = 'switchback' AND column_name = 'tenant_id' ORDER BY 1`);
	for (const { name } of tables) {
		const [{ n }] = await w.sql(`SELECT count(*)::int AS n FROM ${name} WHERE tenant_id = $1`, [made.id]);
		assert.equal(n > 0, name === 'audit_entries', name);
	}
	const [last] = await w.sql(`SELECT action, resource_type, key_id FROM audit_entries WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1`, [made.id]);
	assert.deepEqual(last, { action: 'deleted', resource_type: 'tenant', key_id: null });
});

test('a tenant is not deleted under a call that is being placed: either the call is refused, or the deletion', async () => {
	for (let round = 0; round < 12; round++) {
		const made = (await w.asOperator('POST', '/v1/tenants', { body: { name: 'brief', region: 'US' }, expect: 201 })).body;
		const path = `/v1/tenants/${made.id}`;
		const [first, second] = w.servers;
		const place = () => w.asOperator('POST', `${path}/emergency-calls`, { server: second, body: { user_id: 'nobody', dial_string: '911' } });
		const end = (id) => w.asOperator('POST', `${path}/emergency-calls/${id}/end`, { server: second, expect: 200 });
		await end((await place()).body.id); // the second process knows the tenant
		const [deleted, ...calls] = await Promise.all([w.asOperator('DELETE', path, { server: first }), place(), place()]);
		const placed = calls.filter(({ status }) => status === 201);
		assert.ok(calls.every(({ status }) => [201, 404].includes(status)), calls.map(({ status }) => status).join());
		assert.equal(deleted.status, placed.length ? 409 : 204, `${placed.length} calls were placed`);
		for (const { body } of placed) await end(body.id);
	}
});
