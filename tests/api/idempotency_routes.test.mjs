// A POST that is sent again with its Idempotency-Key makes one resource, through any process: over every POST of
// the ordinary lane.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { estate } from '../lib/estate.mjs';
import { SCOPES, unique } from '../lib/fixture.mjs';
import { world } from '../lib/harness.mjs';
import { creating, pathWith, routes } from '../lib/routes.mjs';

let w;
let e; // whose routes are asked
let second; // another API key of the same tenant
before(async () => {
	w = await world({ servers: 2 });
	e = await estate(w, await w.tenant({ numbers: 2 }));
	second = await e.tenant.create('api-keys', { name: 'second', scopes: SCOPES });
});
after(() => w.close());

const posts = routes.filter(({ method, lane }) => method === 'POST' && lane === 'ordinary');
const isOperators = (route) => route.scope === 'operator';
const listOf = (route) => routes.find(({ method, path }) => method === 'GET' && path === route.path);

const post = (route, body, { server = 0, key = isOperators(route) ? w.operatorKey : e.tenant.key, idempotency, ids = e.ids(route) } = {}) =>
	w.call('POST', pathWith(route, ids), {
		...(typeof body === 'string' ? { text: body } : { body }),
		key,
		type: route.body?.type,
		server: w.servers[server],
		headers: idempotency === undefined ? {} : { 'idempotency-key': idempotency },
	});

async function count(route) {
	const of = { tenants: 'tenants', numbers: 'pool_numbers' };
	const collection = route.segments.at(-1);
	const table = of[collection] ?? collection.replaceAll('-', '_');
	return (await w.sql(`SELECT count(*)::int AS n FROM ${table}`))[0].n;
}

// Everything that the second answer must repeat.
const told = ({ status, text, headers: { location, etag, 'content-type': type } }) => ({ status, text, location, etag, type });
const isReplay = (reply) => reply.headers['idempotent-replay'] === 'true';
const succeeded = (reply, what) => assert.ok([200, 201, 202, 204].includes(reply.status), `${what}: ${reply.status} ${reply.text}`);

test('every POST of the ordinary lane takes an Idempotency-Key, and its success may be a replay', () => {
	assert.ok(posts.length >= 8);
	for (const route of posts) {
		assert.ok(route.takesKey, `${route.operationId}: openapi.yaml does not say that it takes one`);
		const [success] = Object.entries(route.responses).filter(([status]) => status < 300);
		assert.ok(success[1].headers?.['Idempotent-Replay'], `${route.operationId}: openapi.yaml does not say that its answer may be one`);
	}
});

