/*
 * Readiness: one row a finding, each a single change of a configuration of which nothing is to be said;
 * and that findings of the call are those of the plan.
 */
#include <stdio.h>
#include <string.h>

#include "plan_cases.h"
#include "api/emergency/findings.h"

#define POLICY(fields) "'site': {'policy': {'id': 'p', 'preset': null, 'fields': {" fields "}}}"
#define PRESET(preset) "'tenant': {'policy': {'id': 'p', 'preset': '" preset "', 'fields': {}}}"
#define TEAM(staffed) \
	"{'type': 'safety_team', 'address': 'sip:desk@desk.example', 'staffed_24x7': " staffed "}"
#define ROLE(role, region, staffed, dedicated) \
	"'" role "': {'number': '+14255550170', 'number_type': 'native', 'region': '" region \
	"', 'staffed_24x7': " staffed ", 'dedicated_to_safety': " dedicated \
	", 'licensed': true, 'destination': {'type': '" role "', 'address': 'sip:r@desk'}}"
#define NUMBER(type, region, address) \
	"'number': {'id': 'n1', 'number': '+14255550142', 'number_type': '" type \
	"', 'region': '" region "', 'address': " address "}"
#define ROUTE(confirmed) \
	"'carrier_routes': [{'id': 'c', 'site_level': false, 'pattern': '911', 'trunk': 'sbc1'," \
	" 'confirmed': " confirmed "}]"
#define STALE(stale) \
	"'site': {'address': {'address_id': 'site', 'region': 'US', 'city': 'C', 'street': 'Main St'," \
	" 'house_number': '1', 'stale': " stale "}}"
#define GB "'address': " ADDRESS("site", "GB", "Mall")
#define NO_POOL "'pools': []"

