// make demo: one emergency call, from the first request to the restored presence, over real HTTP
// against a real PostgreSQL. Exits 0 only if every answer and webhook was right.
// make run:  the same set-up, which then keeps serving until Ctrl-C.
//
// Needs Node.js 18 and nothing else. The story is here; stage.mjs starts and stops what it plays on.

import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import * as show from './show.mjs';
import * as stage from './stage.mjs';

const DEADLINE_SECONDS = 120; // for all of the demo together; it takes a few
const ONE_HOUR = 3600;

const TENANT_SCOPES = [
	'config:read', 'config:write', 'numbers:write', 'calls:read', 'calls:write', 'callbacks:resolve', 'webhooks:manage',
];

// --- requests and checks --------------------------------------------------------------------------

let base; // URL of the service

// One request, printed with its answer. `who` is { name, key }. Fails unless the status is as said.
async function send(who, method, path, { body, headers = {}, expect }) {
	show.request(method, path, { Authorization: `Bearer <the ${who.name}'s key>`, ...headers }, body);
	const response = await fetch(base + path, {
		method,
		headers: { Authorization: `Bearer ${who.key}`, 'Content-Type': 'application/json', ...headers },
		body: body === undefined ? undefined : JSON.stringify(body),
	});
	const text = await response.text();
	const answer = text ? JSON.parse(text) : undefined;
	const replay = response.headers.get('idempotent-replay');
	show.answer(response.status, replay ? { 'Idempotent-Replay': replay } : {}, answer);
	if (![expect].flat().includes(response.status)) {
		throw new Error(`${method} ${path} answered ${response.status}, not ${expect}`);
	}
	return { status: response.status, replay, answer };
}

const create = async (who, path, body) => (await send(who, 'POST', path, { body, expect: 201 })).answer;

// Compares what was answered with what is right, and says so in plain words.
function check(words, actual, expected) {
	try {
		assert.deepEqual(actual, expected);
	} catch {
		throw new Error(`${words}: got ${show.pretty(actual)} where ${show.pretty(expected)} is right`);
	}
	show.right(words);
}

// --- the cast -------------------------------------------------------------------------------------

// Ten numbers in a row of the fictitious 555-01xx range, which belong to nobody. A number exists once
// in a deployment, so a database that knows the first ten gets others.
function tenNumbers(attempt) {
	const area = attempt === 0 ? '425' : `${randomInt(2, 10)}${randomInt(0, 9)}${randomInt(2, 10)}`;
	const row = attempt === 0 ? 0 : randomInt(0, 10);
	return Array.from({ length: 10 }, (_, digit) => `+1${area}55501${row}${digit}`);
}

// The site registers its service number; where another tenant has that number, the next ten are tried.
async function createSite(tenant, path, address, unique) {
	for (let attempt = 0; attempt < 50; attempt += 1) {
		const numbers = tenNumbers(attempt);
		const body = {
			external_id: `redmond-${unique}`,
			name: 'Redmond office',
			region: 'US',
			address_id: address.id,
			resource_account: { number: numbers[9], number_type: 'native', destination: { type: "resource_account", address: "sip:main-line@contoso.example" } },
			fallback: { type: 'safety_team', address: 'sip:front-desk@contoso.example', name: 'Front desk', staffed_24x7: true },
		};
		const { status, answer } = await send(tenant, 'POST', `${path}/sites`, { body, expect: [201, 409] });
		if (status === 201) return { site: answer, numbers: numbers.slice(0, 4) };
		if (answer.code !== 'number_in_use') throw new Error(`the site was refused: ${answer.code}`);
		show.note('This database knows that number from an earlier run: others are tried.');
	}
	throw new Error('no free fictitious numbers were found in this database');
}

