// Where webhooks may be sent, and what is kept of their secrets.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test, { after, before } from 'node:test';
import { SUPERUSER_URL, WITHOUT_SUPERUSER, until, urlOf, world } from '../lib/harness.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 5 });
});
after(() => w.close());

const creating = (body, server) => t.call('POST', '/webhook-endpoints', { body, server });
const PRESENCE = { event_types: ['presence.do_not_disturb', 'presence.restored'] };

test('the secret is shown once; everything else can be read again', async () => {
	const body = {
		url: 'https://ccaas.example/hooks',
		description: 'Presence adapter',
		...PRESENCE,
		detail: 'full',
		payload_format: 'cloudevents',
		enabled: false,
	};
	const { secret, ...made } = await t.create('webhook-endpoints', body);
	assert.match(secret, /^whsec_/);
	assert.equal(Buffer.from(secret.slice(6), 'base64').length, 32);
	assert.deepEqual({ ...made, ...body, disabled_reason: null }, made);
	assert.deepEqual(await t.get(`/webhook-endpoints/${made.id}`), made);
	assert.deepEqual(
		(await t.list('webhook-endpoints')).find((e) => e.id === made.id),
		made,
	);
	assert.notEqual((await t.create('webhook-endpoints', body)).secret, secret);
	const plain = await t.create('webhook-endpoints', { url: 'https://ccaas.example/hooks' });
	assert.deepEqual(
		[plain.event_types, plain.payload_format, plain.detail, plain.enabled, plain.description],
		[[], 'standard', 'minimal', true, null],
	);
});

const REFUSED = [
	['ftp://ccaas.example/', 'a scheme that is none of ours'],
	['ccaas.example/hooks', 'no scheme'],
	['https://', 'no host'],
	['https:///hooks', 'no host'],
	['https://user:pass@ccaas.example/', 'user and password'],
	['https://user@ccaas.example/', 'a user'],
	['https://ccaas.example/ hooks', 'a blank'],
	['https://ccaas.example/\u0001', 'a control character'],
	[`https://ccaas.example/${'x'.repeat(2048)}`, 'too long'],
	['javascript:alert(1)', 'no place'],
	['', 'empty'],
	[5, 'no string'],
	[null, 'null'],
	['http://10.0.0.1/', 'a private address'],
	['https://192.168.1.1/', 'a private address'],
	['https://169.254.169.254/latest/meta-data', 'a link-local address'],
	['https://[::1]/', 'the loopback address'],
	['https://[fe80::1]/', 'a link-local address'],
	['https://[fd00::1]/', 'a private address'],
	['https://[::ffff:10.0.0.1]/', 'a mapped private address'],
	['https://[64:ff9b::a00:1]/', 'a translated private address'],
	['https://0.0.0.0/', 'no address'],
	['https://100.64.0.1/', 'a shared address'],
	['https://224.0.0.1/', 'a multicast address'],
];
for (const [url, why] of REFUSED)
	test(`url ${JSON.stringify(String(url).slice(0, 50))} is refused: ${why}`, async () => {
		const { status, body } = await creating({ url });
		assert.deepEqual([status, body.code, body.errors.map((e) => e.pointer)], [422, 'invalid_value', ['/url']]);
		assert.ok(body.errors[0].detail.length > 3);
	});

test('an endpoint that is changed gets its next event as it is now; url and types are checked as at creation', async () => {
	const receiver = await w.receiver();
	const agent = await t.user();
	const [before, after] = ['/before', '/after'].map((path) => `${receiver.url}${path}`);
	const made = await t.create('webhook-endpoints', { url: before, ...PRESENCE });
	for (const path of ['/before', '/after']) receiver.trust(path, made.secret);
	for (const [url] of REFUSED.filter(([url]) => url !== null)) {
		const refused = await t.changing(`/webhook-endpoints/${made.id}`, { url });
		assert.deepEqual([refused.status, refused.body.errors.map((e) => e.pointer)], [422, ['/url']], String(url));
	}
	const off = await t.change(`/webhook-endpoints/${made.id}`, { enabled: false });
	assert.deepEqual([off.enabled, off.url], [false, before]);
	await t.end(await t.place(agent));
	const on = await t.change(`/webhook-endpoints/${made.id}`, { enabled: true, url: after });
	assert.ok(!('secret' in on));
	const call = await t.place(agent);
	await t.end(call);
	for (const type of PRESENCE.event_types)
		await receiver.next((d) => d.type === type && d.data.user_id === agent.id && d.data.emergency_call_id === call.id);
	assert.ok(receiver.deliveries.every(({ path }) => path === '/after'));
	await t.delete(`/webhook-endpoints/${made.id}`);
	assert.equal((await t.call('GET', `/webhook-endpoints/${made.id}`)).status, 404);
});

