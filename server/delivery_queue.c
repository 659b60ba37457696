#include "delivery_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "crypto.h"
#include "log.h"
#include "metrics.h"
#include "schedule.h"

/* An endpoint that fails may hang for the whole time of a transfer: it gets few transfers, and all of
   them together leave room for those that work. */
#define PER_ENDPOINT 16
#define PER_FAILING 4
#define FAILING_MAX (FLYING_MAX / 2)
#define TAKE_MAX 64
/* All emails go to one server: few are taken at once, so that another process may take others. */
#define MAILS_MAX 16
/* After a loss of the database the others need a moment to take their locks again. */
#define GRACE_MS 1000

static const struct db_stmt find_deliveries = {
	"find_deliveries",
	"SELECT tenant_id, id, recipient_id, claimed_by, failing, channel FROM lookup_notifications_1("
	"$1::integer, $2::boolean, $3::uuid[], $4::uuid[], $5::integer, $7::integer, $8::integer)"
	" UNION ALL SELECT tenant_id, id, endpoint_id, claimed_by, failing, NULL FROM lookup_deliveries_1("
	"$1::integer, $2::boolean, $3::uuid[], $4::uuid[], $5::integer, $6::integer)",
	8,
};
static const struct db_stmt claim_delivery = {
	"claim_delivery",
	"SELECT outcome, url, secret_sealed, payload_format, event_id, payload, request_id, traceparent,"
	" sent_epoch, presence, failures, NULL"
	" FROM claim_delivery_1($1::uuid, $2::uuid, $3::integer, $4::integer)",
	4,
};
static const struct db_stmt finish_delivery = {
	"finish_delivery",
	"SELECT finish_delivery_1($1::uuid, $2::uuid, $3::integer, $4::integer, $5, $6::integer)",
	6,
};

static const struct db_stmt claim_notification = {
	"claim_notification",
	"SELECT outcome, url, secret_sealed, payload_format, event_id, payload, request_id, traceparent,"
	" sent_epoch, presence, failures, subject"
	" FROM claim_notification_1($1::uuid, $2::uuid, $3::integer, $4::integer)",
	4,
};
static const struct db_stmt finish_notification = {
	"finish_notification",
	"SELECT finish_notification_1($1::uuid, $2::uuid, $3::integer, $4::integer, $5, $6::integer)",
	6,
};

enum { F_TENANT_ID, F_ID, F_ENDPOINT_ID, F_CLAIMED_BY, F_FAILING, F_CHANNEL };
enum {
	C_OUTCOME,
	C_URL,
	C_SECRET,
	C_FORMAT,
	C_EVENT,
	C_PAYLOAD,
	C_REQUEST,
	C_TRACE,
	C_EPOCH,
	C_PRESENCE,
	C_FAILURES,
	C_SUBJECT
};

/* --- life ------------------------------------------------------------------------------------------ */

bool queue_open(struct delivery_queue *q, struct app *app)
{
	q->app = app;
	snprintf(q->instance, sizeof(q->instance), "%ld", (long)app->instance);
	q->db = db_new(app->config->database_url, app->health, "delivery");
	q->arena = arena_new();
	return q->db && q->arena;
}

void queue_close(struct delivery_queue *q)
{
	db_free(q->db);
	arena_free(q->arena);
}

enum err queue_lock(struct delivery_queue *q)
{
	bool got = false;
	enum err err;

	if (q->locked && db_connected(q->db))
		return ERR_OK;
	q->locked = false;
	err = db_instance_lock(q->db, q->app->instance, &got);
	if (err || !got)
		return err ? err : ERR_LOCKED;
	if (q->was_locked)
		q->orphans_from = clock_ms() + GRACE_MS;
	q->locked = q->was_locked = true;
	return ERR_OK;
}

/* The database, not one statement: whatever follows would fail too. */
static bool is_lost(enum err err)
{
	return err == ERR_UNAVAILABLE || err == ERR_OUTCOME_UNKNOWN;
}

/* --- taking ---------------------------------------------------------------------------------------- */

