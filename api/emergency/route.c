/*
 * Where the call goes: the legs of the six routes with their start times, what configuration leaves
 * of them, and what is dialled on the leg that goes out. An emergency call that would have no leg
 * gets the one to the PSAP, unless PSAP routing is switched off; that is never silent.
 */
#include "decision.h"

#include <stdio.h>

/* Which legs a route has; later: the one that waits for the max holding time. */
static const struct {
	bool psap, team, sip;
	enum { NONE_LATER, PSAP_LATER, SIP_LATER } later;
} routes[] = {
	[ROUTE_PSAP_ONLY] = { true, false, false, NONE_LATER },
	[ROUTE_PSAP_AND_TEAM] = { true, true, false, NONE_LATER },
	[ROUTE_TEAM_ONLY] = { false, true, false, NONE_LATER },
	[ROUTE_TEAM_THEN_PSAP] = { true, true, false, PSAP_LATER },
	[ROUTE_SIP_GROUP_ONLY] = { false, false, true, NONE_LATER },
	[ROUTE_TEAM_THEN_SIP_GROUP] = { false, true, true, SIP_LATER },
};

struct legs {
	bool psap, test;
	const json_t *team, *sip; /* destinations; NULL: no such leg */
	long psap_at, sip_at;	  /* seconds */
	const char *dial;	  /* on the leg to the PSAP or to the test service */
	struct carriers carriers; /* of that */
};

/* --- what there is ------------------------------------------------------------------------------- */

static const json_t *safety_team(struct decision *d)
{
	const json_t *team = d->out->policy.of[POLICY_SAFETY_TEAM].json;
	const char *whose = "site";

	if (json_is_object(team)) {
		trace_policy(d, POLICY_SAFETY_TEAM);
		return team;
	}
	team = member(d->site, "safety_team");
	if (!json_is_object(team)) {
		whose = "tenant";
		team = member(d->tenant, "safety_team");
	}
	if (!json_is_object(team))
		return NULL;
	trace_step(d, "safety_team", whose, "No policy names one; it is the nearest that does.");
	return team;
}

static const json_t *sip_group(const struct decision *d, const json_t *rule)
{
	const json_t *group = member(rule, "sip_group");

	if (group == NULL)
		group = d->out->policy.of[POLICY_SIP_GROUP].json;
	return json_is_object(group) ? group : NULL;
}

static const char *path_name(struct decision *d, long path)
{
	size_t length;
	const char *word = policy_word(POLICY_ROUTE, path, &length);
	const char *name = arena_strndup(d->arena, word, length);

	return name != NULL ? name : "";
}

static long path_of(struct decision *d, const json_t *rule)
{
	const char *own = text(rule, "route");

	for (long i = 0; own != NULL && i < (long)(sizeof(routes) / sizeof(routes[0])); i++)
		if (same(path_name(d, i), own)) {
			trace_step(d, "route", own, "The dial rule says so.");
			return i;
		}
	trace_policy(d, POLICY_ROUTE);
	return setting(d, POLICY_ROUTE);
}

static long hold_of(struct decision *d, const json_t *rule)
{
	const json_t *own = member(rule, "max_hold_seconds");

	if (json_is_integer(own) && json_integer_value(own) > 0) {
		trace_step(d, "route", "max_hold_seconds", "The dial rule says how long.");
		return (long)json_integer_value(own);
	}
	trace_policy(d, POLICY_MAX_HOLD_SECONDS);
	return setting(d, POLICY_MAX_HOLD_SECONDS);
}

/* --- which legs ---------------------------------------------------------------------------------- */

/* A desk that reaches no PSAP because of configuration hears so. A custom number does not go to one
   by itself: only where its leg was taken away, or no other is left. */
static void warn_not_reached(struct decision *d, long path, const struct legs *legs)
{
	const bool off = setting(d, POLICY_PSAP_ENABLED) == 0;
	const json_t *until = d->out->policy.of[POLICY_PSAP_DISABLED_UNTIL].json;
	const char *at = json_string_value(until);

	const bool any = legs->team != NULL || legs->sip != NULL;

	if (legs->psap || (d->out->custom && any && !(off && routes[path].psap)))
		return;
	if (off)
		trace_policy(d, POLICY_PSAP_ENABLED);
	warn_call(d, "route", "psap_not_reached",
		  off ? text_join(d->arena,
				  "Emergency services are not called: PSAP routing is switched off",
				  at != NULL ? " until " : "", at != NULL ? at : "", ".", NULL)
		      : text_join(d->arena, "Emergency services are not called: the route is ",
				  path_name(d, path), ".", NULL));
}

