// Emergency calls while much else goes on.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { call, deferred, until, world } from '../lib/harness.mjs';

let w;
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

test('configuration written through one process holds for the next call through the other', async () => {
	const t = await w.tenant({ numbers: null, users: 0 });
	const [writer, caller] = w.servers;
	const agent = await t.user({}, { server: writer });
	const place = async () => t.end(await t.place(agent, {}, { server: caller }), { server: caller });
	assert.equal((await place()).caller_id.source, 'resource_account', 'and the caller knows the user by now');
	const pool = await t.pool();
	const empty = await place();
	assert.deepEqual([empty.caller_id.source, empty.warnings.some((x) => x.code === 'pool_empty')], ['resource_account', true]);
	const number = w.number();
	await t.create(`pools/${pool.id}/numbers`, { numbers: [number] }, { server: writer });
	assert.deepEqual((await place()).caller_id.number, number);
	await t.user({ extension: '9911' });
	assert.equal((await t.placing(agent, { dial_string: '9911' }, { server: caller })).status, 422, 'an extension counts at once');
});

test('calls are placed and ended while the configuration changes all the time', async () => {
	const t = await w.tenant({ numbers: 30, users: 20 });
	let over = false;
	let changes = 0;
	const writers = w.servers.map(async (server) => {
		while (!over) {
			await t.create('addresses', { region: 'US', city: 'c', street: 's' }, { server });
			changes += 1;
		}
	});
	const turns = async (user, i) => {
		for (let n = 0; n < 8; n++) {
			const placed = await t.place(user, {}, { server: w.servers[(i + n) % 2] });
			assert.equal(placed.caller_id.source, 'pool_lease');
			await t.end(placed, { server: w.servers[i % 2] });
		}
	};
	await Promise.all(t.users.map(turns)).finally(() => (over = true));
	await Promise.all(writers);
	assert.ok(changes > 20, `${changes} changes meanwhile`);
});

test('five hundred calls at once: each is answered with one of its own', async () => {
	const t = await w.tenant({ numbers: 100, users: 100 });
	const placed = await Promise.all(Array.from({ length: 500 }, (_, i) => t.place(t.users[i % 100], {}, { server: w.servers[i % 2] })));
	assert.equal(new Set(placed.map((x) => x.id)).size, 500);
	assert.equal(new Set(placed.map((x) => x.lease.number)).size, 100, 'a number for each user, and no other');
	await Promise.all(placed.map((x, i) => t.end(x, { server: w.servers[i % 2] })));
	for (const user of t.users) assert.deepEqual([(await t.presence(user)).sequence], [2]);
	const { switchback_batch_elements_total: elements, switchback_batches_total: batches } = await w.metrics();
	assert.ok(elements > batches, 'the emergency lane batches');
});

test('a flood of ordinary requests is shed with 503 and Retry-After, and calls go through', async (context) => {
	const t = await w.tenant({ numbers: 2 });
	const [server] = w.servers;
	const locked = deferred();
	const release = deferred();
	// Reading a resolution has to wait as long as we hold its table. Placing a call does not touch it.
	const holding = w.transaction(async (query) => {
		await query('LOCK TABLE callback_resolutions IN ACCESS EXCLUSIVE MODE');
		locked.resolve();
		await release.promise;
	});
	await locked.promise;
	const statuses = new Map();
	const flood = Array.from({ length: 900 }, () =>
		call(server, 'GET', '/v1/callback-resolutions/01981f6a-3c01-7a10-8f00-0000000000ff', { key: t.key }).then(({ status }) =>
			statuses.set(status, (statuses.get(status) ?? 0) + 1),
		),
	);
	try {
		await until('requests are shed', () => (statuses.get(503) ?? 0) > 100);
		const placed = await t.place(t.agent);
		assert.equal(placed.caller_id.source, 'pool_lease');
		await t.end(placed);
	} finally {
		release.resolve();
		await holding;
	}
	await Promise.all(flood);
	context.diagnostic(`answered: ${JSON.stringify(Object.fromEntries(statuses))}`);
	assert.deepEqual([...statuses.keys()].sort(), [404, 503], 'every one of them is answered');
	assert.ok((await w.metrics(server)).switchback_ordinary_shed_total > 100);
	assert.equal((await t.call('GET', '/users')).status, 200);
});
