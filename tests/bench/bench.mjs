// The first benchmark: place+end over HTTP against pgbench running the same stored functions, on the same
// PostgreSQL, in the same run. It prints, and asserts nothing. SECONDS: how long each measurement lasts.
import { readFileSync } from 'node:fs';
import { world } from '../lib/harness.mjs';
import { load, percentile, placing } from './load.mjs';
import { pgbench, prepare } from './pgbench.mjs';

const SECONDS = Number(process.env.SECONDS ?? 8);
const ROUNDS = 2;
const CONNECTIONS = 64;
const MANY = 256;
const SITES = 20;
const USERS_PER_SITE = 200;
const NUMBERS_PER_SITE = 100;

const print = (text = '') => process.stdout.write(`${text}\n`);
const rate = ({ pairs, seconds }) => (2 * pairs) / seconds;
const row = (name, run) =>
	print(
		`  ${name.padEnd(28)} ${rate(run).toFixed(0).padStart(7)} intents/s   place+end: p50 ${percentile(run.latencies, 50).toFixed(1).padStart(6)} ms   p99 ${percentile(run.latencies, 99).toFixed(1).padStart(6)} ms`,
	);

async function inChunks(items, size, work) {
	for (let i = 0; i < items.length; i += size) await Promise.all(items.slice(i, i + size).map(work));
}

// A contact centre with several sites. Twice as many agents as callback numbers: calls renew, and reuse.
async function centre(w) {
	const t = await w.tenant({ numbers: null, users: 0 });
	const sites = [];
	for (let i = 0; i < SITES; i++) {
		const site = await t.site();
		await t.pool({ site, numbers: NUMBERS_PER_SITE });
		sites.push(site);
	}
	const users = Array.from({ length: SITES * USERS_PER_SITE });
	await inChunks([...users.keys()], 50, async (i) => (users[i] = await t.user({ site_id: sites[i % SITES].id })));
	return { t, users };
}

const memory = ({ pid }) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function measure(w) {
	const { t, users } = await centre(w);
	const [server] = w.servers;
	const bodies = placing(t, users);
	const paths = ['lease.created', 'lease.renewed', 'lease.superseded'];
	const counts = async () =>
		(await w.sql(`SELECT ${paths.map((p) => `count(*) FILTER (WHERE type = '${p}')::int AS "${p}"`)} FROM events`))[0];

	print(
		`${users.length} users and ${SITES * NUMBERS_PER_SITE} numbers in ${SITES} sites; ${CONNECTIONS} connections; ${SECONDS} s each, ${ROUNDS} rounds`,
	);
	const warm = Math.min(SECONDS, 3);
	await load(server, t, bodies, CONNECTIONS, warm);
	await inChunks(users, CONNECTIONS, async (user) => t.end(await t.place(user))); // one call of each, for pgbench's parameters
	const n = await prepare(w, t);
	const runs = { http: [], pgbench: [] };
	const batches = { elements: 0, batches: 0, alone: 0, stale: 0 };
	for (let round = 0; round < ROUNDS; round++) {
		const [before, mix] = [await w.metrics(), await counts()];
		runs.http.push(await load(server, t, bodies, CONNECTIONS, SECONDS));
		const [after, mixed] = [await w.metrics(), await counts()];
		for (const [name, metric] of [
			['elements', 'switchback_batch_elements_total'],
			['batches', 'switchback_batches_total'],
			['alone', 'switchback_alone_total'],
			['stale', 'switchback_stale_total'],
		])
			batches[name] += after[metric] - before[metric];
		row(`Switchback over HTTP, ${round + 1}`, runs.http.at(-1));
		if (round === 0) print(`    (${paths.map((p) => `${p} ${mixed[p] - mix[p]}`).join(', ')})`);
		const [{ calls }] = await w.sql('SELECT count(*)::int AS calls FROM emergency_calls');
		runs.pgbench.push(await pgbench(w, t, n, CONNECTIONS, SECONDS));
		const [{ ended }] = await w.sql(`SELECT count(*)::int - ${calls} AS ended FROM emergency_calls WHERE state = 'ended'`);
		if (ended < runs.pgbench.at(-1).pairs)
			throw new Error(
				`pgbench ended ${ended} calls in ${runs.pgbench.at(-1).pairs} pairs: its parameters are not those of the service`,
			);
		row(`pgbench, ${round + 1}`, runs.pgbench.at(-1));
	}
	const sum = (list) =>
		list.reduce((total, run) => ({ pairs: total.pairs + run.pairs, seconds: total.seconds + run.seconds }), { pairs: 0, seconds: 0 });
	print(`\n  ratio Switchback : pgbench    ${(rate(sum(runs.http)) / rate(sum(runs.pgbench))).toFixed(2)}`);
	print(
		`  mean batch size               ${(batches.elements / batches.batches).toFixed(1)} at ${CONNECTIONS} connections (${batches.alone} alone, ${batches.stale} decided again)`,
	);
	const many = await load(server, t, bodies, MANY, Math.min(SECONDS, 5));
	row(`Switchback, ${MANY} connections`, many);
	print(`  peak memory (VmHWM)           ${memory(server).toFixed(1)} MiB, after ${MANY} connections`);
}

const w = await world();
try {
	await measure(w);
} finally {
	await w.close();
}
