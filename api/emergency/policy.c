#include "policy.h"

#include <limits.h>
#include <string.h>

#define ROUTES "psap_only|psap_and_team|team_only|team_then_psap|sip_group_only|team_then_sip_group"
#define OPERATIONS \
	"hold|local_mute|remote_mute|transfer|start_recording|stop_recording|add_participant|" \
	"remove_participant"
#define ALL_OPERATIONS 0xff
#define CONTROLS "device_settings|end_call"
#define ALL_CONTROLS 3

static const char *const presets[] = { "teams_phone", "dynamics_365", "zoom_phone" };
#define PRESETS (sizeof(presets) / sizeof(presets[0]))

/*
 * One row a field: what is built in, then what each system documents (domain.md 3); where it says
 * nothing, the built-in value stands there again, so that a preset fills every field.
 *
 *   Teams Phone   the platform presents the number; the emergency list goes round and its first number
 *                 is used again; without a lease the resource account is rung. It is silent on when
 *                 the clock of the lease starts, on what a client shows, and on incoming calls
 *   Dynamics 365  a temporary number for everybody, 60 minutes from dialling; nothing but device
 *                 settings and End call; kept out of history; the callback rings the agent. It knows no
 *                 notification: who is configured all the same is told. It is silent on used-up pools
 *                 and on callbacks without a lease
 *   Zoom Phone    about two hours; a number is used again without touching a call in progress; the
 *                 originating extension is rung; the safety team may record; it sets no presence. It is
 *                 silent on callbacks without a lease and on what is blocked during a call
 */
