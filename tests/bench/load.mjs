// A load generator for place+end: keep-alive connections on bare sockets, one request at a time on each.
// An ordinary HTTP client in Node.js would be slower than what it measures.
import net from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

// One connection; ask(bytes) gives { status, head, bytes } of the answer.
class Connection {
	constructor(server) {
		this.rest = null;
		this.socket = net.connect({ host: server.host, port: server.port, noDelay: true });
		this.opened = new Promise((resolve, reject) => this.socket.once('connect', resolve).once('error', reject));
		this.socket.on('data', (chunk) => this.read(chunk));
		this.socket.on('close', () => this.failed?.(new Error('the server closed the connection')));
		this.socket.on('error', (error) => this.failed?.(error));
	}

	read(chunk) {
		const bytes = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
		const end = bytes.indexOf(HEAD_END);
		this.rest = bytes;
		if (end < 0) return;
		const head = bytes.latin1Slice(0, end);
		const length = Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0);
		if (bytes.length < end + 4 + length) return;
		this.rest = null;
		this.answered({ status: Number(head.slice(9, 12)), head, text: () => bytes.utf8Slice(end + 4) });
	}

	ask(bytes) {
		return new Promise((resolve, reject) => {
			this.answered = resolve;
			this.failed = reject;
			this.socket.write(bytes);
		});
	}

	close() {
		this.failed = undefined;
		this.socket.destroy();
	}
}

const request = (path, key, body) =>
	Buffer.from(
		`POST ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
	);

// The bytes that place a call for each user, made before the clock runs.
export const placing = (tenant, users) =>
	users.map((user) =>
		request(
			`${tenant.path}/emergency-calls`,
			tenant.key,
			JSON.stringify({ user_id: user.id, dial_string: '911', endpoint: { type: 'ccaas_client', address: 'sip:agent@desk.example' } }),
		),
	);

export function percentile(sorted, p) {
	return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? NaN;
}

// Pairs of place and end over so many connections for so long: { pairs, seconds, latencies of each pair in
// milliseconds, sorted }. Each connection calls for users of its own, as an agent makes one call at a time.
export async function load(server, tenant, bodies, connections, seconds) {
	const open = Array.from({ length: connections }, () => new Connection(server));
	await Promise.all(open.map((connection) => connection.opened));
	const latencies = [];
	const started = performance.now();
	const until = started + seconds * 1000;
	const drive = async (connection, index) => {
		for (let i = index; performance.now() < until; i += connections) {
			const begun = performance.now();
			const placed = await connection.ask(bodies[i % bodies.length]);
			if (placed.status !== 201) throw new Error(`placing: ${placed.status} ${placed.text()}`);
			const [, location] = /\r\nLocation: (\S+)/i.exec(placed.head);
			const ended = await connection.ask(request(`${location}/end`, tenant.key, ''));
			if (ended.status !== 200) throw new Error(`ending: ${ended.status} ${ended.text()}`);
			latencies.push(performance.now() - begun);
		}
	};
	try {
		await Promise.all(open.map(drive));
	} finally {
		open.forEach((connection) => connection.close());
	}
	const took = (performance.now() - started) / 1000;
	return { pairs: latencies.length, seconds: took, latencies: latencies.sort((a, b) => a - b) };
}
