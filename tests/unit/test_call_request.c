/*
 * api/emergency/call_request.c: what of a request is taken, what is left out and named, and the two
 * members that alone can refuse a call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "documents.h"
#include "api/emergency/call_request.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_VALUES 10
#define ID "01981f6a-3c03-7a10-8f00-000000000003"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X200 X50 X50 X50 X50
#define E_ACUTE "\xc3\xa9"
#define E20 \
	E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE \
		E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE

/* The pointers that were left out: what stands before ": " in each warning. */
static json_t *ignored(const json_t *warnings)
{
	json_t *out = json_array(), *w;
	size_t i;

	json_array_foreach (warnings, i, w) {
		const char *detail = json_string_value(json_object_get(w, "detail"));
		const char *end = detail ? strstr(detail, ": ") : NULL;

		assert_string_equal(json_string_value(json_object_get(w, "code")),
				    "ignored_member");
		assert_non_null(end);
		json_array_append_new(out, json_stringn(detail, (size_t)(end - detail)));
	}
	return out;
}

/* All that was taken, as one document. */
static json_t *parsed(const json_t *body)
{
	struct call_request r;
	const char *missing = call_request_parse(arena, body, &r);

	if (missing)
		return arena_json(arena, json_pack("{s:s}", "missing", missing));
	return arena_json(
		arena,
		json_pack(
			"{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s, s:O?, s:O?, s:O?, s:b, s:o}",
			"user_ref", r.user_ref, "dialed", r.dialed, "external_call_id",
			r.external_call_id, "site_ref", r.site_ref, "address_ref", r.address_ref,
			"region", r.region, "presence", r.presence, "presented_number",
			r.presented_number, "origin", r.origin, "endpoint", r.endpoint, "location",
			r.location, "metadata", r.metadata, "assert_emergency", r.assert_emergency,
			"ignored", ignored(r.warnings)));
}

/* --- single members ------------------------------------------------------------------------------ */

