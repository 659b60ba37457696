// From a schema of openapi.yaml: arbitrary values that it allows, and single changes that make them values which
// it forbids.
import fc from 'fast-check';
import { mismatches } from './openapi.mjs';
import { refName, whole } from './routes.mjs';

const CONTROL = /[\x00-\x1f\x7f-\x9f]/u;

// One character: mostly ASCII, else any of Unicode that is no control character and no half of a pair.
const character = fc.oneof(
	{ weight: 6, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }) },
	{ weight: 1, arbitrary: fc.constantFrom('"', '\\', "'", '%', '{', '}', ',', '\u00e9', '\u{1f3e2}', '\uffff', '\u2028') },
	{ weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((c) => !CONTROL.test(c)) },
);
const allowsAnyText = ({ pattern }) => !pattern || pattern === '^[^\\x00-\\x1f\\x7f-\\x9f]*$';

const two = (n) => String(n).padStart(2, '0');
const dateOf = (t) => `${String(t.getUTCFullYear()).padStart(4, '0')}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}`;
const clockOf = (t) => `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}`;
const OFFSETS = ['Z', 'Z', 'z', '+00:00', '-00:00', '+05:45', '-08:00', '+14:00', '-12:00'];

// RFC 3339, with any number of digits; in UTC with Z, or with any offset.
export const instant = ({ from = -50_000_000_000_000, to = 200_000_000_000_000, offsets = false } = {}) => {
	const digits = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 999_999 }));
	const parts = fc.tuple(fc.integer({ min: from, max: to }), digits, fc.constantFrom(...(offsets ? OFFSETS : ['Z'])), fc.boolean());
	return parts.map(([ms, [n, us], offset, small]) => {
		const t = new Date(ms);
		const fraction = n ? `.${String(us).padStart(6, '0').slice(0, n)}${offsets && small ? '000000000'.slice(n) : ''}` : '';
		return `${dateOf(t)}${offsets && small ? 't' : 'T'}${clockOf(t)}${fraction}${offset}`;
	});
};

const host = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]\.example$/);
const webUrl = fc.tuple(fc.constantFrom('https://', 'http://'), host, fc.stringMatching(/^(\/[A-Za-z0-9._~-]{0,12}){0,3}(\?[a-z]{1,5}=[a-z0-9]{0,5})?$/))
	.map((parts) => parts.join(''))
	.filter((url) => URL.canParse?.(url) ?? true);

function text(s) {
	if (s.format === 'date-time') return instant({ offsets: new RegExp(s.pattern ?? '', 'u').test('2026-01-01T00:00:00+01:00') });
	if (s.format === 'uri') return webUrl;
	if (s.format === 'uuid' && !s.pattern) return fc.uuid();
	if (!allowsAnyText(s)) return fc.stringMatching(new RegExp(s.pattern, 'u')).filter((v) => v.length <= (s.maxLength ?? 1e9));
	const minLength = s.minLength ?? 0;
	const maxLength = s.maxLength ?? 300;
	const short = fc.string({ unit: character, minLength, maxLength: Math.min(maxLength, Math.max(minLength, 24)) });
	const edge = fc.string({ unit: character, minLength: maxLength, maxLength });
	return fc.oneof({ weight: 9, arbitrary: short }, { weight: 1, arbitrary: edge });
}

function number(s, integer) {
	const [min, max] = [s.minimum ?? -1e6, s.maximum ?? 1e6];
	const any = integer ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true }).map((v) => (Object.is(v, -0) ? 0 : v));
	return fc.oneof({ weight: 4, arbitrary: any }, { weight: 1, arbitrary: fc.constantFrom(min, max) });
}

function array(s, special, path) {
	const item = arbitrary(s.items ?? {}, special, [...path, 0]);
	const sizes = { minLength: s.minItems ?? 0, maxLength: Math.min(s.maxItems ?? 20, Math.max(s.minItems ?? 0, 20)) };
	return s.uniqueItems ? fc.uniqueArray(item, { ...sizes, selector: (v) => JSON.stringify(v) }) : fc.array(item, { ...sizes, size: 'small' });
}

const free = fc.dictionary(fc.stringMatching(/^[a-z_]{1,12}$/), fc.oneof(fc.boolean(), fc.integer(), fc.string({ unit: character, maxLength: 20 }), fc.constant(null)), {
	maxKeys: 4,
});

function object(s, special, path) {
	if (!s.properties) return free;
	const members = Object.fromEntries(
		Object.entries(s.properties)
			.filter(([, member]) => member !== false && whole(member).readOnly !== true)
			.map(([name, member]) => [name, arbitrary(member, special, [...path, name])]),
	);
	const requiredKeys = (s.required ?? []).filter((name) => name in members);
	const least = Object.fromEntries(requiredKeys.map((name) => [name, members[name]]));
	const most = fc.record(members, { requiredKeys });
	return path.length && !requiredKeys.length ? most : fc.oneof({ weight: 1, arbitrary: fc.record(least) }, { weight: 5, arbitrary: most });
}

