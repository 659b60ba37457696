// From the schemas of openapi.yaml: any body that it allows is taken and read back as it was sent, any body that it
// forbids is refused, and nothing is answered with 5xx. The seed is printed; SWITCHBACK_TEST_SEED sets another one,
// SWITCHBACK_TEST_RUNS more bodies for each operation.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { arbitrary } from '../lib/arbitrary.mjs';
import { estate } from '../lib/estate.mjs';
import { world } from '../lib/harness.mjs';
import { forbidden } from '../lib/mutation.mjs';
import { mismatches } from '../lib/openapi.mjs';
import { assertReads, patched } from '../lib/reading.mjs';
import { collections, creating, isLenient, pathWith, routes, whole } from '../lib/routes.mjs';
import { Known, excuse, note, specials } from '../lib/rules.mjs';

const seed = Number(process.env.SWITCHBACK_TEST_SEED ?? 20260302);
const RUNS = Number(process.env.SWITCHBACK_TEST_RUNS ?? 40);
console.log(`# seed ${seed}, ${RUNS} runs`);

// The property holds for so many runs; else the smallest body that was found for which it does not, and why.
async function holds(route, property, runs) {
	const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, { seed: seedOf(route), numRuns: runs, interruptAfterTimeLimit: 60_000 });
	if (failed) throw new Error(`run ${numRuns} of seed ${seed}: ${errorInstance?.message}\nwith ${JSON.stringify(counterexample)}`);
}

// Each operation has bodies of its own, so that what must be unique seldom meets.
const seedOf = ({ operationId }) => seed + routes.findIndex((route) => route.operationId === operationId);

let w;
let t;
let e;
let known;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 3 });
	e = await estate(w, t);
	// Several of each to refer to, of two regions.
	const things = Object.fromEntries(Object.entries(e.things).map(([collection, thing]) => [collection, [thing]]));
	things.addresses.push(t.homeAddress, await t.address({ region: 'DE' }), await t.address({ region: 'PR', external_id: 'a/b%c?' }));
	things.sites.push(t.home);
	known = new Known(w, t, things);
	// What is changed is used by nothing else, and is not what the suite itself works with.
	for (const [collection, route] of Object.entries(collections)) known.spare[collection] = await e.make(route);
	Object.assign(e.things, known.spare);
});
after(() => w.close());

// An element of a batch, as if it were a request of its own.
const inBatch = routes
	.filter(({ body }) => body?.schema.type === 'array')
	.map((route) => ({ ...route, segments: route.segments.slice(0, -1), body: { ...route.body, schema: route.body.schema.items }, batch: true }));
const single = (route) =>
	!isLenient(route) && route.body && route.body.schema.type !== 'array' && ['POST', 'PUT', 'PATCH'].includes(route.method);
const operable = [...routes.filter(single), ...inBatch];
const kindOf = (route) => route.segments.filter((segment) => !segment.startsWith('{')).at(-1);
// external_id of a tenant is the operator's to change.
const keyOf = (route) => (route.scope === 'operator' || route.operationId === 'updateTenant' ? w.operatorKey : t.key);
const send = (route, request) =>
	route.batch ? sendElement(route, request) : w.call(route.method, pathWith(route, e.ids(route)), { key: keyOf(route), type: route.body.type, ...request });

// What a batch of this one element says of it, in the form of an answer to the element alone.
async function sendElement(route, { body, text }) {
	const request = text === undefined ? { body: [body] } : { text: `${text}\n`, type: 'application/x-ndjson' };
	const reply = await w.call(route.method, pathWith(route, e.ids(route)), { key: keyOf(route), ...request });
	if (reply.status !== 200) return reply;
	assert.equal(reply.body.items.length, 1, said(reply));
	const [item] = reply.body.items;
	if (item.status === 'error') return { ...reply, status: 422, body: item };
	const location = `${t.path}/${kindOf(route)}/${item.id}`;
	return { ...(await w.call('GET', location, { key: t.key, expect: 200 })), status: 201, location };
}
const said = ({ status, text }) => `${status} ${text}`;

