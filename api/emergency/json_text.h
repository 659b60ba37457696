/*
 * JSON as text, written into an arena from front to back: no tree in between. For documents that are
 * only ever passed on. Strings must be UTF-8, as those of a json_t are. One thread at a time.
 *
 * A name is the member's in an object, NULL in an array. Running out of memory is remembered: the
 * text is checked once, at its end.
 */
#ifndef SB_JSON_TEXT_H
#define SB_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "server/arena.h"

struct json_text {
	struct arena *arena;
	char *at;
	size_t length, size;
	bool comma; /* one is due before the next value */
};

/* size: bytes that it may well need; it grows past them. */
void json_text_start(struct json_text *, struct arena *, size_t size);
/* The whole text, in the arena; NULL: out of memory. */
const char *json_text_end(struct json_text *);

void json_text_open(struct json_text *, const char *name, char bracket);
void json_text_close(struct json_text *, char bracket);
void json_text_string(struct json_text *, const char *name, const char *value); /* NULL: null */
void json_text_stringn(struct json_text *, const char *name, const char *value, size_t length);
void json_text_integer(struct json_text *, const char *name, long long value);
void json_text_bool(struct json_text *, const char *name, bool value);
void json_text_value(struct json_text *, const char *name, const json_t *value); /* NULL: null */
/* A text that is JSON already. */
void json_text_raw(struct json_text *, const char *name, const char *json);

/* The parts one after the other, the last one NULL; in the arena. NULL: out of memory. */
const char *text_join(struct arena *, ...) __attribute__((sentinel));

#endif
