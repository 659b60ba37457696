// A receiver of webhooks that does what a test tells it to: accept, refuse, hang, or break the connection.
// Every delivery is verified by the npm package standardwebhooks, and held against openapi.yaml.
import http from 'node:http';
import { Webhook } from 'standardwebhooks';
import { deferred, within } from './wait.mjs';
import { validateWebhook } from './openapi.mjs';

const SHORT = (d) => `${d.type}#${d.attempt}${d.answer === undefined ? '' : `=${d.answer}`}`;

class Receiver {
	constructor(port) {
		this.port = port;
		this.deliveries = []; // in order of arrival, repeats included
		this.failures = []; // deliveries that are not what they should be
		this.secrets = new Map(); // path -> { secret, detail }
		this.waiting = [];
		this.held = [];
		this.taken = 0;
		this.sockets = new Set();
		this.answer = () => 204;
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	async listen() {
		this.server = http.createServer((request, response) => this.receive(request, response));
		this.server.on('connection', (socket) => {
			this.sockets.add(socket);
			socket.on('close', () => this.sockets.delete(socket));
		});
		await new Promise((resolve, reject) => this.server.once('error', reject).listen(this.port ?? 0, '127.0.0.1', resolve));
		this.port = this.server.address().port;
	}

	// Connections are refused until listen() is called again, on the same port.
	async refuse() {
		const closed = new Promise((resolve) => this.server.close(resolve));
		this.sockets.forEach((socket) => socket.destroy());
		await closed;
	}

	// Which secret deliveries to this path are signed with. Done by whoever creates the endpoint.
	trust(path, secret, detail = 'minimal') {
		this.secrets.set(path, { secret, detail });
	}

	receive(request, response) {
		const chunks = [];
		request.on('data', (chunk) => chunks.push(chunk));
		request.on('error', () => {});
		request.on('end', () => this.take(request, response, Buffer.concat(chunks).toString('utf8')));
	}

	take(request, response, text) {
		const body = JSON.parse(text);
		const id = request.headers['webhook-id'];
		const delivery = {
			path: request.url,
			headers: request.headers,
			text,
			body,
			id,
			type: body.type,
			data: body.data,
			at: this.deliveries.length,
			attempt: this.deliveries.filter((d) => d.id === id && d.path === request.url).length + 1,
		};
		this.deliveries.push(delivery);
		this.respond(response, delivery);
		this.waiting = this.waiting.filter((waiter) => !waiter());
	}

	// answer(delivery): a status, { status, headers }, 'hang' (until release()), or 'reset'.
	respond(response, delivery) {
		const how = this.answer(delivery);
		delivery.answer = how.status ?? how;
		if (how === 'hang') this.held.push(response);
		else if (how === 'reset') response.socket.destroy();
		else response.writeHead(how.status ?? how, how.headers).end('<p>a body that nobody should see</p>');
	}

	release(status = 204) {
		this.held.splice(0).forEach((response) => response.writeHead(status).end());
	}

	// Signature, schema and detail of a delivery; what comes to a path that nobody trusts is no good either.
	verify(delivery) {
		const { secret, detail } = this.secrets.get(delivery.path) ?? {};
		if (!secret) throw new Error(`a delivery to ${delivery.path}, where no endpoint is`);
		new Webhook(secret).verify(delivery.text, delivery.headers);
		validateWebhook(delivery.type, delivery.text, { detail, headers: delivery.headers });
		return delivery;
	}

	// The first delivery of the predicate (or the type of that name), whether it came already or not, and
	// not one that an earlier next() gave.
	async next(wanted, { ms } = {}) {
		const predicate = typeof wanted === 'function' ? wanted : (delivery) => delivery.type === wanted;
		const { promise, resolve } = deferred();
		const look = () => {
			const found = this.deliveries.find((delivery) => !delivery.seen && predicate(delivery));
			if (found) found.seen = true;
			if (found) resolve(found);
			return Boolean(found);
		};
		if (!look()) this.waiting.push(look);
		return this.verify(
			await within(`webhook ${wanted}`, promise, { ms, more: () => `(arrived: ${this.deliveries.map(SHORT).join(' ')})` }),
		);
	}

	// What was accepted, in order of arrival.
	get accepted() {
		return this.deliveries.filter((delivery) => delivery.answer >= 200 && delivery.answer < 300);
	}

	verifyAll() {
		this.deliveries.forEach((delivery) => this.verify(delivery));
	}

	async close() {
		this.release(503);
		await this.refuse();
	}
}

export async function receiver() {
	const hook = new Receiver();
	await hook.listen();
	return hook;
}
