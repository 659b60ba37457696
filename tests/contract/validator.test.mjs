// The checker of lib/openapi.mjs notices what it is there to notice.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { document, matchOperation, operations, validateReply, validateWebhook } from '../lib/openapi.mjs';

// What passes here was made up, and is no coverage.
delete process.env.SWITCHBACK_TEST_COVERAGE;

const example = (name) => structuredClone(document.components.examples[name].value);
const tenant = example('Tenant');
const call = example('EmergencyCall');
const problem = example('NotFound');

const reply = (over = {}) => ({
	method: 'GET', url: `http://127.0.0.1:8080/v1/tenants/${tenant.id}?page_size=1`, status: 200,
	headers: { 'content-type': 'application/json', 'X-Request-Id': problem.request_id, etag: '"1"' }, body: tenant, ...over,
});
const problemReply = (status, over = {}, headers = {}) => reply({
	status, body: JSON.stringify({ ...problem, status, ...over }),
	headers: { 'content-type': 'application/problem+json', 'x-request-id': problem.request_id, ...headers },
});

test('matches operations by method and path', () => {
	const path = '/v1/tenants/ext%3Aacme/emergency-calls/ext%3Aa%2Fb/end';
	assert.equal(matchOperation('post', `https://switchback.example${path}?x=/y`).operationId, 'endEmergencyCall');
	assert.equal(matchOperation('GET', path), null);
	assert.equal(matchOperation('GET', '/v1/tenants/'), null);
	assert.ok(operations.every((o) => matchOperation(o.method, o.path) === o));
});

test('takes a right reply, parsed or not, with either kind of headers', () => {
	assert.equal(validateReply(reply()).operationId, 'getTenant');
	validateReply(reply({ body: JSON.stringify(tenant) }));
	validateReply(reply({ body: Buffer.from(JSON.stringify(tenant)) }));
	validateReply(reply({ headers: new Headers({ 'Content-Type': 'application/json; charset=utf-8', 'X-Request-Id': 'a', ETag: '"1"' }) }));
	validateReply(reply({ status: 304, body: '', headers: { 'X-Request-Id': 'a', ETag: '"1"' } }));
	validateReply(problemReply(404));
	validateReply(problemReply(418));
	validateReply(reply({ method: 'HEAD', body: '' }));
});

const wrong = [
	['a member too many', { body: { ...tenant, nmae: 'x' } }, /getTenant 200: \(root\) has an undocumented member nmae/],
	['a member missing', { body: { ...tenant, policy_id: undefined } }, /must have required property 'policy_id'/],
	['a member out of its pattern', { body: { ...tenant, region: 'us' } }, /getTenant 200: \/region must match pattern/],
	['a status that is not documented', { status: 202 }, /getTenant 202: the status is not documented/],
	['a wrong content type', { headers: { ...reply().headers, 'content-type': 'text/html' } }, /content type is text\/html/],
	['a header missing', { headers: { 'content-type': 'application/json', 'x-request-id': 'a' } }, /header ETag is missing/],
	['a weak ETag', { headers: { ...reply().headers, etag: 'W/"1"' } }, /header ETag: must match pattern/],
	['no body', { body: '' }, /has no body/],
	['no JSON', { body: '{' }, /body is no JSON/],
	['a body with 304', { status: 304 }, /has a body where none is documented/],
	['a body in answer to HEAD', { method: 'HEAD' }, /has a body in answer to HEAD/],
	['an unknown operation', { url: '/v1/nothing' }, /no operation/],
];
for (const [name, over, message] of wrong)
	test(`refuses ${name}`, () => assert.throws(() => validateReply(reply(over)), message));

