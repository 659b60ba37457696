// Everything that a tenant can have, at least one of each, made from the examples of openapi.yaml. So a new
// resource is there as soon as it is documented.
import { unique } from './fixture.mjs';
import { collectionOf, collections, creating, ofTenants, parametersOf, pathWith, whole } from './routes.mjs';

// What others refer to comes first; whatever is not named here, after it.
const ORDER = ['addresses', 'policies', 'sites', 'phone-numbers', 'pools', 'users'];
const last = ORDER.length;
const rank = (collection) => (ORDER.includes(collection) ? ORDER.indexOf(collection) : last);

let extensions = 0;

export class Estate {
	constructor(world, tenant) {
		Object.assign(this, { world, tenant, things: { tenants: tenant.resource, 'api-keys': tenant.apiKey } });
	}

	// The resource of a collection, which must be there.
	thing(collection, why) {
		const found = this.things[collection];
		if (!found) throw new Error(`${why}: no example of ${collection} was made; teach tests/lib/estate.mjs`);
		return found;
	}

	// { tenant_id: ..., user_id: ... }: our ids for a path.
	ids(route) {
		return Object.fromEntries(
			parametersOf(route).map(({ name, collection }) => [name, this.thing(collection, `${route.operationId} {${name}}`).id]),
		);
	}

	// The example as this tenant can send it: references name what it has, and what must be unique is new.
	fill(value, name = '') {
		if (Array.isArray(value)) return value.map((item) => this.fill(item, name.replace(/s$/, '')));
		if (value && typeof value === 'object')
			return Object.fromEntries(Object.entries(value).map(([member, inner]) => [member, this.fill(inner, member)]));
		if (typeof value !== 'string') return value;
		if (name === 'expires_at') return '2099-01-01T00:00:00.000000Z'; // the examples have their own day
		if (name === 'called_number') return this.things.numbers?.number ?? value;
		if (name === 'number') return this.world.number();
		if (name === 'external_id' || name === 'external_call_id') return unique(name === 'external_id' ? 'x' : 'c');
		if (name === 'extension') return String(7_000_000 + ++extensions);
		return name in collectionOf && this.things[collectionOf[name]] ? this.things[collectionOf[name]].id : value;
	}

	// A body that the route takes, or undefined where it takes none.
	body(route) {
		if (!route.body) return undefined;
		if (route.body.example === undefined) throw new Error(`${route.operationId}: openapi.yaml has no example of its body`);
		return this.fill(route.body.example);
	}

	// One more of a collection, or of what any such POST makes; body: members to be had.
	async make(route, body = {}, options = {}) {
		const request = { body: { ...this.body(route), ...body }, type: route.body.type, expect: 201, ...options };
		const reply = await this.world.call('POST', pathWith(route, this.ids(route)), { key: this.tenant.key, ...request });
		return reply.body;
	}

	async build() {
		// Named by an external_id where it can be; and no webhook goes out to the host of an example.
		const more = (route) => {
			const { external_id, enabled } = whole(route.body.schema).properties ?? {};
			return { ...(external_id && { external_id: unique('x') }), ...(enabled && { enabled: false }) };
		};
		const list = Object.entries(collections).filter(([collection]) => !this.things[collection]);
		for (const [collection, route] of list.sort(([a], [b]) => rank(a) - rank(b))) {
			this.things[collection] = await this.make(route, more(route), { headers: { 'idempotency-key': unique('key') } });
		}
		const numbers = creating.find((route) => route.operationId === 'addPoolNumbers');
		const added = await this.make(numbers, { numbers: Array.from({ length: 60 }, () => this.world.number()) });
		[this.things.numbers] = added.items;
		await this.operate();
		return this;
	}

	// What calls bring about; and what is only ever put.
	async operate() {
		const { tenant } = this;
		const user = this.things.users;
		for (const route of ofTenants.filter(({ method, lane }) => method === 'PUT' && lane === 'ordinary'))
			await this.world.call('PUT', pathWith(route, this.ids(route)), { key: tenant.key, body: this.body(route), expect: 200 });
		const external_call_id = unique('call');
		const call = await tenant.place(user, { external_call_id });
		this.things['emergency-calls'] = call;
		this.things.leases = await tenant.get(`/leases/${call.lease.id}`);
		this.things['callback-resolutions'] = await tenant.resolve(call.lease.number, { external_call_id: unique('in') });
	}
}

// The texts by which a thing can be named in a path, member or filter, as the pattern of a schema allows.
export function namesOf(thing, pattern) {
	const all = [thing.id];
	if (thing.external_id) all.push(`ext:${thing.external_id}`);
	if (thing.external_call_id) all.push(`ext:${thing.external_call_id}`);
	if (thing.number && typeof thing.number === 'string') all.push(thing.number);
	return pattern ? all.filter((name) => new RegExp(pattern, 'u').test(name)) : all;
}

export const estate = (world, tenant) => new Estate(world, tenant).build();
