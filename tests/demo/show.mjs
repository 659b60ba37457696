// How the demo talks: headings, requests, answers and webhooks on standard output.

const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = paint(1);
const dim = paint(2);
const green = paint(32);
const red = paint(31);
const cyan = paint(36);

const WIDTH = 110;

// JSON with two spaces of indent, where a flat list or object that fits on a line stays on it.
export function pretty(value, indent = '') {
	if (value === null || typeof value !== 'object') return JSON.stringify(value);
	const short = JSON.stringify(value).replace(/("(?:[^"\\]|\\.)*")|([:,])/g, (_, string, mark) => string ?? `${mark} `);
	const deeper = indent + '  ';
	const rows = Array.isArray(value)
		? value.map((item) => deeper + pretty(item, deeper))
		: Object.entries(value).map(([name, item]) => `${deeper}${JSON.stringify(name)}: ${pretty(item, deeper)}`);
	const nested = Object.values(value).some((item) => item !== null && typeof item === 'object' && Object.keys(item).length);
	if (!rows.length || (!nested && indent.length + short.length <= WIDTH)) return short;
	const [open, close] = Array.isArray(value) ? '[]' : '{}';
	return `${open}\n${rows.join(',\n')}\n${indent}${close}`;
}

const print = (text = '') => process.stdout.write(`${text}\n`);
const block = (value) => print(`     ${pretty(value, '     ')}`);

export const title = (text) => print(`\n${bold(text)}`);
export const text = (words) => print(words);
export const note = (words) => print(`   ${dim(words)}`);

let steps = 0;
export function step(words) {
	steps += 1;
	print(`\n${bold(`${steps}. ${words}`)}`);
}

export function request(method, path, headers, body) {
	print(`\n   ${cyan('->')} ${bold(method)} ${path}`);
	for (const [name, value] of Object.entries(headers)) print(`     ${dim(`${name}: ${value}`)}`);
	if (body !== undefined) block(body);
}

export function answer(status, headers, body) {
	print(`   ${cyan('<-')} ${bold(String(status))}`);
	for (const [name, value] of Object.entries(headers)) print(`     ${dim(`${name}: ${value}`)}`);
	if (body !== undefined) block(body);
}

export function webhook(headers, body) {
	print(`\n   ${cyan('=>')} ${bold('webhook received')}`);
	for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
		print(`     ${dim(`${name}: ${headers[name]}`)}`);
	}
	block(body);
}

export const right = (words) => print(`   ${green('ok')} ${words}`);
export const wrong = (words) => print(`\n${red('WRONG')} ${words}`);
