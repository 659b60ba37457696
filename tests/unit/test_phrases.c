/* api/emergency/phrases.c: every language says everything, with what is put in. */
#include <string.h>

#include "plan_cases.h"
#include "api/emergency/phrases.h"

static const char *const languages[] = { "en", "de", "fr", "es", "it", "pt", "nl",
					 "pl", "sv", "da", "nb", "fi", "ja" };

static size_t times(const char *s, const char *what)
{
	size_t n = 0;

	for (; (s = strstr(s, what)) != NULL; s++)
		n++;
	return n;
}

static void check(const char *language, const char *s, size_t number, size_t time, size_t address)
{
	if (times(s, "{number}") != number || times(s, "{time}") != time ||
	    times(s, "{address}") != address || times(s, "{") != number + time + address ||
	    times(s, "  ") || s[strlen(s) - 1] == ' ' || strlen(s) < 10)
		fail_msg("%s: %s", language, s);
}

static void test_every_language(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(languages); i++) {
		const struct phrases *p = phrases_of(languages[i]);

		assert_string_equal(p->language, languages[i]);
		check(p->language, p->with_expiry, 1, 1, 0);
		assert_non_null(strstr(p->with_expiry, "UTC"));
		check(p->language, p->without_expiry, 1, 0, 0);
		check(p->language, p->without_number, 0, 0, 0);
		check(p->language, p->test, 0, 0, 0);
		check(p->language, p->number, 1, 0, 0);
		check(p->language, p->no_number, 0, 0, 0);
		check(p->language, p->address, 0, 0, 1);
		check(p->language, p->no_address, 0, 0, 0);
		check(p->language, p->reached, 0, 0, 0);
		check(p->language, p->not_reached, 0, 0, 0);
		assert_string_not_equal(p->reached, p->not_reached);
		if (i > 0)
			assert_string_not_equal(p->test, phrases_of("en")->test);
	}
}

static const struct {
	const char *tag, *language;
} tags[] = {
	{ "de-AT", "de" }, { "DE", "de" },	{ "pt-BR", "pt" }, { "ja-JP", "ja" },
	{ "fr_CA", "fr" }, { "zh-Hant", "en" }, { "", "en" },	   { NULL, "en" },
	{ "d", "en" },	   { "deu", "en" },	{ "no", "nb" },	   { "nn-NO", "nb" },
	{ "x-de", "en" },  { "sv-FI", "sv" },	{ "fil", "en" },
};

static void test_tags(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(tags); i++)
		assert_string_equal(phrases_of(tags[i].tag)->language, tags[i].language);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_language),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests_name("phrases", tests, NULL, NULL);
}