/* at: where the value is in parsed(); NULL: it is checked, and read by nothing yet. */
static const struct member {
	const char *object, *name, *at;
	const char *good[MAX_VALUES], *bad[MAX_VALUES];
} members[] = {
	{ "",
	  "external_call_id",
	  "external_call_id",
	  { "'a84b4c76e66710@pbx.example'", "'!'", "'~'", "'" X200 X50 "xxxxx'" },
	  { "''", "'a b'", "'\\u007f'", "'a\\u0000b'", "'" E_ACUTE "'", "'" X200 X50 "xxxxxx'",
	    "1" } },
	{ "",
	  "site_id",
	  "site_ref",
	  { "'" ID "'", "'ext:north'" },
	  { "'ext:'", "'north'", "''", "'ext:a b'", "'ext:a\\u0000'", "7", "{}" } },
	{ "",
	  "region",
	  "region",
	  { "'US'", "'DE'" },
	  { "'us'", "'USA'", "'ZZ'", "''", "1", "[]" } },
	{ "", "origin", "origin", { "'planned'", "'observed'" }, { "'Planned'", "''", "true" } },
	{ "",
	  "presented_number",
	  "presented_number",
	  { "'+14255550100'", "'+12'" },
	  { "'14255550100'", "'+04255550100'", "'+1'", "'+1234567890123456'", "'+1 425'", "14" } },
	{ "",
	  "on_behalf_of",
	  NULL,
	  { "'sales'", "'" X200 "'" },
	  { "''", "'" X200 "x'", "'\\n'", "1" } },
	{ "", "assert_emergency", "assert_emergency", { "true" }, { "'true'", "1", "[]" } },
	{ "",
	  "metadata",
	  "metadata",
	  { "{}", "{'queue': 'sales', 'n': [1, {'a': null}]}" },
	  { "[]", "'sales'", "{'a': 'b\\u0000'}", "{'a': [{'b': '\\u0000'}]}", "true" } },
	{ "", "endpoint", "endpoint", { "{'type': 'tablet'}" }, { "'tablet'", "[]", "1" } },
	{ "", "location", "location", { "{'city': 'Redmond'}" }, { "'Redmond'", "[]", "1" } },
	{ "", "presence", NULL, { "{'availability': 'away'}", "{}" }, { "'away'", "[]", "1" } },
	{ "endpoint",
	  "type",
	  "endpoint.type",
	  { "'ccaas_client'", "'teams_client'", "'desktop_client'", "'vdi_client'", "'desk_phone'",
	    "'tablet'", "'mobile'" },
	  { NULL } },
	{ "endpoint",
	  "address",
	  "endpoint.address",
	  { "'sip:agent-42@desk.example'" },
	  { "''", "'a\\u0000'", "'" X200 "x'", "1" } },
	{ "endpoint", "cellular", "endpoint.cellular", { "true", "false" }, { "'no'", "0" } },
	{ "presence",
	  "availability",
	  "presence",
	  { "'available'", "'available_idle'", "'busy'", "'busy_idle'", "'do_not_disturb'",
	    "'be_right_back'", "'away'", "'offline'", "'unknown'" },
	  { "'Busy'", "''", "3", "'asleep'" } },
	{ "presence", "activity", NULL, { "'In a call'" }, { "''", "1" } },
	{ "location",
	  "address_id",
	  "address_ref",
	  { "'" ID "'", "'ext:home'" },
	  { "'home'", "1" } },
	{ "location", "region", "location.region", { "'CA'" }, { "'ca'", "'XX'", "1" } },
	{ "location", "admin_area", "location.admin_area", { "'WA'" }, { "''", "1" } },
	{ "location", "city", "location.city", { "'" E_ACUTE "vry'" }, { "''", "'\\t'", "1" } },
	{ "location", "postal_code", "location.postal_code", { "'98052'" }, { "98052", "''" } },
	{ "location", "street", "location.street", { "'Main St'" }, { "''", "1" } },
	{ "location", "house_number", "location.house_number", { "'1'" }, { "1", "''" } },
	{ "location", "floor", "location.floor", { "'3'" }, { "3", "''" } },
	{ "location", "room", "location.room", { "'B'" }, { "false", "''" } },
	{ "location", "name", "location.name", { "'HQ'" }, { "{}", "''" } },
	{ "location",
	  "latitude",
	  "location.latitude",
	  { "47.6", "-90", "90", "0", "90.0" },
	  { "90.0001", "-91", "'47.6'", "true" } },
	{ "location",
	  "longitude",
	  "location.longitude",
	  { "-122.1", "-180", "180" },
	  { "180.5", "-181", "'0'", "[]" } },
	{ "location",
	  "uncertainty_m",
	  "location.uncertainty_m",
	  { "0", "30", "10000000" },
	  { "-1", "10000001", "'30'" } },
	{ "location", "method", "location.method", { "'manual'" }, { "''", "1" } },
	{ "location",
	  "detected_at",
	  "location.detected_at",
	  { "'2024-02-29T23:59:59Z'", "'2024-01-01T00:00:00.5+02:00'" },
	  { "'2023-02-29T00:00:00Z'", "'yesterday'", "1700000000", "'2024-01-01T00:00:00'" } },
};

static json_t *request_of(const struct member *m, json_t *value)
{
	json_t *body = doc(
		"{'user_id': 'ext:agent-42', 'dial_string': '911', 'presence': {},"
		" 'endpoint': {'type': 'desk_phone'}, 'location': {'street': 'Oak', 'name': 'N'}}");

	json_object_set(*m->object ? json_object_get(body, m->object) : body, m->name, value);
	return body;
}

static json_t *value_at(const json_t *json, const char *path)
{
	char name[32];
	json_t *v = (json_t *)(uintptr_t)json;

	while (path && *path) {
		const size_t n = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		v = json_object_get(v, name);
		path += n + (path[n] == '.');
	}
	return v;
}

static void test_member_that_fits_is_taken(void **state)
{
	const struct member *m = *state;

	for (size_t i = 0; i < MAX_VALUES && m->good[i]; i++) {
		json_t *value = doc(m->good[i]);
		json_t *got = parsed(request_of(m, value));

		if (!holds(got, doc("{'ignored': []}")) ||
		    (m->at && !holds(value_at(got, m->at), value)))
			fail_msg("%s: %s", m->good[i], dump(got));
	}
}

