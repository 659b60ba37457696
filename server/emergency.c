/*
 * What happens to a batch of the emergency lane: authenticate, parse, load, decide, store, commit,
 * reply. Each step runs over all elements with one round trip; an element that fails leaves with its
 * problem, one that would have to wait goes to the thread that runs single elements. A reply leaves
 * only after the commit of what it says.
 */
#include "emergency.h"

#include <string.h>

#include "auth.h"
#include "delivery.h"
#include "dispatch.h"
#include "metrics.h"
#include "router.h"

#define ALONE_ATTEMPTS 8
#define ALONE_NS \
	1000000000LL /* a client has dialled long before; the lease is still worth having */

static const struct db_stmt share_tenant = { "share_tenant",
					     "SELECT 1 FROM tenants WHERE id = $1 FOR SHARE", 1 };

struct crew {
	struct app *app;
	struct db *db;
	void (*to_alone)(void *arg, struct request *);
	void *arg;
};

static void finish(struct request *req, enum err err)
{
	if (err)
		dispatch_fail(req, err);
	dispatch_done(req);
}

static void finish_all(struct request **reqs, size_t n, enum err err)
{
	for (size_t i = 0; i < n; i++)
		finish(reqs[i], err);
}

/* After a batch failed as a whole: by itself each element gets an answer of its own. stored: it was
   sent, so that each looks for itself before it is stored again. */
static void all_alone(struct crew *c, struct request **reqs, size_t n, enum err why, bool stored)
{
	if ((why == ERR_UNAVAILABLE || why == ERR_OUTCOME_UNKNOWN) &&
	    !db_health_up(c->app->health)) {
		finish_all(reqs, n, why);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		reqs[i]->rerun = reqs[i]->rerun || stored;
		reqs[i]->unknown = reqs[i]->unknown || why == ERR_OUTCOME_UNKNOWN;
		c->to_alone(c->arg, reqs[i]);
	}
}

/* The look-ups of all who need one. A connection that was lost while idle shows at its first use:
   once more on a new one, as long as the server is there. */
static enum err look_up(struct crew *c, struct arena *arena, struct request **reqs, size_t n,
			const bool *asked, const struct db_batch **answers)
{
	enum err err = ERR_UNAVAILABLE;

	for (int try = 0; try < 2 && err == ERR_UNAVAILABLE && db_health_up(c->app->health);
	     try++) {
		struct db_batch *batch = db_batch_new(c->db, arena, false);

		err = batch ? ERR_OK : ERR_UNAVAILABLE;
		for (size_t i = 0; i < n && !err; i++)
			if (asked[i])
				err = auth_load(reqs[i], batch);
		if (!err)
			err = db_batch_run(batch);
		*answers = batch;
	}
	return err;
}

/* Who asks? Only keys that were not seen within the last second cost a round trip. Returns how many
   are left in reqs. */
static size_t authenticate(struct crew *c, struct arena *arena, struct request **reqs, size_t n)
{
	const struct db_batch *answers = NULL;
	bool asked[BATCH_MAX] = { false };
	size_t left = 0, questions = 0;
	enum err err = ERR_OK;

	for (size_t i = 0; i < n; i++) {
		const enum err e = auth_begin(reqs[i], &asked[left]);

		if (e) {
			finish(reqs[i], e);
			continue;
		}
		questions += asked[left];
		reqs[left++] = reqs[i];
	}
	if (questions)
		err = look_up(c, arena, reqs, left, asked, &answers);
	n = left;
	left = 0;
	for (size_t i = 0; i < n; i++) {
		const enum err e = !asked[i] ? ERR_OK : err ? err : auth_loaded(reqs[i], answers);

		if (e)
			finish(reqs[i], e);
		else
			reqs[left++] = reqs[i];
	}
	return left;
}

static size_t parse(struct request **reqs, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		enum err e = dispatch_check(reqs[i]);

		if (!e && reqs[i]->route->op->parse)
			e = reqs[i]->route->op->parse(reqs[i]);
		if (e)
			finish(reqs[i], e);
		else
			reqs[left++] = reqs[i];
	}
	return left;
}

/* Moves to the front those that may be together: at most one per person and call. */
static size_t distinct(struct request **reqs, size_t n)
{
	const char *keys[BATCH_MAX];
	size_t front = 0;

	for (size_t i = 0; i < n; i++) {
		struct request *req = reqs[i];
		const char *key = req->route->op->key ? req->route->op->key(req) : NULL;
		bool taken = false;

		for (size_t j = 0; key && j < front; j++)
			taken = taken || (keys[j] && !strcmp(keys[j], key));
		if (taken)
			continue;
		memmove(&reqs[front + 1], &reqs[front], (i - front) * sizeof(*reqs));
		reqs[front] = req;
		keys[front++] = key;
	}
	return front;
}

/* load; the elements that cannot be loaded leave. */
static bool load(struct crew *c, struct db_batch *batch, struct request **reqs, size_t n)
{
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; i < n && !err; i++)
		if (reqs[i]->route->op->load)
			err = reqs[i]->route->op->load(reqs[i], batch, reqs[i]->stale > 0);
	if (!err)
		err = db_batch_run(batch);
	if (!err)
		return true;
	db_batch_abandon(batch);
	all_alone(c, reqs, n, err, false);
	return false;
}

/* load and decide; the elements that fail leave. Nobody is refused for what was only remembered: such
   an element is loaded and decided again. */
