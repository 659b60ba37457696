/*
 * Policies: which fields there are, what is built in, what the presets mean, and which value counts
 * for a call: user over site over tenant over built-in, each field by itself (api.md 2, Policies).
 * Pure; values point into the documents that they were read from. Any thread.
 */
#ifndef SB_POLICY_H
#define SB_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum policy_field {
	POLICY_CALLING,
	POLICY_CALLER_ID,
	POLICY_CALLER_ID_CONTROL,
	POLICY_LEASE_TTL_SECONDS,
	POLICY_TEST_LEASE_TTL_SECONDS,
	POLICY_LEASE_CLOCK,
	POLICY_LEASE_REPEAT,
	POLICY_LEASE_EXHAUSTED,
	POLICY_UNLEASED_CALLBACK,
	POLICY_CALLBACK_GRACE_SECONDS,
	POLICY_CALLBACK_RING,
	POLICY_CALLBACK_NO_ANSWER,
	POLICY_CALLBACK_NO_ANSWER_SECONDS,
	POLICY_ROUTE,
	POLICY_MAX_HOLD_SECONDS,
	POLICY_SAFETY_TEAM,
	POLICY_SIP_GROUP,
	POLICY_RECORD_SAFETY_TEAM,
	POLICY_PSAP_ENABLED,
	POLICY_PSAP_DISABLED_UNTIL,
	POLICY_NOTIFY_MODE,
	POLICY_BLOCKED_OPERATIONS,
	POLICY_VISIBLE_CONTROLS,
	POLICY_BLOCK_INCOMING,
	POLICY_RECORD,
	POLICY_HISTORY,
	POLICY_PRESENCE_LOCK,
	POLICY_PRESENCE_VALUE,
	POLICY_PRESENCE_RESTORE,
	POLICY_MAX_CALL_SECONDS,
	POLICY_RETENTION_SECONDS,
	POLICY_FIELDS
};

/* Values of the fields that are a choice, in the order of their table. */
enum { CALLING_AUTO, CALLING_PRIMARY, CALLING_SHARED };
enum {
	CALLER_ID_NUMBER_POOL,
	CALLER_ID_RECEPTIONIST,
	CALLER_ID_CALL_QUEUE,
	CALLER_ID_RESOURCE_ACCOUNT
};
enum { CONTROL_SWITCHBACK, CONTROL_PLATFORM };
enum { CLOCK_PLACED, CLOCK_ENDED };
enum { REPEAT_RENEW, REPEAT_NEXT };
enum { EXHAUSTED_REUSE_OLDEST, EXHAUSTED_REUSE_FIRST, EXHAUSTED_FALLBACK };
enum {
	UNLEASED_LAST_HOLDER,
	UNLEASED_RESOURCE_ACCOUNT,
	UNLEASED_RECEPTIONIST,
	UNLEASED_CALL_QUEUE,
	UNLEASED_SAFETY_TEAM,
	UNLEASED_FALLBACK
};
enum { RING_BY_PLACING_CLIENT, RING_CCAAS_ONLY, RING_PLACING_ENDPOINT, RING_ALL_ENDPOINTS };
enum { NO_ANSWER_SAFETY_TEAM, NO_ANSWER_FALLBACK, NO_ANSWER_CANDIDATES, NO_ANSWER_NONE };
enum {
	ROUTE_PSAP_ONLY,
	ROUTE_PSAP_AND_TEAM,
	ROUTE_TEAM_ONLY,
	ROUTE_TEAM_THEN_PSAP,
	ROUTE_SIP_GROUP_ONLY,
	ROUTE_TEAM_THEN_SIP_GROUP
};
enum { NOTIFY_NONE, NOTIFY_NOTIFY, NOTIFY_LISTEN, NOTIFY_SPEAK };
enum { PRESENCE_DO_NOT_DISTURB, PRESENCE_BUSY };
enum { RESTORE_CALL_ENDED, RESTORE_SESSION_CLOSED };

enum policy_type {
	POLICY_CHOICE,
	POLICY_INTEGER,
	POLICY_BOOL,
	POLICY_SET,
	POLICY_DESTINATION,
	POLICY_TIME,
};

enum policy_level { LEVEL_BUILT_IN, LEVEL_TENANT, LEVEL_SITE, LEVEL_USER, POLICY_LEVELS };

struct policy_setting {
	long number; /* a choice's index, an integer, 0 or 1, or a set as bits of its choices */
	const json_t
		*json; /* a Destination; a time as string; NULL: unset, or none of these types */
	enum policy_level level;
	const char *policy_id; /* that said so; NULL: built in */
	const char *preset;    /* whose value it is; NULL: said explicitly, or built in */
};

struct policy {
	struct policy_setting of[POLICY_FIELDS];
};

/* levels[LEVEL_TENANT..LEVEL_USER]: the policy of that level, {"id", "preset", "fields": {...}}, NULL
   or JSON null where it has none; levels[LEVEL_BUILT_IN] is not looked at. site_first: the site's over
   the user's (policy_order). */
void policy_resolve(const json_t *const levels[POLICY_LEVELS], bool site_first, struct policy *out);

const char *policy_name(enum policy_field);
enum policy_type policy_type(enum policy_field);
const char *policy_level_name(enum policy_level); /* user, site, tenant, built_in */

/* The word for one choice of a field that is a choice or a set of them; not ended by NUL. */
const char *policy_word(enum policy_field, long number, size_t *length);

/* The value as the API has it. New reference; NULL: out of memory. */
json_t *policy_value(enum policy_field, const struct policy_setting *);

#endif
