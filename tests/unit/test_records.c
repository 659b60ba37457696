/*
 * server/records.c: the elements of a body are the same however it is cut, what is no element is told
 * once, and no more than one unfinished element is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/records.h"

#define MAX 16 /* bytes of an element */

struct script {
	bool array;
	const char *body;
	const char *
		expected; /* elements as they are; < too long, ! broken, ? no array; each with a | */
};

static const struct script scripts[] = {
	{ false, "", "" },
	{ false, "\n \r\n\t\n", "" },
	{ false, "a\nb", "a|b|" },
	{ false, " a \r\n\r\nb\r\n", "a|b|" },
	{ false, "{\"a\":1}\n{\n", "{\"a\":1}|{|" },
	{ false, "0123456789abcdef\n0123456789abcdefg\nx", "0123456789abcdef|<|x|" },
	{ false, "0123456789abcdefghijklmnopqrstuvwxyz0123456789\nx\n", "<|x|" },
	{ false, "x\n0123456789abcdefghijklmnopqrstuvwxyz0123456789", "x|<|" },
	{ false, "                              x\ny", "x|y|" },
	{ false, "                              \ny", "y|" },
	{ false, "x                             \ny", "<|y|" },
	{ true, "[                              1                              ]", "1|" },
	{ true, "[]", "" },
	{ true, " [ ] \n", "" },
	{ true, "[{},[1],\"a\",5,null]", "{}|[1]|\"a\"|5|null|" },
	{ true, "[ {\"a\":\"}],[\"} , \"\\\"]\" ]", "{\"a\":\"}],[\"}|\"\\\"]\"|" },
	{ true, "[\"\\\\\",\"a\\\\\\\"]\"]", "\"\\\\\"|\"a\\\\\\\"]\"|" },
	{ true, "[{\"a\":[{\"b\":1}]}]", "{\"a\":[{\"b\":1}]}|" },
	{ true, "[\"0123456789abcdefghijklmnop\",1]", "<|1|" },
	{ true, "[{\"a\":\"0123456789abcdefghij]}klmnopqr\\\"stuv\"},2]", "<|2|" },
	{ true, "[0123456789abcdefghijklmnop ,3]", "<|3|" },
	{ true, "", "?|" },
	{ true, "  ", "?|" },
	{ true, "{}", "?|" },
	{ true, "x", "?|" },
	{ true, "[", "!|" },
	{ true, "[1", "1|!|" },
	{ true, "[1,", "1|!|" },
	{ true, "[1,]", "1|!|" },
	{ true, "[,1]", "!|" },
	{ true, "[1 2]", "1|!|" },
	{ true, "[1]]", "1|!|" },
	{ true, "[1] x", "1|!|" },
	{ true, "[1}", "1|!|" },
	{ true, "[{\"a\":1", "!|" },
	{ true, "[:]", "!|" },
};

static size_t play(struct records *r, char *out, size_t at)
{
	const char *text;
	size_t length;

	for (;;) {
		const enum record what = records_next(r, &text, &length);

		if (what == RECORD_MORE || what == RECORD_END)
			return at;
		if (what == RECORD_ELEMENT) {
			assert_true(length > 0 && length <= MAX);
			memcpy(out + at, text, length);
			at += length;
		} else {
			out[at++] = what == RECORD_TOO_LONG ? '<'
				    : what == RECORD_BROKEN ? '!'
							    : '?';
		}
		out[at++] = '|';
	}
}

static void check(const struct script *s, size_t step)
{
	struct records *r = records_new(s->array, MAX);
	const size_t n = strlen(s->body);
	char out[256];
	size_t at = 0;

	assert_non_null(r);
	for (size_t i = 0; i < n; i += step) {
		/* A copy of its own: what reads past it is seen by the sanitizer. */
		const size_t part = n - i < step ? n - i : step;
		char *piece = malloc(part);

		assert_non_null(piece);
		memcpy(piece, s->body + i, part);
		assert_true(records_add(r, piece, part));
		free(piece);
		at = play(r, out, at);
	}
	records_end(r);
	at = play(r, out, at);
	out[at] = '\0';
	assert_string_equal(out, s->expected);
	/* Nothing more, however often it is asked. */
	assert_int_equal(play(r, out, 0), 0);
	records_free(r);
}

static void test_the_elements_are_the_same_however_the_body_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		for (size_t step = 1; step < 60; step++)
			check(&scripts[i], step);
}

static void test_what_is_skipped_is_not_kept(void **state)
{
	static char much[64 * 1024];
	const char *text;
	size_t length;

	(void)state;
	memset(much, 'x', sizeof(much));
	for (int array = 0; array < 2; array++) {
		struct records *r = records_new(array, MAX);

		assert_non_null(r);
		assert_true(records_add(r, array ? "[\"" : "y", array ? 2 : 1));
		/* A gigabyte of one element: it would be felt if it were kept. */
		for (int i = 0; i < 16 * 1024; i++) {
			assert_true(records_add(r, much, sizeof(much)));
			assert_int_equal(records_next(r, &text, &length),
					 i ? RECORD_MORE : RECORD_TOO_LONG);
		}
		records_free(r);
	}
}

static void test_what_cannot_be_followed_is_dropped(void **state)
{
	struct records *r = records_new(true, MAX);
	const char *text;
	size_t length;

	(void)state;
	assert_non_null(r);
	assert_true(records_add(r, "[{},{}]", 7));
	assert_int_equal(records_next(r, &text, &length), RECORD_ELEMENT);
	records_break(r);
	assert_int_equal(records_next(r, &text, &length), RECORD_END);
	assert_true(records_add(r, "[{}]", 4));
	records_end(r);
	assert_int_equal(records_next(r, &text, &length), RECORD_END);
	records_free(r);
	records_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_elements_are_the_same_however_the_body_is_cut),
		cmocka_unit_test(test_what_is_skipped_is_not_kept),
		cmocka_unit_test(test_what_cannot_be_followed_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
