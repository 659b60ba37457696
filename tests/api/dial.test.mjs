// What is taken for an emergency number, in which region, and what is dialled for it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { world } from '../lib/harness.mjs';
import { codes } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 2 });
});
after(() => w.close());

// The call is over at once, so that every row begins alike.
async function dialled(dial_string, body = {}, of = t) {
	const answer = await of.place(of.agent, { dial_string, ...body });
	await of.end(answer);
	return answer;
}

const NORMALISED = [
	// as dialled, dial_string, warnings
	['911', '911'],
	['9-1-1', '911'],
	['9.1.1', '911'],
	['(911)', '911'],
	[' 911 ', '911'],
	['9 1 1', '911'],
	['tel:911', '911'],
	['TEL:9-1-1', '911'],
	['tel:911;phone-context=+1', '911'],
	['sip:911@pbx.example', '911'],
	['sips:911@pbx.example;user=phone', '911'],
	['<sip:911@pbx.example>', '911'],
	['"Emergency" <sip:911@pbx.example>', '911'],
	['+911', '911'],
	['tel:+911', '911'],
	['112', '112'],
	['+112', '112'],
	['sip:+112@pbx.example', '112'],
	['urn:service:sos', '911'],
	['URN:service:SOS', '911'],
	['urn:service:sos.police', '911'],
	['9911', '911', ['assumed_prefix']],
	['0911', '911', ['assumed_prefix']],
	['9112', '112', ['assumed_prefix']],
	['9-911', '911', ['assumed_prefix']],
];

for (const [as, dial_string, warnings = []] of NORMALISED)
	test(`${JSON.stringify(as)} is ${dial_string}${warnings.map((c) => `, ${c}`)}`, async () => {
		const answer = await dialled(as);
		assert.deepEqual([answer.dial_string, answer.dialed_as, codes(answer)], [dial_string, as, warnings]);
		assert.equal(answer.route.legs[0].dial, '911', 'in the US the carrier is given 911');
		assert.match(answer.service_urn, /^urn:service:sos/);
	});

for (const as of [
	'988',
	'411',
	'91',
	'9',
	'911911',
	'91112',
	'5551234',
	'+14255551234',
	'#911',
	'*',
	'help',
	'',
	'-',
	'9x11',
	'urn:service:counseling',
	'sip:@pbx.example',
	'9911911',
])
	test(`${JSON.stringify(as)} is refused, with the emergency numbers of the region`, async () => {
		const [{ n }] = await w.sql('SELECT count(*)::int AS n FROM emergency_calls');
		const { status, body } = await t.placing(t.agent, { dial_string: as });
		assert.equal(status, 422);
		if (as !== '') {
			// as good as missing
			assert.equal(body.code, 'not_an_emergency_number');
			assert.deepEqual([body.region, body.emergency_numbers], ['US', ['112', '911']]);
		}
		assert.deepEqual(
			body.errors.map((e) => e.pointer),
			['/dial_string'],
		);
		assert.equal((await w.sql('SELECT count(*)::int AS n FROM emergency_calls'))[0].n, n, 'nothing is stored');
	});

test('assert_emergency takes what no table knows, and dials it as it is', async () => {
	const answer = await dialled('4321', { assert_emergency: true });
	assert.deepEqual([answer.dial_string, codes(answer), answer.route.legs[0].dial], ['4321', ['not_in_number_tables'], '4321']);
	assert.equal(answer.caller_id.source, 'pool_lease');
	const known = await dialled('911', { assert_emergency: true });
	assert.deepEqual(codes(known), []);
	assert.equal((await t.placing(t.agent, { dial_string: '4321', assert_emergency: false })).status, 422);
});

test('9 before an emergency number is no prefix where the whole is an extension', async () => {
	const other = await w.tenant();
	await other.user({ extension: '9911' });
	assert.equal((await other.placing(other.agent, { dial_string: '9911' })).body.code, 'not_an_emergency_number');
	const prefixed = await dialled('0911', {}, other);
	assert.deepEqual(codes(prefixed), ['assumed_prefix']);
	assert.deepEqual(codes(await dialled('911', {}, other)), []);
});

// 110 is an emergency number in DE and not in US; 999 in GB.
test('a region makes the number: of the request, the location, the address of the user, the site, the tenant', async () => {
	const british = await w.tenant({ body: { region: 'GB' }, numbers: null, users: 0 });
	british.homeAddress = await british.address({ region: 'US' });
	british.home = await british.site({ region: 'US' });
	const agent = await british.user();
	const place = (dial_string, body) => british.placing(agent, { dial_string, ...body });
	assert.equal((await place('110')).status, 422, 'nothing says DE');
	assert.equal((await place('110', { region: 'DE' })).status, 201);
	assert.equal((await place('110', { location: { region: 'DE', city: 'Berlin', street: 'Platz' } })).status, 201);
	const berlin = await british.address({ region: 'DE', city: 'Berlin', street: 'Platz', admin_area: null });
	assert.equal((await place('110', { location: { address_id: berlin.id } })).status, 201);
	const berliner = await british.user({ address_id: berlin.id });
	assert.equal((await british.placing(berliner, { dial_string: '110' })).status, 201);
	assert.equal((await place('911')).status, 201, 'the site says US');
	assert.equal((await place('999')).status, 201, 'the tenant says GB');
	assert.equal((await place('000', { region: 'DE' })).status, 422);
});

test('a refusal lists the numbers of the first region', async () => {
	const { body } = await t.placing(t.agent, { dial_string: '123', region: 'DE' });
	assert.deepEqual([body.region, body.emergency_numbers], ['DE', ['110', '112']]);
});

test('the carrier is given the number of where the call is, for the same service', async () => {
	const at = async (dial_string, body) => (await dialled(dial_string, body)).route.legs[0].dial;
	assert.equal(await at('112'), '911');
	assert.equal(await at('911', { location: { region: 'DE', city: 'Berlin', street: 'Platz' } }), '112');
	assert.equal(await at('110', { location: { region: 'DE', city: 'Berlin', street: 'Platz' } }), '110');
	assert.equal(await at('urn:service:sos', { location: { region: 'AU', city: 'Perth', street: 'Road' } }), '000');
	assert.equal(await at('112', { location: { region: 'AU', city: 'Perth', street: 'Road' } }), '000');
});

test('"000" stays a string', async () => {
	const answer = await dialled('000', { region: 'AU', location: { region: 'AU', city: 'Perth', street: 'Road' } });
	assert.deepEqual([answer.dial_string, answer.route.legs[0].dial], ['000', '000']);
});
