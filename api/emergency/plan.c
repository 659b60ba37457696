/* See plan.h: what was dialled, which policies are in force, and the parts of the plan in turn. */
#include "plan.h"

#include "decision.h"

#define MAX_REGIONS 5
#define TRACE_SIZE 3900

/* --- what was dialled ---------------------------------------------------------------------------- */

static size_t regions_of(const json_t *context, const struct call_request *req,
			 const char *regions[MAX_REGIONS])
{
	const struct place where = location_named(context, req);
	size_t n = 0;

	regions[n++] = req->region;
	regions[n++] = text(where.address, "region");
	regions[n++] = text(member(member(context, "user"), "address"), "region");
	regions[n++] = text(member(context, "site"), "region");
	regions[n++] = text(member(context, "tenant"), "region");
	return n;
}

const char *plan_region(const json_t *context, const struct call_request *req)
{
	const char *regions[MAX_REGIONS];
	const size_t n = regions_of(context, req, regions);

	for (size_t i = 0; i < n; i++)
		if (regions[i] != NULL && dial_region_known(regions[i]))
			return regions[i];
	return NULL;
}

static bool read_rules(struct decision *d)
{
	static const char *const kinds[] = { "mask", "custom", "test", "override" };
	const json_t *rules = member(d->context, "rules"), *rule;
	struct dial_entry *out = arena_alloc(d->arena, (json_array_size(rules) + 1) * sizeof(*out));
	size_t i, k;

	if (out == NULL)
		return false;
	json_array_foreach (rules, i, rule) {
		for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (same(text(rule, "kind"), kinds[k]))
				break;
		if (k == sizeof(kinds) / sizeof(kinds[0])) {
			out[i].pattern = ""; /* of a later release: it matches nothing */
			continue;
		}
		out[i] = (struct dial_entry){
			.kind = (enum dial_kind)k,
			.site_level = json_is_true(json_object_get(rule, "site_level")),
			.pattern = text(rule, "pattern"),
			.translation = text(rule, "translation"),
		};
	}
	d->rules = out;
	d->n_rules = json_array_size(rules);
	return true;
}

static const char *rule_name(const struct decision *d, size_t index)
{
	const json_t *rule = json_array_get(member(d->context, "rules"), index);
	const char *name = text(rule, "name");

	return name != NULL ? name : text(rule, "id") != NULL ? text(rule, "id") : "";
}

static void trace_dial(struct decision *d)
{
	static const char *const outcomes[] = { "emergency", "test", "custom",
						"not_an_emergency_number" };
	const struct dial_result *dial = &d->dial;
	const char *because = "No region of the call and no dial rule knows it.";

	trace_step(d, "normalise", *d->dialed ? d->dialed : dial->dial_string,
		   text_join(d->arena, "Dialled was ", d->req->dialed, ".", NULL));
	if (dial->mask != DIAL_NO_RULE)
		trace_step(d, "mask", dial->dial_string,
			   text_join(d->arena, "Dial rule ", rule_name(d, dial->mask),
				     " stands for it.", NULL));
	if (dial->assumed_prefix)
		trace_step(d, "prefix", dial->dial_string,
			   "The first digit was taken for an outside-line prefix.");
	if (dial->asserted)
		because = "The request asserts that it is an emergency number.";
	else if (*dial->region)
		because = text_join(d->arena, dial->dial_string, " is a number of the region ",
				    dial->region, ".", NULL);
	else if (dial->rule != DIAL_NO_RULE)
		because = text_join(d->arena, "Dial rule ", rule_name(d, dial->rule), " says so.",
				    NULL);
	else if (dial->outcome != DIAL_NOT_EMERGENCY)
		because = "A service was asked for, and no region of the call has a number for it.";
	trace_step(d, "dial", outcomes[dial->outcome], because);
	if (dial->outcome == DIAL_EMERGENCY && dial->rule != DIAL_NO_RULE)
		trace_step(d, "override", dial->dial_string,
			   text_join(d->arena, "Dial rule ", rule_name(d, dial->rule),
				     " is of exactly this number.", NULL));
}

/* False: out of memory. */
static bool find_dialled(struct decision *d)
{
	const char *regions[MAX_REGIONS];
	struct dial_string dialed;
	struct plan *out = d->out;

	if (!read_rules(d))
		return false;
	dial_resolve(
		&(struct dial_request){
			.dialed = d->req->dialed,
			.regions = regions,
			.n_regions = regions_of(d->context, d->req, regions),
			.rules = d->rules,
			.n_rules = d->n_rules,
			.is_extension = json_is_true(json_object_get(d->context, "extension")),
			.assert_emergency = d->req->assert_emergency,
		},
		&d->dial);
	(void)dial_normalise(d->req->dialed, &dialed);
	d->dialed = arena_strdup(d->arena, dialed.digits);
	out->dial_string = arena_strdup(d->arena, d->dial.dial_string);
	if (d->dialed == NULL || out->dial_string == NULL)
		return false;
	if (d->dial.rule != DIAL_NO_RULE)
		d->rule = json_array_get(member(d->context, "rules"), d->dial.rule);
	out->refused = d->dial.outcome == DIAL_NOT_EMERGENCY;
	out->test = d->dial.outcome == DIAL_TEST_CALL;
	out->custom = d->dial.outcome == DIAL_CUSTOM_NUMBER;
	out->asserted = d->dial.asserted;
	if (out->test)
		out->service_urn = DIAL_TEST_SOS;
	else if (!out->refused && !out->custom && !out->asserted)
		out->service_urn = DIAL_SOS;
	trace_dial(d);
	return true;
}

/* --- what holds for the whole call --------------------------------------------------------------- */