async function setUp(operator, hook) {
	const unique = randomUUID().slice(0, 8);

	show.step('The customer. One service serves many companies; each sees only what is its own.');
	const company = await create(operator, '/v1/tenants', {
		external_id: `contoso-${unique}`, name: 'Contoso Contact Centre', region: 'US', language: 'en',
	});
	const path = `/v1/tenants/${company.id}`;

	show.step("A key of the customer's own, with just the rights that their backend needs.");
	const { key } = await create(operator, `${path}/api-keys`, { name: 'Contact-centre backend', scopes: TENANT_SCOPES });
	const tenant = { name: 'tenant', key };

	show.step('The street address that emergency services are sent to.');
	const address = await create(tenant, `${path}/addresses`, {
		kind: 'company', region: 'US', admin_area: 'WA', city: 'Redmond', postal_code: '98052',
		street: 'Main St', house_number: '1', floor: '3',
	});

	show.step('The site, with the number it shows as a rule and who answers if all else fails.');
	const { site, numbers } = await createSite(tenant, path, address, unique);

	show.step('Callback numbers. An agent without a number of their own gets one of these for an emergency call.');
	const pool = await create(tenant, `${path}/pools`, {
		external_id: `redmond-pool-${unique}`, site_id: site.id, name: 'Redmond callback numbers', region: 'US', number_type: 'native',
	});
	await create(tenant, `${path}/pools/${pool.id}/numbers`, { numbers });

	show.step('The agent: no phone number, two places where they can be rung.');
	const endpoints = [
		{ type: 'ccaas_client', address: 'sip:agent-42@desk.contoso.example' },
		{ type: 'teams_client', address: 'agent-42@contoso.example' },
	];
	const agent = await create(tenant, `${path}/users`, {
		external_id: 'agent-42', display_name: 'Agent 42', site_id: site.id, kind: 'person', endpoints,
	});

	show.step('Where the service tells us about presence. The secret lets us check that it was the service.');
	const { secret } = await create(tenant, `${path}/webhook-endpoints`, {
		url: hook.url, description: 'Receiver of the demo',
		event_types: ['presence.do_not_disturb', 'presence.restored'],
	});

	show.step('The agent starts work: available.');
	await send(tenant, 'PUT', `${path}/users/${agent.id}/presence`, {
		body: { availability: 'available', source: 'agent' }, expect: 200,
	});
	return { tenant, path, agent, endpoints, numbers, secret };
}

// --- the call -------------------------------------------------------------------------------------

async function nextWebhook(hook, type, secret, call) {
	const delivery = await hook.next(type);
	show.webhook(delivery.headers, delivery.body);
	check("its signature is the service's (Standard Webhooks 1.0.0)", stage.signatureIsRight(delivery, secret), true);
	check('its id is the one in its header', delivery.body.id, delivery.headers['webhook-id']);
	check('it is about this call', delivery.body.data.emergency_call_id, call.id);
	return delivery.body.data;
}

async function playCall({ tenant, path, agent, endpoints, numbers, secret }, hook) {
	const calls = `${path}/emergency-calls`;
	const addresses = endpoints.map((endpoint) => endpoint.address).sort();

	show.step('The agent dials 911. Before the call goes out, the backend asks what number to show, and where to send it.');
	const dialled = {
		body: { user_id: 'ext:agent-42', dial_string: '911', endpoint: endpoints[0] },
		headers: { 'Idempotency-Key': randomUUID() },
		expect: 201,
	};
	const { answer: call } = await send(tenant, 'POST', calls, dialled);
	check('the call is placed, in the name of the agent', [call.state, call.user_id], ['placed', agent.id]);
	check('the number shown is one of the callback numbers', numbers.includes(call.caller_id.number), true);
	check('it is leased to this agent alone', [call.caller_id.source, call.lease.number, call.lease.shared],
		['pool_lease', call.caller_id.number, false]);
	const leased = (Date.parse(call.lease.expires_at) - Date.parse(call.placed_at)) / 1000;
	check('for an hour', Math.abs(leased - ONE_HOUR) < 5, true);
	check('the call goes to 911', [call.route.legs[0].target, call.route.legs[0].dial], ['psap', '911']);
	check('nothing was missing or ignored', call.warnings, []);

	show.step('The answer got lost, and the backend asks again: the same call, not a second one.');
	const again = await send(tenant, 'POST', calls, dialled);
	check('it is the same call, said to be a replay', [again.answer.id, again.replay], [call.id, 'true']);

	show.step('The service tells us that the agent is on Do Not Disturb now, so that no other call disturbs this one.');
	const locked = await nextWebhook(hook, 'presence.do_not_disturb', secret, call);
	check('from available to do_not_disturb', [locked.previous, locked.availability], ['available', 'do_not_disturb']);

	show.step('The emergency operator answers.');
	const connected = await send(tenant, 'POST', `${calls}/${call.id}/connect`, { expect: 200 });
	check('the call is connected', connected.answer.state, 'connected');

	show.step('The line breaks, and the emergency operator dials back the number it saw. Who is to be rung?');
	const callback = await create(tenant, '/v1/callback-resolutions', {
		called_number: call.caller_id.number, caller_number: '+12065550199',
	});
	check('the agent who made the call, because of the lease', [callback.outcome, callback.reason, callback.user.id],
		['user', 'active_lease', agent.id]);
	check("on both of the agent's endpoints", callback.targets.map((target) => target.address).sort(), addresses);
	check('at the same time', [callback.ring, ...callback.targets.map((target) => target.start_after_seconds)],
		['simultaneous', 0, 0]);
	check('past Do Not Disturb', callback.bypass.includes('presence'), true);

	show.step('The call is over.');
	const ended = await send(tenant, 'POST', `${calls}/${call.id}/end`, { body: { reason: 'remote' }, expect: 200 });
	check('the call is ended', ended.answer.state, 'ended');

	show.step('The service tells us to give the agent their earlier presence back.');
	const restored = await nextWebhook(hook, 'presence.restored', secret, call);
	check('back to available', [restored.previous, restored.availability], ['do_not_disturb', 'available']);
	check('as the next change after Do Not Disturb', restored.sequence, locked.sequence + 1);

	show.step('Afterwards: the agent can be reached again, and the number is still theirs until the lease expires.');
	const presence = await send(tenant, 'GET', `${path}/users/${agent.id}/presence`, { expect: 200 });
	check('the agent is available', [presence.answer.availability, presence.answer.locked_by], ['available', []]);
	const lease = await send(tenant, 'GET', `${path}/leases/${call.lease.id}`, { expect: 200 });
	check('the lease is still active', [lease.answer.state, lease.answer.number], ['active', call.caller_id.number]);
}

