// Two requests at once, through two processes, each of which is right by itself: together they must not make
// what no rule allows. The two are brought to the point where each has looked and none is committed: a lock
// that both have to wait for is held until both do.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { patch, remove } from '../lib/refusals.mjs';
import { enc } from '../lib/fixture.mjs';

let w;
let t; // of the present test
let german; // an address of t
before(async () => {
	w = await world({ servers: 2 });
});
after(() => w.close());

async function newTenant(options) {
	t = await w.tenant({ numbers: 1, users: 1, ...options });
	german = await t.address({ region: 'DE', admin_area: null, city: 'Berlin', street: 'Platz' });
}

// What must not be, whatever was asked for at once. (Pools have no foreign key from their numbers.)
const WRONG = {
	'a site is in the region of its address': `SELECT s.id FROM sites s JOIN addresses a ON a.id = s.address_id
		WHERE s.tenant_id = $1 AND region_group(s.region) <> region_group(a.region)`,
	"a pool is in the region of its site's address": `SELECT p.id FROM pools p JOIN sites s ON s.id = p.site_id
		JOIN addresses a ON a.id = s.address_id WHERE p.tenant_id = $1 AND region_group(p.region) <> region_group(a.region)`,
	'an address of record is in the region of its number': `SELECT n.id FROM phone_numbers n JOIN addresses a ON a.id = n.address_id
		WHERE n.tenant_id = $1 AND region_group(n.region) <> region_group(a.region)`,
	'a number fits its pool, which is there': `SELECT i.number_id FROM pool_numbers i LEFT JOIN pools p ON p.id = i.pool_id
		LEFT JOIN phone_numbers n ON n.id = i.number_id WHERE i.tenant_id = $1 AND (n.usage = 'callback' AND n.number_type = p.number_type
		AND region_group(n.region) = region_group(p.region) AND i.leasable = (n.state = 'active')) IS NOT TRUE`,
	"a user's number is of usage user, and in no pool": `SELECT u.id FROM users u JOIN phone_numbers n ON n.id = u.number_id
		WHERE u.tenant_id = $1 AND (n.usage <> 'user' OR EXISTS (SELECT FROM pool_numbers i WHERE i.number_id = n.id))`,
	'the number of a role is registered for it': `SELECT s.id FROM sites s
		CROSS JOIN LATERAL (VALUES (s.resource_account), (s.receptionist), (s.call_queue)) r(json)
		LEFT JOIN phone_numbers n ON n.tenant_id = s.tenant_id AND n.number = r.json->>'number'
		WHERE s.tenant_id = $1 AND r.json IS NOT NULL AND (n.usage = 'service' AND n.number_type = r.json->>'number_type') IS NOT TRUE`,
	'a live lease is on a number that is in a pool': `SELECT l.id FROM leases l WHERE l.tenant_id = $1 AND l.state IN ('active', 'superseded')
		AND (l.expires_at > now() OR l.in_call > 0)
		AND NOT EXISTS (SELECT FROM pool_numbers i WHERE i.number_id = l.number_id AND i.pool_id = l.pool_id)`,
};

async function assertRules() {
	for (const [rule, sql] of Object.entries(WRONG)) assert.deepEqual(await w.sql(sql, [t.id]), [], rule);
}

const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;

// Starts the requests in this order, each as soon as the one before waits or is answered, while the rows of
// the statement are locked: by default the tenant's, which every change of configuration waits for at its
// end. Gives the replies, none of them a failure of the service.
async function meet(requests, sql = 'SELECT FROM tenants WHERE id = $1 FOR UPDATE') {
	let answered = 0;
	const replies = await w.transaction(async (query) => {
		await query(sql, [t.id]);
		const started = [];
		for (const request of requests) {
			started.push(request().finally(() => (answered += 1)));
			await until('the request waits', async () => (await w.sql(waiting))[0].n + answered >= started.length);
		}
		return { started };
	});
	const all = await Promise.all(replies.started);
	for (const reply of all) assert.ok(reply.status < 500, reply.text);
	return all.map((reply) => reply.status);
}

// Both orders of the two requests that setUp gives, through either process: the replies are one of the outcomes,
// and the rules hold.
function race(name, setUp, outcomes) {
	test(name, async () => {
		await newTenant();
		for (let turn = 0; turn < 4; turn++) {
			const requests = (await setUp()).map((request, i) => () => request({ server: w.servers[(i + turn) % 2] }));
			const statuses = await meet(turn % 2 ? requests.reverse() : requests);
			const inOrder = turn % 2 ? statuses.reverse() : statuses;
			assert.ok(
				outcomes.some((outcome) => outcome.every((status, i) => status === inOrder[i])),
				`one of the two: ${inOrder}`,
			);
			await assertRules();
		}
	});
}

