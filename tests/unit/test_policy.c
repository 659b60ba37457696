/* api/emergency/policy.c: fields, presets, and which value counts. */
#include <string.h>

#include "plan_cases.h"
#include "api/emergency/policy.h"

/* What a policy may say (api.md 2): the preset's value must be one of these, too. */
static const struct {
	enum policy_field field;
	const char *name, *built_in, *teams_phone, *dynamics_365, *zoom_phone; /* NULL: built in */
} fields[] = {
#define ALL \
	"['hold','local_mute','remote_mute','transfer','start_recording','stop_recording'," \
	"'add_participant','remove_participant']"
#define BOTH "['device_settings','end_call']"
	/* clang-format off */
	{ POLICY_CALLING, "calling", "'auto'", NULL, "'shared'", NULL },
	{ POLICY_CALLER_ID, "caller_id", "'number_pool'", NULL, NULL, NULL },
	{ POLICY_CALLER_ID_CONTROL, "caller_id_control", "'switchback'", "'platform'", "'platform'", "'platform'" },
	{ POLICY_LEASE_TTL_SECONDS, "lease_ttl_seconds", "3600", NULL, NULL, "7200" },
	{ POLICY_TEST_LEASE_TTL_SECONDS, "test_lease_ttl_seconds", "300", NULL, NULL, NULL },
	{ POLICY_LEASE_CLOCK, "lease_clock", "'placed'", NULL, NULL, NULL },
	{ POLICY_LEASE_REPEAT, "lease_repeat", "'renew'", "'next'", NULL, NULL },
	{ POLICY_LEASE_EXHAUSTED, "lease_exhausted", "'reuse_oldest'", "'reuse_first'", NULL, NULL },
	{ POLICY_UNLEASED_CALLBACK, "unleased_callback", "'last_holder'", "'resource_account'", NULL, NULL },
	{ POLICY_CALLBACK_GRACE_SECONDS, "callback_grace_seconds", "86400", "0", NULL, NULL },
	{ POLICY_CALLBACK_RING, "callback_ring", "'by_placing_client'", NULL, "'ccaas_only'", "'placing_endpoint'" },
	{ POLICY_CALLBACK_NO_ANSWER, "callback_no_answer", "'fallback'", NULL, NULL, NULL },
	{ POLICY_CALLBACK_NO_ANSWER_SECONDS, "callback_no_answer_seconds", "20", NULL, NULL, NULL },
	{ POLICY_ROUTE, "route", "'psap_only'", NULL, NULL, NULL },
	{ POLICY_MAX_HOLD_SECONDS, "max_hold_seconds", "8", NULL, NULL, NULL },
	{ POLICY_SAFETY_TEAM, "safety_team", "null", NULL, NULL, NULL },
	{ POLICY_SIP_GROUP, "sip_group", "null", NULL, NULL, NULL },
	{ POLICY_RECORD_SAFETY_TEAM, "record_safety_team", "false", NULL, NULL, "true" },
	{ POLICY_PSAP_ENABLED, "psap_enabled", "true", NULL, NULL, NULL },
	{ POLICY_PSAP_DISABLED_UNTIL, "psap_disabled_until", "null", NULL, NULL, NULL },
	{ POLICY_NOTIFY_MODE, "notify_mode", "'notify'", NULL, NULL, NULL },
	{ POLICY_BLOCKED_OPERATIONS, "blocked_operations", ALL, NULL, NULL, NULL },
	{ POLICY_VISIBLE_CONTROLS, "visible_controls", BOTH, NULL, NULL, NULL },
	{ POLICY_BLOCK_INCOMING, "block_incoming", "true", NULL, NULL, NULL },
	{ POLICY_RECORD, "record", "false", NULL, NULL, NULL },
	{ POLICY_HISTORY, "history", "true", NULL, "false", NULL },
	{ POLICY_PRESENCE_LOCK, "presence_lock", "true", NULL, NULL, "false" },
	{ POLICY_PRESENCE_VALUE, "presence_value", "'do_not_disturb'", NULL, NULL, NULL },
	{ POLICY_PRESENCE_RESTORE, "presence_restore", "'call_ended'", NULL, NULL, NULL },
	{ POLICY_MAX_CALL_SECONDS, "max_call_seconds", "14400", NULL, NULL, NULL },
	{ POLICY_RETENTION_SECONDS, "retention_seconds", "86400", NULL, NULL, NULL },
	/* clang-format on */
};

static void resolve(const char *user, const char *site, const char *tenant, bool site_first,
		    struct policy *out)
{
	const json_t *const levels[POLICY_LEVELS] = {
		[LEVEL_USER] = user ? doc(user) : NULL,
		[LEVEL_SITE] = site ? doc(site) : NULL,
		[LEVEL_TENANT] = tenant ? doc(tenant) : NULL,
	};

	policy_resolve(levels, site_first, out);
}

static void must_be(const struct policy *policy, enum policy_field field, const char *want)
{
	const json_t *got = arena_json(arena, policy_value(field, &policy->of[field]));

	if (!json_equal(got, doc(want)))
		fail_msg("%s is %s, want %s", policy_name(field), dump(got), want);
}

