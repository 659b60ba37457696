/* api/emergency/dial_rule.c: what a dial rule may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/emergency/dial.h"
#include "api/emergency/dial_rule.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define DIGITS_32 "01234567890123456789012345678901"
#define X15 "xxxxxxxxxxxxxxx"

static const struct {
	const char *pattern, *digits;
	bool match;
} matched[] = {
	{ "911", "911", true },	 { "911", "9112", false },
	{ "911", "91", false },	 { "9x1", "911", true },
	{ "9x1", "9*1", false }, { "xxx", "000", true },
	{ "xxx", "00", false },	 { "xxx", "xxx", false },
	{ "*5#", "*5#", true },	 { "*x#", "*5#", true },
	{ "x", "+", false },	 { "+14255550100", "+14255550100", true },
	{ "x", "", false },	 { "+14255550100", "14255550100", false },
};

static void test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(matched); i++)
		if (dial_rule_matches(matched[i].pattern, matched[i].digits) != matched[i].match)
			fail_msg("%s %s", matched[i].pattern, matched[i].digits);
}

static const struct {
	const char *a, *b;
	bool overlap;
} overlaps[] = {
	{ "911", "911", true }, { "9x1", "x11", true },	 { "9x2", "x11", false },
	{ "xxx", "xx", false }, { "x*", "x*", true },	 { "x*", "xx", false },
	{ "#", "x", false },	{ "12x", "x3x", false },
};

static void test_overlap(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(overlaps); i++)
		if (dial_rule_overlap(overlaps[i].a, overlaps[i].b) != overlaps[i].overlap ||
		    dial_rule_overlap(overlaps[i].b, overlaps[i].a) != overlaps[i].overlap)
			fail_msg("%s %s", overlaps[i].a, overlaps[i].b);
}

static void test_carrier_pattern(void **state)
{
	static const char *const good[] = { ".*", "911", "9x1", "*", "#", "xxxx", DIGITS_32 };
	static const char *const bad[] = { "",	   ".",	 "*.", "..*",	"+14255550100",
					   "9-11", "9 ", "X",  "911.*", DIGITS_32 "2" };

	(void)state;
	for (size_t i = 0; i < LENGTH(good); i++)
		if (!dial_rule_is_carrier_pattern(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < LENGTH(bad); i++)
		if (dial_rule_is_carrier_pattern(bad[i]))
			fail_msg("%s", bad[i]);
}

enum { FINE = -1 };

static const struct {
	struct dial_rule rule;
	int error;
	const char *member;
} alone[] = {
	{ { .kind = "mask", .pattern = "9911", .translation = "911" }, FINE, NULL },
	{ { .kind = "mask", .pattern = "9xx", .translation = "xx" }, FINE, NULL },
	{ { .kind = "mask", .pattern = "9xx", .translation = "x" }, FINE, NULL },
	{ { .kind = "mask", .pattern = "9911" }, DIAL_RULE_REQUIRED, "/translation" },
	{ { .kind = "mask", .pattern = "9911", .translation = "+14255550100" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "mask", .pattern = "9x", .translation = "xx" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "mask", .pattern = "9911", .translation = "" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "mask", .pattern = "9911", .translation = "911", .max_hold_seconds = 60 },
	  FINE,
	  NULL },
	{ { .kind = "mask", .pattern = "9911", .translation = "911", .max_hold_seconds = 61 },
	  DIAL_RULE_INVALID,
	  "/max_hold_seconds" },
	{ { .kind = "custom", .pattern = "7xxxx", .translation = "+1425555xxxx" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "7", .translation = "+0425555" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "custom", .pattern = "7x", .translation = "+x425555" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "custom", .pattern = "7", .translation = "1-2" },
	  DIAL_RULE_INVALID,
	  "/translation" },
	{ { .kind = "custom", .pattern = "7", .max_hold_seconds = 600 }, FINE, NULL },
	{ { .kind = "custom", .pattern = "+14255550100" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "+1425555010x" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "custom", .pattern = "+1" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "custom", .pattern = "+1234567890123456" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "custom", .pattern = "" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "custom", .pattern = "12X" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "custom", .pattern = DIGITS_32 }, FINE, NULL },
	{ { .kind = "custom", .pattern = DIGITS_32 "2" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "test", .pattern = X15 }, FINE, NULL },
	{ { .kind = "test", .pattern = X15 "x" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "override", .pattern = "911", .max_hold_seconds = 60 }, FINE, NULL },
	{ { .kind = "override", .pattern = "911", .max_hold_seconds = 61 },
	  DIAL_RULE_INVALID,
	  "/max_hold_seconds" },
	{ { .kind = "override", .pattern = "9x1" }, DIAL_RULE_INVALID, "/pattern" },
	{ { .kind = "override", .pattern = "911", .translation = "911" },
	  DIAL_RULE_INVALID,
	  "/translation" },
};

static void check_fault(const struct dial_rule *rule, bool found,
			const struct dial_rule_fault *fault, int error, const char *member)
{
	if (found != (error != FINE) ||
	    (found && (fault->error != (enum dial_rule_error)error ||
		       strcmp(fault->member, member) != 0 || fault->detail[0] == '\0')))
		fail_msg("%s %s -> %s: %s %s", rule->kind, rule->pattern,
			 rule->translation ? rule->translation : "-",
			 found ? fault->member : "fine", found ? fault->detail : "");
}

static void test_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(alone); i++) {
		struct dial_rule_fault faults[DIAL_RULE_FAULTS];
		const size_t n = dial_rule_faults(&alone[i].rule, faults);

		assert_true(n <= 1);
		check_fault(&alone[i].rule, n > 0, faults, alone[i].error, alone[i].member);
	}
}

static void test_every_fault(void **state)
{
	static const struct dial_rule rule = {
		.kind = "override", .pattern = "9x1", .translation = "911", .max_hold_seconds = 61
	};
	struct dial_rule_fault faults[DIAL_RULE_FAULTS];

	(void)state;
	assert_int_equal(dial_rule_faults(&rule, faults), DIAL_RULE_FAULTS);
	assert_string_equal(faults[0].member, "/pattern");
	assert_string_equal(faults[1].member, "/translation");
	assert_string_equal(faults[2].member, "/max_hold_seconds");
}

static const struct {
	struct dial_rule rule;
	const char *regions[3];
	int error;
	const char *names; /* what the detail must name */
} regional[] = {
	{ { .kind = "custom", .pattern = "911" }, { "US" }, DIAL_RULE_CONFLICT, "911" },
	{ { .kind = "custom", .pattern = "x1x" }, { "US" }, DIAL_RULE_CONFLICT, "112" },
	{ { .kind = "custom", .pattern = "9xx1" }, { "US" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "933" }, { "US" }, DIAL_RULE_CONFLICT, "933" },
	{ { .kind = "custom", .pattern = "933" }, { "PR" }, DIAL_RULE_CONFLICT, "933" },
	{ { .kind = "custom", .pattern = "933" }, { "CA" }, DIAL_RULE_CONFLICT, "933" },
	{ { .kind = "custom", .pattern = "933" }, { "GB" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "110" }, { "US" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "110" }, { "US", "DE" }, DIAL_RULE_CONFLICT, "DE" },
	{ { .kind = "custom", .pattern = "711" }, { "US" }, FINE, NULL },
	{ { .kind = "custom", .pattern = "911" }, { "GN" }, FINE, NULL },
	{ { .kind = "test", .pattern = "911" }, { "US" }, DIAL_RULE_CONFLICT, "911" },
	{ { .kind = "test", .pattern = "933" }, { "US" }, FINE, NULL },
	{ { .kind = "test", .pattern = "933" }, { "US", "TO" }, DIAL_RULE_CONFLICT, "TO" },
	{ { .kind = "mask", .pattern = "9911", .translation = "911" }, { "US" }, FINE, NULL },
	{ { .kind = "mask", .pattern = "112", .translation = "911" }, { "US" }, FINE, NULL },
	{ { .kind = "mask", .pattern = "911", .translation = "4711" },
	  { "US" },
	  DIAL_RULE_CONFLICT,
	  "911" },
	{ { .kind = "mask", .pattern = "112", .translation = "911" },
	  { "US", "DE" },
	  DIAL_RULE_CONFLICT,
	  "DE" },
	{ { .kind = "mask", .pattern = "9xx", .translation = "1xx" }, { "US" }, FINE, NULL },
	{ { .kind = "override", .pattern = "911" }, { "US" }, FINE, NULL },
	{ { .kind = "override", .pattern = "110" }, { "US", "DE" }, FINE, NULL },
	{ { .kind = "override", .pattern = "110" }, { "US" }, DIAL_RULE_INVALID, "US" },
	{ { .kind = "override", .pattern = "933" }, { "US", "DE" }, DIAL_RULE_INVALID, "any" },
	{ { .kind = "override", .pattern = "9911" }, { "US" }, DIAL_RULE_INVALID, "US" },
};

