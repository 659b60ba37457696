// What no ordinary client sends: paths, methods, heads and framing. Each is answered as documented or, where
// libmicrohttpd refuses it by itself, with a 4xx and a closed connection; the process serves on.
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { after, afterEach, before } from 'node:test';
import { deferred, raw, until, within, world } from '../lib/harness.mjs';
import { enc } from '../lib/fixture.mjs';
import { operations } from '../lib/openapi.mjs';

let w;
let t;
let server;
let users;
const counted = async () => (await w.sql('SELECT count(*)::int AS n FROM users'))[0].n;
before(async () => {
	w = await world();
	t = await w.tenant({ numbers: 2 });
	[server] = w.servers;
	users = await counted();
});
afterEach(async () => {
	assert.ok(server.alive);
	assert.equal((await t.call('GET', '/users')).status, 200);
	assert.equal(await counted(), users, 'nothing was stored');
});
after(() => w.close());

const head = (line, ...headers) => [line, 'Host: switchback.example', `Authorization: Bearer ${t.key}`, ...headers, '', ''].join('\r\n');
const user = () => JSON.stringify({ display_name: 'smuggled', site_id: t.home.id });
const posting = (...headers) => head(`POST ${t.path}/users HTTP/1.1`, 'Content-Type: application/json', ...headers);
// A refusal: a problem with its request id, or libmicrohttpd's own; never a success, never a 5xx.
function assertRefused(reply, message) {
	assert.ok(reply.status === 0 || (reply.status >= 400 && reply.status < 500), `${message}: ${reply.status} ${reply.text}`);
	if (reply.headers['content-type'] === 'application/problem+json') assert.equal(reply.body.status, reply.status);
}

test('a path that is none: 404', async () => {
	for (const path of [
		'/',
		'/v1',
		'/v1/',
		'/v2/tenants',
		'/v1/tenant',
		'/v1/tenants/',
		`${t.path}/`,
		`${t.path}/users/`,
		`${t.path}//users`,
		`/v1//tenants`,
		`${t.path}/users/${t.agent.id}/extra`,
		`${t.path}/Users`,
		'/V1/tenants',
		'/v1/tenants/..',
		`${t.path}/users/../sites`,
		`${t.path}/users/%2e%2e/sites`,
		'/livez/',
		'/problems',
		'/problems/',
		'/metrics/x',
		'/openapi.yml',
		'/.env',
		'/%2e%2e/%2e%2e/etc/passwd',
		'/index.html',
	]) {
		const reply = await w.asOperator('GET', path);
		assert.deepEqual([reply.status, reply.body.code], [404, 'not_found'], path);
	}
});

test('a path that is none is 404 before any key is asked for; one that could be is 401', async () => {
	assert.equal((await w.call('GET', '/v1/nothing')).status, 404);
	assert.equal((await w.call('GET', `/v1/tenants/${t.id}/users`)).status, 401);
});

test('%00, a bad escape, or what is no id, in a path: 404', async () => {
	for (const id of [
		'%00',
		`${t.agent.id}%00`,
		'ext%3Aa%00b',
		'%',
		'%2',
		'%zz',
		'%ff',
		'ext%3A%ff',
		'ext%3A',
		'ext%3A%20',
		`ext%3A${'x'.repeat(129)}`,
		'0',
		'-1',
		'null',
		t.agent.id.slice(1),
		`${t.agent.id}0`,
		`{${t.agent.id}}`,
		t.agent.id.replaceAll('-', ''),
		'%0a',
		"'%3B--",
	])
		for (const path of [`${t.path}/users/${id}`, `${t.path}/emergency-calls/${id}`, `/v1/tenants/${id}/users`]) {
			const reply = await w.call('GET', path, { key: w.operatorKey });
			assert.deepEqual([reply.status, reply.body.code], [404, 'not_found'], path);
		}
	assert.equal((await t.call('GET', `/users/${t.agent.id.toUpperCase()}`)).status, 200, 'an id is one in upper case too');
});

