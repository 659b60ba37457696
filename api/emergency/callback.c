/*
 * See callback.h. The built-in policy: by_placing_client, then the fallback after 20 s; without a
 * lease the fallback at once.
 */
#include "callback.h"

#include <string.h>
#include <strings.h>

#include "call_request.h"
#include "plan.h"

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static json_t *target(const char *type, const char *address)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "type", type, "address", address,
			 "start_after_seconds", 0, "reachable", "unknown");
}

static json_t *then_target(const char *type, const char *address)
{
	return json_pack("{s:s, s:s}", "type", type, "address", address);
}

/* The first that is set of site fallback, safety team, tenant fallback and resource account. */
static const json_t *fallback_of(const json_t *context)
{
	const json_t *fallbacks = json_object_get(context, "fallbacks");
	size_t i;
	json_t *v;

	json_array_foreach (fallbacks, i, v)
		if (json_is_object(v))
			return v;
	return NULL;
}

/* --- whom ---------------------------------------------------------------------------------------- */

static void choose(const json_t *context, struct callback *out)
{
	const json_t *leases = json_object_get(context, "leases");
	const json_t *presented = json_object_get(context, "presented");
	const json_t *owner = json_object_get(context, "owner");
	const char *last = text(context, "last_lease_state");

	out->outcome = "user";
	if (json_array_size(leases)) {
		out->reason = "active_lease";
		out->callee = json_array_get(leases, 0);
	} else if (json_is_object(owner)) {
		out->reason = "user_number";
		out->callee = owner;
	} else if (json_array_size(presented)) {
		out->reason = "service_number";
		out->callee = json_array_get(presented, 0);
	} else {
		out->outcome = "fallback";
		out->callee = NULL;
		out->reason = "never_leased";
		if (last)
			out->reason = strcmp(last, "released") ? "lease_expired" : "lease_released";
		else if (!strcmp(text(context, "usage"), "service"))
			out->reason = "service_number";
	}
	if (out->callee && text(context, "caller_user_id") && text(out->callee, "user_id") &&
	    !strcmp(text(context, "caller_user_id"), text(out->callee, "user_id"))) {
		out->outcome = "message";
		out->reason = "self_call";
	}
}

/* Of a user's own number: the emergency call of theirs that presented it, within the TTL. */
static const json_t *own_call(const json_t *context, const json_t *callee)
{
	const json_t *presented = json_object_get(context, "presented");
	size_t i;
	json_t *v;

	json_array_foreach (presented, i, v)
		if (json_equal(json_object_get(v, "holder_id"),
			       json_object_get(callee, "holder_id")))
			return v;
	return NULL;
}

/* --- where it rings ------------------------------------------------------------------------------- */

/* CCaaS and Teams clients ring together; Teams alone where the call came from Teams; for any other
   endpoint that one. */
static bool rings(const json_t *endpoint, const char *placing, const json_t *placed_on)
{
	const char *type = text(endpoint, "type");

	if (!strcmp(placing, "teams_client"))
		return !strcmp(type, "teams_client");
	if (!strcmp(placing, "ccaas_client"))
		return !strcmp(type, "ccaas_client") || !strcmp(type, "teams_client");
	return !strcmp(type, placing) &&
	       (!text(placed_on, "address") || json_equal(json_object_get(endpoint, "address"),
							  json_object_get(placed_on, "address")));
}

/* The endpoints of now, by the placing endpoint of then. The rest of them, where the placing one
   rings first by itself. */
static void ring_user(const json_t *callee, const json_t *placed_on, json_t *targets, json_t *rest)
{
	const json_t *endpoints = json_object_get(callee, "endpoints");
	const char *placing = text(placed_on, "type");
	const bool one_first =
		placing && strcmp(placing, "teams_client") && strcmp(placing, "ccaas_client");
	size_t i;
	json_t *e;

	json_array_foreach (endpoints, i, e) {
		if (!placing || rings(e, placing, placed_on))
			json_array_append_new(targets, target(text(e, "type"), text(e, "address")));
		else if (one_first)
			json_array_append_new(rest,
					      then_target(text(e, "type"), text(e, "address")));
	}
	if (json_array_size(targets))
		return;
	json_array_clear(rest);
	json_array_foreach (endpoints, i, e)
		json_array_append_new(targets, target(text(e, "type"), text(e, "address")));
	/* Nobody knows an endpoint of theirs: the one that placed the call, as for a guest. */
	if (!json_array_size(targets) && placing && text(placed_on, "address"))
		json_array_append_new(targets, target(placing, text(placed_on, "address")));
}

