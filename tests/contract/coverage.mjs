// node coverage.mjs [file]: fails with a list of the operations that no test has seen succeed.
// The file, by default SWITCHBACK_TEST_COVERAGE, is what lib/openapi.mjs noted.
import { readFileSync } from 'node:fs';
import { operations } from '../lib/openapi.mjs';

const file = process.argv[2] ?? process.env.SWITCHBACK_TEST_COVERAGE;
if (!file) {
	console.error('coverage: name a file, or set SWITCHBACK_TEST_COVERAGE');
	process.exit(2);
}

const succeeded = new Set();
for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
	const [operationId, status] = line.split(' ');
	if (Number(status) < 400)
		succeeded.add(operationId);
}

const missing = operations.filter((o) => !succeeded.has(o.operationId));
for (const { operationId, method, path } of missing)
	console.error(`coverage: never seen to succeed: ${operationId} (${method} ${path})`);
console.log(`coverage: ${operations.length - missing.length} of ${operations.length} operations`);
process.exit(missing.length ? 1 : 0);
