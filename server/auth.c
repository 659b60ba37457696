/*
 * API keys. The cache holds what was looked up within the last second, so that a revoked key is
 * refused everywhere within that time; who is not in it is asked for in PostgreSQL.
 */
#include "auth.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "config.h"
#include "crypto.h"
#include "fields.h"
#include "text.h"

#define CACHE_SLOTS 4096 /* direct-mapped: a collision costs a look-up, no more */
#define CACHE_NS 1000000000LL
#define SECRET_BYTES 32
#define EXTERNAL_ID_MAX 128

static const struct db_stmt find_key = { "find_key", "SELECT * FROM lookup_key_1($1::uuid)", 1 };
static const struct db_stmt find_tenant = { "find_tenant", "SELECT * FROM lookup_tenant_1($1)", 1 };

/* A key, or (secret_hash empty) a tenant that the operator named. */
struct entry {
	char name[EXTERNAL_ID_MAX + 8]; /* "<key id>", or the reference of a tenant */
	char tenant[UUID_TEXT];
	char tenant_external_id[EXTERNAL_ID_MAX + 1];
	uint8_t secret_hash[SHA256_LENGTH];
	uint32_t scopes;
	int64_t expires;    /* Unix seconds, 0: never */
	int64_t checked_ns; /* monotonic */
	bool used;	    /* since auth_used() last asked */
};

struct auth_cache {
	pthread_mutex_t mutex;
	struct entry slots[CACHE_SLOTS];
};

struct auth_cache *auth_cache_new(void)
{
	struct auth_cache *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->mutex, NULL);
	return c;
}

void auth_cache_free(struct auth_cache *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

static struct entry *slot(struct auth_cache *c, const char *name)
{
	return &c->slots[text_hash(name) % CACHE_SLOTS];
}

static bool cache_get(struct auth_cache *c, const char *name, struct entry *out)
{
	const struct entry *e = slot(c, name);
	bool hit;

	pthread_mutex_lock(&c->mutex);
	hit = !strcmp(e->name, name) && clock_ns() - e->checked_ns < CACHE_NS;
	if (hit)
		*out = *e;
	pthread_mutex_unlock(&c->mutex);
	return hit;
}

/* A key has been admitted; its time of use is written later, by the sweeper. */
static void cache_used(struct auth_cache *c, const char *name)
{
	struct entry *e = slot(c, name);

	pthread_mutex_lock(&c->mutex);
	if (!strcmp(e->name, name))
		e->used = true;
	pthread_mutex_unlock(&c->mutex);
}

size_t auth_used(struct auth_cache *c, struct used_key *out, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&c->mutex);
	for (size_t i = 0; i < CACHE_SLOTS && n < max; i++) {
		struct entry *e = &c->slots[i];

		if (!e->used)
			continue;
		e->used = false;
		memcpy(out[n].id, e->name, sizeof(out[n].id) - 1);
		out[n].id[UUID_TEXT - 1] = '\0';
		memcpy(out[n++].tenant, e->tenant, sizeof(e->tenant));
	}
	pthread_mutex_unlock(&c->mutex);
	return n;
}

static void cache_put(struct auth_cache *c, const struct entry *e)
{
	pthread_mutex_lock(&c->mutex);
	*slot(c, e->name) = *e;
	pthread_mutex_unlock(&c->mutex);
}

enum err auth_new_key(struct arena *arena, const char *id, char **key, char **secret_hash)
{
	uint8_t secret[SECRET_BYTES], digest[SHA256_LENGTH];
	char *text;

	if (crypto_random(secret, sizeof(secret)))
		return ERR_INTERNAL;
	text = crypto_base64url(arena, secret, sizeof(secret));
	if (!text || crypto_sha256(text, strlen(text), digest))
		return ERR_UNAVAILABLE;
	*key = arena_printf(arena, "sb_%s_%s", id, text);
	*secret_hash = crypto_hex(arena, digest, sizeof(digest));
	return *key && *secret_hash ? ERR_OK : ERR_UNAVAILABLE;
}

/* --- the Authorization field -------------------------------------------------------------------- */

static enum err refuse(struct request *req)
{
	return fail(req, ERR_UNAUTHORIZED, "Authorization must be Bearer with a valid API key.");
}

/* The token after "Bearer ", NULL: there is none. */
static const char *bearer(const struct request *req)
{
	static const char scheme[] = "Bearer ";
	const char *p = req->authorization;

	if (!p || strncasecmp(p, scheme, sizeof(scheme) - 1))
		return NULL;
	p += sizeof(scheme) - 1;
	while (*p == ' ')
		p++;
	return *p ? p : NULL;
}

/* Compares digests, so that not even the length of the operator's key shows in the time. */
static bool is_operator(const struct request *req, const char *token)
{
	const char *key = req->app->config->operator_key;
	uint8_t a[SHA256_LENGTH], b[SHA256_LENGTH];

	return key && !crypto_sha256(key, strlen(key), a) &&
	       !crypto_sha256(token, strlen(token), b) && crypto_equal(a, b, sizeof(a));
}

/* "sb_<id>_<secret>" */
static bool split_key(const char *token, char id[static UUID_TEXT], const char **secret)
{
	if (strncmp(token, "sb_", 3) || strlen(token) < 3 + UUID_TEXT ||
	    token[2 + UUID_TEXT] != '_')
		return false;
	memcpy(id, token + 3, UUID_TEXT - 1);
	id[UUID_TEXT - 1] = '\0';
	*secret = token + 3 + UUID_TEXT;
	return is_uuid(id) && **secret;
}

