// Two clients. call() is an ordinary one, and holds every reply against openapi.yaml. raw() writes bytes
// on a socket, for what no ordinary client sends.
import http from 'node:http';
import net from 'node:net';
import { within } from './wait.mjs';
import { validateReply } from './openapi.mjs';

function exchange(server, method, path, headers, payload) {
	return new Promise((resolve, reject) => {
		const request = http.request({ host: server.host, port: server.port, agent: server.agent, method, path, headers });
		request.once('error', reject);
		request.once('response', (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk));
			response.once('error', reject);
			response.once('end', () =>
				resolve({
					status: response.statusCode,
					headers: response.headers,
					text: Buffer.concat(chunks).toString('utf8'),
				}),
			);
		});
		request.end(payload);
	});
}

const isJson = (headers) => /^application\/(problem\+)?json\b/.test(headers['content-type'] ?? '');

// One request. body is sent as JSON; text as it is, with the content type `type` (null: none). The reply is
// { status, headers, text, body, ms }; body is parsed where it is JSON. An expected status may be given, and how
// many milliseconds to wait where an answer rightly takes long.
export async function call(server, method, path, { key, body, text, type = 'application/json', headers = {}, expect, patience } = {}) {
	const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
	const sent = { ...headers };
	if (key) sent.authorization = `Bearer ${key}`;
	if (payload !== undefined && type) sent['content-type'] = type;
	if (payload !== undefined && !sent['transfer-encoding']) sent['content-length'] = Buffer.byteLength(payload);
	const started = performance.now();
	const reply = await within(`${method} ${path}`, exchange(server, method, path, sent, payload), { ms: patience });
	reply.ms = performance.now() - started;
	if (method !== 'HEAD') {
		validateReply({ method, url: path, status: reply.status, headers: reply.headers, body: reply.text });
		reply.body = isJson(reply.headers) && reply.text ? JSON.parse(reply.text) : reply.text;
	}
	if (expect !== undefined && reply.status !== expect)
		throw new Error(`${method} ${path}: ${reply.status}, not ${expect}: ${reply.text}`);
	return reply;
}

// What a server has sent so far, or null while the reply is not complete.
function parse(bytes, closed) {
	const head = bytes.indexOf('\r\n\r\n');
	if (head < 0) return closed ? { status: 0, headers: {}, text: bytes.toString('latin1'), closed } : null;
	const [first, ...lines] = bytes.subarray(0, head).toString('latin1').split('\r\n');
	const status = Number(first.split(' ')[1]);
	const rest = bytes.subarray(head + 4);
	if (status === 100) return parse(rest, closed);
	const headers = {};
	for (const line of lines) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim();
	const length = Number(headers['content-length'] ?? (status === 204 || status === 304 ? 0 : NaN));
	if (!closed && !(rest.length >= length)) return null;
	const text = rest.toString('utf8');
	return { status, headers, text, closed, body: isJson(headers) && text ? JSON.parse(text) : text };
}

// Writes the parts one after the other, each as one packet as far as we can tell, and reads one reply, or
// what comes until the server closes. status 0: it closed without an answer.
export function raw(server, parts) {
	const list = Array.isArray(parts) ? parts : [parts];
	const socket = net.connect({ host: server.host, port: server.port, noDelay: true });
	const answer = new Promise((resolve, reject) => {
		let bytes = Buffer.alloc(0);
		const look = (closed) => {
			const reply = parse(bytes, closed);
			if (reply) resolve(reply);
		};
		socket.on('data', (chunk) => {
			bytes = Buffer.concat([bytes, chunk]);
			look(false);
		});
		socket.on('error', (error) => (['ECONNRESET', 'EPIPE'].includes(error.code) ? look(true) : reject(error)));
		socket.on('close', () => look(true));
		socket.on('connect', async () => {
			for (const part of list) {
				if (socket.destroyed || !socket.writable) return;
				await new Promise((sent) => socket.write(part, 'latin1', sent));
			}
		});
	});
	return within('a reply on the socket', answer).finally(() => socket.destroy());
}
