#include "idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "db.h"
#include "log.h"

#define NO_TENANT "00000000-0000-0000-0000-000000000000"

/* Parameters that every statement begins with. */
struct key {
	const char *tenant;
	const char *hash; /* hex of the SHA-256 */
};

static const struct db_stmt try_lock = {
	"lock_idempotency_key", "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || $2, 3))", 2
};

/* A claim falls with the process that made it, and after longer than any request can take. */
static const struct db_stmt find = {
	"find_idempotency_key",
	"SELECT encode(body_hash, 'hex'), status, location, etag, encode(answer_sealed, 'hex'),"
	" created_at < now() - interval '24 hours' OR status IS NULL AND ("
	"created_at < now() - interval '15 minutes' OR pg_try_advisory_xact_lock(22868, claimed_by))"
	" FROM idempotency_keys WHERE tenant_id = $1 AND key_hash = decode($2, 'hex')",
	2
};
enum { BODY_HASH, STATUS, LOCATION, ETAG, SEALED, OVER };

static const struct db_stmt forget = {
	"forget_idempotency_key",
	"DELETE FROM idempotency_keys WHERE tenant_id = $1 AND key_hash = decode($2, 'hex')", 2
};

static enum err key_of(struct request *req, struct key *key)
{
	/* Lengths before what a client chose: no two scopes run together to the same text. */
	const char *text = arena_printf(
		req->arena, "%s %s %zu:%s %s", *req->who.key_id ? req->who.key_id : "operator",
		req->method, strlen(req->target), req->target, req->idempotency_key);
	uint8_t digest[SHA256_LENGTH];

	key->tenant = *req->tenant ? req->tenant : NO_TENANT;
	if (!text || crypto_sha256(text, strlen(text), digest))
		return ERR_UNAVAILABLE;
	key->hash = crypto_hex(req->arena, digest, sizeof(digest));
	return key->hash ? ERR_OK : ERR_UNAVAILABLE;
}

enum err idempotency_hash(struct request *req, uint8_t hash[static SHA256_LENGTH])
{
	char *text;
	enum err e;

	if (!req->idempotency_key)
		return ERR_OK;
	text = json_dumps(req->json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
	if (!text)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	e = crypto_sha256(text, strlen(text), hash);
	free(text);
	return e;
}

/* --- what is kept ------------------------------------------------------------------------------- */

static enum err unseal(struct request *req, const struct key *key, const char *hex)
{
	const size_t size = strlen(hex) / 2;
	uint8_t *sealed = arena_alloc(req->arena, size ? size : 1), *plain;
	size_t length;
	enum err e;

	if (!sealed || !crypto_unhex(hex, sealed, size, &length))
		return ERR_INTERNAL;
	e = crypto_unseal(req->arena, req->app->config->secrets_key, key->hash, sealed, length,
			  &plain, &length);
	if (e) {
		log_event(LOG_LEVEL_WARN, "kept_answer_unreadable", "request_id", req->request_id,
			  "reason", "sealed under another SWITCHBACK_SECRETS_KEY", NULL);
		return fail(
			req, ERR_UNAVAILABLE,
			"It was done before, but the answer that was kept cannot be read any more. "
			"Look for what it made before you use another Idempotency-Key.");
	}
	req->reply.body = (const char *)plain;
	req->reply.length = length;
	return ERR_OK;
}

static enum err replay(struct request *req, const struct key *key, const struct db_result *row,
		       const uint8_t hash[static SHA256_LENGTH])
{
	const char *given = crypto_hex(req->arena, hash, SHA256_LENGTH);
	const char *location = db_value(row, 0, LOCATION), *etag = db_value(row, 0, ETAG);

	if (!given)
		return ERR_UNAVAILABLE;
	if (strcmp(given, db_value(row, 0, BODY_HASH)) != 0)
		return fail(req, ERR_IDEMPOTENCY_KEY_REUSED,
			    "The Idempotency-Key was used with another body.");
	req->reply = (struct reply){
		.status = (int)strtol(db_value(row, 0, STATUS), NULL, 10),
		.content_type = "application/json",
		.location = location,
		.etag = etag,
		.replay = true,
	};
	return unseal(req, key, db_value(row, 0, SEALED));
}

/* Under the key's lock, so that it does not move: *row has what is kept, or is NULL. */
static enum err look(struct request *req, const struct key *key, struct db_result **row)
{
	const char *const params[] = { key->tenant, key->hash };
	struct db_result *locked;
	enum err e = db_exec(req->db, req->arena, &try_lock, params, &locked);

