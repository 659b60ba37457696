/*
 * The rules of the field on anything. Input: one byte that says which, one or more bytes that change
 * a fixed context, then JSON.
 *   0 1 2  call_request_parse() of the JSON, and plan_make()
 *   3      call_action_parse() of the JSON
 *   4      callback_decide(); what follows the first byte makes the context
 * A call that was taken must get a usable answer: a ladder whose last rung can always be had, each
 * rung complete; and a callback must ring somebody wherever there is somebody.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/emergency/call_request.h"
#include "api/emergency/callback.h"
#include "api/emergency/plan.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADDRESS(region, street) \
	"{\"address_id\": \"01981f6a-3c03-7a10-8f00-000000000003\", \"region\": \"" region "\"," \
	" \"admin_area\": null, \"city\": \"C\", \"postal_code\": null, \"street\": \"" street \
	"\", \"house_number\": \"1\", \"floor\": null, \"room\": null, \"name\": null," \
	" \"latitude\": null, \"longitude\": null, \"uncertainty_m\": null, \"method\": null," \
	" \"detected_at\": null}"

static const char call_context[] =
	"{\"tenant\": {\"id\": \"t\", \"config_version\": 1, \"region\": \"US\", \"language\": \"en\","
	"  \"safety_team\": null, \"fallback\": null},"
	" \"user\": {\"id\": \"u\", \"version\": 1, \"external_id\": null, \"active\": true,"
	"  \"remote\": false, \"outbound_enabled\": true, \"endpoints\": [], \"number\": null,"
	"  \"address\": null},"
	" \"site\": {\"id\": \"s\", \"region\": \"US\", \"named\": false, \"safety_team\": null,"
	"  \"fallback\": null, \"resource_account\": {\"number\": \"+14255550199\","
	"   \"number_type\": \"native\"}, \"address\": " ADDRESS(
		"US",
		"Main St") ","
			   "  \"pools\": [{\"id\": \"p1\", \"number_type\": \"native\", \"numbers\": 2},"
			   "   {\"id\": \"p2\", \"number_type\": \"byoc\", \"numbers\": 1}]},"
			   " \"address\": null, \"extension\": false, \"carriers\": [\"native\", \"operator_connect\"]}";

/* One a bit: what the context may have else. */
static const char *const call_changes[] = {
	"{\"user\": {\"number\": {\"id\": \"n\", \"number\": \"+14255550142\","
	" \"number_type\": \"byoc\", \"region\": \"US\", \"address\": " ADDRESS("US",
										"Allee") "}}}",
	"{\"user\": null}",
	"{\"site\": {\"resource_account\": null, \"pools\": []}}",
	"{\"site\": {\"pools\": [{\"id\": \"p1\", \"number_type\": \"native\", \"numbers\": 0}]}}",
	"{\"site\": null, \"carriers\": []}",
	"{\"tenant\": {\"region\": \"DE\", \"fallback\": {\"address\": \"+14255550188\"}},"
	" \"site\": {\"region\": \"DE\", \"address\": null}, \"extension\": true}",
	"{\"user\": {\"outbound_enabled\": false, \"address\": " ADDRESS("DE", "Weg") "}}",
	"{\"address\": " ADDRESS("FR", "Rue") "}",
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static json_t *member(const json_t *object, const char *name)
{
	return json_object_get(object, name);
}

/* Every warning says something, and can be stored. */
static void check_warnings(const json_t *warnings)
{
	json_t *w;
	size_t i;

	require(json_is_array(warnings));
	json_array_foreach (warnings, i, w) {
		require(json_string_length(member(w, "code")) > 0);
		require(json_string_length(member(w, "detail")) > 0);
		require(strlen(json_string_value(member(w, "detail"))) ==
			json_string_length(member(w, "detail")));
	}
}

/* --- calls --------------------------------------------------------------------------------------- */

/* Nothing is left out in silence: not one member that has no name here. */
static void check_unknown(const json_t *body, const json_t *warnings)
{
	static const char *const known[] = {
		"user_id",	    "dial_string",  "external_call_id", "endpoint", "site_id",
		"region",	    "location",	    "presence",		"origin",   "metadata",
		"presented_number", "on_behalf_of", "assert_emergency"
	};
	size_t unknown = json_object_size(body), named = 0, i;
	json_t *w;

	for (i = 0; i < LENGTH(known); i++)
		unknown -= member(body, known[i]) != NULL;
	json_array_foreach (warnings, i, w)
		named += strstr(json_string_value(member(w, "detail")), "is not known") != NULL;
	require(named >= unknown); /* there are more within members */
}

static bool stays_text(const char *s, const json_t *v)
{
	return s && json_is_string(v) && !strcmp(s, json_string_value(v));
}

static void check_request(const json_t *body, const char *missing, const struct call_request *r)
{
	if (missing) {
		const json_t *v = member(body, missing);

		require(!strcmp(missing, "user_id") || !strcmp(missing, "dial_string"));
		require(!json_string_length(v) ||
			strlen(json_string_value(v)) != json_string_length(v));
		return;
	}
	require(stays_text(r->user_ref, member(body, "user_id")));
	require(stays_text(r->dialed, member(body, "dial_string")));
	require(!strcmp(r->origin, "planned") || !strcmp(r->origin, "observed"));
	require(!r->endpoint || json_is_string(member(r->endpoint, "type")));
	require(!r->location || json_object_size(r->location) == 15);
	require(!r->location || json_is_null(member(r->location, "address_id")));
	require(!r->metadata || json_is_object(r->metadata));
	check_warnings(r->warnings);
	check_unknown(body, r->warnings);
}

static void check_location(const json_t *location)
{
	const char *source = json_string_value(member(location, "source"));

	require(source != NULL);
	require(json_object_size(location) == 4);
	require(json_is_object(member(location, "address")) == (strcmp(source, "none") != 0));
	require(json_is_string(member(location, "conveyed_by")) == (strcmp(source, "none") != 0));
	require(member(location, "caller_address") != NULL);
}

/* What place_call_3 takes from a rung, or from a rung's pool of a type. */
static void check_rung(const json_t *rung, const struct call_request *r, bool device, bool test)
{
	const json_t *decision = member(rung, "decision"), *route = member(decision, "route");
	const json_t *legs = member(route, "legs");
	const bool under_way = device || !strcmp(r->origin, "observed");

	require(json_object_size(decision) == 7);
	require(json_string_length(member(route, "path")) > 0);
	require(!strcmp(json_string_value(member(route, "handled_by")),
			device ? "device" : "switch"));
	require(json_is_array(legs) && json_array_size(legs) == !under_way);
	if (!under_way)
		require(json_string_length(member(json_array_get(legs, 0), "dial")) > 0);
	check_location(member(decision, "location"));
	require(json_object_size(member(decision, "restrictions")) == 5);
	require(json_is_array(member(decision, "notifications")));
	require(json_is_array(member(decision, "recipients")));
	require(json_object_size(member(decision, "notice")) == 4);
	require(json_object_size(member(decision, "announcement")) == (test ? 4 : 0));
	check_warnings(member(rung, "warnings"));
}

static void check_pools(const json_t *rung, const struct call_request *r, bool test)
{
	json_t *types = member(rung, "types"), *type;
	const char *name;

	require(json_array_size(member(rung, "pools")) > 0);
	require(json_object_size(types) > 0);
	json_object_foreach (types, name, type)
		check_rung(type, r, false, test);
}

static json_t *document(struct arena *arena, const char *text)
{
	json_t *json = arena_json(arena, json_loads(text, JSON_REJECT_DUPLICATES, NULL));

	require(json != NULL);
	return json;
}

static void check_plan(struct arena *arena, const struct plan *plan, const struct call_request *r)
{
	const json_t *ladder = document(arena, plan->ladder);
	const size_t n = json_array_size(ladder);
	json_t *rung;
	size_t i;

	require(n > 0);
	json_array_foreach (ladder, i, rung) {
		const char *source = json_string_value(member(rung, "source"));

		require(source != NULL);
		if (!strcmp(source, "pool_lease")) {
			require(i + 1 < n); /* the last one can always be had */
			require(json_is_true(member(rung, "test")) == plan->test);
			check_pools(rung, r, plan->test);
			continue;
		}
		require(i + 1 == n); /* nothing comes after what can always be had */
		require(json_is_null(member(rung, "number")) == !strcmp(source, "none"));
		check_rung(rung, r, plan->handled_by_device, plan->test);
	}
	check_warnings(document(arena, plan->warnings));
}

static void place(struct arena *arena, uint8_t bits, const json_t *body)
{
	json_t *context = arena_json(arena, json_loads(call_context, 0, NULL));
	struct call_request request;
	struct plan plan;
	const char *missing;

	for (size_t i = 0; i < LENGTH(call_changes); i++) {
		if (bits & 1u << i) {
			json_t *change = json_loads(call_changes[i], 0, NULL);

			require(change && !json_object_update_recursive(context, change));
			json_decref(change);
		}
	}
	missing = call_request_parse(arena, body, &request);
	check_request(body, missing, &request);
	if (missing)
		return;
	plan_region(context, &request);
	require(plan_make(arena, context, &request, &plan));
	document(arena, plan.trace);
	if (!plan.refused)
		check_plan(arena, &plan, &request);
}

static void act(struct arena *arena, uint8_t bits, const json_t *body)
{
	static const char *const actions[] = { "connect", "end", "cancel" };
	const char *action = actions[bits % LENGTH(actions)];
	json_t *got = call_action_parse(arena, action, body);

	check_warnings(member(got, "warnings"));
	require(json_object_size(got) <= 3);
	require(*action != 'e' || json_is_string(member(got, "reason")));
	require(!member(got, "sip_status") || !strcmp(action, "cancel"));
	require(!member(got, "presented_number") || !strcmp(action, "connect"));
}

/* --- callbacks ----------------------------------------------------------------------------------- */

struct bytes {
	const uint8_t *p;
	size_t n;
};

/* Of the choices; the first where the input is used up. */
static const char *next(struct bytes *in, const char *const *choices, size_t n)
{
	const char *chosen = choices[in->n ? *in->p % n : 0];

	in->p += in->n > 0;
	in->n -= in->n > 0;
	return chosen;
}

#define NEXT(in, choices) next(in, choices, LENGTH(choices))

static json_t *endpoint_of(const char *type, const char *address)
{
	return type ? json_pack("{s:s, s:s*}", "type", type, "address", address) : json_null();
}

/* As many of its three as the input says, in its order. */
static json_t *endpoints_of(struct bytes *in)
{
	static const char *const types[] = { "ccaas_client", "teams_client", "desk_phone" };
	json_t *out = json_array();

	for (size_t n = in->n ? *in->p % 4 : 0; n; n--) {
		const char *type = NEXT(in, types);

		json_array_append_new(out, endpoint_of(type, n == 1 ? "sip:a@b.example" : "c"));
	}
	return out;
}

/* A callee of the context: no user (a guest), no call (an owner). */
static json_t *callee(struct bytes *in, bool owner)
{
	static const char *const users[] = { "anna", "bert", NULL };
	static const char *const types[] = { NULL, "ccaas_client", "teams_client", "desk_phone" };
	static const char *const addresses[] = { "sip:a@b.example", "c", NULL };
	const char *user = NEXT(in, users), *type = NEXT(in, types);
	const char *address = NEXT(in, addresses);

	if (owner && !user)
		user = "carl";
	return json_pack("{s:s?, s:n, s:s?, s:s, s:o, s:o, s:s?, s:s?, s:s}", "user_id", user,
			 "external_id", "guest", user ? NULL : "visitor", "holder_id",
			 user ? user : "guest", "endpoints", user ? endpoints_of(in) : json_array(),
			 "endpoint", owner ? json_null() : endpoint_of(type, address),
			 "emergency_call_id", owner ? NULL : "call", "lease_id",
			 owner ? NULL : "lease", "leased_at", "2024-01-01T00:00:00Z");
}

static json_t *callees(struct bytes *in)
{
	static const char *const counts[] = { "", "1", "12", "123" };
	json_t *out = json_array();

	for (const char *c = NEXT(in, counts); *c; c++)
		json_array_append_new(out, callee(in, false));
	return out;
}

static json_t *fallbacks(struct bytes *in)
{
	static const char *const types[] = { NULL, "call_queue", "safety_team" };
	json_t *out = json_array();

	for (int i = 0; i < 4; i++)
		json_array_append_new(out, endpoint_of(NEXT(in, types), "sip:queue@b.example"));
	return out;
}

static void check_targets(const json_t *targets)
{
	json_t *t;
	size_t i;

	require(json_is_array(targets));
	json_array_foreach (targets, i, t) {
		require(json_string_length(member(t, "type")) > 0);
		require(json_string_length(member(t, "address")) > 0);
	}
}

static void check_callback(const json_t *context, const struct callback *c)
{
	const json_t *targets = member(c->decision, "targets");
	const bool fallback = !strcmp(c->outcome, "fallback");
	bool has_fallback = false;
	json_int_t last = 0;
	json_t *v;
	size_t i;

	require(fallback || !strcmp(c->outcome, "user") || !strcmp(c->outcome, "message"));
	require(fallback == !c->callee);
	require(!strcmp(c->outcome, "message") == !strcmp(c->reason, "self_call"));
	require(json_object_size(c->decision) == 10);
	require(!fallback || json_is_null(member(c->decision, "user")));
	json_array_foreach (member(context, "fallbacks"), i, v)
		has_fallback = has_fallback || json_is_object(v);
	check_targets(targets);
	require(json_array_size(targets) > 0 || !has_fallback);
	json_array_foreach (member(c->decision, "then"), i, v) {
		const json_int_t after = json_integer_value(member(v, "after_seconds"));

		require(after > last);
		last = after;
		require(json_array_size(member(v, "targets")) > 0);
		check_targets(member(v, "targets"));
	}
	require((json_array_size(member(c->decision, "bypass")) > 0) ==
		!strcmp(json_string_value(member(c->decision, "priority")), "emergency"));
	check_warnings(c->warnings);
	require((json_array_size(c->warnings) > 0) == !has_fallback);
}

static void call_back(struct arena *arena, struct bytes *in)
{
	static const char *const usages[] = { "callback", "user", "service" };
	static const char *const states[] = { NULL, "expired", "released" };
	static const char *const callers[] = { NULL, "anna", "bert" };
	static const char *const priorities[] = { NULL, "psap-callback", "" };
	static const char *const owners[] = { NULL, "" };
	json_t *leases = callees(in), *presented = callees(in);
	json_t *owner = NEXT(in, owners) ? callee(in, true) : json_null();
	const char *usage = NEXT(in, usages), *last = NEXT(in, states);
	const char *caller = NEXT(in, callers), *priority = NEXT(in, priorities);
	json_t *context = arena_json(
		arena, json_pack("{s:s, s:s, s:o, s:o, s:o, s:s?, s:s?, s:o}", "tenant_id", "t",
				 "usage", usage, "leases", leases, "presented", presented, "owner",
				 owner, "last_lease_state", last, "caller_user_id", caller,
				 "fallbacks", fallbacks(in)));
	struct callback c;

	require(context != NULL);
	require(callback_decide(arena, context, priority, &c));
	check_callback(context, &c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = { data + 1, size - 1 };
	struct arena *arena;
	json_t *body;

	if (size < 2)
		return 0;
	arena = arena_new();
	if (data[0] % 5 == 4) {
		call_back(arena, &rest);
	} else {
		body = arena_json(
			arena, json_loadb((const char *)data + 2, size - 2, JSON_ALLOW_NUL, NULL));
		if (body && data[0] % 5 == 3)
			act(arena, data[1], body);
		else if (body)
			place(arena, data[1], body);
	}
	arena_free(arena);
	return 0;
}
