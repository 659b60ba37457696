/*
 * READ THIS FIRST: one request, from its route to its reply.
 *
 *   loop.c       reads it and finds its route
 *   dispatch()   on the loop: answers what needs no key, else gives it to its lane
 *   lane         a worker of the ordinary lane calls dispatch_ordinary(); the emergency lane runs
 *                batches of them through emergency.c
 *   both         auth -> dispatch_check() -> handler (or the operation's steps) -> commit -> reply
 *   dispatch_done() gives it back to the loop, which sends req->reply
 */
#include "dispatch.h"

#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "clock.h"
#include "delivery.h"
#include "idempotency.h"
#include "incoming.h"
#include "lane.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "stream.h"
#include "text.h"

#define WAIT_NS 5000000000LL /* for the first request with the same Idempotency-Key */
#define PARK_NS 50000000LL   /* between two looks whether it is done */
#define TRIES 3 /* of a handler that met a serialization failure, a deadlock or a lost connection */

int64_t dispatch_age_ns(const struct request *req)
{
	return clock_ns() - req->received_ns;
}

void dispatch_fail(struct request *req, enum err e)
{
	if (e == ERR_RETRY || e == ERR_LOCKED)
		e = ERR_UNAVAILABLE;
	if (e == ERR_INTERNAL)
		log_event(LOG_LEVEL_ERROR, "internal_error", "request_id", req->request_id,
			  "operation", req->route ? req->route->operation_id : NULL, "detail",
			  req->detail, NULL);
	reply_problem(req, e);
}

static void account(struct request *req)
{
	char status[12], ms[24];

	metric_add(req->app->metrics, METRIC_REQUESTS, 1);
	if (req->reply.status >= 500)
		metric_add(req->app->metrics, METRIC_REPLIES_5XX, 1);
	snprintf(status, sizeof(status), "%d", req->reply.status);
	snprintf(ms, sizeof(ms), "%.3f", (double)dispatch_age_ns(req) / 1e6);
	log_event(LOG_LEVEL_INFO, "request", "request_id", req->request_id, "method", req->method,
		  "operation", req->route ? req->route->operation_id : NULL, "tenant_id",
		  *req->tenant ? req->tenant : NULL, "key_id",
		  *req->who.key_id ? req->who.key_id : NULL, "status#", status, "ms#", ms, NULL);
}

void dispatch_done(struct request *req)
{
	const bool answered = req->reply.status && !(req->stream && req->stream->abandoned);

	if (answered) /* else it is a piece of one, and more is to come */
		account(req);
	loop_complete(req->app->loop, req);
}

bool dispatch(struct request *req)
{
	enum err e = req->early;

	if (!e && req->route->lane != LANE_NONE) {
		if (lane_submit(req->app->lanes, req))
			return true;
		metric_add(req->app->metrics, METRIC_ORDINARY_SHED, 1);
		e = fail(req, ERR_UNAVAILABLE,
			 "Too many requests are waiting; emergency calls go first.");
	} else if (!e) {
		e = req->route->handler(req);
	} else if (req->early_detail) {
		fail(req, e, "%s", req->early_detail);
	}
	if (e)
		dispatch_fail(req, e);
	account(req);
	return false;
}

static bool is_lenient(enum body_rule rule)
{
	return rule == BODY_LENIENT || rule == BODY_LENIENT_OPTIONAL;
}

static enum err check_type(struct request *req)
{
	const enum body_rule rule = req->route->body;
	const bool optional = rule == BODY_OPTIONAL && !req->body_length;
	const char *type = rule == BODY_PATCH ? "application/merge-patch+json" : "application/json";

	if (rule == BODY_STREAM)
		return stream_takes(req->content_type)
			       ? ERR_OK
			       : fail(req, ERR_UNSUPPORTED_MEDIA_TYPE,
				      "Content-Type must be application/x-ndjson or %s.", type);
	if (is_lenient(rule) || optional || text_is_media_type(req->content_type, type))
		return ERR_OK;
	return fail(req, ERR_UNSUPPORTED_MEDIA_TYPE, "Content-Type must be %s.", type);
}

static enum err check_body(struct request *req)
{
	const enum body_rule rule = req->route->body;
	enum err e;

	if (rule == BODY_NONE)
		return ERR_OK;
	e = check_type(req);
	if (e)
		return e;
	if (req->body_too_large)
		return fail(req, ERR_BODY_TOO_LARGE, "The body is larger than %zu bytes.",
			    req->route->max_body ? req->route->max_body : (size_t)65536);
	if (rule == BODY_STREAM)
		return ERR_OK;
	return request_parse_json(req, rule == BODY_OPTIONAL || rule == BODY_LENIENT_OPTIONAL);
}

