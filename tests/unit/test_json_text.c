/* api/emergency/json_text.c: what it writes reads back as what was meant. */
#include <string.h>

#include "plan_cases.h"
#include "api/emergency/json_text.h"

static void test_document(void **state)
{
	struct json_text t;

	(void)state;
	json_text_start(&t, arena, 1);
	json_text_open(&t, NULL, '{');
	json_text_string(&t, "s", "a");
	json_text_string(&t, "none", NULL);
	json_text_integer(&t, "i", -42);
	json_text_bool(&t, "yes", true);
	json_text_bool(&t, "no", false);
	json_text_open(&t, "empty", '[');
	json_text_close(&t, ']');
	json_text_open(&t, "list", '[');
	json_text_string(&t, NULL, "x");
	json_text_open(&t, NULL, '{');
	json_text_close(&t, '}');
	json_text_raw(&t, NULL, "[1,2]");
	json_text_stringn(&t, NULL, "xyz", 2);
	json_text_close(&t, ']');
	json_text_value(&t, "nothing", NULL);
	json_text_close(&t, '}');
	assert_string_equal(json_text_end(&t),
			    "{\"s\":\"a\",\"none\":null,\"i\":-42,\"yes\":true,\"no\":false,"
			    "\"empty\":[],\"list\":[\"x\",{},[1,2],\"xy\"],\"nothing\":null}");
}

/* Any character, at any place of a text of any length. */
static void test_strings(void **state)
{
	char s[24];

	(void)state;
	for (int c = 1; c < 0x80; c++)
		for (size_t length = 1; length < sizeof(s) - 1; length++)
			for (size_t at = 0; at < length; at += 3) {
				struct json_text t;

				memset(s, 'a', length);
				s[length] = '\0';
				s[at] = (char)c;
				json_text_start(&t, arena, 0);
				json_text_open(&t, NULL, '[');
				json_text_string(&t, NULL, s);
				json_text_close(&t, ']');
				assert_string_equal(json_string_value(json_array_get(
							    doc_of(json_text_end(&t)), 0)),
						    s);
			}
}

static void test_utf8_stays(void **state)
{
	struct json_text t;

	(void)state;
	json_text_start(&t, arena, 0);
	json_text_string(&t, NULL, "Gespräch 通話 \xf0\x9f\x9a\xa8 \x7f");
	assert_string_equal(json_text_end(&t), "\"Gespräch 通話 \xf0\x9f\x9a\xa8 \x7f\"");
}

static void test_values(void **state)
{
	static const char *const values[] = {
		"{'a': [1, -2, 9223372036854775807, true, false, null, {}, []], 'b': {'c': {'d': 'e'}}}",
		"{'nul': 'a\\u0000b', 'quote': '\\\"', 'a\\\"b\\\\': 1, 'line': '\\n\\t'}",
		"[47.6, -122.1, 0.1, 50.0, 1e300, 2.5e-300, -0.0, 0.30000000000000004]",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(values); i++) {
		const json_t *want = doc(values[i]);
		struct json_text t;
		json_t *got;

		json_text_start(&t, arena, 0);
		json_text_value(&t, NULL, want);
		got = json_loads(json_text_end(&t), JSON_ALLOW_NUL, NULL);
		if (!json_equal(got, want))
			fail_msg("%s: %s", values[i], json_text_end(&t));
		json_decref(got);
	}
}

/* A number of degrees is as short as it was: what is stored and shown is what was sent. */
static void test_reals_are_short(void **state)
{
	struct json_text t;

	(void)state;
	json_text_start(&t, arena, 0);
	json_text_value(&t, NULL, doc("[47.6, -122.1, 50.0]"));
	assert_string_equal(json_text_end(&t), "[47.6,-122.1,50.0]");
}

static void test_join(void **state)
{
	(void)state;
	assert_string_equal(text_join(arena, "a", "", "bc", NULL), "abc");
	assert_string_equal(text_join(arena, NULL), "");
}

int main(void)
{
	struct CMUnitTest tests[8];
	size_t n = 0;

	n = add_test(tests, n, "a document, member by member", test_document, NULL);
	n = add_test(tests, n, "any character anywhere in a string", test_strings, NULL);
	n = add_test(tests, n, "UTF-8 stays as it is", test_utf8_stays, NULL);
	n = add_test(tests, n, "any value reads back the same", test_values, NULL);
	n = add_test(tests, n, "real numbers are short", test_reals_are_short, NULL);
	n = add_test(tests, n, "joining", test_join, NULL);
	return _cmocka_run_group_tests("json_text", tests, n, NULL, NULL);
}
