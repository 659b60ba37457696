/*
 * api/emergency/plan.c: the ladder of caller IDs, route, location and warnings of a call, from the
 * document of call_context_3. A row changes one base context (RFC 7396), places a call, and says what
 * must be in the plan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan_cases.h"

#define DIALS(number) "{'rungs': [{}, {'route': {'legs': [{'dial': '" number "'}]}}]}"
#define IN_POOL(rung) "{'rungs': [{'types': {'native': {" rung "}}}, {}]}"
#define GERMAN \
	"'tenant': {'region': 'DE'}, 'site': {'region': 'DE', 'address': " ADDRESS("site", "DE", \
										   "Am Platz") "}"
/* Five regions, in their order; each knows 112. */
#define FRANCE "'location': {'region': 'FR', 'city': 'Lyon'}"
#define ITALY "'user': {'address': " ADDRESS("user", "IT", "Via") "}"
#define SPAIN "'site': {'region': 'ES'}"
#define NETHERLANDS "'tenant': {'region': 'NL'}"
#define WHERE "'location': {'region': 'US', 'city': 'C', 'street': 'Desk', 'house_number': '1'}"

static const struct plan_case rows[] = {
	/* caller ID */
	{ "without a number of their own a user leases from the pool, else shows the resource account",
	  "{}", "{}", "911",
	  "{'codes': [], 'locks': true, 'rungs': ["
	  " {'source': 'pool_lease', 'pools': ['p1'], 'types': {'native': {'warnings': []}}},"
	  " {'source': 'resource_account', 'number': '+14255550199', 'number_type': 'native',"
	  "  'warnings': ['pool_empty']}]}" },
	{ "a number of their own is presented, whatever the pools have",
	  "{'user': {" OWN("operator_connect", "null") "}}", "{}", "911",
	  "{'codes': [], 'locks': true, 'rungs': [{'source': 'user_number',"
	  " 'number': '+14255550142', 'number_type': 'operator_connect', 'warnings': []}]}" },
	{ "several pools are one rung, in their order, without those that are empty",
	  "{'site': {'pools': [" POOL("p1", "native", "1") ", " POOL("p2", "byoc", "0") ", " POOL(
		  "p3", "native", "9") ", " POOL("p4", "operator_connect", "1") "]}}",
	  "{}", "911",
	  "{'rungs': [{'source': 'pool_lease', 'pools': ['p1', 'p3', 'p4'],"
	  " 'types': {'native': {}, 'operator_connect': {}, 'byoc': null}},"
	  " {'source': 'resource_account'}]}" },
	{ "pools without a number: the resource account, and pool_empty",
	  "{'site': {'pools': [" POOL("p1", "native", "0") "]}}", "{}", "911",
	  "{'rungs': [{'source': 'resource_account', 'warnings': ['pool_empty']}]}" },
	{ "no pool: the resource account, and no_pool", "{'site': {'pools': []}}", "{}", "911",
	  "{'rungs': [{'source': 'resource_account', 'warnings': ['no_pool']}]}" },
	{ "no resource account: the number of the site's fallback",
	  "{'site': {'pools': [], 'resource_account': null, 'fallback': " PHONE(
		  "+14255550177") "},"
				  " 'tenant': {'fallback': " PHONE("+14255550188") "}}",
	  "{}", "911",
	  "{'rungs': [{'source': 'fallback', 'number': '+14255550177', 'number_type': null,"
	  " 'warnings': ['no_pool', 'caller_id_fallback']}]}" },
	{ "a site's fallback that is no number: the tenant's",
	  "{'site': {'pools': [], 'resource_account': null, 'fallback': {'type': 'sip_uri',"
	  " 'address': 'sip:guard@desk.example'}}, 'tenant': {'fallback': " PHONE(
		  "+14255550188") "}}",
	  "{}", "911",
	  "{'rungs': [{'source': 'fallback', 'number': '+14255550188',"
	  " 'warnings': ['no_pool', 'caller_id_fallback']}]}" },
	{ "behind a pool the fallback is the last rung",
	  "{'site': {'resource_account': null, 'fallback': " PHONE("+14255550177") "}}", "{}",
	  "911",
	  "{'rungs': [{'source': 'pool_lease'},"
	  " {'source': 'fallback', 'warnings': ['pool_empty', 'caller_id_fallback']}]}" },
	{ "nothing to present: none, and no_caller_id",
	  "{'site': {'pools': [], 'resource_account': null}}", "{}", "911",
	  "{'rungs': [{'source': 'none', 'number': null, 'number_type': null,"
	  " 'warnings': ['no_pool', 'no_caller_id'], 'route': {'legs': [{'dial': '911'}]}}]}" },
	/* who calls */
	{ "a guest is served from the site's pool", "{'user': null}", "{}", "911",
	  "{'codes': ['unknown_user'], 'locks': true, 'rungs': [{'source': 'pool_lease'},"
	  " {'source': 'resource_account'}]}" },
	{ "a guest without a site gets the tenant's fallback",
	  "{'user': null, 'site': null, 'tenant': {'fallback': " PHONE("+14255550188") "}}", "{}",
	  "911",
	  "{'codes': ['unknown_user'], 'rungs': [{'source': 'fallback', 'number': '+14255550188',"
	  " 'warnings': ['no_pool', 'caller_id_fallback', 'no_address']}]}" },
	{ "a user who may not call out is served", "{'user': {'outbound_enabled': false}}", "{}",
	  "911", "{'codes': ['outbound_disabled'], 'rungs': [{}, {}]}" },
	{ "a site_id that names a site is not warned of", "{'site': {'named': true}}",
	  "{'site_id': 'ext:north'}", "911", "{'codes': []}" },
	{ "a site_id that names none is left out", "{}", "{'site_id': 'ext:north'}", "911",
	  "{'codes': ['ignored_member'], 'rungs': [{'source': 'pool_lease'}, {}]}" },
	{ "an address_id that names none is left out", "{}",
	  "{'location': {'address_id': 'ext:a'}}", "911",
	  "{'codes': ['ignored_member'], 'rungs': [{'types': {'native': {'location':"
	  " {'source': 'site'}}}}, {}]}" },
	{ "warnings of the request come first", "{'user': null}", "{'origin': 'x'}", "9911",
	  "{'codes': ['ignored_member', 'unknown_user', 'assumed_prefix']}" },
	/* the device, and calls under way */
	{ "a mobile's own carrier takes the call: no lease, no number, no lock", "{}",
	  "{'endpoint': {'type': 'mobile'}}", "911",
	  "{'locks': false, 'rungs': [{'source': 'none', 'number': null, 'warnings': [],"
	  " 'route': {'handled_by': 'device', 'legs': []}}]}" },
	{ "a mobile with a number of its own is the device's call all the same",
	  "{'user': {" OWN("native", "null") "}}",
	  "{'endpoint': {'type': 'mobile', 'cellular': true}}", "911",
	  "{'locks': false, 'rungs': [{'source': 'none', 'route': {'handled_by': 'device'}}]}" },
	{ "a mobile without cellular calls through the switch", "{}",
	  "{'endpoint': {'type': 'mobile', 'cellular': false}}", "911",
	  "{'locks': true, 'rungs': [{'source': 'pool_lease', 'types': {'native': {'route':"
	  " {'handled_by': 'switch', 'legs': [{}]}}}}, {}]}" },
	{ "an observed call has no legs, and a lease", "{}", "{'origin': 'observed'}", "911",
	  "{'locks': true, 'rungs': [{'source': 'pool_lease', 'types': {'native': {'route':"
	  " {'path': 'psap_only', 'handled_by': 'switch', 'legs': []}}}},"
	  " {'source': 'resource_account', 'route': {'legs': []}}]}" },
	{ "an observed call without a carrier is not warned of one", "{'carriers': []}",
	  "{'origin': 'observed'}", "911", "{'rungs': [{}, {'warnings': ['pool_empty']}]}" },
	{ "cellular is of mobiles alone", "{}",
	  "{'endpoint': {'type': 'tablet', 'cellular': true}}", "911",
	  "{'locks': true, 'rungs': [{'source': 'pool_lease'}, {}]}" },
	/* carriers */
	{ "native comes first, operator_connect is its alternate",
	  "{'carriers': ['operator_connect', 'native']}", "{}", "911",
	  "{'rungs': [{}, {'route': {'path': 'psap_only', 'legs': [{'target': 'psap', 'dial': '911',"
	  " 'via': 'native', 'trunk': null, 'start_after_seconds': 0,"
	  " 'alternates': [{'via': 'operator_connect', 'trunk': null}]}]}}]}" },
	{ "operator_connect alone", "{'carriers': ['operator_connect']}", "{}", "911",
	  "{'rungs': [{}, {'route': {'legs': [{'via': 'operator_connect', 'alternates': []}]}}]}" },
	{ "no carrier: the leg stays, and no_emergency_carrier", "{'carriers': []}", "{}", "911",
	  "{'codes': ['no_emergency_carrier'], 'rungs': [{'types': {'native': {'warnings': []}}},"
	  " {'warnings': ['pool_empty'],"
	  " 'route': {'legs': [{'via': null, 'dial': '911', 'alternates': []}]}}]}" },
	/* what is dialled */
	{ "112 at a US site dials 911", "{}", "{}", "112",
	  "{'codes': [], 'rungs': [{}, {'route': {'legs': [{'dial': '911'}]}}]}" },
	{ "112 of a US user who is in Germany dials 112", "{}",
	  "{'location': {'region': 'DE', 'city': 'Berlin'}}", "112", DIALS("112") },
	{ "110 of a German site's user who is in the US dials 911", "{" GERMAN "}",
	  "{'location': {'region': 'US', 'city': 'Boston'}}", "110", DIALS("911") },
	{ "a point without a region is in the region of the request", "{}",
	  "{'region': 'DE', 'location': {'latitude': 52.5, 'longitude': 13.4}}", "112",
	  DIALS("112") },
	{ "an sos URN dials the number of the location", "{" GERMAN "}", "{}", "urn:service:sos",
	  DIALS("112") },
	{ "a prefix is taken off, and assumed_prefix", "{}", "{}", "9911",
	  "{'codes': ['assumed_prefix'], 'rungs': [{}, {'route': {'legs': [{'dial': '911'}]}}]}" },
	{ "what is asserted is dialled as it is, and not_in_number_tables", "{}",
	  "{'assert_emergency': true}", "5550",
	  "{'codes': ['not_in_number_tables'],"
	  " 'rungs': [{}, {'route': {'legs': [{'dial': '5550'}]}}]}" },
	/* where the caller is */
	{ "US, native: the site's address goes with the call", "{}", "{}", "911",
	  IN_POOL("'warnings': [], 'location': {'source': 'site', 'conveyed_by': 'pidf_lo',"
		  " 'address': {'street': 'Main St'}, 'caller_address': null}") },
	{ "US, native: the user's address before the site's",
	  "{'user': {'address': " ADDRESS("user", "US", "Home Road") "}}", "{}", "911",
	  IN_POOL("'warnings': [], 'location': {'source': 'user',"
		  " 'conveyed_by': 'pidf_lo', 'address': {'street': 'Home Road'}}") },
	{ "US, native: the caller's own location before the user's address",
	  "{'user': {'address': " ADDRESS("user", "US", "Home Road") "}}", "{" WHERE "}", "911",
	  IN_POOL("'warnings': [], 'location': {'source': 'caller',"
		  " 'conveyed_by': 'pidf_lo', 'address': {'street': 'Desk'}}") },
	{ "the address that the caller names is the caller's location",
	  "{'address': " ADDRESS("named", "US", "Oak St") "}",
	  "{'location': {'address_id': 'ext:oak'}}", "911",
	  "{'codes': [], 'rungs': [{}, {'location': {'source': 'caller',"
	  " 'address': {'address_id': 'named', 'street': 'Oak St'}}}]}" },
	{ "the address that the caller names comes before an inline one",
	  "{'address': " ADDRESS("named", "US", "Oak St") "}",
	  "{'location': {'address_id': 'ext:oak', 'city': 'Elm'}}", "911",
	  "{'rungs': [{}, {'location': {'source': 'caller', 'address': {'street': 'Oak St'}}}]}" },
	{ "floor and room beside an address_id are of that address",
	  "{'address': " ADDRESS("named", "US", "Oak St") "}",
	  "{'location': {'address_id': 'ext:oak', 'floor': '3', 'room': 'B', 'street': 'Elm',"
	  " 'latitude': 47.5, 'longitude': -122.5, 'method': 'manual'}}",
	  "911",
	  "{'rungs': [{}, {'location': {'source': 'caller', 'address': {'address_id': 'named',"
	  " 'street': 'Oak St', 'floor': '3', 'room': 'B', 'latitude': 47.5, 'method': 'manual'}}}]}" },
	{ "a floor beside an address_id that names none is no place", "{}",
	  "{'location': {'address_id': 'ext:oak', 'floor': '3'}}", "911",
	  "{'codes': ['ignored_member'], 'rungs': [{}, {'location': {'source': 'site'}}]}" },
	{ "half a point beside an address_id that names none is no place", "{}",
	  "{'location': {'address_id': 'ext:oak', 'latitude': 47.5}}", "911",
	  "{'codes': ['ignored_member'], 'rungs': [{}, {'location': {'source': 'site'}}]}" },
	{ "a street beside an address_id that names none is the place", "{}",
	  "{'location': {'address_id': 'ext:oak', 'street': 'Elm'}}", "911",
	  "{'codes': ['ignored_member'], 'rungs': [{}, {'location': {'source': 'caller',"
	  " 'address': {'street': 'Elm'}}}]}" },
	{ "Puerto Rico conveys like the US",
	  "{'site': {'region': 'PR', 'address': " ADDRESS("site", "PR", "Calle") "}}", "{}", "911",
	  IN_POOL("'location': {'conveyed_by': 'pidf_lo'}") },
	{ "Canada conveys like the US",
	  "{'site': {'region': 'CA', 'address': " ADDRESS("site", "CA", "King St") "}}", "{}",
	  "911", IN_POOL("'location': {'conveyed_by': 'pidf_lo'}") },
	{ "US, not native: the PSAP sees the site's address, and location_differs",
	  "{'site': {'pools': [" POOL("p1", "native", "1") ", " POOL("p2", "byoc", "1") "]}}",
	  "{" WHERE "}", "911",
	  "{'rungs': [{'types': {'native': {'warnings': [], 'location': {'conveyed_by': 'pidf_lo'}},"
	  " 'byoc': {'warnings': ['location_differs', 'caller_id_not_on_carrier'], 'location': {'source': 'site',"
	  " 'conveyed_by': 'caller_id', 'address': {'street': 'Main St'},"
	  " 'caller_address': {'street': 'Desk'}}}}}, {}]}" },
	{ "elsewhere the PSAP looks up the caller ID", "{" GERMAN "}",
	  "{'location': {'region': 'DE', 'city': 'Bonn'}}", "112",
	  IN_POOL("'warnings': ['location_differs'], 'location': {"
		  " 'source': 'site', 'conveyed_by': 'caller_id', 'address': {'street': 'Am Platz'},"
		  " 'caller_address': {'city': 'Bonn'}}") },
	{ "elsewhere, at the address of record: nothing differs", "{" GERMAN "}",
	  "{'location': {'region': 'DE', 'city': 'C', 'street': 'Am Platz', 'house_number': '1',"
	  " 'method': 'manual', 'latitude': 50}}",
	  "112",
	  IN_POOL("'warnings': [], 'location': {'source': 'site',"
		  " 'conveyed_by': 'caller_id', 'caller_address': null}") },
	{ "elsewhere, on another floor: it differs", "{" GERMAN "}",
	  "{'location': {'region': 'DE', 'city': 'C', 'street': 'Am Platz', 'house_number': '1',"
	  " 'floor': '3'}}",
	  "112", IN_POOL("'warnings': ['location_differs']") },
	{ "elsewhere, a number's own address of record before the site's",
	  "{" GERMAN ", 'user': {" OWN("native", ADDRESS("record", "DE", "Allee")) "}}", "{}",
	  "112",
	  "{'rungs': [{'warnings': ['location_differs'], 'location': {'source': 'number',"
	  " 'conveyed_by': 'caller_id', 'address': {'street': 'Allee'},"
	  " 'caller_address': {'street': 'Am Platz'}}}]}" },
	{ "in the US a native number's address of record does not matter",
	  "{'user': {" OWN("native", ADDRESS("record", "US", "Allee")) "}}", "{}", "911",
	  "{'rungs': [{'warnings': [], 'location': {'source': 'site', 'conveyed_by': 'pidf_lo',"
	  " 'address': {'street': 'Main St'}}}]}" },
	{ "a record alone is what the PSAP sees",
	  "{'site': {'address': null}, 'user': {" OWN("native",
						      ADDRESS("record", "US", "Allee")) "}}",
	  "{}", "911",
	  "{'rungs': [{'warnings': [], 'location': {'source': 'number', 'conveyed_by': 'caller_id',"
	  " 'address': {'street': 'Allee'}, 'caller_address': null}}]}" },
	{ "a caller's location alone goes with the call, everywhere",
	  "{'tenant': {'region': 'DE'}, 'site': null}",
	  "{'location': {'region': 'DE', 'city': 'Bonn'}}", "112",
	  "{'rungs': [{'warnings': ['no_pool', 'no_caller_id'], 'location': {'source': 'caller',"
	  " 'conveyed_by': 'pidf_lo', 'address': {'city': 'Bonn'}}}]}" },
	{ "no location at all: none, and no_address", "{'site': {'address': null}}", "{}", "911",
	  IN_POOL("'warnings': ['no_address'], 'location': {"
		  " 'source': 'none', 'conveyed_by': null, 'address': null, 'caller_address': null}") },
	{ "without a number to present, nothing is looked up by it",
	  "{" GERMAN ", 'user': {'address': " ADDRESS("user", "DE", "Weg") "}}",
	  "{'endpoint': {'type': 'mobile'}}", "112",
	  "{'rungs': [{'source': 'none', 'warnings': [], 'location': {'source': 'user',"
	  " 'conveyed_by': 'pidf_lo', 'address': {'street': 'Weg'}, 'caller_address': null}}]}" },
	/* what every rung has */
	{ "restrictions are the built-in ones, and nobody is notified", "{}", "{}", "911",
	  "{'rungs': [{'types': {'native': {'notifications': [], 'restrictions': {"
	  " 'blocked_operations': ['hold', 'local_mute', 'remote_mute', 'transfer', 'start_recording',"
	  "  'stop_recording', 'add_participant', 'remove_participant'],"
	  " 'visible_controls': ['device_settings', 'end_call'], 'incoming_calls': 'blocked',"
	  " 'record': false, 'history': true}}}}, {'notifications': [], 'restrictions': {}}]}" },
};