/* What is found: "code severity", in order. */
static const struct find_case {
	const char *name, *context, *want;
} cases[] = {
	{ "nothing is found where nothing is missing", "{}", "[]" },
	{ "a user with a number of their own needs no pool",
	  "{'site': {" NO_POOL "}, 'user': {" NUMBER("native", "US", "null") "}}", "[]" },
	{ "no_caller_id: nothing can be presented",
	  "{'site': {" NO_POOL ", 'resource_account': null, 'fallback': " TEAM("true") "}}",
	  "['pool_empty error', 'no_caller_id error']" },
	{ "no_caller_id: what the policy chooses is missing, another number is presented",
	  "{" POLICY("'calling': 'primary'") "}", "['no_caller_id warning']" },
	{ "pool_empty: the site has no pool", "{'site': {" NO_POOL "}}",
	  "['pool_empty error', 'answering_point_not_staffed warning']" },
	{ "pool_empty: the pools of the site have no number",
	  "{'site': {'pools': [" POOL("p1", "native", "0") "], " ROLE("resource_account", "US",
								      "true", "true") "}}",
	  "['pool_empty error']" },
	{ "pool_small: one number for one user without",
	  "{'extension_only_users': 1, 'site': {'pools': [" POOL("p1", "native", "1") "]}}",
	  "['pool_small warning']" },
	{ "pool_small: two numbers support 99 users", "{'extension_only_users': 99}", "[]" },
	{ "pool_small: two numbers do not support 100 users", "{'extension_only_users': 100}",
	  "['pool_small warning']" },
	{ "pool_mixed_types: the site's pools are native and byoc",
	  "{'site': {'pools': [" POOL("p1", "native", "2") ", " POOL("p2", "byoc", "2") "]}}",
	  "['byoc_not_confirmed warning', 'pool_mixed_types warning']" },
	{ "pool_mixed_types: an empty pool is of no type",
	  "{'site': {'pools': [" POOL("p1", "native", "2") ", " POOL("p2", "byoc", "0") "]}}",
	  "[]" },
	{ "region_mismatch: the user's number is of another country",
	  "{'user': {" NUMBER("native", "GB", "null") "}}", "['region_mismatch error']" },
	{ "region_mismatch: the user is where the pool is not",
	  "{'user': {'address': " ADDRESS("home", "GB", "Mall") "}}",
	  "['address_stale warning', 'region_mismatch error']" },
	{ "region_mismatch: Puerto Rico is of the United States",
	  "{'user': {" NUMBER("native", "PR", "null") "}}", "[]" },
	{ "region_mismatch: the resource account's number is of another country than the pool",
	  "{'site': {" ROLE("resource_account", "GB", "true", "true") "}}",
	  "['region_mismatch error']" },
	{ "no_address: no place is known", "{'site': {'address': null}}", "['no_address error']" },
	{ "no_address: a remote user without an address", "{'user': {'remote': true}}",
	  "['no_address error']" },
	{ "no_address: a remote user's number has an address of record",
	  "{'user': {'remote': true, " NUMBER(
		  "byoc", "US", ADDRESS("rec", "US", "Elm St")) "}, " ROUTE("true") "}",
	  "[]" },
	{ "address_stale: nobody validated it of late", "{" STALE("true") "}",
	  "['address_stale warning']" },
	{ "address_stale: validated", "{" STALE("false") "}", "[]" },
	{ "address_stale: the address of record is not where the user is",
	  "{'user': {'address': " ADDRESS("home", "US", "Elm St") ", " NUMBER(
		  "byoc", "US", "null") "}, " ROUTE("true") "}",
	  "['address_stale warning']" },
	{ "remote_user_on_pool: the PSAP would see the site",
	  "{'user': {'remote': true, 'address': " ADDRESS(
		  "home", "US",
		  "Elm St") "}, 'site': {'pools': [" POOL("p1", "byoc",
							  "2") "]}, " ROUTE("true") "}",
	  "['remote_user_on_pool error']" },
	{ "remote_user_on_pool: in the US a native carrier sends the location of the caller",
	  "{'user': {'remote': true, 'address': " ADDRESS("home", "US", "Elm St") "}}", "[]" },
	{ "no_emergency_carrier: nobody takes the call", "{'carriers': []}",
	  "['no_emergency_carrier error']" },
	{ "byoc_not_confirmed: of the carrier route that takes the call",
	  "{'site': {'pools': [" POOL("p1", "byoc", "2") "]}, " ROUTE("false") "}",
	  "['byoc_not_confirmed warning']" },
	{ "byoc_not_confirmed: the carrier may not present another carrier's number",
	  "{" ROUTE("true") "}", "['byoc_not_confirmed warning']" },
	{ "byoc_not_confirmed: confirmed, and the numbers are the carrier's",
	  "{'site': {'pools': [" POOL("p1", "byoc", "2") "]}, " ROUTE("true") "}", "[]" },
	{ "fallback_missing: the route's team is not named",
	  "{" POLICY("'route': 'psap_and_team'") "}", "['fallback_missing error']" },
	{ "fallback_missing: callbacks that find nobody have nowhere to go",
	  "{'site': {'resource_account': null}}", "['fallback_missing error']" },
	{ "fallback_missing: the tenant's will do",
	  "{'site': {'resource_account': null}, 'tenant': {'fallback': " TEAM("true") "}}", "[]" },
	{ "answering_point_not_staffed: the receptionist whose number is presented",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'caller_id': 'receptionist'}}, " ROLE(
		  "receptionist", "US", "false", "true") "}}",
	  "['answering_point_not_staffed warning']" },
	{ "answering_point_not_staffed: the resource account that gets unleased callbacks",
	  "{" POLICY("'unleased_callback': 'resource_account'") "}",
	  "['answering_point_not_staffed warning']" },
	{ "answering_point_not_dedicated: the queue whose number is presented",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'caller_id': 'call_queue'}}, " ROLE(
		  "call_queue", "US", "true", "false") "}}",
	  "['answering_point_not_dedicated warning']" },
	{ "team_not_staffed: the team of the route",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'route': 'psap_and_team'}},"
	  " 'safety_team': " TEAM("null") "}}",
	  "['team_not_staffed warning']" },
	{ "team_not_staffed: it is staffed",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'route': 'psap_and_team'}},"
	  " 'safety_team': " TEAM("true") "}}",
	  "[]" },
	{ "team_not_staffed: nobody calls the team", "{'site': {'safety_team': " TEAM("false") "}}",
	  "[]" },
	{ "psap_disabled: PSAP routing is switched off",
	  "{" POLICY("'psap_enabled': false, 'psap_disabled_until': '2026-03-02T15:00:00Z'") "}",
	  "['psap_not_reached error', 'psap_disabled error']" },
	{ "psap_delayed: the team comes first",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'route': 'team_then_psap'}},"
	  " 'safety_team': " TEAM("true") "}}",
	  "['psap_delayed warning']" },
	{ "psap_not_reached: the route is the team alone",
	  "{'site': {'policy': {'id': 'p', 'preset': null, 'fields': {'route': 'team_only'}},"
	  " 'safety_team': " TEAM("true") "}}",
	  "['psap_not_reached error']" },
	{ "outbound_disabled: of the user", "{'user': {'outbound_enabled': false}}",
	  "['outbound_disabled error']" },
	{ "license_missing: said to be", "{'provisioning': {'teams_phone_license': false}}",
	  "['license_missing error']" },
	{ "license_missing: not known", "{'provisioning': {'teams_phone_license': null}}", "[]" },
	{ "enterprise_voice_off: said to be", "{'provisioning': {'enterprise_voice': false}}",
	  "['enterprise_voice_off error']" },
	{ "capacity_profile_missing: the profile", "{'provisioning': {'capacity_profile': false}}",
	  "['capacity_profile_missing error']" },
	{ "capacity_profile_missing: its outbound voice profile",
	  "{'provisioning': {'capacity_profile': true, 'outbound_profile': false}}",
	  "['capacity_profile_missing error']" },
	{ "browser_location_region: dynamics_365 places calls in the United States and Puerto Rico",
	  "{" PRESET("dynamics_365") ", 'provisioning': {'browser_location_region': 'DE'}}",
	  "['browser_location_region error']" },
	{ "browser_location_region: Puerto Rico",
	  "{" PRESET("dynamics_365") ", 'provisioning': {'browser_location_region': 'PR'}}", "[]" },
	{ "browser_location_region: elsewhere than the user",
	  "{'provisioning': {'browser_location_region': 'DE'}}",
	  "['browser_location_region warning']" },
	{ "resource_account_unlicensed: said to be",
	  "{'site': {'resource_account': {'licensed': false}}}",
	  "['resource_account_unlicensed error']" },
	{ "a mobile's own carrier takes the call: routes, carriers and numbers do not count",
	  "{'endpoint': {'type': 'mobile', 'address': 'x', 'cellular': null}, 'carriers': [],"
	  " 'site': {'pools': [], 'resource_account': null, 'policy': {'id': 'p', 'preset': null,"
	  " 'fields': {'psap_enabled': false}}}}",
	  "[]" },
	{ "a mobile without a carrier is an endpoint as any",
	  "{'endpoint': {'type': 'mobile', 'address': 'x', 'cellular': false}, 'carriers': []}",
	  "['no_emergency_carrier error']" },
	{ "a region that no table knows: the call is asserted",
	  "{'tenant': {'region': 'AQ'}, 'site': {'region': 'AQ', 'address': null}}",
	  "['no_address error']" },
	{ "what a rule does to the emergency number is found",
	  "{'rules': [{'id': 'r', 'site_level': false, 'name': 'desk first', 'pattern': '911',"
	  " 'kind': 'override', 'route': 'sip_group_only', 'sip_group': " TEAM("true") "}]}",
	  "['psap_not_reached error']" },
};

