// What holds for every resource of the configuration, from its creation to its end: registers the tests of
// one. kind: the collection; least and all: bodies; defaults: what the least one reads; nulls: members that
// null sets back to their default; change: a patch that changes `all`.
import assert from 'node:assert/strict';
import test from 'node:test';
import { enc, unique } from './fixture.mjs';

export function lifecycle({ kind, tenant, other, least, all, defaults, nulls, change, external = true }) {
	const t = () => tenant();

	test(`${kind}: created, read, listed`, async () => {
		const body = all();
		const reply = await t().call('POST', `/${kind}`, { body, expect: 201 });
		const made = reply.body;
		assert.equal(reply.headers.location, `${t().path}/${kind}/${made.id}`);
		assert.deepEqual({ ...made, ...body }, made, 'what was sent');
		const read = await t().call('GET', `/${kind}/${made.id}`, { expect: 200 });
		assert.deepEqual([read.body, read.headers.etag], [made, reply.headers.etag]);
		const same = await t().call('GET', `/${kind}/${made.id}`, { headers: { 'if-none-match': read.headers.etag } });
		assert.equal(same.status, 304);
		assert.deepEqual((await t().list(kind)).find(({ id }) => id === made.id), made);
		const small = await t().create(kind, least());
		assert.deepEqual({ ...small, ...defaults }, small, 'what was not sent');
		await t().delete(`/${kind}/${small.id}`);
		await t().delete(`/${kind}/${made.id}`);
	});

	if (external)
		test(`${kind}: by external_id`, async () => {
			const external_id = `${unique('x')}/%:`;
			const made = await t().create(kind, { ...least(), external_id });
			const path = `/${kind}/${enc(`ext:${external_id}`)}`;
			assert.deepEqual(await t().get(path), made);
			assert.deepEqual(await t().list(kind, { external_id }), [made]);
			assert.deepEqual(await t().list(kind, { external_id: unique('none') }), []);
			const twice = await t().call('POST', `/${kind}`, { body: { ...least(), external_id } });
			assert.deepEqual([twice.status, twice.body.code, twice.body.errors[0].pointer], [409, 'already_exists', '/external_id']);
			await other().delete(`/${kind}/${(await other().create(kind, { ...least(other()), external_id })).id}`);
			await t().delete(path);
		});

	test(`${kind}: changed, with If-Match, and null as if it had not been sent`, async () => {
		const reply = await t().call('POST', `/${kind}`, { body: all(), expect: 201 });
		const made = reply.body;
		const path = `/${kind}/${made.id}`;
		const { etag } = reply.headers;
		const changed = await t().changing(path, change(), { etag, expect: 200 });
		assert.notEqual(changed.headers.etag, etag);
		assert.deepEqual({ ...made, ...change(), updated_at: changed.body.updated_at }, changed.body);
		const stale = await t().changing(path, change(), { etag });
		assert.deepEqual([stale.status, stale.body.code], [412, 'precondition_failed']);
		const nothing = await t().changing(path, change(), { expect: 200 });
		assert.equal(nothing.headers.etag, changed.headers.etag, 'what changes nothing makes no version');
		const bare = await t().change(path, Object.fromEntries(nulls.map((name) => [name, null])));
		for (const name of nulls) assert.deepEqual(bare[name], defaults[name], name);
		const gone = await t().call('DELETE', path, { headers: { 'if-match': etag } });
		assert.equal(gone.status, 412);
		await t().delete(path);
		for (const method of ['GET', 'DELETE']) assert.equal((await t().call(method, path)).status, 404, method);
		assert.equal((await t().changing(path, change())).status, 404);
	});

	test(`${kind}: strangers, scopes, unknown and read-only members`, async () => {
		const made = await t().create(kind, least());
		const path = `/${kind}/${made.id}`;
		for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', {}]]) {
			const type = 'application/merge-patch+json';
			const stranger = await other().call(method, path, { body, type });
			const nobody = await other().call(method, `/${kind}/${t().id}`, { body, type });
			assert.equal(stranger.status, 404, method);
			assert.equal(stranger.body.detail, nobody.body.detail);
		}
		const reader = (await t().create('api-keys', { name: 'r', scopes: ['config:read'] })).key;
		const writer = (await t().create('api-keys', { name: 'w', scopes: ['config:write'] })).key;
		await t().get(path, { key: reader });
		assert.equal((await t().call('GET', `/${kind}`, { key: writer })).status, 403);
		assert.equal((await t().call('POST', `/${kind}`, { key: reader, body: least() })).status, 403);
		assert.equal((await t().call('DELETE', path, { key: reader })).status, 403);
		const wrong = await t().call('POST', `/${kind}`, { body: { ...least(), id: made.id, nmae: 'x' } });
		assert.equal(wrong.status, 422);
		assert.deepEqual(wrong.body.errors.map(({ pointer }) => pointer).sort(), ['/id', '/nmae']);
		const untyped = await t().call('PATCH', path, { body: {} });
		assert.equal(untyped.status, 415);
		await t().delete(path, { key: writer });
	});

	test(`${kind}: pages`, async () => {
		const made = [];
		for (let i = 0; i < 5; i++) made.push(await t().create(kind, least()));
		const ids = made.map(({ id }) => id);
		const first = await t().get(`/${kind}?page_size=2`);
		await t().delete(`/${kind}/${first.items[1].id}`); // the page goes on behind it all the same
		const rest = await t().get(`/${kind}?page_size=1000&page_token=${first.next_page_token}`);
		assert.deepEqual([...first.items, ...rest.items].map(({ id }) => id), ids);
		assert.equal(rest.next_page_token, undefined);
		for (const id of ids.filter((id) => id !== first.items[1].id)) await t().delete(`/${kind}/${id}`);
	});
}

// A request that must be refused: [status, code, pointer] is what is compared.
export async function refused(asking, status, code, pointer) {
	const reply = await asking;
	assert.deepEqual([reply.status, reply.body.code, reply.body.errors?.[0]?.pointer], [status, code, pointer], reply.text);
	return reply.body.errors[0].detail;
}
