// The routes of the binary under test, each with its operation in openapi.yaml; and what a suite that walks
// over all of them needs to know: what its path and its members name, and a body that it takes.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { document, resolve } from './openapi.mjs';

const binary = process.env.SWITCHBACK_BIN ?? fileURLToPath(new URL('../../build/switchback', import.meta.url));

const contentOf = (body) => Object.entries(body?.content ?? {});

// What an array holds whose elements are judged one by one, and not by the schema of the whole.
const ELEMENTS = { batchUsers: '#/components/schemas/UserCreate' };

// As one object of JSON, where it can be sent so: the first example, with its content type.
function bodyOf(operation) {
	const all = contentOf(resolve(operation.requestBody));
	if (!all.length) return null;
	const [type, media] = all.find(([one]) => /^application\/(\S+\+)?json$/.test(one)) ?? all[0];
	const example = media.example ?? resolve(Object.values(media.examples ?? {})[0])?.value;
	const element = ELEMENTS[operation.operationId];
	if (element) return { type, schema: { type: 'array', items: { $ref: element } }, example: example.slice(0, 1) };
	return { type, schema: media.schema, example };
}

function joined(route) {
	const item = document.paths[route.path];
	const operation = item?.[route.method.toLowerCase()];
	if (!operation) throw new Error(`openapi.yaml has no ${route.method} ${route.path}`);
	const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
	return {
		...route,
		operationId: route.operation_id,
		segments: route.path.split('/').slice(1),
		query: parameters.filter((parameter) => parameter.in === 'query'),
		pathParameters: Object.fromEntries(parameters.filter((p) => p.in === 'path').map((p) => [p.name, p])),
		takesKey: parameters.some((parameter) => parameter.name === 'Idempotency-Key'),
		body: operation.requestBody ? bodyOf(operation) : null,
		responses: operation.responses,
	};
}

export const routes = JSON.parse(execFileSync(binary, ['dump-api'], { encoding: 'utf8' })).routes.map(joined);

// What is said of an emergency call is taken leniently, of one that is only previewed too.
export const isLenient = ({ lane, operationId }) => lane === 'emergency' || operationId === 'previewEmergencyCall';

export const TENANT = '{tenant_id}';
export const ofTenants = routes.filter((route) => route.path.includes(TENANT));

const isParameter = (segment) => segment.startsWith('{');

// [{ name, collection, schema }]: the parameters of a path, each with the collection that it is taken from.
export const parametersOf = (route) =>
	route.segments.flatMap((segment, i) => {
		if (!isParameter(segment)) return [];
		const name = segment.slice(1, -1);
		return [{ name, collection: route.segments[i - 1], schema: route.pathParameters[name].schema }];
	});

// The path with these texts in place of its parameters, percent-encoded.
export const pathWith = (route, values) =>
	route.path.replace(/\{(\w+)\}/g, (_, name) => {
		if (values[name] === undefined) throw new Error(`${route.operationId}: nothing to fill {${name}} with`);
		return encodeURIComponent(values[name]);
	});

// user_id: users, and so on, as the paths have it.
export const collectionOf = Object.fromEntries(
	[...routes]
		.sort((a, b) => b.segments.length - a.segments.length) // the shortest path has the last word
		.flatMap((route) => parametersOf(route).map(({ name, collection }) => [name, collection])),
);
// Members and filters that name something by another name than a path does.
Object.assign(collectionOf, { key_id: 'api-keys', endpoint_id: 'webhook-endpoints', number_id: 'phone-numbers' });

// A collection that POST adds to, in the ordinary lane: what can be configured.
export const creating = routes.filter(
	({ method, lane, segments, responses }) => method === 'POST' && lane === 'ordinary' && !isParameter(segments.at(-1)) && responses[201],
);
// Those below the tenant itself, by their name in the path: addresses, sites, ...
export const collections = Object.fromEntries(
	creating.filter(({ segments }) => segments.length === 4).map((route) => [route.segments.at(-1), route]),
);

// ---- schemas

const NAMES = new Set(['Reference', 'ReferenceOrNull', 'NumberReferenceOrNull', 'NumberReference']);
export const refName = (schema) => (typeof schema?.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined);

// The whole of a schema that may be a $ref with other keywords beside it.
export const whole = (schema) => (schema?.$ref ? { ...resolve({ $ref: schema.$ref }), ...schema, $ref: undefined } : schema);

// Every place of a body that names a resource: [{ path: ['location', 'address_id'], name, number }].
export function referencesIn(schema, path = []) {
	const s = whole(schema) ?? {};
	const found = [];
	for (const [name, member] of Object.entries(s.properties ?? {})) {
		const here = [...path, name];
		const isReference = NAMES.has(refName(member)) || (/_id$/.test(name) && whole(member).type === 'string' && name in collectionOf);
		if (isReference) found.push({ path: here, name, number: /Number/.test(refName(member) ?? '') });
		else found.push(...referencesIn(member, here));
	}
	for (const branch of [...(s.oneOf ?? []), ...(s.anyOf ?? []), ...(s.allOf ?? [])]) found.push(...referencesIn(branch, path));
	if (s.items) found.push(...referencesIn(s.items, [...path, 0]));
	return found;
}
