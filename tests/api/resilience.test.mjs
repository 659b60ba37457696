// What breaks while nobody looks must not cost an emergency call: connections to PostgreSQL that were lost
// while idle, and a log that nobody reads.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { BINARY, deferred, until, within, world } from '../lib/harness.mjs';
import { SCOPES } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	w.expectsErrors = true; // it may say that a connection was lost
	t = await w.tenant({ numbers: 40, users: 8 });
});
after(() => w.close());

// --- connections lost while idle

// Every backend of these names is gone when it returns.
const EMERGENCY = ['emergency', 'alone', 'health'];
async function cut(names) {
	const rows = await w.sql(
		`SELECT pg_terminate_backend(pid, 10000) AS gone FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = ANY ($1)`,
		[names.map((name) => `switchback ${name}`)],
	);
	assert.ok(rows.length > 0 && rows.every((row) => row.gone), 'there were some, and they are gone');
}

// Both threads of the lane, and the one for single calls, have a connection.
async function warm() {
	await Promise.all(t.users.map(async (user) => t.end(await t.place(user))));
	await t.end(await t.place(`ext:warm-${Math.random()}`, { site_id: t.home.id }));
}

const FIRST = [
	['the first call', () => t.placing(t.agent), 201],
	['the first call of a guest', () => t.placing(`ext:guest-${Math.random()}`, { site_id: t.home.id }), 201],
	['the first callback', () => w.call('POST', '/v1/callback-resolutions', { key: t.key, body: { called_number: t.numbers[0] } }), 201],
];
for (const [what, ask, status] of FIRST)
	for (const names of [EMERGENCY, ['emergency'], [...EMERGENCY, 'ordinary', 'delivery', 'sweep']])
		test(`${what} after connections were lost while idle (${names.join(', ')}) is served at once`, async () => {
			await warm(); // the key is known by now
			await cut(names);
			for (let i = 0; i < 4; i++) {
				const reply = await ask();
				assert.equal(reply.status, status, `${i}: ${reply.text}`);
			}
		});

test('with a key that nobody has seen before, too: its look-up gets a new connection', async () => {
	for (let i = 0; i < 4; i++) {
		const body = { name: 'unseen', scopes: SCOPES };
		const { key } = (await w.asOperator('POST', `${t.path}/api-keys`, { body, expect: 201 })).body;
		await warm();
		await cut(EMERGENCY);
		const reply = await t.placing(t.agent, {}, { key });
		assert.equal(reply.status, 201, reply.text);
	}
});

test('many first calls at once, and their ends, are served', async () => {
	await warm();
	await cut(EMERGENCY);
	const calls = await Promise.all(t.users.map((user) => t.place(user)));
	await cut(EMERGENCY);
	await Promise.all(calls.map((call) => t.end(call)));
});

// --- a log that nobody reads

const REQUESTS = 1500; // a line of log each, of far more in all than a pipe holds

// A `switchback serve` whose stderr is a pipe of the kernel, read only by read().
class Unread {
	constructor(folder) {
		const path = join(folder, 'log');
		execFileSync('mkfifo', [path]);
		this.reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		this.writing = openSync(path, constants.O_WRONLY);
		this.text = '';
		this.agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
	}

	async start() {
		const others = Object.entries(process.env).filter(([name]) => !name.startsWith('SWITCHBACK_'));
		const env = { ...Object.fromEntries(others), ...w.settings };
		this.child = spawn(BINARY, ['serve'], { env, stdio: ['ignore', 'ignore', this.writing] });
		const { promise, resolve } = deferred();
		this.exited = promise;
		this.child.once('exit', (code, signal) => resolve({ code, signal }));
		const listening = await until('it listens', () => this.read().find((line) => line.event === 'listening'));
		[this.host, this.port] = listening.address.split(':');
	}

	// Every whole line so far.
	read() {
		const chunk = Buffer.alloc(65536);
		for (;;) {
			let n = 0;
			try {
				n = readSync(this.reading, chunk);
			} catch (error) {
				if (error.code !== 'EAGAIN') throw error;
			}
			if (n === 0) break;
			this.text += chunk.toString('utf8', 0, n);
		}
		const whole = this.text.slice(0, this.text.lastIndexOf('\n') + 1);
		return whole.split('\n').filter(Boolean).map(JSON.parse);
	}

	close() {
		this.child?.kill('SIGKILL');
		this.agent.destroy();
		closeSync(this.reading);
		closeSync(this.writing);
	}
}

test('nobody reads its log: it goes on answering, and tells afterwards how many lines are missing', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'switchback-log-'));
	const server = new Unread(folder);
	try {
		await server.start();
		let sent = 0;
		const client = async () => {
			while (sent < REQUESTS) {
				sent++;
				await w.call('GET', '/livez', { server, expect: 200 });
			}
		};
		await Promise.all(Array.from({ length: 16 }, client));
		const placed = await t.place(t.agent, {}, { server });
		await t.end(placed, { server });
		assert.ok(server.read().filter((line) => line.event === 'request').length < sent, 'lines are missing');
		await w.call('GET', '/livez', { server, expect: 200 });
		await until('it tells how many, exactly', () => {
			const requests = server.read().filter((line) => line.event === 'request');
			const dropped = requests.reduce((sum, line) => sum + (line.lines_dropped ?? 0), 0);
			return dropped > 0 && requests.length + dropped === sent + 3;
		});
		server.child.kill('SIGTERM');
		assert.deepEqual(await within('it stops', server.exited), { code: 0, signal: null });
	} finally {
		server.close();
		rmSync(folder, { recursive: true, force: true });
	}
});
