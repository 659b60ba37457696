// The routes of the binary and the operations of openapi.yaml are the same, both ways.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'node:test';
import { operations } from '../lib/openapi.mjs';

const binary = process.env.SWITCHBACK_BIN ?? fileURLToPath(new URL('../../build/switchback', import.meta.url));

const line = (method, path, operationId, scope, lane) => `${method} ${path} ${operationId} scope=${scope} lane=${lane}`;

test('routes and openapi.yaml agree both ways', () => {
	const { routes } = JSON.parse(execFileSync(binary, ['dump-api'], { encoding: 'utf8' }));
	const served = routes.map((r) => line(r.method, r.path, r.operation_id, r.scope, r.lane));
	const documented = operations.map((o) => line(o.method, o.path, o.operationId, o.scope, o.lane));
	assert.equal(new Set(served).size, served.length, 'a route is listed twice');
	assert.deepEqual({
		'served but not documented': served.filter((r) => !documented.includes(r)),
		'documented but not served': documented.filter((r) => !served.includes(r)),
	}, { 'served but not documented': [], 'documented but not served': [] });
});