static void test_regional(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(regional); i++) {
		const char *const *regions = regional[i].regions;
		const size_t n = regions[1] ? 2 : 1;
		struct dial_rule_fault fault;
		const bool found = dial_rule_conflicts(&regional[i].rule, regions, n, &fault);

		check_fault(&regional[i].rule, found, &fault, regional[i].error, "/pattern");
		if (found && strstr(fault.detail, regional[i].names) == NULL)
			fail_msg("row %zu: %s", i, fault.detail);
	}
}

static void test_translation(void **state)
{
	static const char *const inside[] = { "team_only", "team_then_psap", "sip_group_only",
					      "team_then_sip_group" };
	static const char *const outside[] = { "psap_only", "psap_and_team", NULL };
	struct dial_rule rule = { .kind = "custom", .pattern = "7000" };
	struct dial_rule_fault fault;

	(void)state;
	for (size_t i = 0; i < LENGTH(inside); i++) {
		rule.route = inside[i];
		assert_false(dial_rule_lacks_translation(&rule, &fault));
	}
	for (size_t i = 0; i < LENGTH(outside); i++) {
		rule.route = outside[i];
		rule.translation = NULL;
		assert_true(dial_rule_lacks_translation(&rule, &fault));
		assert_int_equal(fault.error, DIAL_RULE_TRANSLATION_REQUIRED);
		assert_string_equal(fault.member, "/translation");
		rule.translation = "+14255550100";
		assert_false(dial_rule_lacks_translation(&rule, &fault));
	}
	rule = (struct dial_rule){ .kind = "test", .pattern = "7000" };
	assert_false(dial_rule_lacks_translation(&rule, &fault));
}

