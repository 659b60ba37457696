/*
 * POST users/batch: users by the thousand, taken in while they arrive, in slices of one transaction
 * each. Memory is that of one slice and of the answer so far.
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "emergency/call_request.h"
#include "resources.h"
#include "server/stream.h"
#include "server/text.h"
#include "users.h"

#define USERS_MAX 10000
#define BODY_MAX ((size_t)16 * 1024 * 1024)
#define SLICE 200
#define TRIES 4 /* of a slice that met a deadlock, a lock or a lost connection */
/* Of an item, so that the answer stays below 4 MiB whatever is sent. Bytes of JSON text, with escapes:
   names of members and what is quoted of them may be as long as an element. */
#define ERRORS_MAX 5
#define ERRORS_BYTES 330
#define POINTER_BYTES 120
#define ERROR_FRAME (sizeof("{\"pointer\":\"\",\"detail\":\"\"},") - 1)

/* What is known of an element before its slice is stored. */
struct element {
	enum err err;	/* ERR_OK: it is in the slice */
	json_t *errors; /* of err; NULL: none */
};

struct batch {
	struct arena *memory; /* of one slice */
	json_t *users;	      /* that are to be stored */
	struct element elements[SLICE];
	size_t n;      /* of them */
	size_t taken;  /* elements before this slice */
	bool too_many; /* there is one more than there may be */
	char *answer;
	size_t length, capacity;
};

static void release_batch(void *p)
{
	struct batch *b = p;

	arena_free(b->memory);
	free(b->answer);
}

/* --- the answer ----------------------------------------------------------------------------------- */

static enum err say(struct batch *b, const char *text, size_t n)
{
	if (b->length + n + 1 > b->capacity) {
		const size_t capacity = 2 * (b->length + n) + 4096;
		char *more = realloc(b->answer, capacity);

		if (!more)
			return ERR_UNAVAILABLE;
		b->answer = more;
		b->capacity = capacity;
	}
	memcpy(b->answer + b->length, text, n);
	b->length += n;
	b->answer[b->length] = '\0';
	return ERR_OK;
}

/* One item; errors NULL: none. */
static enum err say_item(struct batch *b, size_t index, const char *status, const char *id,
			 const char *code, json_t *errors)
{
	const size_t at = b->taken + index;
	json_t *item = arena_json(b->memory, json_pack("{sI ss ss? ss? sO*}", "index",
						       (json_int_t)at, "status", status, "id", id,
						       "code", code, "errors", errors));
	char *text;
	enum err e = at ? say(b, ",", 1) : ERR_OK;

	if (item && !errors)
		json_object_set_new(item, "errors", json_array());
	text = item ? json_dumps(item, JSON_COMPACT) : NULL;
	if (!text)
		return ERR_UNAVAILABLE;
	if (!e)
		e = say(b, text, strlen(text));
	free(text);
	return e;
}

/* --- one element ---------------------------------------------------------------------------------- */

/* How much of the text, in whole characters, fits into so many bytes of JSON text; *bytes: what it
   takes. The text is UTF-8. */
static size_t fitting(const char *text, size_t room, size_t *bytes)
{
	size_t at = 0;

	*bytes = 0;
	while (text[at]) {
		const unsigned char c = (unsigned char)text[at];
		uint32_t point;
		const size_t n = text_next(text + at, &point);
		size_t cost = n ? n : 1;

		if (c == '"' || c == '\\')
			cost = 2;
		else if (c < ' ')
			cost = 6;
		if (*bytes + cost > room)
			break;
		*bytes += cost;
		at += n ? n : 1;
	}
	return at;
}

/* One error, within *room. The first is always told, if need be in part; another one that does not fit
   is left out. */
static enum err add_error(json_t *errors, size_t *room, const char *pointer, const char *detail)
{
	static const char cut[] = "...";
	const bool first = json_array_size(errors) == 0;
	size_t of_pointer, of_detail, n;
	json_t *text;

	if (pointer[fitting(pointer, POINTER_BYTES, &of_pointer)]) {
		pointer = "";
		of_pointer = 0;
	}
	if (!first && *room < ERROR_FRAME + of_pointer)
		return ERR_OK;
	*room -= ERROR_FRAME + of_pointer;
	n = fitting(detail, *room, &of_detail);
	if (!detail[n]) {
		text = json_string(detail);
	} else if (first) {
		n = fitting(detail, *room - strlen(cut), &of_detail);
		text = json_sprintf("%.*s%s", (int)n, detail, cut);
	} else {
		*room = 0;
		return ERR_OK;
	}
	*room -= detail[n] ? *room : of_detail;
	return json_array_append_new(errors,
				     json_pack("{ss so}", "pointer", pointer, "detail", text)) == 0
		       ? ERR_OK
		       : ERR_UNAVAILABLE;
}