const add = (pool, numbers) => (options) => t.call('POST', `/pools/${pool.id}/numbers`, { body: { numbers }, ...options });
const make = (kind, body) => (options) => t.call('POST', `/${kind}`, { body, ...options });
const change = (path, body) => (options) => patch(t, path, body, options);
const drop = (path) => (options) => remove(t, path, options);
const callbackNumber = (body) => t.ownNumber({ usage: 'callback', ...body });
const role = (number) => ({ number, destination: { type: 'call_queue', address: 'queue@teams.example' } });
const newPool = (site, body) => ({ site_id: site.id, name: 'x', region: 'US', number_type: 'native', ...body });
const newUser = (body) => ({ display_name: 'x', site_id: t.home.id, ...body });

race(
	'a pool goes to another region while a number is added to it',
	async () => {
		const site = await t.site({ region: 'DE', address_id: german.id });
		const pool = await t.pool();
		return [add(pool, [w.number()]), change(`/pools/${pool.id}`, { site_id: site.id, region: 'DE' })];
	},
	[
		[201, 409],
		[201, 200], // new numbers get the region that the pool has by then
	],
);

race(
	'a pool gets another number_type while a registered number is added to it',
	async () => {
		const pool = await t.pool();
		const { number } = await callbackNumber();
		return [add(pool, [number]), change(`/pools/${pool.id}`, { number_type: 'byoc' })];
	},
	[
		[201, 409],
		[422, 200],
	],
);

for (const body of [{ usage: 'user' }, { number_type: 'byoc' }, { region: 'DE' }])
	race(
		`a number gets another ${Object.keys(body)} while it is added to a pool`,
		async () => {
			const pool = await t.pool();
			const number = await callbackNumber();
			return [add(pool, [number.number]), change(`/phone-numbers/${number.id}`, body)];
		},
		[
			[201, 409],
			[422, 200],
		],
	);

race(
	'a number is suspended while it is added to a pool',
	async () => {
		const pool = await t.pool();
		const number = await callbackNumber();
		return [add(pool, [number.number]), change(`/phone-numbers/${number.id}`, { state: 'suspended' })];
	},
	[[201, 200]],
);

race(
	'a number is added to two pools',
	async () => {
		const [one, two] = [await t.pool(), await t.pool()];
		const { number } = await callbackNumber();
		return [add(one, [number]), add(two, [number])];
	},
	[
		[201, 409],
		[409, 201],
	],
);

race(
	'the same new numbers are added to two pools, in opposite order',
	async () => {
		const [one, two] = [await t.pool(), await t.pool()];
		const numbers = Array.from({ length: 50 }, () => w.number());
		return [add(one, numbers), add(two, numbers.toReversed())];
	},
	[
		[201, 409],
		[409, 201],
	],
);

race(
	'a number is meant for pools while a user gets it',
	async () => {
		const number = await t.ownNumber();
		return [make('users', newUser({ number_id: number.id })), change(`/phone-numbers/${number.id}`, { usage: 'callback' })];
	},
	[
		[201, 409],
		[422, 200],
	],
);

race(
	'an address goes to another region while a site gets it',
	async () => {
		const address = await t.address();
		return [make('sites', { name: 'x', region: 'US', address_id: address.id }), change(`/addresses/${address.id}`, { region: 'DE' })];
	},
	[
		[201, 409],
		[422, 200],
	],
);

race(
	'an address goes to another region while a number gets it',
	async () => {
		const [address, number] = [await t.address(), await t.ownNumber()];
		return [change(`/phone-numbers/${number.id}`, { address_id: address.id }), change(`/addresses/${address.id}`, { region: 'DE' })];
	},
	[
		[200, 409],
		[422, 200],
	],
);

race(
	'an address goes to another region while a site moves to it',
	async () => {
		const [address, site] = [await t.address(), await t.site()];
		return [change(`/sites/${site.id}`, { address_id: address.id }), change(`/addresses/${address.id}`, { region: 'DE' })];
	},
	[
		[200, 409],
		[422, 200],
	],
);

race(
	'a site goes to another region while it gets a pool',
	async () => {
		const site = await t.site();
		return [make('pools', newPool(site)), change(`/sites/${site.id}`, { region: 'DE', address_id: german.id })];
	},
	[
		[201, 409],
		[422, 200],
	],
);

race(
	'a site goes to another region while a pool moves to it',
	async () => {
		const [site, pool] = [await t.site(), await t.pool()];
		return [change(`/pools/${pool.id}`, { site_id: site.id }), change(`/sites/${site.id}`, { region: 'DE', address_id: german.id })];
	},
	[
		[200, 409],
		[422, 200],
	],
);

for (const body of [{ usage: 'user' }, { number_type: 'byoc' }])
	race(
		`a number gets another ${Object.keys(body)} while a site names it`,
		async () => {
			const [site, number] = [await t.site(), await t.ownNumber({ usage: 'service' })];
			return [change(`/sites/${site.id}`, { receptionist: role(number.number) }), change(`/phone-numbers/${number.id}`, body)];
		},
		[
			[200, 409],
			[422, 200],
		],
	);

race(
	'a number is deleted while a site names it',
	async () => {
		const [site, number] = [await t.site(), await t.ownNumber({ usage: 'service' })];
		return [change(`/sites/${site.id}`, { receptionist: role(number.number) }), drop(`/phone-numbers/${number.id}`)];
	},
	[
		[200, 409],
		[200, 204], // and registered again
	],
);