static void test_member_that_does_not_fit_is_left_out_and_named(void **state)
{
	const struct member *m = *state;
	const char *pointer =
		arena_printf(arena, "%s%s/%s", *m->object ? "/" : "", m->object, m->name);

	for (size_t i = 0; i < MAX_VALUES && m->bad[i]; i++) {
		json_t *value = doc(m->bad[i]);
		json_t *got = parsed(request_of(m, value));
		const json_t *names = json_object_get(got, "ignored");
		const json_t *left = m->at ? value_at(got, m->at) : NULL;

		if (json_array_size(names) != 1 ||
		    strcmp(json_string_value(json_array_get(names, 0)), pointer) != 0 ||
		    (left && json_equal(left, value)))
			fail_msg("%s: %s", m->bad[i], dump(got));
	}
}

static void test_member_that_is_null_is_absent(void **state)
{
	const struct member *m = *state;
	json_t *got = parsed(request_of(m, doc("null")));

	if (strcmp(m->name, "type") != 0 && !holds(got, doc("{'ignored': []}")))
		fail_msg("%s", dump(got));
}

/* --- whole requests ------------------------------------------------------------------------------ */

static const struct row {
	const char *name, *body, *want;
} rows[] = {
	{ "only user_id and dial_string are needed", "{'user_id': 'u', 'dial_string': '911'}",
	  "{'user_ref': 'u', 'dialed': '911', 'origin': 'planned', 'assert_emergency': false,"
	  " 'region': null, 'endpoint': null, 'location': null, 'metadata': null, 'ignored': []}" },
	{ "user_id may be anything, for a guest", "{'user_id': ' ? ', 'dial_string': ' 9-1-1 '}",
	  "{'user_ref': ' ? ', 'dialed': ' 9-1-1 ', 'ignored': []}" },
	{ "user_id is missing", "{'dial_string': '911'}", "{'missing': 'user_id'}" },
	{ "user_id is null", "{'user_id': null, 'dial_string': '911'}", "{'missing': 'user_id'}" },
	{ "user_id is empty", "{'user_id': '', 'dial_string': '911'}", "{'missing': 'user_id'}" },
	{ "user_id is a number", "{'user_id': 42, 'dial_string': '911'}",
	  "{'missing': 'user_id'}" },
	{ "user_id has U+0000", "{'user_id': 'a\\u0000', 'dial_string': '911'}",
	  "{'missing': 'user_id'}" },
	{ "dial_string is missing", "{'user_id': 'u'}", "{'missing': 'dial_string'}" },
	{ "dial_string is a number", "{'user_id': 'u', 'dial_string': 911}",
	  "{'missing': 'dial_string'}" },
	{ "dial_string is empty", "{'user_id': 'u', 'dial_string': ''}",
	  "{'missing': 'dial_string'}" },
	{ "dial_string has U+0000", "{'user_id': 'u', 'dial_string': '911\\u0000'}",
	  "{'missing': 'dial_string'}" },
	{ "both are missing: user_id is named", "{}", "{'missing': 'user_id'}" },
	{ "a body that is no object has no user_id", "['user_id']", "{'missing': 'user_id'}" },
	{ "unknown members are named, null too",
	  "{'user_id': 'u', 'dial_string': '911', 'colour': 1, 'endpoint': {'type': 'tablet', 'mac': 2},"
	  " 'location': {'name': 'N', 'planet': null}, 'presence': {'mood': 'x'}}",
	  "{'ignored': ['/colour', '/endpoint/mac', '/location/planet', '/presence/mood']}" },
	{ "an unknown member of a long name is named by its beginning",
	  "{'user_id': 'u', 'dial_string': '911', '" X200 "': 1}",
	  "{'ignored': ['/" X50 X10 "xxxx']}" },
	{ "an endpoint without a type is left out",
	  "{'user_id': 'u', 'dial_string': '911', 'endpoint': {'address': 'sip:a@b.example'}}",
	  "{'endpoint': null, 'ignored': ['/endpoint']}" },
	{ "an endpoint of an unknown type is left out",
	  "{'user_id': 'u', 'dial_string': '911', 'endpoint': {'type': 'fax', 'address': 'a'}}",
	  "{'endpoint': null, 'ignored': ['/endpoint/type', '/endpoint']}" },
	{ "an empty endpoint is none",
	  "{'user_id': 'u', 'dial_string': '911', 'endpoint': {'type': null}}",
	  "{'endpoint': null, 'ignored': []}" },
	{ "an endpoint of a type alone is one",
	  "{'user_id': 'u', 'dial_string': '911', 'endpoint': {'type': 'mobile', 'address': 3}}",
	  "{'endpoint': {'type': 'mobile', 'address': null}, 'ignored': ['/endpoint/address']}" },
	{ "a location has all members, null where unset",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'latitude': 1, 'longitude': 2}}",
	  "{'location': {'address_id': null, 'city': null, 'latitude': 1, 'longitude': 2,"
	  " 'detected_at': null}, 'ignored': []}" },
	{ "half a point is no place",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'latitude': 1}}",
	  "{'location': null, 'ignored': ['/location']}" },
	{ "a floor is no place",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'floor': '3', 'method': 'manual'}}",
	  "{'location': null, 'ignored': ['/location']}" },
	{ "beside an address_id the other members say more of it",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'address_id': 'ext:home', 'floor': '3'}}",
	  "{'location': {'address_id': null, 'floor': '3', 'city': null}, 'address_ref': 'ext:home',"
	  " 'ignored': []}" },
	{ "a bad address_id says no place",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'address_id': 'home', 'floor': '3'}}",
	  "{'location': null, 'address_ref': null, 'ignored': ['/location/address_id', '/location']}" },
	{ "an empty location is none", "{'user_id': 'u', 'dial_string': '911', 'location': {}}",
	  "{'location': null, 'address_ref': null, 'ignored': []}" },
	{ "address_id is not of the inline location",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'address_id': 'ext:a', 'city': 'C'}}",
	  "{'location': {'address_id': null, 'city': 'C'}, 'address_ref': 'ext:a', 'ignored': []}" },
	{ "the region is the location's where the request has none",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'region': 'CA', 'city': 'Banff'}}",
	  "{'region': 'CA', 'location': {'region': 'CA'}}" },
	{ "a location's region is taken even where it says no place",
	  "{'user_id': 'u', 'dial_string': '911', 'location': {'region': 'CA'}}",
	  "{'region': 'CA', 'location': null}" },
	{ "the request's region comes before the location's",
	  "{'user_id': 'u', 'dial_string': '911', 'region': 'US',"
	  " 'location': {'region': 'CA', 'city': 'Banff'}}",
	  "{'region': 'US', 'location': {'region': 'CA'}}" },
	{ "an invalid region makes room for the location's",
	  "{'user_id': 'u', 'dial_string': '911', 'region': 'usa',"
	  " 'location': {'region': 'CA', 'city': 'Banff'}}",
	  "{'region': 'CA', 'ignored': ['/region']}" },
	{ "every fault is named, and the rest is taken",
	  "{'user_id': 'u', 'dial_string': '911', 'origin': 'x', 'site_id': 1, 'region': 'DE',"
	  " 'location': {'city': 'Berlin', 'latitude': 'x'}, 'presence': {'availability': 'x'}}",
	  "{'origin': 'planned', 'site_ref': null, 'region': 'DE', 'presence': null,"
	  " 'location': {'city': 'Berlin', 'latitude': null},"
	  " 'ignored': ['/origin', '/site_id', '/location/latitude', '/presence/availability']}" },
};