static void leave_out(struct decision *d, struct legs *legs, long path)
{
	if (routes[path].team && legs->team == NULL)
		warn_call(
			d, "route", "fallback_missing",
			"The route has the safety team, and neither policy, site nor tenant names one: left out.");
	if (routes[path].sip && legs->sip == NULL)
		warn_call(
			d, "route", "fallback_missing",
			"The route has a SIP group, and neither dial rule nor policy names one: left out.");
	/* Nobody waits for a team that is not there. */
	if (legs->team == NULL)
		legs->psap_at = legs->sip_at = 0;
	if (legs->psap || legs->team != NULL || legs->sip != NULL ||
	    setting(d, POLICY_PSAP_ENABLED) == 0)
		return;
	legs->psap = true;
	trace_step(
		d, "route", "psap",
		"No leg of the route is left: an emergency call goes to emergency services then.");
}

/* listen and speak: the safety team joins, whatever the route. */
static void join_team(struct decision *d, struct legs *legs)
{
	const long mode = setting(d, POLICY_NOTIFY_MODE);

	if ((mode != NOTIFY_LISTEN && mode != NOTIFY_SPEAK) || legs->team != NULL || !notifies(d))
		return;
	legs->team = safety_team(d);
	trace_field(d, "route", legs->team != NULL ? "team_joins" : "no_team_to_join",
		    POLICY_NOTIFY_MODE,
		    legs->team != NULL
			    ? "The notification mode has the safety team join the call."
			    : "The notification mode has the safety team join, and none is known.");
}

static struct legs legs_of(struct decision *d, const json_t *rule, long path)
{
	struct legs legs = {
		.psap = routes[path].psap && setting(d, POLICY_PSAP_ENABLED) != 0,
		.team = routes[path].team ? safety_team(d) : NULL,
		.sip = routes[path].sip ? sip_group(d, rule) : NULL,
	};

	if (routes[path].later != NONE_LATER) {
		const long hold = hold_of(d, rule);

		legs.psap_at = routes[path].later == PSAP_LATER ? hold : 0;
		legs.sip_at = routes[path].later == SIP_LATER ? hold : 0;
	}
	leave_out(d, &legs, path);
	warn_not_reached(d, path, &legs);
	join_team(d, &legs);
	return legs;
}

/* --- what is dialled ----------------------------------------------------------------------------- */

static const char *primary(const struct decision *d)
{
	const char *number = dial_primary(d->region);

	return number != NULL ? number : DIAL_GENERAL;
}

static const char *dialled(struct decision *d)
{
	if (*d->dial.translation)
		return d->dial.translation;
	if (d->out->test || d->out->asserted)
		return d->out->dial_string;
	return d->out->custom ? primary(d) : dial_for_location(d->region, d->out->dial_string);
}

static void choose_carriers(struct decision *d, struct legs *legs, const char *number)
{
	legs->dial = number;
	legs->carriers = carriers_for(d, number);
	if (legs->carriers.n == 0) {
		warn_call(d, "carrier", "no_emergency_carrier",
			  "No carrier route matches, and the tenant has neither a native nor an"
			  " operator_connect number: no carrier takes the call for it.");
		return;
	}
	trace_step(
		d, "carrier", legs->carriers.of[0].via,
		text_join(
			d->arena, "It takes ", number, ": ",
			legs->carriers.of[0].trunk == NULL
				? "no carrier route matches, and the tenant has such a number."
			: legs->carriers.of[0].unconfirmed
				? "a carrier route matches; that the trunk carries emergency calls is not confirmed."
				: "a carrier route matches, and the trunk is confirmed.",
			NULL));
}

/* --- writing ------------------------------------------------------------------------------------- */

static void write_carrier(struct json_text *t, const struct carrier *c)
{
	json_text_string(t, "via", c->via);
	json_text_string(t, "trunk", c->trunk);
}

static void write_out_leg(struct json_text *t, const struct legs *legs)
{
	static const struct carrier none = { NULL, NULL, false };

	json_text_open(t, NULL, '{');
	json_text_string(t, "target", legs->test ? "test" : "psap");
	json_text_string(t, "dial", legs->dial);
	write_carrier(t, legs->carriers.n > 0 ? &legs->carriers.of[0] : &none);
	json_text_integer(t, "start_after_seconds", legs->psap_at);
	json_text_open(t, "alternates", '[');
	for (size_t i = 1; i < legs->carriers.n; i++) {
		json_text_open(t, NULL, '{');
		write_carrier(t, &legs->carriers.of[i]);
		json_text_close(t, '}');
	}
	json_text_close(t, ']');
	json_text_close(t, '}');
}

