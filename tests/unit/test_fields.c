/* server/fields.c: the single checks, and tables over whole objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"

#include <cmocka.h> /* its macro fail() hides ours */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* --- single checks ------------------------------------------------------------------------------ */

static const struct {
	bool (*check)(const char *);
	const char *good[12], *bad[24];
} checks[] = {
	{ is_e164,
	  { "+14255550100", "+12", "+123456789012345", NULL },
	  { "", "+", "+1", "+02", "14255550100", "+1234567890123456", "+1 425", "+12a",
	    "\xef\xbc\x8b"
	    "12",
	    NULL } },
	{ is_region,
	  { "AD", "US", "ZW", "GB", "PR", "MP", "TO", "SZ", NULL },
	  { "", "U", "us", "USA", "UK", "XX", "XK", "EU", "AA", "ZZ", "SU", "AN", "A\x01", NULL } },
	{ is_uuid,
	  { "01981f6a-3c01-7a10-8f00-000000000001", "01981F6A-3C01-7A10-8F00-00000000000F", NULL },
	  { "", "01981f6a", "01981f6a-3c01-7a10-8f00-00000000000",
	    "01981f6a-3c01-7a10-8f00-00000000000g", "01981f6a-3c01-7a10-8f00-0000000000011",
	    NULL } },
	{ is_reference,
	  { "01981f6a-3c01-7a10-8f00-000000000001", "ext:a", "ext:!~", "ext:ext:", NULL },
	  { "", "ext:", "ext: a", "ext:\xc3\xa9", "EXT:a", "+14255550100",
	    "{01981f6a-3c01-7a10-8f00-000000000001}", "01981f6a3c017a108f00000000000001", NULL } },
	{ is_number_reference,
	  { "+14255550100", "01981f6a-3c01-7a10-8f00-000000000001", NULL },
	  { "", "911", NULL } },
	{ is_external_id,
	  { "a", "!~", HUNDRED TEN TEN "aaaaaaaa", NULL },
	  { "", " ", "a b", "\x7f", "\xc3\xa9", HUNDRED TEN TEN "aaaaaaaaa", NULL } },
	{ is_language,
	  { "en", "de-AT", "zh-Hant-TW", "sl-rozaj-biske-1994", "abc", NULL },
	  { "", "e", "en-", "en_US", "-en", "en--US", "abcdefghi", "en-abcdefghi", "1n",
	    "aa-bbbbbbbb-cccccccc-dddddddd-eeeeee", NULL } },
	{ is_url,
	  { "https://a", "http://a.example:8080/x?y#z", "HTTPS://A/%20", "https://[::1]/", NULL },
	  { "", "https://", "https:///x", "ftp://a", "a", "https:a", "https://a b",
	    "https://\xc3\xa9/", "https://?x", "https://@x", "javascript:1", "https://a\n",
	    "https://a/%zz", "https://a/%2", "https://a/|", "https://a/{x}", NULL } },
	{ is_extension,
	  { "1", "0", "*12#", "12345678901234567890123456789012", NULL },
	  { "", "a", "+1", "1 2", "123456789012345678901234567890123", NULL } },
	{ is_time,
	  { "2026-03-02T14:00:00Z", "2024-02-29t23:59:60z", "2000-02-29T00:00:00+00:00",
	    "2026-03-02T14:00:00.123456789-08:00", "2026-03-02T14:00:00+14:00",
	    "0010-12-31T00:00:00Z", NULL },
	  { "",
	    "2026-03-02",
	    "2026-03-02T14:00:00",
	    "2026-03-02 14:00:00Z",
	    "2026-02-29T14:00:00Z",
	    "1900-02-29T14:00:00Z",
	    "2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z",
	    "2026-04-31T00:00:00Z",
	    "2026-04-00T00:00:00Z",
	    "2026-03-02T24:00:00Z",
	    "2026-03-02T14:60:00Z",
	    "2026-03-02T14:00:61Z",
	    "2026-03-02T14:00Z",
	    "2026-03-02T14:00:00.Z",
	    "2026-03-02T14:00:00Zx",
	    "2026-03-02T14:00:00+0800",
	    "2026-03-02T14:00:00+08:60",
	    "2026-03-02T14:00:00+16:00",
	    "0000-01-01T00:00:00Z",
	    "+2026-03-02T14:00:00Z",
	    "2026-3-2T14:00:00Z",
	    "infinity",
	    NULL } },
};