static void test_request(void **state)
{
	const struct row *row = *state;
	json_t *got = parsed(doc(row->body));

	must_hold(got, row->want);
}

/* The name is cut somewhere: within a character, the warning would be no JSON, and be lost. */
static void test_long_name_that_is_not_ascii(void **state)
{
	json_t *got = parsed(doc("{'user_id': 'u', 'dial_string': '911', 'x" E20 E20 "': 1}"));
	const json_t *left = json_array_get(json_object_get(got, "ignored"), 0);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(got, "ignored")), 1);
	assert_memory_equal(json_string_value(left), "/x" E20, strlen("/x" E20));
}

/* --- actions ------------------------------------------------------------------------------------- */

static const struct action {
	const char *name, *action, *body, *want, *left_out;
} actions[] = {
	{ "connect takes presented_number", "connect", "{'presented_number': '+14255550100'}",
	  "{'presented_number': '+14255550100', 'reason': null}", "[]" },
	{ "connect leaves out a bad number", "connect",
	  "{'presented_number': '911', 'reason': 'agent'}",
	  "{'presented_number': null, 'reason': null}", "['/presented_number', '/reason']" },
	{ "end takes reason agent", "end", "{'reason': 'agent'}", "{'reason': 'agent'}", "[]" },
	{ "end takes reason remote", "end", "{'reason': 'remote'}", "{'reason': 'remote'}", "[]" },
	{ "end takes reason dropped", "end", "{'reason': 'dropped'}", "{'reason': 'dropped'}",
	  "[]" },
	{ "end without a reason is for an unknown one", "end", "{}", "{'reason': 'unknown'}",
	  "[]" },
	{ "end with a bad reason is for an unknown one", "end", "{'reason': 'bored', 'x': 1}",
	  "{'reason': 'unknown', 'x': null}", "['/reason', '/x']" },
	{ "end with a reason of cancel is for an unknown one", "end", "{'reason': 'failed'}",
	  "{'reason': 'unknown'}", "['/reason']" },
	{ "cancel takes reason and sip_status", "cancel",
	  "{'reason': 'caller_abandoned', 'sip_status': 100}",
	  "{'reason': 'caller_abandoned', 'sip_status': 100}", "[]" },
	{ "cancel takes sip_status 699", "cancel", "{'reason': 'failed', 'sip_status': 699}",
	  "{'reason': 'failed', 'sip_status': 699}", "[]" },
	{ "cancel needs nothing", "cancel", "{'reason': null}", "{'reason': null}", "[]" },
	{ "cancel leaves out a sip_status below 100", "cancel", "{'sip_status': 99}",
	  "{'sip_status': null}", "['/sip_status']" },
	{ "cancel leaves out a sip_status above 699", "cancel", "{'sip_status': 700}",
	  "{'sip_status': null}", "['/sip_status']" },
	{ "cancel leaves out a sip_status with a fraction", "cancel", "{'sip_status': 487.5}",
	  "{'sip_status': null}", "['/sip_status']" },
	{ "cancel leaves out a sip_status of text", "cancel", "{'sip_status': '487', 'reason': 1}",
	  "{'sip_status': null, 'reason': null}", "['/sip_status', '/reason']" },
	{ "a member called warnings is unknown like any other", "end", "{'warnings': [1]}",
	  "{'reason': 'unknown'}", "['/warnings']" },
	{ "no body at all is an empty one", "end", NULL, "{'reason': 'unknown'}", "[]" },
};

