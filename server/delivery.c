/*
 * See delivery.h. One thread, two kinds of round trips: it claims what may be attempted now, and
 * records what attempts came to; both as one transaction of pipelined statements. In between libcurl
 * carries the transfers. Nothing is lost when the database goes: results wait in memory, and what
 * could not be recorded is delivered again under the same webhook-id.
 */
#include "delivery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "crypto.h"
#include "db.h"
#include "log.h"
#include "metrics.h"
#include "outbound.h"
#include "request.h"
#include "schedule.h"
#include "signature.h"

#define CLAIM_MAX 64	  /* deliveries claimed in one transaction */
#define IN_FLIGHT_MAX 512 /* transfers */
#define PER_ENDPOINT \
	16 /* of them to one endpoint, so that a slow one does not hold up the others */
#define POLL_MIN_MS 100
#define POLL_JITTER_MS 150
#define CHEAP_MS 10 /* with a large backlog only the poll looks at all of it */
#define STOP_MS 2000

static const struct db_stmt find_deliveries = {
	"find_deliveries",
	"SELECT * FROM lookup_deliveries_1($1::integer, $2::boolean, $3::integer)", 3
};
static const struct db_stmt claim_delivery = {
	"claim_delivery", "SELECT * FROM claim_delivery_1($1::uuid, $2::uuid, $3::integer)", 3
};
static const struct db_stmt finish_delivery = {
	"finish_delivery",
	"SELECT finish_delivery_1($1::uuid, $2::uuid, $3::integer, $4::integer, $5, $6::integer)", 6
};

/* One attempt, from its claim until it is recorded. */
struct job {
	char tenant[UUID_TEXT], id[UUID_TEXT], endpoint[UUID_TEXT];
	bool presence;
	int attempts;
	struct outbound_result result;
	struct job *next; /* in the list that it is in */
};

struct delivery {
	struct app *app;
	struct db *db;
	struct outbound *outbound;
	struct arena *arena;
	char instance[16];
	bool locked;	     /* the advisory lock is held by this connection */
	struct job *sending; /* with the outbound */
	struct job *done;    /* to be recorded */
	pthread_t thread;
	atomic_bool wake, stop;
	int64_t all_ms; /* how long the last look at all that is due took */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t random_number(void)
{
	uint32_t n = 0;

	/* Without randomness there is no jitter, and nothing else is lost. */
	return crypto_random(&n, sizeof(n)) ? 0 : n;
}

/* --- sending --------------------------------------------------------------------------------------- */

/* Columns of claim_delivery_1. */
enum {
	C_ENDPOINT,
	C_URL,
	C_SECRET,
	C_FORMAT,
	C_EVENT,
	C_PAYLOAD,
	C_REQUEST,
	C_TRACE,
	C_PRESENCE,
	C_ATTEMPTS
};

static const char *unseal(struct delivery *d, const struct job *job, const char *hex)
{
	char *aad = arena_printf(d->arena, "%s/%s", job->tenant, job->endpoint);
	const size_t n = strlen(hex) / 2;
	uint8_t *sealed = arena_alloc(d->arena, n + 1), *plain = NULL;
	size_t length;

	if (!aad || !sealed || !crypto_unhex(hex, sealed, n, &length) ||
	    crypto_unseal(d->arena, d->app->config->secrets_key, aad, sealed, length, &plain,
			  &length))
		return NULL;
	return (const char *)plain;
}

/* Why it could not even be sent; NULL: it is under way. */
static const char *send_job(struct delivery *d, struct job *job, const struct db_result *r)
{
	const char *secret = unseal(d, job, db_value(r, 0, C_SECRET));
	const char *id = db_value(r, 0, C_EVENT), *payload = db_value(r, 0, C_PAYLOAD);
	const char *request = db_value(r, 0, C_REQUEST), *trace = db_value(r, 0, C_TRACE);
	const bool cloud = !strcmp(db_value(r, 0, C_FORMAT), "cloudevents");
	const int64_t now = (int64_t)time(NULL);
	const char *headers[7];
	char *signature = NULL;
	size_t n = 0;

	if (!secret)
		return "the secret cannot be unsealed with SWITCHBACK_SECRETS_KEY";
	if (signature_make(d->arena, secret, id, now, payload, strlen(payload), &signature))
		return "the message cannot be signed";
	headers[n++] = cloud ? "Content-Type: application/cloudevents+json"
			     : "Content-Type: application/json";
	headers[n++] = arena_printf(d->arena, "webhook-id: %s", id);
	headers[n++] = arena_printf(d->arena, "webhook-timestamp: %lld", (long long)now);
	headers[n++] = arena_printf(d->arena, "webhook-signature: %s", signature);
	if (request)
		headers[n++] = arena_printf(d->arena, "X-Request-Id: %s", request);
	if (trace)
		headers[n++] = arena_printf(d->arena, "traceparent: %s", trace);
	headers[n] = NULL;
	for (size_t i = 0; i < n; i++)
		if (!headers[i])
			return "out of memory";
	metric_add(d->app->metrics, METRIC_WEBHOOK_ATTEMPTS, 1);
	if (!outbound_post(d->outbound, db_value(r, 0, C_URL), headers, payload, strlen(payload),
			   job))
		return "the URL is not one that webhooks may reach";
	return NULL;
}

static void begin_job(struct delivery *d, const char *tenant, const char *id,
		      const struct db_result *r)
{
	struct job *job = calloc(1, sizeof(*job));
	const char *why;

	if (!job)
		return; /* its claim lapses, and it is found again */
	snprintf(job->tenant, sizeof(job->tenant), "%s", tenant);
	snprintf(job->id, sizeof(job->id), "%s", id);
	snprintf(job->endpoint, sizeof(job->endpoint), "%s", db_value(r, 0, C_ENDPOINT));
	job->presence = db_true(r, 0, C_PRESENCE);
	job->attempts = (int)strtol(db_value(r, 0, C_ATTEMPTS), NULL, 10);
	why = send_job(d, job, r);
	job->result.error = "";
	if (why) {
		job->result.error = why;
		job->result.retry_after = -1;
	}
	job->next = why ? d->done : d->sending;
	*(why ? &d->done : &d->sending) = job;
}

/* --- claiming -------------------------------------------------------------------------------------- */

static size_t to_endpoint(const struct delivery *d, const char *endpoint)
{
	size_t n = 0;

	for (const struct job *j = d->sending; j; j = j->next)
		n += !strcmp(j->endpoint, endpoint);
	return n;
}

/* The lock tells the others that our claims stand. It is gone with the connection. */
static enum err hold_lock(struct delivery *d)
{
	bool got = false;
	enum err err;