test('an encoded slash stays inside its segment', async () => {
	assert.equal((await t.call('GET', `/users%2F${t.agent.id}`)).status, 404);
	assert.equal((await t.call('GET', `/users/${enc('ext:a/presence')}`)).body.code, 'not_found');
});

test('a wrong method: 405 with the right ones in Allow, before any key is asked for', async () => {
	for (const path of new Set(operations.map((o) => o.path))) {
		const right = operations.filter((o) => o.path === path).map((o) => o.method);
		const url = path.replace(/\{code\}/, 'not_found').replace(/\{\w+\}/g, t.id);
		for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE'].filter((m) => !right.includes(m))) {
			const reply = await w.call(method, url);
			assert.deepEqual([reply.status, reply.body.code], [405, 'method_not_allowed'], `${method} ${path}`);
			const allow = reply.headers.allow.split(', ').sort();
			assert.deepEqual(allow, [...new Set([...right, ...(right.includes('GET') ? ['HEAD'] : [])])].sort(), `${method} ${path}`);
		}
	}
	assertRefused(await raw(server, head(`get ${t.path}/users HTTP/1.1`)), 'methods are in upper case');
});

test('HEAD is GET without the body', async () => {
	const [got, asked] = [await t.call('GET', `/users/${t.agent.id}`), await t.call('HEAD', `/users/${t.agent.id}`)];
	assert.deepEqual([asked.status, asked.text, asked.headers.etag], [200, '', got.headers.etag]);
	assert.equal((await t.call('HEAD', '/users/ext%3Anobody')).status, 404);
	assert.equal((await w.call('HEAD', '/livez')).status, 200);
});

test('two lengths, a length with chunks, or a coding we do not know: refused, and the connection closed', async () => {
	const body = user();
	const right = `Content-Length: ${body.length}`;
	const rows = {
		'two lengths, the same': [right, right],
		'two lengths': [right, 'Content-Length: 0'],
		'two lengths, the longer last': ['Content-Length: 2', right],
		'a list of lengths': [`Content-Length: ${body.length}, ${body.length}`],
		'a length and chunks': [right, 'Transfer-Encoding: chunked'],
		'chunks and a length': ['Transfer-Encoding: chunked', 'Content-Length: 3'],
		'gzip, chunked': ['Transfer-Encoding: gzip, chunked'],
		'an unknown coding': ['Transfer-Encoding: xchunked', right],
		identity: ['Transfer-Encoding: identity', right],
		'chunked twice': ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
		'chunked with a tab': ['Transfer-Encoding: \tchunked\u000b', right],
		'a negative length': ['Content-Length: -1'],
		'a signed length': [`Content-Length: +${body.length}`],
		'a length in hex': ['Content-Length: 0x10'],
		'a length out of all bounds': ['Content-Length: 99999999999999999999999'],
		'a length that is no number': ['Content-Length: many'],
		'an empty length': ['Content-Length: '],
	};
	await Promise.all(
		Object.entries(rows).map(async ([name, headers]) => assertRefused(await raw(server, posting(...headers) + body), name)),
	);
});

test('a refused head does not let its body pass for a second request', async () => {
	const inner = head(`GET ${t.path}/users HTTP/1.1`, 'X-Request-Id: smuggled');
	for (const headers of [
		['Content-Length: 0', `Content-Length: ${inner.length}`],
		['Transfer-Encoding: chunked', 'Content-Length: 5'],
	]) {
		const socket = net.connect(server.port, server.host);
		const all = deferred();
		let text = '';
		socket
			.setEncoding('latin1')
			.on('data', (chunk) => (text += chunk))
			.on('error', () => {})
			.on('close', () => all.resolve());
		socket.write(posting(...headers) + (headers[0].startsWith('T') ? '0\r\n\r\n' : '') + inner);
		await within('the server closes', all.promise);
		assert.ok(!text.includes('smuggled'), text);
		assert.doesNotMatch(text, /HTTP\/1.1 2/);
	}
});

