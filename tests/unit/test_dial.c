/* api/emergency/dial.c: normalising, the table, the number for a location. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/emergency/dial.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define DIGITS_32 "12345678901234567890123456789012"

static const struct {
	const char *dialed;
	const char *digits; /* NULL: nothing dialable; "" with urn */
	bool urn;
} normalised[] = {
	{ "911", "911", false },
	{ "000", "000", false },
	{ "9-1-1", "911", false },
	{ " (9) 1.1 ", "911", false },
	{ "*67", "*67", false },
	{ "#911*", "#911*", false },
	{ "+112", "112", false },
	{ "+ 1-1-2", "112", false },
	{ "+123456", "123456", false },
	{ "+1234567", "+1234567", false },
	{ "+1 (425) 555-0100", "+14255550100", false },
	{ "911;phone-context=+1", "911", false },
	{ "911@pbx.example", "911", false },
	{ "tel:911", "911", false },
	{ "TEL:9-1-1", "911", false },
	{ "tel:+112", "112", false },
	{ "tel:112;phone-context=+49", "112", false },
	{ "tel:112;phone-context=pbx.example", "112", false },
	{ "tel:+1-425-555-0100;ext=5", "+14255550100", false },
	{ "tel://911", "911", false },
	{ "tel:%2B112", "112", false },
	{ "sip:911", "911", false },
	{ "sip:911@pbx.example", "911", false },
	{ "sip:911@10.0.0.1:5060;user=phone", "911", false },
	{ "sips:+911@pbx.example?subject=help", "911", false },
	{ "SIPS:112;phone-context=+49@pbx.example;user=phone", "112", false },
	{ "sip:911:secret@pbx.example", "911", false },
	{ "sip:*123%23@pbx.example", "*123#", false },
	{ "sip:+14255550100@pbx.example", "+14255550100", false },
	{ "<sip:911@pbx.example>", "911", false },
	{ " < tel:911 > ", "911", false },
	{ "\"Emergency\" <sip:911@pbx.example>;tag=1", "911", false },
	{ "\"a < b\" <sip:112@pbx.example>", "112", false },
	{ "<911", "911", false },
	{ DIGITS_32, DIGITS_32, false },
	{ "1-2-3-4-5-6-7-8-9-0-1-2-3-4-5-6-7-8-9-0-1-2-3-4-5-6-7-8-9-0-1-2", DIGITS_32, false },
	{ "urn:service:sos", "", true },
	{ "URN:Service:SOS", "", true },
	{ "urn:service:sos.police", "", true },
	{ "urn:service:sos.fire", "", true },
	{ "urn:service:sos.ecall.automatic", "", true },
	{ "<urn:service:sos.ambulance>", "", true },
	{ "urn:service:sos;x=1", "", true },
	{ NULL, NULL, false },
	{ "", NULL, false },
	{ "  ", NULL, false },
	{ "+", NULL, false },
	{ "-.()", NULL, false },
	{ "++112", NULL, false },
	{ "1+12", NULL, false },
	{ "911x", NULL, false },
	{ "help", NULL, false },
	{ "911,1", NULL, false },
	{ "9/1/1", NULL, false },
	{ "911>", NULL, false },
	{ "<>", NULL, false },
	{ "911\n", NULL, false },
	{ "\xd9\xa9\xd9\xa1\xd9\xa1", NULL, false }, /* 911 in Arabic-Indic digits */
	{ "9%", NULL, false },
	{ "9%1", NULL, false },
	{ "911%00", NULL, false },
	{ "911%zz", NULL, false },
	{ "911%f0", NULL, false },
	{ "tel:", NULL, false },
	{ "tel:;phone-context=+1", NULL, false },
	{ "sip:", NULL, false },
	{ "sip:@pbx.example", NULL, false },
	{ "sip:alice@pbx.example", NULL, false },
	{ "sip:pbx911.example", NULL, false },
	{ "+*123456", NULL, false },
	{ DIGITS_32 "3", NULL, false },
	{ "+" DIGITS_32, NULL, false },
	{ "urn:service:sosfoo", NULL, false },
	{ "urn:service:sos-police", NULL, false },
	{ "urn:service:test.sos", NULL, false },
	{ "urn:service:counseling", NULL, false },
	{ "urn:service:", NULL, false },
};