	if (db_connected(d->db) && d->locked)
		return ERR_OK;
	err = db_instance_lock(d->db, d->app->instance, &got);
	d->locked = !err && got;
	return err ? err : got ? ERR_OK : ERR_LOCKED;
}

static enum err claim_found(struct delivery *d, const struct db_result *found, int n, int *claimed)
{
	struct db_batch *batch = db_batch_new(d->db, d->arena, true);
	size_t slots[CLAIM_MAX];
	bool asked[CLAIM_MAX] = { false };
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (int i = 0; i < n && !err; i++) {
		const char *const params[] = { db_value(found, i, 0), db_value(found, i, 1),
					       d->instance };

		asked[i] = to_endpoint(d, db_value(found, i, 2)) < PER_ENDPOINT;
		if (!asked[i])
			continue;
		err = db_batch_tenant(batch, params[0]);
		if (!err)
			err = db_batch_add(batch, &claim_delivery, params, &slots[i]);
	}
	if (!err)
		err = db_batch_run(batch);
	else
		db_batch_abandon(batch);
	for (int i = 0; i < n && !err; i++) {
		const struct db_result *r = asked[i] ? db_batch_result(batch, slots[i]) : NULL;

		if (!r || !db_rows(r))
			continue;
		++*claimed;
		begin_job(d, db_value(found, i, 0), db_value(found, i, 1), r);
	}
	return err;
}

/* Claims what may go now: all that is due, or only what was just committed. *more: there may be
   further ones at once. */
static enum err claim(struct delivery *d, bool all, bool *more)
{
	const int64_t begun = now_ms();
	const size_t room = IN_FLIGHT_MAX - outbound_in_flight(d->outbound);
	char limit[16];
	const char *const params[] = { d->instance, all ? "true" : "false", limit };
	struct db_result *found = NULL;
	enum err err;
	int n, claimed = 0;

	*more = false;
	if (outbound_in_flight(d->outbound) >= IN_FLIGHT_MAX)
		return ERR_OK;
	err = hold_lock(d);
	snprintf(limit, sizeof(limit), "%zu", room < CLAIM_MAX ? room : (size_t)CLAIM_MAX);
	if (!err)
		err = db_exec(d->db, d->arena, &find_deliveries, params, &found);
	if (err)
		return err;
	if (all)
		d->all_ms = now_ms() - begun;
	n = db_rows(found);
	if (n)
		err = claim_found(d, found, n, &claimed);
	*more = n == CLAIM_MAX && claimed > 0;
	return err;
}

/* --- recording ------------------------------------------------------------------------------------- */

static enum err record_job(struct delivery *d, struct db_batch *batch, const struct job *job)
{
	const struct outbound_result *r = &job->result;
	const int next =
		schedule_next(job->presence, job->attempts, r->retry_after, random_number());
	char status[16], seconds[16];
	const char *const params[] = { job->tenant,
				       job->id,
				       d->instance,
				       r->status ? status : NULL,
				       *r->error ? r->error : NULL,
				       next < 0 ? NULL : seconds };
	enum err err = db_batch_tenant(batch, job->tenant);

