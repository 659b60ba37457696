#include "error.h"

#include <string.h>

/* clang-format off */
static const struct err_info table[ERR_COUNT] = {
	[ERR_BAD_REQUEST] = { 400, "bad_request", "Bad request",
		"The request is not well-formed HTTP: a field is given twice, or two contradict each other." },
	[ERR_INVALID_JSON] = { 400, "invalid_json", "Invalid JSON",
		"The body is not a JSON object. The detail of the problem says where." },
	[ERR_DUPLICATE_MEMBER] = { 400, "duplicate_member", "Duplicate member",
		"An object of the body has the same member twice. Send each once." },
	[ERR_INVALID_QUERY] = { 400, "invalid_query", "Invalid query",
		"A query parameter is unknown, repeated or has a wrong value; `errors` names it. "
		"A page_token belongs to the filters that it was made with." },
	[ERR_UNAUTHORIZED] = { 401, "unauthorized", "Unauthorized",
		"The key is missing, unknown or expired. Send Authorization: Bearer and a valid key." },
	[ERR_FORBIDDEN] = { 403, "forbidden", "Forbidden",
		"The key has none of the scopes that this operation needs. Use another key." },
	[ERR_NOT_FOUND] = { 404, "not_found", "Not found",
		"Nothing with this id can be seen by this key. Check the path, and whether the key "
		"belongs to the tenant." },
	[ERR_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed", "Method not allowed",
		"The path exists, but not with this method. The field Allow lists those it has." },
	[ERR_PRECONDITION_FAILED] = { 412, "precondition_failed", "Precondition failed",
		"The resource was changed since its ETag was read. Read it again." },
	[ERR_BODY_TOO_LARGE] = { 413, "body_too_large", "Body too large",
		"The body is larger than this operation takes. Send less at a time." },
	[ERR_UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported_media_type", "Unsupported media type",
		"The Content-Type is not one that this operation takes. Send application/json." },
	[ERR_UNKNOWN_FIELD] = { 422, "unknown_field", "Unknown field",
		"The body has a member that this resource does not; `errors` names it. Look for a typo." },
	[ERR_READ_ONLY] = { 422, "read_only", "Read only",
		"The body has a member that only the server sets. Leave it out." },
	[ERR_REQUIRED] = { 422, "required", "Required",
		"The body lacks a member that is required; `errors` names it." },
	[ERR_INVALID_VALUE] = { 422, "invalid_value", "Invalid value",
		"A member of the body breaks a rule; `errors` names the member and the rule." },
	[ERR_UNKNOWN_REFERENCE] = { 422, "unknown_reference", "Unknown reference",
		"A member of the body names a resource that the tenant does not have." },
	[ERR_ALREADY_EXISTS] = { 409, "already_exists", "Already exists",
		"Another resource of the tenant has a value that must be unique; `errors` names it." },
	[ERR_NUMBER_IN_USE] = { 409, "number_in_use", "Number in use",
		"The phone number is registered already, or belongs to a pool or a user." },
	[ERR_NUMBER_USAGE] = { 422, "number_usage", "Number usage",
		"The phone number may not be used like this: its usage, type or region does not fit." },
	[ERR_NUMBER_NOT_MANAGED] = { 404, "number_not_managed", "Number not managed",
		"The number that was called is not registered here, or not with this tenant." },
	[ERR_NOT_AN_EMERGENCY_NUMBER] = { 422, "not_an_emergency_number", "Not an emergency number",
		"What was dialled is no emergency number of the region; `emergency_numbers` lists those." },
	[ERR_PATTERN_CONFLICT] = { 422, "pattern_conflict", "Pattern conflict",
		"A custom pattern matches an emergency or test number of the region, or an extension; "
		"`detail` names it. Choose another." },
	[ERR_TRANSLATION_REQUIRED] = { 422, "translation_required", "Translation required",
		"What the rule dials goes out to the PSTN, which does not know the pattern. Give a translation." },
	[ERR_IN_USE] = { 409, "in_use", "In use",
		"Other resources still refer to it; `references` lists them. Change those first." },
	[ERR_INVALID_STATE] = { 409, "invalid_state", "Invalid state",
		"The resource is in a state in which this cannot be done. Read it again." },
	[ERR_IDEMPOTENCY_KEY_REUSED] = { 422, "idempotency_key_reused", "Idempotency key reused",
		"The same Idempotency-Key came with another body. Use a new key." },
	[ERR_IDEMPOTENCY_IN_PROGRESS] = { 409, "idempotency_in_progress", "Idempotency in progress",
		"The first request with this Idempotency-Key is still running. Try again later." },
	[ERR_RATE_LIMITED] = { 429, "rate_limited", "Rate limited",
		"Too many requests. Try again after the seconds of Retry-After." },
	[ERR_UNAVAILABLE] = { 503, "unavailable", "Unavailable",
		"The service cannot do this now; nothing was done. Try again after the seconds of "
		"Retry-After." },
	[ERR_OUTCOME_UNKNOWN] = { 503, "outcome_unknown", "Outcome unknown",
		"The database did not say whether it was done. Try again with the same "
		"Idempotency-Key, or read the resource." },
	[ERR_INTERNAL] = { 500, "internal", "Internal error",
		"The service failed. Its log tells more under the request_id." },
	/* Told only where nobody acted on them; trying again is then right for the client too. */
	[ERR_RETRY] = { 503, "unavailable", "Unavailable",
		"The service was too busy with the same data; nothing was done. Try again." },
	[ERR_LOCKED] = { 503, "unavailable", "Unavailable",
		"Another request holds the same data; nothing was done. Try again." },
};
/* clang-format on */

const struct err_info *err_info(enum err e)
{
	if ((unsigned)e >= ERR_COUNT || table[e].code == NULL)
		e = ERR_INTERNAL;
	return &table[e];
}

enum err err_by_code(const char *code, size_t len)
{
	for (enum err e = ERR_OK; e < ERR_COUNT; e++)
		if (table[e].code != NULL && strlen(table[e].code) == len &&
		    memcmp(table[e].code, code, len) == 0)
			return e;
	return ERR_OK;
}