/* An element that is told and not stored. one: what was found wrong with it. */
static enum err refuse(struct batch *b, const struct request *one, enum err err)
{
	struct element *element = &b->elements[b->n++];
	json_t *errors = arena_json(b->memory, json_array());
	size_t room = ERRORS_BYTES;
	enum err e = errors ? ERR_OK : ERR_UNAVAILABLE;

	for (size_t i = 0; e == ERR_OK && i < one->n_errors && i < ERRORS_MAX; i++)
		e = add_error(errors, &room, one->errors[i].pointer, one->errors[i].detail);
	if (e == ERR_OK && one->n_errors == 0)
		e = add_error(errors, &room, "", one->detail);
	*element = (struct element){ err, errors };
	return e;
}

static enum err add(struct batch *b, const json_t *json, const char *const *values)
{
	json_t *user = json_object(), *named = json_array();
	json_t *pair = json_pack("{so so}", "user", user, "named", named);
	bool ok = pair && json_array_append_new(b->users, pair) == 0;

	for (size_t i = 0; ok && i < USER_MEMBERS; i++) {
		const char *name = user_fields[i].name;

		ok = json_object_set_new(user, name,
					 values[i] ? json_string(values[i]) : json_null()) == 0;
		if (ok && json_object_get(json, name))
			ok = json_array_append_new(named, json_string(name)) == 0;
	}
	b->elements[b->n++] = (struct element){ ERR_OK, NULL };
	return ok ? ERR_OK : ERR_UNAVAILABLE;
}

static bool is_json(const char *text, size_t length)
{
	json_t *json = json_loadb(text, length, JSON_DECODE_ANY, NULL);

	json_decref(json);
	return json != NULL;
}

static enum err take(struct request *req, struct batch *b, const char *text, size_t length)
{
	struct request one = { .arena = b->memory };
	const char *values[LENGTH(user_fields)];
	json_t *json;
	enum err e = request_parse_object(&one, "The element", text, length, &json);

	if (e == ERR_OK)
		e = fields_parse(&one, user_fields, json, "", values);
	if (e == ERR_OK)
		return add(b, json, values);
	if (e == ERR_UNAVAILABLE)
		return e;
	if (e == ERR_INVALID_JSON && req->stream->is_array && !is_json(text, length)) {
		records_break(req->stream->records);
		fail(&one, e,
		     "%s The array cannot be followed from here: what comes after was not taken in.",
		     one.detail);
	}
	return refuse(b, &one, e);
}

/* What is no element. */
static enum err take_other(struct request *req, struct batch *b, enum record what)
{
	struct request one = { .arena = b->memory };

	if (what == RECORD_NO_ARRAY)
		return fail(req, ERR_INVALID_JSON, "The body must be an array.");
	if (what == RECORD_TOO_LONG)
		return refuse(b, &one,
			      fail(&one, ERR_BODY_TOO_LARGE,
				   "The element is larger than %zu bytes.", STREAM_ELEMENT_MAX));
	return refuse(
		b, &one,
		fail(&one, ERR_INVALID_JSON,
		     "The array is not JSON, or not closed: from here on it cannot be followed,"
		     " and what comes after was not taken in."));
}

/* --- one slice ------------------------------------------------------------------------------------ */

/* Up to SLICE elements of what has arrived. */
static enum err collect(struct request *req, struct batch *b)
{
	const char *text;
	size_t length;
	enum err e = ERR_OK;

	arena_reset(b->memory);
	b->n = 0;
	b->users = arena_json(b->memory, json_array());
	if (!b->users)
		return ERR_UNAVAILABLE;
	while (e == ERR_OK && b->n < SLICE) {
		const enum record what = records_next(req->stream->records, &text, &length);

		if (what == RECORD_MORE || what == RECORD_END)
			break;
		if (b->taken + b->n == USERS_MAX) {
			b->too_many = true;
			break;
		}
		e = what == RECORD_ELEMENT ? take(req, b, text, length) : take_other(req, b, what);
	}
	return e;
}

