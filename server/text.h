/*
 * Text from outside: UTF-8 and percent escapes. Stateless; any thread.
 */
#ifndef SB_TEXT_H
#define SB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

/* Bytes of the character that s begins with (RFC 3629: no overlong form, no surrogate); 0: not
   UTF-8. *point is its code point. The end of s is the character U+0000 of one byte. */
size_t text_next(const char *s, uint32_t *point);

/* Valid UTF-8 without control characters (C0, DEL, C1). *characters: how many code points. */
bool text_plain(const char *s, size_t *characters);

/* Puts '?' for every byte that is not part of a UTF-8 character. */
void text_repair(char *s);

/* Decodes %XX in the first n bytes of s, and with `form` also '+' as a space. ERR_INVALID_VALUE: a
   bad escape, or what comes out is not plain; ERR_UNAVAILABLE: out of memory. */
enum err text_unescape(struct arena *, const char *s, size_t n, bool form, char **out);

/* FNV-1a: the slot of a key in a table of our own. Not for what an attacker may choose freely to
   make lists long: our tables have one entry a slot. */
uint32_t text_hash(const char *s);

/* 0-15, or -1: no hexadecimal digit. */
int text_hex_digit(char c);

/* Is a Content-Type (NULL: none) this media type, with any parameters? */
bool text_is_media_type(const char *content_type, const char *wanted);

#endif