// The route that creates what a PATCH changes.
const creatorOf = (route) => creating.find(({ segments }) => segments.join('/') === route.segments.slice(0, -1).join('/'));

// A number of a user is registered, unless it is.
async function prepare(body) {
	const number = body?.number_id;
	if (!number?.startsWith('+') || known.find('number_id', number)) return;
	const reply = await t.call('POST', '/phone-numbers', { body: { number, number_type: 'native', region: 'US', usage: 'user' } });
	assert.equal(reply.status, 201, said(reply));
	known.things['phone-numbers'].push(reply.body);
	known.note('number', number);
}

// ---- what is allowed

// What is said of the resource, once it is changed: by the schema of its creation.
async function wholeOf(route, body) {
	if (route.batch && known.seen(kindOf(route), body.external_id)) return updatedBy(route, body);
	if (route.method !== 'PATCH') return { schema: route.body.schema, value: body };
	const { schema } = creatorOf(route).body;
	const now = (await w.call('GET', pathWith(route, e.ids(route)), { key: keyOf(route), expect: 200 })).body;
	const sendable = Object.fromEntries(Object.entries(now).filter(([name]) => name in whole(schema).properties));
	const value = patched(sendable, body);
	return { schema, value: JSON.parse(JSON.stringify(value)) };
}

// In a batch, the members that an element names replace those of the user with its external_id.
async function updatedBy(route, body) {
	const [now] = await t.list(kindOf(route), { external_id: body.external_id });
	const sendable = Object.fromEntries(Object.entries(now).filter(([name]) => name in whole(route.body.schema).properties));
	return { schema: route.body.schema, value: { ...sendable, ...body } };
}

async function readBack(route, reply, target) {
	const { schema, value } = target;
	const list = Array.isArray(reply.body.items) && Array.isArray(value.numbers);
	if (list) return assert.deepEqual(reply.body.items.map((item) => item.number), value.numbers);
	assertReads(reply.body, value, schema, (name, text) => known.idOf(name, text));
	if (route.method === 'PUT') return undefined;
	const path = reply.headers.location ?? reply.location ?? pathWith(route, e.ids(route));
	const got = await w.call('GET', path, { key: keyOf(route), expect: 200 });
	const shown = Object.fromEntries(Object.keys(got.body).map((name) => [name, reply.body[name]]));
	assert.deepEqual({ ...got.body, last_used_at: null }, { ...shown, last_used_at: null }, 'read back');
	return assert.equal(got.headers.etag, reply.headers.etag);
}

// A change that is allowed as such, of a resource that would not be allowed then.
const FORBIDDEN = 'the whole would not be allowed';

for (const route of operable)
	test(`${route.operationId}: whatever openapi.yaml allows is taken, and read back as it was sent`, async (context) => {
		const count = {};
		const property = fc.asyncProperty(bodies(route), async (body) => {
			await prepare(body);
			const target = await wholeOf(route, body);
			const reply = await send(route, { body });
			assert.ok(reply.status < 500, said(reply));
			if (reply.status >= 300) {
				const why = mismatches(target.schema, target.value).length
					? FORBIDDEN
					: excuse(known, route.operationId, kindOf(route), target.value, reply);
				assert.ok(why, `refused: ${said(reply)}`);
				count[why] = (count[why] ?? 0) + 1;
				return;
			}
			assert.deepEqual(mismatches(target.schema, target.value), [], 'what it has become is allowed');
			await readBack(route, reply, target);
			note(known, kindOf(route), target.value);
			count.taken = (count.taken ?? 0) + 1;
		});
		await holds(route, property, RUNS);
		context.diagnostic(JSON.stringify(count));
		const excuses = Object.entries(count).filter(([why]) => !['taken', FORBIDDEN].includes(why));
		const excused = excuses.reduce((sum, [, n]) => sum + n, 0);
		assert.ok(count.taken > excused, `too much of it is excused: ${JSON.stringify(count)}`);
		assert.ok(count.taken >= RUNS / 10, `too little of it is taken: ${JSON.stringify(count)}`);
	});