test('http is refused where the deployment does not allow it', async () => {
	const strict = await w.serve({ SWITCHBACK_WEBHOOK_ALLOW_HTTP: undefined });
	const refused = await creating({ url: 'http://ccaas.example/hooks' }, strict);
	assert.deepEqual([refused.status, refused.body.errors.map((e) => e.pointer)], [422, ['/url']]);
	assert.match(refused.body.errors[0].detail, /https/);
	assert.equal((await creating({ url: 'https://ccaas.example/hooks' }, strict)).status, 201);
	assert.equal((await creating({ url: 'http://ccaas.example/hooks' })).status, 201, 'and taken where it does');
	await strict.stop();
});

test('a private address is refused where the deployment does not allow it, and never connected to', async () => {
	const strict = await w.serve({ SWITCHBACK_WEBHOOK_ALLOW_CIDRS: undefined });
	const hook = await w.receiver();
	const refused = await creating({ url: `${hook.url}/x` }, strict);
	assert.deepEqual([refused.status, refused.body.errors.map((e) => e.pointer)], [422, ['/url']]);
	for (const disguised of ['http://2130706433/', 'http://0x7f000001/', 'http://127.1/', 'http://0177.0.0.1/']) {
		const { status } = await creating({ url: disguised }, strict);
		assert.ok([201, 422].includes(status), disguised); // where it is taken, the guard at connect time must stop it
	}
	await w.servers[0].stop(); // only the strict one delivers now
	let connections = 0;
	hook.server.on('connection', () => (connections += 1));
	const named = await t.create('webhook-endpoints', { url: `http://localhost:${hook.port}/x`, ...PRESENCE }, { server: strict });
	const call = await t.place(t.agent, {}, { server: strict });
	const [failed] = await until('an attempt was made', async () => {
		const rows = await w.sql('SELECT last_status, last_error FROM webhook_deliveries WHERE endpoint_id = $1 AND attempts > 0', [
			named.id,
		]);
		return rows.length ? rows : null;
	});
	assert.equal(connections, 0, 'a name that stands for a private address is not connected to');
	assert.equal(failed.last_status, null);
	assert.ok(failed.last_error);
	await t.end(call, { server: strict });
	await w.serve();
	await strict.stop();
});

test('neither secrets nor keys are in the database in clear', { skip: WITHOUT_SUPERUSER }, async () => {
	const hook = await w.receiver();
	const endpoint = await t.hook(hook, PRESENCE);
	await t.end(await t.place(t.agent, {}, { headers: { 'idempotency-key': 'a-key-of-a-call' } }));
	await hook.next('presence.restored');
	const dump = execFileSync('pg_dump', ['--dbname', urlOf(SUPERUSER_URL, w.database), '--schema', 'switchback'], {
		encoding: 'latin1',
		maxBuffer: 1 << 28,
	});
	assert.ok(dump.includes(endpoint.id), 'the dump is one');
	const bytes = Buffer.from(endpoint.secret.slice(6), 'base64');
	const key = t.key.split('_').slice(2).join('_'); // base64url has _ too
	const secrets = {
		secret: endpoint.secret,
		'its base64': endpoint.secret.slice(6),
		'its bytes': bytes.toString('hex'),
		'the key': t.key,
		'its secret part': key,
		'its secret part as bytes': Buffer.from(key).toString('hex'),
		'the operator key': w.operatorKey,
		'the key that seals': Buffer.from(w.settings.SWITCHBACK_SECRETS_KEY, 'base64').toString('hex'),
		'the idempotency key': 'a-key-of-a-call',
	};
	for (const [name, value] of Object.entries(secrets)) assert.ok(!dump.includes(value), `${name} is in the dump`);
});

test('a webhook signed under another key of the deployment is not sent wrong: it waits', async () => {
	const hook = await w.receiver();
	await t.hook(hook, PRESENCE);
	await w.servers[0].stop();
	const stranger = await w.serve({ SWITCHBACK_SECRETS_KEY: Buffer.alloc(32, 7).toString('base64') });
	await t.end(await t.place(t.agent));
	await until(
		'an attempt failed',
		async () =>
			(await w.sql(`SELECT 1 FROM webhook_deliveries WHERE tenant_id = $1 AND state = 'pending' AND last_error IS NOT NULL`, [t.id]))
				.length,
	);
	assert.deepEqual(hook.deliveries, []);
	await stranger.stop({ errors: true });
	await w.serve();
	await hook.next('presence.restored');
});
