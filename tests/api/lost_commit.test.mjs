// The answer to a COMMIT is lost on its way: what was committed is told or found again, and is there once.
// A proxy between the service and PostgreSQL passes everything on, but for what a test makes it lose.
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { after, afterEach, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';

const COMMITTED = 'COMMIT\0'; // the tag by which PostgreSQL answers it

class Proxy {
	constructor(url) {
		this.url = new URL(url);
		const host = this.url.searchParams.get('host') ?? this.url.hostname;
		const port = Number(this.url.port || this.url.searchParams.get('port') || 5432);
		this.upstream = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host: host || '127.0.0.1', port };
		this.sockets = new Set();
		this.disarm();
	}

	disarm() {
		Object.assign(this, { statement: null, how: null, losses: 0, lost: 0 });
	}

	// The next connections that send this statement break: 'after' its commit, or 'before' anything of it is passed on.
	lose(statement, how, losses = 1) {
		Object.assign(this, { statement, how, losses, lost: 0 });
	}

	async listen() {
		this.server = net.createServer((client) => this.carry(client));
		await new Promise((resolve, reject) => this.server.once('error', reject).listen(0, '127.0.0.1', resolve));
		const { port } = this.server.address();
		const query = new URLSearchParams(this.url.searchParams);
		for (const name of ['host', 'port', 'sslmode', 'gssencmode']) query.delete(name);
		if (!query.has('user') && this.url.username) query.set('user', decodeURIComponent(this.url.username));
		if (this.url.password) query.set('password', decodeURIComponent(this.url.password));
		for (const [name, value] of Object.entries({ host: '127.0.0.1', port, sslmode: 'disable', gssencmode: 'disable' }))
			query.set(name, value);
		return `postgresql://${this.url.pathname}?${query}`;
	}

	carry(client) {
		const server = net.connect(this.upstream);
		let marked = false;
		let answer = '';
		const cut = () => {
			client.destroy();
			server.destroy();
		};
		for (const socket of [client, server]) {
			this.sockets.add(socket);
			socket.setNoDelay();
			socket.on('error', cut);
			socket.on('close', () => {
				this.sockets.delete(socket);
				cut();
			});
		}
		client.on('data', (bytes) => {
			if (!marked && this.losses > 0 && bytes.includes(this.statement)) {
				this.losses--;
				marked = true;
				if (this.how === 'before') {
					this.lost++;
					return cut();
				}
			}
			server.write(bytes);
		});
		server.on('data', (bytes) => {
			if (!marked) return client.write(bytes);
			// Whole packets: what is behind the commit's answer in one was not passed on either.
			answer = answer.slice(-COMMITTED.length) + bytes.toString('latin1');
			if (!answer.includes(COMMITTED)) return client.write(bytes);
			this.lost++;
			return cut();
		});
	}

	async close() {
		const closed = new Promise((resolve) => this.server.close(resolve));
		this.sockets.forEach((socket) => socket.destroy());
		await closed;
	}
}

let w;
let t;
let proxy;
before(async () => {
	w = await world({ servers: 0 });
	w.expectsErrors = true;
	proxy = new Proxy(w.url);
	await w.serve({ SWITCHBACK_DATABASE_URL: await proxy.listen() });
	t = await w.tenant({ numbers: 30, users: 1 });
});
afterEach(() => proxy.disarm());
after(async () => {
	await w.close();
	await proxy.close();
});

const stored = (holder) => w.sql(`SELECT id, state FROM emergency_calls WHERE user_id::text = $1 OR guest = $1`, [holder]);

// Who places a call: a user with others in a batch, a guest for the first time all alone.
const CALLERS = [
	['a call', async () => t.user(), (user) => user.id],
	['the first call of a guest', async () => `ext:${unique('guest')}`, (guest) => guest],
];

function assertToldOrUnknown({ status, body, text }) {
	assert.ok(status === 201 || (status === 503 && body.code === 'outcome_unknown'), text);
	return status;
}

for (const [what, make, nameOf] of CALLERS)
	for (const keyed of [true, false])
		for (const how of ['after', 'before'])
			test(`${what} ${keyed ? 'with' : 'without'} a key, its connection lost ${how} the commit: it is there once`, async (context) => {
				const caller = await make();
				const headers = keyed ? { 'idempotency-key': unique('key') } : {};
				const body = { site_id: t.home.id };
				proxy.lose('place_call', how);
				const first = await t.placing(caller, body, { headers });
				assert.equal(proxy.lost, 1, 'the answer was lost');
				const status = assertToldOrUnknown(first);
				context.diagnostic(`${status}`);
				if (how === 'before') assert.equal(status, 201, 'nothing can have been stored: it is done again');
				const calls = await stored(nameOf(caller));
				assert.equal(calls.length, 1);
				if (status === 201) assert.equal(first.body.id, calls[0].id);
				const [numbers] = await w.sql(
					`SELECT count(*)::int AS n, sum(n.in_call)::int AS in_call FROM leases l JOIN pool_numbers n ON n.lease_id = l.id
					WHERE l.emergency_call_id = $1`,
					[calls[0].id],
				);
				assert.deepEqual(numbers, { n: 1, in_call: 1 }, 'one lease, presented once');
				if (keyed) {
					const again = await t.placing(caller, body, { headers, expect: 201 });
					assert.deepEqual([again.body.id, again.headers['idempotent-replay']], [calls[0].id, 'true']);
				}
				const [{ n }] = await w.sql(
					`SELECT count(*)::int AS n FROM events WHERE emergency_call_id = $1 AND type = 'emergency_call.placed'`,
					[calls[0].id],
				);
				assert.equal(n, 1, 'and it is told once');
				await t.end(calls[0]);
			});

test('the end of a call whose answer is lost: it ends once, and the presence is restored once', async () => {
	const user = await t.user();
	const call = await t.place(user);
	proxy.lose('move_call', 'after');
	const { status, body, text } = await t.acting(call, 'end');
	assert.equal(proxy.lost, 1);
	assert.ok(status === 200 || (status === 503 && body.code === 'outcome_unknown'), text);
	assert.equal((await t.end(call)).state, 'ended');
	const types = await w.sql('SELECT type FROM events WHERE emergency_call_id = $1 ORDER BY event_no', [call.id]);
	assert.deepEqual(types.map((row) => row.type).sort(), [
		'emergency_call.ended',
		'emergency_call.placed',
		'lease.created',
		'presence.do_not_disturb',
		'presence.restored',
	]);
	assert.deepEqual([(await t.presence(user)).availability, (await t.presence(user)).sequence], ['unknown', 2]);
});

test('many calls at once whose batches lose their answers: each is there once', async () => {
	const users = await Promise.all(Array.from({ length: 24 }, () => t.user()));
	proxy.lose('place_call', 'after', 3);
	const key = unique('many');
	const placing = (user) => t.placing(user, {}, { headers: { 'idempotency-key': key } });
	const first = await Promise.all(users.map(placing));
	assert.ok(proxy.lost > 0);
	first.forEach(assertToldOrUnknown);
	proxy.disarm();
	for (const [i, user] of users.entries()) {
		const again = await placing(user);
		assert.equal(again.status, 201, again.text);
		const calls = await stored(user.id);
		assert.deepEqual(
			calls.map((call) => call.id),
			[again.body.id],
		);
		if (first[i].status === 201) assert.equal(first[i].body.id, again.body.id);
		await t.end(again.body);
	}
	assert.deepEqual(await w.sql('SELECT number FROM pool_numbers WHERE in_call <> 0'), []);
});
