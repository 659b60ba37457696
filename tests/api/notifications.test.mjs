// Who is told of an emergency call (47 CFR 9.16): what, when, how often, and what must not hold it up.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { until, world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';
import { SELF_SIGNED } from '../lib/certificate.mjs';
import { mailServer } from '../lib/smtp.mjs';
import { validateWebhook } from '../lib/openapi.mjs';

const FROM = 'switchback@calls.example';
let w;
let mail;
before(async () => {
	mail = await mailServer();
	w = await world({ settings: mailing() });
});
after(async () => {
	await w.close();
	await mail.close();
});

const mailing = (server = mail) => ({ SWITCHBACK_SMTP_URL: server.url, SWITCHBACK_SMTP_FROM: FROM });
const told = (t, body) => t.create('notification-recipients', body);
const mailbox = () => `${unique('desk')}@desk.example`;
const emailOf = (address) => (attempt) => attempt.to?.includes(address);

// A recipient at a path of its own of this receiver; next(): what came to it, held against openapi.yaml.
async function hooked(t, hook, body = {}) {
	const path = `/${unique('told')}`;
	const recipient = await told(t, { channel: 'webhook', address: `${hook.url}${path}`, ...body });
	const arrived = () => hook.deliveries.filter((d) => d.path === path);
	const next = async (n = 1) => {
		const d = await until(`notification ${n} at ${path}`, () => arrived()[n - 1]);
		validateWebhook('notification', d.text, { headers: d.headers });
		return d;
	};
	return { recipient, path, arrived, next };
}

const deliveries = (call) =>
	w.sql(
		`SELECT recipient_id, channel, state, attempts, last_status, last_error FROM notification_deliveries
		WHERE emergency_call_id = $1 ORDER BY channel, id`,
		[call.id],
	);
const settled = (call, state) =>
	until(`its notification is ${state}`, async () => (await deliveries(call)).find((d) => d.state === state));
// Each was sent or given up: whatever is not there by now does not come.
const allSettled = (call) =>
	until('all of its notifications are settled', async () => {
		const all = await deliveries(call);
		return all.every((d) => d.state !== 'pending') && all;
	});

const LOCATION = { street: 'Main St', house_number: '12', floor: '3', room: '3.14', city: 'Redmond', region: 'US', admin_area: 'WA' };

test('a placed call reaches webhook and email recipients with who, where from, how to call back, and what was dialled', async () => {
	const t = await w.tenant({ users: 0 });
	const hook = await w.receiver();
	const [to, agent] = [mailbox(), await t.user({ display_name: 'Grace Hopper' })];
	const { next, recipient } = await hooked(t, hook);
	await told(t, { channel: 'email', address: to });
	await told(t, { channel: 'phone', address: '+14255550142', mode: 'listen' });
	const call = await t.place(agent, { location: LOCATION });
	assert.deepEqual(
		call.notifications.map((n) => [n.channel, n.address, n.mode]).sort(),
		[
			['email', to, 'notify'],
			['phone', '+14255550142', 'listen'],
			['webhook', recipient.address, 'notify'],
		],
	);

	const { data, headers, text } = await next();
	const { external_id } = agent;
	assert.deepEqual(
		[data.dial_string, data.display_name, data.external_id, data.callback_number, data.site_name, data.test],
		['911', 'Grace Hopper', external_id, call.caller_id.number, t.home.name, false],
	);
	assert.deepEqual([data.emergency_call_id, data.occurred_at], [call.id, call.placed_at]);
	assert.deepEqual([data.location.source, data.location.address.street, data.location.address.room], ['caller', 'Main St', '3.14']);
	assert.equal(headers['webhook-signature'], undefined, 'a recipient has no secret');
	assert.ok(text.length < 20_000);

	const { mail: message, from, to: rcpt } = await mail.next(emailOf(to));
	assert.deepEqual([from, rcpt, message.headers.from, message.headers.to], [FROM, [to], FROM, to]);
	assert.equal(message.subject, `Emergency call: 911 at ${t.home.name}`);
	assert.match(message.headers['message-id'], /^<[0-9a-f-]{36}@calls\.example>$/);
	assert.equal(Math.floor(Date.parse(call.placed_at) / 1000) * 1000, Date.parse(message.headers.date));
	for (const line of [
		/^An emergency number was dialled\.$/m,
		/^Dialled: +911$/m,
		new RegExp(`^Who: +Grace Hopper \\(${external_id}\\)$`, 'm'),
		new RegExp(`^Callback number: +\\${call.caller_id.number}$`, 'm'),
		/^Location for PSAP: +12 Main St, floor 3, room 3\.14, Redmond, WA, US$/m,
		new RegExp(`^Site: +${t.home.name}$`, 'm'),
		new RegExp(`^Time: +${call.placed_at.slice(0, 19).replace('T', ' ')} UTC$`, 'm'),
		new RegExp(`^Call: +${call.id}$`, 'm'),
	])
		assert.match(message.text.replaceAll('\r\n', '\n'), line);
	assert.ok(!message.headers.subject.includes('Grace') && !message.headers.subject.includes('+1'));
	const all = await allSettled(call);
	assert.deepEqual(
		all.map((d) => [d.channel, d.state, d.last_status]),
		[
			['email', 'delivered', 250],
			['webhook', 'delivered', 204],
		],
	);
});