/* In which region a number is an emergency number: the first of those that the row leaves. */
static const struct region_row {
	const char *name, *context, *request, *dialed, *region;
} region_rows[] = {
	{ "the request's region is asked first", "{" ITALY ", " SPAIN ", " NETHERLANDS "}",
	  "{'region': 'DE', " FRANCE "}", "112", "DE" },
	{ "then the location's", "{" ITALY ", " SPAIN ", " NETHERLANDS "}", "{" FRANCE "}", "112",
	  "FR" },
	{ "then that of the address which the caller names",
	  "{'address': " ADDRESS("named", "SE", "G") ", " ITALY ", " SPAIN ", " NETHERLANDS "}",
	  "{'location': {'address_id': 'ext:a'}}", "112", "SE" },
	{ "then the user's address's", "{" ITALY ", " SPAIN ", " NETHERLANDS "}", "{}", "112",
	  "IT" },
	{ "then the site's", "{" SPAIN ", " NETHERLANDS "}", "{}", "112", "ES" },
	{ "then the tenant's", "{'site': null, " NETHERLANDS "}", "{}", "112", "NL" },
	{ "a region that does not have the number is passed over",
	  "{" ITALY ", " SPAIN ", 'tenant': {'region': 'DE'}}", "{'region': 'US', " FRANCE "}",
	  "110", "DE" },
	{ "a number that no region has is none", "{" ITALY ", " SPAIN ", " NETHERLANDS "}",
	  "{'region': 'DE', " FRANCE "}", "5550", NULL },
	{ "9911 has an outside-line prefix", "{}", "{}", "9911", "US" },
	{ "9911 that is an extension has none", "{'extension': true}", "{}", "9911", NULL },
};