static void test_normalise(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(normalised); i++) {
		const char *want = normalised[i].digits;
		struct dial_string got;

		memset(&got, 'x', sizeof(got));
		if (dial_normalise(normalised[i].dialed, &got) != (want != NULL) ||
		    strcmp(got.digits, want != NULL ? want : "") != 0 ||
		    got.is_sos_urn != normalised[i].urn)
			fail_msg("row %zu, %s: got %s", i, normalised[i].dialed, got.digits);
	}
}

static const struct {
	const char *region;
	const char *digits;
	bool emergency;
} emergency[] = {
	{ "US", "911", true },	  { "US", "112", true },    { "US", "9112", false },
	{ "US", "91", false },	  { "US", "999", false },   { "US", "933", false },
	{ "US", "988", false },	  { "US", "711", false },   { "PR", "911", true },
	{ "PR", "112", false },	  { "AU", "000", true },    { "AU", "00", false },
	{ "AU", "0000", false },  { "AU", "0", false },	    { "AU", "112", true },
	{ "AU", "106", true },	  { "AU", "911", false },   { "GB", "999", true },
	{ "GB", "112", true },	  { "GB", "911", false },   { "DE", "110", true },
	{ "DE", "112", true },	  { "DE", "115", false },   { "FR", "15", true },
	{ "FR", "112", true },	  { "FR", "1", false },	    { "SE", "90000", true },
	{ "NE", "723141", true }, { "NE", "72314", false }, { "NE", "7231411", false },
	{ "BR", "190", true },	  { "BR", "911", true },    { "BR", "9110", false },
	{ "BR", "191", false },	  { "CL", "133", true },    { "CZ", "155", true },
	{ "GA", "1399", true },	  { "GA", "139", false },   { "ET", "91", true },
	{ "ET", "911", true },	  { "LT", "011", true },    { "LT", "02", true },
	{ "TO", "933", true },	  { "NA", "10111", true },  { "AC", "911", true },
	{ "ZW", "995", true },	  { "XK", "112", true },    { "GN", "117", false },
	{ "us", "911", false },	  { "USA", "911", false },  { "U", "911", false },
	{ "", "911", false },	  { NULL, "911", false },   { "US", "", false },
	{ "US", NULL, false },	  { "ZZ", "112", false },
};

static void test_is_emergency(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(emergency); i++)
		if (dial_is_emergency(emergency[i].region, emergency[i].digits) !=
		    emergency[i].emergency)
			fail_msg("%s %s", emergency[i].region, emergency[i].digits);
}

static void check_region(const char *region)
{
	const char *const *numbers;
	size_t n = dial_numbers(region, &numbers);
	const char *primary = dial_primary(region);

	assert_true(n > 0);
	assert_non_null(primary);
	assert_true(dial_is_emergency(region, primary));
	assert_string_equal(dial_for_location(region, "112"), primary);
	assert_string_equal(dial_for_location(region, "no number"), primary);
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(numbers[i]);

		assert_in_range(length, 2, 6);
		assert_int_equal(strspn(numbers[i], "0123456789"), length);
		assert_true(i == 0 || strcmp(numbers[i - 1], numbers[i]) < 0);
		assert_true(dial_is_emergency(region, numbers[i]));
	}
}

/* Every region that can be written is asked for, so a table out of order would lose some. */
static void test_whole_table(void **state)
{
	size_t known = 0;

	(void)state;
	for (int first = 'A'; first <= 'Z'; first++) {
		for (int second = 'A'; second <= 'Z'; second++) {
			char region[3] = { (char)first, (char)second, '\0' };

			if (dial_region_known(region)) {
				check_region(region);
				known++;
			}
		}
	}
	assert_int_equal(known, 240);
}

