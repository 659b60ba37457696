// The first wall between tenants: every route that dump-api lists is asked with another tenant's ids, in its
// path, its members and its filters. The answer must be, byte for byte, that of an id that does not exist; and
// of the other tenant nothing may change. A route that the walk cannot fill fails it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { enc, tenant } from '../lib/fixture.mjs';
import { world } from '../lib/harness.mjs';
import { estate, namesOf } from '../lib/estate.mjs';
import { collectionOf, isLenient, ofTenants, parametersOf, pathWith, referencesIn, routes, whole } from '../lib/routes.mjs';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
let w;
let ours; // of the tenant whose key attacks
let theirs; // of the other one
before(async () => {
	w = await world();
	const made = [];
	for (const name of ['ours', 'theirs']) {
		const t = await tenant(w, { numbers: 3, body: { external_id: `walls-${name}` } });
		made.push(await estate(w, t));
	}
	[ours, theirs] = made;
});
after(() => w.close());

// ---- two requests that differ in the ids only

const hex = () => randomUUID().replace(/^(.{14})./, '$17');
// Of the same kind and length as the name, and nobody's.
function nobodys(name) {
	if (name.startsWith('ext:')) return `ext:${name.slice(4).replace(/[a-z]/gi, 'q').replace(/\d/g, () => String(Math.floor(Math.random() * 10)))}`;
	if (name.startsWith('+')) return w.number();
	return hex();
}

// What the client sees, with the ids that were asked for taken out.
function seen(reply, asked) {
	const { date, ...headers } = reply.headers;
	assert.ok(date);
	let text = JSON.stringify([reply.status, headers, reply.text]);
	for (const id of asked) for (const form of new Set([enc(id), id])) text = text.replaceAll(form, '<asked>');
	return text;
}

// What differs between two calls that were placed, whoever is asked for.
const withoutChance = (text) =>
	text
		.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, '<id>')
		.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, '<time>')
		.replace(/\+1[ \d-]{10,13}/g, '<number>')
		.replace(/\d\d:\d\d( UTC)?/g, '<clock>');

async function ask(route, key, { path, query = '', body }) {
	const headers = { 'x-request-id': 'the-same', traceparent: TRACE };
	const request = { key, headers, ...(body !== undefined && (typeof body === 'string' ? { text: body } : { body })) };
	return w.call(route.method, path + query, { ...request, type: route.body?.type });
}

// names: theirs, in the order in which request(names) uses them.
async function sameAsNobodys(route, names, request, { key = ours.tenant.key, normal = (text) => text } = {}) {
	const others = names.map(nobodys);
	const hostile = await ask(route, key, request(names));
	const control = await ask(route, key, request(others));
	assert.equal(
		normal(seen(hostile, names)),
		normal(seen(control, others)),
		`${route.method} ${route.path} with ${names.join(' ')}: theirs on the left, one that does not exist on the right`,
	);
	return control;
}

// Every row of a table that is theirs, as text. When a key was used is noted some time after the use.
async function rowsOf(tenantId) {
	const tables = await w.sql(`SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'switchback'::regnamespace ORDER BY 1`);
	const dump = { tenants: await w.sql('SELECT t::text AS row FROM tenants t WHERE id = $1', [tenantId]) };
	for (const { name } of tables)
		dump[name] = (await w.sql(`SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM ${name} t WHERE tenant_id = $1 ORDER BY 1`, [tenantId])).map((r) => r.row);
	return dump;
}

async function untouched(attack) {
	const before_ = await rowsOf(theirs.tenant.id);
	assert.ok(Object.values(before_).filter((rows) => rows.length).length >= 12, 'there is something to change');
	await attack();
	assert.deepEqual(await rowsOf(theirs.tenant.id), before_, 'nothing of theirs has changed');
}

// ---- the walk

const theirThing = ({ name, collection }, route) => theirs.thing(collection, `${route.operationId} {${name}}`);
const patternOf = (schema) => whole(schema).pattern;

// [{ tenant_id: ..., ... }]: every way to name theirs by these parameters.
function* namings(route, parameters) {
	if (!parameters.length) yield {};
	else {
		const [first, ...rest] = parameters;
		const names = namesOf(theirThing(first, route), patternOf(first.schema));
		assert.ok(names.length, `${route.operationId}: no name for {${first.name}}`);
		for (const name of names) for (const others of namings(route, rest)) yield { [first.name]: name, ...others };
	}
}

// The non-empty parts of a list.
const parts = (list) => (list.length ? [[list[0]], ...parts(list.slice(1)).flatMap((part) => [part, [list[0], ...part]])] : []);

