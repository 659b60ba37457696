// What a body says, held against what is answered: equal, but for what the service may add (defaults, ids in place
// of other names, times in one form).
import assert from 'node:assert/strict';
import { collectionOf, refName, whole } from './routes.mjs';

// As answers have it: in UTC, with six digits.
function inUtc(time) {
	const [, day, clock, digits = '', offset] = /^(.{10})[Tt](.{8})(?:\.(\d+))?(.*)$/.exec(time);
	const seconds = new Date(`${day}T${clock}${offset.toUpperCase()}`).toISOString().slice(0, 19);
	return `${seconds}.${digits.padEnd(6, '0').slice(0, 6)}Z`;
}

const branchOf = (s, value) => {
	const branches = s.oneOf ?? s.anyOf;
	return branches && !s.properties ? whole(branches.find((branch) => (whole(branch).type === 'null') === (value === null)) ?? {}) : s;
};

const isReference = (schema, name) => /Reference/.test(refName(schema) ?? '') && name in collectionOf;

// idOf(name, text): the id of what a reference names.
export function assertReads(answer, sent, schema, idOf, path = []) {
	const s = branchOf(whole(schema), sent);
	const at = `/${path.join('/')}`;
	const name = path.at(-1);
	if (sent === undefined || sent === null) return assert.deepEqual(answer, whole(schema).default ?? null, `${at} was not given`);
	if (isReference(schema, name)) return assert.equal(answer, idOf(name, sent), `${at} names by id`);
	if (s.format === 'date-time') return assert.equal(answer, inUtc(sent), at);
	if (s.properties && typeof sent === 'object') {
		for (const [member, inner] of Object.entries(s.properties))
			if (inner !== false && member in answer) assertReads(answer[member], sent[member], inner, idOf, [...path, member]);
		return undefined;
	}
	if (Array.isArray(sent) && s.items) {
		assert.equal(answer.length, sent.length, at);
		return sent.forEach((item, i) => assertReads(answer[i], item, s.items, idOf, [...path, i]));
	}
	return assert.deepEqual(answer, sent, at);
}

// RFC 7396, where null stands for "as if it had not been sent at creation".
export function patched(before, patch) {
	if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
	const base = before && typeof before === 'object' && !Array.isArray(before) ? { ...before } : {};
	for (const [name, value] of Object.entries(patch))
		if (value === null) base[name] = undefined;
		else base[name] = patched(base[name], value);
	return base;
}
