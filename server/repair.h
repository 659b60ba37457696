/*
 * JSON text that RFC 8259 allows and the service does not take, turned into text that it takes: for
 * emergency routes, which refuse only what is not JSON.
 */
#ifndef SB_REPAIR_H
#define SB_REPAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

struct mended {
	const char *text; /* in the arena */
	size_t length;
	const char *what; /* the first that was mended, "holds ..."; NULL: nothing */
};

/* Puts null for values nested deeper than max_depth and for numbers beyond 64 bits or a double, and
   U+FFFD for escaped U+0000 and lone surrogates. Text that is not JSON is not made so. False: out of
   memory. */
bool json_mend(struct arena *, const char *text, size_t length, int max_depth, struct mended *);

#endif
