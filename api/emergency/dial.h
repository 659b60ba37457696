/*
 * Dial strings: what an agent dialled, whether it is an emergency number, and what is dialled for
 * it where the caller is.
 *
 * Pure functions of their arguments over one constant table (dial_table.h, generated from
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

#define DIAL_MAX 32 /* characters of a normalised dial string */

struct dial_string {
	char digits[DIAL_MAX + 1]; /* 0-9 * #; + in front of 7 or more digits only (E.164) */
	bool is_sos_urn;	   /* urn:service:sos or one of its subservices; digits is "" */
};

enum dial_outcome { DIAL_EMERGENCY, DIAL_NOT_EMERGENCY };

struct dial_request {
	const char *dialed;	    /* as it came */
	const char *const *regions; /* in order of precedence; NULL and "" entries are skipped */
	size_t n_regions;
	bool is_extension;     /* all of the digits together are an extension of the tenant */
	bool assert_emergency; /* the client says that it is one, whatever the tables say */
};

struct dial_result {
	enum dial_outcome outcome;
	char dial_string[DIAL_MAX + 1]; /* normalised; an assumed prefix is removed */
	char region[3];			/* where it is an emergency number; "" if nowhere */
	bool assumed_prefix;		/* a leading 9 or 0 was taken for the outside-line prefix */
	bool asserted;			/* accepted on the client's word alone */
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
 * The region that stands for this one where numbers, pools, sites, native conveyance and 933 are
 * concerned: US for US PR VI GU AS MP, else the argument itself. Not for emergency numbers.
 */
const char *dial_region_group(const char *region);

/*
 * Decides whether an emergency number was dialled. In this order:
 * 1. an sos URN: the primary of the first known region; 112 and region "" where none is known;
 * 2. an emergency number of a region: in the first region of the list that has it;
 * 3. unless it is an extension: the same after one leading 9 or 0 (assumed_prefix);
 * 4. assert_emergency and anything dialable: accepted as it is (asserted).
 * So an exact match in any region beats a prefix in an earlier one. Otherwise, and when nothing
 * dialable remains, DIAL_NOT_EMERGENCY; dial_string is then what dial_normalise() gives.
 */
void dial_resolve(const struct dial_request *request, struct dial_result *result);

#endif
