// Single changes that make a body which openapi.yaml allows one that it, or the rules of JSON bodies, forbids.
import { mismatches } from './openapi.mjs';
import { whole } from './routes.mjs';

const WRONG = [null, true, 7, -0.5, 'x', [], {}, [null], { a: 1 }];

const within = (value, [step, ...rest], change) => {
	const copy = Array.isArray(value) ? [...value] : { ...value };
	const inner = rest.length ? within(copy[step], rest, change) : change(copy[step]);
	if (inner === undefined && !Array.isArray(copy)) delete copy[step];
	else copy[step] = inner;
	return copy;
};
const setAt = (body, path, value) => (path.length ? within(body, path, () => value) : value);

// Values near to what the schema allows, on the wrong side of one of its bounds.
function nearby(s, value) {
	const out = [];
	if (typeof value === 'string' || [s.type].flat().includes('string')) {
		const v = typeof value === 'string' ? value : 'x';
		out.push('', ' ', `${v} `, `${v}\u0007`, `a\u0000b`, '\u0085', `${v}\n`, 'x'.repeat((s.maxLength ?? 300) + 1), 'Z'.repeat(5000));
		out.push(v.toUpperCase(), v.toLowerCase(), `${v}x`, v.slice(1), 'ext:', 'ext:a b', '+0123', '2026-02-30T00:00:00Z', '2026-01-01T24:00:00Z');
		out.push('2026-01-01T00:00:00+02:00', '2026-01-01t00:00:00z', '2026-01-01', '2026-01-01T00:00:00.1234567Z', '2026-01-01 00:00:00Z');
	}
	if ([s.type].flat().some((type) => type === 'number' || type === 'integer'))
		out.push((s.minimum ?? -1e15) - 1, (s.maximum ?? 1e15) + 1, 0.5, -1, 1e300, -1e300, 9007199254740993, '7');
	if ([s.type].flat().includes('boolean')) out.push(0, 1, 'true');
	return out;
}

function ofArray(s, value) {
	const items = Array.isArray(value) ? value : [];
	const filler = items[0] ?? whole(s.items)?.enum?.[0] ?? {};
	return [[], [...items, filler, filler], [...items, null], [...items, [items]], Array((s.maxItems ?? 1000) + 1).fill(filler)];
}

const branchOf = (s) => whole((s.oneOf ?? s.anyOf)?.find((branch) => whole(branch).type !== 'null') ?? s);

// Every change at and below a place: [{ path, value }]; value undefined: the member is left out.
function* changes(schema, value, path = []) {
	const s = branchOf(whole(schema));
	if (path.length) for (const wrong of [...WRONG, ...nearby(s, value)]) yield { path, value: wrong };
	if ([s.type].flat().includes('array')) {
		for (const wrong of ofArray(s, value)) yield { path, value: wrong };
		if (Array.isArray(value) && value.length) yield* changes(s.items, value[0], [...path, 0]);
	}
	if (!s.properties || (path.length && (value === null || typeof value !== 'object'))) return;
	for (const [name, member] of Object.entries(s.properties)) {
		if (member === false) continue;
		yield { path: [...path, name], value: undefined };
		yield* changes(member, value[name], [...path, name]);
	}
	for (const name of ['nmae', '', 'a/b~c', 'ID', '__proto__x', '\u00e9', 'constructor']) if (!(name in s.properties)) yield { path: [...path, name], value: 'x' };
	for (const name of ['id', 'created_at', 'updated_at', 'tenant_id', 'version']) if (!(name in s.properties)) yield { path: [...path, name], value: null };
}

const escaped = (step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1');
export const pointerOf = (path) => path.map((step) => `/${escaped(step)}`).join('');

// Bodies that are no text of a JSON object, or one that nobody could agree on. Each is refused, whatever it says.
function texts(body) {
	const text = JSON.stringify(body);
	const [name] = Object.keys(body);
	const twice = name === undefined ? '{"a":1,"a":1}' : `{${JSON.stringify(name)}:${JSON.stringify(body[name])},${text.slice(1)}`;
	const more = (member) => `${text.slice(0, -1)}${name === undefined ? '' : ','}${member}}`;
	const deep = (n) => '['.repeat(n) + ']'.repeat(n);
	return [
		['a member twice', twice],
		['a nested member twice', more('"zz":{"a":1,"a":2}')],
		['17 deep', more(`"zz":${deep(17)}`)],
		['5000 deep', more(`"zz":${deep(5000)}`)],
		['half of a surrogate pair', more('"zz":"\\ud83d"')],
		['the other half', more('"zz":"\\udc00x"')],
		['a number beyond all bounds', more('"zz":1e400')],
		['an integer beyond all bounds', more('"zz":123456789012345678901234567890')],
		['NaN', more('"zz":NaN')],
		['a comma too many', `${text.slice(0, -1)},}`],
		['cut off', text.slice(0, -1)],
		['something behind it', `${text}{}`],
		['a byte order mark', `\ufeff${text}`],
		['single quotes', "{'a':1}"],
		['an array', `[${text}]`],
		['null', 'null'],
		['nothing', ''],
		['a raw control character', more('"zz":"\u0001"')],
		['NUL in a name', more('"z\\u0000z":1')],
	].map(([what, raw]) => ({ what, text: raw }));
}

// [{ what, body | text, pointer? }], each forbidden. A pointer: the errors must name it, or a place around it.
export function forbidden(schema, body) {
	const seen = new Set();
	const found = [];
	for (const { path, value } of changes(schema, body)) {
		const changed = setAt(body, path, value);
		const key = JSON.stringify(changed);
		if (seen.has(key)) continue;
		seen.add(key);
		if (mismatches(schema, changed).length) found.push({ what: `${pointerOf(path)} ${JSON.stringify(value)?.slice(0, 60)}`, body: changed, pointer: pointerOf(path) });
	}
	return { members: found, texts: texts(body) };
}
