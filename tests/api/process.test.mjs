// The process: its commands, its settings, how it starts and stops, and what it serves without a key.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { call, deferred, run, until, within, world } from '../lib/harness.mjs';
import { document, operations } from '../lib/openapi.mjs';

let w;
let folder;
before(async () => {
	w = await world();
	folder = mkdtempSync(join(tmpdir(), 'switchback-'));
});
after(async () => {
	rmSync(folder, { recursive: true, force: true });
	await w.close();
});

const file = (name, text) => {
	writeFileSync(join(folder, name), text);
	return join(folder, name);
};

// --- commands

test('version, and no command, or one that is none', async () => {
	const { code, stdout } = await run(['version']);
	assert.deepEqual([code, stdout.includes(document.info.version)], [0, true], stdout);
	for (const args of [[], ['nonsense'], ['serve', '--port=1'], ['--help-me']]) {
		const result = await run(args, w.settings);
		assert.equal(result.code, 2, args.join());
		assert.match(result.stderr, /serve/, 'it says what there is');
	}
});

test('dump-api lists every route, without any setting', async () => {
	const { code, stdout } = await run(['dump-api']);
	assert.equal(code, 0);
	const { routes } = JSON.parse(stdout);
	assert.equal(routes.length, operations.length);
	assert.deepEqual(Object.keys(routes[0]).sort(), ['lane', 'method', 'operation_id', 'path', 'scope']);
});

test('check-config says that the settings are right, and what there is to set', async () => {
	const { code, stdout } = await run(['check-config'], w.settings);
	assert.equal(code, 0);
	for (const name of Object.keys(w.settings)) assert.ok(stdout.includes(name), name);
	assert.ok(!stdout.includes(w.operatorKey), 'and shows no secret');
});

test('healthcheck asks a running process', async () => {
	const [{ host, port }] = w.servers;
	assert.equal((await run(['healthcheck'], { ...w.settings, SWITCHBACK_LISTEN: `${host}:${port}` })).code, 0);
	const gone = await w.serve();
	await gone.stop();
	assert.notEqual((await run(['healthcheck'], { ...w.settings, SWITCHBACK_LISTEN: `${gone.host}:${gone.port}` })).code, 0);
});

// --- settings

const WRONG = [
	['SWITCHBACK_LISTENER', '127.0.0.1:0', 'an unknown name'],
	['SWITCHBACK_', 'x', 'a name of nothing'],
	['SWITCHBACK_TEST_ADMIN_URL', 'x', 'a name of the tests'],
	['SWITCHBACK_LISTEN', '127.0.0.1', 'no port'],
	['SWITCHBACK_LISTEN', ':', 'nothing'],
	['SWITCHBACK_LISTEN', '127.0.0.1:65536', 'a port too high'],
	['SWITCHBACK_LISTEN', '127.0.0.1:80a', 'no number'],
	['SWITCHBACK_LISTEN', '', 'empty'],
	['SWITCHBACK_DATABASE_URL', undefined, 'missing'],
	['SWITCHBACK_DATABASE_URL', '', 'empty'],
	['SWITCHBACK_DATABASE_URL', 'mysql://x', 'another database'],
	['SWITCHBACK_OPERATOR_KEY', 'x'.repeat(31), 'too short'],
	['SWITCHBACK_OPERATOR_KEY', `${'x'.repeat(40)} y`, 'a blank'],
	['SWITCHBACK_SECRETS_KEY', undefined, 'missing'],
	['SWITCHBACK_SECRETS_KEY', 'x', 'no base64'],
	['SWITCHBACK_SECRETS_KEY', Buffer.alloc(31).toString('base64'), '31 bytes'],
	['SWITCHBACK_SECRETS_KEY', Buffer.alloc(33).toString('base64'), '33 bytes'],
	['SWITCHBACK_WEBHOOK_ALLOW_HTTP', 'maybe', 'no boolean'],
	['SWITCHBACK_WEBHOOK_ALLOW_CIDRS', '10.0.0.0/33', 'a prefix too long'],
	['SWITCHBACK_WEBHOOK_ALLOW_CIDRS', 'localhost', 'a name'],
	['SWITCHBACK_WEBHOOK_ALLOW_CIDRS', '10.0.0.0/8,,::1/128x', 'a bad one in a list'],
	['SWITCHBACK_SECRETS_KEY_FILE', '/nonexistent', 'both, and a file that is not there'],
];
for (const [name, value, why] of WRONG)
	test(`${name}=${value}: ${why}: exit 2 before it listens, and it says which`, async () => {
		const { code, stderr } = await run(['serve'], { ...w.settings, [name]: value });
		assert.equal(code, 2, stderr);
		assert.ok(stderr.includes(name), stderr);
		assert.doesNotMatch(stderr, /listening/);
		if (name === 'SWITCHBACK_OPERATOR_KEY') assert.ok(!stderr.includes(value), 'it does not repeat a secret');
		const { code: checked } = await run(['check-config'], { ...w.settings, [name]: value });
		assert.equal(checked, 2, 'check-config says so too');
	});