const bodies = (route) =>
	fc.constant(null).chain(() => arbitrary(route.body.schema, specials(known, route.operationId))).filter((body) => !mismatches(route.body.schema, body).length);

// ---- what is forbidden

const parentOf = (pointer) => pointer.slice(0, pointer.lastIndexOf('/'));

async function assertRefused(route, { what, pointer, ...request }, { named = false } = {}) {
	const reply = await send(route, request);
	assert.ok(reply.status >= 400 && reply.status < 500, `${what}: ${said(reply)}`);
	if (!named || pointer === undefined || reply.status !== 422) return;
	const pointers = reply.body.errors.map((error) => error.pointer);
	// Where members depend on each other, it may be the other one that is named.
	const place = /"if":/.test(JSON.stringify(whole(route.body.schema))) ? parentOf(pointer) : pointer;
	assert.ok(
		pointers.some((one) => one.startsWith(place) || pointer.startsWith(one)),
		`${what}: named are ${pointers.join(' ')}`,
	);
}

// The fullest of some bodies that is taken: what is wrong with it after a change is the change.
async function fullest(route) {
	const list = fc.sample(bodies(route), { seed: seedOf(route) + 1000, numRuns: 30 });
	for (const body of list.sort((a, b) => JSON.stringify(b).length - JSON.stringify(a).length)) {
		await prepare(body);
		const { status } = await send(route, { body });
		if (status < 300) return body;
	}
	throw new Error('no body was taken');
}

for (const route of operable) {
	test(`${route.operationId}: every single change of a full body that openapi.yaml forbids is refused, and the member named`, async () => {
		const { members, texts } = forbidden(route.body.schema, await fullest(route));
		assert.ok(members.length >= 10 && texts.length >= 10);
		const queue = [...members, ...texts.filter(({ text }) => text || !route.batch)];
		const faults = [];
		const worker = async () => {
			for (let next = queue.pop(); next; next = queue.pop()) await assertRefused(route, next, { named: true }).catch((error) => faults.push(error.message));
		};
		await Promise.all(Array.from({ length: 8 }, worker));
		assert.deepEqual(faults, []);
	});

	test(`${route.operationId}: a change that openapi.yaml forbids, of any body, is refused`, async () => {
		const property = fc.asyncProperty(bodies(route), fc.nat(), async (body, pick) => {
			await prepare(body);
			const { members } = forbidden(route.body.schema, body);
			await assertRefused(route, members[pick % members.length]);
		});
		await holds(route, property, RUNS);
	});
}

// ---- emergency calls: whatever else is said

const dialStrings = ['911', '112', '933', 'tel:911', 'sip:911@pbx.example', 'urn:service:sos', 'urn:service:test.sos', '+911', '9-1-1'];

test('placeEmergencyCall: any object with a user_id and an emergency dial string is 201', async () => {
	const place = routes.find((route) => route.operationId === 'placeEmergencyCall');
	const own = await w.tenant({ numbers: 20 }); // of the US, whatever was changed above
	const path = `${own.path}/emergency-calls`;
	const anything = fc.jsonValue({ maxDepth: 3 });
	const asDocumented = arbitrary(place.body.schema, specials(known, place.operationId));
	const members = Object.keys(whole(place.body.schema).properties);
	const odd = fc.dictionary(fc.oneof(fc.constantFrom(...members), fc.string()), anything, { maxKeys: 6 });
	const needed = fc.record({
		user_id: fc.oneof(fc.constantFrom(own.agent.id, `ext:${own.agent.external_id}`), fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'))),
		dial_string: fc.constantFrom(...dialStrings),
	});
	const property = fc.asyncProperty(asDocumented, odd, needed, async (documented, more, both) => {
		const body = { ...documented, ...more, ...both };
		const reply = await w.call('POST', path, { key: own.key, body });
		assert.equal(reply.status, 201, said(reply));
		await own.end(reply.body);
	});
	await holds(place, property, 2 * RUNS);
});
