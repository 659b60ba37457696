// The rules that no schema can say, because other resources have a part in them: what arbitrary bodies may name,
// and the refusals that are right all the same. Each excuse holds for some operations only, and only where it can
// be seen in the body that it applies.
import fc from 'fast-check';
import { SCOPES } from './fixture.mjs';
import { instant } from './arbitrary.mjs';
import { namesOf } from './estate.mjs';
import { collectionOf } from './routes.mjs';

const TERRITORIES = ['US', 'PR', 'VI', 'GU', 'AS', 'MP'];
const group = (region) => (TERRITORIES.includes(region) ? 'US' : region);

// Everything of a tenant that arbitrary bodies may refer to: { collection: [resource, ...] }. spare: what is changed.
export class Known {
	constructor(world, tenant, things) {
		Object.assign(this, { world, tenant, things, taken: new Set(), spare: {} });
	}

	// Every text that names one of a collection.
	names(collection, only = () => true) {
		return (this.things[collection] ?? []).filter(only).flatMap((thing) => [...namesOf(thing), thing.id.toUpperCase()]);
	}

	find(name, text) {
		const list = this.things[collectionOf[name]] ?? [];
		return list.find((thing) => thing.id === text.toLowerCase() || namesOf(thing).includes(text));
	}

	idOf(name, text) {
		return this.find(name, text)?.id ?? text.toLowerCase();
	}

	// A value that must be unique, and may have come before.
	seen(kind, value) {
		return value !== null && value !== undefined && this.taken.has(`${kind} ${value}`);
	}

	note(kind, value) {
		this.taken.add(`${kind} ${value}`);
	}
}

// Each operation has numbers of its own: they are unique in a deployment.
const spaces = [];
function someNumber(operationId) {
	if (!spaces.includes(operationId)) spaces.push(operationId);
	const space = spaces.indexOf(operationId);
	return fc.integer({ min: 0, max: 9_999_999 }).map((n) => `+1${2000 + space}${String(n).padStart(7, '0')}`);
}
// Within a day from now: in hours, so that the same seed makes nearly the same bodies.
const nearDay = fc.integer({ min: 2, max: 22 }).map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString());

const host = fc.stringMatching(/^[a-z][a-z0-9]{0,20}\.example$/);

const mostly = (any, usual) => fc.oneof({ weight: 1, arbitrary: fc.constantFrom(...any) }, { weight: 9, arbitrary: fc.constantFrom(...usual) });

// For arbitrary(): what a member of this name is made of.
export function specials(known, operationId) {
	const number = someNumber(operationId);
	const own = { scopes: fc.constantFrom(...SCOPES), psap_disabled_until: nearDay };
	const addresses = [number, host.map((one) => `desk@${one}`), host.map((one) => `https://${one}/told`)];
	if (/NotificationRecipient/.test(operationId)) own.address = fc.oneof(...addresses);
	return ({ name, ref, schema, path }) => {
		if (operationId === 'updatePhoneNumber' && name === 'number')
			return fc.oneof({ weight: 9, arbitrary: fc.constant(known.spare['phone-numbers'].number) }, { weight: 1, arbitrary: number });
		if (/Reference/.test(ref ?? '')) {
			const names = known.names(collectionOf[name]);
			if (operationId === 'createTenant') return fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom(...names) });
			if (name === 'address_id' && /Site|PhoneNumber/.test(operationId)) return mostly(names, known.names('addresses', ({ region }) => group(region) === 'US'));
			if (name === 'number_id') return number; // which is registered before it is used
			return names.length ? fc.constantFrom(...names) : fc.constant(null);
		}
		if (/E164/.test(ref ?? '')) return fc.oneof({ weight: 9, arbitrary: number }, { weight: 1, arbitrary: fc.stringMatching(/^\+[1-9][0-9]{9,14}$/) });
		if (/^(.*_)?region$/.test(name ?? '')) return mostly(['DE', 'CA'], ['US', 'US', 'PR', 'VI']);
		if (name === 'expires_at' && /ApiKey/.test(operationId)) return instant({ from: Date.UTC(2030, 0), to: Date.UTC(2200, 0) });
		if (name === 'scopes' && path.length === 1) return undefined;
		// Of an override: an emergency number of the sites.
		if (name === 'pattern' && schema.pattern === '^[0-9]+$') return fc.constantFrom(...EMERGENCY);
		return own[name];
	};
}