	snprintf(status, sizeof(status), "%d", r->status);
	snprintf(seconds, sizeof(seconds), "%d", next);
	return err ? err : db_batch_add(batch, &finish_delivery, params, NULL);
}

static bool succeeded(const struct job *job)
{
	return job->result.status >= 200 && job->result.status < 300;
}

static enum err record_list(struct delivery *d, const struct job *jobs, size_t n)
{
	struct db_batch *batch = db_batch_new(d->db, d->arena, true);
	enum err err = batch ? hold_lock(d) : ERR_UNAVAILABLE;

	for (const struct job *j = jobs; j && n && !err; j = j->next, n--)
		err = record_job(d, batch, j);
	if (!err)
		err = db_batch_run(batch);
	else
		db_batch_abandon(batch);
	return err;
}

static void forget_first(struct delivery *d)
{
	struct job *job = d->done;

	if (!succeeded(job))
		metric_add(d->app->metrics, METRIC_WEBHOOK_FAILURES, 1);
	d->done = job->next;
	free(job);
}

/* All at once; where that fails for another reason than the database's absence, one by one, so that
   none holds up the others: its claim lapses, and it is delivered again. */
static enum err record_done(struct delivery *d)
{
	enum err err = record_list(d, d->done, SIZE_MAX);

	if (!err) {
		while (d->done)
			forget_first(d);
		return ERR_OK;
	}
	while (d->done && err != ERR_UNAVAILABLE && err != ERR_OUTCOME_UNKNOWN) {
		err = record_list(d, d->done, 1);
		if (err == ERR_UNAVAILABLE || err == ERR_OUTCOME_UNKNOWN)
			return err;
		if (err)
			log_event(LOG_LEVEL_ERROR, "delivery_not_recorded", "delivery_id",
				  d->done->id, NULL);
		forget_first(d);
		err = ERR_OK;
	}
	return err;
}

static void collect(struct delivery *d)
{
	struct outbound_result r;

	while (outbound_next(d->outbound, &r)) {
		struct job *job = r.tag, **at = &d->sending;

		while (*at && *at != job)
			at = &(*at)->next;
		if (*at)
			*at = job->next;
		job->result = r;
		job->next = d->done;
		d->done = job;
	}
}

/* --- the thread ------------------------------------------------------------------------------------ */

static void *delivery_main(void *arg)
{
	struct delivery *d = arg;
	int64_t poll_at = 0, stop_at = 0;
	bool more = true, all = true;

	for (;;) {
		const bool stopping = atomic_load(&d->stop);
		const bool due = now_ms() >= poll_at;
		enum err err = ERR_OK;
		int64_t wait;

		if (d->done) {
			err = record_done(d);
			/* The next of that person may go, however old it is. */
			all = all || (!err && d->all_ms < CHEAP_MS);
		}
		if (stopping && !stop_at)
			stop_at = now_ms() + STOP_MS;
		if (stopping && (!d->sending || now_ms() > stop_at) && (!d->done || err))
			return NULL;
		if (!stopping && !err && (atomic_exchange(&d->wake, false) || more || all || due)) {
			err = claim(d, all || due, &more);
			all = more;
		}
		if (due || err)
			poll_at = now_ms() + POLL_MIN_MS + random_number() % POLL_JITTER_MS;
		more = more && !err;
		arena_reset(d->arena);
		wait = more || atomic_load(&d->wake) ? 0 : poll_at - now_ms();
		if (err)
			wait = POLL_MIN_MS;
		outbound_run(d->outbound, wait > 0 ? (int)wait : 0);
		collect(d);
	}
}

static void delivery_free(struct delivery *d)
{
	struct job *job;

	outbound_free(d->outbound);
	while ((job = d->sending)) {
		d->sending = job->next;
		free(job);
	}
	while ((job = d->done)) {
		d->done = job->next;
		free(job);
	}
	db_free(d->db);
	arena_free(d->arena);
	free(d);
}

struct delivery *delivery_start(struct app *app)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->app = app;
	snprintf(d->instance, sizeof(d->instance), "%ld", (long)app->instance);
	d->db = db_new(app->config->database_url, app->health, "delivery");
	d->outbound = outbound_new(app->config);
	d->arena = arena_new();
	if (d->db && d->outbound && d->arena && !hold_lock(d) &&
	    !pthread_create(&d->thread, NULL, delivery_main, d))
		return d;
	log_event(LOG_LEVEL_ERROR, "delivery_not_started", "instance#", d->instance, NULL);
	delivery_free(d);
	return NULL;
}

void delivery_wake(struct delivery *d)
{
	atomic_store(&d->wake, true);
	outbound_wake(d->outbound);
}

void delivery_stop(struct delivery *d)
{
	if (!d)
		return;
	atomic_store(&d->stop, true);
	outbound_wake(d->outbound);
	pthread_join(d->thread, NULL);
	delivery_free(d);
}
