/* api/emergency/dial_resolve.c: what was dialled, by the tables and by the tenant's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/emergency/dial.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { EXTENSION = 1, ASSERT = 2 };				   /* what the request says */
enum { PREFIX = 1, ASSERTED = 2, NOT = 4, TEST = 8, CUSTOM = 16 }; /* what comes out */

static const struct {
	const char *dialed;
	const char *regions[4];
	int request;
	const char *dial_string;
	const char *region;
	int result;
} resolved[] = {
	{ "911", { "US" }, 0, "911", "US", 0 },
	{ "tel:9-1-1", { "US" }, 0, "911", "US", 0 },
	{ "+112", { "DE" }, 0, "112", "DE", 0 },
	/* the first region that has it, not the first */
	{ "112", { "US", "DE" }, 0, "112", "US", 0 },
	{ "110", { "US", "DE", "CN" }, 0, "110", "DE", 0 },
	{ "911", { NULL, "", "GN", "US" }, 0, "911", "US", 0 },
	{ "000", { "ZZ", "AU" }, 0, "000", "AU", 0 },
	/* exactly, or not at all */
	{ "9110", { "US" }, 0, "9110", "", NOT },
	{ "91", { "US" }, 0, "91", "", NOT },
	{ "00", { "AU" }, 0, "00", "", NOT },
	{ "988", { "US" }, 0, "988", "", NOT },
	{ "999", { "US" }, 0, "999", "", NOT },
	{ "+14255550100", { "US" }, 0, "+14255550100", "", NOT },
	{ "911", { NULL }, 0, "911", "", NOT },
	/* the outside-line prefix: one 9 or 0, the rest an emergency number */
	{ "9911", { "US" }, 0, "911", "US", PREFIX },
	{ "9112", { "US" }, 0, "112", "US", PREFIX },
	{ "0112", { "DE" }, 0, "112", "DE", PREFIX },
	{ "0000", { "AU" }, 0, "000", "AU", PREFIX },
	{ "9000", { "AU" }, 0, "000", "AU", PREFIX },
	{ "sip:+9911@pbx.example", { "US" }, 0, "911", "US", PREFIX },
	{ "9999", { "US", "GB" }, 0, "999", "GB", PREFIX },
	{ "8911", { "US" }, 0, "8911", "", NOT },
	{ "99911", { "US" }, 0, "99911", "", NOT },
	{ "90911", { "US" }, 0, "90911", "", NOT },
	{ "9", { "US" }, 0, "9", "", NOT },
	{ "0", { "AU" }, 0, "0", "", NOT },
	{ "911", { "XX", "DE" }, 0, "911", "", NOT }, /* 11 is no number */
	/* an exact match anywhere beats a prefix in an earlier region */
	{ "9999", { "GB", "OM" }, 0, "9999", "OM", 0 },
	{ "011", { "GE" }, 0, "011", "GE", 0 },
	{ "017", { "FR", "DE" }, 0, "17", "FR", PREFIX },
	{ "993", { "SG" }, EXTENSION, "993", "SG", 0 },
	/* an extension is one, unless it is an emergency number as a whole */
	{ "9911", { "US" }, EXTENSION, "9911", "", NOT },
	{ "911", { "US" }, EXTENSION, "911", "US", 0 },
	{ "9911", { "US" }, EXTENSION | ASSERT, "9911", "", ASSERTED },
	/* the client's word */
	{ "555", { "US" }, ASSERT, "555", "", ASSERTED },
	{ "*", { NULL }, ASSERT, "*", "", ASSERTED },
	{ "+14255550100", { "US" }, ASSERT, "+14255550100", "", ASSERTED },
	{ "911", { "US" }, ASSERT, "911", "US", 0 },
	{ "9911", { "US" }, ASSERT, "911", "US", PREFIX },
	{ "", { "US" }, ASSERT, "", "", NOT },
	{ "help", { "US" }, ASSERT, "", "", NOT },
	{ "()", { "US" }, ASSERT, "", "", NOT },
	{ NULL, { "US" }, ASSERT, "", "", NOT },
	/* service URNs: no number was dialled, so the first known region's */
	{ "urn:service:sos", { "US" }, 0, "911", "US", 0 },
	{ "urn:service:sos.police", { NULL, "ZZ", "DE", "US" }, 0, "112", "DE", 0 },
	{ "urn:service:sos", { "AU" }, EXTENSION, "000", "AU", 0 },
	{ "urn:service:sos.fire", { "GN", "" }, 0, "112", "", 0 },
	{ "urn:service:sos", { NULL }, ASSERT, "112", "", 0 },
	/* tests: the number of the first region that has it, as an emergency or as a test number */
	{ "urn:service:test.sos", { "US" }, 0, "933", "US", TEST },
	{ "URN:service:test.sos.fire", { "DE", "CA" }, 0, "933", "CA", TEST },
	{ "urn:service:test.sos", { "DE" }, 0, "urn:service:test.sos", "", TEST },
	{ "urn:service:test.sosfoo", { "US" }, 0, "", "", NOT },
	{ "933", { "US" }, 0, "933", "US", TEST },
	{ "933", { "DE", "PR" }, 0, "933", "PR", TEST },
	{ "933", { "TO" }, 0, "933", "TO", 0 },
	{ "933", { "TO", "US" }, 0, "933", "TO", 0 },
	{ "933", { "US", "TO" }, 0, "933", "US", TEST },
	{ "933", { "DE" }, 0, "933", "", NOT },
	{ "9933", { "CA" }, 0, "933", "CA", PREFIX | TEST },
};

