// Holds replies and webhooks of the service against openapi.yaml.
// A reply that passes is noted in the file named by SWITCHBACK_TEST_COVERAGE, one "operationId status"
// a line, so that contract/coverage.mjs can sum up any number of test processes.
import { appendFileSync, readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import YAML from 'yaml';

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'options', 'head'];
const SCHEMAS = '#/components/schemas/';
const BUNDLE = 'urn:switchback:schemas';

export const document = YAML.parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'));

// What a $ref of the document stands for; anything else is given back as it is.
export function resolve(node) {
	if (typeof node?.$ref !== 'string')
		return node;
	let found = document;
	for (const step of node.$ref.slice(2).split('/'))
		found = found?.[step.replace(/~1/g, '/').replace(/~0/g, '~')];
	if (!node.$ref.startsWith('#/') || found === undefined)
		throw new Error(`openapi.yaml: ${node.$ref} names nothing`);
	return resolve(found);
}

// ---- schemas

const ajv = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true });
addFormats(ajv);

// The document is no JSON Schema: its schemas are moved into one, under $defs, so that ajv can be strict.
const rebased = (node) => JSON.parse(JSON.stringify(node), (key, value) =>
	key === '$ref' && value.startsWith(SCHEMAS) ? `${BUNDLE}#/$defs/${value.slice(SCHEMAS.length)}` : value);

ajv.addSchema({ $id: BUNDLE, $defs: rebased(document.components.schemas) });

const compiled = new Map();

function validator(schema) {
	const text = JSON.stringify(schema);
	if (!compiled.has(text))
		compiled.set(text, ajv.compile(rebased(schema)));
	return compiled.get(text);
}

function rule({ keyword, message, params }) {
	if (keyword === 'additionalProperties')
		return `has an undocumented member ${params.additionalProperty}`;
	if (keyword === 'enum')
		return `${message}: ${params.allowedValues.join(' ')}`;
	if (keyword === 'const')
		return `must be ${JSON.stringify(params.allowedValue)}`;
	return message;
}

// Where and why a value breaks a schema of the document: ["/items/0/id must be string", ...].
export function mismatches(schema, value) {
	const validate = validator(schema);
	return validate(value) ? [] : validate.errors.map((e) => `${e.instancePath || '(root)'} ${rule(e)}`);
}

// ---- operations

const table = Object.entries(document.paths).flatMap(([path, item]) =>
	METHODS.filter((method) => item[method]).map((method) => ({
		operationId: item[method].operationId,
		method: method.toUpperCase(),
		path,
		scope: item[method]['x-scope'],
		lane: item[method]['x-lane'],
		segments: path.split('/'),
		responses: item[method].responses,
	})));

export const operations = table.map(({ operationId, method, path, scope, lane }) => ({ operationId, method, path, scope, lane }));

const pathOf = (url) => url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '') || '/';
const isParameter = (segment) => segment.startsWith('{');

// Rows of the template that fits the path: a literal segment goes before a parameter.
function candidates(url) {
	const segments = pathOf(url).split('/');
	const literals = (row) => row.segments.filter((s) => !isParameter(s)).length;
	const fitting = table
		.filter((row) => row.segments.length === segments.length &&
			row.segments.every((s, i) => isParameter(s) ? segments[i] !== '' : s === segments[i]))
		.sort((a, b) => literals(b) - literals(a));
	return fitting.filter((row) => row.path === fitting[0].path);
}

// The operation that a request is for, or null; HEAD is served as GET. The url may be absolute, or a
// path with or without a query.
export function matchOperation(method, url) {
	const served = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase();
	const row = candidates(url).find((r) => r.method === served);
	return row ? operations[table.indexOf(row)] : null;
}

// ---- replies

function headerReader(headers) {
	if (typeof headers?.get === 'function')
		return (name) => headers.get(name) ?? undefined;
	const lower = new Map(Object.entries(headers ?? {}).map(([k, v]) => [k.toLowerCase(), Array.isArray(v) ? v.join(', ') : v]));
	return (name) => lower.get(name.toLowerCase());
}

function checkHeader(declared, name, value) {
	const header = resolve(declared);
	if (value === undefined)
		return header.required ? [`header ${name} is missing`] : [];
	const typed = resolve(header.schema).type === 'integer' && /^-?\d+$/.test(value) ? Number(value) : String(value);
	return mismatches(header.schema, typed).map((m) => `header ${name}: ${m.replace('(root) ', '')}`);
}

const isEmpty = (body) => body === undefined || body === null || body === '' || body?.byteLength === 0;

// The body as the content type has it; a problem found on the way is pushed onto the list.
function decode(type, body, problems) {
	if (!/[/+]json$/.test(type))
		return typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
	if (typeof body !== 'string' && !ArrayBuffer.isView(body))
		return body;
	try {
		return JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));
	} catch (error) {
		problems.push(`body is no JSON: ${error.message}`);
		return undefined;
	}
}