test('a guest is named by the reference, and what is not known is said to be so', async () => {
	const t = await w.tenant({ users: 0, numbers: null, site: { resource_account: null } });
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	const call = await t.place('somebody-new');
	assert.equal(call.caller_id.number, null);
	const { text } = (await mail.next(emailOf(to))).mail;
	assert.match(text, /Who: +guest somebody-new\r\n/);
	assert.match(text, /Callback number: +none could be presented\r\n/);
	assert.match(text, /Location for PSAP: +none is known\r\n/);
});

test('recipients of the tenant hear of every site, those of a site of its own calls only', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const branch = await t.site({ resource_account: null });
	const everywhere = await hooked(t, hook);
	const home = await hooked(t, hook, { site_id: t.home.id });
	const there = await hooked(t, hook, { site_id: branch.id });
	const first = await t.place(t.agent);
	const second = await t.place(await t.user({ site_id: branch.id }));
	await everywhere.next(2);
	assert.deepEqual([(await home.next()).data.emergency_call_id, (await there.next()).data.emergency_call_id], [first.id, second.id]);
	await Promise.all([first, second].map(allSettled));
	assert.deepEqual([everywhere, home, there].map((r) => r.arrived().length), [2, 1, 1]);
});

test('a test call wakes only who lists its dial string, and says that it is one', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const usual = await hooked(t, hook);
	const listing = await hooked(t, hook, { dial_strings: ['933'] });
	const to = mailbox();
	await told(t, { channel: 'email', address: to, dial_strings: ['911', '933'] });
	const call = await t.place(t.agent, { dial_string: '933' });
	assert.deepEqual((await listing.next()).data.test, true);
	const { mail: message } = await mail.next(emailOf(to));
	assert.match(message.subject, /^Test call: 933 at /);
	assert.match(message.text, /^This is a TEST: /);
	await allSettled(call);
	assert.equal(usual.arrived().length, 0);
	await t.end(call);
	const real = await t.place(t.agent);
	await usual.next();
	await allSettled(real);
	assert.equal(listing.arrived().length, 1, 'and who lists others does not hear of 911');
});

test('a repeat of a call tells nobody again', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const one = await hooked(t, hook);
	const external_call_id = unique('call');
	const call = await t.place(t.agent, { external_call_id });
	const again = await t.place(t.agent, { external_call_id });
	assert.equal(again.id, call.id);
	await allSettled(call);
	assert.equal((await deliveries(call)).length, 1);
	assert.equal(one.arrived().length, 1);
});

test('what is refused for now, or not reached, is sent again: the same email, the same webhook', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const one = await hooked(t, hook);
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	const failing = { 1: 451, 2: 'reset' };
	mail.answer = (attempt) => failing[attempt.attempt] ?? 250;
	hook.answer = (d) => ({ 1: 500, 2: 'reset' })[d.attempt] ?? 204;
	const call = await t.place(t.agent);
	const attempts = [];
	for (let n = 0; n < 3; n++) attempts.push(await mail.next(emailOf(to)));
	mail.answer = () => 250;
	assert.deepEqual(
		attempts.map((a) => a.answer),
		[451, 'reset', 250],
	);
	assert.equal(new Set(attempts.map((a) => a.mail.raw)).size, 1, 'to the letter');
	await one.next(3);
	assert.equal(new Set(one.arrived().map((d) => d.id + d.text)).size, 1);
	const [email, webhook] = await allSettled(call);
	assert.deepEqual([email.state, email.attempts, webhook.state], ['delivered', 3, 'delivered']);
});

