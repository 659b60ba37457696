/*
 * See plan.h. In this release the policy is the built-in one: a number of their own is presented,
 * else one of the site's pools is leased, else the site's resource account is shown, else a
 * fallback; the call goes to the PSAP alone.
 */
#include "plan.h"

#include <string.h>

#include "server/fields.h"

#define MAX_REGIONS 5

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* --- where --------------------------------------------------------------------------------------- */

json_t *plan_location(const json_t *context, const struct call_request *req, const char **source)
{
	json_t *named = json_object_get(context, "address");
	json_t *user = json_object_get(json_object_get(context, "user"), "address");
	json_t *site = json_object_get(json_object_get(context, "site"), "address");

	*source = "caller";
	if (json_is_object(named))
		return named;
	if (req->location)
		return req->location;
	*source = "user";
	if (json_is_object(user))
		return user;
	*source = "site";
	if (json_is_object(site))
		return site;
	*source = "none";
	return NULL;
}

static bool is_place(const json_t *location)
{
	return json_is_string(json_object_get(location, "street")) ||
	       json_is_string(json_object_get(location, "city")) ||
	       json_is_string(json_object_get(location, "postal_code")) ||
	       json_is_string(json_object_get(location, "name")) ||
	       (json_is_number(json_object_get(location, "latitude")) &&
		json_is_number(json_object_get(location, "longitude")));
}

void plan_overlay(json_t *context, struct call_request *req)
{
	static const char *const more[] = { "floor",	     "room",   "latitude",    "longitude",
					    "uncertainty_m", "method", "detected_at", NULL };
	json_t *named = json_object_get(context, "address");

	if (!req->address_ref || !req->location)
		return;
	for (const char *const *m = more; json_is_object(named) && *m; m++)
		if (!json_is_null(json_object_get(req->location, *m)))
			json_object_set(named, *m, json_object_get(req->location, *m));
	if (!json_is_object(named) && !is_place(req->location))
		req->location = NULL;
}

static size_t regions_of(const json_t *context, const struct call_request *req,
			 const char *regions[MAX_REGIONS])
{
	const json_t *named = json_object_get(context, "address");
	size_t n = 0;

	regions[n++] = req->region;
	regions[n++] = json_is_object(named) ? text(named, "region")
		       : req->location	     ? text(req->location, "region")
					     : NULL;
	regions[n++] = text(json_object_get(json_object_get(context, "user"), "address"), "region");
	regions[n++] = text(json_object_get(context, "site"), "region");
	regions[n++] = text(json_object_get(context, "tenant"), "region");
	return n;
}

void plan_dial(const json_t *context, const struct call_request *req, struct dial_result *out)
{
	const char *regions[MAX_REGIONS];
	const struct dial_request dial = {
		.dialed = req->dialed,
		.regions = regions,
		.n_regions = regions_of(context, req, regions),
		.is_extension = json_is_true(json_object_get(context, "extension")),
		.assert_emergency = req->assert_emergency,
	};

	dial_resolve(&dial, out);
}

const char *plan_region(const json_t *context, const struct call_request *req)
{
	const char *regions[MAX_REGIONS];
	const size_t n = regions_of(context, req, regions);

	for (size_t i = 0; i < n; i++)
		if (regions[i] && dial_region_known(regions[i]))
			return regions[i];
	return NULL;
}

/* The region that decides what is dialled and how the location is conveyed. */
static const char *call_region(const json_t *context, const struct call_request *req)
{
	const char *source;
	const json_t *where = plan_location(context, req, &source);
	const char *region = where ? text(where, "region") : NULL;

	if (!region)
		region = plan_region(context, req);
	return region ? region : "";
}

/* --- the parts of a rung -------------------------------------------------------------------------- */

static json_t *strings(const char *const *list)
{
	json_t *out = json_array();

	for (; *list; list++)
		json_array_append_new(out, json_string(*list));
	return out;
}

json_t *plan_restrictions(void)
{
	/* All that Teams blocks during an emergency call, and the controls that Dynamics leaves. */
	static const char *const blocked[] = { "hold",
					       "local_mute",
					       "remote_mute",
					       "transfer",
					       "start_recording",
					       "stop_recording",
					       "add_participant",
					       "remove_participant",
					       NULL };
	static const char *const visible[] = { "device_settings", "end_call", NULL };

	return json_pack("{s:o, s:o, s:s, s:b, s:b}", "blocked_operations", strings(blocked),
			 "visible_controls", strings(visible), "incoming_calls", "blocked",
			 "record", 0, "history", 1);
}

static bool has_carrier(const json_t *context, const char *type)
{
	const json_t *carriers = json_object_get(context, "carriers");
	size_t i;
	json_t *v;

	json_array_foreach (carriers, i, v)
		if (!strcmp(json_string_value(v), type))
			return true;
	return false;
}

