/*
 * See context_cache.h. Direct-mapped: a collision replaces, which costs one round trip, and the
 * memory is bounded by slots times the largest document kept.
 */
#include "context_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SLOTS 8192
#define ENTRY_MAX 16384 /* key and document; larger ones (hundreds of pools) are loaded each time */

struct slot {
	char *key; /* key, NUL, document, NUL in one block */
	const char *document;
};

struct context_cache {
	pthread_mutex_t mutex;
	struct slot slots[SLOTS];
};

struct context_cache *context_cache_new(void)
{
	struct context_cache *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->mutex, NULL);
	return c;
}

void context_cache_free(struct context_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		free(c->slots[i].key);
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

static struct slot *slot_of(struct context_cache *c, const char *key)
{
	return &c->slots[text_hash(key) % SLOTS];
}

char *context_cache_get(struct context_cache *c, struct arena *arena, const char *key)
{
	const struct slot *s = slot_of(c, key);
	char *copy = NULL;

	pthread_mutex_lock(&c->mutex);
	if (s->key && !strcmp(s->key, key))
		copy = arena_strdup(arena, s->document);
	pthread_mutex_unlock(&c->mutex);
	return copy;
}

void context_cache_put(struct context_cache *c, const char *key, const char *document)
{
	const size_t n = strlen(key) + 1, m = strlen(document) + 1;
	struct slot *s = slot_of(c, key);
	char *block = n + m <= ENTRY_MAX ? malloc(n + m) : NULL;
	char *old;

	if (block) {
		memcpy(block, key, n);
		memcpy(block + n, document, m);
	}
	/* What is not kept must not leave an older document either. */
	pthread_mutex_lock(&c->mutex);
	old = s->key;
	s->key = block;
	s->document = block ? block + n : NULL;
	pthread_mutex_unlock(&c->mutex);
	free(old);
}
