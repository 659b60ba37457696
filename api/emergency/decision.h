/*
 * What the parts of the decision share, and only they: see plan.h.
 */
#ifndef SB_DECISION_H
#define SB_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <jansson.h>

#include "dial.h"
#include "json_text.h"
#include "plan.h"

#define MAX_WARNINGS 12	       /* of one rung */
#define MAX_TRACED 32	       /* different warnings in the trace */
#define NO_LEVEL POLICY_LEVELS /* no policy decided it */

struct warning {
	const char *code, *detail;
};

struct warnings {
	struct warning of[MAX_WARNINGS];
	size_t n;
};

/* An address, with what the request says beside its address_id laid over it. */
struct place {
	const json_t *address; /* NULL: none */
	const json_t *over;    /* NULL: nothing */
};

struct carrier {
	const char *via;   /* byoc, native, operator_connect */
	const char *trunk; /* NULL but for byoc */
	bool unconfirmed;  /* nobody has confirmed that emergency calls work on the trunk */
};

struct carriers {
	const struct carrier *of;
	size_t n;
};

struct decision {
	struct arena *arena;
	const json_t *context, *tenant, *user, *site, *rule; /* NULL: none */
	const struct call_request *req;
	struct plan *out;
	struct dial_result dial;
	const char *dialed;		/* normalised, before masks and prefixes; "": nothing */
	const struct dial_entry *rules; /* those of the context, in its order */
	size_t n_rules;
	struct place where; /* the caller */
	const char *where_source;
	const char *region; /* of the call: what is dialled, how the location is conveyed; or "" */
	bool device, observed;

	/* The same on every rung */
	const char *route, *restrictions, *notifications, *recipients, *notice; /* JSON texts */
	const char *via; /* of the leg that goes out, for its caller ID; NULL: none */
	bool reaches;	 /* an emergency call from here gets to a PSAP */
	struct json_text ladder, warnings, trace;
	struct warning traced[MAX_TRACED];
	size_t n_traced;
};

/* What a rung presents, as far as it is known before the database takes it. */
struct presented {
	const char *source;
	const char *number;    /* NULL: none, or one of the pools */
	const char *type;      /* NULL: not known */
	const json_t *address; /* its address of record; NULL: none of its own */
	bool pool;
};

/* NULL for a null member, too. */
static inline const json_t *member(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return json_is_null(v) ? NULL : v;
}

static inline const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static inline bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static inline long setting(const struct decision *d, enum policy_field field)
{
	return d->out->policy.of[field].number;
}

/* trace.c */
void trace_step(struct decision *, const char *step, const char *outcome, const char *because);
void trace_policy(struct decision *, enum policy_field);
/* A step that a policy decided, at the level of this field. */
void trace_field(struct decision *, const char *step, const char *outcome, enum policy_field,
		 const char *because);
void warn_rung(struct decision *, struct warnings *, const char *step, const char *code,
	       const char *detail);
/* The same of rungs that count only where those above cannot be had: the trace says so. */
void warn_below(struct decision *, struct warnings *, const char *step, const char *code,
		const char *detail, const char *because);
void warn_call(struct decision *, const char *step, const char *code, const char *detail);
void write_warnings(struct json_text *, const struct warnings *);

/* location.c */
struct place location_named(const json_t *context, const struct call_request *);
void location_find(struct decision *);
/* Member "location", and the address that the PSAP sees; adds its warnings. */
struct place location_write(struct decision *, struct json_text *, const struct presented *,
			    struct warnings *);
const json_t *place_member(const struct place *, const char *name);

/* caller_id.c */
void ladder_write(struct decision *);

/* route.c: sets route, via and reaches */
void route_decide(struct decision *);

/* carrier.c */
struct carriers carriers_for(struct decision *, const char *number);

/* notify.c: sets notifications, recipients and restrictions */
void notify_decide(struct decision *);
void restrictions_decide(struct decision *);
bool notifies(const struct decision *); /* the policy and the rule want it */

/* announce.c */
void notice_decide(struct decision *); /* sets notice */
/* Member "announcement": null but for test calls. */
void announcement_write(struct decision *, struct json_text *, const struct presented *,
			const struct place *seen);

#endif