test('holds a problem against its own reply', () => {
	assert.throws(() => validateReply({ ...problemReply(404), status: 403 }), /\/status is 404/);
	assert.throws(() => validateReply(problemReply(404, { type: '/problems/forbidden' })), /\/type is/);
	assert.throws(() => validateReply(problemReply(404, { request_id: 'other' })), /request_id differs/);
	assert.throws(() => validateReply(problemReply(401)), /header WWW-Authenticate is missing/);
	assert.throws(() => validateReply(problemReply(503)), /header Retry-After is missing/);
	assert.throws(() => validateReply(problemReply(503, {}, { 'retry-after': 'soon' })), /header Retry-After: must be integer/);
	assert.throws(() => validateReply(problemReply(422, { code: 'not_an_emergency_number', type: '/problems/not_an_emergency_number' })), /emergency_numbers/);
	assert.throws(() => validateReply(problemReply(404, { region: 'US' })), /\/region/);
});

test('takes a refusal of what is no operation', () => {
	const url = '/v1/tenants';
	assert.equal(validateReply({ ...problemReply(404), url: '/v1/nothing' }), null);
	validateReply({ ...problemReply(405, {}, { allow: 'GET, POST' }), url, method: 'PURGE' });
	assert.throws(() => validateReply({ ...problemReply(405, {}, { allow: 'GET' }), url, method: 'PURGE' }), /Allow lacks POST/);
	assert.throws(() => validateReply({ ...problemReply(404), url, method: 'PURGE' }), /status must be one of 400 405 503/);
});

test('a created resource is where Location says', () => {
	const placed = (location) => reply({ method: 'POST', url: `/v1/tenants/${tenant.id}/emergency-calls`, status: 201, body: call,
		headers: { ...reply().headers, location } });
	assert.equal(validateReply(placed(`/v1/tenants/${tenant.id}/emergency-calls/${call.id}`)).operationId, 'placeEmergencyCall');
	assert.throws(() => validateReply(placed(`/v1/tenants/${tenant.id}/emergency-calls/${tenant.id}`)), /header Location/);
	assert.throws(() => validateReply(placed(`/v1/calls/${call.id}`)), /header Location/);
});

test('webhooks are of their type, format and detail', () => {
	const content = document.webhooks['lease.created'].post.requestBody.content;
	const { minimal, full } = structuredClone(content['application/json'].examples);
	const cloudEvent = structuredClone(content['application/cloudevents+json'].example);
	validateWebhook('lease.created', JSON.stringify(minimal.value), { detail: 'minimal' });
	validateWebhook('lease.created', full.value, { detail: 'full' });
	validateWebhook('lease.created', cloudEvent);
	assert.throws(() => validateWebhook('lease.expired', minimal.value), /\/type must be "lease.expired"/);
	assert.throws(() => validateWebhook('lease.lost', minimal.value), /is not documented/);
	assert.throws(() => validateWebhook('lease.created', full.value, { detail: 'minimal' }), /undocumented member number/);
	assert.throws(() => validateWebhook('lease.created', minimal.value, { detail: 'full' }), /must have required property 'number'/);
	const headers = { 'content-type': 'application/json', 'webhook-id': minimal.value.id, 'webhook-timestamp': '1772463845', 'webhook-signature': `v1,${'A'.repeat(43)}=` };
	validateWebhook('lease.created', minimal.value, { headers });
	assert.throws(() => validateWebhook('lease.created', minimal.value, { headers: { ...headers, 'webhook-id': tenant.id } }), /differs from webhook-id/);
	assert.throws(() => validateWebhook('lease.created', minimal.value, { headers: { ...headers, 'webhook-signature': 'v1,x' } }), /webhook-signature/);
});

test('notes what was exercised', () => {
	const folder = mkdtempSync(join(tmpdir(), 'switchback-'));
	try {
		process.env.SWITCHBACK_TEST_COVERAGE = join(folder, 'coverage');
		validateReply(reply());
		validateReply(problemReply(404));
		assert.throws(() => validateReply(reply({ status: 202 })));
		assert.equal(readFileSync(process.env.SWITCHBACK_TEST_COVERAGE, 'utf8'), 'getTenant 200\ngetTenant 404\n');
	} finally {
		delete process.env.SWITCHBACK_TEST_COVERAGE;
		rmSync(folder, { recursive: true });
	}
});