static size_t in_use(const struct delivery_queue *q, const char *endpoint, bool failing_only)
{
	size_t n = 0;

	for (size_t i = 0; i < FLYING_MAX; i++) {
		const struct attempt *a = &q->attempts[i];

		n += a->state != ATTEMPT_FREE && (!failing_only || a->failing) &&
		     (!endpoint || !strcmp(a->endpoint, endpoint));
	}
	return n;
}

static size_t notifications_in_use(const struct delivery_queue *q)
{
	size_t n = 0;

	for (size_t i = 0; i < FLYING_MAX; i++)
		n += q->attempts[i].state != ATTEMPT_FREE && q->attempts[i].kind != TO_ENDPOINT;
	return n;
}

static size_t mails_in_use(const struct delivery_queue *q)
{
	size_t n = 0;

	for (size_t i = 0; i < FLYING_MAX; i++)
		n += q->attempts[i].state != ATTEMPT_FREE && q->attempts[i].kind == TO_MAILBOX;
	return n;
}

/* '{id,...}' of the attempts in use, or of the endpoints that have enough of them. NULL: no memory. */
static const char *id_list(struct delivery_queue *q, bool endpoints)
{
	char *list = arena_alloc(q->arena, FLYING_MAX * UUID_TEXT + 3), *at = list;

	if (!list)
		return NULL;
	*at++ = '{';
	for (size_t i = 0; i < FLYING_MAX; i++) {
		const struct attempt *a = &q->attempts[i];
		const char *id = endpoints ? a->endpoint : a->id;

		if (a->state == ATTEMPT_FREE ||
		    (endpoints && in_use(q, id, false) < (a->failing ? PER_FAILING : PER_ENDPOINT)))
			continue;
		if (at > list + 1)
			*at++ = ',';
		memcpy(at, id, UUID_TEXT - 1);
		at += UUID_TEXT - 1;
	}
	*at++ = '}';
	*at = '\0';
	return list;
}

/* Notifications first, up to half of all there is room for: recipients that hang hold up no webhook. */
static enum err find(struct delivery_queue *q, bool orphans, size_t room, struct db_result **found)
{
	const size_t notifications = notifications_in_use(q);
	const size_t share = notifications < FLYING_MAX / 2 ? FLYING_MAX / 2 - notifications : 0;
	char each[16], limit[16], half[16], mails[16];
	const char *const params[] = { q->instance,
				       orphans ? "true" : "false",
				       id_list(q, false),
				       id_list(q, true),
				       each,
				       limit,
				       half,
				       mails };

	if (!params[2] || !params[3])
		return ERR_UNAVAILABLE;
	snprintf(each, sizeof(each), "%d", PER_ENDPOINT);
	snprintf(limit, sizeof(limit), "%zu", room);
	snprintf(half, sizeof(half), "%zu", share < room ? share : room);
	snprintf(mails, sizeof(mails), "%zu", MAILS_MAX - mails_in_use(q));
	return db_exec(q->db, q->arena, &find_deliveries, params, found);
}

static enum attempt_kind kind_of(const char *channel)
{
	if (!channel)
		return TO_ENDPOINT;
	return strcmp(channel, "email") ? TO_RECIPIENT : TO_MAILBOX;
}

/* A free attempt for what was found; NULL: its endpoint, or the failing ones together, have enough.
   Reserved by its state until the claim has answered. */
static struct attempt *reserve(struct delivery_queue *q, const struct db_result *found, int row)
{
	const char *endpoint = db_value(found, row, F_ENDPOINT_ID);
	const bool failing = db_true(found, row, F_FAILING);