static const struct {
	const char *name;
	enum policy_type type;
	const char *choices;
	long built_in;
	long of_preset[PRESETS]; /* teams_phone, dynamics_365, zoom_phone */
} fields[POLICY_FIELDS] = {
	/* clang-format off */
	[POLICY_CALLING] = { "calling", POLICY_CHOICE, "auto|primary|shared",
		CALLING_AUTO, { CALLING_AUTO, CALLING_SHARED, CALLING_AUTO } },
	[POLICY_CALLER_ID] = { "caller_id", POLICY_CHOICE, "number_pool|receptionist|call_queue|resource_account",
		CALLER_ID_NUMBER_POOL, { CALLER_ID_NUMBER_POOL, CALLER_ID_NUMBER_POOL, CALLER_ID_NUMBER_POOL } },
	[POLICY_CALLER_ID_CONTROL] = { "caller_id_control", POLICY_CHOICE, "switchback|platform",
		CONTROL_SWITCHBACK, { CONTROL_PLATFORM, CONTROL_PLATFORM, CONTROL_PLATFORM } },
	[POLICY_LEASE_TTL_SECONDS] = { "lease_ttl_seconds", POLICY_INTEGER, NULL, 3600, { 3600, 3600, 7200 } },
	[POLICY_TEST_LEASE_TTL_SECONDS] = { "test_lease_ttl_seconds", POLICY_INTEGER, NULL, 300, { 300, 300, 300 } },
	[POLICY_LEASE_CLOCK] = { "lease_clock", POLICY_CHOICE, "placed|ended",
		CLOCK_PLACED, { CLOCK_PLACED, CLOCK_PLACED, CLOCK_PLACED } },
	[POLICY_LEASE_REPEAT] = { "lease_repeat", POLICY_CHOICE, "renew|next",
		REPEAT_RENEW, { REPEAT_NEXT, REPEAT_RENEW, REPEAT_RENEW } },
	[POLICY_LEASE_EXHAUSTED] = { "lease_exhausted", POLICY_CHOICE, "reuse_oldest|reuse_first|fallback",
		EXHAUSTED_REUSE_OLDEST, { EXHAUSTED_REUSE_FIRST, EXHAUSTED_REUSE_OLDEST, EXHAUSTED_REUSE_OLDEST } },
	[POLICY_UNLEASED_CALLBACK] = { "unleased_callback", POLICY_CHOICE,
		"last_holder|resource_account|receptionist|call_queue|safety_team|fallback",
		UNLEASED_LAST_HOLDER, { UNLEASED_RESOURCE_ACCOUNT, UNLEASED_LAST_HOLDER, UNLEASED_LAST_HOLDER } },
	[POLICY_CALLBACK_GRACE_SECONDS] = { "callback_grace_seconds", POLICY_INTEGER, NULL, 86400, { 0, 86400, 86400 } },
	[POLICY_CALLBACK_RING] = { "callback_ring", POLICY_CHOICE,
		"by_placing_client|ccaas_only|placing_endpoint|all_endpoints",
		RING_BY_PLACING_CLIENT, { RING_BY_PLACING_CLIENT, RING_CCAAS_ONLY, RING_PLACING_ENDPOINT } },
	[POLICY_CALLBACK_NO_ANSWER] = { "callback_no_answer", POLICY_CHOICE, "safety_team|fallback|candidates|none",
		NO_ANSWER_FALLBACK, { NO_ANSWER_FALLBACK, NO_ANSWER_FALLBACK, NO_ANSWER_FALLBACK } },
	[POLICY_CALLBACK_NO_ANSWER_SECONDS] = { "callback_no_answer_seconds", POLICY_INTEGER, NULL, 20, { 20, 20, 20 } },
	[POLICY_ROUTE] = { "route", POLICY_CHOICE, ROUTES,
		ROUTE_PSAP_ONLY, { ROUTE_PSAP_ONLY, ROUTE_PSAP_ONLY, ROUTE_PSAP_ONLY } },
	[POLICY_MAX_HOLD_SECONDS] = { "max_hold_seconds", POLICY_INTEGER, NULL, 8, { 8, 8, 8 } },
	[POLICY_SAFETY_TEAM] = { "safety_team", POLICY_DESTINATION, NULL, 0, { 0, 0, 0 } },
	[POLICY_SIP_GROUP] = { "sip_group", POLICY_DESTINATION, NULL, 0, { 0, 0, 0 } },
	[POLICY_RECORD_SAFETY_TEAM] = { "record_safety_team", POLICY_BOOL, NULL, 0, { 0, 0, 1 } },
	[POLICY_PSAP_ENABLED] = { "psap_enabled", POLICY_BOOL, NULL, 1, { 1, 1, 1 } },
	[POLICY_PSAP_DISABLED_UNTIL] = { "psap_disabled_until", POLICY_TIME, NULL, 0, { 0, 0, 0 } },
	[POLICY_NOTIFY_MODE] = { "notify_mode", POLICY_CHOICE, "none|notify|listen|speak",
		NOTIFY_NOTIFY, { NOTIFY_NOTIFY, NOTIFY_NOTIFY, NOTIFY_NOTIFY } },
	[POLICY_BLOCKED_OPERATIONS] = { "blocked_operations", POLICY_SET, OPERATIONS,
		ALL_OPERATIONS, { ALL_OPERATIONS, ALL_OPERATIONS, ALL_OPERATIONS } },
	[POLICY_VISIBLE_CONTROLS] = { "visible_controls", POLICY_SET, CONTROLS,
		ALL_CONTROLS, { ALL_CONTROLS, ALL_CONTROLS, ALL_CONTROLS } },
	[POLICY_BLOCK_INCOMING] = { "block_incoming", POLICY_BOOL, NULL, 1, { 1, 1, 1 } },
	[POLICY_RECORD] = { "record", POLICY_BOOL, NULL, 0, { 0, 0, 0 } },
	[POLICY_HISTORY] = { "history", POLICY_BOOL, NULL, 1, { 1, 0, 1 } },
	[POLICY_PRESENCE_LOCK] = { "presence_lock", POLICY_BOOL, NULL, 1, { 1, 1, 0 } },
	[POLICY_PRESENCE_VALUE] = { "presence_value", POLICY_CHOICE, "do_not_disturb|busy",
		PRESENCE_DO_NOT_DISTURB, { PRESENCE_DO_NOT_DISTURB, PRESENCE_DO_NOT_DISTURB, PRESENCE_DO_NOT_DISTURB } },
	[POLICY_PRESENCE_RESTORE] = { "presence_restore", POLICY_CHOICE, "call_ended|session_closed",
		RESTORE_CALL_ENDED, { RESTORE_CALL_ENDED, RESTORE_CALL_ENDED, RESTORE_CALL_ENDED } },
	[POLICY_MAX_CALL_SECONDS] = { "max_call_seconds", POLICY_INTEGER, NULL, 14400, { 14400, 14400, 14400 } },
	[POLICY_RETENTION_SECONDS] = { "retention_seconds", POLICY_INTEGER, NULL, 86400, { 86400, 86400, 86400 } },
	/* clang-format on */
};

/* The place of a word in a list that '|' separates; -1: it is not there. */
static long index_of(const char *choices, const char *word)
{
	const size_t length = strlen(word);
	long index = 0;

	for (const char *at = choices; at; index++) {
		const size_t n = strcspn(at, "|");

		if (n == length && memcmp(at, word, n) == 0)
			return index;
		at = at[n] ? at + n + 1 : NULL;
	}
	return -1;
}

const char *policy_name(enum policy_field field)
{
	return fields[field].name;
}

enum policy_type policy_type(enum policy_field field)
{
	return fields[field].type;
}

const char *policy_level_name(enum policy_level level)
{
	static const char *const names[POLICY_LEVELS] = { "built_in", "tenant", "site", "user" };

	return names[level];
}

