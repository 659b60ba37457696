// A mail server that does what a test tells it to. Plain SMTP (RFC 5321) with AUTH PLAIN and STARTTLS where
// asked for; what it accepts is parsed (MIME, RFC 2047) so that a test reads what a person would.
import net from 'node:net';
import tls from 'node:tls';
import { deferred, within } from './wait.mjs';

const words = (text) =>
	text
		.replace(/\?=\s+=\?/g, '?==?')
		.replace(/=\?UTF-8\?B\?([^?]*)\?=/gi, (_, base64) => Buffer.from(base64, 'base64').toString('latin1'));

const quotedPrintable = (text) =>
	Buffer.from(
		text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
		'latin1',
	).toString('utf8');

// { headers, subject, text } of a message as it was sent: latin1, dots taken out again.
export function parseMail(raw) {
	const end = raw.indexOf('\r\n\r\n');
	const headers = {};
	for (const line of raw.slice(0, end).replace(/\r\n[ \t]/g, ' ').split('\r\n')) {
		const colon = line.indexOf(':');
		const name = line.slice(0, colon).toLowerCase();
		if (name in headers) throw new Error(`two headers ${name}`);
		headers[name] = line.slice(colon + 1).trim();
	}
	const subject = Buffer.from(words(headers.subject ?? ''), 'latin1').toString('utf8');
	return { raw, headers, subject, text: quotedPrintable(raw.slice(end + 4)) };
}

class MailServer {
	constructor({ auth, tls: secure } = {}) {
		this.auth = auth; // { user, password }: asked for
		this.secure = secure; // { key, cert }: STARTTLS is offered
		this.attempts = []; // every message, as far as it came: { from, to, mail, id, attempt, answer }
		this.sockets = new Set();
		this.waiting = [];
		this.commands = [];
		this.answer = () => 250;
	}

	get url() {
		const who = this.auth ? `${encodeURIComponent(this.auth.user)}:${encodeURIComponent(this.auth.password)}@` : '';
		return `smtp://${who}127.0.0.1:${this.port}`;
	}

	async listen() {
		this.server = net.createServer((socket) => this.serve(socket));
		await new Promise((resolve, reject) => this.server.once('error', reject).listen(this.port ?? 0, '127.0.0.1', resolve));
		this.port = this.server.address().port;
	}

	// Connections are refused until listen() is called again, on the same port.
	async refuse() {
		const closed = new Promise((resolve) => this.server.close(resolve));
		this.sockets.forEach((socket) => socket.destroy());
		await closed;
	}

	close() {
		return this.refuse();
	}

	serve(socket, session = { encrypted: false, rest: '', data: null, to: [] }) {
		this.sockets.add(socket);
		socket.setEncoding('latin1');
		socket.on('error', () => {});
		socket.on('close', () => this.sockets.delete(socket));
		socket.on('data', (chunk) => {
			session.rest += chunk;
			this.read(socket, session);
		});
		if (!session.encrypted) socket.write('220 mail.example ESMTP\r\n');
	}

	read(socket, session) {
		for (;;) {
			if (session.data !== null) {
				const end = `\r\n${session.rest}`.indexOf('\r\n.\r\n');
				if (end < 0) return;
				const raw = `${session.rest.slice(0, end)}`.replace(/^\.\./gm, '.');
				session.rest = session.rest.slice(end + 3);
				session.data = null;
				this.take(socket, session, raw);
				continue;
			}
			const end = session.rest.indexOf('\r\n');
			if (end < 0) return;
			const line = session.rest.slice(0, end);
			session.rest = session.rest.slice(end + 2);
			this.commands.push(line);
			if (this.command(socket, session, line) === 'stop') return;
		}
	}

	command(socket, session, line) {
		const say = (text) => socket.write(`${text}\r\n`);
		const verb = line.split(/[ :]/)[0].toUpperCase();
		if (verb === 'EHLO') {
			const offers = ['mail.example', '8BITMIME'];
			if (this.secure && !session.encrypted) offers.push('STARTTLS');
			if (this.auth) offers.push('AUTH PLAIN');
			offers.forEach((offer, i) => say(`250${i === offers.length - 1 ? ' ' : '-'}${offer}`));
		} else if (verb === 'STARTTLS') {
			say('220 go on');
			socket.removeAllListeners('data');
			const encrypted = new tls.TLSSocket(socket, { isServer: true, ...this.secure });
			this.serve(encrypted, { ...session, encrypted: true, rest: '' });
			return 'stop';
		} else if (verb === 'AUTH') {
			const [, , base64] = line.split(' ');
			if (base64) this.authenticate(say, session, base64);
			else {
				session.authenticating = true;
				say('334 ');
			}
		} else if (session.authenticating) {
			this.authenticate(say, session, line);
		} else if (verb === 'MAIL') {
			if (this.auth && !session.user) return say('530 5.7.0 authentication required');
			Object.assign(session, { from: line.match(/<([^>]*)>/)[1], to: [] });
			say('250 fine');
		} else if (verb === 'RCPT') {
			session.to.push(line.match(/<([^>]*)>/)[1]);
			const how = this.answerRecipient?.(session) ?? 250;
			if (how >= 400) this.note({ from: session.from, to: session.to, answer: how, encrypted: session.encrypted });
			say(`${how} so be it`);
		} else if (verb === 'DATA') {
			session.data = '';
			say('354 go on');
		} else if (verb === 'QUIT') {
			if (this.hangsAtQuit) return 'stop';
			say('221 bye');
			socket.end();
		} else {
			say('250 fine');
		}
	}

	authenticate(say, session, base64) {
		session.authenticating = false;
		const [, user, password] = Buffer.from(base64, 'base64').toString('utf8').split('\0');
		const good = user === this.auth.user && password === this.auth.password;
		if (good) session.user = user;
		else this.note({ answer: 535 });
		say(good ? '235 welcome' : '535 5.7.8 no');
	}

	// answer(attempt): a reply code, 'hang', or 'reset'.
	take(socket, session, raw) {
		const mail = parseMail(raw);
		const id = mail.headers['message-id'];
		const attempt = { from: session.from, to: session.to, user: session.user, encrypted: session.encrypted, mail, id };
		attempt.attempt = this.attempts.filter((a) => a.id === id).length + 1;
		attempt.answer = this.answer(attempt);
		if (attempt.answer === 'reset') socket.destroy();
		else if (attempt.answer !== 'hang') socket.write(`${attempt.answer} so be it\r\n`);
		this.note(attempt);
	}

	note(attempt) {
		this.attempts.push(attempt);
		this.waiting = this.waiting.filter((waiter) => !waiter());
	}

	get accepted() {
		return this.attempts.filter(({ answer }) => answer === 250);
	}

	// The first attempt of the predicate that no earlier next() gave.
	async next(predicate = () => true) {
		const { promise, resolve } = deferred();
		const look = () => {
			const found = this.attempts.find((attempt) => !attempt.seen && predicate(attempt));
			if (found) found.seen = true;
			if (found) resolve(found);
			return Boolean(found);
		};
		if (!look()) this.waiting.push(look);
		return within(`email ${predicate}`, promise, {
			more: () => `(arrived: ${this.attempts.map((a) => `${a.to}=${a.answer}`).join(' ')})`,
		});
	}
}

export async function mailServer(options) {
	const server = new MailServer(options);
	await server.listen();
	return server;
}
