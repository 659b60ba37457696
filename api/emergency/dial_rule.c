#include "api/emergency/dial_rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/emergency/dial.h"

/* Callers of a public number wait no longer than this for the safety team (policy field). */
#define MAX_HOLD_PUBLIC 60

static bool fault_at(struct dial_rule_fault *fault, enum dial_rule_error error, const char *member,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static bool fault_at(struct dial_rule_fault *fault, enum dial_rule_error error, const char *member,
		     const char *fmt, ...)
{
	va_list ap;

	fault->error = error;
	fault->member = member;
	va_start(ap, fmt);
	(void)vsnprintf(fault->detail, sizeof(fault->detail), fmt, ap);
	va_end(ap);
	return true;
}

/* --- patterns ------------------------------------------------------------------------------ */

static size_t wildcards(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += *s == 'x';
	return n;
}

/* + and 2 to 15 of the characters in digits, the first of them 1-9; or 1 to 32 of 0-9 * # x. */
static bool is_dialable(const char *s, const char *digits)
{
	size_t n;

	if (*s == '+') {
		n = strspn(s + 1, digits);
		return s[1] >= '1' && s[1] <= '9' && n >= 2 && n <= 15 && s[1 + n] == '\0';
	}
	n = strspn(s, "0123456789*#x");
	return n >= 1 && n <= DIAL_MAX && s[n] == '\0';
}

bool dial_rule_is_carrier_pattern(const char *s)
{
	return strcmp(s, ".*") == 0 || (*s != '+' && is_dialable(s, ""));
}

/* Whether two characters of patterns can stand for the same dialled one. */
static bool meets(char a, char b)
{
	if (a == 'x')
		return b == 'x' || (b >= '0' && b <= '9');
	return a == b || (b == 'x' && a >= '0' && a <= '9');
}

bool dial_rule_overlap(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0' && meets(*a, *b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

bool dial_rule_matches(const char *pattern, const char *digits)
{
	return strchr(digits, 'x') == NULL && dial_rule_overlap(pattern, digits);
}

bool dial_rule_short_code(const char *pattern, const char *region, char code[4])
{
	const char *at = dial_short_codes(region);

	for (; *at != '\0'; at += at[3] == '\0' ? 3 : 4) {
		memcpy(code, at, 3);
		code[3] = '\0';
		if (dial_rule_matches(pattern, code))
			return true;
	}
	return false;
}

/* --- by itself ----------------------------------------------------------------------------- */

static bool is_kind(const struct dial_rule *rule, const char *kind)
{
	return strcmp(rule->kind, kind) == 0;
}

static bool wrong_translation(const struct dial_rule *rule, struct dial_rule_fault *fault)
{
	static const char member[] = "/translation";
	const char *to = rule->translation;

	if (is_kind(rule, "mask") && to == NULL)
		return fault_at(fault, DIAL_RULE_REQUIRED, member,
				"is required: a mask is dialled for another dial string");
	if (to == NULL)
		return false;
	if (is_kind(rule, "override"))
		return fault_at(fault, DIAL_RULE_INVALID, member,
				"must be null: an override keeps the emergency number");
	if (!is_dialable(to, "0123456789x"))
		return fault_at(
			fault, DIAL_RULE_INVALID, member,
			"must be 1 to 32 of the characters 0-9, *, # and x, or an E.164 number");
	if (is_kind(rule, "mask") && *to == '+')
		return fault_at(
			fault, DIAL_RULE_INVALID, member,
			"must be a dial string: a mask stands for one, not for a phone number");
	if (wildcards(to) > wildcards(rule->pattern))
		return fault_at(fault, DIAL_RULE_INVALID, member,
				"must not have more x than the pattern, whose digits they take");
	return false;
}

static bool wrong_pattern(const struct dial_rule *rule, struct dial_rule_fault *fault)
{
	static const char member[] = "/pattern";

	if (!is_dialable(rule->pattern, "0123456789"))
		return fault_at(
			fault, DIAL_RULE_INVALID, member,
			"must be 1 to 32 of the characters 0-9, *, # and x, or an E.164 number");
	if (wildcards(rule->pattern) > DIAL_RULE_WILDCARDS)
		return fault_at(fault, DIAL_RULE_INVALID, member, "must have at most %d x",
				DIAL_RULE_WILDCARDS);
	if (is_kind(rule, "override") &&
	    strspn(rule->pattern, "0123456789") < strlen(rule->pattern))
		return fault_at(fault, DIAL_RULE_INVALID, member,
				"must be an emergency number, as the kind is override");
	return false;
}

static bool wrong_hold(const struct dial_rule *rule, struct dial_rule_fault *fault)
{
	if (rule->max_hold_seconds <= MAX_HOLD_PUBLIC ||
	    (!is_kind(rule, "mask") && !is_kind(rule, "override")))
		return false;
	return fault_at(fault, DIAL_RULE_INVALID, "/max_hold_seconds",
			"must be at most %d, as the kind is %s", MAX_HOLD_PUBLIC, rule->kind);
}

size_t dial_rule_faults(const struct dial_rule *rule,
			struct dial_rule_fault faults[DIAL_RULE_FAULTS])
{
	size_t n = 0;

	n += wrong_pattern(rule, &faults[n]);
	n += wrong_translation(rule, &faults[n]);
	n += wrong_hold(rule, &faults[n]);
	return n;
}

bool dial_rule_lacks_translation(const struct dial_rule *rule, struct dial_rule_fault *fault)
{
	const char *route = rule->route;

	if (!is_kind(rule, "custom") || rule->translation != NULL ||
	    (route != NULL && strcmp(route, "psap_only") != 0 &&
	     strcmp(route, "psap_and_team") != 0))
		return false;
	return fault_at(
		fault, DIAL_RULE_TRANSLATION_REQUIRED, "/translation",
		"is required: %s goes out to the public network, where the pattern is no number",
		route != NULL ? route : "the route of the policy");
}

/* --- against the numbers of its regions ---------------------------------------------------- */

/* An emergency number can be dialled under another name, and cannot be taken away. */
static bool masks_emergency(const struct dial_rule *rule, const char *region,
			    struct dial_rule_fault *fault)
{
	if (!dial_is_emergency(region, rule->pattern) ||
	    dial_is_emergency(region, rule->translation))
		return false;
	return fault_at(fault, DIAL_RULE_CONFLICT, "/pattern",
			"is %s, an emergency number of %s: its translation must be one too",
			rule->pattern, region);
}

static bool takes_number(const struct dial_rule *rule, const char *region,
			 struct dial_rule_fault *fault)
{
	const char *test = is_kind(rule, "custom") ? dial_test_number(region) : NULL;
	const char *const *numbers;
	const size_t n = dial_numbers(region, &numbers);

	for (size_t i = 0; i < n; i++)
		if (dial_rule_matches(rule->pattern, numbers[i]))
			return fault_at(fault, DIAL_RULE_CONFLICT, "/pattern",
					"matches %s, an emergency number of %s", numbers[i],
					region);
	if (test != NULL && dial_rule_matches(rule->pattern, test))
		return fault_at(fault, DIAL_RULE_CONFLICT, "/pattern",
				"matches %s, the test number of %s", test, region);
	return false;
}

bool dial_rule_conflicts(const struct dial_rule *rule, const char *const *regions, size_t n_regions,
			 struct dial_rule_fault *fault)
{
	const bool override = is_kind(rule, "override");

	for (size_t i = 0; i < n_regions; i++) {
		if (override && dial_is_emergency(regions[i], rule->pattern))
			return false;
		if (is_kind(rule, "mask") && masks_emergency(rule, regions[i], fault))
			return true;
		if (!override && !is_kind(rule, "mask") && takes_number(rule, regions[i], fault))
			return true;
	}
	if (override)
		return fault_at(fault, DIAL_RULE_INVALID, "/pattern",
				"is no emergency number of %s, and an override is of one",
				n_regions == 1 ? regions[0] : "any region of the tenant");
	return false;
}