static json_t *written(const struct findings *found)
{
	struct json_text t;

	json_text_start(&t, arena, 100);
	json_text_open(&t, NULL, '{');
	findings_write(&t, found);
	json_text_close(&t, '}');
	return doc_of(json_text_end(&t));
}

/* Every finding says what is wrong and what to do; "code severity" of each. */
static json_t *codes_of(const struct findings *found)
{
	const json_t *json = written(found), *f;
	json_t *codes = doc("[]");
	bool errors = false;
	char text[80];
	size_t i;

	json_array_foreach (json_object_get(json, "findings"), i, f) {
		const char *severity = json_string_value(json_object_get(f, "severity"));

		assert_true(json_string_length(json_object_get(f, "detail")) > 0);
		assert_true(json_string_length(json_object_get(f, "fix")) > 0);
		errors = errors || strcmp(severity, "error") == 0;
		snprintf(text, sizeof(text), "%s %s", json_string_value(json_object_get(f, "code")),
			 severity);
		json_array_append_new(codes, json_string(text));
	}
	assert_int_equal(json_is_true(json_object_get(json, "ready")), !errors);
	return codes;
}

static void test_case(void **state)
{
	const struct find_case *c = *state;
	struct findings found;
	const json_t *got;

	assert_true(findings_of_user(arena, context_of(c->context), &found));
	got = codes_of(&found);
	if (!json_equal(got, doc(c->want)))
		fail_msg("found %s, not %s", dump(got), c->want);
}

static void of_tenant(const char *facts, const char *want)
{
	struct findings found = { .n = 0 };

	findings_of_tenant(arena, doc(facts), &found);
	assert_string_equal(dump(codes_of(&found)), dump(doc(want)));
}

static void test_tenant(void **state)
{
	(void)state;
	of_tenant("{'presence_webhook': true, 'guests': 0}", "[]");
	of_tenant("{'presence_webhook': false, 'guests': 0}",
		  "['no_webhook_for_presence warning']");
	of_tenant("{'presence_webhook': true, 'guests': 3}", "['guest_calls_seen warning']");
}

static void test_rule_of_thumb(void **state)
{
	static const long users[][2] = { { 0, 0 }, { 1, 2 }, { 99, 2 }, { 100, 3 }, { 250, 4 } };

	(void)state;
	for (size_t i = 0; i < LENGTH(users); i++)
		assert_int_equal(findings_numbers_for(users[i][0]), users[i][1]);
}

static struct CMUnitTest tests[LENGTH(cases) + 2];

int main(void)
{
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(cases); i++)
		n = add_test(tests, n, cases[i].name, test_case, &cases[i]);
	n = add_test(tests, n, "the tenant: no_webhook_for_presence, guest_calls_seen", test_tenant,
		     NULL);
	(void)add_test(tests, n, "pool_small: the rule of thumb", test_rule_of_thumb, NULL);
	return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
