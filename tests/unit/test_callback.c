/*
 * api/emergency/callback.c: who is rung when a number is called back, on which endpoints, and what
 * comes after, from the document of callback_context_1. A row changes one base context (RFC 7396),
 * where nobody has anything to do with the number, and says what must be in the resolution.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "documents.h"
#include "api/emergency/callback.h"
#include "api/emergency/plan.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define CCAAS "{'type': 'ccaas_client', 'address': 'sip:anna@desk.example'}"
#define TEAMS "{'type': 'teams_client', 'address': 'anna@teams.example'}"
#define DESK "{'type': 'desk_phone', 'address': 'sip:desk@desk.example'}"
#define DESK_2 "{'type': 'desk_phone', 'address': 'sip:desk-2@desk.example'}"
#define ALL CCAAS ", " TEAMS ", " DESK ", " DESK_2
#define TYPE(type) "{'type': '" type "'}"

/* A callee of the context. call: '"c1"' or null, and so on. */
#define PERSON(user, endpoints, placed_on, call, lease, at) \
	"{'user_id': '" user "', 'external_id': 'ext-" user \
	"', 'guest': null, 'holder_id': '" user "', 'endpoints': [" endpoints \
	"], 'endpoint': " placed_on ", 'emergency_call_id': " call ", 'lease_id': " lease \
	", 'leased_at': " at "}"
#define HELD(user, endpoints, placed_on) \
	PERSON(user, endpoints, placed_on, "'call-" user "'", "'lease-" user "'", "'at-" user "'")
#define GUEST(placed_on) \
	"{'user_id': null, 'external_id': null, 'guest': 'visitor', 'holder_id': 'g'," \
	" 'endpoints': [], 'endpoint': " placed_on ", 'emergency_call_id': 'call-g'," \
	" 'lease_id': 'lease-g', 'leased_at': 'at-g'}"
#define PRESENTED(user, endpoints, placed_on) \
	PERSON(user, endpoints, placed_on, "'call-" user "'", "null", "'at-" user "'")
#define OWNER(user, endpoints) PERSON(user, endpoints, "null", "null", "null", "null")

#define QUEUE "{'type': 'call_queue', 'address': 'sip:queue@desk.example'}"
#define AFTER(seconds, targets) "{'after_seconds': " seconds ", 'targets': [" targets "]}"
#define EMERGENCY \
	"'priority': 'emergency', 'on_busy': 'interrupt', 'bypass': ['routing_rules'," \
	" 'capacity_profiles', 'presence', 'call_forwarding', 'call_waiting', 'working_hours']," \
	" 'restrictions': {'incoming_calls': 'blocked', 'record': false, 'history': true}"
#define NORMAL "'priority': 'normal', 'on_busy': 'default', 'bypass': [], 'restrictions': null"

static const char base[] =
	"{'tenant_id': 't', 'existing': null, 'usage': 'callback', 'leases': [], 'presented': [],"
	" 'owner': null, 'last_lease_state': null, 'caller_user_id': null,"
	" 'fallbacks': [" QUEUE ", null, null, null]}";

