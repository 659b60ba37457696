// Notification recipients: an address that its channel can reach, and a mode that it can have.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';
import { lifecycle, refused } from '../lib/lifecycle.mjs';

let w;
let t;
let stranger;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: null, users: 0 });
	stranger = await w.tenant({ numbers: null, users: 0 });
});
after(() => w.close());

const KIND = 'notification-recipients';
const creating = (body) => t.call('POST', `/${KIND}`, { body });

lifecycle({
	kind: KIND,
	tenant: () => t,
	other: () => stranger,
	least: () => ({ channel: 'email', address: 'desk@example' }),
	all: () => ({ site_id: t.home.id, channel: 'phone', address: '+14255550142', mode: 'speak', dial_strings: ['933', '911', '*1#'] }),
	defaults: { site_id: null, mode: 'notify', dial_strings: [] },
	nulls: ['site_id', 'mode', 'dial_strings'],
	change: () => ({ mode: 'listen', address: '+14255550143', dial_strings: ['911'] }),
	external: false,
});

const GOOD = {
	email: [
		'a@b',
		'desk@example.com',
		"o'hara+911=x@sub-1.example.org",
		`${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
	],
	phone: ['+14255550142', '+49'],
	webhook: ['https://ccaas.example/hooks?a=b', 'http://ccaas.example', 'https://127.0.0.1:8443/x'],
};
const BAD = {
	email: [
		'',
		'desk',
		'@example.com',
		'desk@',
		'desk@-example.com',
		'desk@example-.com',
		'desk@example..com',
		'desk@example.com.',
		'a@b@example.com',
		'"a b"@example.com',
		'Desk <desk@example.com>',
		'desk@example.com, other@example.com',
		'desk@[192.0.2.1]',
		'desk@example.com\r\nBcc: x@example.com',
		`${'a'.repeat(65)}@example.com`,
		`desk@${'b'.repeat(64)}`,
		`${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(62)}`,
		'+14255550142',
	],
	phone: ['911', '14255550142', '+04255550142', '+1 425 555 0142', 'tel:+14255550142', 'desk@example.com'],
	webhook: [
		'ftp://ccaas.example/',
		'ccaas.example',
		'https://user@ccaas.example/',
		'https://10.0.0.1/',
		'http://169.254.169.254/latest',
		'https://[::1]/',
		`https://ccaas.example/${'x'.repeat(2048)}`,
		'desk@example.com',
	],
};
for (const channel of Object.keys(GOOD)) {
	for (const address of GOOD[channel])
		test(`${channel} ${address.slice(0, 60)} is taken`, async () => {
			const made = await t.create(KIND, { channel, address });
			assert.deepEqual([made.channel, made.address], [channel, address]);
		});
	for (const address of BAD[channel])
		test(`${channel} ${JSON.stringify(address.slice(0, 60))} is refused`, async () => {
			const detail = await refused(creating({ channel, address }), 422, 'invalid_value', '/address');
			assert.ok(detail.length > 5);
			const { id } = await t.create(KIND, { channel, address: GOOD[channel][0] });
			await refused(t.changing(`/${KIND}/${id}`, { address }), 422, 'invalid_value', '/address');
		});
}

test('http is refused where the deployment does not allow it', async () => {
	const strict = await w.serve({ SWITCHBACK_WEBHOOK_ALLOW_HTTP: undefined });
	const body = { channel: 'webhook', address: 'http://ccaas.example/' };
	assert.match(await refused(t.call('POST', `/${KIND}`, { body, server: strict }), 422, 'invalid_value', '/address'), /https/);
	await strict.stop();
});

test('a change of the channel asks for an address of it', async () => {
	const { id } = await t.create(KIND, { channel: 'email', address: 'desk@example' });
	assert.match(await refused(t.changing(`/${KIND}/${id}`, { channel: 'phone' }), 422, 'invalid_value', '/address'), /phone/);
	await t.change(`/${KIND}/${id}`, { channel: 'phone', address: '+14255550142', mode: 'listen' });
	const back = t.changing(`/${KIND}/${id}`, { channel: 'email', address: 'desk@example' });
	assert.match(await refused(back, 422, 'invalid_value', '/mode'), /email/);
});

test('only a phone can join a call', async () => {
	for (const mode of ['listen', 'speak'])
		for (const channel of ['email', 'webhook'])
			await refused(creating({ channel, address: GOOD[channel][0], mode }), 422, 'invalid_value', '/mode');
	await refused(creating({ channel: 'phone', address: '+14255550142', mode: 'none' }), 422, 'invalid_value', '/mode');
	await refused(creating({ channel: 'sms', address: '+14255550142' }), 422, 'invalid_value', '/channel');
});

test('dial strings are dial strings, each once', async () => {
	const asked = (dial_strings) => creating({ channel: 'email', address: 'a@b', dial_strings });
	await refused(asked(['911', '9x1']), 422, 'invalid_value', '/dial_strings/1');
	await refused(asked(['911', '+14255550142']), 422, 'invalid_value', '/dial_strings/1');
	await refused(asked(['911', '112', '911']), 422, 'invalid_value', '/dial_strings/2');
	await refused(asked(['9'.repeat(33)]), 422, 'invalid_value', '/dial_strings/0');
	await refused(asked('911'), 422, 'invalid_value', '/dial_strings');
	await refused(asked([911]), 422, 'invalid_value', '/dial_strings/0');
	await refused(asked(Array.from({ length: 51 }, (_, i) => String(1000 + i))), 422, 'invalid_value', '/dial_strings');
	assert.equal((await asked(Array.from({ length: 50 }, (_, i) => String(1000 + i)))).status, 201);
});

test('filters: site and channel', async () => {
	const external_id = unique('s');
	await t.site({ external_id });
	const a = await t.create(KIND, { channel: 'email', address: 'a@b', site_id: `ext:${external_id}` });
	const b = await t.create(KIND, { channel: 'phone', address: '+49', site_id: `ext:${external_id}` });
	assert.deepEqual(await t.list(KIND, { site_id: a.site_id }), [a, b]);
	assert.deepEqual(await t.list(KIND, { site_id: a.site_id, channel: 'phone' }), [b]);
	assert.equal((await t.call('GET', `/${KIND}?channel=sms`)).status, 400);
	await refused(creating({ channel: 'email', address: 'a@b', site_id: stranger.home.id }), 422, 'unknown_reference', '/site_id');
});