static void test_short_codes(void **state)
{
	static const char *const us[] = { "211", "311", "411", "511", "611", "711", "811", "988" };
	char code[4];

	(void)state;
	for (size_t i = 0; i < LENGTH(us); i++) {
		assert_true(dial_rule_short_code(us[i], "US", code));
		assert_string_equal(code, us[i]);
		assert_true(dial_rule_short_code(us[i], "PR", code));
	}
	assert_true(dial_rule_short_code("7x1", "US", code));
	assert_string_equal(code, "711");
	assert_false(dial_rule_short_code("911", "US", code));
	assert_false(dial_rule_short_code("933", "US", code));
	assert_false(dial_rule_short_code("7110", "US", code));
	assert_false(dial_rule_short_code("711", "DE", code));
	assert_true(dial_rule_short_code("111", "GB", code));
	assert_false(dial_rule_short_code("711", "ZZ", code));
	assert_string_equal(dial_short_codes(NULL), "");
	assert_null(dial_test_number(NULL));
	assert_null(dial_test_number("GB"));
	assert_string_equal(dial_test_number("GU"), "933");
}

/* Every region that can be written is asked for, so a table out of order would lose some. */
static void test_short_code_table(void **state)
{
	size_t known = 0;

	(void)state;
	for (int first = 'A'; first <= 'Z'; first++) {
		for (int second = 'A'; second <= 'Z'; second++) {
			const char region[3] = { (char)first, (char)second, '\0' };
			const char *codes = dial_short_codes(region);
			char code[4];

			known += *codes != '\0';
			for (const char *at = codes; *at != '\0'; at += at[3] == '\0' ? 3 : 4) {
				memcpy(code, at, 3);
				code[3] = '\0';
				assert_int_equal(strspn(code, "0123456789"), 3);
				assert_true(strlen(at) == 3 || at[3] == ' ');
				assert_false(dial_is_emergency(region, code));
				assert_true(strlen(at) == 3 || strncmp(at, at + 4, 3) < 0);
			}
		}
	}
	assert_in_range(known, 100, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),		 cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_carrier_pattern),	 cmocka_unit_test(test_alone),
		cmocka_unit_test(test_every_fault),	 cmocka_unit_test(test_regional),
		cmocka_unit_test(test_translation),	 cmocka_unit_test(test_short_codes),
		cmocka_unit_test(test_short_code_table),
	};

	return cmocka_run_group_tests_name("dial_rule", tests, NULL, NULL);
}
