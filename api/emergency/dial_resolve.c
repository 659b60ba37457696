/* See dial.h: the last part of it, over the tables of dial.c and the tenant's rules. */
#include "api/emergency/dial.h"

#include <string.h>

#include "api/emergency/dial_rule.h"

#define OF(kind) (1u << (kind))

/* --- rules --------------------------------------------------------------------------------- */

size_t dial_literals(const char *pattern)
{
	size_t n = 0;

	for (; *pattern != '\0'; pattern++)
		n += *pattern != 'x';
	return n;
}

static bool is_literal(const struct dial_entry *rule)
{
	return strchr(rule->pattern, 'x') == NULL;
}

static bool comes_before(const struct dial_entry *a, const struct dial_entry *b)
{
	if (a->site_level != b->site_level)
		return a->site_level;
	return dial_literals(a->pattern) > dial_literals(b->pattern);
}

/* The best of the kinds that matches; literal: only those without a wildcard. */
static size_t best_rule(const struct dial_entry *rules, size_t n, unsigned int kinds, bool literal,
			const char *digits)
{
	size_t best = DIAL_NO_RULE;

	for (size_t i = 0; i < n; i++) {
		const struct dial_entry *rule = &rules[i];

		if ((kinds & OF(rule->kind)) == 0 || rule->pattern == NULL)
			continue;
		/* Exact masks had their turn before. */
		if (rule->kind == DIAL_MASK && is_literal(rule) != literal)
			continue;
		if (!(literal ? strcmp(rule->pattern, digits) == 0
			      : dial_rule_matches(rule->pattern, digits)))
			continue;
		if (best == DIAL_NO_RULE || comes_before(rule, &rules[best]))
			best = i;
	}
	return best;
}

size_t dial_override(const struct dial_entry *rules, size_t n_rules, const char *digits)
{
	return best_rule(rules, n_rules, OF(DIAL_OVERRIDE), true, digits);
}

/* The translation, its x replaced by the digits that those of the pattern matched, in order. */
static void translate(const struct dial_entry *rule, const char *digits, char out[DIAL_MAX + 1])
{
	const char *pattern = rule->pattern;
	size_t n = 0;

	for (const char *t = rule->translation; t != NULL && *t != '\0' && n < DIAL_MAX; t++) {
		if (*t != 'x') {
			out[n++] = *t;
			continue;
		}
		while (*pattern != '\0' && *pattern != 'x') {
			pattern++;
			digits++;
		}
		if (*pattern == '\0')
			continue;
		out[n++] = *digits++;
		pattern++;
	}
	out[n] = '\0';
}

/* --- the steps ----------------------------------------------------------------------------- */

/* digits fits: it is a normalised dial string, a part of one, or out of the table. */
static void put(struct dial_result *result, enum dial_outcome outcome, const char *digits,
		const char *region)
{
	result->outcome = outcome;
	memcpy(result->dial_string, digits, strlen(digits) + 1);
	if (region != NULL)
		memcpy(result->region, region, sizeof(result->region));
}

static void put_emergency(const struct dial_request *request, const char *digits,
			  const char *region, struct dial_result *result)
{
	put(result, DIAL_EMERGENCY, digits, region);
	result->rule = dial_override(request->rules, request->n_rules, digits);
}

static bool is_number(const struct dial_request *request, const char *digits,
		      struct dial_result *result)
{
	for (size_t i = 0; i < request->n_regions; i++) {
		const char *region = request->regions[i];
		const char *test = dial_test_number(region);

		if (dial_is_emergency(region, digits)) {
			put_emergency(request, digits, region, result);
			return true;
		}
		if (test != NULL && strcmp(test, digits) == 0) {
			put(result, DIAL_TEST_CALL, digits, region);
			return true;
		}
	}
	return false;
}

static bool takes_rule(const struct dial_request *request, const char *digits, unsigned int kinds,
		       struct dial_result *result);

/* What the mask stands for, where that is a number of the regions or of another rule. */
static bool takes_mask(const struct dial_request *request, size_t mask, const char *digits,
		       struct dial_result *result)
{
	char translation[DIAL_MAX + 1];
	struct dial_string to;

