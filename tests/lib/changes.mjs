// Changes of a resource that nothing stands in the way of, from the schema of its PATCH: what writers write at once.
import { unique } from './fixture.mjs';
import { refName, whole } from './routes.mjs';

const TEXT = '^[^\\x00-\\x1f\\x7f-\\x9f]*$';
// Members that are only right together with another one.
const BOUND = new Set(['latitude', 'longitude', 'psap_enabled', 'psap_disabled_until', 'translation', 'route', 'max_hold_seconds', 'address']);
const pick = (...values) => (n) => values[n % values.length];

// Where the schema offers too little, or a value must fit what the resource is.
const OWN = {
	tenants: { language: pick('de', 'fr-CH', 'en-GB'), policy_order: pick('site_first', 'user_first') },
	'phone-numbers': {
		state: pick('suspended', 'porting_in', 'porting_out', 'active'),
		address_id: (n, estate) => (n % 2 ? estate.things.addresses.id : estate.tenant.homeAddress.id),
	},
	'carrier-routes': { emergency_confirmed_at: (n) => `2026-03-02T14:00:${String(10 + (n % 50))}.000000Z` },
	'notification-recipients': { mode: pick('notify', 'listen', 'speak'), dial_strings: pick(['911'], ['112'], ['911', '112']) },
	'webhook-endpoints': { detail: pick('full', 'minimal'), payload_format: pick('cloudevents', 'standard') },
	'api-keys': { expires_at: (n) => `2036-03-02T14:00:${String(10 + (n % 50))}.000000Z` },
};

function freely(name, schema) {
	const s = whole(schema);
	const type = [s.type].flat().find((one) => one && one !== 'null');
	if (BOUND.has(name) || s.enum || /Reference|E164|Region/.test(refName(schema) ?? '')) return null;
	if (refName(schema) === 'ExternalIdOrNull') return () => unique('x');
	if (type === 'string' && (!s.pattern || s.pattern === TEXT) && !s.format) return (n) => `${name} ${n}`;
	if (type === 'boolean') return (n) => n % 2 === 0;
	if (type === 'integer' && s.maximum > s.minimum) return (n) => s.minimum + (n % (s.maximum - s.minimum + 1));
	return null;
}

// [[member, (n, estate) => the n-th of its values]], at least two of them.
export function changesOf(route) {
	const collection = route.segments.at(-2);
	const found = Object.entries(whole(route.body.schema).properties)
		.filter(([name]) => !(name in (OWN[collection] ?? {})))
		.filter(([name]) => !(collection === '{tenant_id}' || collection === 'tenants') || name !== 'external_id') // the operator's
		.map(([name, schema]) => [name, freely(name, schema)])
		.filter(([, values]) => values);
	const all = [...found, ...Object.entries(OWN[collection] ?? {})];
	if (all.length < 2) throw new Error(`${route.operationId}: no two members that can be changed freely; teach tests/lib/changes.mjs`);
	return all;
}
