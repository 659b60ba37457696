/*
 * Tables of decisions: a case changes one base context (RFC 7396), places a call, and says what must be
 * in the plan. Every case is also checked for what holds of every plan.
 */
#ifndef TEST_PLAN_CASES_H
#define TEST_PLAN_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "documents.h"
#include "api/emergency/plan.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define ADDRESS(id, region, street) \
	"{'address_id': '" id "', 'region': '" region "', 'admin_area': null, 'city': 'C'," \
	" 'postal_code': null, 'street': '" street "', 'house_number': '1', 'floor': null," \
	" 'room': null, 'name': null, 'latitude': null, 'longitude': null, 'uncertainty_m': null," \
	" 'method': null, 'detected_at': null}"
#define POOL(id, type, numbers) \
	"{'id': '" id "', 'number_type': '" type "', 'region': 'US', 'numbers': " numbers "}"
#define ACCOUNT \
	"'resource_account': {'number': '+14255550199', 'number_type': 'native'," \
	" 'destination': {'type': 'resource_account', 'address': 'sip:main@desk.example'}}"
#define PHONE(number) "{'type': 'phone_number', 'address': '" number "'}"
#define OWN(type, address) \
	"'number': {'id': 'n1', 'number': '+14255550142', 'number_type': '" type \
	"', 'region': 'US', 'address': " address "}"

/*
 * want is part of {codes, locks, device, test, custom, refused, dial_string, service_urn, ttl, max_call,
 * rungs, trace}: codes are those of the warnings that hold for every rung; in a rung warnings are codes
 * too, and its decision is taken apart: route, location and so on. trace has a member "step: outcome"
 * for each step, which is its level, or true where no policy decided.
 */
struct plan_case {
	const char *name, *context, *request, *dialed, *want;
};

json_t *context_of(const char *changes);
void read_request(const char *request, const char *dialed, struct call_request *out);

/* What holds of every plan that is not refused: it can be used, and its trace explains its warnings. */
void check_plan(const struct plan *, const struct call_request *);

size_t add_test(struct CMUnitTest *tests, size_t n, const char *name, CMUnitTestFunction function,
		const void *state);
size_t add_plan_cases(struct CMUnitTest *tests, size_t n, const struct plan_case *, size_t count);

#endif
