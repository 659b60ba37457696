/*
 * Memory of one request: allocate freely, free once. Whoever needs more than memory back
 * (a json_t, a PGresult) defers its destructor; destructors run last first.
 * One thread at a time. Allocation failure is NULL, and every later allocation fails too until the
 * arena is reset, so that a chain of allocations may be checked at its end.
 */
#ifndef SB_ARENA_H
#define SB_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);	  /* NULL: out of memory */
void arena_free(struct arena *);  /* NULL is fine */
void arena_reset(struct arena *); /* runs the destructors, keeps one chunk */

/* Aligned for any type, zeroed. NULL: out of memory. */
void *arena_alloc(struct arena *, size_t size);
char *arena_strdup(struct arena *, const char *s); /* NULL in, NULL out */
char *arena_strndup(struct arena *, const char *s, size_t n);
char *arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Runs fn(p) when the arena is reset or freed. False: out of memory, and fn(p) has run already. */
bool arena_defer(struct arena *, void (*fn)(void *), void *p);

size_t arena_used(const struct arena *); /* bytes handed out since the last reset */

#endif
