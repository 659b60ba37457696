#include "records.h"

#include <stdlib.h>
#include <string.h>

/* Where in an array we are; lines are always ITEM. */
enum place {
	START,	    /* before the array */
	FIRST_ITEM, /* an item, or the end */
	ITEM,
	AFTER_ITEM, /* a comma, or the end */
	DONE,	    /* behind the array: white space only */
	BROKEN,	    /* told, or not to be told */
};

struct records {
	bool array;
	size_t max;
	char *text;
	size_t length, capacity;
	size_t at;   /* where the element begins, and what is kept */
	size_t scan; /* how far it was looked at */
	bool ended;
	bool skipping; /* the element was too long, and is told */
	enum place place;
	/* Inside an item of the array: */
	bool inside, in_string, escaped, scalar;
	size_t depth;
};

struct records *records_new(bool array, size_t max)
{
	struct records *r = calloc(1, sizeof(*r));

	if (r) {
		r->array = array;
		r->max = max;
		r->place = array ? START : ITEM;
	}
	return r;
}

void records_free(struct records *r)
{
	if (r)
		free(r->text);
	free(r);
}

bool records_add(struct records *r, const char *data, size_t n)
{
	const size_t kept = r->length - r->at;

	if (r->place == BROKEN)
		return true;
	if (r->at) {
		memmove(r->text, r->text + r->at, kept);
		r->scan -= r->at;
		r->length = kept;
		r->at = 0;
	}
	if (kept + n > r->capacity) {
		const size_t capacity = kept + n > 2 * r->capacity ? kept + n : 2 * r->capacity;
		char *more = realloc(r->text, capacity);

		if (!more)
			return false;
		r->text = more;
		r->capacity = capacity;
	}
	if (n)
		memcpy(r->text + kept, data, n);
	r->length = kept + n;
	return true;
}

void records_end(struct records *r)
{
	r->ended = true;
}

void records_break(struct records *r)
{
	r->place = BROKEN;
	r->at = r->scan = r->length;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blank(struct records *r, size_t end)
{
	while (!r->skipping && r->at < end && is_blank(r->text[r->at]))
		r->at++;
}

/* What is from `at` to end is the element, or what is left of one that was too long. True: it is to
   be told. The white space behind it counts, for there may be more to come where it stands. */
static bool is_told(struct records *r, size_t end, const char **text, size_t *length,
		    enum record *what)
{
	const bool skipped = r->skipping;
	size_t from;

	skip_blank(r, end);
	from = r->at;
	*what = end - from > r->max ? RECORD_TOO_LONG : RECORD_ELEMENT;
	while (end > from && is_blank(r->text[end - 1]))
		end--;
	*text = r->text + from;
	*length = end - from;
	r->at = r->scan;
	r->skipping = false;
	return !skipped && from < end;
}

/* All that is there belongs to an element without an end so far. True: it is too long by now. */
static bool is_too_long(struct records *r)
{
	bool tell;

	skip_blank(r, r->scan);
	tell = !r->skipping && r->scan - r->at > r->max;
	if (tell || r->skipping) {
		r->skipping = true;
		r->at = r->scan;
	}
	return tell;
}

static enum record next_line(struct records *r, const char **text, size_t *length)
{
	enum record what;

	while (r->at < r->length) {
		const char *end = memchr(r->text + r->scan, '\n', r->length - r->scan);
		const size_t stop = end ? (size_t)(end - r->text) : r->length;

		r->scan = end ? stop + 1 : stop;
		if (!end && !r->ended)
			return is_too_long(r) ? RECORD_TOO_LONG : RECORD_MORE;
		if (is_told(r, stop, text, length, &what))
			return what;
	}
	return r->ended ? RECORD_END : RECORD_MORE;
}

/* --- an array ----------------------------------------------------------------------------------- */

static void begin_item(struct records *r, char c)
{
	r->inside = true;
	r->in_string = c == '"';
	r->escaped = false;
	r->depth = c == '{' || c == '[';
	r->scalar = !r->depth && !r->in_string;
}

/* Goes on with the item. True: it ends before `scan`. */
static bool scan_item(struct records *r)
{
	while (r->scan < r->length) {
		const char c = r->text[r->scan];

		if (r->scalar) {
			if (is_blank(c) || c == ',' || c == ']' || c == '}')
				return true;
		} else if (r->in_string) {
			r->in_string = c != '"' || r->escaped;
			r->escaped = c == '\\' && !r->escaped;
		} else if (c == '"') {
			r->in_string = true;
		} else if (c == '{' || c == '[') {
			r->depth++;
		} else if (c == '}' || c == ']') {
			r->depth--;
		}
		r->scan++;
		if (!r->scalar && !r->in_string && r->depth == 0)
			return true;
	}
	return r->scalar && r->ended;
}

/* One character between items. False: it does not belong there. */
static bool step(struct records *r, char c)
{
	r->at = ++r->scan;
	if (is_blank(c))
		return true;
	switch (r->place) {
	case START: r->place = FIRST_ITEM; return c == '[';
	case FIRST_ITEM:
	case ITEM:
		if (c == ']' && r->place == FIRST_ITEM) {
			r->place = DONE;
			return true;
		}
		if (c == ',' || c == ']' || c == '}' || c == ':')
			return false;
		r->at--;
		begin_item(r, c);
		return true;
	case AFTER_ITEM: r->place = c == ',' ? ITEM : DONE; return c == ',' || c == ']';
	case DONE:
	case BROKEN: break;
	}
	return false;
}

static enum record next_item(struct records *r, const char **text, size_t *length)
{
	enum record what;

	while (r->place != BROKEN) {
		const bool opened = r->place != START;

		if (r->inside) {
			if (!scan_item(r))
				break;
			r->inside = false;
			r->place = AFTER_ITEM;
			if (is_told(r, r->scan, text, length, &what))
				return what;
		} else if (r->scan == r->length) {
			break;
		} else if (!step(r, r->text[r->scan])) {
			records_break(r);
			return opened ? RECORD_BROKEN : RECORD_NO_ARRAY;
		}
	}
	if (r->place == BROKEN || (r->ended && r->place == DONE))
		return RECORD_END;
	if (r->inside && is_too_long(r))
		return RECORD_TOO_LONG;
	if (!r->ended)
		return RECORD_MORE;
	what = r->place == START ? RECORD_NO_ARRAY : RECORD_BROKEN;
	records_break(r);
	return what;
}

enum record records_next(struct records *r, const char **text, size_t *length)
{
	if (r->place == BROKEN)
		return RECORD_END;
	return r->array ? next_item(r, text, length) : next_line(r, text, length);
}
