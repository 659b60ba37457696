#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a usual request needs; a larger allocation gets a chunk of its own. */
#define CHUNK_SIZE 8000

struct chunk {
	struct chunk *next;
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *p;
};

struct arena {
	struct chunk *chunks; /* the first is the one being filled */
	struct deferred *deferred;
	size_t used;
	bool failed;
};

static struct chunk *chunk_new(size_t size)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + size);

	if (chunk == NULL)
		return NULL;
	chunk->next = NULL;
	chunk->size = size;
	chunk->used = 0;
	return chunk;
}

struct arena *arena_new(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena == NULL)
		return NULL;
	arena->chunks = chunk_new(CHUNK_SIZE);
	if (arena->chunks == NULL) {
		free(arena);
		return NULL;
	}
	return arena;
}

static void free_chunks(struct chunk *chunk)
{
	while (chunk != NULL) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

static void run_deferred(struct arena *arena)
{
	while (arena->deferred != NULL) {
		struct deferred *last = arena->deferred;

		arena->deferred = last->next;
		last->fn(last->p);
	}
}

void arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	run_deferred(arena);
	free_chunks(arena->chunks);
	free(arena);
}

void arena_reset(struct arena *arena)
{
	run_deferred(arena);
	free_chunks(arena->chunks->next);
	arena->chunks->next = NULL;
	arena->chunks->used = 0;
	arena->used = 0;
	arena->failed = false;
}

/* Small chunks become the one being filled; a large one goes behind it, so that what is left in
   front is not wasted, and reset keeps a chunk of the usual size. */
static struct chunk *add_chunk(struct arena *arena, size_t size)
{
	bool large = size > CHUNK_SIZE / 2;
	struct chunk *chunk = chunk_new(large ? size : CHUNK_SIZE);

	if (chunk == NULL)
		return NULL;
	if (large) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct chunk *chunk = arena->chunks;
	size_t room;
	void *p;

	if (arena->failed)
		return NULL;
	if (size > PTRDIFF_MAX - sizeof(struct chunk) - align) {
		arena->failed = true;
		return NULL;
	}
	room = size == 0 ? align : (size + align - 1) / align * align;
	if (chunk->size - chunk->used < room)
		chunk = add_chunk(arena, room);
	if (chunk == NULL) {
		arena->failed = true;
		return NULL;
	}
	p = chunk->data + chunk->used;
	chunk->used += room;
	arena->used += size;
	return memset(p, 0, room);
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
	size_t length;
	char *copy;

	if (s == NULL)
		return NULL;
	length = strnlen(s, n);
	if (length == SIZE_MAX)
		return NULL;
	copy = arena_alloc(arena, length + 1);
	if (copy != NULL)
		memcpy(copy, s, length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *s)
{
	return arena_strndup(arena, s, SIZE_MAX - 1);
}

char *arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, ap);
	length = vsnprintf(NULL, 0, fmt, ap);
	text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
	if (text != NULL)
		(void)vsnprintf(text, (size_t)length + 1, fmt, again);
	va_end(again);
	return text;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(arena, fmt, ap);
	va_end(ap);
	return text;
}

bool arena_defer(struct arena *arena, void (*fn)(void *), void *p)
{
	struct deferred *deferred = arena_alloc(arena, sizeof(*deferred));

	if (deferred == NULL) {
		fn(p);
		return false;
	}
	deferred->next = arena->deferred;
	deferred->fn = fn;
	deferred->p = p;
	arena->deferred = deferred;
	return true;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}