static void test_checks(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(checks); i++) {
		for (const char *const *s = checks[i].good; *s != NULL; s++)
			if (!checks[i].check(*s))
				fail_msg("row %zu: '%s' was refused", i, *s);
		for (const char *const *s = checks[i].bad; *s != NULL; s++)
			if (checks[i].check(*s))
				fail_msg("row %zu: '%s' was taken", i, *s);
	}
}

static void test_regions(void **state)
{
	int n = 0;

	(void)state;
	for (int a = 'A'; a <= 'Z'; a++)
		for (int b = 'A'; b <= 'Z'; b++) {
			char code[3] = { (char)a, (char)b, '\0' };

			n += is_region(code);
		}
	assert_int_equal(n, 249);
}

static void test_plain_text(void **state)
{
	(void)state;
	assert_true(is_plain_text("", 0, 0));
	assert_true(is_plain_text("\xc3\xa9\xf0\x9f\x98\x80", 2, 2));
	assert_false(is_plain_text("\xc3\xa9", 2, 9));
	assert_false(is_plain_text("abc", 0, 2));
	assert_false(is_plain_text("a\tb", 0, 9));
	assert_false(is_plain_text("a\x7f", 0, 9));
	assert_false(is_plain_text("\xc2\x9f", 0, 9)); /* U+009F */
	assert_true(is_plain_text("\xc2\xa0", 0, 9));  /* U+00A0 */
	assert_false(is_plain_text("\xc3", 0, 9));
	assert_false(is_plain_text("\xc0\xaf", 0, 9));
	assert_false(is_plain_text("\xe0\x80\xaf", 0, 9));
	assert_false(is_plain_text("\xed\xa0\x80", 0, 9));
	assert_false(is_plain_text("\xf4\x90\x80\x80", 0, 9));
	assert_true(is_plain_text("\xf4\x8f\xbf\xbf", 0, 9));
}

/* --- tables ------------------------------------------------------------------------------------- */

static const struct field destination[] = {
	{ .name = "type",
	  .type = F_ENUM,
	  .choices = "sip_uri|phone_number",
	  .flags = FIELD_REQUIRED },
	{ .name = "address", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "name", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "staffed", .type = F_BOOL, .standard = "false" },
	{ .name = "weight", .type = F_INTEGER, .max = 9, .standard = "3" },
	{ .name = "id", .type = F_STRING, .flags = FIELD_READ_ONLY },
	{ 0 },
};
static const struct field number = { .type = F_E164 };
static const struct field row_destination = { .type = F_OBJECT, .fields = destination };

/* One row for each type; a test looks at the first, `v`. */
static const struct field tables[][2] = {
	{ { .name = "v", .type = F_STRING, .flags = FIELD_NULLABLE, .standard = NULL } },
	{ { .name = "v", .type = F_STRING, .min = 2, .max = 3, .standard = "abc" } },
	{ { .name = "v", .type = F_ENUM, .choices = "busy|busy_idle|away", .standard = "away" } },
	{ { .name = "v", .type = F_BOOL, .standard = "true" } },
	{ { .name = "v", .type = F_INTEGER, .min = -5, .max = 86400 } },
	{ { .name = "v", .type = F_INTEGER } },
	{ { .name = "v", .type = F_NUMBER, .min = -90, .max = 90, .flags = FIELD_NULLABLE } },
	{ { .name = "v", .type = F_TIME } },
	{ { .name = "v", .type = F_REF, .choices = "sites", .flags = FIELD_REQUIRED } },
	{ { .name = "v", .type = F_OBJECT, .fields = destination, .flags = FIELD_NULLABLE } },
	{ { .name = "v", .type = F_ARRAY, .fields = &number, .min = 1, .max = 2 } },
	{ { .name = "v", .type = F_ARRAY, .fields = &row_destination, .standard = "[]" } },
	{ { .name = "v", .type = F_SCOPES, .min = 1, .flags = FIELD_REQUIRED } },
	{ { .name = "v", .type = F_STRINGS, .choices = "a.b|c.d", .standard = "{}" } },
	{ { .name = "v", .type = F_STRINGS } },
	{ { .name = "v", .type = F_ANY_OBJECT, .max = 20, .flags = FIELD_NULLABLE } },
	{ { .name = "v", .type = F_STRING, .flags = FIELD_READ_ONLY } },
};
enum {
	STRING,
	STRING_2_3,
	ENUM,
	BOOL,
	INTEGER,
	ANY_INTEGER,
	NUMBER,
	TIME,
	REF,
	OBJECT,
	NUMBERS,
	OBJECTS,
	SCOPES,
	CHOICES,
	STRINGS,
	ANY_OBJECT,
	READ_ONLY
};

#define FULL "{\"type\":\"sip_uri\",\"address\":\"a\",\"name\":null,\"staffed\":false,\"weight\":3}"

