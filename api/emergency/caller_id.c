/*
 * The ladder of caller IDs: the one that the policy chooses, and below it whatever else could be
 * presented, so that the call goes out with a number that leads back to the caller wherever there is
 * one. Each step down is a warning of the rungs below it.
 */
#include "decision.h"

#include "server/fields.h"

enum rung { OWN, POOL, RECEPTIONIST, CALL_QUEUE, RESOURCE_ACCOUNT, FALLBACK, RUNGS };

static const char *const names[RUNGS] = { "user_number", "pool_lease",	     "receptionist",
					  "call_queue",	 "resource_account", "fallback" };

static const char *const missing[RUNGS] = {
	[OWN] = "The user has no number of their own.",
	[RECEPTIONIST] = "The site has no receptionist's number.",
	[CALL_QUEUE] = "The site has no call queue's number.",
	[RESOURCE_ACCOUNT] = "The site has no resource account's number.",
	[FALLBACK] = "Neither the site's nor the tenant's fallback is a number.",
};

struct climb {
	struct decision *d;
	enum rung chosen;
	struct warnings above; /* of the steps down so far */
	bool any;	       /* there is a rung */
};

/* --- a rung -------------------------------------------------------------------------------------- */

/* Members decision and warnings: everything of a rung but its number. */
static void complete(struct climb *c, const struct presented *p)
{
	struct decision *d = c->d;
	struct json_text *t = &d->ladder;
	struct warnings w = c->above;
	struct place seen;

	json_text_open(t, "decision", '{');
	json_text_raw(t, "route", d->route);
	seen = location_write(d, t, p, &w);
	json_text_raw(t, "restrictions", d->restrictions);
	json_text_raw(t, "notifications", d->notifications);
	json_text_raw(t, "recipients", d->recipients);
	json_text_raw(t, "notice", d->notice);
	announcement_write(d, t, p, &seen);
	json_text_close(t, '}');
	if (d->via != NULL && p->type != NULL && same(p->type, "byoc") != same(d->via, "byoc"))
		warn_rung(d, &w, "carrier", "caller_id_not_on_carrier",
			  text_join(d->arena, "The caller ID's number is ", p->type,
				    " and the call goes out by ", d->via,
				    ": the carrier may not present it.", NULL));
	write_warnings(t, &w);
}

static void fixed_rung(struct climb *c, const struct presented *p)
{
	struct json_text *t = &c->d->ladder;

	json_text_open(t, NULL, '{');
	json_text_string(t, "source", p->source);
	json_text_string(t, "number", p->number);
	json_text_string(t, "number_type", p->number != NULL ? p->type : NULL);
	complete(c, p);
	json_text_close(t, '}');
	c->any = true;
}

static void no_number(struct climb *c, const char *because)
{
	const struct presented none = { .source = "none" };

	trace_step(c->d, "caller_id", "none", because);
	fixed_rung(c, &none);
}

/* --- the pools ----------------------------------------------------------------------------------- */

static bool is_leasable(const json_t *pool)
{
	return json_integer_value(json_object_get(pool, "numbers")) > 0 &&
	       text(pool, "number_type") != NULL;
}

static bool has_pool(const json_t *pools)
{
	const json_t *pool;
	size_t i;

	json_array_foreach (pools, i, pool)
		if (is_leasable(pool))
			return true;
	return false;
}

static void write_pools(struct json_text *t, const json_t *pools)
{
	const json_t *pool;
	size_t i;

	json_text_open(t, "pools", '[');
	json_array_foreach (pools, i, pool)
		if (is_leasable(pool))
			json_text_value(t, NULL, json_object_get(pool, "id"));
	json_text_close(t, ']');
}

