/*
 * Who is told of the call (47 CFR 9.16), and what the agent's client may do during it.
 */
#include "decision.h"

#include <stdio.h>

bool notifies(const struct decision *d)
{
	return setting(d, POLICY_NOTIFY_MODE) != NOTIFY_NONE &&
	       !json_is_false(json_object_get(d->rule, "notify"));
}

/* Those who list dial strings hear of these alone; the others of every call but tests. */
static bool is_told(const struct decision *d, const json_t *recipient)
{
	const json_t *strings = member(recipient, "dial_strings"), *v;
	size_t i;

	if (json_array_size(strings) == 0)
		return !d->out->test;
	json_array_foreach (strings, i, v)
		if (same(json_string_value(v), d->out->dial_string) ||
		    same(json_string_value(v), d->dialed))
			return true;
	return false;
}

/* A phone is rung by the platform that carries the call; the others are for us to tell. */
static void write_recipient(struct json_text *t, const json_t *recipient)
{
	if (text(recipient, "id") == NULL || same(text(recipient, "channel"), "phone"))
		return;
	json_text_open(t, NULL, '{');
	json_text_value(t, "id", json_object_get(recipient, "id"));
	json_text_value(t, "channel", json_object_get(recipient, "channel"));
	json_text_close(t, '}');
}

void notify_decide(struct decision *d)
{
	const json_t *recipients = member(d->context, "recipients"), *r;
	const bool told = notifies(d);
	struct json_text t, ours;
	char count[24];
	size_t i, n = 0;

	json_text_start(&t, d->arena, 240);
	json_text_open(&t, NULL, '[');
	json_text_start(&ours, d->arena, 120);
	json_text_open(&ours, NULL, '[');
	json_array_foreach (recipients, i, r) {
		if (!told || !is_told(d, r))
			continue;
		json_text_open(&t, NULL, '{');
		json_text_value(&t, "channel", json_object_get(r, "channel"));
		json_text_value(&t, "address", json_object_get(r, "address"));
		json_text_value(&t, "mode", json_object_get(r, "mode"));
		json_text_close(&t, '}');
		write_recipient(&ours, r);
		n++;
	}
	json_text_close(&t, ']');
	json_text_close(&ours, ']');
	d->notifications = json_text_end(&t);
	d->recipients = json_text_end(&ours);

	trace_policy(d, POLICY_NOTIFY_MODE);
	(void)snprintf(count, sizeof(count), "%zu told", n);
	trace_field(d, "notifications", count, POLICY_NOTIFY_MODE,
		    told ? (d->out->test
				    ? "Of a test call, recipients that list its dial string."
				    : "Recipients of site and tenant that want this dial string.")
		    : d->rule != NULL && json_is_false(json_object_get(d->rule, "notify"))
			    ? "The dial rule tells nobody."
			    : "The policy tells nobody.");
}

/* --- restrictions -------------------------------------------------------------------------------- */

static void write_set(struct json_text *t, const struct policy *policy, enum policy_field field)
{
	json_text_open(t, policy_name(field), '[');
	for (long i = 0; policy->of[field].number >> i != 0; i++) {
		size_t length;
		const char *word;

		if ((policy->of[field].number & 1L << i) == 0)
			continue;
		word = policy_word(field, i, &length);
		json_text_stringn(t, NULL, word, length);
	}
	json_text_close(t, ']');
}

void restrictions_decide(struct decision *d)
{
	const struct policy *policy = &d->out->policy;
	struct json_text t;

	json_text_start(&t, d->arena, 320);
	json_text_open(&t, NULL, '{');
	write_set(&t, policy, POLICY_BLOCKED_OPERATIONS);
	write_set(&t, policy, POLICY_VISIBLE_CONTROLS);
	json_text_string(&t, "incoming_calls",
			 policy->of[POLICY_BLOCK_INCOMING].number ? "blocked" : "allowed");
	json_text_bool(&t, "record", policy->of[POLICY_RECORD].number != 0);
	json_text_bool(&t, "history", policy->of[POLICY_HISTORY].number != 0);
	json_text_close(&t, '}');
	d->restrictions = json_text_end(&t);
	trace_policy(d, POLICY_BLOCKED_OPERATIONS);
	trace_policy(d, POLICY_BLOCK_INCOMING);
	trace_policy(d, POLICY_RECORD);
	trace_policy(d, POLICY_HISTORY);
}

json_t *plan_restrictions(const struct policy *policy)
{
	static const json_t *const nobody[POLICY_LEVELS];
	struct policy built_in;

	if (policy == NULL) {
		policy_resolve(nobody, false, &built_in);
		policy = &built_in;
	}
	return json_pack(
		"{s:o, s:o, s:s, s:b, s:b}", "blocked_operations",
		policy_value(POLICY_BLOCKED_OPERATIONS, &policy->of[POLICY_BLOCKED_OPERATIONS]),
		"visible_controls",
		policy_value(POLICY_VISIBLE_CONTROLS, &policy->of[POLICY_VISIBLE_CONTROLS]),
		"incoming_calls", policy->of[POLICY_BLOCK_INCOMING].number ? "blocked" : "allowed",
		"record", (int)policy->of[POLICY_RECORD].number, "history",
		(int)policy->of[POLICY_HISTORY].number);
}