static void test_action(void **state)
{
	const struct action *a = *state;
	json_t *got = call_action_parse(arena, a->action, a->body ? doc(a->body) : NULL);
	json_t *names = arena_json(arena, ignored(json_object_get(got, "warnings")));

	must_hold(got, a->want);
	must_hold(names, a->left_out);
}

/* --- all ----------------------------------------------------------------------------------------- */

static struct CMUnitTest tests[3 * LENGTH(members) + LENGTH(rows) + LENGTH(actions) + 1];
static char names[3 * LENGTH(members)][96];

static size_t add(size_t n, const char *name, CMUnitTestFunction function, const void *state)
{
	tests[n] = (struct CMUnitTest){ name, function, begin_documents, end_documents,
					(void *)(uintptr_t)state };
	return n + 1;
}

int main(void)
{
	static const struct {
		const char *what;
		CMUnitTestFunction function;
	} kinds[] = {
		{ "that fits is taken", test_member_that_fits_is_taken },
		{ "that does not fit is left out and named",
		  test_member_that_does_not_fit_is_left_out_and_named },
		{ "that is null is absent", test_member_that_is_null_is_absent },
	};
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(members); i++) {
		for (size_t k = 0; k < LENGTH(kinds); k++) {
			snprintf(names[n], sizeof(names[n]), "%s%s/%s %s",
				 *members[i].object ? "/" : "", members[i].object, members[i].name,
				 kinds[k].what);
			n = add(n, names[n], kinds[k].function, &members[i]);
		}
	}
	for (size_t i = 0; i < LENGTH(rows); i++)
		n = add(n, rows[i].name, test_request, &rows[i]);
	n = add(n, "an unknown member of a long name that is not ASCII is named too",
		test_long_name_that_is_not_ascii, NULL);
	for (size_t i = 0; i < LENGTH(actions); i++)
		n = add(n, actions[i].name, test_action, &actions[i]);
	return cmocka_run_group_tests_name("call_request", tests, NULL, NULL);
}