/* --- tests ---------------------------------------------------------------------------------------- */

static void test_region(void **state)
{
	const struct region_row *row = *state;
	const json_t *context = context_of(row->context);
	struct call_request request;
	struct plan plan;
	const char *because =
		row->region ? arena_printf(arena, "is a number of the region %s.", row->region)
			    : "No region of the call and no dial rule knows it.";

	read_request(row->request, row->dialed, &request);
	assert_true(plan_make(arena, context, &request, &plan));
	assert_int_equal(plan.refused, row->region == NULL);
	assert_non_null(strstr(plan.trace, because));
}

/* Whose numbers a 422 lists: of the first region that has any. */
static void test_region_of_the_422(void **state)
{
	struct call_request request;

	(void)state;
	read_request("{'region': 'AQ'}", "5550", &request);
	assert_string_equal(plan_region(context_of("{" SPAIN "}"), &request), "ES");
	assert_null(
		plan_region(context_of("{'site': null, 'tenant': {'region': 'AQ'}}"), &request));
}

/* A second decision with the same request and context (stale, alone) is the same. */
static void test_context_is_left_as_it_was(void **state)
{
	const json_t *context = context_of("{}");
	json_t *before = arena_json(arena, json_deep_copy(context));
	struct call_request request;
	struct plan first, second;

	(void)state;
	read_request("{}", "911", &request);
	assert_true(plan_make(arena, context, &request, &first));
	assert_true(plan_make(arena, context, &request, &second));
	assert_true(json_equal(context, before));
	assert_string_equal(first.ladder, second.ladder);
	assert_string_equal(first.warnings, second.warnings);
	assert_string_equal(first.trace, second.trace);
}

static void test_out_of_memory(void **state)
{
	const json_t *context = context_of("{}");
	struct call_request request;
	struct plan plan;

	(void)state;
	read_request("{}", "911", &request);
	assert_null(arena_alloc(arena, PTRDIFF_MAX)); /* from here on every allocation fails */
	assert_false(plan_make(arena, context, &request, &plan));
}

static struct CMUnitTest tests[LENGTH(rows) + LENGTH(region_rows) + 3];

int main(void)
{
	size_t n = add_plan_cases(tests, 0, rows, LENGTH(rows));

	for (size_t i = 0; i < LENGTH(region_rows); i++)
		n = add_test(tests, n, region_rows[i].name, test_region, &region_rows[i]);
	n = add_test(tests, n, "a 422 lists the first region that has numbers",
		     test_region_of_the_422, NULL);
	n = add_test(tests, n, "the context is left as it was", test_context_is_left_as_it_was,
		     NULL);
	n = add_test(tests, n, "out of memory is said", test_out_of_memory, NULL);
	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
