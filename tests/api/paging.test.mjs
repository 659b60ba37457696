// Lists come in pages: every list of dump-api in pages of any size, and ten thousand users while others come and
// go. What the last page costs is told by its plan, not by a clock.
import assert from 'node:assert/strict';
import { openSync, readSync, fstatSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { estate, namesOf } from '../lib/estate.mjs';
import { enc, unique } from '../lib/fixture.mjs';
import { WITHOUT_SUPERUSER, world } from '../lib/harness.mjs';
import { collectionOf, creating, pathWith, routes, whole } from '../lib/routes.mjs';

const MANY = 10_000;
let w;
let e;
let big; // the tenant with the users
before(async () => {
	w = await world({ servers: 0 });
	await w.serve(WITHOUT_SUPERUSER ? {} : await explained());
	await w.serve();
	e = await estate(w, await w.tenant({ numbers: 8, users: 4 }));
	big = await w.tenant({ numbers: null, users: 1 });
	await crowd(big, MANY - 1);
});
after(() => w.close());

// ---- what is there

// Copies of a user, with ids in order of time as the service makes them.
async function crowd(t, n) {
	const id = `(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - $3 + i), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid`;
	const rows = `generate_series(1, $3::int) i, LATERAL (SELECT ${id} AS id) x`;
	await w.sql(
		`INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object('id', x.id, 'external_id', 'bulk-' || i))).*
		FROM users u, ${rows} WHERE u.tenant_id = $1 AND u.id = $2`,
		[t.id, t.agent.id, n],
	);
	await w.sql(
		`INSERT INTO user_states SELECT (jsonb_populate_record(s, jsonb_build_object('holder_id', x.id))).*
		FROM user_states s, ${rows} WHERE s.tenant_id = $1 AND s.holder_id = $2`,
		[t.id, t.agent.id, n],
	);
	await w.sql('ANALYZE users');
}

// Three of everything that a list can have.
async function stock() {
	for (let i = 0; i < 3; i++)
		for (const route of creating.filter((one) => one.scope !== 'operator')) await e.make(route);
	for (const agent of e.tenant.users.slice(0, 3)) {
		const call = await e.tenant.place(agent, { external_call_id: unique('call') });
		await e.tenant.resolve(call.lease.number);
	}
	for (let i = 0; i < 3; i++) await w.tenant({ numbers: null, users: 0 });
}

const lists = routes.filter(({ method, query }) => method === 'GET' && query.some(({ name }) => name === 'page_token'));
const keyOf = (route) => (route.scope === 'operator' ? w.operatorKey : e.tenant.key);
const ask = (route, query, options = {}) =>
	w.call('GET', `${pathWith(route, options.ids ?? e.ids(route))}?${new URLSearchParams(query)}`, { key: keyOf(route), ...options });

// Every item, page by page.
async function pages(route, page_size, query = {}, options = {}) {
	const items = [];
	const seen = new Set();
	for (let token; ;) {
		const { body } = await ask(route, { ...query, page_size, ...(token && { page_token: token }) }, { expect: 200, ...options });
		assert.ok(body.items.length <= page_size, `${body.items.length} items in a page of ${page_size}`);
		for (const id of body.items.map(idOf)) assert.ok(!seen.has(id), `${route.operationId}: ${id} comes again`);
		for (const id of body.items.map(idOf)) seen.add(id);
		items.push(...body.items);
		token = body.next_page_token;
		if (!token) return items;
		assert.equal(body.items.length, page_size, 'only the last page is short');
	}
}

// A value that a filter takes.
function valueFor(route, { name, schema }) {
	const s = whole(schema);
	if (s.enum) return s.enum[0];
	if (s.format === 'date-time' || /^(at|after|since|until)$/.test(name)) return '2026-03-02T14:00:00Z';
	if (s.type === 'boolean') return 'true';
	if (name === 'number') return e.things.leases.number;
	if (name === 'resource_id') return e.things.users.id;
	if (name in collectionOf) return namesOf(e.thing(collectionOf[name], `${route.operationId} ?${name}`))[0];
	if (/^external/.test(name)) return 'x';
	throw new Error(`${route.operationId}: nobody knows a value for ?${name}=; teach tests/api/paging.test.mjs`);
}

test('every list: pages of any size have the same items, in one order', async () => {
	await stock();
	assert.ok(lists.length >= 10);
	for (const route of lists) {
		const all = (await ask(route, { page_size: 1000 }, { expect: 200 })).body;
		assert.deepEqual(Object.keys(all).filter((name) => name !== 'tenant'), ['items'], `${route.operationId}: no token at the end`);
		assert.ok(all.items.length >= 3, `${route.operationId} has ${all.items.length} items; teach tests/api/paging.test.mjs to make some`);
		assert.equal(new Set(all.items.map(idOf)).size, all.items.length, `${route.operationId}: none twice`);
		for (const size of [1, 2, all.items.length - 1, all.items.length, all.items.length + 1]) {
			const items = await pages(route, size);
			assert.deepEqual(items.map(idOf), all.items.map(idOf), `${route.operationId} by ${size}`);
			assert.deepEqual(stable(items), stable(all.items), `${route.operationId} by ${size}`);
		}
		assert.deepEqual(stable((await ask(route, { page_size: 1_000_000 }, { expect: 200 })).body.items), stable(all.items), 'more than 1000 are 1000');
		for (const page_size of ['0', '-1', '1.5', 'x', '', '0x10']) {
			const { status, body } = await ask(route, { page_size });
			assert.deepEqual([status, body.code, body.errors[0].pointer], [400, 'invalid_query', 'page_size'], `${route.operationId} ${page_size}`);
		}
	}
});

// What is told of a user has the user's id.
const idOf = (item) => item.id ?? item.user_id;

// When a key was used is noted now and then, and the counts of a pool are those of now.
const stable = (items) => items.map(({ last_used_at, counts, ...item }) => item);

test('a token holds for its list with its filters only: 400', async () => {
	const refused = async (route, query, what) => {
		const { status, body } = await ask(route, query);
		assert.deepEqual([status, body.code, body.errors?.map(({ pointer }) => pointer)], [400, 'invalid_query', ['page_token']], `${route.operationId}: ${what}`);
	};
	const tokens = new Map();
	for (const route of lists) tokens.set(route, (await ask(route, { page_size: 1 }, { expect: 200 })).body.next_page_token);
	for (const route of lists) {
		const page_token = tokens.get(route);
		for (const parameter of route.query.filter(({ name }) => !['page_size', 'page_token'].includes(name)))
			await refused(route, { page_token, [parameter.name]: valueFor(route, parameter) }, `with ?${parameter.name}=`);
		for (const [other, token] of tokens) if (other !== route) await refused(route, { page_token: token }, `with a token of ${other.operationId}`);
		for (const wrong of ['', 'x', `${page_token}x`, page_token.slice(1), page_token.replace(/./, (c) => (c === 'A' ? 'B' : 'A')), '%00', 'é', `${page_token}=`])
			await refused(route, { page_token: wrong }, `with ${wrong}`);
		assert.equal((await ask(route, { page_token, page_size: 2 })).status, 200, 'another page_size is no filter');
	}
});

test("a token of another tenant's list is refused, and shows nothing of it", async () => {
	for (const route of lists.filter(({ scope }) => scope !== 'operator')) {
		const [{ next_page_token: page_token }] = [(await ask(route, { page_size: 1 }, { expect: 200 })).body];
		if (Object.keys(e.ids(route)).length > 1) continue; // below a resource of theirs: 404
		const { status, body } = await ask(route, { page_token }, { ids: { tenant_id: big.id }, key: big.key });
		assert.deepEqual([status, body.code], [400, 'invalid_query'], route.operationId);
	}
});

// ---- ten thousand

const users = routes.find(({ operationId }) => operationId === 'listUsers');
const remover = routes.find(({ operationId }) => operationId === 'deleteUser');

test(`${MANY} users: every page of any size, none missing, none twice, in order`, async () => {
	const there = (await w.sql('SELECT id::text FROM users WHERE tenant_id = $1 ORDER BY id', [big.id])).map(({ id }) => id);
	assert.equal(there.length, MANY);
	for (const page_size of [1000, 333]) assert.deepEqual((await pages(users, page_size, {}, { ids: { tenant_id: big.id }, key: big.key })).map(({ id }) => id), there);
	const { body } = await big.call('GET', '/users?page_size=5000', { expect: 200 });
	assert.equal(body.items.length, 1000, 'more than 1000 are clamped');
});

test(`${MANY} users page through without gap or repeat while others are added and deleted`, async () => {
	const there = (await w.sql('SELECT id::text FROM users WHERE tenant_id = $1 ORDER BY id', [big.id])).map(({ id }) => id);
	const gone = new Set();
	const added = new Map(); // id: the page that was read next after it was there
	let page = 0;
	let over = false;
	const adding = async () => {
		while (!over) added.set((await big.user({ external_id: unique('late') })).id, page + 1);
	};
	const deleting = async (step) => {
		for (let i = step; !over; i += 37) {
			const id = there[(i * 7919) % there.length];
			if (gone.has(id) || id === big.agent.id) continue;
			gone.add(id); // from now on it may be missing
			assert.ok(remover, 'users can be deleted');
			await big.call('DELETE', `/users/${id}`, { server: w.servers[1], expect: 204 });
		}
	};
	const reading = async () => {
		const seen = [];
		for (let token; ; page++) {
			const query = new URLSearchParams({ page_size: 100, ...(token && { page_token: token }) });
			const reply = await big.get(`/users?${query}`, { server: w.servers[page % 2] });
			seen.push(...reply.items.map(({ id }) => id));
			token = reply.next_page_token;
			if (!token) return seen;
			assert.ok(page < MANY / 10, 'there is an end');
		}
	};
	const all = [reading(), adding(), adding(), deleting(1), deleting(2)].map((one) => one.finally(() => (over = true)));
	await Promise.allSettled(all);
	const [seen] = await Promise.all(all);
	assert.ok(added.size >= 10 && gone.size >= 10, `${added.size} came and ${gone.size} went meanwhile`);
	assert.equal(new Set(seen).size, seen.length, 'none twice');
	assert.deepEqual(seen, [...seen].sort(), 'in order');
	const missing = there.filter((id) => !gone.has(id) && !seen.includes(id));
	assert.deepEqual(missing, [], 'none that was there all the time is missing');
	const strange = seen.filter((id) => !there.includes(id) && !added.has(id));
	assert.deepEqual(strange, []);
	// Who came before the last page was asked for is on it: the newest are at the end.
	const late = [...added].filter(([, before_]) => before_ < page - 1).map(([id]) => id);
	assert.deepEqual(late.filter((id) => !seen.includes(id)), [], 'nor any that came before the end was reached');
});

// ---- what a page costs

const serverLog = process.env.SWITCHBACK_TEST_POSTGRES && join(process.env.SWITCHBACK_TEST_POSTGRES, 'data', 'server.log');

// PostgreSQL writes the plan of every statement of this database into its log, as it was run: with the role of the
// service, its row-level security, and its parameters.
async function explained() {
	const settings = {
		session_preload_libraries: 'auto_explain',
		'auto_explain.log_min_duration': '0',
		'auto_explain.log_analyze': 'on',
		'auto_explain.log_buffers': 'on',
		'auto_explain.log_format': 'json',
	};
	for (const [name, value] of Object.entries(settings)) await w.sql(`ALTER DATABASE ${w.database} SET ${name} = '${value}'`);
	return {};
}

// The plans that are logged while this is done.
async function plansOf(work) {
	const log = openSync(serverLog, 'r');
	const from = fstatSync(log).size;
	await work();
	const bytes = Buffer.alloc(fstatSync(log).size - from);
	readSync(log, bytes, 0, bytes.length, from);
	const entries = bytes.toString('utf8').split(/\n(?=\d{4}-\d\d-\d\d )/);
	const ours = entries.filter((entry) => entry.includes(`@${w.database} `) && /LOG: {2}duration: [\d.]+ ms {2}plan:/.test(entry));
	return ours.map((entry) => JSON.parse(entry.slice(entry.indexOf('{'))));
}

const nodes = (plan) => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

test('the last page of the users costs what the first does: the same plan, along the primary key, without a sort', { skip: WITHOUT_SUPERUSER }, async () => {
	const size = 100;
	const tokens = [];
	for (let token; tokens.length <= 2 * (MANY / size);) {
		const { body } = await big.call('GET', `/users?${new URLSearchParams({ page_size: size, ...(token && { page_token: token }) })}`, { expect: 200 });
		token = body.next_page_token;
		if (!token) break;
		tokens.push(token);
	}
	const planOf = async (query) => {
		const found = await plansOf(async () => {
			for (let i = 0; i < 8; i++) // past the five executions for which PostgreSQL makes a plan of their own
				await big.call('GET', `/users?${new URLSearchParams({ page_size: size, ...query })}`, { expect: 200 });
		});
		const plans = found.filter((entry) => /FROM users u WHERE/.test(entry['Query Text']));
		assert.equal(plans.length, 8, found.map((entry) => entry['Query Text']).join('\n'));
		return plans.map((entry) => nodes(entry.Plan));
	};
	const first = await planOf({});
	const last = await planOf({ page_token: tokens.at(-2) }); // a whole page, of the last there are
	for (const plan of [...first, ...last]) {
		const types = plan.map((node) => node['Node Type']);
		assert.ok(!types.some((type) => /Sort|Seq Scan|Bitmap|Gather/.test(type)), types.join());
		const scan = plan.find((node) => node['Relation Name'] === 'users');
		assert.match(scan['Index Name'], /pkey/);
		assert.match(scan['Index Cond'], /tenant_id = .* AND .*id > /);
		assert.ok(scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0) <= size + 1, 'it reads no more than it shows');
	}
	const shape = (plan) => plan.map((node) => [node['Node Type'], node['Index Name']]);
	const blocks = (plan) => plan[0]['Shared Hit Blocks'] + plan[0]['Shared Read Blocks'];
	const [a, b] = [first.at(-1), last.at(-1)];
	assert.deepEqual(shape(b), shape(a));
	for (const plan of [a, b]) assert.ok(blocks(plan) <= size + 10, `${blocks(plan)} blocks: at most one for each row, and the depth of the index`);
});