test('every fault of the settings is told at once', async () => {
	const { stderr } = await run(['check-config'], {
		...w.settings,
		SWITCHBACK_LISTEN: 'x',
		SWITCHBACK_SECRETS_KEY: 'x',
		SWITCHBACK_TYPO: '1',
	});
	for (const name of ['SWITCHBACK_LISTEN', 'SWITCHBACK_SECRETS_KEY', 'SWITCHBACK_TYPO']) assert.ok(stderr.includes(name), stderr);
});

test('a secret may be in a file; both set is a fault', async () => {
	const { SWITCHBACK_OPERATOR_KEY, SWITCHBACK_SECRETS_KEY, SWITCHBACK_DATABASE_URL, ...rest } = w.settings;
	const files = {
		SWITCHBACK_OPERATOR_KEY_FILE: file('operator', `${SWITCHBACK_OPERATOR_KEY}\n`),
		SWITCHBACK_SECRETS_KEY_FILE: file('secrets', SWITCHBACK_SECRETS_KEY),
		SWITCHBACK_DATABASE_URL_FILE: file('database', `${SWITCHBACK_DATABASE_URL}\n`),
	};
	const unset = { SWITCHBACK_OPERATOR_KEY: undefined, SWITCHBACK_SECRETS_KEY: undefined, SWITCHBACK_DATABASE_URL: undefined };
	const server = await w.serve({ ...unset, ...files });
	assert.equal((await w.asOperator('GET', '/v1/tenants', { server })).status, 200);
	await server.stop();
	for (const name of Object.keys(files)) {
		const { code, stderr } = await run(['serve'], { ...w.settings, [name]: files[name] });
		assert.deepEqual([code, stderr.includes(name)], [2, true], stderr);
	}
	assert.equal((await run(['serve'], { ...rest, ...files, SWITCHBACK_OPERATOR_KEY_FILE: file('short', 'x') })).code, 2);
});

test('without an operator key there is no operator', async () => {
	const server = await w.serve({ SWITCHBACK_OPERATOR_KEY: undefined });
	for (const key of [w.operatorKey, '', 'undefined', '(null)'])
		assert.equal((await call(server, 'GET', '/v1/tenants', { headers: { authorization: `Bearer ${key}` } })).status, 401);
	await server.stop();
});

test('an address that is taken: it says so and ends', async () => {
	const { code, stderr } = await run(['serve'], { ...w.settings, SWITCHBACK_LISTEN: `127.0.0.1:${w.servers[0].port}` });
	assert.notEqual(code, 0);
	assert.match(stderr, /in use|cannot_listen/i);
});

test('it listens on IPv6 too', async () => {
	const server = await w.serve({ SWITCHBACK_LISTEN: '[::1]:0' });
	assert.match(server.url, /\[::1\]:\d+$/);
	await call(server, 'GET', '/livez', { expect: 200 });
	await server.stop();
});