test('a host, a key or a length given twice, or no host: refused', async () => {
	const line = `GET ${t.path}/users HTTP/1.1`;
	assertRefused(await raw(server, head(line, 'Host: other.example')), 'two hosts');
	assertRefused(await raw(server, head(line, `Authorization: Bearer ${w.operatorKey}`)), 'two keys');
	assertRefused(await raw(server, `${line}\r\nAuthorization: Bearer ${t.key}\r\n\r\n`), 'no host');
	assertRefused(await raw(server, head(line, `authorization: Bearer ${t.key}`)), 'two keys, whatever the case');
});

test('chunks are read as they are, and what is no chunk is refused', async () => {
	const chunked = posting('Transfer-Encoding: chunked');
	const bad = `{"display_name":"x","site_id":"${t.home.id}","nmae":1}`;
	const pieces = [...bad].map((c) => `1\r\n${c}\r\n`);
	const read = await raw(server, [chunked, ...pieces, '0\r\n\r\n']);
	assert.deepEqual([read.status, read.body.code], [422, 'unknown_field']);
	const extended = await raw(server, [chunked, `${bad.length.toString(16)};name=value\r\n${bad}\r\n0\r\nTrailer: x\r\n\r\n`]);
	assert.equal(extended.status, 422);
	for (const broken of [
		'zz\r\n{}\r\n0\r\n\r\n',
		'-1\r\n{}\r\n0\r\n\r\n',
		'ffffffffffffffffff\r\n{}\r\n0\r\n\r\n',
		'2\r\n{}XX0\r\n\r\n',
		'\r\n\r\n',
	])
		assertRefused(await raw(server, [chunked, broken]), JSON.stringify(broken));
});

// Sends these bytes, and goes away without waiting for anything.
const abandoned = (bytes, how) =>
	new Promise((resolve) => {
		const socket = net.connect(server.port, server.host, () => socket.write(bytes, 'latin1', () => socket[how]()));
		socket
			.on('error', () => {})
			.on('close', resolve)
			.resume();
	});

test('a request that stops before its end is none, and nobody waits for the rest', async () => {
	const body = user();
	const beginnings = [0, 1, body.length - 1].map((n) => posting(`Content-Length: ${body.length}`) + body.slice(0, n));
	beginnings.push(
		`${posting('Transfer-Encoding: chunked')}${body.length.toString(16)}\r\n${body}\r\n`,
		posting('Content-Length: 9').slice(0, -2),
		'\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
		'\r\n\r\n\r\n',
		'\u0000\u0001\u0002\r\n\r\n',
		'GET /livez',
	);
	for (const bytes of beginnings) for (const how of ['destroy', 'resetAndDestroy']) await abandoned(bytes, how);
});

test('a body larger than its length is the beginning of the next request, and no more', async () => {
	const bad = '{"nmae":1}';
	const reply = await raw(server, `${posting(`Content-Length: ${bad.length}`)}${bad}GARBAGE`);
	assert.equal(reply.status, 422);
});

test('Expect: 100-continue is answered', async () => {
	const bad = '{"nmae":1}';
	const asked = await raw(server, [posting(`Content-Length: ${bad.length}`, 'Expect: 100-continue'), bad]);
	assert.equal(asked.status, 422);
});