static void test_unknown_region(void **state)
{
	static const char *const unknown[] = { NULL, "", "G", "GN", "AQ", "ZZ", "gb", "GBR" };
	static const char digits[] = "911";

	(void)state;
	for (size_t i = 0; i < LENGTH(unknown); i++) {
		const char *const *numbers = unknown; /* anything but NULL */

		assert_false(dial_region_known(unknown[i]));
		assert_null(dial_primary(unknown[i]));
		assert_int_equal(dial_numbers(unknown[i], &numbers), 0);
		assert_null(numbers);
		assert_ptr_equal(dial_for_location(unknown[i], digits), digits);
	}
}

static void test_numbers(void **state)
{
	static const char *const want[] = { "112", "128", "190", "192", "193", "911" };
	const char *const *numbers;

	(void)state;
	assert_int_equal(dial_numbers("BR", &numbers), LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++)
		assert_string_equal(numbers[i], want[i]);
}

static const struct {
	const char *region;
	const char *primary;
} primaries[] = {
	{ "US", "911" }, { "CA", "911" },  { "PR", "911" },   { "JM", "911" }, { "DO", "911" },
	{ "BB", "911" }, { "SX", "919" },  { "TT", "999" },   { "GB", "112" }, { "DE", "112" },
	{ "FR", "112" }, { "BR", "112" },  { "AU", "000" },   { "CX", "000" }, { "HK", "999" },
	{ "MY", "999" }, { "OM", "9999" }, { "MX", "911" },   { "SG", "999" }, { "NZ", "111" },
	{ "JP", "110" }, { "PG", "000" },  { "NA", "10111" }, { "SN", "17" },  { "UZ", "01" },
};

static void test_primary(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(primaries); i++)
		assert_string_equal(dial_primary(primaries[i].region), primaries[i].primary);
}

static const struct {
	const char *region;
	const char *digits;
	const char *dial;
} located[] = {
	{ "US", "911", "911" }, { "US", "112", "911" }, { "US", "999", "911" },
	{ "US", "000", "911" }, { "PR", "112", "911" }, { "JM", "112", "911" },
	{ "JM", "119", "119" }, { "BB", "211", "211" }, { "LC", "999", "999" },
	{ "DE", "112", "112" }, { "DE", "110", "110" }, { "DE", "911", "112" },
	{ "DE", "17", "112" },	{ "FR", "17", "17" },	{ "GB", "999", "999" },
	{ "GB", "112", "112" }, { "GB", "911", "112" }, { "AU", "112", "000" },
	{ "AU", "106", "106" }, { "AU", "911", "000" }, { "MX", "112", "911" },
	{ "NL", "911", "911" }, { "JP", "119", "119" }, { "JP", "911", "110" },
};

static void test_for_location(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(located); i++)
		if (strcmp(dial_for_location(located[i].region, located[i].digits),
			   located[i].dial) != 0)
			fail_msg("%s %s", located[i].region, located[i].digits);
}

static void test_region_group(void **state)
{
	static const char *const us[] = { "US", "PR", "VI", "GU", "AS", "MP" };
	static const char *const own[] = { "CA", "GB", "UM", "pr", "" };

	(void)state;
	for (size_t i = 0; i < LENGTH(us); i++)
		assert_string_equal(dial_region_group(us[i]), "US");
	for (size_t i = 0; i < LENGTH(own); i++)
		assert_ptr_equal(dial_region_group(own[i]), own[i]);
	assert_null(dial_region_group(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),    cmocka_unit_test(test_is_emergency),
		cmocka_unit_test(test_whole_table),  cmocka_unit_test(test_unknown_region),
		cmocka_unit_test(test_numbers),	     cmocka_unit_test(test_primary),
		cmocka_unit_test(test_for_location), cmocka_unit_test(test_region_group),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
