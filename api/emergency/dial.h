/*
 * Dial strings: what an agent dialled, whether it is an emergency number, and what is dialled for
 * it where the caller is.
 *
 * Pure functions of their arguments over constant tables (dial_table.h, generated from
 * libphonenumber's ShortNumberMetadata). Nothing is allocated and nothing is kept: results are
 * written into the caller's structs, returned strings are static unless said otherwise. Any number
 * of threads may call them at once.
 *
 * A region is an ISO 3166-1 alpha-2 code in upper case; NULL, "", lower case and regions without an
 * entry are unknown, which is never an error. A number is a string of digits, never an integer:
 * "000" and "0" + "00" differ. Numbers match exactly or not at all: "9112" is not "911".
 */
#ifndef SWITCHBACK_DIAL_H
#define SWITCHBACK_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIAL_MAX 32	   /* characters of a normalised dial string */
#define DIAL_GENERAL "112" /* 3GPP TS 22.101: the emergency number of every mobile network */
#define DIAL_SOS "urn:service:sos"
#define DIAL_TEST_SOS "urn:service:test.sos"

struct dial_string {
	char digits[DIAL_MAX + 1]; /* 0-9 * #; + in front of 7 or more digits only (E.164) */
	bool is_sos_urn;	   /* urn:service:sos or one of its subservices; digits is "" */
};

enum dial_kind { DIAL_MASK, DIAL_CUSTOM, DIAL_TEST, DIAL_OVERRIDE };

/* A dial rule of the tenant, as far as it says what was dialled (dial_rule.h has its syntax). */
struct dial_entry {
	enum dial_kind kind;
	bool site_level;	 /* of the caller's site: before those of the tenant */
	const char *pattern;	 /* NULL: matches nothing */
	const char *translation; /* NULL: none */
};

enum dial_outcome {
	DIAL_EMERGENCY,	    /* an emergency number, or one by the client's word */
	DIAL_TEST_CALL,	    /* a test number of the region or of the tenant's rules */
	DIAL_CUSTOM_NUMBER, /* of the tenant's rules */
	DIAL_NOT_EMERGENCY,
};

#define DIAL_NO_RULE SIZE_MAX

struct dial_request {
	const char *dialed;	    /* as it came */
	const char *const *regions; /* in order of precedence; NULL and "" entries are skipped */
	size_t n_regions;
	const struct dial_entry *rules; /* the oldest first */
	size_t n_rules;
	bool is_extension;     /* all of the digits together are an extension of the tenant */
	bool assert_emergency; /* the client says that it is one, whatever the tables say */
};

struct dial_result {
	enum dial_outcome outcome;
	char dial_string[DIAL_MAX +
			 1]; /* normalised; a mask is applied, an assumed prefix removed */
	char region[3];	     /* where it is an emergency or test number; "" if nowhere */
	bool assumed_prefix; /* a leading 9 or 0 was taken for the outside-line prefix */
	bool asserted;	     /* accepted on the client's word alone */
	size_t mask;	     /* index of the mask that was applied, or DIAL_NO_RULE */
	size_t rule;	     /* index of its custom, test or override rule, or DIAL_NO_RULE */
	char translation[DIAL_MAX + 1]; /* what a custom or test rule dials instead; "": nothing */
};

/*
 * Normalises what was dialled: takes it out of <>, "tel:", "sip:" and "sips:" (the user part;
 * without password, parameters, host and headers), decodes %XX, drops the visual separators
 * - . ( ) of RFC 3966 and spaces, and a + before a short number (6 digits at most). Schemes and
 * URNs in any case (RFC 3986, RFC 8141). urn:service:sos and everything below it (RFC 5031) gives
 * is_sos_urn; urn:service:test.sos is not one.
 * False, with an empty *out, when nothing dialable remains: NULL, empty, any other character, or
 * more than DIAL_MAX of them.
 */
bool dial_normalise(const char *dialed, struct dial_string *out);

/* Whether it is urn:service:test.sos or below it. */
bool dial_is_test_urn(const char *dialed);

/* Whether the table has emergency numbers for the region. */
bool dial_region_known(const char *region);

/* Whether digits is, as a whole, an emergency number of the region. NULL: false. */
bool dial_is_emergency(const char *region, const char *digits);

/* The region's emergency numbers, sorted; returns how many. Unknown: 0 and *numbers = NULL. */
size_t dial_numbers(const char *region, const char *const **numbers);

/*
 * The region's general emergency number, for a caller who named no service: 911 in the North
 * American numbering plan where listed, else 112 where listed and reachable from a trunk (in AU it
 * is not: 000), else the most general one; the choice is made in tests/tools/dial-table.mjs.
 * Unknown: NULL.
 */
const char *dial_primary(const char *region);

/*
 * What is dialled to the carrier for an emergency call when the caller is in this region: the
 * number itself if it is the region's, else the region's primary. 112 is the general number
 * wherever mobile phones go (3GPP TS 22.101), so it always becomes the primary: 911 in the US.
 * Unknown region: the digits as they are. Returns digits or a static string.
 * Only for emergency numbers: an asserted or custom number would become the primary too.
 */
const char *dial_for_location(const char *region, const char *digits);

/*
 * Public short codes of the region that are no emergency numbers, such as 711 in the US: sorted,
 * three digits each, a space between them; its territories have those of the US. "": none known.
 */
const char *dial_short_codes(const char *region);

/* The number that plays back what an emergency call would present; NULL: the region has none. */
const char *dial_test_number(const char *region);

/*
 * The region that stands for this one where numbers, pools, sites, native conveyance and 933 are
 * concerned: US for US PR VI GU AS MP, else the argument itself. Not for emergency numbers.
 */
const char *dial_region_group(const char *region);

/*
 * Decides what was dialled (dial_resolve.c). In this order:
 * 1. an sos URN: the primary of the first known region; 112 and region "" where none is known. A
 *    test.sos URN: the test number of the first region that has one, else the URN itself;
 * 2. a mask of exactly these digits, before anything else: what it stands for goes through 3 and 4;
 * 3. an emergency or test number of a region: in the first region of the list that has it. An
 *    emergency number takes the override rule of exactly this number;
 * 4. the best rule that matches, custom, test or a mask with wildcards: the site's before the
 *    tenant's, then the most literal, then the oldest;
 * 5. unless it is an extension: 3 after one leading 9 or 0 (assumed_prefix);
 * 6. assert_emergency and anything dialable: accepted as it is (asserted).
 * So an exact match in any region beats a prefix in an earlier one. A mask is applied once, and only
 * where it leads to a number of 3 or 4: one that leads nowhere takes no emergency number away.
 * Otherwise, and when nothing dialable remains, DIAL_NOT_EMERGENCY; dial_string is then what
 * dial_normalise() gives.
 */
void dial_resolve(const struct dial_request *request, struct dial_result *result);

/* The override rule of exactly these digits: the site's before the tenant's; or DIAL_NO_RULE. */
size_t dial_override(const struct dial_entry *rules, size_t n_rules, const char *digits);

/* How many characters of a pattern are no wildcard: what makes it the more literal one. */
size_t dial_literals(const char *pattern);

#endif
