/* server/log.c: every line is JSON of at most 4096 bytes, whatever it is given; masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "log.h"

static int before, ends[2];

/* stderr is a pipe until logged(). */
static void capture(void)
{
	before = dup(STDERR_FILENO);
	if (before < 0 || pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
		exit(2);
}

/* The line that was written, by one read(): it was one write(). */
static json_t *logged(size_t *length)
{
	char text[8192];
	ssize_t n = read(ends[0], text, sizeof(text));
	json_t *json;

	(void)dup2(before, STDERR_FILENO);
	close(before);
	close(ends[0]);
	close(ends[1]);
	assert_in_range(n, 1, 4096);
	assert_int_equal(text[n - 1], '\n');
	json = json_loadb(text, (size_t)n - 1, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	*length = (size_t)n;
	return json;
}

static const char *member(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

static void test_line(void **state)
{
	size_t length;
	json_t *json;

	(void)state;
	capture();
	log_event(LOG_LEVEL_WARN, "e\"vent", "a", "x\n\t\\\x01\xff\xc2\x85\xc3\xa9", "none", NULL,
		  "n#", "-12.5", "bad#", "1,\"x\":2", "zero#", "01", "last", "", NULL);
	json = logged(&length);
	assert_string_equal(member(json, "level"), "warn");
	assert_string_equal(member(json, "event"), "e\"vent");
	assert_string_equal(member(json, "a"), "x\n\t\\\x01\xef\xbf\xbd\xc2\x85\xc3\xa9");
	assert_null(json_object_get(json, "none"));
	assert_true(json_real_value(json_object_get(json, "n")) == -12.5);
	assert_string_equal(member(json, "bad"), "1,\"x\":2");
	assert_string_equal(member(json, "zero"), "01");
	assert_string_equal(member(json, "last"), "");
	assert_int_equal(strlen(member(json, "at")), 24);
	assert_int_equal(member(json, "at")[10], 'T');
	assert_int_equal(member(json, "at")[19], '.');
	assert_int_equal(member(json, "at")[23], 'Z');
	json_decref(json);
}

/* Around the length at which a line is full, of characters that are written as 1, 2, 3 or 6. */
static void test_long_lines(void **state)
{
	static const char *const characters[] = { "a", "\n", "\xe2\x82\xac", "\x01" };
	char *text = calloc(1, 3 * 4200 + 1);

	(void)state;
	assert_non_null(text);
	for (size_t c = 0; c < 4; c++) {
		size_t width = strlen(characters[c]);

		memset(text, 0, 3 * 4200 + 1);
		for (size_t n = 0; n < 4200; n++) {
			size_t length;
			json_t *json;

			memcpy(text + n * width, characters[c], width);
			if (n > 800 && n % 97 != 0 && (n < 3950 || n > 4050))
				continue;
			capture();
			log_event(LOG_LEVEL_INFO, "long", "a", text, "b", "after", "c#", "12",
				  NULL);
			json = logged(&length);
			assert_non_null(member(json, "a"));
			if (n > 4096)
				assert_true(length > 4080);
			json_decref(json);
		}
	}
	free(text);
}

static void test_mask(void **state)
{
	char buffer[24];

	(void)state;
	assert_string_equal(log_mask("+14255550100", buffer), "+1425*****00");
	assert_string_equal(log_mask("+4930123456", buffer), "+4930****56");
	assert_string_equal(log_mask("911", buffer), "***");
	assert_string_equal(log_mask("1234567", buffer), "*******");
	assert_string_equal(log_mask("sip:anna@x", buffer), "**********");
	assert_string_equal(log_mask("", buffer), "");
	assert_string_equal(log_mask(NULL, buffer), "");
	assert_int_equal(strlen(log_mask("+14255550100+14255550100+1", buffer)), 23);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