for (const route of posts) {
	const { operationId } = route;
	const makes = creating.includes(route) && listOf(route);

	test(`${operationId}: sent again, the same answer byte for byte, and nothing is made twice`, async () => {
		const body = e.body(route);
		const idempotency = unique('again');
		const before_ = makes ? await count(route) : 0;
		const first = await post(route, body, { idempotency });
		succeeded(first, operationId);
		assert.ok(!isReplay(first));
		for (const [server, form] of [[1, idempotency], [0, idempotency], [1, `"${idempotency}"`], [0, `"${idempotency}"`]]) {
			const again = await post(route, body, { server, idempotency: form });
			assert.deepEqual(told(again), told(first));
			assert.ok(isReplay(again), `with ${form}`);
		}
		if (makes) assert.equal((await count(route)) - before_, first.body.items?.length ?? 1);
	});

	test(`${operationId}: twenty at once through two processes make one`, async () => {
		const body = e.body(route);
		const idempotency = unique('twenty');
		const before_ = makes ? await count(route) : 0;
		const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => post(route, body, { server: i % 2, idempotency: i % 3 ? idempotency : `"${idempotency}"` })));
		const [first, ...none] = replies.filter((reply) => !isReplay(reply));
		assert.ok(first && !none.length, replies.map((reply) => `${reply.status} ${isReplay(reply)}`).join(', '));
		succeeded(first, operationId);
		for (const reply of replies) assert.deepEqual(told(reply), told(first));
		if (makes) assert.equal((await count(route)) - before_, first.body.items?.length ?? 1);
	});

	test(`${operationId}: another body is refused, another API key or path is another request`, async () => {
		const body = e.body(route);
		const idempotency = unique('other');
		const first = await post(route, body, { idempotency });
		succeeded(first, operationId);
		const changed = differing(route, body);
		if (changed !== undefined) {
			const refused = await post(route, changed, { server: 1, idempotency });
			assert.deepEqual([refused.status, refused.body.code, isReplay(refused)], [422, 'idempotency_key_reused', false]);
			assert.deepEqual(told(await post(route, body, { idempotency })), told(first), 'the first answer stays');
		}
		if (!isOperators(route)) {
			const another = await post(route, e.body(route), { key: second.key, idempotency });
			succeeded(another, 'another API key');
			assert.ok(!isReplay(another));
			const asOperator = await post(route, e.body(route), { key: w.operatorKey, idempotency });
			succeeded(asOperator, 'the operator');
			assert.ok(!isReplay(asOperator));
		}
		const elsewhere = posts.find((one) => one !== route && isOperators(one) === isOperators(route));
		if (elsewhere) {
			const other = await post(elsewhere, e.body(elsewhere), { idempotency });
			succeeded(other, 'another path');
			assert.ok(!isReplay(other));
		}
	});

	test(`${operationId}: a request that failed is not kept`, { skip: !route.body && 'it takes no body that could be wrong' }, async () => {
		const idempotency = unique('failed');
		const wrong = await post(route, '{"nmae":1}', { idempotency });
		assert.ok(wrong.status >= 400 && wrong.status < 500, wrong.text);
		const body = e.body(route);
		const right = await post(route, body, { server: 1, idempotency });
		succeeded(right, operationId);
		assert.ok(!isReplay(right));
		assert.ok(isReplay(await post(route, body, { idempotency })));
	});

	test(`${operationId}: what is kept shows nothing in clear text`, async () => {
		const idempotency = unique('sealed');
		const before_ = new Set((await w.sql("SELECT encode(key_hash, 'hex') AS hash FROM idempotency_keys")).map(({ hash }) => hash));
		const first = await post(route, e.body(route), { idempotency });
		succeeded(first, operationId);
		const kept = (await w.sql("SELECT encode(key_hash, 'hex') AS hash, k.* FROM idempotency_keys k")).filter(({ hash }) => !before_.has(hash));
		assert.equal(kept.length, 1);
		const [{ answer_sealed, ...others }] = kept;
		const clear = first.text.match(/"[^"]{8,}"/g) ?? [];
		const secrets = [first.body.key, first.body.secret, idempotency].filter(Boolean);
		for (const text of [...clear.map((quoted) => quoted.slice(1, -1)), ...secrets, '"created_at"']) assert.ok(!answer_sealed.includes(text), text);
		const row = JSON.stringify(Object.values(others).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)));
		for (const secret of secrets) assert.ok(!row.includes(secret), 'nor any other column');
	});
}

// The same body but for one value; undefined: there is no other.
function differing(route, body) {
	if (body === undefined || typeof body === 'string' || Array.isArray(body)) return undefined;
	const again = e.body(route);
	if (JSON.stringify(again) !== JSON.stringify(body)) return again;
	const [name] = Object.keys(body).filter((member) => typeof body[member] === 'string' && ['name', 'display_name', 'description', 'city', 'trunk', 'address'].includes(member));
	assert.ok(name, `${route.operationId}: no member to change`);
	return { ...body, [name]: `${body[name]}x` };
}

test('the secrets of an answer are nowhere in the database', async () => {
	const shown = [];
	for (const route of creating) {
		const { body } = await post(route, e.body(route), { idempotency: unique('secret') });
		shown.push(...[body.key, body.secret].filter(Boolean));
	}
	assert.ok(shown.length >= 2, 'API keys and webhook secrets');
	const tables = await w.sql(`SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'switchback'::regnamespace`);
	for (const { name } of tables) {
		const all = (await w.sql(`SELECT t::text AS row FROM ${name} t`)).map(({ row }) => row).join('\n');
		for (const secret of shown) {
			const [, , bare = secret.replace(/^whsec_/, '')] = /^(sb_[^_]*_)(.*)$/.exec(secret) ?? [];
			for (const form of [bare, Buffer.from(bare).toString('hex'), Buffer.from(bare, 'base64').toString('hex')])
				assert.ok(!all.includes(form), `${name} shows a secret`);
		}
	}
});