	if (in_use(q, endpoint, false) >= (failing ? PER_FAILING : PER_ENDPOINT) ||
	    (failing && in_use(q, NULL, true) >= FAILING_MAX))
		return NULL;
	for (size_t i = 0; i < FLYING_MAX; i++) {
		struct attempt *a = &q->attempts[i];

		if (a->state != ATTEMPT_FREE)
			continue;
		*a = (struct attempt){ .state = ATTEMPT_FLYING, .failing = failing, .error = "" };
		a->kind = kind_of(db_value(found, row, F_CHANNEL));
		a->retry_after = -1;
		snprintf(a->tenant, sizeof(a->tenant), "%s", db_value(found, row, F_TENANT_ID));
		snprintf(a->id, sizeof(a->id), "%s", db_value(found, row, F_ID));
		snprintf(a->endpoint, sizeof(a->endpoint), "%s", endpoint);
		return a;
	}
	return NULL;
}

struct candidate {
	struct attempt *attempt;
	const char *seen;		/* its claim when it was found */
	const struct db_result *answer; /* of the claim; NULL: none */
};

static enum err claim(struct delivery_queue *q, struct candidate *candidates, size_t n)
{
	struct db_batch *batch = db_batch_new(q->db, q->arena, true);
	size_t slots[TAKE_MAX];
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; i < n && !err; i++) {
		const struct attempt *a = candidates[i].attempt;
		const char *const params[] = { a->tenant, a->id, q->instance, candidates[i].seen };

		err = db_batch_tenant(batch, a->tenant);
		if (!err)
			err = db_batch_add(batch,
					   a->kind == TO_ENDPOINT ? &claim_delivery
								  : &claim_notification,
					   params, &slots[i]);
	}
	if (!err)
		err = db_batch_run(batch);
	for (size_t i = 0; i < n && !err; i++)
		candidates[i].answer = db_batch_result(batch, slots[i]);
	return err;
}

/* True: it is to be sent. Otherwise its place is free again. */
static bool take_message(struct attempt *a, const struct db_result *r, struct message *m,
			 bool *moved)
{
	const char *outcome = r ? db_value(r, 0, C_OUTCOME) : "gone";

	/* "gone" is the only outcome that leaves it to be found again as it is. */
	if (strcmp(outcome, "gone") != 0)
		*moved = true;
	if (strcmp(outcome, "send") != 0) {
		a->state = ATTEMPT_FREE;
		return false;
	}
	a->presence = db_true(r, 0, C_PRESENCE);
	a->failures = (int)strtol(db_value(r, 0, C_FAILURES), NULL, 10);
	m->attempt = a;
	m->url = db_value(r, 0, C_URL);
	m->subject = db_value(r, 0, C_SUBJECT);
	m->secret_sealed = db_value(r, 0, C_SECRET);
	m->format = db_value(r, 0, C_FORMAT);
	m->event_id = db_value(r, 0, C_EVENT);
	m->payload = db_value(r, 0, C_PAYLOAD);
	m->request_id = db_value(r, 0, C_REQUEST);
	m->traceparent = db_value(r, 0, C_TRACE);
	m->sent_epoch = strtoll(db_value(r, 0, C_EPOCH), NULL, 10);
	return true;
}

enum err queue_take(struct delivery_queue *q, bool orphans, struct message *messages, size_t room,
		    size_t *n, bool *more)
{
	struct candidate candidates[TAKE_MAX] = { 0 };
	struct db_result *found = NULL;
	const size_t used = in_use(q, NULL, false);
	size_t taken = 0;
	enum err err;

	*n = 0;
	*more = false;
	room = room > TAKE_MAX ? TAKE_MAX : room;
	room = room > FLYING_MAX - used ? FLYING_MAX - used : room;
	if (!room)
		return ERR_OK;
	err = find(q, orphans && clock_ms() >= q->orphans_from, room, &found);
	for (int row = 0; !err && row < db_rows(found) && taken < room; row++) {
		candidates[taken].seen = db_value(found, row, F_CLAIMED_BY);
		candidates[taken].attempt = reserve(q, found, row);
		taken += candidates[taken].attempt != NULL;
	}
	if (!err && taken)
		err = claim(q, candidates, taken);
	/* One that the database does not like must not keep back the others. */
	for (size_t i = 0; err && i < taken && taken > 1 && !is_lost(err); i++) {
		const enum err one = claim(q, &candidates[i], 1);

		err = is_lost(one) ? one : err;
	}
	for (size_t i = 0; i < taken; i++)
		*n += take_message(candidates[i].attempt, candidates[i].answer, &messages[*n],
				   more);
	return err;
}

