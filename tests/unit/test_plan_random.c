/*
 * The decision never fails: random configurations, also such as no API would take (missing pools,
 * destinations that dangle, policies that contradict each other, values of another type), every type
 * of endpoint and every region. Whatever comes, there is a plan that can be used, and its trace
 * explains every warning. The generator is seeded: a failure names its round and comes again
 * with the same compiler (C leaves the order of arguments open).
 */
#include <stdio.h>
#include <string.h>

#include "plan_cases.h"
#include "api/emergency/dial.h"
#include "api/emergency/dial_table.h"

#define ROUNDS 8000

static uint64_t seed;
static uint64_t last_round; /* of a failure: shown when the test is torn down */

/* splitmix64 */
static uint64_t next(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return next() % n;
}

static bool one_in(size_t n)
{
	return below(n) == 0;
}

#define ANY(list) ((list)[below(LENGTH(list))])

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

/* Something that does not belong where it is put. */
static json_t *rubbish(void)
{
	static const char *const values[] = {
		"null", "{}", "[]", "'x'", "-1", "true", "1e99", "[null, {}]", "''", "{'a': 'b\\n'}"
	};

	return json_deep_copy(doc(ANY(values)));
}

static const char *region(void)
{
	static const char *const odd[] = {
		NULL, "", "ZZ", "GN", "us", "US", "US", "CA", "PR", "DE"
	};

	return one_in(2) ? ANY(odd) : dial_regions[below(LENGTH(dial_regions))].code;
}

static const char *number_type(void)
{
	static const char *const types[] = { "native", "operator_connect", "byoc", "native", NULL };

	return ANY(types);
}

static json_t *address(void)
{
	static const char *const texts[] = { NULL, "", "Main St", "\"Q\" & <Son>", "通り", "1" };

	if (one_in(3))
		return one_in(5) ? rubbish() : json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:f}", "address_id", "a", "region",
			 string_or_null(region()), "city", string_or_null(ANY(texts)), "street",
			 string_or_null(ANY(texts)), "house_number", string_or_null(ANY(texts)),
			 "floor", string_or_null(ANY(texts)), "latitude", (double)below(90));
}

static json_t *destination(void)
{
	static const char *const types[] = { "safety_team", "sip_group", "phone_number",
					     "sip_uri" };
	static const char *const addresses[] = { "+14255550177", "sip:desk@desk.example", "+1",
						 "" };

	if (one_in(2))
		return one_in(6) ? rubbish() : json_null();
	return json_pack("{s:s, s:s}", "type", ANY(types), "address", ANY(addresses));
}

static json_t *setting(enum policy_field field)
{
	static const long numbers[] = { 1, 8, 60, 300, 3600, 86400 };
	size_t length, count = 1;
	const char *word;
	json_t *set;

	switch (policy_type(field)) {
	case POLICY_CHOICE:
		for (word = policy_word(field, 0, &length); word[length] == '|'; count++)
			word = policy_word(field, (long)count, &length);
		word = policy_word(field, (long)below(count), &length);
		return json_stringn(word, length);
	case POLICY_INTEGER: return json_integer(ANY(numbers));
	case POLICY_BOOL: return json_boolean(one_in(2));
	case POLICY_SET:
		set = json_array();
		while (!one_in(3)) {
			word = policy_word(field, (long)below(2), &length);
			json_array_append_new(set, json_stringn(word, length));
		}
		return set;
	case POLICY_DESTINATION: return destination();
	case POLICY_TIME: return json_string("2026-03-02T16:00:00Z");
	}
	return json_null();
}

static json_t *policy(void)
{
	static const char *const presets[] = { NULL,	       NULL,	     "teams_phone",
					       "dynamics_365", "zoom_phone", "unknown" };
	json_t *fields = json_object();

	if (one_in(3)) {
		json_decref(fields);
		return one_in(6) ? rubbish() : json_null();
	}
	for (enum policy_field f = 0; f < POLICY_FIELDS; f++)
		if (one_in(4))
			json_object_set_new(fields, policy_name(f),
					    one_in(20) ? rubbish() : setting(f));
	return json_pack("{s:s, s:o, s:o}", "id", "p", "preset", string_or_null(ANY(presets)),
			 "fields", fields);
}

static json_t *owner(void)
{
	static const char *const numbers[] = { "+14255550101", "+493012345", "+14255550123", NULL };

	if (one_in(3))
		return one_in(6) ? rubbish() : json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "number", string_or_null(ANY(numbers)),
			 "number_type", string_or_null(number_type()), "destination", destination(),
			 "address", address());
}

