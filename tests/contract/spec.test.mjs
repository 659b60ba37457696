// openapi.yaml itself: valid, complete, and true to its own rules.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { document, mismatches, operations, resolve } from '../lib/openapi.mjs';

// Those of the emergency lane, and what shows beforehand what one of them would do.
const AS_PLACING = ['previewEmergencyCall'];
const OPEN_REQUESTS = ['placeEmergencyCall', 'connectEmergencyCall', 'endEmergencyCall', 'cancelEmergencyCall', 'createCallbackResolution', ...AS_PLACING];
const OPTIONAL_IN_ANSWERS = ['next_page_token', 'emergency_numbers', 'region', 'references'];
const SCOPES = [...document.components.schemas.Scope.enum, 'operator', null];

// Every node of the document with its place.
function* walk(node, place = '#') {
	yield [place, node];
	if (node && typeof node === 'object')
		for (const [key, value] of Object.entries(node))
			yield* walk(value, `${place}/${key}`);
}

const nodes = [...walk(document)];
const media = nodes.filter(([place]) => /\/content\/[^/]+\/[^/]+$/.test(place));
const examplesOf = (m) => 'example' in m ? [m.example] : Object.values(m.examples ?? {}).map((e) => resolve(e).value);

// The schemas below this one, through references, each once.
function* reachable(schema, seen = new Set()) {
	const target = resolve(schema);
	if (!target || typeof target !== 'object' || seen.has(target))
		return;
	seen.add(target);
	yield target;
	for (const part of ['properties', '$defs'])
		for (const child of Object.values(target[part] ?? {}))
			yield* reachable(child, seen);
	for (const child of [...(target.oneOf ?? []), ...(target.allOf ?? []), ...(target.items ? [target.items] : [])])
		yield* reachable(child, seen);
}

const details = operations.map((o) => ({ ...o, spec: document.paths[o.path][o.method.toLowerCase()], item: document.paths[o.path] }));
const objects = (schema) => [...reachable(schema)].filter((s) => s.properties);

test('is valid OpenAPI 3.1', async () => {
	const result = await new Validator().validate(structuredClone(document));
	assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
	assert.match(document.openapi, /^3\.1\./);
});

test('every reference names something, and every component is named', () => {
	const refs = nodes.filter(([, n]) => typeof n?.$ref === 'string').map(([, n]) => n);
	refs.forEach(resolve);
	const named = new Set(refs.map((r) => r.$ref));
	const components = Object.entries(document.components).filter(([kind]) => kind !== 'securitySchemes')
		.flatMap(([kind, all]) => Object.keys(all).map((name) => `#/components/${kind}/${name}`));
	assert.deepEqual(components.filter((c) => !named.has(c)), []);
});

test('every schema is strict JSON Schema 2020-12', () => {
	for (const name of Object.keys(document.components.schemas))
		mismatches({ $ref: `#/components/schemas/${name}` }, null);
	for (const parameter of nodes.filter(([, n]) => n?.in && n?.schema).map(([, n]) => n))
		mismatches(parameter.schema, null);
});

test('every body has examples, and all of them validate', () => {
	assert.ok(media.length > 50);
	for (const [place, m] of media) {
		const examples = examplesOf(m);
		assert.ok(examples.length > 0, `${place} has no example`);
		for (const example of examples)
			assert.deepEqual(mismatches(m.schema, example), [], place);
	}
});

test('default values are of their schema', () => {
	for (const [place, n] of nodes.filter(([place, n]) => n && typeof n === 'object' && 'default' in n && ('type' in n || '$ref' in n) && !place.endsWith('/properties'))) {
		const { default: value, ...schema } = n;
		assert.deepEqual(mismatches(schema, value), [], place);
	}
});

test('operationIds are unique and lower camel case', () => {
	const ids = nodes.filter(([, n]) => typeof n?.operationId === 'string').map(([, n]) => n.operationId);
	assert.equal(new Set(ids).size, ids.length);
	for (const id of ids)
		assert.match(id, /^[a-z][A-Za-z]+$/);
});

test('every operation states scope, lane, tag, summary and the parameters of its path', () => {
	const tags = document.tags.map((t) => t.name);
	for (const { operationId, path, scope, lane, spec, item } of details) {
		// Any of several scopes, separated by a space.
		assert.ok(scope === null || scope.split(' ').every((s) => SCOPES.includes(s)), `${operationId}: x-scope ${scope}`);
		assert.ok(['ordinary', 'emergency', 'none'].includes(lane), `${operationId}: x-lane ${lane}`);
		assert.equal(scope === null, spec.security?.length === 0, `${operationId}: security and x-scope differ`);
		assert.ok(spec.summary && spec.tags.every((t) => tags.includes(t)), operationId);
		const declared = [...item.parameters ?? [], ...spec.parameters ?? []].map(resolve).filter((p) => p.in === 'path').map((p) => p.name);
		assert.deepEqual(declared, [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]), path);
	}
});

test('every operation lists the errors that its kind can give', () => {
	for (const { operationId, path, scope, lane, spec } of details) {
		const expected = ['default'];
		if (scope !== null)
			expected.push('400', '401', '403', '503');
		if (path.includes('{'))
			expected.push('404');
		if (spec.requestBody)
			expected.push('413');
		if (spec.requestBody && lane === 'ordinary')
			expected.push('422', ...(AS_PLACING.includes(operationId) ? [] : ['415']));
		assert.deepEqual(expected.filter((status) => !spec.responses[status]), [], operationId);
	}
});

test('every answer is closed, and its members are always present', () => {
	for (const { operationId, spec } of details)
		for (const [status, response] of Object.entries(spec.responses))
			for (const { schema } of Object.values(resolve(response).content ?? {}))
				for (const object of objects(schema)) {
					const optional = Object.keys(object.properties).filter((p) => !object.required?.includes(p));
					assert.equal(object.additionalProperties, false, `${operationId} ${status}: ${object.description}`);
					assert.deepEqual(optional.filter((p) => !OPTIONAL_IN_ANSWERS.includes(p)), [], `${operationId} ${status}: ${object.description}`);
				}
});

test('every answer carries X-Request-Id', () => {
	for (const { operationId, spec } of details)
		for (const [status, response] of Object.entries(spec.responses))
			assert.ok(resolve(resolve(response).headers?.['X-Request-Id'])?.required, `${operationId} ${status}`);
});

test('requests are closed, but those of emergency calls open', () => {
	for (const { operationId, lane, spec } of details.filter((d) => d.spec.requestBody)) {
		const open = OPEN_REQUESTS.includes(operationId);
		assert.equal(lane === 'emergency' || AS_PLACING.includes(operationId), open, operationId);
		for (const object of Object.values(spec.requestBody.content).flatMap(({ schema }) => objects(schema)))
			assert.equal(object.additionalProperties, open, `${operationId}: ${object.description}`);
	}
});

test('strings are bounded in requests of ordinary routes', () => {
	for (const { operationId, spec } of details.filter((d) => d.spec.requestBody && !OPEN_REQUESTS.includes(d.operationId)))
		for (const schema of Object.values(spec.requestBody.content).flatMap((content) => [...reachable(content.schema)])) {
			const bounded = schema.enum || schema.maxLength || schema.pattern;
			assert.ok(![schema.type].flat().includes('string') || bounded, `${operationId}: ${JSON.stringify(schema)}`);
		}
});