race(
	'two sites register the same numbers, in opposite order',
	async () => {
		const [one, two] = [await t.site(), await t.site()];
		const [a, b] = [role(w.number()), role(w.number())];
		return [
			change(`/sites/${one.id}`, { receptionist: a, call_queue: b }),
			change(`/sites/${two.id}`, { receptionist: b, call_queue: a }),
		];
	},
	[[200, 200]],
);

race(
	'a number is deleted while it is added to a pool',
	async () => {
		const pool = await t.pool();
		const number = await callbackNumber();
		return [add(pool, [number.number]), drop(`/phone-numbers/${number.id}`)];
	},
	[
		[201, 409],
		[201, 204], // and registered again
	],
);

race(
	'a number is deleted while a user gets it',
	async () => {
		const number = await t.ownNumber();
		return [make('users', newUser({ number_id: number.id })), drop(`/phone-numbers/${number.id}`)];
	},
	[
		[201, 409],
		[422, 204],
	],
);

race(
	'a pool is deleted while a number is added to it',
	async () => {
		const pool = await t.pool();
		return [add(pool, [w.number()]), drop(`/pools/${pool.id}`)];
	},
	[
		[201, 409],
		[404, 204],
	],
);

race(
	'a site is deleted while it gets a pool',
	async () => {
		const site = await t.site();
		return [make('pools', newPool(site)), drop(`/sites/${site.id}`)];
	},
	[
		[201, 409],
		[422, 204],
	],
);

race(
	'an address is deleted while a site gets it',
	async () => {
		const address = await t.address();
		return [make('sites', { name: 'x', region: 'US', address_id: address.id }), drop(`/addresses/${address.id}`)];
	},
	[
		[201, 409],
		[422, 204],
	],
);

test('a number that is just leaving its pool is not leased, and one that is just leased does not leave', async () => {
	for (let turn = 0; turn < 6; turn++) {
		await newTenant();
		const leaving = `/pools/${t.homePool.id}/numbers/${enc(t.numbers[0])}`;
		const place = () => t.placing(t.agent, {}, { server: w.servers[turn % 2] });
		const leave = () => remove(t, leaving, { server: w.servers[(turn + 1) % 2] });
		// The lease head is locked by somebody else for a moment: both wait for it.
		const held = 'SELECT FROM pool_numbers WHERE tenant_id = $1 FOR NO KEY UPDATE';
		const statuses = await meet(turn % 2 ? [leave, place] : [place, leave], held);
		const [placed, left] = turn % 2 ? statuses.reverse() : statuses;
		const { source } = (await t.list('emergency-calls'))[0].caller_id;
		assert.equal(placed, 201);
		assert.ok(['409 pool_lease', '204 resource_account'].includes(`${left} ${source}`), `${left} ${source}`);
		await assertRules();
	}
});

// The time of a number's leases is up, if no call presents it. In the lock order of the service: number, leases.
const expire = (number) =>
	w.transaction(async (query) => {
		const up = `now() - interval '1 s' WHERE tenant_id = $1 AND number = $2 AND in_call = 0`;
		const head = await query(`UPDATE pool_numbers SET free_at = ${up} RETURNING true`, [t.id, number]);
		if (head.length) await query(`UPDATE leases SET expires_at = ${up}`, [t.id, number]);
	});

test('numbers leave a pool, come back and are suspended while calls take from it', async () => {
	await newTenant({ numbers: 6, users: 5 });
	const pool = `/pools/${t.homePool.id}/numbers`;
	const seen = { left: 0, refused: 0, leased: 0 };
	let over = false;
	const mover = async (server, i) => {
		for (let n = i; !over; n++) {
			const number = t.numbers[n % t.numbers.length];
			await expire(number);
			const { status, text } = await remove(t, `${pool}/${enc(number)}`, { server });
			assert.ok([204, 404, 409].includes(status), text); // 404: the other mover has it out
			seen[status === 204 ? 'left' : 'refused'] += 1;
			for (const state of ['suspended', 'active'])
				await patch(t, `/phone-numbers/${enc(number)}`, { state }, { server, expect: 200 });
			await t.create(`pools/${t.homePool.id}/numbers`, { numbers: [number] }, { server });
		}
	};
	const turns = async (user, i) => {
		for (let n = 0; n < 10 || (n < 100 && seen.left < 10); n++) {
			const placed = await t.place(user, {}, { server: w.servers[(i + n) % 2] });
			seen.leased += placed.caller_id.source === 'pool_lease';
			await t.end(placed, { server: w.servers[i % 2] });
		}
	};
	const movers = Promise.all(w.servers.map(mover)).finally(() => (over = true));
	await Promise.all(t.users.map(turns)).finally(() => (over = true));
	await movers;
	assert.ok(seen.left >= 10 && seen.leased > 0, JSON.stringify(seen));
	await assertRules();
	assert.deepEqual(await w.sql('SELECT number FROM pool_numbers WHERE tenant_id = $1 AND in_call <> 0', [t.id]), []);
	assert.equal((await t.get(`/pools/${t.homePool.id}`)).counts.total, t.numbers.length);
});