test('a mail server that is away is tried until it is back', async () => {
	const t = await w.tenant();
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	await mail.refuse();
	const call = await t.place(t.agent);
	await until('it failed', async () => (await deliveries(call))[0].attempts > 0);
	assert.deepEqual((await deliveries(call)).map((d) => [d.state, d.last_status]), [['pending', null]]);
	await mail.listen();
	await mail.next(emailOf(to));
	await settled(call, 'delivered');
});

test('a refusal for good is not tried again: 55x of the mail server, 410 of a URL', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const [nobody, unwanted] = [mailbox(), mailbox()];
	await hooked(t, hook);
	hook.answer = () => 410;
	await told(t, { channel: 'email', address: nobody });
	await told(t, { channel: 'email', address: unwanted });
	mail.answerRecipient = (session) => (session.to.includes(nobody) ? 550 : 250);
	mail.answer = () => 554;
	const call = await t.place(t.agent);
	const all = await allSettled(call);
	delete mail.answerRecipient;
	mail.answer = () => 250;
	assert.deepEqual(all.map((d) => [d.channel, d.state, d.attempts, d.last_status]).sort(), [
		['email', 'failed', 1, 550],
		['email', 'failed', 1, 554],
		['webhook', 'failed', 1, 410],
	]);
});

test('a mail server that hangs holds up no webhook, no other recipient and no call', async () => {
	const t = await w.tenant({ users: 4, numbers: 10 });
	const hook = await w.receiver();
	const to = mailbox();
	const endpoint = await t.hook(hook, { event_types: ['presence.do_not_disturb'] });
	const one = await hooked(t, hook);
	for (let n = 0; n < 6; n++) await told(t, { channel: 'email', address: n ? mailbox() : to });
	mail.answer = () => 'hang';
	const calls = [];
	for (const user of t.users) calls.push(await t.place(user));
	await mail.next(emailOf(to));
	await one.next(4);
	await until('the endpoint has heard of all', () => hook.deliveries.filter((d) => d.path === endpoint.path).length === 4);
	assert.equal(mail.accepted.filter(emailOf(to)).length, 0);
	mail.answer = () => 250;
	await Promise.all(calls.map(allSettled));
	for (const call of calls) assert.ok((await deliveries(call)).every((d) => d.state === 'delivered'));
});

test('a mail server that never says goodbye holds up nothing', async () => {
	const t = await w.tenant();
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	mail.hangsAtQuit = true;
	const server = await w.serve(mailing());
	const call = await t.place(t.agent, {}, { server });
	await mail.next(emailOf(to));
	await server.stop(); // which cuts it short
	mail.hangsAtQuit = false;
	await settled(call, 'delivered');
});

test('STARTTLS where it is offered; a password only to a server that proves who it is', async () => {
	const t = await w.tenant();
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	const relay = await mailServer({ tls: SELF_SIGNED });
	const through = async (url, body = {}) => {
		const server = await w.serve({ ...mailing(), SWITCHBACK_SMTP_URL: url });
		const call = await t.place(await t.user(), body, { server });
		const failed = server.logged('notification_failed');
		const end = await Promise.race([failed, settled(call, 'delivered')]);
		await server.stop();
		return end;
	};
	assert.equal((await through(relay.url)).state, 'delivered');
	assert.deepEqual(
		relay.accepted.map((a) => a.encrypted),
		[true],
	);
	assert.match((await through(relay.url.replace('//', '//user:password@'))).error, /certificate|SSL/);
	assert.equal(relay.accepted.length, 1);
	await relay.close();

	const strict = await mailServer({ auth: { user: 'us er', password: 'p@ss:w%rd' } });
	assert.equal((await through(strict.url)).state, 'delivered');
	assert.equal(strict.accepted[0].user, 'us er');
	const wrong = await through(strict.url.replace('w%25rd', 'other'));
	assert.deepEqual([wrong.status, wrong.state], [535, 'pending'], 'which the operator will mend');
	await strict.close();
});

test('SIGKILL between commit and delivery: another process tells, under the same ids', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const one = await hooked(t, hook);
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	const doomed = await w.serve(mailing());
	hook.answer = () => 'hang';
	mail.answer = () => 'hang';
	const call = await t.place(t.agent, {}, { server: doomed });
	const first = await mail.next(emailOf(to));
	await one.next();
	await doomed.kill();
	hook.answer = () => 204;
	mail.answer = () => 250;
	assert.equal((await mail.next(emailOf(to))).id, first.id);
	await one.next(2);
	assert.equal(new Set(one.arrived().map((d) => d.id)).size, 1);
	await allSettled(call);
});