/* --- resolving ---------------------------------------------------------------------------------- */

/* Stored values have passed the table of api/policies.c: what does not fit is as if it were unset. */
static bool read_value(enum policy_field field, const json_t *value, struct policy_setting *out)
{
	const json_t *item;
	size_t i;
	long index;

	if (!value || json_is_null(value))
		return false;
	switch (fields[field].type) {
	case POLICY_CHOICE:
		out->number = json_is_string(value)
				      ? index_of(fields[field].choices, json_string_value(value))
				      : -1;
		return out->number >= 0;
	case POLICY_INTEGER:
		out->number = (long)json_integer_value(value);
		return json_is_integer(value) && out->number >= 0 && out->number <= INT_MAX;
	case POLICY_BOOL: out->number = json_is_true(value); return json_is_boolean(value);
	case POLICY_SET:
		out->number = 0;
		json_array_foreach (value, i, item) {
			index = json_is_string(item)
					? index_of(fields[field].choices, json_string_value(item))
					: -1;
			if (index >= 0)
				out->number |= 1L << index;
		}
		return json_is_array(value);
	case POLICY_DESTINATION: out->json = value; return json_is_object(value);
	case POLICY_TIME: out->json = value; return json_is_string(value);
	}
	return false;
}

/* The policy of a level, taken apart once for all of its fields. */
struct source {
	enum policy_level level;
	const json_t *fields; /* NULL: the level has no policy */
	const char *id;
	size_t preset; /* PRESETS: none */
};

static struct source source_of(const json_t *policy, enum policy_level level)
{
	const char *preset = json_string_value(json_object_get(policy, "preset"));
	struct source s = {
		.level = level,
		.fields = json_object_get(policy, "fields"),
		.id = json_string_value(json_object_get(policy, "id")),
		.preset = preset ? 0 : PRESETS,
	};

	while (s.preset < PRESETS && strcmp(preset, presets[s.preset]) != 0)
		s.preset++;
	return s;
}

/* What the policy of a level says of a field: itself, else by its preset. */
static bool take(enum policy_field field, const struct source *s, struct policy_setting *out)
{
	struct policy_setting found = { .level = s->level, .policy_id = s->id };
	/* No system documents where a customer's own desk is: that is inherited. */
	const bool own =
		fields[field].type == POLICY_DESTINATION || fields[field].type == POLICY_TIME;

	if (!read_value(field, json_object_get(s->fields, fields[field].name), &found)) {
		if (s->preset == PRESETS || own)
			return false;
		found.number = fields[field].of_preset[s->preset];
		found.preset = presets[s->preset];
	}
	*out = found;
	return true;
}

void policy_resolve(const json_t *const levels[POLICY_LEVELS], bool site_first, struct policy *out)
{
	const enum policy_level order[] = { site_first ? LEVEL_SITE : LEVEL_USER,
					    site_first ? LEVEL_USER : LEVEL_SITE, LEVEL_TENANT };
	struct source sources[sizeof(order) / sizeof(order[0])];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (json_is_object(levels[order[i]]))
			sources[n++] = source_of(levels[order[i]], order[i]);
	for (enum policy_field f = 0; f < POLICY_FIELDS; f++) {
		bool found = false;

		for (size_t i = 0; i < n && !found; i++)
			found = take(f, &sources[i], &out->of[f]);
		if (!found)
			out->of[f] = (struct policy_setting){ .number = fields[f].built_in };
	}
}

/* --- saying ------------------------------------------------------------------------------------- */

const char *policy_word(enum policy_field field, long number, size_t *length)
{
	const char *word = fields[field].choices;

	for (; number > 0; number--)
		word += strcspn(word, "|") + 1;
	*length = strcspn(word, "|");
	return word;
}

static json_t *choice_text(enum policy_field field, long number)
{
	size_t length;
	const char *word = policy_word(field, number, &length);

	return json_stringn(word, length);
}

static json_t *set_texts(enum policy_field field, long set)
{
	json_t *list = json_array();

	for (long i = 0; set >> i && list; i++)
		if (set & 1L << i && json_array_append_new(list, choice_text(field, i)) != 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

json_t *policy_value(enum policy_field field, const struct policy_setting *setting)
{
	switch (fields[field].type) {
	case POLICY_CHOICE: return choice_text(field, setting->number);
	case POLICY_INTEGER: return json_integer(setting->number);
	case POLICY_BOOL: return json_boolean(setting->number);
	case POLICY_SET: return set_texts(field, setting->number);
	case POLICY_DESTINATION:
	case POLICY_TIME: break;
	}
	return setting->json ? json_deep_copy(setting->json) : json_null();
}