// --- migrations

test('migrate again changes nothing; two at once do it once', async () => {
	const fresh = await world({ servers: 0 });
	try {
		const rows = async () => fresh.sql('SELECT * FROM schema_migrations ORDER BY 1');
		const before_ = await rows();
		assert.ok(before_.length >= 10);
		const both = await Promise.all([
			run(['migrate'], { SWITCHBACK_DATABASE_URL: fresh.url }),
			run(['migrate'], { SWITCHBACK_DATABASE_URL: fresh.url }),
		]);
		assert.deepEqual(
			both.map((r) => r.code),
			[0, 0],
		);
		assert.deepEqual(await rows(), before_);
		await fresh.sql('DROP SCHEMA switchback CASCADE');
		const anew = await Promise.all(Array.from({ length: 3 }, () => run(['migrate'], { SWITCHBACK_DATABASE_URL: fresh.url })));
		assert.deepEqual(
			anew.map((r) => r.code),
			[0, 0, 0],
			JSON.stringify(anew),
		);
		assert.equal((await rows()).length, before_.length);
	} finally {
		await fresh.close();
	}
});

test('a migration that was changed after it ran is refused, by migrate and by serve', async () => {
	const fresh = await world({ servers: 0 });
	try {
		await fresh.sql(`UPDATE schema_migrations SET checksum = md5(checksum) WHERE number = 1`);
		for (const command of ['migrate', 'serve']) {
			const { code, stderr } = await run([command], command === 'serve' ? fresh.settings : { SWITCHBACK_DATABASE_URL: fresh.url });
			assert.notEqual(code, 0, command);
			assert.match(stderr, /checksum|chang|differ/i, command);
		}
	} finally {
		await fresh.close();
	}
});

test('serve on a database that was not migrated: exit 2, and it says what to do', async () => {
	const fresh = await world({ servers: 0 });
	try {
		await fresh.sql('DROP SCHEMA switchback CASCADE');
		const { code, stderr } = await run(['serve'], fresh.settings);
		assert.equal(code, 2, stderr);
		assert.match(stderr, /migrate/);
	} finally {
		await fresh.close();
	}
});

// --- without a key

test('what is served without a key', async () => {
	assert.deepEqual((await w.call('GET', '/livez', { expect: 200 })).body, { status: 'ok' });
	assert.deepEqual((await w.call('GET', '/readyz', { expect: 200 })).body, { status: 'ok', database: 'ok' });
	const text = (await w.call('GET', '/openapi.yaml', { expect: 200 })).text;
	assert.equal(
		text,
		readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'),
		'the document in the binary is the one in the tree',
	);
	for (const code of document.components.schemas.ErrorCode.enum) {
		const { body } = await w.call('GET', `/problems/${code}`, { expect: 200 });
		assert.deepEqual([body.code, body.status >= 400], [code, true]);
	}
	for (const code of ['nothing', 'NOT_FOUND', 'not_found%00', 'not-found'])
		assert.equal((await w.call('GET', `/problems/${code}`)).status, 404);
});

test('metrics count what is done', async () => {
	const t = await w.tenant({ numbers: 1 });
	const before_ = await w.metrics();
	await t.end(await t.place(t.agent));
	const after_ = await w.metrics();
	const grown = (name) => after_[name] - before_[name];
	assert.equal(grown('switchback_emergency_requests_total'), 2);
	assert.equal(grown('switchback_batch_elements_total') + grown('switchback_alone_total'), 2);
	assert.ok(grown('switchback_requests_total') >= 2);
	assert.ok(after_.switchback_resident_memory_peak_bytes > 1_000_000);
});

