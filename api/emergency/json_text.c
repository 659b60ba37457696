/* See json_text.h. */
#include "json_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* at is NULL from the first failure on. */
static bool grow(struct json_text *t, size_t n)
{
	size_t size = t->size;
	char *larger;

	if (t->at == NULL)
		return false;
	while (size - t->length <= n)
		size *= 2;
	larger = arena_alloc(t->arena, size);
	if (larger != NULL)
		memcpy(larger, t->at, t->length);
	t->at = larger;
	t->size = size;
	return larger != NULL;
}

/* Room for n more bytes and a NUL. */
static inline bool room(struct json_text *t, size_t n)
{
	return (t->at != NULL && t->size - t->length > n) || grow(t, n);
}

static inline void put(struct json_text *t, const char *bytes, size_t n)
{
	if (!room(t, n))
		return;
	memcpy(t->at + t->length, bytes, n);
	t->length += n;
}

/* What comes before a value: the comma, and its name in an object. */
static void begin(struct json_text *t, const char *name)
{
	const size_t n = name != NULL ? strlen(name) : 0;
	char *to;

	if (!room(t, n + 4))
		return;
	to = t->at + t->length;
	if (t->comma)
		*to++ = ',';
	t->comma = true;
	if (name != NULL) {
		*to++ = '"';
		memcpy(to, name, n);
		to += n;
		*to++ = '"';
		*to++ = ':';
	}
	t->length = (size_t)(to - t->at);
}

void json_text_start(struct json_text *t, struct arena *arena, size_t size)
{
	*t = (struct json_text){ .arena = arena, .size = size < 64 ? 64 : size };
	t->at = arena_alloc(arena, t->size);
}

const char *json_text_end(struct json_text *t)
{
	if (t->at != NULL)
		t->at[t->length] = '\0';
	return t->at;
}

void json_text_open(struct json_text *t, const char *name, char bracket)
{
	begin(t, name);
	put(t, &bracket, 1);
	t->comma = false;
}

void json_text_close(struct json_text *t, char bracket)
{
	put(t, &bracket, 1);
	t->comma = true;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HAS_BELOW(x, n) (((x)-EACH(n)) & ~(x)&EACH(0x80))

/* How many bytes from the start stand for themselves; eight at a time, as most texts are plain. */
static size_t plain(const char *s, size_t n)
{
	size_t i = 0;
	uint64_t x;

	for (; n - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, s + i, sizeof(x));
		if (HAS_BELOW(x, 0x20) | HAS_BELOW(x ^ EACH('"'), 1) | HAS_BELOW(x ^ EACH('\\'), 1))
			break;
	}
	while (i < n && is_plain((unsigned char)s[i]))
		i++;
	return i;
}

static void put_quoted(struct json_text *t, const char *s, size_t n)
{
	char escape[8];

	put(t, "\"", 1);
	for (;;) {
		const size_t run = plain(s, n);

		put(t, s, run);
		if (run == n)
			break;
		(void)snprintf(escape, sizeof(escape),
			       s[run] == '"' || s[run] == '\\' ? "\\%c" : "\\u%04x",
			       (unsigned int)(unsigned char)s[run]);
		put(t, escape, strlen(escape));
		s += run + 1;
		n -= run + 1;
	}
	put(t, "\"", 1);
}

void json_text_stringn(struct json_text *t, const char *name, const char *value, size_t length)
{
	begin(t, name);
	put_quoted(t, value, length);
}

void json_text_raw(struct json_text *t, const char *name, const char *json)
{
	begin(t, name);
	if (json == NULL)
		t->at = NULL; /* memory was out where it was made */
	else
		put(t, json, strlen(json));
}

void json_text_string(struct json_text *t, const char *name, const char *value)
{
	if (value == NULL)
		json_text_raw(t, name, "null");
	else
		json_text_stringn(t, name, value, strlen(value));
}

void json_text_integer(struct json_text *t, const char *name, long long value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%lld", value);
	json_text_raw(t, name, digits);
}

void json_text_bool(struct json_text *t, const char *name, bool value)
{
	json_text_raw(t, name, value ? "true" : "false");
}

/* The shorter of the forms that read back as the same number; it stays a real one. */
static void put_real(struct json_text *t, double value)
{
	char digits[32];

	(void)snprintf(digits, sizeof(digits), "%.15g", value);
	if (strtod(digits, NULL) < value || strtod(digits, NULL) > value)
		(void)snprintf(digits, sizeof(digits), "%.17g", value);
	put(t, digits, strlen(digits));
	if (strpbrk(digits, ".e") == NULL)
		put(t, ".0", 2);
}

/* Depth is that of the document, which its reader has bounded. */
void json_text_value(struct json_text *t, const char *name, const json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		json_text_open(t, name, '{');
		json_object_foreach ((json_t *)(uintptr_t)value, key, item) {
			if (t->comma)
				put(t, ",", 1);
			put_quoted(t, key, strlen(key));
			put(t, ":", 1);
			t->comma = false;
			json_text_value(t, NULL, item);
		}
		json_text_close(t, '}');
		return;
	case JSON_ARRAY:
		json_text_open(t, name, '[');
		json_array_foreach (value, i, item)
			json_text_value(t, NULL, item);
		json_text_close(t, ']');
		return;
	case JSON_STRING:
		json_text_stringn(t, name, json_string_value(value), json_string_length(value));
		return;
	case JSON_INTEGER: json_text_integer(t, name, json_integer_value(value)); return;
	case JSON_REAL:
		begin(t, name);
		put_real(t, json_real_value(value));
		return;
	case JSON_TRUE:
	case JSON_FALSE: json_text_bool(t, name, json_is_true(value)); return;
	case JSON_NULL: break;
	}
	json_text_raw(t, name, "null");
}

const char *text_join(struct arena *arena, ...)
{
	size_t n = 0, at = 0;
	const char *part;
	va_list parts;
	char *out;

	va_start(parts, arena);
	while ((part = va_arg(parts, const char *)) != NULL)
		n += strlen(part);
	va_end(parts);
	out = arena_alloc(arena, n + 1);
	va_start(parts, arena);
	while (out != NULL && (part = va_arg(parts, const char *)) != NULL) {
		const size_t length = strlen(part);

		memcpy(out + at, part, length);
		at += length;
	}
	va_end(parts);
	return out;
}