static void test_resolve(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(resolved); i++) {
		struct dial_request request = {
			.dialed = resolved[i].dialed,
			.regions = resolved[i].regions,
			.n_regions = LENGTH(resolved[i].regions),
			.is_extension = (resolved[i].request & EXTENSION) != 0,
			.assert_emergency = (resolved[i].request & ASSERT) != 0,
		};
		struct dial_result got;
		int result;

		memset(&got, 'x', sizeof(got));
		dial_resolve(&request, &got);
		result = (got.assumed_prefix ? PREFIX : 0) | (got.asserted ? ASSERTED : 0) |
			 (got.outcome == DIAL_NOT_EMERGENCY ? NOT : 0) |
			 (got.outcome == DIAL_TEST_CALL ? TEST : 0);
		if (strcmp(got.dial_string, resolved[i].dial_string) != 0 ||
		    strcmp(got.region, resolved[i].region) != 0 || result != resolved[i].result)
			fail_msg("row %zu, %s: got %s in \"%s\", %d", i, resolved[i].dialed,
				 got.dial_string, got.region, result);
	}
}

static void test_resolve_without_regions(void **state)
{
	struct dial_request request = { .dialed = "911" };
	struct dial_result got;

	(void)state;
	dial_resolve(&request, &got);
	assert_int_equal(got.outcome, DIAL_NOT_EMERGENCY);
	request.dialed = "urn:service:sos";
	dial_resolve(&request, &got);
	assert_int_equal(got.outcome, DIAL_EMERGENCY);
	assert_string_equal(got.dial_string, "112");
}