static void test_every_field_has_a_name(void **state)
{
	(void)state;
	assert_int_equal(LENGTH(fields), POLICY_FIELDS);
	for (size_t i = 0; i < LENGTH(fields); i++) {
		assert_int_equal(fields[i].field, i);
		assert_string_equal(policy_name(fields[i].field), fields[i].name);
	}
	assert_string_equal(policy_level_name(LEVEL_USER), "user");
	assert_string_equal(policy_level_name(LEVEL_SITE), "site");
	assert_string_equal(policy_level_name(LEVEL_TENANT), "tenant");
	assert_string_equal(policy_level_name(LEVEL_BUILT_IN), "built_in");
}

static void test_built_in(void **state)
{
	struct policy policy;

	(void)state;
	resolve("null", NULL, "null", false, &policy);
	for (size_t i = 0; i < LENGTH(fields); i++) {
		must_be(&policy, fields[i].field, fields[i].built_in);
		assert_int_equal(policy.of[i].level, LEVEL_BUILT_IN);
		assert_null(policy.of[i].policy_id);
		assert_null(policy.of[i].preset);
	}
}

/* A preset fills every field: the tenant's own policy below it says nothing any more. But where the
   desk of a customer is, no system documents. */
static void check_preset(const char *preset, size_t column)
{
	const char *user = arena_printf(arena, "{'id': 'u', 'preset': '%s', 'fields': {}}", preset);
	struct policy policy;

	resolve(user, NULL,
		"{'id': 't', 'fields': {'calling': 'primary', 'route': 'team_only', 'record': true,"
		" 'psap_enabled': false, 'psap_disabled_until': '2026-03-02T16:00:00Z',"
		" 'safety_team': {'type': 'safety_team', 'address': 'a'}, 'blocked_operations': []}}",
		false, &policy);
	for (size_t i = 0; i < LENGTH(fields); i++) {
		const char *const of[] = { fields[i].teams_phone, fields[i].dynamics_365,
					   fields[i].zoom_phone };
		const enum policy_type type = policy_type(fields[i].field);

		if (type == POLICY_DESTINATION || type == POLICY_TIME)
			continue;
		must_be(&policy, fields[i].field, of[column] ? of[column] : fields[i].built_in);
		assert_int_equal(policy.of[i].level, LEVEL_USER);
		assert_string_equal(policy.of[i].policy_id, "u");
		assert_string_equal(policy.of[i].preset, preset);
	}
	must_be(&policy, POLICY_SAFETY_TEAM, "{'type': 'safety_team', 'address': 'a'}");
	assert_int_equal(policy.of[POLICY_SAFETY_TEAM].level, LEVEL_TENANT);
	assert_int_equal(policy.of[POLICY_SIP_GROUP].level, LEVEL_BUILT_IN);
	must_be(&policy, POLICY_PSAP_DISABLED_UNTIL, "'2026-03-02T16:00:00Z'");
}

static void test_teams_phone(void **state)
{
	(void)state;
	check_preset("teams_phone", 0);
}

static void test_dynamics_365(void **state)
{
	(void)state;
	check_preset("dynamics_365", 1);
}

static void test_zoom_phone(void **state)
{
	(void)state;
	check_preset("zoom_phone", 2);
}

