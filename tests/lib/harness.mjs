// A world of its own for each test file: a fresh database, any number of `switchback serve` processes on it,
// receivers of webhooks, and SQL to look behind the API. close() stops everything, checks that the processes
// stopped as they should, and drops the database.
//
// From the environment (tests/run.sh): SWITCHBACK_BIN, SWITCHBACK_TEST_ADMIN_URL (a role with CREATEDB and
// CREATEROLE) and SWITCHBACK_TEST_SUPERUSER_URL (unset where the PostgreSQL is not a private one).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { call } from './http.mjs';
import { receiver } from './receiver.mjs';
import { tenant } from './fixture.mjs';
import { deferred, within } from './wait.mjs';

export { call, raw } from './http.mjs';
export { receiver } from './receiver.mjs';
export { deferred, until, within } from './wait.mjs';

export const BINARY = process.env.SWITCHBACK_BIN ?? fileURLToPath(new URL('../../build/switchback', import.meta.url));
export const ADMIN_URL = process.env.SWITCHBACK_TEST_ADMIN_URL;
export const SUPERUSER_URL = process.env.SWITCHBACK_TEST_SUPERUSER_URL;
// For the option `skip` of a test that nobody but a superuser can make.
export const WITHOUT_SUPERUSER = SUPERUSER_URL ? false : 'needs a private PostgreSQL, with a superuser';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

// The same PostgreSQL, another database.
export const urlOf = (url, database) => url.replace(/^(postgres(?:ql)?:\/\/[^/?]*)(\/[^?]*)?/, `$1/${database}`);

// A service gets the settings of a test and no other: it refuses names that it does not know.
function environment(settings) {
	const others = Object.entries(process.env).filter(([name]) => !name.startsWith('SWITCHBACK_'));
	const ours = Object.entries(settings).filter(([, value]) => value !== undefined);
	return Object.fromEntries([...others, ...ours]);
}