/* One row a rule that decides; rules are in order of age. */
static const struct {
	const char *name, *dialed;
	int request;
	struct dial_entry rules[3];
	const char *dial_string, *translation;
	int result;
	size_t mask, rule; /* from 1 on; 0: none */
} ruled[] = {
	{ "a mask stands for an emergency number",
	  "9911",
	  EXTENSION,
	  { { DIAL_MASK, false, "9911", "911" } },
	  "911",
	  "",
	  0,
	  1,
	  0 },
	{ "a mask of exactly this number comes before the emergency number",
	  "112",
	  0,
	  { { DIAL_MASK, false, "112", "911" } },
	  "911",
	  "",
	  0,
	  1,
	  0 },
	{ "a mask makes no test call of an emergency number",
	  "911",
	  0,
	  { { DIAL_MASK, false, "911", "933" } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "nor a custom number",
	  "911",
	  0,
	  { { DIAL_MASK, false, "911", "5557" }, { DIAL_CUSTOM, false, "5557", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "a mask with wildcards comes after it",
	  "911",
	  0,
	  { { DIAL_MASK, false, "9xx", "112" } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "x takes the digits that it matched, in order",
	  "5191",
	  0,
	  { { DIAL_MASK, false, "5x9x", "91x" } },
	  "911",
	  "",
	  0,
	  1,
	  0 },
	{ "the site's mask before the tenant's",
	  "5",
	  0,
	  { { DIAL_MASK, false, "5", "911" }, { DIAL_MASK, true, "5", "112" } },
	  "112",
	  "",
	  0,
	  2,
	  0 },
	{ "masks are not chained",
	  "5",
	  0,
	  { { DIAL_MASK, false, "5", "6" }, { DIAL_MASK, false, "6", "911" } },
	  "5",
	  "",
	  NOT,
	  0,
	  0 },
	{ "a mask that leads nowhere takes no emergency number away",
	  "911",
	  0,
	  { { DIAL_MASK, true, "911", "5550" } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "nor a prefixed one",
	  "9911",
	  0,
	  { { DIAL_MASK, true, "9911", "5550" } },
	  "911",
	  "",
	  PREFIX,
	  0,
	  0 },
	{ "a mask that leads nowhere gives way to a rule with wildcards",
	  "7100",
	  0,
	  { { DIAL_MASK, true, "7100", "5550" }, { DIAL_CUSTOM, false, "71xx", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  2 },
	{ "nothing is assumed of what a mask stands for",
	  "5",
	  0,
	  { { DIAL_MASK, false, "5", "9911" } },
	  "5",
	  "",
	  NOT,
	  0,
	  0 },
	{ "a mask may stand for a custom number",
	  "55",
	  0,
	  { { DIAL_MASK, false, "55", "7100" }, { DIAL_CUSTOM, false, "71xx", "+1425555xxxx" } },
	  "7100",
	  "+142555500",
	  CUSTOM,
	  1,
	  2 },
	{ "an emergency number takes its override",
	  "911",
	  0,
	  { { DIAL_OVERRIDE, false, "911", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  1 },
	{ "after a prefix, too",
	  "9911",
	  0,
	  { { DIAL_OVERRIDE, false, "911", NULL } },
	  "911",
	  "",
	  PREFIX,
	  0,
	  1 },
	{ "after a mask, too",
	  "5",
	  0,
	  { { DIAL_MASK, false, "5", "911" }, { DIAL_OVERRIDE, false, "911", NULL } },
	  "911",
	  "",
	  0,
	  1,
	  2 },
	{ "and by an sos URN",
	  "urn:service:sos",
	  0,
	  { { DIAL_OVERRIDE, false, "911", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  1 },
	{ "the site's override before the tenant's",
	  "911",
	  0,
	  { { DIAL_OVERRIDE, false, "911", NULL }, { DIAL_OVERRIDE, true, "911", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  2 },
	{ "an override of another number is none",
	  "112",
	  0,
	  { { DIAL_OVERRIDE, false, "911", NULL } },
	  "112",
	  "",
	  0,
	  0,
	  0 },
	{ "an override makes no number an emergency number",
	  "5",
	  0,
	  { { DIAL_OVERRIDE, false, "5", NULL } },
	  "5",
	  "",
	  NOT,
	  0,
	  0 },
	{ "a custom number",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, false, "7100", "+14255550100" } },
	  "7100",
	  "+14255550100",
	  CUSTOM,
	  0,
	  1 },
	{ "a custom number without a translation",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, false, "71xx", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "a custom pattern in E.164",
	  "+14255550100",
	  0,
	  { { DIAL_CUSTOM, false, "+14255550100", NULL } },
	  "+14255550100",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "an emergency number before a custom pattern",
	  "911",
	  0,
	  { { DIAL_CUSTOM, true, "911", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "a custom pattern before a prefix",
	  "9911",
	  0,
	  { { DIAL_CUSTOM, false, "9911", NULL } },
	  "9911",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "a custom pattern before the client's word",
	  "7100",
	  ASSERT,
	  { { DIAL_CUSTOM, false, "7100", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "the more literal one",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, false, "7xxx", NULL }, { DIAL_CUSTOM, false, "71xx", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  2 },
	{ "the site's before a more literal one",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, true, "7xxx", NULL }, { DIAL_CUSTOM, false, "71xx", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "the oldest of those alike",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, false, "71xx", NULL }, { DIAL_TEST, false, "7x0x", NULL } },
	  "7100",
	  "",
	  CUSTOM,
	  0,
	  1 },
	{ "a test number of the tenant",
	  "4933",
	  0,
	  { { DIAL_TEST, false, "4933", NULL } },
	  "4933",
	  "",
	  TEST,
	  0,
	  1 },
	{ "the region's test number by a mask",
	  "4933",
	  0,
	  { { DIAL_MASK, false, "4933", "933" } },
	  "933",
	  "",
	  TEST,
	  1,
	  0 },
	{ "a rule without a pattern matches nothing",
	  "911",
	  0,
	  { { DIAL_MASK, true, NULL, "5" } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "a mask without a translation leads nowhere",
	  "911",
	  0,
	  { { DIAL_MASK, true, "911", NULL } },
	  "911",
	  "",
	  0,
	  0,
	  0 },
	{ "an x too many is left out",
	  "7100",
	  0,
	  { { DIAL_CUSTOM, false, "710x", "+1425555xxx" } },
	  "7100",
	  "+14255550",
	  CUSTOM,
	  0,
	  1 },
};

static void test_rules(void **state)
{
	static const char *const us[] = { "US" };

	(void)state;
	for (size_t i = 0; i < LENGTH(ruled); i++) {
		const struct dial_request request = {
			.dialed = ruled[i].dialed,
			.regions = us,
			.n_regions = 1,
			.rules = ruled[i].rules,
			.n_rules = LENGTH(ruled[i].rules),
			.is_extension = (ruled[i].request & EXTENSION) != 0,
			.assert_emergency = (ruled[i].request & ASSERT) != 0,
		};
		struct dial_result got;
		int result;

		dial_resolve(&request, &got);
		result = (got.assumed_prefix ? PREFIX : 0) | (got.asserted ? ASSERTED : 0) |
			 (got.outcome == DIAL_NOT_EMERGENCY ? NOT : 0) |
			 (got.outcome == DIAL_CUSTOM_NUMBER ? CUSTOM : 0) |
			 (got.outcome == DIAL_TEST_CALL ? TEST : 0);
		if (strcmp(got.dial_string, ruled[i].dial_string) != 0 ||
		    strcmp(got.translation, ruled[i].translation) != 0 ||
		    result != ruled[i].result || got.mask + 1 != ruled[i].mask ||
		    got.rule + 1 != ruled[i].rule)
			fail_msg("%s: got %s -> \"%s\", %d, mask %zu, rule %zu", ruled[i].name,
				 got.dial_string, got.translation, result, got.mask + 1,
				 got.rule + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_resolve_without_regions),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests_name("dial_resolve", tests, NULL, NULL);
}