/* Carriers in order, as far as the tenant owns such a number. */
static json_t *psap_leg(const json_t *context, const struct call_request *req,
			const struct dial_result *dial, json_t *warnings)
{
	static const char *const order[] = { "native", "operator_connect" };
	const char *number = dial->dial_string;
	const char *via = NULL;
	json_t *alternates = json_array();

	if (!dial->asserted)
		number = dial_for_location(call_region(context, req), number);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!has_carrier(context, order[i]))
			continue;
		if (!via)
			via = order[i];
		else
			json_array_append_new(alternates,
					      json_pack("{s:s, s:n}", "via", order[i], "trunk"));
	}
	if (!via)
		warn(warnings, "no_emergency_carrier",
		     "The tenant has neither a native nor an operator_connect number: no carrier takes the call for it.");
	return json_pack("{s:s, s:s, s:s?, s:n, s:i, s:o}", "target", "psap", "dial", number, "via",
			 via, "trunk", "start_after_seconds", 0, "alternates", alternates);
}

static json_t *route_of(const json_t *context, const struct call_request *req,
			const struct dial_result *dial, bool device, json_t *warnings)
{
	json_t *legs = json_array();

	if (!device && strcmp(req->origin, "observed"))
		json_array_append_new(legs, psap_leg(context, req, dial, warnings));
	return json_pack("{s:s, s:s, s:o}", "path", "psap_only", "handled_by",
			 device ? "device" : "switch", "legs", legs);
}

/* Same place, whatever id it was read under and however it was found. */
static bool same_place(const json_t *a, const json_t *b)
{
	static const char *const members[] = { "region",      "admin_area", "city",
					       "postal_code", "street",	    "house_number",
					       "floor",	      "room",	    NULL };

	for (const char *const *m = members; *m; m++)
		if (!json_equal(json_object_get(a, *m), json_object_get(b, *m)))
			return false;
	return true;
}

/* What a rung presents, as far as it is known before the database takes it. */
struct presented {
	bool any;	  /* a number at all: without one nothing can be looked up by it */
	const char *type; /* NULL: not known */
	json_t *address;  /* its address of record, NULL or null: none of its own */
};

/* US and Canada, native: the caller's location goes with the call. Elsewhere and with direct routing
   the PSAP looks up the caller ID: it sees the number's address of record. */
static json_t *location_of(const json_t *context, const struct call_request *req,
			   const struct presented *number, json_t *warnings)
{
	json_t *site = json_object_get(json_object_get(context, "site"), "address");
	const char *group = dial_region_group(call_region(context, req));
	const char *source;
	json_t *where = plan_location(context, req, &source);
	json_t *record = json_is_object(number->address) ? number->address
			 : json_is_object(site)		 ? site
							 : NULL;
	const bool native = !number->type || !strcmp(number->type, "native");
	const bool sent =
		!number->any || (native && (!strcmp(group, "US") || !strcmp(group, "CA")));

	if (!where && !record) {
		warn(warnings, "no_address",
		     "No location is known: not of the caller, the user or the site.");
		return json_pack("{s:s, s:n, s:n, s:n}", "source", "none", "conveyed_by", "address",
				 "caller_address");
	}
	if (where && (!record || sent))
		return json_pack("{s:s, s:s, s:O, s:n}", "source", source, "conveyed_by", "pidf_lo",
				 "address", where, "caller_address");
	if (where && !same_place(where, record)) {
		warn(warnings, "location_differs",
		     "The PSAP looks up the caller ID and sees its address of record, not where the caller is.");
		return json_pack("{s:s, s:s, s:O, s:O}", "source",
				 record == number->address ? "number" : "site", "conveyed_by",
				 "caller_id", "address", record, "caller_address", where);
	}
	return json_pack("{s:s, s:s, s:O, s:n}", "source",
			 record == number->address ? "number" : "site", "conveyed_by", "caller_id",
			 "address", record, "caller_address");
}

/* {decision, warnings}: everything of a rung but its number. */
static json_t *complete(const json_t *context, const struct call_request *req,
			const struct dial_result *dial, const struct presented *number, bool device,
			const json_t *above)
{
	json_t *warnings = json_copy((json_t *)(uintptr_t)above);
	json_t *location = location_of(context, req, number, warnings);
	json_t *route = route_of(context, req, dial, device, warnings);

	return json_pack("{s:{s:o, s:o, s:o, s:[]}, s:o}", "decision", "route", route, "location",
			 location, "restrictions", plan_restrictions(), "notifications", "warnings",
			 warnings);
}

/* --- the ladder ----------------------------------------------------------------------------------- */

struct climb {
	const json_t *context;
	const struct call_request *req;
	const struct dial_result *dial;
	json_t *ladder;
	json_t *above; /* warnings of the steps down so far */
};

static void rung(struct climb *c, const char *source, const char *number, const char *type,
		 json_t *address, bool device)
{
	const struct presented presented = { number != NULL, type, address };
	json_t *r = complete(c->context, c->req, c->dial, &presented, device, c->above);

	json_object_set_new(r, "source", json_string(source));
	json_object_set_new(r, "number", number ? json_string(number) : json_null());
	json_object_set_new(r, "number_type", number && type ? json_string(type) : json_null());
	json_array_append_new(c->ladder, r);
}

