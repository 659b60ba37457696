// Idempotency-Key: how two requests under one key meet, and how long an answer is kept.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test, { after, before } from 'node:test';
import pg from 'pg';
import { call, until, world } from '../lib/harness.mjs';
import { unique } from '../lib/fixture.mjs';

let w;
let t;
before(async () => {
	w = await world({ servers: 2 });
	t = await w.tenant({ numbers: 1, users: 0 });
});
after(() => w.close());

const body = () => ({ region: 'US', city: 'Redmond', street: unique('street') });
const post = (sent, key, options = {}) => t.call('POST', '/addresses', { body: sent, headers: { 'idempotency-key': key }, ...options });
const hashOf = (key) => {
	const path = `${t.path}/addresses`;
	return createHash('sha256').update(`${t.apiKey.id} POST ${path.length}:${path} ${key}`).digest('hex');
};

test('members in another order and other white space are the same body; another value is not', async () => {
	const [key, sent] = [unique('k'), body()];
	const first = await post(sent, key, { expect: 201 });
	const text = JSON.stringify(Object.fromEntries(Object.entries(sent).reverse()), null, '\t');
	const again = await call(w.servers[1], 'POST', `${t.path}/addresses`, { key: t.key, text, headers: { 'idempotency-key': key } });
	assert.deepEqual([again.status, again.text, again.headers['idempotent-replay']], [201, first.text, 'true']);
	const other = await post({ ...sent, city: 'Seattle' }, key);
	assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
});

test('a request that is refused is not kept: the same key serves the one that is right', async () => {
	const key = unique('k');
	assert.equal((await post({ region: 'US' }, key)).status, 422);
	assert.equal((await post({ ...body(), external_id: 'taken' }, unique('k'))).status, 201);
	assert.equal((await post({ ...body(), external_id: 'taken' }, key)).status, 409);
	const good = await post(body(), key);
	assert.deepEqual([good.status, good.headers['idempotent-replay']], [201, undefined]);
});

test('while the first request is still running the second waits, then says so; no thread is held by it', async () => {
	const key = unique('k');
	const sent = body();
	const holder = new pg.Client({ connectionString: w.url });
	await holder.connect();
	try {
		await holder.query('SELECT pg_advisory_lock(hashtextextended($1::text, 3))', [t.id + hashOf(key)]);
		// More of them than there are threads.
		const waiting = Array.from({ length: 8 }, (_, i) => post(sent, key, { server: w.servers[i % 2] }));
		const other = await post(body(), unique('k'));
		assert.equal(other.status, 201, 'others are served meanwhile');
		for (const reply of await Promise.all(waiting)) assert.deepEqual([reply.status, reply.body.code], [409, 'idempotency_in_progress']);
		const late = post(sent, key);
		await holder.query('SELECT pg_advisory_unlock_all()');
		assert.equal((await late).status, 201, 'and done as soon as the first is gone');
	} finally {
		await holder.end();
	}
});

test('an answer is kept for 24 hours, then forgotten by whichever process is alive', async () => {
	const [key, sent] = [unique('k'), body()];
	const first = await post(sent, key, { expect: 201 });
	const age = (interval) => w.sql(`UPDATE idempotency_keys SET created_at = now() - $1::interval WHERE key_hash = $2`, [interval, Buffer.from(hashOf(key), 'hex')]);
	await age('23 h 59 min');
	assert.equal((await post(sent, key)).body.id, first.body.id);
	await age('24 h 1 min');
	await until('it is forgotten', async () => !(await w.sql('SELECT FROM idempotency_keys WHERE key_hash = $1', [Buffer.from(hashOf(key), 'hex')])).length);
	assert.notEqual((await post(sent, key, { expect: 201 })).body.id, first.body.id);
});

test('with another SWITCHBACK_SECRETS_KEY a kept answer cannot be read: 503, and nothing is done twice', async () => {
	const [key, sent] = [unique('k'), body()];
	await post(sent, key, { expect: 201 });
	const rekeyed = await w.serve({ SWITCHBACK_SECRETS_KEY: Buffer.alloc(32, 7).toString('base64') });
	const reply = await post(sent, key, { server: rekeyed });
	assert.deepEqual([reply.status, reply.headers['retry-after']], [503, '1']);
	await rekeyed.stop();
	assert.equal((await t.list('addresses')).filter(({ street }) => street === sent.street).length, 1);
});

test('what an Idempotency-Key may be: 1 to 255 characters, bare or quoted', async () => {
	const sent = body();
	const long = 'k'.repeat(255);
	const first = await post(sent, long, { expect: 201 });
	assert.equal((await post(sent, `"${long}"`)).body.id, first.body.id);
});