// b laid over a: of properties too, and all that either requires.
function merged(a, b) {
	const [x, y] = [whole(a), whole(b)];
	const properties = { ...x.properties };
	for (const [name, member] of Object.entries(y.properties ?? {}))
		properties[name] = typeof member === 'object' && typeof properties[name] === 'object' ? { ...whole(properties[name]), ...whole(member) } : member;
	const required = [...new Set([...(x.required ?? []), ...(y.required ?? [])])];
	return { ...x, ...y, ...(Object.keys(properties).length && { properties }), ...(required.length && { required }) };
}

// What a schema says in any case, and its conditions: [{ when, then, otherwise }].
function parted(schema) {
	const { allOf = [], if: when, then, else: otherwise, dependentRequired = {}, not, ...rest } = whole(schema);
	const conditions = when ? [{ when, then, otherwise }] : [];
	for (const [name, required] of Object.entries(dependentRequired))
		conditions.push({ when: { type: 'object', required: [name], properties: { [name]: {} } }, then: { required } });
	let base = rest;
	for (const part of allOf) {
		const inner = parted(part);
		base = merged(base, inner.base);
		conditions.push(...inner.conditions);
	}
	return { base, conditions };
}

const fits = (schema, value) => schema === undefined || !mismatches(schema, value).length;
const CANDIDATES = 12;

// Gives the members that a condition asks for a value that it allows, condition by condition, as far as it is found.
function repaired({ base, conditions }, value, special, path, tries = 8) {
	for (const { when, then, otherwise } of tries ? conditions : []) {
		const asked = fits(when, value) ? then : otherwise;
		if (fits(asked, value)) continue;
		const { properties = {}, required = [] } = whole(asked);
		const wrong = [...new Set([...Object.keys(properties), ...required])].filter(
			(name) => (required.includes(name) && !(name in value)) || (name in value && !fits(properties[name], value[name])),
		);
		const members = wrong.map((name) => {
			const here = [...path, name];
			const own = base.properties?.[name] ?? {};
			const both = { ...whole(own), ...whole(properties[name] ?? {}) };
			const list = fc.array(fc.oneof(arbitrary(own, special, here), arbitrary(both, special, here)), { minLength: CANDIDATES, maxLength: CANDIDATES });
			return list.map((all) => all.find((one) => fits(own, one) && fits(properties[name], one)) ?? all[0]);
		});
		return fc.tuple(...members).chain((found) => {
			const next = { ...value };
			wrong.forEach((name, i) => (next[name] = found[i]));
			return repaired({ base, conditions }, next, special, path, tries - 1);
		});
	}
	return fc.constant(value);
}

const isConditional = (s) => s.allOf || s.if || s.dependentRequired || s.not;

function conditional(schema, special, path) {
	const parts = parted(schema);
	return arbitrary(parts.base, special, path)
		.chain((value) => repaired(parts, value, special, path))
		.filter((value) => fits(schema, value));
}

// Of these types; a schema without any may be anything that JSON has.
function typed(s, special, path) {
	const types = Array.isArray(s.type) ? s.type : [s.type ?? (s.properties ? 'object' : 'any')];
	const of = {
		null: () => fc.constant(null),
		string: () => text(s),
		boolean: () => fc.boolean(),
		integer: () => number(s, true),
		number: () => number(s, false),
		array: () => array(s, special, path),
		object: () => object(s, special, path),
		any: () => free,
	};
	return fc.oneof(...types.map((type) => ({ weight: type === 'null' ? 1 : 4, arbitrary: of[type]() })));
}

// special({ name, ref, schema, path }): the arbitrary of what no schema can say (references that are there, numbers
// that are nobody's), or undefined.
export function arbitrary(schema, special = () => undefined, path = []) {
	const s = whole(schema);
	const own = special({ name: path.filter((step) => typeof step === 'string').at(-1), ref: refName(schema), schema: s, path });
	if (own) return [s.type].flat().includes('null') ? fc.oneof({ weight: 3, arbitrary: own }, { weight: 1, arbitrary: fc.constant(null) }) : own;
	if ('const' in s) return fc.constant(s.const);
	if (s.enum) return fc.constantFrom(...s.enum);
	const branches = s.oneOf ?? s.anyOf;
	if (branches) {
		const { oneOf, anyOf, ...rest } = s;
		const isNull = (branch) => whole(branch).type === 'null';
		const all = branches.map((branch) => ({
			weight: isNull(branch) ? 1 : 4,
			arbitrary: arbitrary(isNull(branch) || !rest.properties ? branch : merged(rest, branch), special, path),
		}));
		return fc.oneof(...all);
	}
	if (isConditional(s)) return conditional(schema, special, path);
	return typed(s, special, path);
}