static void ignored_of_address(struct decision *d)
{
	static const char *const members[] = { "admin_area",   "city", "postal_code", "street",
					       "house_number", "name", NULL };
	const bool named = json_is_object(member(d->context, "address"));

	if (d->req->address_ref != NULL && !named)
		warn_call(d, "request", "ignored_member",
			  "/location/address_id: names no address; it was left out.");
	for (const char *const *m = members; *m && named && d->req->address_ref != NULL; m++)
		if (member(d->req->location, *m) != NULL)
			warn_call(d, "request", "ignored_member",
				  text_join(d->arena, "/location/", *m,
					    ": is that of the address_id; it was left out.", NULL));
}

static void general_warnings(struct decision *d)
{
	const json_t *w;
	size_t i;

	json_array_foreach (d->req->warnings, i, w)
		warn_call(d, "request", text(w, "code"), text(w, "detail"));
	if (d->user == NULL)
		warn_call(d, "request", "unknown_user",
			  "user_id names no user: the call is served as a guest's.");
	else if (json_is_false(json_object_get(d->user, "outbound_enabled")))
		warn_call(d, "request", "outbound_disabled",
			  "Outbound calling is switched off for the user; this call is served.");
	if (d->req->site_ref != NULL && !json_is_true(json_object_get(d->site, "named")))
		warn_call(d, "request", "ignored_member",
			  "/site_id: names no site; it was left out.");
	ignored_of_address(d);
	if (d->req->on_behalf_of != NULL)
		trace_step(d, "request", "on_behalf_of",
			   "The call is placed for another: the user's own policies count.");
	if (d->dial.assumed_prefix)
		warn_call(d, "dial", "assumed_prefix",
			  text_join(d->arena,
				    "The first digit was taken for an outside-line prefix: ",
				    d->out->dial_string, ".", NULL));
	if (d->dial.asserted)
		warn_call(d, "dial", "not_in_number_tables",
			  text_join(d->arena, d->out->dial_string,
				    " is no emergency number that is known for the call's regions.",
				    NULL));
}

static void resolve_policies(struct decision *d)
{
	const json_t *const levels[POLICY_LEVELS] = {
		[LEVEL_TENANT] = member(d->tenant, "policy"),
		[LEVEL_SITE] = member(d->site, "policy"),
		[LEVEL_USER] = member(d->user, "policy"),
	};
	const bool site_first = same(text(d->tenant, "policy_order"), "site_first");

	policy_resolve(levels, site_first, &d->out->policy);
	trace_step(d, "policy_order", site_first ? "site_first" : "user_first",
		   "It is the tenant's: which of two levels that both say something counts.");
}

/* The device's own carrier: the presence stays, unless somebody asked for more than what is built in. */
static void decide_presence(struct decision *d)
{
	const bool lock = setting(d, POLICY_PRESENCE_LOCK) != 0;
	const bool said = d->out->policy.of[POLICY_PRESENCE_LOCK].level != LEVEL_BUILT_IN;

	d->out->locks_presence = lock && (said || !d->device);
	trace_policy(d, POLICY_PRESENCE_LOCK);
	if (d->out->locks_presence)
		trace_policy(d, POLICY_PRESENCE_VALUE);
	trace_field(d, "presence", d->out->locks_presence ? "locked" : "left", POLICY_PRESENCE_LOCK,
		    d->out->locks_presence ? "The policy locks it during an emergency call."
		    : lock ? "The device takes the call, and no policy asks for a lock."
			   : "The policy leaves it alone.");
}

static void decide_times(struct decision *d)
{
	const enum policy_field ttl =
		d->out->test ? POLICY_TEST_LEASE_TTL_SECONDS : POLICY_LEASE_TTL_SECONDS;

	d->out->ttl_seconds = setting(d, ttl);
	d->out->max_call_seconds = setting(d, POLICY_MAX_CALL_SECONDS);
	trace_policy(d, ttl);
	trace_policy(d, POLICY_MAX_CALL_SECONDS);
}

/* A mobile's own carrier takes the call, unless it has none. */
static bool by_device(const struct call_request *req)
{
	return same(text(req->endpoint, "type"), "mobile") &&
	       !json_is_false(json_object_get(req->endpoint, "cellular"));
}

/* --- the plan ------------------------------------------------------------------------------------ */

bool plan_make(struct arena *arena, const json_t *context, const struct call_request *req,
	       struct plan *out)
{
	struct decision d = {
		.arena = arena,
		.context = context,
		.tenant = member(context, "tenant"),
		.user = member(context, "user"),
		.site = member(context, "site"),
		.req = req,
		.out = out,
		.device = by_device(req),
		.observed = same(req->origin, "observed"),
	};

	*out = (struct plan){ .handled_by_device = d.device };
	json_text_start(&d.trace, arena, TRACE_SIZE);
	json_text_start(&d.warnings, arena, 240);
	json_text_open(&d.trace, NULL, '[');
	json_text_open(&d.warnings, NULL, '[');
	if (!find_dialled(&d))
		return false;
	if (!out->refused) {
		general_warnings(&d);
		resolve_policies(&d);
		location_find(&d);
		route_decide(&d);
		notify_decide(&d);
		restrictions_decide(&d);
		notice_decide(&d);
		decide_times(&d);
		ladder_write(&d);
		decide_presence(&d);
		out->ladder = json_text_end(&d.ladder);
	}
	json_text_close(&d.trace, ']');
	json_text_close(&d.warnings, ']');
	out->trace = json_text_end(&d.trace);
	out->warnings = json_text_end(&d.warnings);
	/* An arena that failed once fails for good: no part was left out for want of memory. */
	return out->trace != NULL && out->warnings != NULL &&
	       (out->refused || out->ladder != NULL) && arena_alloc(arena, 1) != NULL;
}
