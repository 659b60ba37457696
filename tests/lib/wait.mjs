// Waiting for what can be observed, never for a time to pass. Every wait has a deadline, and says what it
// waited for when it is over. The deadlines are no promise of the service: they are far beyond any.

export const PATIENCE_MS = 30_000;

const POLL_MS = 20;

// The promise, or an error that says what did not happen. more() adds what was seen instead.
export async function within(what, promise, { ms = PATIENCE_MS, more = () => '' } = {}) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms ${more()}`.trim())), ms);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

// The first truthy value of probe(), which is asked again and again.
export async function until(what, probe, { ms = PATIENCE_MS } = {}) {
	const deadline = Date.now() + ms;
	for (;;) {
		const value = await probe();
		if (value) return value;
		if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
}

// A promise with its handles outside.
export function deferred() {
	const handles = {};
	handles.promise = new Promise((resolve, reject) => Object.assign(handles, { resolve, reject }));
	return handles;
}
