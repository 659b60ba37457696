// Two writers, or twenty, through two processes: nothing that one of them was told is lost. Over every resource
// that can be changed or deleted.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { changesOf } from '../lib/changes.mjs';
import { estate } from '../lib/estate.mjs';
import { unique } from '../lib/fixture.mjs';
import { world } from '../lib/harness.mjs';
import { TENANT, collections, ofTenants, parametersOf, pathWith, routes } from '../lib/routes.mjs';

let w;
let e;
before(async () => {
	w = await world({ servers: 2 });
	e = await estate(w, await w.tenant({ numbers: 2 }));
});
after(() => w.close());

const ROUNDS = 4;
const routeOf = (method, path) => routes.find((route) => route.method === method && route.path === path);
const MERGE = 'application/merge-patch+json';
const ifMatch = (tag) => (tag === undefined ? {} : { 'if-match': tag });

// Each resource that has a PATCH, with one of its own to change.
const changeable = routes.filter((route) => route.method === 'PATCH');
const deletable = ofTenants.filter((route) => route.method === 'DELETE' && routeOf('GET', route.path)?.responses[200].headers?.ETag);

// A new resource of the route's collection: { path, reply() }.
async function fresh(route) {
	const [...parameters] = parametersOf(route);
	const { name, collection } = parameters.at(-1);
	const ids = name === 'tenant_id' ? {} : e.ids({ ...route, segments: route.segments.slice(0, -1) });
	const id = await makeOne(collection);
	const path = pathWith(route, { ...ids, [name]: id });
	const key = name === 'tenant_id' ? w.operatorKey : e.tenant.key;
	const call = (method, i, options) => w.call(method, path, { key, server: w.servers[i % 2], ...options });
	return {
		get: (i = 0, options = {}) => call('GET', i, { expect: 200, ...options }),
		patch: (i, body, tag) => call('PATCH', i, { body, type: MERGE, headers: ifMatch(tag) }),
		remove: (i, tag) => call('DELETE', i, { headers: ifMatch(tag) }),
	};
}

async function makeOne(collection) {
	if (collection === 'tenants')
		return (await w.asOperator('POST', '/v1/tenants', { body: { name: unique('t'), region: 'US' }, expect: 201 })).body.id;
	if (collection === 'numbers') {
		const added = await e.make(routeOf('POST', `/v1/tenants/${TENANT}/pools/{pool_id}/numbers`));
		return added.items[0].id;
	}
	assert.ok(collections[collection], `nothing makes one of ${collection}`);
	return (await e.make(collections[collection])).id;
}

test('there is a PATCH to be walked over, and a DELETE', () => {
	assert.ok(changeable.length >= 3 && deletable.length >= 2, `${changeable.length} and ${deletable.length}`);
});