static json_t *several(json_t *(*make)(void), size_t most)
{
	json_t *list = json_array();

	for (size_t n = below(most + 1); n > 0; n--)
		json_array_append_new(list, one_in(25) ? rubbish() : make());
	return one_in(20) ? (json_decref(list), rubbish()) : list;
}

static json_t *pool(void)
{
	return json_pack("{s:s, s:o, s:i}", "id", "pool", "number_type",
			 string_or_null(number_type()), "numbers", (int)below(3));
}

static const char *const patterns[] = {
	"911", "112", "9911", "71xx", "7100", "xxx", "9xx",
	"x",   ".*",  "933",  "*1",   "110",  NULL,  "+14255550133"
};
static const char *const paths[] = { NULL,	  "psap_only",		"psap_and_team",
				     "team_only", "team_then_psap",	"sip_group_only",
				     "nowhere",	  "team_then_sip_group" };

static json_t *rule(void)
{
	static const char *const kinds[] = { "mask", "custom", "test", "override", "new" };
	static const char *const translations[] = {
		NULL, "911", "112",  "+14255550xxx",
		"xx", "933", "help", "1234567890123456789012345678901234567"
	};

	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:b}", "id", "r", "name",
			 "a rule", "kind", ANY(kinds), "site_level", (int)below(2), "pattern",
			 string_or_null(ANY(patterns)), "translation",
			 string_or_null(ANY(translations)), "route", string_or_null(ANY(paths)),
			 "max_hold_seconds",
			 one_in(2) ? json_null() : json_integer((json_int_t)below(600)),
			 "sip_group", destination(), "notify", !one_in(4));
}

static json_t *carrier_route(void)
{
	return json_pack("{s:s, s:b, s:o, s:s, s:b}", "id", "c", "site_level", (int)below(2),
			 "pattern", string_or_null(ANY(patterns)), "trunk", "sbc", "confirmed",
			 (int)below(2));
}

static json_t *recipient(void)
{
	static const char *const strings[] = { "[]", "['911']", "['933', '7100']", "null",
					       "['9911']" };

	return json_pack("{s:s, s:s, s:s, s:O}", "channel", "email", "address", "a@b", "mode",
			 "notify", "dial_strings", doc(ANY(strings)));
}

static json_t *carrier(void)
{
	return string_or_null(number_type());
}

static json_t *context(void)
{
	static const char *const tongues[] = { "en", "de-CH", "ja", "zh", NULL };
	static const char *const orders[] = { "user_first", "site_first", NULL };
	json_t *user, *site;

	user = json_pack("{s:s, s:b, s:b, s:o, s:o, s:o}", "id", "u", "remote", (int)below(2),
			 "outbound_enabled", !one_in(4), "number", owner(), "address", address(),
			 "policy", policy());
	site = json_pack("{s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", "s",
			 "region", string_or_null(region()), "named", (int)below(2), "policy",
			 policy(), "safety_team", destination(), "fallback", destination(),
			 "resource_account", owner(), "receptionist", owner(), "call_queue",
			 owner(), "address", address(), "pools", several(pool, 4));
	if (one_in(4))
		json_decref(user), user = json_null();
	if (one_in(4))
		json_decref(site), site = json_null();
	return arena_json(
		arena,
		json_pack(
			"{s:{s:s, s:o, s:o, s:o, s:o, s:o, s:o}, s:o, s:o, s:o, s:b, s:o, s:o, s:o,"
			" s:o}",
			"tenant", "id", "t", "region", string_or_null(region()), "language",
			string_or_null(ANY(tongues)), "policy_order", string_or_null(ANY(orders)),
			"policy", policy(), "safety_team", destination(), "fallback", destination(),
			"user", user, "site", site, "address", address(), "extension",
			(int)below(2), "carriers", several(carrier, 3), "carrier_routes",
			several(carrier_route, 4), "rules", several(rule, 6), "recipients",
			several(recipient, 4)));
}