	*row = NULL;
	if (!e && !db_true(locked, 0, 0))
		e = ERR_IDEMPOTENCY_IN_PROGRESS;
	if (!e)
		e = db_exec(req->db, req->arena, &find, params, row);
	if (!e && db_rows(*row) && db_true(*row, 0, OVER)) {
		e = db_exec(req->db, req->arena, &forget, params, NULL);
		*row = NULL;
	} else if (!e && db_rows(*row) && !db_value(*row, 0, STATUS)) {
		e = ERR_IDEMPOTENCY_IN_PROGRESS;
	} else if (!e && !db_rows(*row)) {
		*row = NULL;
	}
	if (e == ERR_IDEMPOTENCY_IN_PROGRESS)
		return fail(req, e,
			    "The first request with this Idempotency-Key is still running.");
	return e;
}

/* --- the two ways of work ----------------------------------------------------------------------- */

enum err idempotency_begin(struct request *req, const uint8_t hash[static SHA256_LENGTH],
			   bool *replayed)
{
	struct db_result *row;
	struct key key;
	enum err e;

	*replayed = false;
	if (!req->idempotency_key)
		return ERR_OK;
	if ((e = key_of(req, &key)) || (e = look(req, &key, &row)) || !row)
		return e;
	*replayed = true;
	return replay(req, &key, row, hash);
}

enum err idempotency_claim(struct request *req, bool *kept)
{
	static const struct db_stmt insert = {
		"claim_idempotency_key",
		"INSERT INTO idempotency_keys (tenant_id, key_hash, claimed_by)"
		" VALUES ($1, decode($2, 'hex'), $3::integer)",
		3
	};
	char instance[16];
	struct db_result *row;
	struct key key;
	enum err e;

	*kept = false;
	if (!req->idempotency_key)
		return ERR_OK;
	if ((e = key_of(req, &key)) || (e = look(req, &key, &row)))
		return e;
	*kept = row != NULL;
	if (row)
		return ERR_OK;
	snprintf(instance, sizeof(instance), "%ld", (long)req->app->instance);
	return db_exec(req->db, req->arena, &insert,
		       (const char *const[]){ key.tenant, key.hash, instance }, NULL);
}

enum err idempotency_keep(struct request *req, const uint8_t hash[static SHA256_LENGTH])
{
	static const struct db_stmt keep = {
		"keep_answer",
		"INSERT INTO idempotency_keys (tenant_id, key_hash, body_hash, status, location, etag,"
		" answer_sealed) VALUES ($1, decode($2, 'hex'), decode($3, 'hex'), $4::integer, $5, $6,"
		" decode($7, 'hex'))"
		" ON CONFLICT (tenant_id, key_hash) DO UPDATE SET body_hash = excluded.body_hash,"
		" status = excluded.status, location = excluded.location, etag = excluded.etag,"
		" answer_sealed = excluded.answer_sealed, claimed_by = NULL, created_at = now()",
		7
	};
	const struct reply *r = &req->reply;
	char status[12];
	uint8_t *sealed;
	size_t length;
	struct key key;
	enum err e;

	if (!req->idempotency_key)
		return ERR_OK;
	if ((e = key_of(req, &key)) ||
	    (e = crypto_seal(req->arena, req->app->config->secrets_key, key.hash, r->body,
			     r->length, &sealed, &length)))
		return e;
	/* The handler may have made a tenant, and be bound to it now. */
	if (!*req->tenant && (e = db_set_tenant(req->db, req->arena, "")))
		return e;
	snprintf(status, sizeof(status), "%d", r->status);
	return db_exec(req->db, req->arena, &keep,
		       (const char *const[]){ key.tenant, key.hash,
					      crypto_hex(req->arena, hash, SHA256_LENGTH), status,
					      r->location, r->etag,
					      crypto_hex(req->arena, sealed, length) },
		       NULL);
}

enum err idempotency_drop(struct request *req)
{
	static const struct db_stmt drop = {
		"drop_idempotency_claim",
		"DELETE FROM idempotency_keys WHERE tenant_id = $1 AND key_hash = decode($2, 'hex')"
		" AND status IS NULL AND claimed_by = $3::integer",
		3
	};
	char instance[16];
	struct key key;
	enum err e;

	if (!req->idempotency_key)
		return ERR_OK;
	if ((e = key_of(req, &key)))
		return e;
	snprintf(instance, sizeof(instance), "%ld", (long)req->app->instance);
	return db_exec(req->db, req->arena, &drop,
		       (const char *const[]){ key.tenant, key.hash, instance }, NULL);
}