static void step(json_t *then, int *after, json_t *targets)
{
	json_array_append_new(then,
			      json_pack("{s:i, s:O}", "after_seconds", *after, "targets", targets));
	*after += CALLBACK_NO_ANSWER_SECONDS;
}

static void route_callback(const json_t *context, struct callback *out, const json_t *placed_on,
			   json_t *targets, json_t *then)
{
	const json_t *fallback = fallback_of(context);
	json_t *rest = json_array(), *last = json_array();
	int after = CALLBACK_NO_ANSWER_SECONDS;

	if (!fallback)
		warn(out->warnings, "fallback_missing",
		     "Neither site nor tenant has a fallback for callbacks nobody can take.");
	else
		json_array_append_new(
			last, then_target(text(fallback, "type"), text(fallback, "address")));
	if (!strcmp(out->outcome, "user"))
		ring_user(out->callee, placed_on, targets, rest);
	if (!json_array_size(targets)) {
		if (fallback)
			json_array_append_new(
				targets, target(text(fallback, "type"), text(fallback, "address")));
	} else {
		if (json_array_size(rest))
			step(then, &after, rest);
		if (json_array_size(last))
			step(then, &after, last);
	}
	json_decref(rest);
	json_decref(last);
}

static json_t *candidates_of(const json_t *context)
{
	const json_t *leases = json_object_get(context, "leases");
	const json_t *from =
		json_array_size(leases) ? leases : json_object_get(context, "presented");
	json_t *out = json_array(), *v;
	size_t i;

	json_array_foreach (from, i, v)
		json_array_append_new(out, json_pack("{s:O, s:O}", "user_id",
						     json_object_get(v, "user_id"), "leased_at",
						     json_object_get(v, "leased_at")));
	return out;
}

bool callback_decide(struct arena *arena, const json_t *context, const char *sip_priority,
		     struct callback *out)
{
	const json_t *placed_on, *call;
	json_t *targets = arena_json(arena, json_array()), *then = arena_json(arena, json_array());
	json_t *user = json_null(), *bypass;
	bool emergency;

	out->warnings = arena_json(arena, json_array());
	if (!targets || !then || !out->warnings)
		return false;
	choose(context, out);
	call = out->callee;
	if (call && !text(call, "emergency_call_id") && own_call(context, call))
		call = own_call(context, call);
	placed_on = call ? json_object_get(call, "endpoint") : NULL;
	/* Nobody but emergency services has a number of a pool; to a number of one's own, or of the
	   site, every call may be an ordinary one. */
	emergency = (call && text(call, "emergency_call_id")) ||
		    !strcmp(text(context, "usage"), "callback") ||
		    (sip_priority && !strcasecmp(sip_priority, "psap-callback"));
	route_callback(context, out, placed_on, targets, then);
	if (out->callee && text(out->callee, "user_id") && strcmp(out->outcome, "fallback"))
		user = json_pack("{s:O, s:O}", "id", json_object_get(out->callee, "user_id"),
				 "external_id", json_object_get(out->callee, "external_id"));
	bypass = emergency
			 ? json_pack("[s,s,s,s,s,s]", "routing_rules", "capacity_profiles",
				     "presence", "call_forwarding", "call_waiting", "working_hours")
			 : json_array();
	out->decision = arena_json(
		arena,
		json_pack("{s:o, s:O, s:s, s:O, s:[s,s,s,s], s:s, s:o, s:s, s:o, s:o}", "user",
			  user, "targets", targets, "ring", "simultaneous", "then", then, "never",
			  "voicemail", "ivr", "queue_treatment", "music_on_hold", "priority",
			  emergency ? "emergency" : "normal", "bypass", bypass, "on_busy",
			  emergency ? "interrupt" : "default", "candidates", candidates_of(context),
			  "restrictions", emergency ? plan_restrictions(NULL) : json_null()));
	/* The call and lease that it is for, of the callee or of the owner's own call. */
	out->callee = out->callee ? call : NULL;
	return out->decision != NULL;
}
