/* See findings.h: how it is found. What is said of it stands in finding_info.c. */
#include "findings.h"

#include <stdio.h>

#include "decision.h"
#include "server/arena.h"

struct look {
	struct arena *arena;
	const json_t *context, *user, *site;
	struct plan plan;
	json_t *rung; /* the first: what the call presents */
	const char *source, *region;
	const json_t *decision; /* of the rung, of the first type of the pools */
	struct findings *out;
};

/* --- what was found ------------------------------------------------------------------------------ */

static void add(struct findings *out, enum finding_kind kind, const char *detail)
{
	for (size_t i = 0; i < out->n; i++)
		if (out->of[i].kind == kind)
			return;
	out->of[out->n++] =
		(struct finding){ kind, detail != NULL ? detail : finding_info[kind].detail };
}

/* --- what the call warns of ---------------------------------------------------------------------- */

static bool has_warning(const json_t *warnings, const char *code)
{
	const json_t *w;
	size_t i;

	json_array_foreach (warnings, i, w)
		if (same(text(w, "code"), code))
			return true;
	return false;
}

/* The PSAP sees another place than that of the user: not where one of these says more of it. */
static bool is_elsewhere(const struct look *l, const json_t *warnings)
{
	const bool remote = json_is_true(json_object_get(l->user, "remote"));

	return !has_warning(warnings, "remote_user_on_pool") &&
	       !(remote && member(l->user, "address") == NULL);
}

static void take_warnings(struct look *l, const json_t *warnings)
{
	const json_t *w;
	size_t i;

	json_array_foreach (warnings, i, w) {
		const char *code = text(w, "code");

		/* A site without a pool lacks the same as one whose pools are empty. */
		if (same(code, "no_pool"))
			code = "pool_empty";
		if (same(code, "location_differs") && !is_elsewhere(l, warnings))
			continue;
		for (enum finding_kind k = 0; k < FINDING_KINDS; k++)
			if (same(finding_info[k].warning, code))
				add(l->out, k, text(w, "detail"));
	}
}

static bool look_at_warnings(struct look *l)
{
	json_t *general = arena_json(l->arena, json_loads(l->plan.warnings, 0, NULL));
	const char *type;
	json_t *of;

	if (general == NULL)
		return false;
	take_warnings(l, general);
	take_warnings(l, member(l->rung, "warnings"));
	json_object_foreach (json_object_get(l->rung, "types"), type, of)
		take_warnings(l, member(of, "warnings"));
	return true;
}

/* --- numbers ------------------------------------------------------------------------------------- */

long findings_numbers_for(long extension_only_users)
{
	return extension_only_users > 0 ? 2 + extension_only_users / 100 : 0;
}

static void compare_region(struct look *l, const json_t *number, const char *what)
{
	const char *region = text(number, "region");

	if (region == NULL || l->region == NULL ||
	    same(dial_region_group(region), dial_region_group(l->region)))
		return;
	add(l->out, FINDING_REGION_MISMATCH,
	    text_join(l->arena, what, " is of the region ", region,
		      ", and the user's calls are placed in ", l->region, ".", NULL));
}

static void look_at_pools(struct look *l)
{
	const long users = (long)json_integer_value(member(l->context, "extension_only_users"));
	const json_t *pools = member(l->site, "pools"), *pool;
	const char *type = NULL;
	char detail[160];
	long numbers = 0;
	size_t i;

	json_array_foreach (pools, i, pool) {
		const long n = (long)json_integer_value(member(pool, "numbers"));

		if (n <= 0)
			continue;
		if (type != NULL && !same(type, text(pool, "number_type")))
			add(l->out, FINDING_POOL_MIXED_TYPES, NULL);
		type = text(pool, "number_type");
		numbers += n;
		compare_region(l, pool, "A pool of the site");
	}
	if (numbers < findings_numbers_for(users)) {
		(void)snprintf(
			detail, sizeof(detail),
			"The pools of the site have %ld numbers for %ld users without a number:"
			" at least %ld are needed.",
			numbers, users, findings_numbers_for(users));
		add(l->out, FINDING_POOL_SMALL, arena_strdup(l->arena, detail));
	}
}

static void look_at_numbers(struct look *l)
{
	const json_t *account = member(l->site, "resource_account");

	if (same(l->source, "pool_lease"))
		look_at_pools(l);
	if (same(l->source, "user_number"))
		compare_region(l, member(l->user, "number"), "The user's number");
	else if (!l->plan.handled_by_device) {
		/* Below a pool it is the caller ID, and callbacks that find no lease go to it. */
		compare_region(l, account, "The number of the site's resource account");
		if (json_is_false(json_object_get(account, "licensed")))
			add(l->out, FINDING_RESOURCE_ACCOUNT_UNLICENSED, NULL);
	}
	if (same(l->source, "receptionist") || same(l->source, "call_queue"))
		compare_region(l, member(l->site, l->source), "The number that is presented");
}