/* All pools of the site are one rung: no number is shared while any of them has a free one. */
static void pool_rung(struct climb *c, const json_t *pools)
{
	struct decision *d = c->d;
	struct json_text *t = &d->ladder;
	const json_t *pool, *earlier;
	size_t i, k;

	json_text_open(t, NULL, '{');
	json_text_string(t, "source", "pool_lease");
	write_pools(t, pools);
	if (d->out->test)
		json_text_bool(t, "test", true);
	json_text_open(t, "types", '{');
	json_array_foreach (pools, i, pool) {
		const struct presented p = { .source = "pool_lease",
					     .type = text(pool, "number_type"),
					     .pool = true };
		bool first = is_leasable(pool);

		for (k = 0; k < i && first; k++) {
			earlier = json_array_get(pools, k);
			first = !is_leasable(earlier) ||
				!same(text(earlier, "number_type"), p.type);
		}
		if (!first)
			continue;
		json_text_open(t, p.type, '{');
		complete(c, &p);
		json_text_close(t, '}');
	}
	json_text_close(t, '}');
	json_text_close(t, '}');
	c->any = true;
}

/* --- one step ------------------------------------------------------------------------------------ */

static const json_t *owner(const struct decision *d, enum rung rung)
{
	return rung == OWN ? member(d->user, "number") : member(d->site, names[rung]);
}

/* The number of a fallback destination, where it is one. */
static const char *fallback_number(const json_t *holder)
{
	const char *address = text(member(holder, "fallback"), "address");

	return address != NULL && is_e164(address) ? address : NULL;
}

static struct presented fixed(const struct decision *d, enum rung rung)
{
	const json_t *from = owner(d, rung);
	struct presented p = { .source = names[rung] };

	if (rung == FALLBACK) {
		p.number = fallback_number(d->site);
		if (p.number == NULL)
			p.number = fallback_number(d->tenant);
	} else if (text(from, "number") != NULL) {
		p.number = text(from, "number");
		p.type = text(from, "number_type");
		p.address = member(from, "address");
	}
	return p;
}

/* Members that are missing are a warning where they were chosen; else only those that the ladder
   always had below a pool. */
static void step_down(struct climb *c, enum rung rung)
{
	if (rung == c->chosen)
		warn_rung(c->d, &c->above, "caller_id", "caller_id_fallback", missing[rung]);
	else
		trace_step(c->d, "caller_id", "not_had", missing[rung]);
}

static bool by_platform(const struct decision *d)
{
	return setting(d, POLICY_CALLER_ID_CONTROL) == CONTROL_PLATFORM || d->observed;
}

/* Who presents the number, where it is not our choice: true, and the ladder is that one rung. */
static bool platform_rung(struct climb *c, const char *ours, const json_t *pools)
{
	struct decision *d = c->d;
	const struct presented p = { .source = "platform", .number = d->req->presented_number };
	const struct warnings above = c->above;

	if (c->any || !by_platform(d) || p.number == NULL || same(ours, p.number))
		return false;
	trace_field(
		d, "caller_id", "platform", POLICY_CALLER_ID_CONTROL,
		d->observed
			? "The call is under way elsewhere: the request says what it presents."
			: "The platform presents a number of its own choice, which the request tells.");
	c->above.n = 0; /* the steps down were those of a number that is not presented */
	json_text_open(&d->ladder, NULL, '{');
	json_text_string(&d->ladder, "source", p.source);
	json_text_string(&d->ladder, "number", p.number);
	json_text_string(&d->ladder, "number_type", NULL);
	if (pools != NULL)
		write_pools(&d->ladder, pools);
	complete(c, &p);
	json_text_close(&d->ladder, '}');
	c->above = above;
	c->any = true;
	return true;
}

/* True: the ladder ends here. */
static bool try_pools(struct climb *c)
{
	struct decision *d = c->d;
	const json_t *pools = member(d->site, "pools");

	if (has_pool(pools)) {
		if (platform_rung(c, NULL, pools))
			return true;
		trace_step(
			d, "caller_id", names[POOL],
			"A number of the site's pools is leased to the caller, where one can be had.");
		pool_rung(c, pools);
		if (d->out->test) {
			/* A real call would have had a number: another one would mislead. */
			warn_below(
				d, &c->above, "caller_id", "no_caller_id",
				"The site's pools have no number to spare for a test call.",
				"It counts only where the pools have no number to spare for a test.");
			no_number(c, "Below the pools a test call presents no number.");
			return true;
		}
		warn_below(d, &c->above, "caller_id", "pool_empty",
			   "No number of the site's pools could be leased.",
			   "What follows counts only where no number of the pools can be leased.");
	} else if (json_array_size(pools) > 0) {
		warn_rung(d, &c->above, "caller_id", "pool_empty",
			  "The site's pools have no number that can be leased.");
	} else {
		warn_rung(d, &c->above, "caller_id", "no_pool",
			  d->site != NULL ? "The site has no pool of callback numbers."
					  : "The caller has no site, so there is no pool.");
	}
	return false;
}

