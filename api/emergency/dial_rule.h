/*
 * Dial rules of a tenant: what a rule may say by itself, and against the numbers of its regions.
 *
 * Pure functions of their arguments; any number of threads. A pattern is 1 to 32 of the characters
 * 0-9 * # x, where x is any digit, or one +E.164 number. A translation is the same with x allowed
 * in an E.164 number too: its first x takes the first digit that an x of the pattern matched, and so
 * on. A pattern matches a dial string as a whole: nothing is a prefix.
 */
#ifndef SWITCHBACK_DIAL_RULE_H
#define SWITCHBACK_DIAL_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define DIAL_RULE_WILDCARDS 15 /* at most so many x: no phone number has more digits */

struct dial_rule {
	const char *kind; /* mask | custom | test | override */
	const char *pattern;
	const char *translation; /* NULL: none */
	const char *route;	 /* NULL: inherited from the policy */
	int max_hold_seconds;	 /* 0: inherited */
};

enum dial_rule_error {
	DIAL_RULE_INVALID,
	DIAL_RULE_REQUIRED,
	DIAL_RULE_CONFLICT,
	DIAL_RULE_TRANSLATION_REQUIRED,
};

struct dial_rule_fault {
	enum dial_rule_error error;
	const char *member; /* static */
	char detail[160];
};

/* Whether it is a pattern of a carrier route: the same without +E.164, or the catch-all ".*". */
bool dial_rule_is_carrier_pattern(const char *s);

/* Whether the pattern matches the dial string, all of it. */
bool dial_rule_matches(const char *pattern, const char *digits);

/* Whether some dial string is matched by both. */
bool dial_rule_overlap(const char *a, const char *b);

#define DIAL_RULE_FAULTS 3

/* What the rule breaks by itself; the custom rule that leaves without a translation apart. Returns
   how many faults, at most one a member. kind and route must be values that there are. */
size_t dial_rule_faults(const struct dial_rule *, struct dial_rule_fault faults[DIAL_RULE_FAULTS]);

/* Whether it goes against emergency or test numbers of the regions that it holds in: those of its
   site, or of the tenant and all of its sites. A region without a table has no numbers. False, with
   *fault untouched, where not. */
bool dial_rule_conflicts(const struct dial_rule *, const char *const *regions, size_t n_regions,
			 struct dial_rule_fault *fault);

/* A custom rule goes out to the public network by psap_only, psap_and_team and whatever the policy
   says (no route): then there must be a number to dial there. */
bool dial_rule_lacks_translation(const struct dial_rule *, struct dial_rule_fault *fault);

/* The first public short code of the region that the pattern matches: three digits and NUL. */
bool dial_rule_short_code(const char *pattern, const char *region, char code[4]);

#endif
