#include "repair.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct work {
	const char *in, *end;
	char *out;
	size_t length;
	const char *what;
};

static void put(struct work *w, const char *bytes, size_t n)
{
	memcpy(w->out + w->length, bytes, n);
	w->length += n;
}

static void mend(struct work *w, const char *with, const char *what)
{
	put(w, with, strlen(with));
	if (w->what == NULL)
		w->what = what;
}

/* XXXX of \uXXXX at p, or -1. */
static long escaped_unit(const char *p, const char *end)
{
	long unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = text_hex_digit(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static void take_escape(struct work *w)
{
	long unit = escaped_unit(w->in, w->end);
	size_t n = w->end - w->in < 2 ? 1 : 2;

	if (unit >= 0xd800 && unit <= 0xdbff) {
		long low = escaped_unit(w->in + 6, w->end);

		n = 6;
		if (low >= 0xdc00 && low <= 0xdfff) {
			put(w, w->in, 12);
			w->in += 12;
			return;
		}
	}
	if (unit == 0 || (unit >= 0xd800 && unit <= 0xdfff)) {
		mend(w, "\\ufffd", "holds an escaped character that is none, it is left out");
		n = 6;
	} else {
		put(w, w->in, n);
	}
	w->in += n;
}

static void take_string(struct work *w)
{
	put(w, w->in++, 1);
	while (w->in < w->end && *w->in != '"') {
		if (*w->in == '\\')
			take_escape(w);
		else
			put(w, w->in++, 1);
	}
	if (w->in < w->end)
		put(w, w->in++, 1);
}

/* The text ends with a NUL, so strtod() stops there at the latest. */
static void take_number(struct work *w)
{
	size_t n = 0;
	char *stop;
	bool large;

	while (w->in + n < w->end && w->in[n] != '\0' &&
	       strchr("+-.0123456789eE", w->in[n]) != NULL)
		n++;
	errno = 0;
	if (memchr(w->in, '.', n) == NULL && memchr(w->in, 'e', n) == NULL &&
	    memchr(w->in, 'E', n) == NULL) {
		(void)strtoll(w->in, &stop, 10);
		large = errno == ERANGE;
	} else {
		double value = strtod(w->in, &stop);

		large = errno == ERANGE && isinf(value);
	}
	if (large && stop == w->in + n)
		mend(w, "null", "holds a number that is too large, it is left out");
	else
		put(w, w->in, n);
	w->in += n;
}

/* Past the value that begins here, whatever it is made of. */
static void skip_nested(struct work *w)
{
	int depth = 0;

	do {
		if (*w->in == '"') {
			while (++w->in < w->end && *w->in != '"')
				if (*w->in == '\\' && w->end - w->in > 1)
					w->in++;
		} else if (*w->in == '{' || *w->in == '[') {
			depth++;
		} else if (*w->in == '}' || *w->in == ']') {
			depth--;
		}
		w->in++;
	} while (depth > 0 && w->in < w->end);
	if (w->in > w->end)
		w->in = w->end;
}

bool json_mend(struct arena *arena, const char *text, size_t length, int max_depth,
	       struct mended *mended)
{
	/* Only "[]" and the like become longer. */
	struct work w = { text, text + length, arena_alloc(arena, length * 2 + 16), 0, NULL };
	int depth = 0;

	if (w.out == NULL)
		return false;
	while (w.in < w.end) {
		char c = *w.in;

		if (c == '"') {
			take_string(&w);
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			take_number(&w);
		} else if ((c == '{' || c == '[') && depth == max_depth) {
			mend(&w, "null", "is nested too deeply, what is deeper is left out");
			skip_nested(&w);
		} else {
			depth += (c == '{' || c == '[') - (c == '}' || c == ']');
			put(&w, w.in++, 1);
		}
	}
	*mended = (struct mended){ w.out, w.length, w.what };
	return true;
}
