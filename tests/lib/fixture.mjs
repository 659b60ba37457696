// Tenants as tests need them, made through the API.
import { call } from './http.mjs';

export const SCOPES = ['config:read', 'config:write', 'numbers:write', 'calls:read', 'calls:write', 'callbacks:resolve', 'webhooks:manage'];
export const CCAAS = { type: 'ccaas_client', address: 'sip:agent@desk.example' };
export const TEAMS = { type: 'teams_client', address: 'agent@teams.example' };
export const DESK = { type: 'safety_team', address: 'sip:security@desk.example' };

let serial = 0;
export const unique = (name) => `${name}-${process.pid}-${++serial}`;

export const enc = encodeURIComponent;
export const codes = ({ warnings }) => warnings.map((warning) => warning.code).sort();

export class Tenant {
	constructor(world, resource) {
		this.world = world;
		Object.assign(this, { id: resource.id, resource, path: `/v1/tenants/${resource.id}`, numbers: [], users: [] });
	}

	// A request with the tenant's own key, to a path below the tenant's.
	call(method, path, options = {}) {
		return call(options.server ?? this.world.servers[0], method, `${this.path}${path}`, { key: this.key, ...options });
	}

	async create(kind, body, options) {
		return (await this.call('POST', `/${kind}`, { body, expect: 201, ...options })).body;
	}

	async get(path, options) {
		return (await this.call('GET', path, { expect: 200, ...options })).body;
	}

	// PATCH, RFC 7396. etag: If-Match.
	changing(path, body, { etag, headers = {}, ...options } = {}) {
		const type = 'application/merge-patch+json';
		return this.call('PATCH', path, { type, body, headers: { ...headers, ...(etag && { 'if-match': etag }) }, ...options });
	}

	// The same, where it must succeed: the resource as it is now.
	async change(path, body, options) {
		return (await this.changing(path, body, { expect: 200, ...options })).body;
	}

	async delete(path, options) {
		await this.call('DELETE', path, { expect: 204, ...options });
	}

	address(body = {}) {
		return this.create('addresses', {
			region: this.resource.region,
			admin_area: 'WA',
			city: 'Redmond',
			street: 'Main St',
			house_number: '1',
			...body,
		});
	}

	site(body = {}, options) {
		return this.create('sites', { name: unique('site'), region: this.resource.region, address_id: this.homeAddress.id, ...body }, options);
	}

	// A pool of a site with n new numbers, or with these.
	async pool({ site = this.home, numbers = 0, ...body } = {}) {
		const region = body.region ?? this.resource.region;
		const made = await this.create('pools', { site_id: site.id, name: unique('pool'), region, number_type: 'native', ...body });
		const list = Array.isArray(numbers) ? numbers : Array.from({ length: numbers }, () => this.world.number());
		if (list.length) await this.create(`pools/${made.id}/numbers`, { numbers: list });
		return { ...made, numbers: list };
	}

	user(body = {}) {
		const external_id = unique('agent');
		return this.create('users', { external_id, display_name: 'Ada Agent', site_id: this.home.id, endpoints: [CCAAS, TEAMS], ...body });
	}

	async ownNumber(body = {}) {
		return this.create('phone-numbers', {
			number: this.world.number(),
			number_type: 'native',
			region: this.resource.region,
			usage: 'user',
			...body,
		});
	}

	// A webhook endpoint at the receiver, at a path of its own.
	async hook(receiver, body = {}) {
		const path = `/${unique('hook')}`;
		const made = await this.create('webhook-endpoints', { url: `${receiver.url}${path}`, ...body });
		receiver.trust(path, made.secret, made.detail);
		return { ...made, path };
	}

	// POST emergency-calls: the whole reply. `of` is a user, or the user_id to send.
	placing(of, body = {}, options = {}) {
		return this.call('POST', '/emergency-calls', { body: { user_id: of?.id ?? of, dial_string: '911', ...body }, ...options });
	}

	// The same, where it must succeed: the call.
	async place(of, body, options = {}) {
		return (await this.placing(of, body, { expect: 201, ...options })).body;
	}

	acting(emergencyCall, verb, options = {}) {
		return this.call('POST', `/emergency-calls/${emergencyCall.id ?? emergencyCall}/${verb}`, options);
	}

	async act(emergencyCall, verb, body, options = {}) {
		return (await this.acting(emergencyCall, verb, { body, expect: 200, ...options })).body;
	}

	end(emergencyCall, options) {
		return this.act(emergencyCall, 'end', undefined, options);
	}

	async resolve(called_number, body = {}, options = {}) {
		const { server = this.world.servers[0], ...others } = options;
		const request = { key: this.key, body: { called_number, ...body }, expect: 201, ...others };
		return (await call(server, 'POST', '/v1/callback-resolutions', request)).body;
	}

	presence(user, options) {
		return this.get(`/users/${user.id}/presence`, options);
	}

	async setPresence(user, availability, body = {}) {
		return (await this.call('PUT', `/users/${user.id}/presence`, { body: { availability, source: 'agent', ...body }, expect: 200 }))
			.body;
	}

	// Every item of a list, page by page.
	async list(path, { page_size = 1000, ...query } = {}) {
		const items = [];
		for (let token; ;) {
			const search = new URLSearchParams({ ...query, page_size, ...(token && { page_token: token }) });
			const page = await this.get(`/${path}?${search}`);
			items.push(...page.items);
			token = page.next_page_token;
			if (!token) return items;
		}
	}
}

// A tenant with a key of all scopes, a site with address, resource account and fallback, a pool of so many
// numbers (null: no pool) and so many users. body: members of the tenant; site: of the site.
export async function tenant(world, { numbers = 3, users = 1, body = {}, site = {} } = {}) {
	const resource = (
		await world.asOperator('POST', '/v1/tenants', { body: { name: unique('tenant'), region: 'US', ...body }, expect: 201 })
	).body;
	const made = new Tenant(world, resource);
	const key = { name: 'everything', scopes: SCOPES };
	made.apiKey = (await world.asOperator('POST', `${made.path}/api-keys`, { body: key, expect: 201 })).body;
	made.key = made.apiKey.key;
	made.homeAddress = await made.address();
	made.account = { number: world.number(), destination: { type: 'resource_account', address: 'reception@teams.example' } };
	made.home = await made.site({ resource_account: made.account, fallback: DESK, ...site });
	if (numbers !== null) {
		made.homePool = await made.pool({ numbers });
		made.numbers = made.homePool.numbers;
	}
	for (let i = 0; i < users; i++) made.users.push(await made.user());
	[made.agent] = made.users;
	return made;
}