// Asks for the path with each of these namings.
async function attackPaths(route, subset, key) {
	let n = 0;
	for (const naming of namings(route, subset)) {
		const keys = Object.keys(naming);
		const body = ours.body(route);
		const request = (names) => ({
			path: pathWith(route, { ...ours.ids(route), ...Object.fromEntries(keys.map((k, i) => [k, names[i]])) }),
			body,
		});
		const control = await sameAsNobodys(route, Object.values(naming), request, { key });
		assert.equal(control.status, 404, `${route.method} ${route.path}: ${control.text}`);
		n++;
	}
	return n;
}

test('the walk knows a thing for every parameter, and a body for every route', () => {
	assert.ok(ofTenants.length >= 33, `${ofTenants.length} routes`);
	for (const route of ofTenants) {
		for (const who of [ours, theirs]) pathWith(route, who.ids(route));
		ours.body(route);
	}
});

test("(a) our key on their path: every route, with their ids, ours, and a key of one scope", async () => {
	const narrow = await ours.tenant.create('api-keys', { name: 'narrow', scopes: ['config:read'] });
	await untouched(async () => {
		for (const route of ofTenants) {
			const parameters = parametersOf(route);
			const [tenantOnly] = parameters;
			assert.equal(tenantOnly.name, 'tenant_id');
			await attackPaths(route, parameters, ours.tenant.key); // all of them theirs
			await attackPaths(route, parameters, narrow.key); // the scope is checked after the tenant
			if (parameters.length > 1) await attackPaths(route, [tenantOnly], ours.tenant.key); // the rest is ours
		}
	});
});

test('(b) our path with their ids in its other segments, by id, ext: and number, also for the operator', async () => {
	let n = 0;
	await untouched(async () => {
		for (const route of ofTenants)
			for (const part of parts(parametersOf(route).slice(1)))
				for (const key of [ours.tenant.key, w.operatorKey]) n += await attackPaths(route, part, key);
	});
	assert.ok(n > 50, `${n} attacks`);
});

test('no list of ours shows anything of theirs', async () => {
	const names = new Set(Object.values(theirs.things).flatMap((thing) => namesOf(thing)));
	for (const route of ofTenants.filter(({ method, responses }) => method === 'GET' && responses[200])) {
		const { text, status } = await w.call('GET', pathWith(route, ours.ids(route)), { key: ours.tenant.key });
		assert.equal(status, 200, route.path);
		for (const name of names) assert.ok(!text.includes(name), `${route.path} shows ${name}`);
	}
});

// ---- members

const putAt = (body, [name, ...rest], value) => {
	const here = Array.isArray(body) ? [...body] : { ...body };
	here[name] = rest.length ? putAt(here[name] ?? (typeof rest[0] === 'number' ? [] : {}), rest, value) : value;
	return here;
};
const pointer = (path) => `/${path.join('/')}`;

// The bodies to try, until one gets as far as the look-up of the reference.
function bodiesFor(route, path) {
	const required = whole(route.body.schema).required ?? [];
	const full = ours.body(route);
	if (isLenient(route)) delete full.external_call_id; // it would make the second call a repeat
	const least = Object.fromEntries(Object.entries(full).filter(([name]) => required.includes(name)));
	const others = ours.things[collectionOf[path.at(-1)]];
	return (Array.isArray(full) ? [full] : [full, least, {}]).map((body) => (names) => putAt(body, path, names?.[0] ?? others.id));
}

// Does this answer show that the reference was looked up, and named nothing?
function lookedUp({ status, body }, at) {
	if (status === 422) return body.code === 'unknown_reference' && body.errors.some((e) => e.pointer === at);
	const items = status === 200 && Array.isArray(body.items) ? body.items : [];
	return items.some((item) => item.errors?.some((e) => at.endsWith(e.pointer)));
}

async function attackMember(route, { path, name }) {
	assert.ok(name in collectionOf, `${route.operationId}: nobody knows what ${pointer(path)} names; teach tests/lib/routes.mjs`);
	const thing = theirs.thing(collectionOf[name], `${route.operationId} ${pointer(path)}`);
	const at = pathWith(route, ours.ids(route));
	for (const their of namesOf(thing)) {
		let reached = false;
		for (const body of bodiesFor(route, path)) {
			const normal = isLenient(route) ? withoutChance : undefined;
			const control = await sameAsNobodys(route, [their], (names) => ({ path: at, body: body(names) }), { normal });
			// Of emergency calls the unknown is left out, and the call is placed.
			reached ||= isLenient(route) ? [200, 201].includes(control.status) : lookedUp(control, pointer(path));
			// Where a form is not allowed for the member (a number for a user), that is the answer to both.
			reached ||= !their.match(/^[0-9a-f]{8}-/) && control.body.code === 'invalid_value';
			if (reached) break;
		}
		assert.ok(reached, `${route.operationId}: no body got as far as the look-up of ${pointer(path)}`);
	}
}