/* text: the value, NULL for SQL null; with an error: "pointer detail" of the first. */
static const struct {
	int table;
	const char *json;
	enum err e;
	const char *text;
} values[] = {
	{ STRING, "{}", ERR_OK, NULL },
	{ STRING, "{\"v\":null}", ERR_OK, NULL },
	{ STRING, "{\"v\":\"x\"}", ERR_OK, "x" },
	{ STRING, "{\"v\":\"" HUNDRED HUNDRED "\"}", ERR_OK, HUNDRED HUNDRED },
	{ STRING, "{\"v\":\"" HUNDRED HUNDRED "a\"}", ERR_INVALID_VALUE,
	  "/v must have 1 to 200 characters, no control characters among them" },
	{ STRING, "{\"v\":\"\"}", ERR_INVALID_VALUE,
	  "/v must have 1 to 200 characters, no control characters among them" },
	{ STRING, "{\"v\":\"a\\u0007\"}", ERR_INVALID_VALUE,
	  "/v must have 1 to 200 characters, no control characters among them" },
	{ STRING, "{\"v\":1}", ERR_INVALID_VALUE, "/v must be a string" },
	{ STRING, "{\"w\":1}", ERR_UNKNOWN_FIELD, "/w is not a member of this resource" },
	{ STRING, "{\"a~/b\":1}", ERR_UNKNOWN_FIELD, "/a~0~1b is not a member of this resource" },
	{ STRING, "{\"V\":\"x\"}", ERR_UNKNOWN_FIELD, "/V is not a member of this resource" },
	{ STRING_2_3, "{}", ERR_OK, "abc" },
	{ STRING_2_3, "{\"v\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}", ERR_OK, "\xc3\xa9\xc3\xa9\xc3\xa9" },
	{ STRING_2_3, "{\"v\":\"\xc3\xa9\"}", ERR_INVALID_VALUE,
	  "/v must have 2 to 3 characters, no control characters among them" },
	{ STRING_2_3, "{\"v\":null}", ERR_INVALID_VALUE, "/v must not be null" },
	{ ENUM, "{}", ERR_OK, "away" },
	{ ENUM, "{\"v\":\"busy\"}", ERR_OK, "busy" },
	{ ENUM, "{\"v\":\"busy_idle\"}", ERR_OK, "busy_idle" },
	{ ENUM, "{\"v\":\"bus\"}", ERR_INVALID_VALUE, "/v must be one of busy, busy_idle, away" },
	{ ENUM, "{\"v\":\"\"}", ERR_INVALID_VALUE, "/v must be one of busy, busy_idle, away" },
	{ ENUM, "{\"v\":\"busy|busy_idle\"}", ERR_INVALID_VALUE,
	  "/v must be one of busy, busy_idle, away" },
	{ BOOL, "{}", ERR_OK, "true" },
	{ BOOL, "{\"v\":false}", ERR_OK, "false" },
	{ BOOL, "{\"v\":true}", ERR_OK, "true" },
	{ BOOL, "{\"v\":\"true\"}", ERR_INVALID_VALUE, "/v must be true or false" },
	{ BOOL, "{\"v\":0}", ERR_INVALID_VALUE, "/v must be true or false" },
	{ INTEGER, "{}", ERR_OK, NULL },
	{ INTEGER, "{\"v\":-5}", ERR_OK, "-5" },
	{ INTEGER, "{\"v\":86400}", ERR_OK, "86400" },
	{ INTEGER, "{\"v\":86401}", ERR_INVALID_VALUE, "/v must be an integer from -5 to 86400" },
	{ INTEGER, "{\"v\":-6}", ERR_INVALID_VALUE, "/v must be an integer from -5 to 86400" },
	{ INTEGER, "{\"v\":3.0}", ERR_OK, "3" },
	{ INTEGER, "{\"v\":1e2}", ERR_OK, "100" },
	{ INTEGER, "{\"v\":3.5}", ERR_INVALID_VALUE, "/v must be an integer" },
	{ INTEGER, "{\"v\":1e300}", ERR_INVALID_VALUE, "/v must be an integer" },
	{ INTEGER, "{\"v\":\"3\"}", ERR_INVALID_VALUE, "/v must be an integer" },
	{ ANY_INTEGER, "{\"v\":9223372036854775807}", ERR_OK, "9223372036854775807" },
	{ NUMBER, "{\"v\":47.6}", ERR_OK, "47.6" },
	{ NUMBER, "{\"v\":-90}", ERR_OK, "-90" },
	{ NUMBER, "{\"v\":0.30000000000000004}", ERR_OK, "0.30000000000000004" },
	{ NUMBER, "{\"v\":90.1}", ERR_INVALID_VALUE, "/v must be a number from -90 to 90" },
	{ NUMBER, "{\"v\":null}", ERR_OK, NULL },
	{ TIME, "{\"v\":\"2026-03-02T14:00:00Z\"}", ERR_OK, "2026-03-02T14:00:00Z" },
	{ TIME, "{\"v\":\"today\"}", ERR_INVALID_VALUE,
	  "/v must be an RFC 3339 date-time with offset, such as 2026-03-02T14:00:00Z" },
	{ REF, "{\"v\":\"ext:x\"}", ERR_OK, "ext:x" },
	{ REF, "{}", ERR_REQUIRED, "/v is required" },
	{ REF, "{\"v\":null}", ERR_INVALID_VALUE, "/v must not be null" },
	{ REF, "{\"v\":\"x\"}", ERR_INVALID_VALUE, "/v must be an id or ext:<external_id>" },
	{ OBJECT, "{}", ERR_OK, NULL },
	{ OBJECT, "{\"v\":{\"type\":\"sip_uri\",\"address\":\"a\"}}", ERR_OK, FULL },
	{ OBJECT, "{\"v\":{\"name\":null,\"weight\":3,\"address\":\"a\",\"type\":\"sip_uri\"}}",
	  ERR_OK, FULL },
	{ OBJECT, "{\"v\":{\"address\":\"a\"}}", ERR_REQUIRED, "/v/type is required" },
	{ OBJECT, "{\"v\":{\"type\":\"sip_uri\",\"address\":\"a\",\"x/y\":1}}", ERR_UNKNOWN_FIELD,
	  "/v/x~1y is not a member of this object" },
	{ OBJECT, "{\"v\":{\"type\":\"sip_uri\",\"address\":\"a\",\"id\":\"1\"}}", ERR_READ_ONLY,
	  "/v/id is read-only" },
	{ OBJECT, "{\"v\":[]}", ERR_INVALID_VALUE, "/v must be an object" },
	{ NUMBERS, "{\"v\":[\"+12\",\"+13\"]}", ERR_OK, "[\"+12\",\"+13\"]" },
	{ NUMBERS, "{\"v\":[]}", ERR_INVALID_VALUE, "/v must have at least 1 item" },
	{ NUMBERS, "{\"v\":[1,2,3]}", ERR_INVALID_VALUE, "/v must have at most 2 items" },
	{ NUMBERS, "{\"v\":[\"+12\",\"13\"]}", ERR_INVALID_VALUE,
	  "/v/1 must be an E.164 number, such as +14255550100" },
	{ NUMBERS, "{\"v\":[null]}", ERR_INVALID_VALUE, "/v/0 must not be null" },
	{ NUMBERS, "{\"v\":{}}", ERR_INVALID_VALUE, "/v must be an array" },
	{ OBJECTS, "{}", ERR_OK, "[]" },
	{ OBJECTS, "{\"v\":[{\"type\":\"sip_uri\",\"address\":\"a\"}]}", ERR_OK, "[" FULL "]" },
	{ OBJECTS, "{\"v\":[{\"type\":\"x\",\"address\":\"a\"}]}", ERR_INVALID_VALUE,
	  "/v/0/type must be one of sip_uri, phone_number" },
	{ SCOPES, "{\"v\":[\"config:read\",\"calls:write\"]}", ERR_OK,
	  "{\"config:read\",\"calls:write\"}" },
	{ SCOPES, "{\"v\":[]}", ERR_INVALID_VALUE, "/v must have at least 1 item" },
	{ SCOPES, "{\"v\":[\"calls\"]}", ERR_INVALID_VALUE, "/v/0 is not a scope" },
	{ SCOPES, "{\"v\":[\"operator\"]}", ERR_INVALID_VALUE,
	  "/v/0 is only for SWITCHBACK_OPERATOR_KEY" },
	{ SCOPES, "{\"v\":[\"calls:read\",\"calls:read\"]}", ERR_INVALID_VALUE,
	  "/v/1 is there twice" },
	{ SCOPES, "{\"v\":[1]}", ERR_INVALID_VALUE, "/v/0 must be a string" },
	{ CHOICES, "{}", ERR_OK, "{}" },
	{ CHOICES, "{\"v\":[]}", ERR_OK, "{}" },
	{ CHOICES, "{\"v\":[\"c.d\"]}", ERR_OK, "{\"c.d\"}" },
	{ CHOICES, "{\"v\":[\"c.d\",\"e\"]}", ERR_INVALID_VALUE,
	  "/v/1 is not one of those that there are" },
	{ STRINGS, "{\"v\":[\"a\\\"b\",\"\\\\\",\"{,}\",\"NULL\"]}", ERR_OK,
	  "{\"a\\\"b\",\"\\\\\",\"{,}\",\"NULL\"}" },
	{ ANY_OBJECT, "{\"v\":{\"a\":[1,2.5,{}]}}", ERR_OK, "{\"a\":[1,2.5,{}]}" },
	{ ANY_OBJECT, "{\"v\":{\"a\":\"1234567890123\"}}", ERR_INVALID_VALUE,
	  "/v must have at most 20 bytes" },
	{ ANY_OBJECT, "{\"v\":\"x\"}", ERR_INVALID_VALUE, "/v must be an object" },
	{ READ_ONLY, "{}", ERR_OK, NULL },
	{ READ_ONLY, "{\"v\":null}", ERR_READ_ONLY, "/v is read-only" },
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(values); i++) {
		struct request req = { .arena = arena_new() };
		json_t *json = json_loads(values[i].json, 0, NULL);
		const char *got[1] = { "untouched" };
		enum err e = fields_parse(&req, tables[values[i].table], json, "", got);
		char told[300] = "";

		if (e != values[i].e)
			fail_msg("%s: %d", values[i].json, (int)e);
		if (e != ERR_OK) {
			assert_int_equal(req.n_errors, 1);
			(void)snprintf(told, sizeof(told), "%s %s", req.errors[0].pointer,
				       req.errors[0].detail);
			got[0] = told;
		}
		json_decref(json);
		if (values[i].text == NULL ? got[0] != NULL
					   : got[0] == NULL || strcmp(got[0], values[i].text) != 0)
			fail_msg("%s: %s", values[i].json, got[0]);
		arena_free(req.arena);
	}
}