for (const route of changeable) {
	const changes = changesOf(route);
	const value = (k, n) => ({ [changes[k % changes.length][0]]: changes[k % changes.length][1](n, e) });
	// One that differs from what is there.
	const other = (k, n, now) => {
		for (let i = n; ; i++) {
			const change = value(k, i);
			const [[name, wanted]] = Object.entries(change);
			if (JSON.stringify(now[name]) !== JSON.stringify(wanted)) return change;
		}
	};
	const shows = (body, change) => Object.entries(change).every(([name, wanted]) => JSON.stringify(body[name]) === JSON.stringify(wanted));

	test(`${route.operationId}: of two writers with the same ETag one gets 412, and what the other wrote stays`, async () => {
		const one = await fresh(route);
		for (let round = 0; round < ROUNDS; round++) {
			const { headers, body } = await one.get(round);
			const patches = [other(0, 2 * round, body), other(round % 2, 2 * round + 1, body)];
			const replies = await Promise.all(patches.map((patch, i) => one.patch(i, patch, headers.etag)));
			assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 412], replies.map((reply) => reply.text).join('\n'));
			const winner = replies.findIndex((reply) => reply.status === 200);
			assert.equal(replies[1 - winner].body.code, 'precondition_failed');
			const now = await one.get(1 - winner);
			assert.deepEqual(now.body, replies[winner].body);
			assert.equal(now.headers.etag, replies[winner].headers.etag);
			assert.notEqual(now.headers.etag, headers.etag);
			assert.ok(shows(now.body, patches[winner]));
			const untouched = Object.keys(body).filter((name) => !(name in patches[winner]) && !['updated_at', 'last_used_at', 'counts'].includes(name));
			for (const name of untouched) assert.deepEqual(now.body[name], body[name], `${name} is as it was`);
		}
	});

	test(`${route.operationId}: writers of different members, at once and without If-Match, lose nothing`, async () => {
		const one = await fresh(route);
		for (let round = 0; round < ROUNDS; round++) {
			const { body } = await one.get();
			const patches = changes.map((_, k) => other(k, 10 * round, body));
			const replies = await Promise.all(patches.map((patch, i) => one.patch(i, patch)));
			assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200], replies.find((r) => r.status !== 200)?.text);
			const now = (await one.get(1)).body;
			for (const patch of patches) assert.ok(shows(now, patch), `${JSON.stringify(patch)} is lost: ${JSON.stringify(now)}`);
			const tags = replies.map((reply) => reply.headers.etag);
			assert.equal(new Set(tags).size, tags.length, 'each has made a version of its own');
		}
	});

	test(`${route.operationId}: If-Match takes "*", a list, and compares strongly`, async () => {
		const one = await fresh(route);
		let n = 100;
		const tried = async (header) => {
			const { headers, body } = await one.get();
			const reply = await one.patch(0, other(0, n++, body), header(headers.etag));
			const now = (await one.get()).headers.etag;
			assert.equal(now !== headers.etag, reply.status === 200, 'it has changed only if it says so');
			return reply.status;
		};
		for (const header of [(tag) => tag, () => '*', (tag) => `"x", ${tag}`, (tag) => `W/"y",${tag} , "z"`, (tag) => `"a,${tag.slice(1, -1)}", ${tag}`])
			assert.equal(await tried(header), 200, header('"1"'));
		for (const header of [(tag) => `W/${tag}`, () => '"x"', () => '"x", "y"', (tag) => tag.slice(1, -1), (tag) => `"${tag.slice(1, -1)}x"`, (tag) => `"x${tag.slice(1)}`])
			assert.equal(await tried(header), 412, header('"1"'));
		const before_ = await one.get();
		const same = await one.patch(1, {}, before_.headers.etag);
		assert.deepEqual([same.status, same.headers.etag], [200, before_.headers.etag], 'what changes nothing makes no version');
		assert.deepEqual(same.body, before_.body);
	});

	test(`${route.operationId}: If-None-Match is 304 until it changes, in every process`, async () => {
		const one = await fresh(route);
		const { headers, body } = await one.get();
		const asked = (i, tag) => one.get(i, { headers: { 'if-none-match': tag }, expect: undefined });
		for (const i of [0, 1]) {
			const reply = await asked(i, headers.etag);
			assert.deepEqual([reply.status, reply.text, reply.headers.etag], [304, '', headers.etag]);
			for (const tag of ['*', `W/${headers.etag}`, `"x", ${headers.etag}`]) assert.equal((await asked(i, tag)).status, 304, tag);
			assert.equal((await asked(i, '"x"')).status, 200);
		}
		assert.equal((await one.patch(0, other(0, 7, body))).status, 200);
		for (const i of [0, 1]) assert.equal((await asked(i, headers.etag)).status, 200);
	});
}

for (const route of deletable) {
	const patchRoute = routeOf('PATCH', route.path);

	test(`${route.operationId}: If-Match holds for DELETE too; of two that delete one finds nothing`, async () => {
		const one = await fresh(route);
		const { etag } = (await one.get()).headers;
		for (const tag of ['"x"', `W/${etag}`]) assert.deepEqual([(await one.remove(0, tag)).status, (await one.get(1)).headers.etag], [412, etag], tag);
		const replies = await Promise.all([one.remove(0, etag), one.remove(1, etag)]);
		assert.deepEqual(replies.map((reply) => reply.status).sort(), [204, 404]);
		assert.equal((await one.get(0, { expect: undefined })).status, 404);
		assert.equal((await one.remove(0, '*')).status, 404, 'the resource is asked for before If-Match');
	});

	if (!patchRoute) continue;
	const [name, values] = changesOf(patchRoute).find(([member]) => /name|city|trunk|description|state|dial_strings/.test(member));
	test(`${route.operationId}: of one that changes and one that deletes with the same ETag only one is served`, async () => {
		for (let round = 0; round < ROUNDS; round++) {
			const one = await fresh(route);
			const { etag } = (await one.get()).headers;
			const [changed, removed] = await Promise.all([one.patch(0, { [name]: values(1, e) }, etag), one.remove(1, etag)]);
			const both = `${changed.status} ${removed.status}`;
			assert.ok(['200 412', '404 204'].includes(both), both);
			assert.equal((await one.get(0, { expect: undefined })).status, changed.status);
		}
	});
}