/* want is part of the decision, with outcome, reason, codes of warnings, and call and lease. */
static const struct row {
	const char *name, *context, *sip_priority, *want;
} rows[] = {
	/* which endpoints */
	{ "placed from Teams: Teams alone, then the fallback",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "]}", NULL,
	  "{'outcome': 'user', 'reason': 'active_lease', 'targets': [" TEAMS "],"
	  " 'then': [" AFTER("20", QUEUE) "], 'ring': 'simultaneous', 'codes': []}" },
	{ "placed from CCaaS: CCaaS and Teams at once, then the fallback",
	  "{'leases': [" HELD("anna", DESK ", " ALL, CCAAS) "]}", NULL,
	  "{'targets': [" CCAAS ", " TEAMS "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "placed from CCaaS by a user without Teams: CCaaS",
	  "{'leases': [" HELD("anna", DESK ", " CCAAS, CCAAS) "]}", NULL,
	  "{'targets': [" CCAAS "]}" },
	{ "placed from a client that was moved: by its type, on the endpoints of now",
	  "{'leases': [" HELD("anna", ALL,
			      "{'type': 'ccaas_client', 'address': 'sip:old@b.example'}") "]}",
	  NULL, "{'targets': [" CCAAS ", " TEAMS "]}" },
	{ "placed from a desk phone: it, then the rest, then the fallback",
	  "{'leases': [" HELD("anna", ALL, DESK_2) "]}", NULL,
	  "{'targets': [" DESK_2
	  "], 'then': [" AFTER("20", CCAAS ", " TEAMS ", " DESK) ", " AFTER("40", QUEUE) "]}" },
	{ "placed from a desk phone that is not named: every one, then the rest",
	  "{'leases': [" HELD("anna", ALL, TYPE("desk_phone")) "]}", NULL,
	  "{'targets': [" DESK ", " DESK_2
	  "], 'then': [" AFTER("20", CCAAS ", " TEAMS) ", " AFTER("40", QUEUE) "]}" },
	{ "placed from a desk phone, the only endpoint: there is no rest",
	  "{'leases': [" HELD("anna", DESK, DESK) "]}", NULL,
	  "{'targets': [" DESK "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "placed from a desk phone that is gone: all at once",
	  "{'leases': [" HELD("anna", CCAAS ", " DESK, DESK_2) "]}", NULL,
	  "{'targets': [" CCAAS ", " DESK "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "placed from Teams that is gone: all at once",
	  "{'leases': [" HELD("anna", CCAAS ", " DESK, TEAMS) "]}", NULL,
	  "{'targets': [" CCAAS ", " DESK "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "placed nobody knows where: all at once", "{'leases': [" HELD("anna", ALL, "null") "]}",
	  NULL, "{'targets': [" ALL "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "a user without endpoints is rung where the call was placed",
	  "{'leases': [" HELD("anna", "", CCAAS) "]}", NULL,
	  "{'outcome': 'user', 'targets': [" CCAAS "], 'then': [" AFTER("20", QUEUE) "]}" },
	{ "a user without any endpoint: the fallback at once",
	  "{'leases': [" HELD("anna", "", TYPE("ccaas_client")) "]}", NULL,
	  "{'outcome': 'user', 'user': {'id': 'anna'}, 'targets': [" QUEUE "], 'then': []}" },
	{ "a target says when it starts, and that nobody knows whether it can be reached",
	  "{'leases': [" HELD("anna", DESK, "null") "]}", NULL,
	  "{'targets': [{'start_after_seconds': 0, 'reachable': 'unknown'}],"
	  " 'never': ['voicemail', 'ivr', 'queue_treatment', 'music_on_hold']}" },
	/* leases */
	{ "the holder of the lease is rung, as an emergency",
	  "{'leases': [" HELD("anna", ALL, CCAAS) "]}", NULL,
	  "{'outcome': 'user', 'reason': 'active_lease', 'user': {'id': 'anna',"
	  " 'external_id': 'ext-anna'}, 'call': 'call-anna', 'lease': 'lease-anna',"
	  " 'candidates': [{'user_id': 'anna', 'leased_at': 'at-anna'}], " EMERGENCY "}" },
	{ "superseded holders are candidates after the latest, who is rung",
	  "{'leases': [" HELD("carl", TEAMS, TEAMS) ", " HELD("bert", DESK, DESK) ", " HELD(
		  "anna", ALL, CCAAS) "]}",
	  NULL,
	  "{'user': {'id': 'carl'}, 'call': 'call-carl', 'lease': 'lease-carl', 'targets': [" TEAMS
	  "],"
	  " 'candidates': [{'user_id': 'carl', 'leased_at': 'at-carl'},"
	  " {'user_id': 'bert', 'leased_at': 'at-bert'},"
	  " {'user_id': 'anna', 'leased_at': 'at-anna'}]}" },
	{ "a guest is rung on the endpoint that placed the call", "{'leases': [" GUEST(CCAAS) "]}",
	  NULL,
	  "{'outcome': 'user', 'reason': 'active_lease', 'user': null, 'call': 'call-g',"
	  " 'lease': 'lease-g', 'targets': [" CCAAS "], 'then': [" AFTER(
		  "20", QUEUE) "],"
			       " 'candidates': [{'user_id': null, 'leased_at': 'at-g'}], " EMERGENCY
			       "}" },
	{ "a guest without an address: the fallback at once",
	  "{'leases': [" GUEST(TYPE("ccaas_client")) "]}", NULL,
	  "{'outcome': 'user', 'targets': [" QUEUE "], 'then': []}" },
	{ "a lease comes before the number's owner",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "], 'owner': " OWNER("bert", DESK) "}", NULL,
	  "{'reason': 'active_lease', 'user': {'id': 'anna'}}" },
	/* a number of one's own */
	{ "a user's own number without an emergency: an ordinary call",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) "}", NULL,
	  "{'outcome': 'user', 'reason': 'user_number', 'user': {'id': 'anna'}, 'call': null,"
	  " 'lease': null, 'targets': [" ALL
	  "], 'then': [" AFTER("20", QUEUE) "],"
					    " 'candidates': [], " NORMAL "}" },
	{ "a user's own number after their emergency call: an emergency, by the placing endpoint",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) ","
							   " 'presented': [" PRESENTED("anna", ALL,
										       TEAMS) "]}",
	  NULL,
	  "{'outcome': 'user', 'reason': 'user_number', 'user': {'id': 'anna'},"
	  " 'call': 'call-anna', 'targets': [" TEAMS "], " EMERGENCY "}" },
	{ "a user's own number that another's call presented: an ordinary call",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) ","
							   " 'presented': [" PRESENTED("bert", DESK,
										       DESK) "]}",
	  NULL,
	  "{'reason': 'user_number', 'user': {'id': 'anna'}, 'call': null, 'targets': [" ALL
	  "], " NORMAL "}" },
	{ "psap-callback makes it an emergency",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) "}", "psap-callback",
	  "{'reason': 'user_number', 'call': null, " EMERGENCY "}" },
	{ "psap-callback in any case (RFC 3261 7.3.1)",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) "}", "PSAP-Callback",
	  "{" EMERGENCY "}" },
	{ "another priority does not", "{'usage': 'user', 'owner': " OWNER("anna", ALL) "}",
	  "emergency", "{" NORMAL "}" },
	{ "no priority takes the emergency from a lease",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "]}", "non-urgent",
	  "{'user': {'id': 'anna'}, " EMERGENCY "}" },
	/* service numbers */
	{ "a service number rings the latest caller who presented it",
	  "{'usage': 'service', 'presented': [" PRESENTED("bert", DESK, DESK) ", " PRESENTED(
		  "anna", ALL, TEAMS) "]}",
	  NULL,
	  "{'outcome': 'user', 'reason': 'service_number', 'user': {'id': 'bert'},"
	  " 'call': 'call-bert', 'lease': null, 'targets': [" DESK "],"
	  " 'candidates': [{'user_id': 'bert'}, {'user_id': 'anna'}], " EMERGENCY "}" },
	{ "a service number that nobody presented: the fallback", "{'usage': 'service'}", NULL,
	  "{'outcome': 'fallback', 'reason': 'service_number', 'user': null,"
	  " 'targets': [" QUEUE "], 'then': [], 'candidates': []}" },
	{ "the owner comes before those who presented the number",
	  "{'usage': 'service', 'owner': " OWNER("anna", ALL) ","
							      " 'presented': [" PRESENTED(
								      "bert", DESK, DESK) "]}",
	  NULL, "{'reason': 'user_number'}" },
	/* calling oneself */
	{ "the holder calls their own number: a message, to the fallback",
	  "{'leases': [" HELD("anna", ALL, CCAAS) "], 'caller_user_id': 'anna'}", NULL,
	  "{'outcome': 'message', 'reason': 'self_call', 'user': {'id': 'anna'},"
	  " 'call': 'call-anna', 'lease': 'lease-anna', 'targets': [" QUEUE "], 'then': []}" },
	{ "the owner calls their own number: a message",
	  "{'usage': 'user', 'owner': " OWNER("anna", ALL) ", 'caller_user_id': 'anna'}", NULL,
	  "{'outcome': 'message', 'reason': 'self_call', 'targets': [" QUEUE "], 'then': []}" },
	{ "another user calls: the holder is rung",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "], 'caller_user_id': 'bert'}", NULL,
	  "{'outcome': 'user', 'reason': 'active_lease', 'targets': [" TEAMS "]}" },
	{ "an earlier holder calls: the latest is rung",
	  "{'leases': [" HELD("bert", DESK, DESK) ", " HELD("anna", ALL,
							    TEAMS) "],"
								   " 'caller_user_id': 'anna'}",
	  NULL, "{'outcome': 'user', 'user': {'id': 'bert'}}" },
	{ "a user calls a guest's number: the guest is rung",
	  "{'leases': [" GUEST(CCAAS) "], 'caller_user_id': 'anna'}", NULL,
	  "{'outcome': 'user', 'reason': 'active_lease'}" },
	/* nobody */
	{ "never leased: the fallback, as an emergency", "{}", NULL,
	  "{'outcome': 'fallback', 'reason': 'never_leased', 'user': null, 'call': null,"
	  " 'lease': null, 'targets': [" QUEUE "], 'then': [], 'codes': [], " EMERGENCY "}" },
	{ "the last lease expired", "{'last_lease_state': 'expired'}", NULL,
	  "{'outcome': 'fallback', 'reason': 'lease_expired', 'targets': [" QUEUE "]}" },
	{ "the last lease was released", "{'last_lease_state': 'released'}", NULL,
	  "{'outcome': 'fallback', 'reason': 'lease_released'}" },
	{ "a service number that was leased once says what became of the lease",
	  "{'usage': 'service', 'last_lease_state': 'expired'}", NULL,
	  "{'reason': 'lease_expired'}" },
	/* the fallback */
	{ "the fallback is the first that is set: the site's",
	  "{'fallbacks': [" CCAAS ", " QUEUE ", " DESK ", " TEAMS "]}", NULL,
	  "{'targets': [" CCAAS "], 'codes': []}" },
	{ "then the safety team", "{'fallbacks': [null, " DESK ", " TEAMS ", " CCAAS "]}", NULL,
	  "{'targets': [" DESK "], 'codes': []}" },
	{ "then the tenant's", "{'fallbacks': [null, null, " TEAMS ", " CCAAS "]}", NULL,
	  "{'targets': [" TEAMS "], 'codes': []}" },
	{ "then the resource account", "{'fallbacks': [null, null, null, " CCAAS "]}", NULL,
	  "{'targets': [" CCAAS "], 'codes': []}" },
	{ "no fallback, nobody to ring: no target, and fallback_missing",
	  "{'fallbacks': [null, null, null, null]}", NULL,
	  "{'outcome': 'fallback', 'targets': [], 'then': [], 'codes': ['fallback_missing']}" },
	{ "no fallback behind the user: nothing comes then, and fallback_missing",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "], 'fallbacks': [null, null, null, null]}", NULL,
	  "{'targets': [" TEAMS "], 'then': [], 'codes': ['fallback_missing']}" },
	{ "no fallback: the rest of the endpoints still comes",
	  "{'leases': [" HELD("anna", DESK ", " CCAAS,
			      DESK) "],"
				    " 'fallbacks': [null, null, null, null]}",
	  NULL, "{'targets': [" DESK "], 'then': [" AFTER("20", CCAAS) "]}" },
	{ "no fallback for a self call: a message without a target",
	  "{'leases': [" HELD("anna", ALL, TEAMS) "], 'caller_user_id': 'anna', 'fallbacks': null}",
	  NULL, "{'outcome': 'message', 'targets': [], 'codes': ['fallback_missing']}" },
};

