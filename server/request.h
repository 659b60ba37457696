/*
 * One HTTP request from its first byte to its reply. The loop makes it and sends the reply; in
 * between it belongs to exactly one thread at a time (loop, then the worker of its lane, then loop).
 * Everything it points to lives in its arena.
 */
#ifndef SB_REQUEST_H
#define SB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "app.h"
#include "arena.h"
#include "error.h"
#include "router.h"

struct db;
struct stream;

#define UUID_TEXT 37 /* 36 characters and NUL */
#define MAX_QUERY 16
#define MAX_ERRORS 20

struct name_value {
	const char *name, *value; /* decoded, NUL-terminated */
};

struct member_error {
	const char *pointer; /* RFC 6901 JSON pointer of the member, "" for the body itself */
	const char *detail;  /* the rule that it breaks */
};

struct principal {
	char key_id[UUID_TEXT]; /* "" for the operator key */
	bool operator;		/* SWITCHBACK_OPERATOR_KEY */
	uint32_t scopes;	/* bits of enum scope */
	char tenant[UUID_TEXT]; /* the key's tenant; "" for the operator key */
};

struct reply {
	int status;
	const char *content_type;
	const char *body; /* in the arena or static */
	size_t length;
	const char *location; /* header fields; NULL: absent */
	const char *etag;
	const char *allow;
	bool replay;	  /* Idempotent-Replay: true */
	bool retry_after; /* Retry-After: 1 */
	bool www_authenticate;
};

struct request {
	struct app *app;
	struct arena *arena;
	const struct route *route; /* NULL: no such path, or not by this method */
	struct route_match match;  /* path parameters */

	const char *method;
	const char *target; /* the path as sent, without the query: `instance` of a problem */
	const char *query;  /* as sent, after '?'; NULL: none */
	const char *authorization;
	const char *content_type;
	const char *idempotency_key; /* unquoted; NULL: none */
	const char *if_match, *if_none_match;
	char request_id[129];
	char traceparent[56];

	char *body; /* NUL-terminated */
	size_t body_length;
	bool body_too_large;
	bool complete;	/* all of it has been read */
	enum err early; /* what the loop found: answered in the order of checks */
	const char *early_detail;
	struct stream *stream; /* BODY_STREAM: what has arrived; there is no `body` then */

	struct principal who;
	size_t auth_slot;	/* auth.c: where its look-up stands in the batch */
	char tenant[UUID_TEXT]; /* the tenant of the path (of the number, for a resolution) */
	struct name_value params[MAX_QUERY];
	size_t n_params;
	json_t *json; /* the parsed body, an object; NULL: no body */

	struct db *db; /* ordinary lane: the connection, inside a transaction */
	void *op;      /* emergency lane: what the operation keeps between its steps */

	struct member_error errors[MAX_ERRORS];
	size_t n_errors;
	const char *detail;
	json_t *problem_extra; /* further members of the problem; NULL: none. Borrowed by the arena */
	struct reply reply;

	int64_t received_ns;   /* monotonic: when its request line was read */
	bool rerun;	       /* an earlier attempt may have been committed unseen */
	bool unknown;	       /* ... and its COMMIT was not answered */
	unsigned stale;	       /* how often its context had moved at commit */
	bool committed;	       /* it wrote: wake delivery */
	struct request *next;  /* in the queue that it is in */
	int64_t not_before_ns; /* parked until then (lane.h) */
	bool checked;	       /* key, body and query were, before it was parked */
	void *connection;      /* the loop's */
};

/* `return fail(req, ERR_X, "why ...")`: the one way to refuse. Returns e. */
enum err fail(struct request *, enum err e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a member of the body: pointer is a JSON pointer (copied). May be called repeatedly:
   each adds one entry to `errors`; the first sets the code. Returns e. */
enum err fail_member(struct request *, enum err e, const char *pointer, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A JSON reply; json is in the arena or static. Returns ERR_OK. */
enum err reply_json(struct request *, int status, const char *json);

/* Makes the problem+json reply for e from what fail() recorded. */
void reply_problem(struct request *, enum err e);

/* A path parameter by its name in the template, decoded; never NULL for a name of the template. */
const char *request_path(const struct request *, const char *name);

/* A query parameter; NULL: absent. */
const char *request_query(const struct request *, const char *name);

/* Splits and decodes the query. Names not in `allowed` (NULL-terminated; NULL: none), repeated
   names and bad escapes: ERR_INVALID_QUERY naming the parameter. */
enum err request_parse_query(struct request *, const char *const *allowed);

/* Parses the body as a JSON object: depth <= 16, no duplicate members, no NUL. An empty body is
   ERR_INVALID_JSON, unless `optional`: then req->json is an empty object. On a lenient route only
   what is not JSON is refused: anything else that we do not take is left out, and req->errors says so
   with a pointer of "" (for a warning ignored_member). */
enum err request_parse_json(struct request *, bool optional);

/* The same, strictly, for a text that is not the body but what the caller calls it ("The element").
   The object belongs to the arena. */
enum err request_parse_object(struct request *, const char *what, const char *text, size_t length,
			      json_t **json);

#endif