test('the log: JSON lines with time, level, event and request id, and nothing personal', async () => {
	const t = await w.tenant({ numbers: 1 });
	const placed = await t.placing(
		t.agent,
		{
			location: { street: 'Canary Street', city: 'Birdtown', region: 'US' },
			endpoint: { type: 'desk_phone', address: 'sip:canary@desk.example' },
			metadata: { canary: 'yes' },
		},
		{ headers: { 'x-request-id': 'find-me-in-the-log' }, expect: 201 },
	);
	await t.resolve(placed.body.lease.number, { caller_number: '+12065550911' });
	await t.end(placed.body);
	await t.call('POST', '/sites', { text: '{"canary":"Birdtown"', headers: { 'x-request-id': 'a-failure' } });
	const { log } = w.servers[0];
	for (const line of log) {
		assert.ok(!Number.isNaN(Date.parse(line.at)), JSON.stringify(line));
		assert.ok(['info', 'warn', 'error'].includes(line.level), JSON.stringify(line));
		assert.equal(typeof line.event, 'string');
	}
	await until('the request is in the log', () => log.some((line) => line.request_id === 'find-me-in-the-log'));
	const text = JSON.stringify(log);
	for (const [name, secret] of Object.entries({
		number: placed.body.lease.number,
		caller: '+12065550911',
		street: 'Canary',
		city: 'Birdtown',
		metadata: 'canary',
		key: t.key,
		operator: w.operatorKey,
	}))
		assert.ok(!text.includes(secret), `the log tells the ${name}`);
});

// --- stopping

test('SIGTERM: what is in flight is finished, nothing new is accepted, exit 0', async () => {
	const server = await w.serve();
	const t = await w.tenant({ numbers: 5, users: 40 });
	// A request whose body is still coming when the signal comes.
	const begun = deferred();
	const body = JSON.stringify({ user_id: t.agent.id, dial_string: '911' });
	const slow = http
		.request(
			{
				host: server.host,
				port: server.port,
				method: 'POST',
				path: `${t.path}/emergency-calls`,
				headers: { authorization: `Bearer ${t.key}`, 'content-length': body.length },
			},
			(response) => {
				response.resume().once('end', () => begun.resolve(response));
			},
		)
		.on('error', begun.reject);
	await new Promise((sent) => slow.write(body.slice(0, 10), sent));
	await until('it has been accepted', async () => (await w.metrics(server)).switchback_connections >= 2);
	const many = t.users.slice(1).map((user) => t.place(user, {}, { server }));
	await Promise.race(many);
	const stopped = server.stop();
	await within('it says that it stops', server.logged('stopping'));
	slow.end(body.slice(10));
	assert.equal((await begun.promise).statusCode, 201, 'the request that had begun is answered');
	const results = await Promise.allSettled(many);
	await stopped;
	const placed = await t.list('emergency-calls');
	const ids = new Set(placed.map((c) => c.id));
	for (const { value } of results.filter((r) => r.status === 'fulfilled')) assert.ok(ids.has(value.id), 'what was answered is stored');
	const refused = await new Promise((resolve) =>
		net
			.connect(server.port, server.host)
			.once('error', (error) => resolve(error.code))
			.once('connect', () => resolve('accepted')),
	);
	assert.equal(refused, 'ECONNREFUSED');
});

test('SIGTERM with idle, half-sent and forgotten connections: it does not wait for them for ever', async () => {
	const server = await w.serve();
	const sockets = await Promise.all(
		[
			'',
			'GET /livez HT',
			'GET /livez HTTP/1.1\r\nHost: x\r\n',
			'POST /v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
		].map(
			(bytes) =>
				new Promise((resolve) => {
					const socket = net
						.connect(server.port, server.host, () => socket.write(bytes, () => resolve(socket)))
						.on('error', () => {});
				}),
		),
	);
	await call(server, 'GET', '/livez', { expect: 200 });
	await server.stop();
	sockets.forEach((socket) => socket.destroy());
});

test('SIGINT stops it like SIGTERM', async () => {
	const server = await w.serve();
	server.child.kill('SIGINT');
	assert.deepEqual(await within('it stops', server.exited), { code: 0, signal: null });
});