static json_t *decided(const char *changes, const char *sip_priority)
{
	json_t *context = doc(base), *codes = json_array(), *w, *got;
	struct callback c;
	size_t i;

	assert_int_equal(json_object_update_recursive(context, doc(changes)), 0);
	assert_true(callback_decide(arena, context, sip_priority, &c));
	json_array_foreach (c.warnings, i, w)
		json_array_append(codes, json_object_get(w, "code"));
	got = json_pack("{s:s, s:s, s:o, s:O?, s:O?}", "outcome", c.outcome, "reason", c.reason,
			"codes", codes, "call", json_object_get(c.callee, "emergency_call_id"),
			"lease", json_object_get(c.callee, "lease_id"));
	json_object_update(got, c.decision);
	return arena_json(arena, got);
}

static void test_callback(void **state)
{
	const struct row *row = *state;

	must_hold(decided(row->context, row->sip_priority), row->want);
}

/* During a callback the agent's client may do no more than during the call. */
static void test_restrictions(void **state)
{
	json_t *got = decided("{'leases': [" HELD("anna", ALL, TEAMS) "]}", NULL);
	json_t *want = arena_json(arena, plan_restrictions(NULL));

	(void)state;
	assert_true(json_equal(json_object_get(got, "restrictions"), want));
}

static struct CMUnitTest tests[LENGTH(rows) + 1];

int main(void)
{
	for (size_t i = 0; i < LENGTH(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].name, test_callback, begin_documents,
						end_documents, (void *)(uintptr_t)&rows[i] };
	tests[LENGTH(rows)] =
		(struct CMUnitTest){ "restrictions are those of the call", test_restrictions,
				     begin_documents, end_documents, NULL };
	return cmocka_run_group_tests_name("callback", tests, NULL, NULL);
}
