/*
 * dial_normalise() and dial_resolve() on anything. Input: one byte of flags, the letters of two
 * regions, then what was dialled. Beyond what the sanitizers see, it checks what dial.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/emergency/dial.h"

#define HEAD 5

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
	require(result.region[0] == '\0' || dial_is_emergency(result.region, result.dial_string));
	require(dial_for_location(request->regions[0], result.dial_string)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char region[2][3] = { "", "" };
	const char *const regions[] = { region[0], NULL, region[1] };
	char *dialed;

	if (size < HEAD)
		return 0;
	for (size_t i = 0; i < 4; i++)
		region[i / 2][i % 2] = (char)data[1 + i];
	dialed = malloc(size - HEAD + 1); /* of its own, so that reading past the end is seen */
	if (dialed == NULL)
		return 0;
	memcpy(dialed, data + HEAD, size - HEAD);
	dialed[size - HEAD] = '\0';

	check_normalise(dialed);
	check_resolve(&(struct dial_request){
		.dialed = dialed,
		.regions = regions,
		.n_regions = sizeof(regions) / sizeof(regions[0]),
		.is_extension = (data[0] & 1) != 0,
		.assert_emergency = (data[0] & 2) != 0,
	});
	free(dialed);
	return 0;
}