/* The enumeration, the default and every rule of a nested table, in one body. */
static void test_all_faults(void **state)
{
	static const struct field table[] = {
		{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
		{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
		{ .name = "fallback", .type = F_OBJECT, .fields = destination },
		{ .name = "kept", .type = F_STRING },
		{ 0 },
	};
	static const char *const want[] = { "/nmae",	       "/name",
					    "/region",	       "/fallback/x",
					    "/fallback/type",  "/fallback/address",
					    "/fallback/weight" };
	struct request req = { .arena = arena_new() };
	json_t *json = json_loads("{\"nmae\":1,\"region\":\"UK\",\"kept\":\"k\",\"fallback\":"
				  "{\"type\":1,\"weight\":10,\"x\":0}}",
				  0, NULL);
	const char *got[4];

	(void)state;
	assert_int_equal(fields_parse(&req, table, json, "", got), ERR_UNKNOWN_FIELD);
	assert_int_equal(req.n_errors, LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++)
		assert_string_equal(req.errors[i].pointer, want[i]);
	assert_string_equal(req.detail, "nmae is not a member of this resource.");
	assert_string_equal(got[3], "k");
	json_decref(json);
	arena_free(req.arena);
}

static void test_limits(void **state)
{
	struct request req = { .arena = arena_new() };
	json_t *json = json_object(), *list = json_array();
	const char *got[1];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "m%d", i);
		json_object_set_new(json, name, json_true());
	}
	assert_int_equal(fields_parse(&req, tables[STRING], json, "/p", got), ERR_UNKNOWN_FIELD);
	assert_int_equal(req.n_errors, MAX_ERRORS);
	assert_memory_equal(req.errors[0].pointer, "/p/m", 4);
	json_object_clear(json);
	for (int i = 0; i < 1001; i++)
		json_array_append_new(list, json_string("x"));
	json_object_set_new(json, "v", list);
	req.n_errors = 0;
	assert_int_equal(fields_parse(&req, tables[STRINGS], json, "", got), ERR_INVALID_VALUE);
	assert_string_equal(req.errors[0].detail, "must have at most 1000 items");
	assert_null(arena_alloc(req.arena, SIZE_MAX));
	req.n_errors = 0;
	assert_int_equal(fields_parse(&req, tables[STRINGS], json, "", got), ERR_UNAVAILABLE);
	json_decref(json);
	json = json_true();
	arena_reset(req.arena);
	assert_int_equal(fields_parse(&req, tables[STRING], json, "", got), ERR_INVALID_VALUE);
	arena_free(req.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),	   cmocka_unit_test(test_regions),
		cmocka_unit_test(test_plain_text), cmocka_unit_test(test_values),
		cmocka_unit_test(test_all_faults), cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