static size_t prepare(struct crew *c, struct arena *arena, struct request **reqs, size_t n)
{
	struct db_batch *batch = db_batch_new(c->db, arena, false);
	struct request *again[BATCH_MAX];
	size_t left = 0, stale = 0;

	if (!load(c, batch, reqs, n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct emergency_op *op = reqs[i]->route->op;
		enum err e = op->loaded ? op->loaded(reqs[i], batch) : ERR_OK;

		if (!e && op->decide)
			e = op->decide(reqs[i]);
		if (e == ERR_RETRY && !reqs[i]->stale) {
			reqs[i]->stale++;
			again[stale++] = reqs[i];
		} else if (e) {
			finish(reqs[i], e);
		} else {
			reqs[left++] = reqs[i];
		}
	}
	if (stale) {
		metric_add(c->app->metrics, METRIC_STALE, (int64_t)stale);
		stale = prepare(c, arena, again, stale);
		memcpy(reqs + left, again, stale * sizeof(struct request *));
	}
	return left + stale;
}

/* store and commit; returns how many were stale (now at the front of reqs). */
static size_t store(struct crew *c, struct arena *arena, struct request **reqs, size_t n)
{
	struct db_batch *batch = db_batch_new(c->db, arena, true);
	size_t stale = 0;
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; i < n && !err; i++)
		err = reqs[i]->route->op->store(reqs[i], batch, false);
	if (!err)
		err = db_batch_run(batch);
	if (err) {
		db_batch_abandon(batch);
		all_alone(c, reqs, n, err, true);
		return 0;
	}
	metric_add(c->app->metrics, METRIC_BATCHES, 1);
	metric_add(c->app->metrics, METRIC_BATCH_ELEMENTS, (int64_t)n);
	delivery_wake(c->app->delivery);
	for (size_t i = 0; i < n; i++) {
		enum stored stored = STORED;
		const enum err e = reqs[i]->route->op->stored(reqs[i], batch, &stored);

		if (e || stored == STORED) {
			finish(reqs[i], e);
		} else if (stored == STORED_STALE && ++reqs[i]->stale < 2) {
			metric_add(c->app->metrics, METRIC_STALE, 1);
			reqs[stale++] = reqs[i];
		} else {
			c->to_alone(c->arg, reqs[i]);
		}
	}
	return stale;
}

void emergency_batch(struct app *app, struct db *db, struct request **batch, size_t n,
		     void (*to_alone)(void *arg, struct request *), void *arg)
{
	struct crew c = { .app = app, .db = db, .to_alone = to_alone, .arg = arg };
	struct arena *arena = arena_new();

	if (!arena) {
		finish_all(batch, n, ERR_UNAVAILABLE);
		return;
	}
	n = authenticate(&c, arena, batch, n);
	n = parse(batch, n);
	while (n) {
		const size_t together = distinct(batch, n);
		size_t part = together;

		while (part) {
			part = prepare(&c, arena, batch, part);
			part = part ? store(&c, arena, batch, part) : 0;
			arena_reset(arena);
		}
		n -= together;
		memmove(batch, batch + together, n * sizeof(*batch));
	}
	arena_free(arena);
}

/* One attempt in one transaction that waits for locks. *again: worth another. */
static enum err attempt(struct app *app, struct db *db, struct request *req, struct arena *arena,
			bool *again)
{
	const struct emergency_op *op = req->route->op;
	struct db_batch *load = db_batch_new(db, arena, false);
	struct db_batch *save = db_batch_new(db, arena, false);
	const char *tenant = req->tenant;
	enum stored stored = STORED;
	enum err err = load && save ? db_begin(db, req->tenant, true) : ERR_UNAVAILABLE;

	*again = false;
	if (!err && req->stale >= 2)
		err = db_exec(db, arena, &share_tenant, &tenant, NULL);
	if (!err && op->load)
		err = op->load(req, load, true);
	if (!err)
		err = db_batch_run(load);
	if (err)
		db_batch_abandon(load);
	*again = err != ERR_OK;
	if (!err && op->loaded)
		err = op->loaded(req, load);
	if (!err && op->decide)
		err = op->decide(req);
	if (err)
		return err;
	err = op->store(req, save, true);
	if (!err)
		err = db_batch_run(save);
	if (err)
		db_batch_abandon(save);
	*again = err != ERR_OK;
	if (!err)
		err = op->stored(req, save, &stored);
	if (!err && stored == STORED) {
		err = db_commit(db);
		*again = err != ERR_OK;
		req->rerun = true;
		req->unknown = req->unknown || err == ERR_OUTCOME_UNKNOWN;
	} else if (!err) {
		req->stale++;
		*again = true;
		err = ERR_RETRY;
		metric_add(app->metrics, METRIC_STALE, 1);
	}
	return err;
}

void emergency_alone(struct app *app, struct db *db, struct request *req)
{
	struct arena *arena = arena_new();
	enum err err = arena ? ERR_OK : ERR_UNAVAILABLE;
	bool again = arena != NULL;

	metric_add(app->metrics, METRIC_ALONE, 1);
	for (int i = 0; i < ALONE_ATTEMPTS && again; i++) {
		req->n_errors = 0;
		err = attempt(app, db, req, arena, &again);
		if (err)
			db_rollback(db);
		arena_reset(arena);
		if (!err || !db_health_up(app->health) || dispatch_age_ns(req) > ALONE_NS)
			break;
	}
	arena_free(arena);
	if (!err) {
		delivery_wake(app->delivery);
		return;
	}
	if (again)
		err = req->unknown	    ? ERR_OUTCOME_UNKNOWN
		      : err == ERR_INTERNAL ? err
					    : ERR_UNAVAILABLE;
	dispatch_fail(req, err);
}