	translate(&request->rules[mask], digits, translation);
	if (!dial_normalise(translation, &to) || to.is_sos_urn)
		return false;
	if (!is_number(request, to.digits, result) &&
	    !takes_rule(request, to.digits, OF(DIAL_CUSTOM) | OF(DIAL_TEST), result))
		return false;
	result->mask = mask;
	return true;
}

static bool takes_rule(const struct dial_request *request, const char *digits, unsigned int kinds,
		       struct dial_result *result)
{
	const size_t i = best_rule(request->rules, request->n_rules, kinds, false, digits);

	if (i == DIAL_NO_RULE)
		return false;
	if (request->rules[i].kind == DIAL_MASK)
		return takes_mask(request, i, digits, result);
	put(result, request->rules[i].kind == DIAL_TEST ? DIAL_TEST_CALL : DIAL_CUSTOM_NUMBER,
	    digits, NULL);
	result->rule = i;
	translate(&request->rules[i], digits, result->translation);
	return true;
}

static void take_sos_urn(const struct dial_request *request, struct dial_result *result)
{
	for (size_t i = 0; i < request->n_regions; i++) {
		const char *region = request->regions[i];

		if (dial_region_known(region)) {
			put_emergency(request, dial_primary(region), region, result);
			return;
		}
	}
	put_emergency(request, DIAL_GENERAL, NULL, result);
}

static void take_test_urn(const struct dial_request *request, struct dial_result *result)
{
	for (size_t i = 0; i < request->n_regions; i++) {
		const char *test = dial_test_number(request->regions[i]);

		if (test != NULL) {
			put(result, DIAL_TEST_CALL, test, request->regions[i]);
			return;
		}
	}
	put(result, DIAL_TEST_CALL, DIAL_TEST_SOS, NULL);
}

static bool takes_prefix(const struct dial_request *request, const char *digits,
			 struct dial_result *result)
{
	result->assumed_prefix = !request->is_extension && (*digits == '9' || *digits == '0') &&
				 is_number(request, digits + 1, result);
	return result->assumed_prefix;
}

static const struct dial_result nothing = {
	.outcome = DIAL_NOT_EMERGENCY,
	.mask = DIAL_NO_RULE,
	.rule = DIAL_NO_RULE,
};

static bool is_emergency_somewhere(const struct dial_request *request, const char *digits)
{
	for (size_t i = 0; i < request->n_regions; i++)
		if (dial_is_emergency(request->regions[i], digits))
			return true;
	return false;
}

/* The mask of exactly these digits. One that was allowed where it was made may meet an emergency number
   of another region: it takes none away, but may only stand for another emergency number. */
static bool takes_exact_mask(const struct dial_request *request, const char *digits,
			     struct dial_result *result)
{
	const size_t mask =
		best_rule(request->rules, request->n_rules, OF(DIAL_MASK), true, digits);

	if (mask == DIAL_NO_RULE || !takes_mask(request, mask, digits, result))
		return false;
	if (result->outcome == DIAL_EMERGENCY || !is_emergency_somewhere(request, digits))
		return true;
	*result = nothing;
	return false;
}

void dial_resolve(const struct dial_request *request, struct dial_result *result)
{
	struct dial_string dialed;

	*result = nothing;
	if (dial_is_test_urn(request->dialed)) {
		take_test_urn(request, result);
		return;
	}
	if (!dial_normalise(request->dialed, &dialed))
		return;
	if (dialed.is_sos_urn) {
		take_sos_urn(request, result);
		return;
	}
	if (takes_exact_mask(request, dialed.digits, result) ||
	    is_number(request, dialed.digits, result) ||
	    takes_rule(request, dialed.digits, OF(DIAL_MASK) | OF(DIAL_CUSTOM) | OF(DIAL_TEST),
		       result) ||
	    takes_prefix(request, dialed.digits, result))
		return;
	put(result, request->assert_emergency ? DIAL_EMERGENCY : DIAL_NOT_EMERGENCY, dialed.digits,
	    NULL);
	result->asserted = request->assert_emergency;
}