// --- demo and run ---------------------------------------------------------------------------------

function keepServing({ tenant, path }, hook) {
	hook.onDelivery(({ headers, body }) => show.webhook(headers, body));
	show.title(`Switchback is serving at ${base}. To place an emergency call, paste this into another terminal:`);
	show.text(`
curl -sS -X POST ${base}${path}/emergency-calls \\
  -H 'Authorization: Bearer ${tenant.key}' \\
  -H 'Content-Type: application/json' \\
  -d '{"user_id": "ext:agent-42", "dial_string": "911"}'
`);
	show.note('It is over with POST .../emergency-calls/<id>/end. Webhooks are shown here. Ctrl-C stops everything.');
}

async function main(mode) {
	if (!['demo', 'run'].includes(mode)) {
		show.text('usage: demo.mjs demo|run');
		process.exitCode = 2;
		return;
	}
	const log = [];
	let finish; // what ends the wait below: a signal, a mistake, or the end of the story
	const finished = new Promise((resolve, reject) => (finish = { resolve, reject }));
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => finish.resolve(signal));
	process.on('uncaughtException', (error) => finish.reject(error));
	const deadline = setTimeout(
		() => finish.reject(new Error(`not finished after ${DEADLINE_SECONDS} seconds`)), DEADLINE_SECONDS * 1000);

	const play = async () => {
		show.text('Starting PostgreSQL, the service and a receiver of webhooks ...');
		const { url, operatorKey, died } = await stage.service(stage.database(), log);
		died.catch(finish.reject);
		base = url;
		const hook = await stage.receiver();
		const cast = await setUp({ name: 'operator', key: operatorKey }, hook);
		if (mode === 'demo') {
			await playCall(cast, hook);
			finish.resolve('done');
		} else {
			clearTimeout(deadline);
			keepServing(cast, hook);
		}
	};

	try {
		play().catch(finish.reject);
		const how = await finished;
		if (how !== 'done') {
			show.text(`\n${how}: stopping.`);
			if (mode === 'demo') process.exitCode = 130;
		}
	} catch (error) {
		show.wrong(error.message);
		if (log.length) show.text(`\nThe end of the service's log:\n${log.join('\n')}`);
		process.exitCode = 1;
	}
	clearTimeout(deadline);
	await stage.stop();
	if (mode === 'demo' && !process.exitCode) show.title('Every step was right. Nothing is left running.');
	process.exit(); // an unanswered request or an awaited webhook must not keep us
}

await main(process.argv[2]);
