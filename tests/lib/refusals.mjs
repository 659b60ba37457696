// Changing and deleting, and what a refusal says.
import assert from 'node:assert/strict';

// What a client does, as a request of the tenant t: PATCH and DELETE of a path below the tenant's.
export const patch = (t, path, body, options) => t.call('PATCH', path, { body, type: 'application/merge-patch+json', ...options });
export const remove = (t, path, options) => t.call('DELETE', path, options);

const sorted = (references) => references.map(({ type, id }) => `${type} ${id}`).sort();

// The reply refuses with this status and code, at these members, naming these resources as what relies on it.
export function assertRefused({ status, body, text }, expected, pointers = [], references = []) {
	const [wanted, code] = expected.split(' ');
	assert.deepEqual(
		[status, body.code, body.errors?.map((e) => e.pointer), sorted(body.references ?? [])],
		[Number(wanted), code, pointers, sorted(references)],
		text,
	);
}

export const reference = (type, { id }) => ({ type, id });
