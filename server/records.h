/*
 * The elements of a body that arrives in pieces: lines, or the items of one JSON array. Finds where each
 * begins and ends, no more: whether it is JSON is for its reader to see. Keeps what was added since the
 * last look and one unfinished element, never more. One thread at a time.
 */
#ifndef SB_RECORDS_H
#define SB_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

struct records;

enum record {
	RECORD_MORE,	 /* no whole one: add more, or end it */
	RECORD_ELEMENT,	 /* not empty, without white space around it */
	RECORD_TOO_LONG, /* one of more than `max` bytes; it is skipped */
	RECORD_NO_ARRAY, /* the body is not an array at all */
	RECORD_BROKEN,	 /* something else than an element, or the array is not closed: told once */
	RECORD_END,
};

/* max: bytes of an element. NULL: out of memory. */
struct records *records_new(bool array, size_t max);
void records_free(struct records *);

/* Adds to what has arrived. False: out of memory. */
bool records_add(struct records *, const char *data, size_t n);
/* No more will be added. */
void records_end(struct records *);
/* The reader cannot follow any longer: whatever else arrives is dropped. */
void records_break(struct records *);

/* The next one; its text is valid until the next records_add(). */
enum record records_next(struct records *, const char **text, size_t *length);

#endif
