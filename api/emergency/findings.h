/*
 * READINESS: is everything set up so that an emergency call of this user will work, and if not, what
 * is missing and how is it mended (api.md 7)? It places the call in thought: the decision is that of
 * plan.h, made as for a call of the user's first endpoint to the region's own emergency number, so
 * that what is found is what a call would get. Pure: no I/O, no clock; any thread.
 *
 * Findings of severity error: the call, its callback or its location goes wrong. Warnings: it works,
 * but worse than it could, or nobody has said that it does.
 */
#ifndef SB_FINDINGS_H
#define SB_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "json_text.h"

enum finding_kind {
	FINDING_NO_CALLER_ID,
	FINDING_CALLER_ID_MISSING, /* no_caller_id, too: of the choice; another is presented */
	FINDING_POOL_EMPTY,
	FINDING_POOL_SMALL,
	FINDING_POOL_MIXED_TYPES,
	FINDING_REGION_MISMATCH,
	FINDING_NO_ADDRESS,
	FINDING_ADDRESS_STALE,
	FINDING_ADDRESS_DIFFERS, /* address_stale, too: of record is another place */
	FINDING_REMOTE_USER_ON_POOL,
	FINDING_NO_EMERGENCY_CARRIER,
	FINDING_BYOC_NOT_CONFIRMED,
	FINDING_NOT_ON_CARRIER, /* byoc_not_confirmed, too: another carrier's number */
	FINDING_FALLBACK_MISSING,
	FINDING_ANSWERING_POINT_NOT_STAFFED,
	FINDING_ANSWERING_POINT_NOT_DEDICATED,
	FINDING_TEAM_NOT_STAFFED,
	FINDING_PSAP_DISABLED,
	FINDING_PSAP_DELAYED,
	FINDING_PSAP_NOT_REACHED,
	FINDING_OUTBOUND_DISABLED,
	FINDING_LICENSE_MISSING,
	FINDING_ENTERPRISE_VOICE_OFF,
	FINDING_CAPACITY_PROFILE_MISSING,
	FINDING_BROWSER_LOCATION_REGION,
	FINDING_BROWSER_ELSEWHERE, /* browser_location_region, too: not where the calls are */
	FINDING_RESOURCE_ACCOUNT_UNLICENSED,
	FINDING_NO_WEBHOOK_FOR_PRESENCE,
	FINDING_GUEST_CALLS_SEEN,
	FINDING_KINDS
};

struct finding_info {
	const char *code;
	bool error;
	const char *fix;
	const char *warning; /* of the call, which tells it; NULL: found beside it */
	const char *detail;  /* NULL: the warning's, or made where it is found */
};

extern const struct finding_info finding_info[FINDING_KINDS];

struct finding {
	enum finding_kind kind;
	const char *detail; /* in the arena, static, or of the context */
};

struct findings {
	struct finding of[FINDING_KINDS]; /* each kind once, the first that was found */
	size_t n;
};

/*
 * What is said of one user. context: as plan_make() reads it, an address with `stale` where nobody
 * validated it of late, an answering point with `region` of its number; and beside tenant, user and
 * site: endpoint (the first that has not expired, or null), provisioning, extension_only_users (of
 * the site). False: out of memory.
 */
bool findings_of_user(struct arena *, const json_t *context, struct findings *out);

/* What is said of the tenant as a whole; context: presence_webhook (bool), guests (how many). */
void findings_of_tenant(struct arena *, const json_t *context, struct findings *out);

/* No finding is an error. */
bool findings_ready(const struct findings *);

/* Members "ready" and "findings": [{code, severity, detail, fix}]. */
void findings_write(struct json_text *, const struct findings *);

/* How many callback numbers so many extension-only users need, as a rule of thumb: one or two
   numbers support a site with fewer than 100 of them, so two, and one more for every further 100. */
long findings_numbers_for(long extension_only_users);

#endif