const points = (reply, ...pointers) => reply.body.errors?.some((e) => pointers.includes(e.pointer));
const numbersIn = (body) =>
	[body.number, body.numbers, ...['resource_account', 'receptionist', 'call_queue'].map((role) => body[role]?.number)].flat().filter(Boolean);
const addressOf = (known, body) => body.address_id && known.find('address_id', body.address_id);
const homeOf = (known, body) => {
	const site = body.site_id && known.find('site_id', body.site_id);
	return site && known.find('address_id', site.address_id);
};

// Whether a pattern of a dial rule, where x is any digit, matches one of these.
const takes = (pattern, numbers) => {
	const whole = new RegExp(`^${pattern.replace(/[*+]/g, '\\$&').replaceAll('x', '[0-9]')}$`);
	return numbers.some((number) => whole.test(number));
};
// Emergency numbers of all sites, and what else is one, or the test number, of some.
const EMERGENCY = ['911', '112'];
const SPECIAL = [...EMERGENCY, '110', '933'];

// [name, operations, (known, body, reply) => does it apply?]; body is the whole resource, also of a change.
const EXCUSES = [
	['external_id is taken', /./, (known, body, reply, kind) => points(reply, '/external_id') && known.seen(kind, body.external_id), 'already_exists'],
	['extension is taken', /User/, (known, body, reply) => points(reply, '/extension') && known.seen('extension', body.extension), 'already_exists'],
	['a custom rule takes the extension', /User/, (known, body, reply) => points(reply, '/extension') && body.extension, 'pattern_conflict'],
	["the number is another user's", /User/, (known, body, reply) => points(reply, '/number_id') && known.seen('assigned', known.idOf('number_id', body.number_id)), 'number_in_use'],
	['region of site and address differ', /Site/, (known, body) => group(addressOf(known, body)?.region) !== group(body.region), 'invalid_value'],
	['region of number and address differ', /PhoneNumber/, (known, body) => addressOf(known, body) && group(addressOf(known, body).region) !== group(body.region), 'invalid_value'],
	['a number stays what it is', /updatePhoneNumber/, (known, body, reply) => points(reply, '/number') && body.number !== known.spare['phone-numbers'].number, 'invalid_value'],
	['a new tenant has no policies', /createTenant/, (known, body, reply) => points(reply, '/policy_id') && body.policy_id, 'unknown_reference'],
	['region of pool and site differ', /Pool$/, (known, body) => group(homeOf(known, body)?.region) !== group(body.region), 'invalid_value'],
	['takes an emergency number', /DialRule/, (known, body) => body.kind !== 'override' && takes(body.pattern, SPECIAL), 'pattern_conflict'],
	['takes an extension', /DialRule/, (known, body, reply) => /extension of a user/.test(reply.body.errors[0].detail), 'pattern_conflict'],
	['overrides no emergency number', /DialRule/, (known, body) => body.kind === 'override' && !EMERGENCY.includes(body.pattern), 'invalid_value'],
	['masks a mask', /DialRule/, (known, body, reply) => body.kind === 'mask' && /dial rule [0-9a-f-]{36}/.test(reply.body.errors[0].detail), 'invalid_value'],
	[
		'number is taken, or named twice',
		/PhoneNumber|Site|addPoolNumbers/,
		(known, body) => {
			const numbers = numbersIn(body);
			return numbers.some((number) => known.seen('number', number)) || new Set(numbers).size < numbers.length;
		},
		['number_in_use', 'number_usage', 'invalid_value', 'already_exists'],
	],
];

// The name of the excuse that a refusal has, or undefined.
export function excuse(known, operationId, kind, body, reply) {
	return EXCUSES.find(
		([, operations, applies, allowed]) => [allowed].flat().includes(reply.body.code) && operations.test(operationId) && applies(known, body, reply, kind),
	)?.[0];
}

// What the accepted body has taken.
export function note(known, kind, body) {
	if (body.number_id) known.note('assigned', known.idOf('number_id', body.number_id));
	if (body.external_id) known.note(kind, body.external_id);
	if (body.extension) known.note('extension', body.extension);
	for (const number of numbersIn(body)) known.note('number', number);
}
