/*
 * What the emergency lane knows of its callers from earlier calls: documents by key, bounded, any
 * thread. Nothing in it is trusted: its versions are compared at commit (place_call_3).
 */
#ifndef SB_CONTEXT_CACHE_H
#define SB_CONTEXT_CACHE_H

#include "arena.h"

struct context_cache;

struct context_cache *context_cache_new(void); /* NULL: out of memory */
void context_cache_free(struct context_cache *);

/* A copy in the arena; NULL: not there. */
char *context_cache_get(struct context_cache *, struct arena *, const char *key);
/* Copies both; a failed allocation only means that it is not kept. */
void context_cache_put(struct context_cache *, const char *key, const char *document);

#endif