test('nothing that a caller writes becomes a header or a line of ours', async () => {
	const t = await w.tenant({ users: 0, site: { name: 'Zürich \u{1f6a8} =?UTF-8?B?Qg==?= headquarters, a name that is far too long for one line' } });
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	const evil = 'x\r\nBcc: victim@example.com\r\n\r\n.\r\nQUIT\r\nCallback number:     +15005550000';
	const agent = await t.user({ display_name: 'Zoë Ünï — 緊急' });
	const call = await t.place(agent, { location: { ...LOCATION, street: evil, city: '.' } });
	const { mail: message } = await mail.next(emailOf(to));
	assert.deepEqual(Object.keys(message.headers).sort(), [
		'auto-submitted',
		'content-transfer-encoding',
		'content-type',
		'date',
		'from',
		'importance',
		'message-id',
		'mime-version',
		'subject',
		'to',
	]);
	assert.equal(message.subject, `Emergency call: 911 at ${t.home.name}`);
	assert.ok(/^[\x20-\x7e\r\n]*$/.test(message.raw), 'ASCII on the way');
	assert.ok(message.raw.split('\r\n').every((line) => line.length <= 78));
	assert.match(message.text, /Who: +Zoë Ünï — 緊急 \(/);
	assert.equal(message.text.match(/^Callback number:/gm).length, 1);
	assert.equal(message.text.match(/^Bcc:/gm), null);
	await settled(call, 'delivered');

	const guest = await t.place('guest\u2028Callback number:     +15005550000');
	const { text } = (await mail.next(emailOf(to))).mail;
	assert.match(text, /Who: +guest guest Callback number: \+15005550000\r\n/);
	await settled(guest, 'delivered');
});

test('without a mail server the email fails and says why, once in the log; all else goes out', async () => {
	const lone = await w.serve();
	const t = await w.tenant({ users: 2 });
	const hook = await w.receiver();
	const one = await hooked(t, hook);
	await told(t, { channel: 'email', address: mailbox() });
	for (const user of t.users) {
		const call = await t.place(user, {}, { server: lone });
		assert.deepEqual(call.notifications.map((n) => n.channel).sort(), ['email', 'webhook']);
		const all = await allSettled(call);
		assert.deepEqual(
			all.map((d) => [d.channel, d.state, d.last_error]),
			[
				['email', 'failed', 'SWITCHBACK_SMTP_URL is not set'],
				['webhook', 'delivered', null],
			],
		);
	}
	await one.next(2);
	const warnings = lone.log.filter((line) => line.event === 'email_not_sent');
	assert.deepEqual(warnings.map((line) => line.level), ['warn']);
	await lone.stop();
});

test('a recipient that is deleted is told nothing more', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const one = await hooked(t, hook);
	hook.answer = () => 500;
	const call = await t.place(t.agent);
	await one.next();
	await t.delete(`/notification-recipients/${one.recipient.id}`);
	assert.equal((await settled(call, 'failed')).last_error, 'the recipient is deleted');
});

test('once the call is forgotten, nothing can be told of it', async () => {
	const t = await w.tenant();
	const to = mailbox();
	await told(t, { channel: 'email', address: to });
	await mail.refuse();
	const call = await t.place(t.agent);
	await until('it failed', async () => (await deliveries(call))[0].attempts > 0);
	await w.sql(`UPDATE emergency_calls SET decision = '{}' WHERE id = $1`, [call.id]);
	await mail.listen();
	assert.equal((await settled(call, 'failed')).last_error, 'the data of the call is forgotten');
	assert.equal(mail.attempts.filter(emailOf(to)).length, 0);
});

test('a URL at an address that webhooks may not reach is not called', async () => {
	const t = await w.tenant();
	const hook = await w.receiver();
	const strict = await w.serve({ SWITCHBACK_WEBHOOK_ALLOW_CIDRS: undefined });
	// The name is fine; the address that it stands for is not.
	await hooked(t, hook, { address: `http://localhost:${hook.port}/inside` });
	await t.place(t.agent, {}, { server: strict });
	const { error, state } = await strict.logged('notification_failed');
	assert.deepEqual([error, state], ['the address is not one that webhooks may reach', 'pending']);
	await strict.stop();
});
