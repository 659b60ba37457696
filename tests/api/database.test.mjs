// PostgreSQL that is gone, or does not answer: 503 at once on every route that needs it, and service again
// without a restart as soon as it is back. On a PostgreSQL of its own, which these tests stop.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { after, afterEach, before } from 'node:test';
import { run, until, world } from '../lib/harness.mjs';

const SCRIPT = fileURLToPath(new URL('../setup/postgres.sh', import.meta.url));
let folder;
let w;
let t;
const postgres = (...args) => execFileSync(SCRIPT, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
const start = () => postgres('start', folder);
const stop = () => postgres('stop', folder);

before(async () => {
	folder = mkdtempSync(join(tmpdir(), 'switchback-pg-'));
	chmodSync(folder, 0o755); // for the user that PostgreSQL runs as
	start();
	w = await world({ adminUrl: postgres('url', folder, 'tests'), superuserUrl: postgres('url', folder, 'postgres') });
	w.expectsErrors = true;
	t = await w.tenant({ numbers: 5, users: 3 });
});
afterEach(() => assert.ok(w.servers[0].alive, 'the process never dies'));
after(async () => {
	try {
		await w?.close();
	} finally {
		stop();
		rmSync(folder, { recursive: true, force: true });
	}
});

// The promise is 250 ms. On a machine shared with a compiler that proves nothing, so that the tests hold the
// service to eight times as much, and print what it took.
const BOUND_MS = 2000;
const figures = [];

async function assertUnavailable(reply, what, codes = ['unavailable']) {
	const { status, headers, body, ms } = await reply;
	assert.equal(status, 503, `${what}: ${JSON.stringify(body)}`);
	assert.ok(codes.includes(body.code), `${what}: ${body.code}`);
	assert.match(headers['retry-after'], /^\d+$/);
	assert.ok(ms < BOUND_MS, `${what} took ${ms} ms`);
	figures.push(ms);
}

function told(context) {
	context.diagnostic(`503 after at most ${Math.max(...figures).toFixed(0)} ms, ${figures.length} requests (promise: 250 ms)`);
	figures.length = 0;
}

const EVERY_ROUTE = () => [
	['an ordinary read', () => t.call('GET', '/users')],
	['an ordinary read by id', () => t.call('GET', `/users/${t.agent.id}`)],
	['an ordinary write', () => t.call('POST', '/addresses', { body: { region: 'US', city: 'c', street: 'lost' } })],
	['the operator', () => w.asOperator('GET', '/v1/tenants')],
	['a presence', () => t.call('PUT', `/users/${t.agent.id}/presence`, { body: { availability: 'busy' } })],
	['placing a call', () => t.placing(t.agent)],
	['placing a call with a key', () => t.placing(t.users[1], {}, { headers: { 'idempotency-key': 'down' } })],
	['a guest', () => t.placing('ext:guest')],
	['connecting', () => t.acting('01981f6a-3c01-7a10-8f00-0000000000ff', 'connect')],
	['ending', () => t.acting('ext:x', 'end')],
	['a callback', () => w.call('POST', '/v1/callback-resolutions', { key: t.key, body: { called_number: t.numbers[0] } })],
	['a key nobody knows yet', () => t.call('GET', '/users', { key: `sb_01981f6a-3c01-7a10-8f00-0000000000ff_${'x'.repeat(43)}` })],
];

async function assertAllUnavailable() {
	for (const [what, ask] of EVERY_ROUTE()) await assertUnavailable(ask(), what);
	await Promise.all(Array.from({ length: 40 }, (_, i) => assertUnavailable(t.placing(t.users[i % 3]), 'one of many at once')));
}

// Refusals that need no database stay what they are.
async function assertStillRefused() {
	assert.equal((await t.call('GET', '/nothing')).status, 404);
	assert.equal((await t.call('PATCH', '/users')).status, 405);
	assert.equal((await t.call('GET', '/users', { key: undefined })).status, 401);
	assert.equal((await w.call('GET', '/livez')).status, 200);
	assert.notEqual((await w.call('GET', '/readyz')).body.database, 'ok');
	assert.equal((await w.call('GET', '/metrics')).status, 200);
}

// One call from beginning to end, after those that are still in progress; false: not yet.
async function aCallGoesThrough() {
	try {
		for (const call of await t.list('emergency-calls', { state: 'placed' })) await t.end(call);
		const placed = await t.place(t.agent);
		assert.equal(placed.caller_id.source, 'pool_lease');
		assert.equal((await t.resolve(placed.lease.number)).user.id, t.agent.id);
		await t.end(placed);
		assert.equal((await t.presence(t.agent)).availability, 'unknown', 'the presence is what it was');
		return true;
	} catch (error) {
		// A PostgreSQL that has just started may be slow enough to be given up once more.
		if (/: 503, not 20/.test(error.message)) return false;
		throw error;
	}
}

async function assertServes() {
	await until('it is ready again', async () => (await w.call('GET', '/readyz')).body.database === 'ok');
	await until('a call goes through', aCallGoesThrough);
}

async function assertNothingHalfStored() {
	assert.deepEqual(
		(await t.list('addresses')).filter((a) => a.street === 'lost'),
		[],
	);
	assert.deepEqual(await w.sql('SELECT number FROM pool_numbers WHERE in_call <> 0'), []);
	assert.deepEqual(await w.sql(`SELECT id FROM emergency_calls WHERE state IN ('placed', 'connected')`), []);
	const orphans = await w.sql(
		'SELECT id FROM leases l WHERE NOT EXISTS (SELECT FROM emergency_calls c WHERE c.id = l.emergency_call_id)',
	);
	assert.deepEqual(orphans, []);
}

test('stopped: 503 with Retry-After on every route; started: service without a restart', async (context) => {
	await t.end(await t.place(t.agent)); // a warm cache, too, must not answer
	stop();
	await until('it has noticed', async () => (await t.call('GET', '/users')).status === 503);
	await assertAllUnavailable();
	await assertStillRefused();
	start();
	await assertServes();
	await assertNothingHalfStored();
	told(context);
});

test('stopped while calls are being placed: each is answered, and what was told 201 is there', async (context) => {
	const placed = [];
	let over = false;
	const callers = t.users.map(async (user) => {
		while (!over) {
			const reply = await t.placing(user);
			assert.ok([201, 503].includes(reply.status), reply.text);
			if (reply.status === 201) placed.push(reply.body.id);
			else await new Promise((resolve) => setImmediate(resolve));
		}
	});
	await until('calls come through', () => placed.length > 20);
	stop();
	await until('it has noticed', async () => (await t.placing(t.agent)).status === 503);
	over = true;
	await Promise.all(callers);
	start();
	await assertServes();
	const stored = new Set((await w.sql('SELECT id FROM emergency_calls')).map((row) => row.id));
	assert.deepEqual(
		placed.filter((id) => !stored.has(id)),
		[],
		'an acknowledged call is stored',
	);
	context.diagnostic(`${placed.length} calls acknowledged, all there`);
	await assertNothingHalfStored();
});

// Every process of the PostgreSQL stands still; its sockets stay open, and it still accepts connections.
function signalAll(signal) {
	const postmaster = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
	const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
		.trim()
		.split(/\s+/)
		.filter(Boolean)
		.map(Number);
	for (const pid of [postmaster, ...children]) process.kill(pid, signal);
}

test('standing still (SIGSTOP): 503 with Retry-After on every route; going on: service without a restart', async (context) => {
	await t.end(await t.place(t.agent));
	signalAll('SIGSTOP');
	try {
		// The very first request must not wait for long either. Its COMMIT is on its way: who knows?
		await assertUnavailable(t.placing(t.users[2]), 'the first call', ['unavailable', 'outcome_unknown']);
		await assertUnavailable(t.call('GET', '/users'), 'the first ordinary request');
		await assertAllUnavailable();
		await assertStillRefused();
	} finally {
		signalAll('SIGCONT');
	}
	await assertServes();
	told(context);
});

test('all connections cut at once: the next requests get new ones', async () => {
	for (let i = 0; i < 3; i++) {
		await w.sql(
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
		);
		await assertServes();
	}
	await assertNothingHalfStored();
});

test('webhooks that were due while it was away are delivered afterwards', async () => {
	const hook = await w.receiver();
	await t.hook(hook, { event_types: ['presence.do_not_disturb', 'presence.restored'] });
	hook.answer = () => 'hang';
	const placed = await t.place(t.users[1]);
	await hook.next('presence.do_not_disturb');
	stop();
	hook.answer = () => 204;
	hook.release();
	await until('it has noticed', async () => (await t.call('GET', '/users')).status === 503);
	start();
	await assertServes();
	await t.act(placed, 'end').catch(() => {}); // assertServes ends what is in progress
	const restored = await hook.next((d) => d.type === 'presence.restored' && d.data.user_id === t.users[1].id);
	assert.equal(restored.data.sequence % 2, 0);
});

test('it is asked to stop while PostgreSQL is gone: it ends by itself, with 0', async () => {
	const server = await w.serve();
	stop();
	await until('it has noticed', async () => (await t.call('GET', '/users', { server })).status === 503);
	await server.stop({ errors: true });
	start();
	await assertServes();
});

test('without PostgreSQL serve does not start: it says so', async () => {
	stop();
	const { code, stderr } = await run(['serve'], w.settings);
	assert.equal(code, 2, stderr);
	assert.match(stderr, /SWITCHBACK_DATABASE_URL/);
	start();
	await assertServes();
});