test('(c) their ids in members of bodies that are ours', async () => {
	let n = 0;
	await untouched(async () => {
		for (const route of ofTenants.filter(({ body }) => body))
			for (const reference of referencesIn(route.body.schema)) {
				await attackMember(route, reference);
				n++;
			}
	});
	assert.ok(n >= 6, `${n} members`);
});

// ---- filters

const PLAIN = new Set(['page_size', 'page_token', 'at', 'after', 'since', 'until', 'type', 'state']);
const isChoice = (schema) => Boolean(schema.enum) || ['integer', 'number', 'boolean'].includes(schema.type) || schema.format === 'date-time';

// What of theirs a filter could name: texts; null: it names nothing of anybody's.
function filterValues(route, { name, schema }) {
	const s = whole(schema);
	if (PLAIN.has(name) || isChoice(s)) return null;
	const collection = route.segments.at(-1);
	if (name === 'external_id') return [theirs.thing(collection, `${route.operationId} ?${name}`).external_id];
	if (name === 'external_call_id') return [theirs.thing('emergency-calls', name).external_call_id];
	if (name === 'number') return [theirs.things.leases.number, theirs.things['phone-numbers'].number];
	if (name === 'resource_id') return Object.values(theirs.things).map((thing) => thing.id);
	if (name === 'event_id') return [hex()];
	assert.ok(name in collectionOf, `${route.operationId}: nobody knows what ?${name}= names; teach tests/api/walls.test.mjs`);
	return namesOf(theirs.thing(collectionOf[name], `${route.operationId} ?${name}`), s.pattern);
}

test('(c) their ids in filters of lists that are ours', async () => {
	let n = 0;
	await untouched(async () => {
		for (const route of ofTenants)
			for (const parameter of route.query) {
				const values = filterValues(route, parameter) ?? [];
				for (const value of values) {
					assert.ok(value, `${route.operationId} ?${parameter.name}: they have none`);
					const path = pathWith(route, ours.ids(route));
					const request = ([asked]) => ({ path, query: `?${parameter.name}=${enc(asked)}` });
					const control = await sameAsNobodys(route, [value], request);
					const { tenant: ofOurs, ...page } = control.body; // readiness tells of our own tenant, too
					if (page.items) assert.deepEqual(page, { items: [] }, `${route.path}?${parameter.name}=`);
					n++;
				}
			}
	});
	assert.ok(n >= 15, `${n} filters`);
});

// ---- routes without a tenant in their path

// What is asked of them, by the collection; a route that is not here fails the walk.
const WITHOUT = {
	'callback-resolutions': async (route) => {
		const rest = parametersOf(route);
		if (!rest.length) {
			const numbers = [theirs.things.leases.number, theirs.things['phone-numbers'].number, theirs.things.sites.resource_account?.number];
			for (const number of numbers.filter(Boolean)) {
				const control = await sameAsNobodys(route, [number], ([called_number]) => ({ path: route.path, body: { called_number } }));
				assert.deepEqual([control.status, control.body.code], [404, 'number_not_managed']);
			}
			return;
		}
		const { id } = theirs.thing('callback-resolutions', route.operationId);
		const request = ([callback_resolution_id]) => ({ path: pathWith(route, { callback_resolution_id }), body: ours.body(route) });
		const control = await sameAsNobodys(route, [id], request);
		assert.equal(control.status, 404);
	},
	// The operator's: no key of a tenant has the scope.
	tenants: async (route) => {
		const reply = await ask(route, ours.tenant.key, { path: route.path, body: ours.body(route) });
		assert.deepEqual([reply.status, reply.body.code], [403, 'forbidden']);
		assert.ok(!reply.text.includes(theirs.tenant.id));
	},
};

test('routes without a tenant in the path: their numbers are not managed, their resolutions do not exist', async () => {
	const others = routes.filter((route) => route.path.startsWith('/v1/') && !ofTenants.includes(route));
	await untouched(async () => {
		for (const route of others) {
			const [, collection] = route.segments;
			assert.ok(WITHOUT[collection], `${route.method} ${route.path}: the walk does not know it; teach tests/api/walls.test.mjs`);
			await WITHOUT[collection](route);
		}
	});
});
