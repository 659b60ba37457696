/*
 * Who asks: API keys `sb_<id>_<secret>`, and the operator key of the settings. A key that was
 * checked within the last second is taken from a cache; any other is looked up by the worker.
 */
#ifndef SB_AUTH_H
#define SB_AUTH_H

#include "db.h"
#include "request.h"

struct auth_cache;
struct auth_cache *auth_cache_new(void);
void auth_cache_free(struct auth_cache *);

/* A new key: text shown once, and the hex SHA-256 of its secret that is stored. */
enum err auth_new_key(struct arena *, const char *id, char **key, char **secret_hash);

/* Step 1, any thread: fills req->who and req->tenant from the Authorization field and the tenant
   segment of the path. *todo: a statement must be asked first. ERR_UNAUTHORIZED; ERR_NOT_FOUND: the
   path's tenant is not the key's. */
enum err auth_begin(struct request *, bool *todo);
/* Step 2, where todo: adds its lookups to a batch, and takes the answer. */
enum err auth_load(struct request *, struct db_batch *);
enum err auth_loaded(struct request *, const struct db_batch *);
/* Keys that were admitted since the last call, at most max of them; the rest is told next time. */
struct used_key {
	char id[UUID_TEXT], tenant[UUID_TEXT];
};
size_t auth_used(struct auth_cache *, struct used_key *out, size_t max);

/* Step 3: has the key one of the route's scopes? ERR_FORBIDDEN. */
enum err auth_scope(struct request *);

#endif