/* A key that is left out without a word would let the request be done twice. */
static enum err check_key(struct request *req)
{
	const size_t n = req->idempotency_key ? strlen(req->idempotency_key) : 1;

	if (req->route->lane != LANE_ORDINARY || strcmp(req->route->method, "POST") != 0 ||
	    (n >= 1 && n <= IDEMPOTENCY_KEY_MAX))
		return ERR_OK;
	return fail(req, ERR_BAD_REQUEST, "Idempotency-Key must have 1 to %d characters.",
		    IDEMPOTENCY_KEY_MAX);
}

enum err dispatch_check(struct request *req)
{
	enum err e = auth_scope(req);

	if (!e)
		e = check_body(req);
	if (!e)
		e = check_key(req);
	if (e)
		return e;
	if (!is_lenient(req->route->body))
		return request_parse_query(req, req->route->query);
	/* No emergency call is refused for its query. */
	if (req->query && *req->query)
		fail_member(req, ERR_OK, QUERY_NOTE,
			    "has no parameter that is known; it was left out");
	req->detail = NULL;
	return ERR_OK;
}

static enum err authenticate(struct request *req, struct db *db)
{
	struct db_batch *batch;
	bool todo = false;
	enum err e = auth_begin(req, &todo);

	if (e || !todo)
		return e;
	batch = db_batch_new(db, req->arena, false);
	if (!batch)
		return ERR_UNAVAILABLE;
	e = auth_load(req, batch);
	if (!e)
		e = db_batch_run(batch);
	return e ? e : auth_loaded(req, batch);
}

/* The handler, once per Idempotency-Key. */
static enum err run_once(struct request *req)
{
	uint8_t hash[SHA256_LENGTH];
	bool replayed;
	enum err e;

	if (strcmp(req->route->method, "POST") != 0)
		return req->route->handler(req);
	if ((e = idempotency_hash(req, hash)) || (e = idempotency_begin(req, hash, &replayed)) ||
	    replayed)
		return e;
	e = req->route->handler(req);
	return e ? e : idempotency_keep(req, hash);
}

/* The handler in its transaction. Nothing of a failed one stays. */
static enum err run(struct request *req, struct db *db)
{
	enum err e = db_begin(db, req->tenant, req->route->write);

	if (e)
		return e;
	req->db = db;
	e = run_once(req);
	req->db = NULL;
	if (e)
		db_rollback(db);
	else
		e = db_commit(db);
	return e;
}

/* Who asks, and is it well-formed? Once, also where the request is parked later. */
static enum err admit(struct request *req, struct db *db)
{
	enum err e = ERR_UNAVAILABLE;

	if (req->checked)
		return ERR_OK;
	/* A connection that was lost while idle shows at its first use: once more on a new one. */
	for (int i = 0; i < 2 && e == ERR_UNAVAILABLE && (!i || db_health_up(req->app->health));
	     i++)
		e = authenticate(req, db);
	if (!e)
		e = dispatch_check(req);
	req->checked = !e;
	return e;
}

static enum err run_tries(struct request *req, struct db *db)
{
	const size_t noted = req->n_errors; /* of what a lenient route left out of the body */
	enum err e = ERR_RETRY;

	for (int i = 0; i < TRIES; i++) {
		req->n_errors = noted;
		req->detail = NULL;
		req->problem_extra = NULL;
		memset(&req->reply, 0, sizeof(req->reply));
		e = run(req, db);
		if (e != ERR_RETRY && e != ERR_LOCKED &&
		    (e != ERR_UNAVAILABLE || !db_health_up(req->app->health)))
			break;
	}
	return e;
}

bool dispatch_ordinary(struct request *req, struct db *db)
{
	enum err e;

	if (req->stream && req->stream->abandoned) {
		stream_drop(req, db);
		return true;
	}
	e = admit(req, db);
	if (!e)
		e = req->stream ? stream_run(req, db) : run_tries(req, db);
	if (!e && req->stream && req->stream->more) {
		delivery_wake(req->app->delivery);
		lane_again(req->app->lanes, req);
		return false;
	}
	if (e == ERR_IDEMPOTENCY_IN_PROGRESS && dispatch_age_ns(req) < WAIT_NS &&
	    lane_park(req->app->lanes, req, PARK_NS))
		return false;
	if (e && req->stream)
		stream_drop(req, db);
	if (e)
		dispatch_fail(req, e);
	else if (req->route->write)
		delivery_wake(req->app->delivery);
	return true;
}