/* All pools of the site are one rung: no number is shared while any of them has a free one. */
static void pool_rung(struct climb *c)
{
	const json_t *pools = json_object_get(json_object_get(c->context, "site"), "pools");
	json_t *ids = json_array(), *types = json_object(), *pool;
	size_t i;

	json_array_foreach (pools, i, pool) {
		const char *type = text(pool, "number_type");
		const struct presented presented = { true, type, NULL };

		if (!json_integer_value(json_object_get(pool, "numbers")))
			continue;
		json_array_append(ids, json_object_get(pool, "id"));
		if (!json_object_get(types, type))
			json_object_set_new(
				types, type,
				complete(c->context, c->req, c->dial, &presented, false, c->above));
	}
	if (json_array_size(ids)) {
		json_array_append_new(c->ladder,
				      json_pack("{s:s, s:O, s:O}", "source", "pool_lease", "pools",
						ids, "types", types));
		warn(c->above, "pool_empty", "No number of the site's pools could be leased.");
	} else if (json_array_size(pools)) {
		warn(c->above, "pool_empty", "The site's pools have no number that can be leased.");
	} else {
		warn(c->above, "no_pool",
		     "The user has no number of their own and the site has no pool.");
	}
	json_decref(ids);
	json_decref(types);
}

/* The number of a fallback destination, where it is one. */
static const char *fallback_number(const json_t *holder)
{
	const char *address = text(json_object_get(holder, "fallback"), "address");

	return address && is_e164(address) ? address : NULL;
}

static void lower_rungs(struct climb *c)
{
	const json_t *site = json_object_get(c->context, "site");
	const json_t *account = json_object_get(site, "resource_account");
	const char *number = text(account, "number");

	if (number) {
		rung(c, "resource_account", number, text(account, "number_type"), NULL, false);
		return; /* it can always be had */
	}
	number = fallback_number(site);
	if (!number)
		number = fallback_number(json_object_get(c->context, "tenant"));
	if (number) {
		warn(c->above, "caller_id_fallback",
		     "There is no resource account: the fallback's number is presented.");
		rung(c, "fallback", number, NULL, NULL, false);
		return;
	}
	warn(c->above, "no_caller_id",
	     "There is no number to present: emergency services cannot call back.");
	rung(c, "none", NULL, NULL, NULL, false);
}

/* A mobile's own carrier takes the call: no lease, and the agent's presence stays. */
static bool by_device(const struct call_request *req)
{
	const char *type = text(req->endpoint, "type");

	return type && !strcmp(type, "mobile") &&
	       !json_is_false(json_object_get(req->endpoint, "cellular"));
}

static void general_warnings(const json_t *context, struct call_request *req,
			     const struct dial_result *dial)
{
	static const char *const address_members[] = { "admin_area", "city",	     "postal_code",
						       "street",     "house_number", "name",
						       NULL };
	const json_t *user = json_object_get(context, "user");
	const bool named = json_is_object(json_object_get(context, "address"));

	if (!json_is_object(user))
		warn(req->warnings, "unknown_user",
		     "user_id names no user: the call is served as a guest's.");
	else if (json_is_false(json_object_get(user, "outbound_enabled")))
		warn(req->warnings, "outbound_disabled",
		     "Outbound calling is switched off for the user; this call is served.");
	if (req->site_ref &&
	    !json_is_true(json_object_get(json_object_get(context, "site"), "named")))
		warn(req->warnings, "ignored_member", "/site_id: names no site; it was left out.");
	for (const char *const *m = address_members; *m && named && req->location; m++)
		if (!json_is_null(json_object_get(req->location, *m)))
			warn(req->warnings, "ignored_member",
			     "/location/%s: is that of the address_id; it was left out.", *m);
	if (req->address_ref && !named)
		warn(req->warnings, "ignored_member",
		     "/location/address_id: names no address; it was left out.");
	if (dial->assumed_prefix)
		warn(req->warnings, "assumed_prefix",
		     "The first digit was taken for an outside-line prefix: %s.",
		     dial->dial_string);
	if (dial->asserted)
		warn(req->warnings, "not_in_number_tables",
		     "%s is no emergency number that is known for the call's regions.",
		     dial->dial_string);
}

bool plan_make(struct arena *arena, const json_t *context, struct call_request *req,
	       const struct dial_result *dial, struct plan *out)
{
	const json_t *number = json_object_get(json_object_get(context, "user"), "number");
	struct climb c = { .context = context, .req = req, .dial = dial };

	general_warnings(context, req, dial);
	c.ladder = out->ladder = arena_json(arena, json_array());
	c.above = arena_json(arena, json_array());
	if (!c.ladder || !c.above)
		return false;
	out->locks_presence = !by_device(req);
	if (by_device(req)) {
		rung(&c, "none", NULL, NULL, NULL, true);
	} else if (json_is_object(number)) {
		rung(&c, "user_number", text(number, "number"), text(number, "number_type"),
		     json_object_get(number, "address"), false);
	} else {
		pool_rung(&c);
		lower_rungs(&c);
	}
	return json_array_size(out->ladder) > 0;
}