/* --- who answers --------------------------------------------------------------------------------- */

static void look_at_point(struct look *l, const char *role)
{
	const json_t *point = member(l->site, role);

	if (point == NULL)
		return;
	if (!json_is_true(json_object_get(point, "staffed_24x7")))
		add(l->out, FINDING_ANSWERING_POINT_NOT_STAFFED,
		    text_join(l->arena, "Callbacks may go to the site's ", role,
			      ", which is not staffed at all hours.", NULL));
	if (!same(role, "resource_account") &&
	    !json_is_true(json_object_get(point, "dedicated_to_safety")))
		add(l->out, FINDING_ANSWERING_POINT_NOT_DEDICATED,
		    text_join(l->arena, "Callbacks may go to the site's ", role,
			      ", which is not reserved for safety.", NULL));
}

/* Where a callback goes that finds nobody: the order is that of the resolutions. */
static bool has_fallback(const struct look *l)
{
	const json_t *tenant = member(l->context, "tenant");

	return member(l->site, "fallback") != NULL || member(l->site, "safety_team") != NULL ||
	       member(tenant, "safety_team") != NULL || member(tenant, "fallback") != NULL ||
	       l->plan.policy.of[POLICY_SAFETY_TEAM].json != NULL ||
	       member(l->site, "resource_account") != NULL;
}

static void look_at_callbacks(struct look *l)
{
	static const char *const unleased[] = {
		[UNLEASED_RESOURCE_ACCOUNT] = "resource_account",
		[UNLEASED_RECEPTIONIST] = "receptionist",
		[UNLEASED_CALL_QUEUE] = "call_queue",
		[UNLEASED_FALLBACK] = NULL,
	};
	const char *role = unleased[l->plan.policy.of[POLICY_UNLEASED_CALLBACK].number];

	if (l->plan.handled_by_device)
		return;
	if (!has_fallback(l))
		add(l->out, FINDING_FALLBACK_MISSING,
		    "A callback that finds nobody has nowhere to go: the site has no fallback, safety team or"
		    " resource account, and the tenant no fallback.");
	if (same(l->source, "pool_lease") && role != NULL)
		look_at_point(l, role);
	else if (same(l->source, "receptionist") || same(l->source, "call_queue") ||
		 same(l->source, "resource_account"))
		look_at_point(l, l->source);
}

/* --- the route ----------------------------------------------------------------------------------- */

/* The carrier that takes the call, as the decision chose it. */
static void look_at_carrier(struct look *l, const json_t *leg)
{
	struct decision d = { .arena = l->arena, .context = l->context };
	const char *dialled = text(leg, "dial");
	const struct carriers carriers =
		dialled != NULL ? carriers_for(&d, dialled) : (struct carriers){ NULL, 0 };

	if (carriers.n > 0 && carriers.of[0].unconfirmed)
		add(l->out, FINDING_BYOC_NOT_CONFIRMED,
		    text_join(l->arena, "The call goes out by the trunk ",
			      carriers.of[0].trunk != NULL ? carriers.of[0].trunk : "",
			      ", and nobody has confirmed that it carries emergency calls.", NULL));
}

static void look_at_route(struct look *l)
{
	const json_t *legs = member(member(l->decision, "route"), "legs"), *leg;
	const struct policy_setting *off = &l->plan.policy.of[POLICY_PSAP_ENABLED];
	const char *until = json_string_value(l->plan.policy.of[POLICY_PSAP_DISABLED_UNTIL].json);
	char detail[120];
	size_t i;

	if (off->number == 0 && !l->plan.handled_by_device)
		add(l->out, FINDING_PSAP_DISABLED,
		    text_join(l->arena, "The policy of the ", policy_level_name(off->level),
			      " switches PSAP routing off", until != NULL ? " until " : "",
			      until != NULL ? until : "", ".", NULL));
	json_array_foreach (legs, i, leg) {
		const long after = (long)json_integer_value(member(leg, "start_after_seconds"));

		if (same(text(leg, "target"), "psap")) {
			look_at_carrier(l, leg);
			if (after <= 0)
				continue;
			(void)snprintf(detail, sizeof(detail),
				       "The PSAP is called %ld seconds after the safety team.",
				       after);
			add(l->out, FINDING_PSAP_DELAYED, arena_strdup(l->arena, detail));
		} else if (same(text(leg, "target"), "safety_team") &&
			   !json_is_true(
				   json_object_get(member(leg, "destination"), "staffed_24x7"))) {
			add(l->out, FINDING_TEAM_NOT_STAFFED, NULL);
		}
	}
}

/* --- the user ------------------------------------------------------------------------------------ */

