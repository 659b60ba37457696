#include "api/emergency/dial.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/emergency/dial_table.h"

/* No emergency number of the table has more digits: a + before so few of them is a slip. */
#define DIAL_SHORT 6

/* --- normalising --------------------------------------------------------------------------- */

struct dial_span {
	const char *p;
	const char *end;
};

static bool dial_starts(const struct dial_span *span, const char *prefix)
{
	size_t n = strlen(prefix);

	return (size_t)(span->end - span->p) >= n && strncasecmp(span->p, prefix, n) == 0;
}

static bool dial_skip(struct dial_span *span, const char *prefix)
{
	if (!dial_starts(span, prefix))
		return false;
	span->p += strlen(prefix);
	return true;
}

/* Ends the span before the first of the characters in stop. */
static void dial_cut(struct dial_span *span, const char *stop)
{
	const char *p = span->p;

	while (p < span->end && strchr(stop, *p) == NULL)
		p++;
	span->end = p;
}

/* What stands in the last <> (a display name in front may hold a < of its own), without blanks. */
static struct dial_span dial_trim(const char *dialed)
{
	struct dial_span span = { dialed, dialed + strlen(dialed) };
	const char *open = strrchr(dialed, '<');

	if (open != NULL) {
		span.p = open + 1;
		dial_cut(&span, ">");
	}
	while (span.p < span.end && *span.p == ' ')
		span.p++;
	while (span.p < span.end && span.end[-1] == ' ')
		span.end--;
	return span;
}

static bool dial_is_urn(struct dial_span span, const char *urn)
{
	if (!dial_skip(&span, urn))
		return false;
	/* .police and so on, or a parameter or ?+ component; but not another label: "sosfoo" */
	return span.p == span.end || strchr(".;?#", *span.p) != NULL;
}

/* The telephone number in a tel: or sip: URI, or in a bare string. */
static void dial_unwrap(struct dial_span *span)
{
	if (dial_skip(span, "sip:") || dial_skip(span, "sips:")) {
		dial_skip(span, "//");
		dial_cut(span, "@;:?"); /* the user part may have a password and tel parameters */
	} else if (dial_skip(span, "tel:")) {
		dial_skip(span, "//"); /* not RFC 3966, but common */
		dial_cut(span, "@;?");
	} else {
		dial_cut(span, "@;");
	}
}

static int dial_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The next character, with %XX decoded (# has no other form in a SIP user part, RFC 3261 25.1). */
static char dial_next(struct dial_span *span)
{
	char c = *span->p++;

	if (c == '%' && span->end - span->p >= 2) {
		int high = dial_hex(span->p[0]);
		int low = dial_hex(span->p[1]);

		if (high >= 0 && low >= 0 && high < 8) {
			span->p += 2;
			return (char)(high * 16 + low);
		}
	}
	return c;
}

static bool dial_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Copies the dialable characters; false at any other one, when there are too many, or none. */
static bool dial_copy(struct dial_span span, char digits[DIAL_MAX + 1])
{
	bool plus = false;
	bool all_digits = true;
	size_t n = 0;

	while (span.p < span.end) {
		char c = dial_next(&span);

		if (c == '-' || c == '.' || c == '(' || c == ')' || c == ' ')
			continue;
		if (c == '+' && n == 0 && !plus) {
			plus = true;
			continue;
		}
		if ((!dial_is_digit(c) && c != '*' && c != '#') || n == DIAL_MAX)
			return false;
		all_digits = all_digits && dial_is_digit(c);
		digits[n++] = c;
	}
	if (plus && n > DIAL_SHORT) {
		if (!all_digits || n == DIAL_MAX)
			return false;
		memmove(digits + 1, digits, n++);
		digits[0] = '+';
	}
	digits[n] = '\0';
	return n > 0;
}

bool dial_normalise(const char *dialed, struct dial_string *out)
{
	struct dial_span span;

	*out = (struct dial_string){ .is_sos_urn = false };
	if (dialed == NULL)
		return false;
	span = dial_trim(dialed);
	if (dial_is_urn(span, DIAL_SOS)) {
		out->is_sos_urn = true;
		return true;
	}
	dial_unwrap(&span);
	if (!dial_copy(span, out->digits)) {
		*out = (struct dial_string){ .is_sos_urn = false };
		return false;
	}
	return true;
}

bool dial_is_test_urn(const char *dialed)
{
	return dialed != NULL && dial_is_urn(dial_trim(dialed), DIAL_TEST_SOS);
}

/* --- the table ----------------------------------------------------------------------------- */

static int dial_compare(const void *code, const void *region)
{
	return strcmp(code, ((const struct dial_region *)region)->code);
}

static int dial_compare_codes(const void *code, const void *region)
{
	return strcmp(code, ((const struct dial_codes *)region)->code);
}

static const struct dial_region *dial_lookup(const char *region)
{
	if (region == NULL)
		return NULL;
	return bsearch(region, dial_regions, sizeof(dial_regions) / sizeof(dial_regions[0]),
		       sizeof(dial_regions[0]), dial_compare);
}

static bool dial_lists(const struct dial_region *region, const char *digits)
{
	for (size_t i = 0; i < region->n_numbers; i++)
		if (strcmp(region->numbers[i], digits) == 0)
			return true;
	return false;
}

bool dial_region_known(const char *region)
{
	return dial_lookup(region) != NULL;
}

bool dial_is_emergency(const char *region, const char *digits)
{
	const struct dial_region *known = dial_lookup(region);

	return known != NULL && digits != NULL && dial_lists(known, digits);
}

size_t dial_numbers(const char *region, const char *const **numbers)
{
	const struct dial_region *known = dial_lookup(region);

	*numbers = known != NULL ? known->numbers : NULL;
	return known != NULL ? known->n_numbers : 0;
}

const char *dial_primary(const char *region)
{
	const struct dial_region *known = dial_lookup(region);

	return known != NULL ? known->primary : NULL;
}

const char *dial_for_location(const char *region, const char *digits)
{
	const struct dial_region *known = dial_lookup(region);

	if (known == NULL)
		return digits;
	if (strcmp(digits, DIAL_GENERAL) != 0 && dial_lists(known, digits))
		return digits;
	return known->primary;
}

const char *dial_short_codes(const char *region)
{
	const struct dial_codes *known = NULL;

	if (region != NULL)
		known = bsearch(dial_region_group(region), dial_code_lists,
				sizeof(dial_code_lists) / sizeof(dial_code_lists[0]),
				sizeof(dial_code_lists[0]), dial_compare_codes);
	return known != NULL ? known->short_codes : "";
}

const char *dial_test_number(const char *region)
{
	if (region == NULL)
		return NULL;
	region = dial_region_group(region);
	return strcmp(region, "US") == 0 || strcmp(region, "CA") == 0 ? "933" : NULL;
}

const char *dial_region_group(const char *region)
{
	static const char *const us[] = { "PR", "VI", "GU", "AS", "MP" };

	for (size_t i = 0; region != NULL && i < sizeof(us) / sizeof(us[0]); i++)
		if (strcmp(region, us[i]) == 0)
			return "US";
	return region;
}