static const char *path_tenant(const struct request *req)
{
	return strstr(req->route->path, "{tenant_id}") ? request_path(req, "tenant_id") : NULL;
}

static enum err no_tenant(struct request *req)
{
	return fail(req, ERR_NOT_FOUND, "There is no such resource.");
}

/* The key's tenant must be the one of the path; another answers like one that does not exist. */
static enum err enter(struct request *req, const struct entry *e)
{
	const char *path = path_tenant(req);

	memcpy(req->tenant, e->tenant, sizeof(req->tenant));
	if (!path || !strcasecmp(path, e->tenant))
		return ERR_OK;
	if (!strncmp(path, "ext:", 4) && *e->tenant_external_id &&
	    !strcmp(path + 4, e->tenant_external_id))
		return ERR_OK;
	return no_tenant(req);
}

static enum err admit(struct request *req, const struct entry *e)
{
	const char *secret;
	uint8_t digest[SHA256_LENGTH];
	char id[UUID_TEXT];

	if (!split_key(bearer(req), id, &secret) || crypto_sha256(secret, strlen(secret), digest) ||
	    !crypto_equal(digest, e->secret_hash, sizeof(digest)) ||
	    (e->expires && e->expires <= (int64_t)time(NULL)))
		return refuse(req);
	memcpy(req->who.key_id, id, sizeof(id));
	memcpy(req->who.tenant, e->tenant, sizeof(req->who.tenant));
	req->who.scopes = e->scopes;
	cache_used(req->app->auth, id);
	return enter(req, e);
}

enum err auth_begin(struct request *req, bool *todo)
{
	const char *token = bearer(req);
	const char *secret, *path = path_tenant(req);
	struct entry e;
	char id[UUID_TEXT];

	*todo = false;
	if (!token)
		return refuse(req);
	if (is_operator(req, token)) {
		req->who.operator= true;
		req->who.scopes = ~(uint32_t)SCOPE_EMERGENCY_MONITOR;
		if (!path)
			return ERR_OK;
		if (!is_reference(path))
			return no_tenant(req);
		*todo = !cache_get(req->app->auth, path, &e);
		return *todo ? ERR_OK : enter(req, &e);
	}
	if (!split_key(token, id, &secret))
		return refuse(req);
	*todo = !cache_get(req->app->auth, id, &e);
	return *todo ? ERR_OK : admit(req, &e);
}

enum err auth_load(struct request *req, struct db_batch *batch)
{
	const char *secret, *params[1];
	char id[UUID_TEXT];
	enum err err;

	params[0] = id;
	if (req->who.operator)
		params[0] = path_tenant(req);
	else
		split_key(bearer(req), id, &secret);
	err = db_batch_add(batch, req->who.operator? &find_tenant : & find_key, params,
			   &req->auth_slot);
	return err;
}

static uint32_t scopes_of(const char *names)
{
	uint32_t bits = 0;

	while (*names) {
		const size_t n = strcspn(names, " ");

		bits |= scope_by_name(names, n);
		names += n + (names[n] == ' ');
	}
	return bits;
}

enum err auth_loaded(struct request *req, const struct db_batch *batch)
{
	const struct db_result *r = db_batch_result(batch, req->auth_slot);
	const char *external_id, *secret, *expires;
	struct entry e = { .checked_ns = clock_ns() };
	char id[UUID_TEXT];
	size_t length;

	if (!db_rows(r)) {
		/* As much work as for a key that exists. */
		memset(e.secret_hash, 0xff, sizeof(e.secret_hash));
		return req->who.operator? no_tenant(req) : (admit(req, &e), refuse(req));
	}
	external_id = db_value(r, 0, 1);
	snprintf(e.tenant, sizeof(e.tenant), "%s", db_value(r, 0, 0));
	snprintf(e.tenant_external_id, sizeof(e.tenant_external_id), "%s",
		 external_id ? external_id : "");
	if (req->who.operator) {
		snprintf(e.name, sizeof(e.name), "%s", path_tenant(req));
		cache_put(req->app->auth, &e);
		return enter(req, &e);
	}
	split_key(bearer(req), id, &secret);
	snprintf(e.name, sizeof(e.name), "%s", id);
	if (!crypto_unhex(db_value(r, 0, 2), e.secret_hash, sizeof(e.secret_hash), &length))
		return ERR_INTERNAL;
	e.scopes = scopes_of(db_value(r, 0, 3));
	expires = db_value(r, 0, 4);
	e.expires = expires ? strtoll(expires, NULL, 10) : 0;
	cache_put(req->app->auth, &e);
	return admit(req, &e);
}

enum err auth_scope(struct request *req)
{
	const uint32_t needed = req->route->scopes;
	const char *names = "";

	if (!needed || req->who.scopes & needed)
		return ERR_OK;
	for (uint32_t bit = 1; bit <= SCOPE_OPERATOR && names; bit <<= 1)
		if (needed & bit)
			names = arena_printf(req->arena, "%s%s%s", names, *names ? " or " : "",
					     scope_name(bit));
	return fail(req, ERR_FORBIDDEN, "The key needs the scope %s.",
		    names ? names : "of this operation");
}