/* Which of three levels counts: value and level of one field. */
static const struct {
	const char *name, *user, *site, *tenant;
	bool site_first;
	const char *value;
	enum policy_level level;
} orders[] = {
#define SAYS(id, seconds) "{'id': '" id "', 'fields': {'lease_ttl_seconds': " seconds "}}"
#define SILENT "{'id': 'silent', 'fields': {'lease_ttl_seconds': null, 'record': true}}"
#define ZOOM "{'id': 'zoom', 'preset': 'zoom_phone', 'fields': {'lease_ttl_seconds': null}}"
#define ZOOM_BUT "{'id': 'zoom', 'preset': 'zoom_phone', 'fields': {'lease_ttl_seconds': 90}}"
	/* clang-format off */
	{ "the user's over the site's", SAYS("u", "60"), SAYS("s", "70"), SAYS("t", "80"), false, "60", LEVEL_USER },
	{ "the site's over the user's", SAYS("u", "60"), SAYS("s", "70"), SAYS("t", "80"), true, "70", LEVEL_SITE },
	{ "the site's over the tenant's", NULL, SAYS("s", "70"), SAYS("t", "80"), false, "70", LEVEL_SITE },
	{ "the user's over the tenant's, also site_first", SAYS("u", "60"), NULL, SAYS("t", "80"), true, "60", LEVEL_USER },
	{ "the tenant's over what is built in", NULL, NULL, SAYS("t", "80"), false, "80", LEVEL_TENANT },
	{ "a null field inherits", SILENT, SAYS("s", "70"), SAYS("t", "80"), false, "70", LEVEL_SITE },
	{ "a null field inherits what is built in", SILENT, SILENT, SILENT, false, "3600", LEVEL_BUILT_IN },
	{ "a level without a policy inherits", "null", "null", SAYS("t", "80"), true, "80", LEVEL_TENANT },
	{ "a preset counts as the policy that has it", ZOOM, SAYS("s", "70"), NULL, false, "7200", LEVEL_USER },
	{ "an explicit field wins over the preset of its policy", ZOOM_BUT, SAYS("s", "70"), NULL, false, "90", LEVEL_USER },
	{ "a preset below an explicit field says nothing", SAYS("u", "60"), ZOOM, NULL, false, "60", LEVEL_USER },
	{ "a preset of the site, site_first", SAYS("u", "60"), ZOOM, NULL, true, "7200", LEVEL_SITE },
	{ "a preset that nobody knows is none", "{'id': 'u', 'preset': 'pbx', 'fields': {}}", NULL, SAYS("t", "80"), false, "80", LEVEL_TENANT },
	{ "a value of another type is as if it were unset", SAYS("u", "'60'"), NULL, SAYS("t", "80"), false, "80", LEVEL_TENANT },
	{ "a policy without fields says nothing", "{'id': 'u'}", NULL, SAYS("t", "80"), false, "80", LEVEL_TENANT },
	/* clang-format on */
};

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(orders); i++) {
		struct policy policy;

		resolve(orders[i].user, orders[i].site, orders[i].tenant, orders[i].site_first,
			&policy);
		must_be(&policy, POLICY_LEASE_TTL_SECONDS, orders[i].value);
		if (policy.of[POLICY_LEASE_TTL_SECONDS].level != orders[i].level)
			fail_msg("%s: %s", orders[i].name,
				 policy_level_name(policy.of[POLICY_LEASE_TTL_SECONDS].level));
	}
}

/* Each field by itself: four levels in one policy. */
static void test_each_field_by_itself(void **state)
{
	struct policy policy;

	(void)state;
	resolve("{'id': 'u', 'fields': {'calling': 'shared', 'blocked_operations': ['transfer', 'hold']}}",
		"{'id': 's', 'fields': {'calling': 'primary', 'presence_lock': false,"
		" 'sip_group': {'type': 'sip_group', 'address': 'g'}}}",
		"{'id': 't', 'preset': 'dynamics_365', 'fields': {'history': true}}", false,
		&policy);
	must_be(&policy, POLICY_CALLING, "'shared'");
	assert_string_equal(policy.of[POLICY_CALLING].policy_id, "u");
	must_be(&policy, POLICY_BLOCKED_OPERATIONS, "['hold', 'transfer']");
	must_be(&policy, POLICY_PRESENCE_LOCK, "false");
	assert_string_equal(policy.of[POLICY_PRESENCE_LOCK].policy_id, "s");
	must_be(&policy, POLICY_SIP_GROUP, "{'type': 'sip_group', 'address': 'g'}");
	must_be(&policy, POLICY_HISTORY, "true");
	assert_null(policy.of[POLICY_HISTORY].preset);
	must_be(&policy, POLICY_CALLBACK_RING, "'ccaas_only'");
	assert_int_equal(policy.of[POLICY_CALLBACK_RING].level, LEVEL_TENANT);
	assert_string_equal(policy.of[POLICY_CALLBACK_RING].preset, "dynamics_365");
}

/* Each word of a choice is read back as it was said. */
static void test_words(void **state)
{
	(void)state;
	for (enum policy_field f = 0; f < POLICY_FIELDS; f++) {
		const enum policy_type type = policy_type(f);
		bool more = type == POLICY_CHOICE || type == POLICY_SET;

		for (long i = 0; more; i++) {
			size_t length;
			const char *word = policy_word(f, i, &length);
			const char *value =
				arena_printf(arena, type == POLICY_SET ? "['%.*s']" : "'%.*s'",
					     (int)length, word);
			struct policy policy;

			resolve(arena_printf(arena, "{'id': 'u', 'fields': {'%s': %s}}",
					     policy_name(f), value),
				NULL, NULL, false, &policy);
			must_be(&policy, f, value);
			assert_int_equal(policy.of[f].level, LEVEL_USER);
			more = word[length] == '|';
		}
	}
}

int main(void)
{
	struct CMUnitTest tests[16];
	size_t n = 0;

	n = add_test(tests, n, "every field has its name", test_every_field_has_a_name, NULL);
	n = add_test(tests, n, "what is built in", test_built_in, NULL);
	n = add_test(tests, n, "teams_phone fills every field", test_teams_phone, NULL);
	n = add_test(tests, n, "dynamics_365 fills every field", test_dynamics_365, NULL);
	n = add_test(tests, n, "zoom_phone fills every field", test_zoom_phone, NULL);
	n = add_test(tests, n, "which level counts", test_order, NULL);
	n = add_test(tests, n, "each field by itself", test_each_field_by_itself, NULL);
	n = add_test(tests, n, "each word is read as it is said", test_words, NULL);
	return _cmocka_run_group_tests("policy", tests, n, NULL, NULL);
}