// What no schema can say: the parts of a reply agree with each other.
function checkAgreement(status, header, type, value) {
	const problems = [];
	if (type === 'application/problem+json' && value) {
		if (value.status !== status)
			problems.push(`/status is ${value.status}`);
		if (value.type !== `/problems/${value.code}`)
			problems.push(`/type is ${value.type} with code ${value.code}`);
		if (value.request_id !== header('X-Request-Id'))
			problems.push('/request_id differs from X-Request-Id');
	}
	if (status === 201 && header('Location') && value?.id) {
		if (!matchOperation('GET', header('Location')) || !header('Location').endsWith(`/${value.id}`))
			problems.push(`header Location: ${header('Location')} is not where the resource can be read`);
	}
	return problems;
}

function checkResponse(response, { method, status, headers, body }) {
	const header = headerReader(headers);
	const problems = Object.entries(response.headers ?? {}).flatMap(([name, h]) => checkHeader(h, name, header(name)));
	if (!response.content)
		return isEmpty(body) ? problems : [...problems, 'has a body where none is documented'];

	const type = (header('Content-Type') ?? '').split(';')[0].trim().toLowerCase();
	const media = response.content[type];
	if (!media)
		return [...problems, `content type is ${type || 'missing'}, documented: ${Object.keys(response.content).join(' ')}`];
	if (method.toUpperCase() === 'HEAD')
		return isEmpty(body) ? problems : [...problems, 'has a body in answer to HEAD'];
	if (isEmpty(body))
		return [...problems, 'has no body'];
	const value = decode(type, body, problems);
	if (value !== undefined)
		problems.push(...mismatches(media.schema, value), ...checkAgreement(status, header, type, value));
	return problems;
}

function fail(name, status, problems) {
	throw new Error(problems.map((p) => `${name} ${status}: ${p}`).join('\n'));
}

// A request that is for no operation can only be refused: 404, 405 with Allow, 400 where it is malformed, 503.
function validateRefusal(reply) {
	const name = `${reply.method} ${pathOf(reply.url)} (no operation)`;
	const others = candidates(reply.url);
	const allowed = [400, others.length ? 405 : 404, 503];
	if (!allowed.includes(reply.status))
		fail(name, reply.status, [`the status must be one of ${allowed.join(' ')}`]);
	const problems = checkResponse(resolve(document.components.responses.Problem), reply);
	if (reply.status === 405) {
		const allow = (headerReader(reply.headers)('Allow') ?? '').split(',').map((m) => m.trim());
		problems.push(...others.map((o) => o.method).filter((m) => !allow.includes(m)).map((m) => `header Allow lacks ${m}`));
	}
	if (problems.length)
		fail(name, reply.status, problems);
	return null;
}

// Checks one reply; throws an Error that names operation, status, place and rule. The body may be a
// string, bytes, or parsed JSON; headers a Headers or an object. Gives back the operation.
export function validateReply(reply) {
	const operation = matchOperation(reply.method, reply.url);
	if (!operation)
		return validateRefusal(reply);
	const { status } = reply;
	const { responses } = table[operations.indexOf(operation)];
	const response = responses[status] ?? (status >= 400 ? responses.default : undefined);
	if (!response)
		fail(operation.operationId, status, ['the status is not documented']);
	const problems = checkResponse(resolve(response), reply);
	if (problems.length)
		fail(operation.operationId, status, problems);
	if (process.env.SWITCHBACK_TEST_COVERAGE && reply.method.toUpperCase() !== 'HEAD')
		appendFileSync(process.env.SWITCHBACK_TEST_COVERAGE, `${operation.operationId} ${status}\n`);
	return operation;
}

// ---- webhooks

const essence = { true: 'application/cloudevents+json', false: 'application/json' };

// The one of "minimal or full" that an endpoint asked for.
function dataSchema(schema, detail) {
	const { data } = schema.allOf[1].properties;
	const { oneOf } = resolve(data);
	return oneOf ? oneOf[detail === 'full' ? 1 : 0] : data;
}

// Checks the body of a webhook of this type, standard or CloudEvents, as text or parsed. With detail
// (minimal or full) it must be of exactly that detail; with headers these are checked too.
export function validateWebhook(type, body, { detail, headers } = {}) {
	const post = document.webhooks[type]?.post;
	if (!post)
		throw new Error(`webhook ${type}: is not documented`);
	const value = typeof body === 'string' || ArrayBuffer.isView(body) ? JSON.parse(Buffer.from(body).toString('utf8')) : body;
	const contentType = essence['specversion' in value];
	const { schema } = post.requestBody.content[contentType];
	const problems = mismatches(schema, value);
	if (detail)
		problems.push(...mismatches(dataSchema(schema, detail), value.data).map((m) => `${detail} /data: ${m}`));
	if (headers) {
		const header = headerReader(headers);
		for (const parameter of post.parameters.map(resolve))
			problems.push(...checkHeader(parameter, parameter.name, header(parameter.name)));
		if (header('webhook-id') !== value.id)
			problems.push('/id differs from webhook-id');
		if ((header('Content-Type') ?? '').split(';')[0].trim() !== contentType)
			problems.push(`content type is ${header('Content-Type')}`);
	}
	if (problems.length)
		throw new Error(problems.map((p) => `webhook ${type}: ${p}`).join('\n'));
	return value;
}
