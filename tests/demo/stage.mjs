// What the demo plays on: a PostgreSQL, the service, and a receiver of its webhooks. Everything that
// is started here is stopped by stop(), in the opposite order, however the demo ends.

import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binary = process.env.SWITCHBACK_BIN ?? `${root}build/switchback`;
const cleanups = [];
let stopped;

// Runs the clean-ups once, the newest first; a second caller waits for the first.
export function stop() {
	stopped ??= (async () => {
		for (const cleanup of cleanups.reverse()) {
			try {
				await cleanup();
			} catch (error) {
				process.stderr.write(`while stopping: ${error.message}\n`);
				process.exitCode = 1;
			}
		}
	})();
	return stopped;
}

function postgresScript(...args) {
	// Standard error is ours; PostgreSQL itself never holds it open.
	const run = spawnSync(`${root}tests/setup/postgres.sh`, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
	if (run.error || run.status !== 0) throw new Error(`tests/setup/postgres.sh ${args[0]} failed`);
	return run.stdout.trim();
}

// The URL of the PostgreSQL to use: the given one, else a private one in .run/postgres.
export function database() {
	if (process.env.SWITCHBACK_DATABASE_URL) return process.env.SWITCHBACK_DATABASE_URL;
	const directory = `${root}.run/postgres`;
	// With our pid, so that `make demo` and `make run` may share it and the last one stops it.
	cleanups.push(() => postgresScript('stop', directory, String(process.pid)));
	postgresScript('start', directory, String(process.pid));
	return postgresScript('url', directory);
}

// The operator's key and the key that seals secrets in the database. They belong to the database,
// so they are kept for the next run, as an operator would keep them.
function keys() {
	const file = `${root}.run/keys.json`;
	if (!existsSync(file)) {
		mkdirSync(`${root}.run`, { recursive: true });
		const fresh = { operator: randomBytes(24).toString('hex'), secrets: randomBytes(32).toString('base64') };
		writeFileSync(file, JSON.stringify(fresh), { mode: 0o600 });
	}
	const kept = JSON.parse(readFileSync(file, 'utf8'));
	return {
		operator: process.env.SWITCHBACK_OPERATOR_KEY ?? kept.operator,
		secrets: process.env.SWITCHBACK_SECRETS_KEY ?? kept.secrets,
	};
}

// The service refuses to start with a SWITCHBACK_* name that it does not know (a typo in a setting
// must not be lost), so it gets exactly these.
function settings(databaseUrl) {
	const others = Object.entries(process.env).filter(([name]) => !name.startsWith('SWITCHBACK_'));
	const { operator, secrets } = keys();
	return {
		...Object.fromEntries(others),
		SWITCHBACK_LISTEN: process.env.SWITCHBACK_LISTEN ?? '127.0.0.1:0',
		SWITCHBACK_DATABASE_URL: databaseUrl,
		SWITCHBACK_OPERATOR_KEY: operator,
		SWITCHBACK_SECRETS_KEY: secrets,
		SWITCHBACK_WEBHOOK_ALLOW_HTTP: 'true',
		SWITCHBACK_WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
	};
}

// Migrates and starts the service, and keeps the last lines of what it logs in `log`. Returns { url,
// operatorKey, died }: died is a promise that fails when the service ends although nobody asked it to.
export async function service(databaseUrl, log = []) {
	const env = settings(databaseUrl);
	const migration = spawnSync(binary, ['migrate'], { env, encoding: 'utf8' });
	if (migration.error || migration.status !== 0) {
		throw new Error(`switchback migrate failed: ${migration.error?.message ?? migration.stdout + migration.stderr}`);
	}

	// In a process group of its own: Ctrl-C reaches only us, and we stop it in order.
	const child = spawn(binary, ['serve'], { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
	let [accepting, asked, over] = [false, false, false];
	const ended = new Promise((resolve) => {
		child.once('error', (error) => resolve(error.message));
		child.once('exit', (code, signal) => resolve(signal ?? code));
	});
	ended.then(() => (over = true));
	cleanups.push(async () => {
		if (over) return;
		asked = true;
		child.kill('SIGTERM');
		const killer = setTimeout(() => child.kill('SIGKILL'), 15_000);
		const how = await ended;
		clearTimeout(killer);
		if (accepting && how !== 0) throw new Error(`the service did not stop as it should: ${how}`);
	});

	const listening = new Promise((resolve) => {
		let rest = '';
		child.stderr.setEncoding('utf8').on('data', (chunk) => {
			const parts = (rest + chunk).split('\n');
			rest = parts.pop();
			for (const line of parts) {
				log.push(line);
				if (log.length > 40) log.shift();
				const address = /"event":\s*"listening"/.test(line) && /"address":\s*"([^"]+)"/.exec(line);
				if (address) resolve(address[1]);
			}
		});
	});
	const died = ended.then((how) => {
		if (asked) return new Promise(() => {});
		throw new Error(`the service ended by itself: ${how}`);
	});
	const address = await Promise.race([listening, died]);
	accepting = true;
	return { url: `http://${address}`, operatorKey: env.SWITCHBACK_OPERATOR_KEY, died };
}

// A receiver of webhooks as a contact centre would have one. next(type) is the next delivery of that
// type, as { headers, raw, body }, whether it has come already or not.
export async function receiver() {
	const arrived = [];
	const waiting = [];
	const listeners = [];
	const server = createServer((request, response) => {
		const chunks = [];
		request.on('data', (chunk) => chunks.push(chunk));
		request.on('end', () => {
			response.writeHead(204).end(); // first accept, then work: a slow receiver is retried
			const raw = Buffer.concat(chunks).toString('utf8');
			const delivery = { headers: request.headers, raw, body: JSON.parse(raw) };
			listeners.forEach((listener) => listener(delivery));
			const index = waiting.findIndex((waiter) => waiter.type === delivery.body.type);
			if (index < 0) arrived.push(delivery);
			else waiting.splice(index, 1)[0].resolve(delivery);
		});
	});
	await new Promise((resolve, reject) => {
		server.once('error', reject).listen(0, '127.0.0.1', resolve);
	});
	cleanups.push(() => new Promise((resolve) => {
		server.close(resolve);
		server.closeAllConnections();
	}));
	return {
		url: `http://127.0.0.1:${server.address().port}/switchback-events`,
		onDelivery: (listener) => listeners.push(listener),
		next(type) {
			const index = arrived.findIndex((delivery) => delivery.body.type === type);
			if (index >= 0) return Promise.resolve(arrived.splice(index, 1)[0]);
			return new Promise((resolve) => waiting.push({ type, resolve }));
		},
	};
}

// Standard Webhooks 1.0.0: HMAC-SHA256 over "id.timestamp.body" with the bytes behind whsec_, and a
// timestamp of the last five minutes, so that an old delivery cannot be played again. One header
// may hold several signatures (after a rotation of the secret): one right one is enough.
export function signatureIsRight({ headers, raw }, secret) {
	const age = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp']));
	if (!(age < 300)) return false;
	const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
	const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${raw}`;
	const expected = createHmac('sha256', key).update(signed).digest();
	return String(headers['webhook-signature']).split(' ').some((signature) => {
		const [version, digest] = signature.split(',');
		const given = Buffer.from(digest ?? '', 'base64');
		return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
	});
}