// Runs a command of the binary to its end: { code, stdout, stderr }.
export async function run(args, settings = {}) {
	const child = spawn(BINARY, args, { env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
	running.add(child);
	const output = { stdout: '', stderr: '' };
	for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (chunk) => (output[name] += chunk));
	const code = await within(
		`switchback ${args.join(' ')}`,
		new Promise((resolve, reject) => {
			child.once('error', reject);
			child.once('close', resolve);
		}),
	).finally(() => child.kill('SIGKILL'));
	running.delete(child);
	return { code, ...output };
}

// One `switchback serve`. log: its JSON lines so far; exited: { code, signal } when it is over.
class Server {
	constructor(settings, gone) {
		this.settings = settings;
		this.gone = gone; // called when it is asked to end
		this.log = [];
		this.odd = []; // lines that are no JSON
		this.waiting = [];
		this.agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
	}

	async start() {
		this.child = spawn(BINARY, ['serve'], { env: environment(this.settings), stdio: ['ignore', 'ignore', 'pipe'] });
		running.add(this.child);
		const { promise, resolve } = deferred();
		this.exited = promise;
		this.child.once('error', (error) => resolve({ code: null, signal: error.message }));
		this.child.once('close', (code, signal) => resolve({ code, signal }));
		this.readLog();
		const died = this.exited.then(({ code, signal }) => {
			throw new Error(`switchback serve ended with ${signal ?? code}: ${JSON.stringify(this.log)} ${this.odd.join('\n')}`);
		});
		died.catch(() => {});
		const { address } = await within('switchback serve listens', Promise.race([this.logged('listening'), died]));
		this.host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
		this.port = Number(address.slice(address.lastIndexOf(':') + 1));
		this.url = `http://${address}`;
		return this;
	}

	readLog() {
		let rest = '';
		this.child.stderr.setEncoding('utf8').on('data', (chunk) => {
			const lines = (rest + chunk).split('\n');
			rest = lines.pop();
			for (const line of lines) {
				try {
					this.log.push(JSON.parse(line));
				} catch {
					this.odd.push(line);
				}
			}
			this.waiting = this.waiting.filter((waiter) => !waiter());
		});
	}

	// The first log line of this event, written already or not.
	logged(event) {
		const { promise, resolve } = deferred();
		const look = () => {
			const line = this.log.find((entry) => entry.event === event);
			if (line) resolve(line);
			return Boolean(line);
		};
		if (!look()) this.waiting.push(look);
		return promise;
	}

	get pid() {
		return this.child.pid;
	}

	get alive() {
		return running.has(this.child) && this.child.exitCode === null && this.child.signalCode === null;
	}

	// SIGTERM: it must end by itself with 0, having written nothing but JSON lines, and no error among
	// them unless the test caused some.
	async stop({ errors = false } = {}) {
		if (!running.delete(this.child)) return;
		this.gone(this);
		this.child.kill('SIGTERM');
		const how = await within('switchback serve stops', this.exited).finally(() => this.child.kill('SIGKILL'));
		this.agent.destroy();
		assert.deepEqual(how, { code: 0, signal: null }, `it ended in a wrong way: ${this.odd.join('\n')}`);
		assert.deepEqual(this.odd, [], 'every line of the log is JSON');
		if (!errors)
			assert.deepEqual(
				this.log.filter((line) => line.level === 'error'),
				[],
				'the log tells of no error',
			);
	}

	// SIGKILL, as a crash would.
	async kill() {
		running.delete(this.child);
		this.gone(this);
		this.child.kill('SIGKILL');
		await this.exited;
		this.agent.destroy();
	}
}

class World {
	constructor() {
		this.database = `switchback_test_${randomBytes(6).toString('hex')}`;
		this.operatorKey = randomBytes(24).toString('hex');
		this.servers = []; // those that run, in the order of their start
		this.receivers = [];
		this.numbers = 0; // telephone numbers handed out: each is unique in a deployment
		this.expectsErrors = false;
	}

	get settings() {
		return {
			SWITCHBACK_LISTEN: '127.0.0.1:0',
			SWITCHBACK_DATABASE_URL: this.url,
			SWITCHBACK_OPERATOR_KEY: this.operatorKey,
			SWITCHBACK_SECRETS_KEY: (this.secretsKey ??= randomBytes(32).toString('base64')),
			SWITCHBACK_WEBHOOK_ALLOW_HTTP: 'true',
			SWITCHBACK_WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
		};
	}

	async open(adminUrl, superuserUrl) {
		assert.ok(adminUrl, 'SWITCHBACK_TEST_ADMIN_URL must name a PostgreSQL (tests/run.sh does)');
		this.adminUrl = adminUrl;
		this.superuserUrl = superuserUrl;
		this.url = urlOf(adminUrl, this.database);
		await this.administer(`CREATE DATABASE ${this.database}`);
		await this.migrate();
		this.pool = new pg.Pool({
			connectionString: urlOf(superuserUrl ?? adminUrl, this.database),
			max: 4,
			options: '-c search_path=switchback',
		});
		this.pool.on('error', () => {}); // an idle connection may be lost where a test stops PostgreSQL
		if (!superuserUrl) await this.openWindow();
	}

	async administer(statement, url = this.adminUrl) {
		const client = new pg.Client({ connectionString: url });
		await client.connect();
		await client.query(statement).finally(() => client.end());
	}

	async migrate() {
		const { code, stdout, stderr } = await run(['migrate'], { SWITCHBACK_DATABASE_URL: this.url });
		assert.equal(code, 0, `switchback migrate failed: ${stdout}${stderr}`);
	}

	// Without a superuser we look as the owner of the tables, to whom the walls are opened in this
	// database only. The service itself works as another role.
	async openWindow() {
		this.pool.on('connect', (client) => client.query('SET ROLE switchback_owner'));
		await this.sql(`DO $$ DECLARE t regclass; BEGIN
			FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relrowsecurity LOOP
				EXECUTE format('CREATE POLICY test_window ON %s TO switchback_owner USING (true)', t);
			END LOOP; END $$`);
	}

	// Rows of a statement, past all walls; in the service's schema.
	async sql(text, values) {
		const { rows } = await this.pool.query(text, values);
		return rows;
	}

	// Several statements in one transaction.
	async transaction(work) {
		const client = await this.pool.connect();
		try {
			await client.query('BEGIN');
			const value = await work(async (text, values) => (await client.query(text, values)).rows);
			await client.query('COMMIT');
			return value;
		} catch (error) {
			await client.query('ROLLBACK').catch(() => {});
			throw error;
		} finally {
			client.release();
		}
	}

	async serve(settings = {}) {
		const gone = (server) => (this.servers = this.servers.filter((one) => one !== server));
		const server = await new Server({ ...this.settings, ...settings }, gone).start();
		this.servers.push(server);
		return server;
	}

	async receiver() {
		const hook = await receiver();
		this.receivers.push(hook);
		return hook;
	}

	// A tenant with what it needs for emergency calls: see fixture.mjs.
	tenant(options) {
		return tenant(this, options);
	}

	call(method, path, options = {}) {
		return call(options.server ?? this.servers[0], method, path, options);
	}

	asOperator(method, path, options = {}) {
		return this.call(method, path, { key: this.operatorKey, ...options });
	}

	// An E.164 number that nothing in this database has.
	number(prefix = '+1425') {
		this.numbers += 1;
		return `${prefix}${String(2_000_000 + this.numbers)}`;
	}

	// { name: value } of /metrics, labels and all.
	async metrics(server = this.servers[0]) {
		const { text } = await call(server, 'GET', '/metrics', { expect: 200 });
		const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
		return Object.fromEntries(
			lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
		);
	}

	async close() {
		const faults = [];
		const attempt = (work) => work().catch((error) => faults.push(error));
		for (const server of this.servers) await attempt(() => server.stop({ errors: this.expectsErrors }));
		for (const hook of this.receivers) await attempt(() => hook.close());
		if (this.pool) await attempt(() => this.pool.end());
		// FORCE: a connection may take a moment to be gone. One of a superuser only yields to another.
		await attempt(() => this.administer(`DROP DATABASE IF EXISTS ${this.database} WITH (FORCE)`, this.superuserUrl));
		if (faults.length) throw new AggregateError(faults, faults.map((fault) => fault.message).join('\n'));
	}
}

// servers: how many processes to start; settings: for each of them. The URLs are those of another
// PostgreSQL where a test has its own.
export async function world({ servers = 1, settings = {}, adminUrl = ADMIN_URL, superuserUrl = SUPERUSER_URL } = {}) {
	const made = new World();
	try {
		await made.open(adminUrl, superuserUrl);
		for (let i = 0; i < servers; i++) await made.serve(settings);
		return made;
	} catch (error) {
		await made.close().catch(() => {});
		throw error;
	}
}