static bool try_rung(struct climb *c, enum rung rung)
{
	struct decision *d = c->d;
	struct presented p;

	if (rung == POOL)
		return try_pools(c);
	p = fixed(d, rung);
	if (p.number == NULL) {
		step_down(c, rung);
		return false;
	}
	if (platform_rung(c, p.number, NULL))
		return true;
	/* Below the resource account: say what was missing, unless that was said already. */
	if (rung == FALLBACK && c->chosen != RESOURCE_ACCOUNT)
		warn_rung(d, &c->above, "caller_id", "caller_id_fallback",
			  "There is no resource account: the fallback's number is presented.");
	trace_step(d, "caller_id", names[rung],
		   text_join(d->arena,
			     rung == c->chosen ? "It is what the policy asks for: "
					       : "It is the next that there is: ",
			     p.number, ".", NULL));
	fixed_rung(c, &p);
	return true; /* it can always be had */
}

/* --- the ladder ---------------------------------------------------------------------------------- */

static enum rung choice(const struct decision *d)
{
	const long calling = setting(d, POLICY_CALLING);

	if (calling == CALLING_PRIMARY ||
	    (calling == CALLING_AUTO && text(owner(d, OWN), "number") != NULL))
		return OWN;
	switch (setting(d, POLICY_CALLER_ID)) {
	case CALLER_ID_RECEPTIONIST: return RECEPTIONIST;
	case CALLER_ID_CALL_QUEUE: return CALL_QUEUE;
	case CALLER_ID_RESOURCE_ACCOUNT: return RESOURCE_ACCOUNT;
	default: return POOL;
	}
}

static void trace_choice(struct climb *c)
{
	struct decision *d = c->d;

	trace_policy(d, POLICY_CALLING);
	if (c->chosen != OWN)
		trace_policy(d, POLICY_CALLER_ID);
	trace_policy(d, POLICY_CALLER_ID_CONTROL);
	if (c->chosen == OWN)
		trace_field(d, "calling", "primary", POLICY_CALLING,
			    "The user calls with a number of their own.");
	else
		trace_field(d, "calling", "shared", POLICY_CALLING,
			    d->user == NULL ? "A guest shares the numbers of the site."
					    : "The user shares the numbers of the site.");
	if (setting(d, POLICY_CALLER_ID_CONTROL) == CONTROL_PLATFORM)
		trace_field(
			d, "caller_id", "prediction", POLICY_CALLER_ID_CONTROL,
			"The calling platform presents the number by itself: ours is a prediction until connect reports it.");
}

void ladder_write(struct decision *d)
{
	static const enum rung below[] = { OWN, POOL, RESOURCE_ACCOUNT, FALLBACK };
	struct climb c = { .d = d };

	json_text_start(&d->ladder, d->arena, 3900);
	json_text_open(&d->ladder, NULL, '[');
	if (d->device) {
		no_number(&c, "The device's own carrier takes the call and presents its number.");
		json_text_close(&d->ladder, ']');
		return;
	}
	c.chosen = choice(d);
	trace_choice(&c);
	bool ended = try_rung(&c, c.chosen);

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]) && !ended; i++)
		if (below[i] != c.chosen)
			ended = try_rung(&c, below[i]);
	if (!ended && !platform_rung(&c, NULL, NULL)) {
		warn_rung(d, &c.above, "caller_id", "no_caller_id",
			  "There is no number to present: emergency services cannot call back.");
		no_number(&c, "Nothing that the ladder has can be presented.");
	}
	json_text_close(&d->ladder, ']');
}
