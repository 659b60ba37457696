/*
 * See sweep.h. Slices of 200, each element in a transaction of its own tenant; what is locked by
 * somebody else is left for the next round, so that the sweeper never delays a call.
 */
#include "sweep.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth.h"
#include "config.h"
#include "db.h"
#include "delivery.h"
#include "log.h"
#include "metrics.h"

#define EVERY_MS 1000 /* well under the 5 s within which whatever is due is done (api.md 4) */
#define SLICE 200

struct sweep {
	struct app *app;
	struct db *db;
	struct arena *arena;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stop; /* under the mutex */
};

static const struct db_stmt find_due = {
	"find_due", "SELECT kind, tenant_id, id FROM lookup_due_1($1::integer)", 1
};
static const struct db_stmt sweep_one = { "sweep_one",
					  "SELECT sweep_1($1, $2::uuid, $3::uuid, $4::integer)",
					  4 };

static const struct db_stmt key_used = {
	"key_used",
	"UPDATE api_keys SET last_used_at = now() WHERE tenant_id = $1::uuid AND id = $2::uuid"
	" AND (last_used_at IS NULL OR last_used_at < now() - interval '10 s')",
	2
};

/* What is kept until a time, then forgotten: whose tenants have such, and a slice of one tenant's. */
static const struct {
	const char *what; /* for the log */
	struct db_stmt find, forget;
} kept[] = {
	{ "answers kept for retries",
	  { "find_old_answers", "SELECT tenant_id FROM lookup_old_answers_1($1::integer)", 1 },
	  { "forget_old_answers",
	    "DELETE FROM idempotency_keys k WHERE k.tenant_id = $1 AND k.key_hash IN ("
	    "SELECT o.key_hash FROM idempotency_keys o WHERE o.tenant_id = $1"
	    " AND o.created_at < now() - interval '24 hours' LIMIT 200 FOR UPDATE SKIP LOCKED)",
	    1 } },
	{ "locations of users",
	  { "find_left_locations", "SELECT tenant_id FROM lookup_left_locations_1($1::integer)",
	    1 },
	  { "forget_left_locations",
	    "DELETE FROM user_locations l WHERE l.tenant_id = $1 AND l.user_id IN ("
	    "SELECT o.user_id FROM user_locations o WHERE o.tenant_id = $1"
	    " AND o.expires_at <= now() LIMIT 200 FOR UPDATE SKIP LOCKED)",
	    1 } },
};

/* Elements [from, to) of what is due, in one transaction; *done counts those that were done. */
static enum err sweep_range(struct sweep *s, const struct db_result *due, int from, int to,
			    int *done)
{
	struct db_batch *batch = db_batch_new(s->db, s->arena, true);
	size_t slots[3 * SLICE];
	char instance[16];
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	snprintf(instance, sizeof(instance), "%ld", (long)s->app->instance);
	for (int i = from; i < to && !err; i++) {
		const char *const params[] = { db_value(due, i, 0), db_value(due, i, 1),
					       db_value(due, i, 2), instance };

		err = db_batch_tenant(batch, params[1]);
		if (!err)
			err = db_batch_add(batch, &sweep_one, params, &slots[i]);
	}
	if (!err)
		err = db_batch_run(batch);
	for (int i = from; i < to && !err; i++)
		*done += db_true(db_batch_result(batch, slots[i]), 0, 0);
	return err;
}

/* One that cannot be done must not keep the others from being done. */
static int sweep_slice(struct sweep *s, const struct db_result *due, int n)
{
	int done = 0;
	enum err err = sweep_range(s, due, 0, n, &done);

	for (int i = 0; i < n && err && err != ERR_UNAVAILABLE && err != ERR_OUTCOME_UNKNOWN; i++)
		if (sweep_range(s, due, i, i + 1, &done) == ERR_INTERNAL)
			log_event(LOG_LEVEL_ERROR, "not_swept", "kind", db_value(due, i, 0), "id",
				  db_value(due, i, 2), NULL);
	if (done) {
		metric_add(s->app->metrics, METRIC_SWEPT, done);
		delivery_wake(s->app->delivery);
	}
	return done;
}

/* Goes on while full slices come back and something of them could be done. */
static void sweep_all(struct sweep *s)
{
	const char *const params[] = { "200" };
	struct db_result *due = NULL;
	int n, done;

	do {
		arena_reset(s->arena);
		if (db_exec(s->db, s->arena, &find_due, params, &due))
			return;
		n = db_rows(due);
		done = n ? sweep_slice(s, due, n) : 0;
	} while (done && n >= SLICE);
	arena_reset(s->arena);
}

/* When keys were last used: to within a few seconds, and off every request's path. */
static void note_used_keys(struct sweep *s)
{
	struct used_key keys[SLICE];
	const size_t n = auth_used(s->app->auth, keys, SLICE);
	struct db_batch *batch = n ? db_batch_new(s->db, s->arena, true) : NULL;
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; i < n && !err; i++) {
		const char *const params[] = { keys[i].tenant, keys[i].id };

		err = db_batch_tenant(batch, params[0]);
		if (!err)
			err = db_batch_add(batch, &key_used, params, NULL);
	}
	if (!err)
		err = db_batch_run(batch);
	/* Lost if it fails: the next use notes it again. */
	if (n && err)
		log_event(LOG_LEVEL_WARN, "key_use_not_noted", NULL);
	arena_reset(s->arena);
}

/* A slice of each tenant's a round. What could not be forgotten is found again by the next one. */
static void forget(struct sweep *s, size_t kind)
{
	struct db_batch *batch;
	struct db_result *tenants = NULL;
	enum err err = db_exec(s->db, s->arena, &kept[kind].find, (const char *const[]){ "200" },
			       &tenants);
	const int n = err ? 0 : db_rows(tenants);

	batch = n ? db_batch_new(s->db, s->arena, true) : NULL;
	for (int i = 0; i < n && batch && !err; i++) {
		const char *const params[] = { db_value(tenants, i, 0) };

		err = db_batch_tenant(batch, params[0]);
		if (!err)
			err = db_batch_add(batch, &kept[kind].forget, params, NULL);
	}
	if (batch && !err)
		err = db_batch_run(batch);
	if (n && (err || !batch))
		log_event(LOG_LEVEL_WARN, "not_forgotten", "what", kept[kind].what, NULL);
	arena_reset(s->arena);
}

static bool wait_next(struct sweep *s)
{
	struct timespec until;
	bool go;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += EVERY_MS / 1000;
	pthread_mutex_lock(&s->mutex);
	while (!s->stop && !pthread_cond_timedwait(&s->wake, &s->mutex, &until))
		;
	go = !s->stop;
	pthread_mutex_unlock(&s->mutex);
	return go;
}

static void *sweep_main(void *arg)
{
	struct sweep *s = arg;

	while (wait_next(s)) {
		sweep_all(s);
		note_used_keys(s);
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			forget(s, i);
	}
	return NULL;
}

static void sweep_free(struct sweep *s)
{
	db_free(s->db);
	arena_free(s->arena);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

struct sweep *sweep_start(struct app *app)
{
	struct sweep *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->app = app;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	s->db = db_new(app->config->database_url, app->health, "sweep");
	s->arena = arena_new();
	if (s->db && s->arena && !pthread_create(&s->thread, NULL, sweep_main, s))
		return s;
	sweep_free(s);
	return NULL;
}

void sweep_stop(struct sweep *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	sweep_free(s);
}
