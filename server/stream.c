#include "stream.h"

#include "clock.h"
#include "idempotency.h"
#include "text.h"

#define PIECE ((size_t)128 * 1024) /* some hundred elements */
#define WAIT_NS 1000000000LL	   /* of less than that, for more to come */

static bool is_lines(const char *type)
{
	return text_is_media_type(type, "application/x-ndjson") ||
	       text_is_media_type(type, "application/ndjson") ||
	       text_is_media_type(type, "application/jsonl");
}

bool stream_takes(const char *type)
{
	return text_is_media_type(type, "application/json") || is_lines(type);
}

static void release(void *p)
{
	struct stream *s = p;

	records_free(s->records);
	crypto_sha256_free(s->hash);
}

struct stream *stream_new(struct request *req)
{
	struct stream *s = arena_alloc(req->arena, sizeof(*s));

	if (!s || !arena_defer(req->arena, release, s))
		return NULL;
	s->is_array = !is_lines(req->content_type);
	s->records = records_new(s->is_array, STREAM_ELEMENT_MAX);
	s->run_ns = clock_ns();
	if (req->idempotency_key)
		s->hash = crypto_sha256_new();
	return s->records && (s->hash || !req->idempotency_key) ? s : NULL;
}

bool stream_add(struct stream *s, const char *data, size_t n)
{
	s->fresh += n;
	if (s->hash && crypto_sha256_add(s->hash, data, n))
		return false;
	return records_add(s->records, data, n);
}

bool stream_is_due(const struct stream *s)
{
	if (s->kept || !s->fresh)
		return false;
	return s->fresh >= PIECE || clock_ns() - s->run_ns >= WAIT_NS;
}

/* --- Idempotency-Key ------------------------------------------------------------------------------ */

/* A step of idempotency.h in a transaction of its own. */
static enum err alone(struct request *req, enum err (*step)(struct request *))
{
	enum err e = db_begin(req->db, req->tenant, true);

	if (e)
		return e;
	e = step(req);
	if (!e)
		return db_commit(req->db);
	db_rollback(req->db);
	return e;
}

static enum err claim(struct request *req)
{
	return idempotency_claim(req, &req->stream->kept);
}

/* Of the whole body, however often it is asked for. */
static const uint8_t *digest(struct stream *s)
{
	if (!s->digested)
		crypto_sha256_end(s->hash, s->digest);
	s->digested = true;
	return s->digest;
}

static void release_arena(void *arena)
{
	arena_free(arena);
}

/* A step in a transaction of its own that needs several times the memory of the answer: in an arena
   for the time of it, not for that of sending. What it fails with may be in there. */
static enum err aside(struct request *req, enum err (*step)(struct request *))
{
	struct arena *arena = req->arena, *scratch = arena_new();
	struct reply *r = &req->reply;
	enum err e;

	if (!scratch)
		return ERR_UNAVAILABLE;
	req->arena = scratch;
	e = alone(req, step);
	req->arena = arena;
	if (e) {
		(void)arena_defer(arena, release_arena, scratch);
		return e;
	}
	if (r->replay) {
		r->body = arena_strndup(arena, r->body, r->length);
		r->location = arena_strdup(arena, r->location);
		r->etag = arena_strdup(arena, r->etag);
	}
	arena_free(scratch);
	return r->body ? ERR_OK : ERR_UNAVAILABLE;
}

static enum err keep(struct request *req)
{
	return idempotency_keep(req, digest(req->stream));
}

static enum err replay(struct request *req)
{
	bool replayed = false;
	const enum err e = idempotency_begin(req, digest(req->stream), &replayed);

	if (!e && !replayed) /* it was kept when the body began */
		return fail(req, ERR_UNAVAILABLE,
			    "The answer was just forgotten; send the batch again.");
	return e;
}

void stream_drop(struct request *req, struct db *db)
{
	struct stream *s = req->stream;

	records_break(s->records);
	if (!s->claimed)
		return;
	s->claimed = false;
	req->db = db;
	/* Where that fails, the claim falls by itself, though later. */
	(void)alone(req, idempotency_drop);
	req->db = NULL;
}

/* --- a piece -------------------------------------------------------------------------------------- */

static enum err run(struct request *req)
{
	struct stream *s = req->stream;
	enum err e = ERR_OK;

	if (s->hash && !s->claimed && !s->kept) {
		e = alone(req, claim);
		if (e)
			return e;
		s->claimed = !s->kept;
	}
	if (s->kept) {
		records_break(s->records);
		return req->complete ? aside(req, replay) : ERR_OK;
	}
	if (req->complete)
		records_end(s->records);
	s->more = false;
	e = req->route->handler(req);
	if (e || s->more || !req->complete || !s->claimed)
		return e;
	e = aside(req, keep);
	s->claimed = e != ERR_OK;
	return e;
}

enum err stream_run(struct request *req, struct db *db)
{
	enum err e;

	req->db = db;
	e = run(req);
	req->db = NULL;
	if (e || req->stream->more)
		return e;
	req->stream->fresh = 0;
	req->stream->run_ns = clock_ns();
	req->checked = false; /* a key may be revoked while the body arrives */
	return ERR_OK;
}