/* --- recording ------------------------------------------------------------------------------------- */

static enum err add_finish(struct delivery_queue *q, struct db_batch *batch,
			   const struct attempt *a, size_t *slot)
{
	char status[16], seconds[16];
	uint32_t random = 0;
	int next;
	enum err err = db_batch_tenant(batch, a->tenant);

	/* Without randomness there is no jitter, and nothing else is lost. */
	if (crypto_random(&random, sizeof(random)))
		random = 0;
	next = a->permanent ? -1
			    : schedule_next(a->presence, a->failures + 1, a->retry_after, random);
	snprintf(status, sizeof(status), "%d", a->status);
	snprintf(seconds, sizeof(seconds), "%d", next);
	if (!err) {
		const char *const params[] = { a->tenant,
					       a->id,
					       q->instance,
					       status,
					       *a->error ? a->error : NULL,
					       next < 0 ? NULL : seconds };

		err = db_batch_add(batch,
				   a->kind == TO_ENDPOINT ? &finish_delivery : &finish_notification,
				   params, slot);
	}
	return err;
}

static void log_attempt(const struct attempt *a, const char *state)
{
	const bool to_endpoint = a->kind == TO_ENDPOINT;
	char status[16];

	if (state && !strcmp(state, "delivered"))
		return;
	snprintf(status, sizeof(status), "%d", a->status);
	log_event(LOG_LEVEL_INFO, to_endpoint ? "webhook_failed" : "notification_failed",
		  "tenant_id", a->tenant, to_endpoint ? "endpoint_id" : "recipient_id", a->endpoint,
		  "delivery_id", a->id, "status#", a->status ? status : NULL, "error",
		  *a->error ? a->error : NULL, "state", state, NULL);
}

static enum err record(struct delivery_queue *q, struct attempt *const *attempts, size_t n)
{
	struct db_batch *batch = db_batch_new(q->db, q->arena, true);
	size_t slots[FLYING_MAX];
	enum err err = batch ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; i < n && !err; i++)
		err = add_finish(q, batch, attempts[i], &slots[i]);
	if (!err)
		err = db_batch_run(batch);
	for (size_t i = 0; i < n && !err; i++) {
		const int status = attempts[i]->status;

		log_attempt(attempts[i], db_value(db_batch_result(batch, slots[i]), 0, 0));
		if (status < 200 || status > 299)
			metric_add(q->app->metrics,
				   attempts[i]->kind == TO_ENDPOINT ? METRIC_WEBHOOK_FAILURES
								    : METRIC_NOTIFICATION_FAILURES,
				   1);
		attempts[i]->state = ATTEMPT_FREE;
	}
	return err;
}

/* By tenant, so that its wall is set once; by id, the order in which everybody locks several. */
static int by_place(const void *a, const void *b)
{
	const struct attempt *const *x = a, *const *y = b;
	const int tenant = strcmp((*x)->tenant, (*y)->tenant);

	return tenant ? tenant : strcmp((*x)->id, (*y)->id);
}

enum err queue_record(struct delivery_queue *q, size_t *recorded)
{
	struct attempt *done[FLYING_MAX];
	size_t n = 0;
	enum err err;

	*recorded = 0;
	for (size_t i = 0; i < FLYING_MAX; i++)
		if (q->attempts[i].state == ATTEMPT_DONE)
			done[n++] = &q->attempts[i];
	if (!n)
		return ERR_OK;
	qsort(done, n, sizeof(done[0]), by_place);
	err = record(q, done, n);
	if (!err) {
		*recorded = n;
		return ERR_OK;
	}
	/* One that is locked, or that the database does not like, must not keep back the others. */
	for (size_t i = 0; i < n && n > 1 && !is_lost(err); i++) {
		const enum err one = record(q, &done[i], 1);

		*recorded += !one;
		err = is_lost(one) ? one : err;
	}
	return *recorded == n ? ERR_OK : err;
}
