/*
 * dial_normalise() and dial_resolve() on anything. Input: one byte of flags, the letters of two
 * regions, then what was dialled, and after a line feed the pattern and translation of a rule, as
 * long as there are any, a line feed after each. Beyond what the sanitizers see, it checks what dial.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/emergency/dial.h"

#define HEAD 5
#define MAX_RULES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_normalise(const char *dialed)
{
	struct dial_string once;
	struct dial_string again;

	if (!dial_normalise(dialed, &once)) {
		require(once.digits[0] == '\0' && !once.is_sos_urn);
		return;
	}
	if (once.is_sos_urn) {
		require(once.digits[0] == '\0');
		return;
	}
	require(memchr(once.digits, '\0', sizeof(once.digits)) != NULL);
	require(once.digits[0] != '\0');
	require(strspn(once.digits + (once.digits[0] == '+'), "0123456789*#") ==
		strlen(once.digits) - (once.digits[0] == '+'));
	require(dial_normalise(once.digits, &again) && strcmp(again.digits, once.digits) == 0);
}

static void check_resolve(const struct dial_request *request)
{
	struct dial_result result;

	dial_resolve(request, &result);
	require(memchr(result.dial_string, '\0', sizeof(result.dial_string)) != NULL);
	if (result.outcome == DIAL_NOT_EMERGENCY) {
		require(result.region[0] == '\0' && !result.assumed_prefix && !result.asserted);
		return;
	}
	require(result.dial_string[0] != '\0');
	require(!result.asserted || (request->assert_emergency && result.region[0] == '\0'));
	require(!result.assumed_prefix || !request->is_extension);
	require(result.region[0] == '\0' || dial_is_emergency(result.region, result.dial_string) ||
		(result.outcome == DIAL_TEST_CALL && dial_test_number(result.region) != NULL));
	require(result.mask == DIAL_NO_RULE || result.mask < request->n_rules);
	require(result.rule == DIAL_NO_RULE || result.rule < request->n_rules);
	require(memchr(result.translation, '\0', sizeof(result.translation)) != NULL);
	require(result.outcome != DIAL_CUSTOM_NUMBER || result.rule != DIAL_NO_RULE);
	require(dial_for_location(request->regions[0], result.dial_string)[0] != '\0');
}

/* Ends the line and returns what follows it; NULL: it was the last. */
static char *line(char *s)
{
	char *end = strchr(s, '\n');

	if (end == NULL)
		return NULL;
	*end = '\0';
	return end + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char region[2][3] = { "", "" };
	const char *const regions[] = { region[0], NULL, region[1] };
	struct dial_entry rules[MAX_RULES];
	size_t n_rules = 0;
	char *dialed, *next;

	if (size < HEAD)
		return 0;
	for (size_t i = 0; i < 4; i++)
		region[i / 2][i % 2] = (char)data[1 + i];
	dialed = malloc(size - HEAD + 1); /* of its own, so that reading past the end is seen */
	if (dialed == NULL)
		return 0;
	memcpy(dialed, data + HEAD, size - HEAD);
	dialed[size - HEAD] = '\0';
	next = line(dialed);
	for (; next != NULL && n_rules < MAX_RULES; n_rules++) {
		struct dial_entry *rule = &rules[n_rules];

		rule->kind = (enum dial_kind)(*next & 3);
		rule->site_level = (*next & 4) != 0;
		rule->pattern = *next ? next + 1 : NULL;
		rule->translation = line(next);
		next = rule->translation != NULL ? line((char *)(uintptr_t)rule->translation)
						 : NULL;
	}

	check_normalise(dialed);
	check_resolve(&(struct dial_request){
		.dialed = dialed,
		.regions = regions,
		.n_regions = sizeof(regions) / sizeof(regions[0]),
		.rules = rules,
		.n_rules = n_rules,
		.is_extension = (data[0] & 1) != 0,
		.assert_emergency = (data[0] & 2) != 0,
	});
	free(dialed);
	return 0;
}
