/* See call_placing.h. */
#include "call_placing.h"

#include <stdio.h>
#include <string.h>

#include "lenient.h"
#include "emergency/dial.h"
#include "server/crypto.h"
#include "server/ids.h"

const struct db_stmt call_context = { "call_context",
				      "SELECT call_context_3($1::uuid, $2, $3, $4, $5)",
				      CONTEXT_PARAMETERS };

/* UUIDv8 over the parts, each ended by NUL. */
static enum err derive(const char *const *parts, char out[static UUID_TEXT])
{
	uint8_t digest[SHA256_LENGTH];
	struct arena *arena = arena_new();
	size_t n = 0, at = 0;
	enum err err = ERR_UNAVAILABLE;
	char *buffer;

	for (const char *const *p = parts; *p; p++)
		n += strlen(*p) + 1;
	buffer = arena ? arena_alloc(arena, n) : NULL;
	for (const char *const *p = parts; buffer && *p; p++) {
		memcpy(buffer + at, *p, strlen(*p) + 1);
		at += strlen(*p) + 1;
	}
	if (buffer)
		err = crypto_sha256(buffer, n, digest);
	if (!err)
		id_v8(digest, out);
	arena_free(arena);
	return err;
}

static const char *hash(struct arena *arena, const char *kind, const char *key)
{
	const char *text = key ? arena_printf(arena, "%s:%s", kind, key) : NULL;
	uint8_t digest[SHA256_LENGTH];

	return text && !crypto_sha256(text, strlen(text), digest)
		       ? crypto_hex(arena, digest, sizeof(digest))
		       : NULL;
}

/* The same in every process for a call placed with a key. */
static enum err name_call(struct request *req, const struct dial_string *dialed, struct placing *p)
{
	const char *const parts[] = { req->tenant, req->idempotency_key, p->call.user_ref,
				      dialed->is_sos_urn ? "urn:service:sos" : dialed->digits,
				      NULL };

	id_v7(p->new_call_id);
	if (req->idempotency_key)
		return derive(parts, p->call_id) ? ERR_UNAVAILABLE : ERR_OK;
	id_v7(p->call_id);
	return ERR_OK;
}

enum err placing_parse(struct request *req, struct placing *p)
{
	struct dial_string dialed;
	const char *missing = call_request_parse(req->arena, req->json, &p->call);

	if (missing)
		return fail_member(req, ERR_REQUIRED, *missing == 'u' ? "/user_id" : "/dial_string",
				   "must be a string that is not empty");
	if (!p->call.warnings)
		return ERR_UNAVAILABLE;
	lenient_notes(req, p->call.warnings);
	p->extension = NULL;
	if (dial_normalise(p->call.dialed, &dialed) &&
	    (dialed.digits[0] == '9' || dialed.digits[0] == '0')) {
		p->extension = arena_strdup(req->arena, dialed.digits);
		if (!p->extension)
			return ERR_UNAVAILABLE;
	}
	return name_call(req, &dialed, p);
}

void placing_parameters(const struct request *req, const struct placing *p,
			const char *params[CONTEXT_PARAMETERS])
{
	params[0] = req->tenant;
	params[1] = p->call.user_ref;
	params[2] = p->call.site_ref;
	params[3] = p->call.address_ref;
	params[4] = p->extension;
}

enum err placing_refused(struct request *req, const struct placing *p, const json_t *context)
{
	const char *region = plan_region(context, &p->call);
	const char *const *numbers = NULL;
	const size_t n = region ? dial_numbers(region, &numbers) : 0;
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(numbers[i]));
	req->problem_extra = arena_json(
		req->arena, json_pack("{s:s?, s:o}", "region", region, "emergency_numbers", list));
	return fail_member(
		req, ERR_NOT_AN_EMERGENCY_NUMBER, "/dial_string",
		"is no emergency number in the regions of the call; assert_emergency takes it all the same");
}

/* The scalars of place_call_3. */
static json_t *intent_of(struct request *req, const struct placing *p, const json_t *context,
			 const struct plan *plan)
{
	const json_t *user = json_object_get(context, "user");
	const bool known = json_is_object(user);
	const char *const guest_parts[] = { "guest", req->tenant, p->call.user_ref, NULL };
	char holder[UUID_TEXT] = "";

	if (known)
		snprintf(holder, sizeof(holder), "%s",
			 json_string_value(json_object_get(user, "id")));
	else if (derive(guest_parts, holder))
		return NULL;
	return json_pack(
		"{s:s, s:s, s:b, s:s, s:O?, s:s?, s:O?, s:O, s:O?, s:s?, s:s?, s:s?, s:s, s:s, s:s?, s:O?, s:s,"
		" s:s?, s:s?, s:O?, s:O?, s:i, s:i, s:b, s:b, s:O?, s:s, s:s?, s:o}",
		"call_id", p->call_id, "new_call_id", p->new_call_id, "rerun", req->rerun,
		"holder_id", holder, "user_id", known ? json_object_get(user, "id") : NULL, "guest",
		known ? NULL : p->call.user_ref, "external_id",
		known ? json_object_get(user, "external_id") : NULL, "tenant_version",
		json_object_get(json_object_get(context, "tenant"), "config_version"),
		"user_version", known ? json_object_get(user, "version") : NULL, "key_hash",
		hash(req->arena, "key", req->idempotency_key), "external_hash",
		hash(req->arena, "external_call_id", p->call.external_call_id), "external_call_id",
		p->call.external_call_id, "dial_string", plan->dial_string, "dialed_as",
		p->call.dialed, "service_urn", plan->service_urn, "site_id",
		json_object_get(json_object_get(context, "site"), "id"), "origin", p->call.origin,
		"presence", p->call.presence, "presented_number", p->call.presented_number,
		"endpoint", p->call.endpoint, "metadata", p->call.metadata, "ttl_seconds",
		(int)plan->ttl_seconds, "max_call_seconds", (int)plan->max_call_seconds,
		"locks_presence", plan->locks_presence, "test", plan->test, "valid_until",
		json_object_get(context, "valid_until"), "request_id", req->request_id,
		"traceparent", *req->traceparent ? req->traceparent : NULL, "warnings",
		json_loads(plan->warnings, 0, NULL));
}

enum err placing_decide(struct request *req, const struct placing *p, const json_t *context,
			struct plan *plan, const char **intent)
{
	*intent = NULL;
	if (!context || !plan_make(req->arena, context, &p->call, plan))
		return ERR_UNAVAILABLE;
	if (plan->refused)
		return ERR_OK;
	*intent =
		lenient_dump(req->arena, arena_json(req->arena, intent_of(req, p, context, plan)));
	return *intent ? ERR_OK : ERR_UNAVAILABLE;
}