static enum err store_once(struct request *req, struct batch *b, const char *users,
			   struct db_result **rows)
{
	static const struct db_stmt import = {
		"import_users",
		"SELECT status, id, code, pointer, detail FROM import_users_1($1, $2, $3)", 3
	};
	/* Plans are kept, and those that were made for an empty table walk through all users of the
	   tenant for each one of thousands: made again, now and then, they fit. */
	static const struct db_stmt plan_anew = { "plan_anew", "DISCARD PLANS", 0 };
	const char *const params[] = { req->tenant, *req->who.key_id ? req->who.key_id : NULL,
				       users };
	enum err e = db_begin(req->db, req->tenant, true);

	if (e != ERR_OK)
		return e;
	e = db_exec(req->db, b->memory, &plan_anew, NULL, NULL);
	if (e == ERR_OK)
		e = db_exec(req->db, b->memory, &import, params, rows);
	if (e == ERR_OK)
		return db_commit(req->db);
	db_rollback(req->db);
	/* Somebody else has written between its look and its act: it looks again. */
	return e == ERR_ALREADY_EXISTS || e == ERR_UNKNOWN_REFERENCE ? ERR_RETRY : e;
}

static enum err store(struct request *req, struct batch *b, struct db_result **rows)
{
	char *users = json_dumps(b->users, JSON_COMPACT);
	enum err e = ERR_RETRY;

	if (!users || !arena_defer(b->memory, free, users))
		return ERR_UNAVAILABLE;
	for (int i = 0; i < TRIES; i++) {
		e = store_once(req, b, users, rows);
		if (e != ERR_RETRY && e != ERR_LOCKED &&
		    (e != ERR_UNAVAILABLE || !db_health_up(req->app->health)))
			break;
	}
	if (e == ERR_OK || e == ERR_INTERNAL)
		return e;
	return fail(
		req, e == ERR_OUTCOME_UNKNOWN ? e : ERR_UNAVAILABLE,
		"The batch was not taken in to its end; what was stays, and it may be sent again.");
}

static enum err say_row(struct batch *b, size_t index, const struct db_result *rows, int row)
{
	const char *code = db_value(rows, row, 2);
	size_t room = ERRORS_BYTES;
	json_t *errors = NULL;

	if (code) {
		errors = arena_json(b->memory, json_array());
		if (!errors || add_error(errors, &room, db_value(rows, row, 3),
					 db_value(rows, row, 4)) != ERR_OK)
			return ERR_UNAVAILABLE;
	}
	return say_item(b, index, db_value(rows, row, 0), db_value(rows, row, 1), code, errors);
}

static enum err run_slice(struct request *req, struct batch *b)
{
	struct db_result *rows = NULL;
	enum err e = ERR_OK;
	int row = 0;

	if (json_array_size(b->users) > 0)
		e = store(req, b, &rows);
	for (size_t i = 0; e == ERR_OK && i < b->n; i++) {
		const struct element *x = &b->elements[i];

		e = x->err ? say_item(b, i, "error", NULL, err_info(x->err)->code, x->errors)
			   : say_row(b, i, rows, row++);
	}
	b->taken += b->n;
	return e;
}

/* --- the request ---------------------------------------------------------------------------------- */

static struct batch *batch_of(struct request *req)
{
	static const char head[] = "{\"items\":[";
	struct batch *b = req->stream->work;

	if (b)
		return b;
	b = arena_alloc(req->arena, sizeof(*b));
	if (!b || !arena_defer(req->arena, release_batch, b))
		return NULL;
	b->memory = arena_new();
	if (!b->memory || say(b, head, sizeof(head) - 1))
		return NULL;
	req->stream->work = b;
	return b;
}

static enum err take_in(struct request *req)
{
	struct batch *b = batch_of(req);
	enum err e = b ? ERR_OK : ERR_UNAVAILABLE;

	if (e == ERR_OK)
		e = collect(req, b);
	if (e == ERR_OK)
		e = run_slice(req, b);
	if (b)
		arena_reset(b->memory); /* an element may be large */
	if (e == ERR_OK && b->too_many)
		return fail_member(req, ERR_INVALID_VALUE, "",
				   "must have at most %d users; those before were taken in",
				   USERS_MAX);
	req->stream->more = e == ERR_OK && b->n == SLICE;
	if (e != ERR_OK || req->stream->more || !req->complete)
		return e;
	e = say(b, "]}", 2);
	return e == ERR_OK ? reply_json(req, 200, b->answer) : e;
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/users/batch",
	  .operation_id = "batchUsers",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_STREAM,
	  .max_body = BODY_MAX,
	  .handler = take_in },
	{ .method = NULL },
};

const struct resource user_batch_resource = { "batch", routes };