test('heads too large, or no heads at all: refused, whatever they are', async () => {
	const line = `GET ${t.path}/users HTTP/1.1`;
	const rows = {
		'a huge header': head(line, `X-Large: ${'x'.repeat(100_000)}`),
		'a huge key': head(line, `Authorization-X: ${'x'.repeat(60_000)}`),
		'many headers': head(line, ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}`)),
		'a huge path': head(`GET /${'x'.repeat(100_000)} HTTP/1.1`),
		'a huge query': head(`GET ${t.path}/users?page_token=${'x'.repeat(100_000)} HTTP/1.1`),
		'no version': `GET ${t.path}/users\r\n\r\n`,
		'a version of the future': head(`GET ${t.path}/users HTTP/3.0`),
		'a bare line feed in the middle': `${line}\nHost: x\n\n`,
		'a header without a colon': head(line, 'what is this'),
		'a header without a name': head(line, ': x'),
		'a NUL in a header': head(line, 'X-Nul: a\u0000b'),
		'a folded header': head(line, 'X-Folded: a\r\n b', `Authorization: Bearer ${t.key}`),
		'an HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
	};
	await Promise.all(
		Object.entries(rows).map(async ([name, bytes]) => {
			const reply = await raw(server, bytes);
			assert.ok(reply.status < 500 || reply.status === 505, `${name}: ${reply.status}`); // 505: HTTP Version Not Supported
		}),
	);
});

test('a large header does not hide the answer', async () => {
	const reply = await t.call('GET', '/users', { headers: { 'x-filler': 'x'.repeat(6_000), 'x-request-id': 'still-there' } });
	assert.deepEqual([reply.status, reply.headers['x-request-id']], [200, 'still-there']);
});

test('a request id or trace that is none is made anew, and always answered', async () => {
	for (const id of ['a b', 'x'.repeat(300), 'ü', '']) {
		const { headers } = await t.call('GET', '/users', { headers: { 'x-request-id': id } });
		assert.notEqual(headers['x-request-id'], id);
	}
	for (const traceparent of ['x', '00-00000000000000000000000000000000-0000000000000000-01', `00-${'g'.repeat(32)}-${'1'.repeat(16)}-01`])
		assert.notEqual((await t.call('GET', '/users', { headers: { traceparent } })).headers.traceparent, traceparent);
});

test('requests one behind the other on a connection are all answered, in order', async () => {
	const socket = net.connect(server.port, server.host);
	const done = deferred();
	let text = '';
	socket
		.setEncoding('latin1')
		.on('data', (chunk) => {
			text += chunk;
			if ((text.match(/HTTP\/1\.1 /g) ?? []).length === 20) done.resolve();
		})
		.on('error', done.reject);
	const bad = '{"nmae":1}';
	for (let i = 0; i < 10; i++)
		socket.write(
			head(`GET ${t.path}/users HTTP/1.1`, `X-Request-Id: get-${i}`) +
				posting(`Content-Length: ${bad.length}`, `X-Request-Id: post-${i}`) +
				bad,
		);
	await within('twenty answers', done.promise, { more: () => text });
	socket.destroy();
	assert.deepEqual(
		[...text.matchAll(/X-Request-Id: (\S+)/gi)].map((m) => m[1]),
		Array.from({ length: 10 }, (_, i) => [`get-${i}`, `post-${i}`]).flat(),
	);
});

test('clients that go away at any moment leave no trace', async () => {
	const call = `{"user_id":"${t.agent.id}","dial_string":"988"}`;
	const whole = head(`POST ${t.path}/emergency-calls HTTP/1.1`, `Content-Length: ${call.length}`) + call;
	await Promise.all(
		Array.from(
			{ length: 200 },
			(_, i) =>
				new Promise((resolve) => {
					const socket = net.connect(server.port, server.host, () => {
						socket.write(whole.slice(0, Math.ceil((whole.length * (i + 1)) / 200)), () => socket.resetAndDestroy());
					});
					socket.on('error', () => {}).on('close', resolve);
				}),
		),
	);
	const connections = async () => (await w.metrics()).switchback_connections;
	await until('all of their connections are closed', async () => (await connections()) <= 5);
});

test('many idle connections do not keep an emergency call out', async () => {
	const idle = await Promise.all(
		Array.from(
			{ length: 500 },
			() =>
				new Promise((resolve, reject) => {
					const socket = net.connect(server.port, server.host, () => resolve(socket)).on('error', reject);
				}),
		),
	);
	const slow = idle.slice(0, 250);
	slow.forEach((socket) => socket.write(`POST ${t.path}/users HTTP/1.1\r\nHost: x\r\nContent-Le`));
	const placed = await t.place(t.agent);
	await t.end(placed);
	idle.forEach((socket) => socket.destroy());
});