static void look_at_location(struct look *l)
{
	const json_t *location = member(l->decision, "location");

	if (json_is_true(json_object_get(member(location, "address"), "stale")))
		add(l->out, FINDING_ADDRESS_STALE, NULL);
	/* Nobody is sent to a home that nobody knows. */
	if (json_is_true(json_object_get(l->user, "remote")) &&
	    member(l->user, "address") == NULL && same(text(location, "source"), "site"))
		add(l->out, FINDING_NO_ADDRESS,
		    "The user is remote, and neither an address nor a location of the user is known: the PSAP"
		    " would get the site's.");
}

static void look_at_browser(struct look *l, const char *region)
{
	const char *of = l->plan.policy.of[POLICY_CALLER_ID].preset;

	if (region == NULL)
		return;
	if (same(of, "dynamics_365") && !same(region, "US") && !same(region, "PR"))
		add(l->out, FINDING_BROWSER_LOCATION_REGION, NULL);
	else if (l->region != NULL &&
		 !same(dial_region_group(region), dial_region_group(l->region)))
		add(l->out, FINDING_BROWSER_ELSEWHERE,
		    text_join(l->arena, "The browser's location is in ", region,
			      ", and the user's calls are placed in ", l->region, ".", NULL));
}

static void look_at_provisioning(struct look *l)
{
	const json_t *p = member(l->context, "provisioning");

	if (json_is_false(json_object_get(p, "teams_phone_license")))
		add(l->out, FINDING_LICENSE_MISSING, NULL);
	if (json_is_false(json_object_get(p, "enterprise_voice")))
		add(l->out, FINDING_ENTERPRISE_VOICE_OFF, NULL);
	if (json_is_false(json_object_get(p, "capacity_profile")) ||
	    json_is_false(json_object_get(p, "outbound_profile")))
		add(l->out, FINDING_CAPACITY_PROFILE_MISSING, NULL);
	look_at_browser(l, text(p, "browser_location_region"));
}

/* --- the call in thought ------------------------------------------------------------------------- */

/* As the user's first endpoint would place it now. */
static bool place(struct look *l)
{
	const json_t *endpoint = member(l->context, "endpoint");
	struct call_request call = {
		.user_ref = "",
		.origin = "planned",
		.endpoint = (json_t *)(uintptr_t)endpoint,
		.warnings = arena_json(l->arena, json_array()),
	};
	const char *region = plan_region(l->context, &call);
	json_t *ladder;

	if (call.warnings == NULL)
		return false;
	call.dialed = dial_primary(region);
	if (call.dialed == NULL) { /* in a region that no table knows */
		call.dialed = DIAL_GENERAL;
		call.assert_emergency = true;
	}
	if (!plan_make(l->arena, l->context, &call, &l->plan))
		return false;
	if (l->plan.refused)
		return true;
	ladder = arena_json(l->arena, json_loads(l->plan.ladder, 0, NULL));
	l->rung = json_array_get(ladder, 0);
	l->source = text(l->rung, "source");
	l->decision = member(l->rung, "decision");
	if (l->decision == NULL)
		l->decision = member(
			json_object_iter_value(json_object_iter(json_object_get(l->rung, "types"))),
			"decision");
	l->region = text(member(l->user, "address"), "region");
	if (l->region == NULL)
		l->region = text(member(l->site, "address"), "region");
	return l->decision != NULL;
}

bool findings_of_user(struct arena *arena, const json_t *context, struct findings *out)
{
	struct look l = {
		.arena = arena,
		.context = context,
		.user = member(context, "user"),
		.site = member(context, "site"),
		.out = out,
	};

	out->n = 0;
	if (!place(&l))
		return false;
	if (l.plan.refused) {
		add(out, FINDING_PSAP_NOT_REACHED,
		    "A dial rule takes the region's emergency number away.");
		return true;
	}
	if (!look_at_warnings(&l))
		return false;
	look_at_numbers(&l);
	look_at_location(&l);
	look_at_route(&l);
	look_at_callbacks(&l);
	look_at_provisioning(&l);
	return arena_alloc(arena, 1) != NULL; /* one that failed once fails for good */
}

void findings_of_tenant(struct arena *arena, const json_t *context, struct findings *out)
{
	const long guests = (long)json_integer_value(member(context, "guests"));
	char detail[160];

	if (!json_is_true(json_object_get(context, "presence_webhook")))
		add(out, FINDING_NO_WEBHOOK_FOR_PRESENCE, NULL);
	if (guests <= 0)
		return;
	(void)snprintf(
		detail, sizeof(detail),
		"%ld callers whom no user stands for placed emergency calls in the last 30 days.",
		guests);
	add(out, FINDING_GUEST_CALLS_SEEN, arena_strdup(arena, detail));
}
