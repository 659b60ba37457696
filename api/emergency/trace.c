/*
 * Why: the steps of a decision in the order in which they were taken, and its warnings, each of which
 * is a step too. A person must be able to answer "which policy won?" from it.
 */
#include "decision.h"

#include <stdio.h>

static void write_step(struct decision *d, const char *step, const char *outcome,
		       const char *because, enum policy_level level)
{
	json_text_open(&d->trace, NULL, '{');
	json_text_string(&d->trace, "step", step);
	json_text_string(&d->trace, "outcome", outcome);
	json_text_string(&d->trace, "because", because);
	if (level != NO_LEVEL)
		json_text_string(&d->trace, "level", policy_level_name(level));
	json_text_close(&d->trace, '}');
}

void trace_step(struct decision *d, const char *step, const char *outcome, const char *because)
{
	write_step(d, step, outcome, because, NO_LEVEL);
}

void trace_field(struct decision *d, const char *step, const char *outcome, enum policy_field field,
		 const char *because)
{
	write_step(d, step, outcome, because, d->out->policy.of[field].level);
}

/* The value in a word or two: what is too long for that is only said to be set. */
static const char *value_of(struct decision *d, enum policy_field field, char number[24])
{
	const struct policy_setting *s = &d->out->policy.of[field];
	size_t length;
	const char *word;

	switch (policy_type(field)) {
	case POLICY_CHOICE:
		word = policy_word(field, s->number, &length);
		return arena_strndup(d->arena, word, length);
	case POLICY_BOOL: return s->number != 0 ? "true" : "false";
	case POLICY_INTEGER: (void)snprintf(number, 24, "%ld", s->number); return number;
	case POLICY_SET: return s->number != 0 ? "set" : "empty";
	case POLICY_DESTINATION:
	case POLICY_TIME: break;
	}
	return s->json != NULL ? "set" : "not set";
}

void trace_policy(struct decision *d, enum policy_field field)
{
	const struct policy_setting *s = &d->out->policy.of[field];
	const char *id = s->policy_id != NULL ? s->policy_id : "";
	const char *because = "No policy of the user, the site or the tenant says otherwise.";
	const char *value;
	char number[24];

	if (s->preset != NULL)
		because = text_join(d->arena, "The preset ", s->preset, " of policy ", id,
				    " of the ", policy_level_name(s->level), " says so.", NULL);
	else if (s->level != LEVEL_BUILT_IN)
		because = text_join(d->arena, "Policy ", id, " of the ",
				    policy_level_name(s->level), " says so.", NULL);
	value = value_of(d, field, number);
	trace_field(
		d, "policy",
		text_join(d->arena, policy_name(field), " = ", value != NULL ? value : "", NULL),
		field, because);
}

/* --- warnings ------------------------------------------------------------------------------------ */

/* Rungs repeat what holds for several of them: the trace says it once. */
static void trace_warning(struct decision *d, const char *step, const char *code,
			  const char *detail)
{
	for (size_t i = 0; i < d->n_traced; i++)
		if (same(d->traced[i].code, code) && same(d->traced[i].detail, detail))
			return;
	if (d->n_traced < MAX_TRACED)
		d->traced[d->n_traced++] = (struct warning){ code, detail };
	trace_step(d, step, code, detail);
}

void warn_below(struct decision *d, struct warnings *w, const char *step, const char *code,
		const char *detail, const char *because)
{
	trace_warning(d, step, code, because);
	if (w->n < MAX_WARNINGS)
		w->of[w->n++] = (struct warning){ code, detail };
}

void warn_rung(struct decision *d, struct warnings *w, const char *step, const char *code,
	       const char *detail)
{
	warn_below(d, w, step, code, detail, detail);
}

static void write_warning(struct json_text *t, const char *code, const char *detail)
{
	json_text_open(t, NULL, '{');
	json_text_string(t, "code", code);
	json_text_string(t, "detail", detail);
	json_text_close(t, '}');
}

void warn_call(struct decision *d, const char *step, const char *code, const char *detail)
{
	trace_warning(d, step, code, detail);
	write_warning(&d->warnings, code, detail);
}

void write_warnings(struct json_text *t, const struct warnings *w)
{
	json_text_open(t, "warnings", '[');
	for (size_t i = 0; i < w->n; i++)
		write_warning(t, w->of[i].code, w->of[i].detail);
	json_text_close(t, ']');
}