static void write_desk_leg(struct json_text *t, const char *target, const json_t *destination,
			   bool listens, bool record, long at)
{
	if (destination == NULL)
		return;
	json_text_open(t, NULL, '{');
	json_text_string(t, "target", target);
	json_text_value(t, "destination", destination);
	json_text_string(t, "mode", listens ? "listen" : "speak");
	json_text_bool(t, "record", record);
	json_text_integer(t, "start_after_seconds", at);
	json_text_close(t, '}');
}

/* In the order in which they start; at the same second the leg to the PSAP is the first. */
static void write_legs(struct decision *d, struct json_text *t, const struct legs *legs)
{
	const bool out = legs->psap || legs->test;

	if (out && legs->psap_at == 0)
		write_out_leg(t, legs);
	write_desk_leg(t, "safety_team", legs->team,
		       setting(d, POLICY_NOTIFY_MODE) == NOTIFY_LISTEN,
		       setting(d, POLICY_RECORD_SAFETY_TEAM) != 0, 0);
	if (out && legs->psap_at > 0)
		write_out_leg(t, legs);
	write_desk_leg(t, "sip_group", legs->sip, false, false, legs->sip_at);
}

static void trace_legs(struct decision *d, const struct legs *legs)
{
	char out[40] = "", team[40] = "", sip[40] = "";

	if (legs->psap || legs->test)
		(void)snprintf(out, sizeof(out), " %s after %ld s", legs->test ? "test" : "psap",
			       legs->psap_at);
	if (legs->team != NULL)
		(void)snprintf(team, sizeof(team), " safety_team after 0 s");
	if (legs->sip != NULL)
		(void)snprintf(sip, sizeof(sip), " sip_group after %ld s", legs->sip_at);
	trace_step(d, "legs", *out || *team || *sip ? "called" : "none",
		   *out || *team || *sip ? text_join(d->arena, "What is left of the route:", out,
						     team, sip, ".", NULL)
					 : "Nothing is left of the route.");
}

static void write_route(struct decision *d, const struct legs *legs, long path)
{
	struct json_text t;

	json_text_start(&t, d->arena, 480);
	json_text_open(&t, NULL, '{');
	json_text_string(&t, "path", path_name(d, path));
	json_text_string(&t, "handled_by", d->device ? "device" : "switch");
	json_text_open(&t, "legs", '[');
	if (!d->device && !d->observed)
		write_legs(d, &t, legs);
	json_text_close(&t, ']');
	json_text_close(&t, '}');
	d->route = json_text_end(&t);
}

/* A test call goes as an emergency call would, up to the legs: its own is the test service's. */
static const json_t *rule_of(const struct decision *d)
{
	const size_t i = dial_override(d->rules, d->n_rules, primary(d));

	if (!d->out->test)
		return d->rule;
	return i != DIAL_NO_RULE ? json_array_get(member(d->context, "rules"), i) : NULL;
}

void route_decide(struct decision *d)
{
	struct legs legs = { .psap = false };
	const json_t *rule = rule_of(d);
	const long path = path_of(d, rule);

	if (d->device || d->observed) {
		trace_step(d, "route", "no_legs",
			   d->device
				   ? "The device's own carrier takes the call."
				   : "The call is under way elsewhere; it is only taken note of.");
		write_route(d, &legs, path);
		return;
	}
	legs = legs_of(d, rule, path);
	if (d->out->test) {
		d->reaches = legs.psap && carriers_for(d, primary(d)).n > 0;
		legs = (struct legs){ .test = true };
		trace_step(
			d, "route", "test",
			d->reaches
				? "A test goes to the test service alone; an emergency call would reach a PSAP."
				: "A test goes to the test service alone; an emergency call would reach no PSAP.");
	}
	if (legs.psap || legs.test)
		choose_carriers(d, &legs, dialled(d));
	d->reaches = d->reaches || (legs.psap && legs.carriers.n > 0);
	d->via = legs.carriers.n > 0 ? legs.carriers.of[0].via : NULL;
	trace_legs(d, &legs);
	write_route(d, &legs, path);
}