static void request(struct call_request *out)
{
	static const char *const endpoints[] = {
		NULL,	      "ccaas_client", "teams_client", "desktop_client", "vdi_client",
		"desk_phone", "tablet",	      "mobile",	      "telegraph",
	};
	static const char *const dialed[] = {
		"911",
		"911",
		"911",
		"911",
		"112",
		"112",
		"9911",
		"933",
		"000",
		"999",
		"110",
		"0112",
		"7100",
		"71",
		"help",
		"5550",
		"urn:service:sos",
		"tel:+1-425-555-0133",
		"*1",
		"x",
		"1",
		"9933",
		"4255550",
		"urn:service:test.sos",
		"sip:911@pbx",
	};
	static const char *const locations[] = {
		"null",
		"{'region': 'DE', 'city': 'Bonn'}",
		"{'address_id': 'ext:a', 'floor': '3'}",
		"{'latitude': 47.5, 'longitude': -122.5}",
		"{'address_id': 'ext:a', 'street': 'Elm'}",
	};
	static const char *const presented[] = { NULL, NULL, "+14255550123", "+14255550101" };
	const char *type = ANY(endpoints);
	json_t *body = arena_json(
		arena,
		json_pack("{s:o, s:o, s:O, s:o, s:s, s:o, s:b}", "endpoint",
			  type ? json_pack("{s:s, s:o}", "type", type, "cellular",
					   one_in(2) ? json_null() : json_boolean(one_in(2)))
			       : json_null(),
			  "region", string_or_null(one_in(3) ? region() : NULL), "location",
			  doc(ANY(locations)), "presented_number", string_or_null(ANY(presented)),
			  "origin", one_in(5) ? "observed" : "planned", "site_id",
			  one_in(4) ? json_string("ext:north") : json_null(), "assert_emergency",
			  one_in(4)));

	read_request(dump(body), ANY(dialed), out);
}

static void must_be_same(const struct plan *a, const struct plan *b)
{
	assert_int_equal(a->refused, b->refused);
	assert_string_equal(a->trace, b->trace);
	assert_string_equal(a->warnings, b->warnings);
	if (!a->refused)
		assert_string_equal(a->ladder, b->ladder);
}

static void test_always_usable(void **state)
{
	size_t refused = 0, tests = 0, customs = 0, devices = 0;

	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct plan plan, again;
		struct call_request req;
		json_t *of;
		const char *before;

		arena_reset(arena);
		seed = round;
		of = context();
		assert_non_null(of);
		before = dump(of);
		request(&req);
		last_round = round;
		assert_true(plan_make(arena, of, &req, &plan));
		assert_true(plan_make(arena, of, &req, &again));
		must_be_same(&plan, &again);
		assert_string_equal(dump(of), before);
		refused += plan.refused;
		tests += plan.test;
		customs += plan.custom;
		devices += plan.handled_by_device;
		if (plan.refused)
			continue;
		check_plan(&plan, &req);
	}
	last_round = ROUNDS;
	/* It is no test where one of these never happens. */
	assert_in_range(refused, ROUNDS / 50, ROUNDS / 2);
	assert_in_range(tests, ROUNDS / 50, ROUNDS / 2);
	assert_in_range(customs, ROUNDS / 50, ROUNDS / 2);
	assert_in_range(devices, ROUNDS / 50, ROUNDS / 2);
}

/* Every number of every region is an emergency number there, and something is dialled for it. */
static void test_every_region(void **state)
{
	(void)state;
	for (size_t r = 0; r < LENGTH(dial_regions); r++) {
		const char *code = dial_regions[r].code;
		const json_t *of = arena_json(arena, json_pack("{s:{s:s, s:s}, s:{s:s, s:n}}",
							       "tenant", "id", "t", "region", "US",
							       "site", "region", code, "address"));

		for (size_t i = 0; i < dial_regions[r].n_numbers; i++) {
			struct call_request req;
			struct plan plan;

			read_request("{}", dial_regions[r].numbers[i], &req);
			assert_true(plan_make(arena, of, &req, &plan));
			assert_false(plan.refused || plan.test || plan.custom || plan.asserted);
			assert_string_equal(plan.dial_string, dial_regions[r].numbers[i]);
			check_plan(&plan, &req);
		}
		arena_reset(arena);
	}
}

static int end_rounds(void **state)
{
	if (last_round != ROUNDS)
		fprintf(stderr, "round %llu\n", (unsigned long long)last_round);
	return end_documents(state);
}

int main(void)
{
	struct CMUnitTest tests[2];
	size_t n = 0;

	n = add_test(tests, n, "whatever the configuration, there is a usable plan",
		     test_always_usable, NULL);
	tests[0].teardown_func = end_rounds;
	n = add_test(tests, n, "every number of every region", test_every_region, NULL);
	return _cmocka_run_group_tests("plan_random", tests, n, NULL, NULL);
}
