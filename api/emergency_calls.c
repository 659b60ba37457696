/*
 * Emergency calls: place, connect, end and cancel on the emergency lane; get and list.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "lenient.h"
#include "emergency/call_request.h"
#include "emergency/plan.h"
#include "resources.h"
#include "server/context_cache.h"
#include "server/crypto.h"
#include "server/db.h"
#include "server/emergency.h"
#include "server/fields.h"
#include "server/ids.h"
#include "server/metrics.h"

#define PATH "/v1/tenants/{tenant_id}/emergency-calls"

static const struct db_stmt load_context = { "call_context",
					     "SELECT call_context_1($1::uuid, $2, $3, $4, $5)", 5 };
static const struct db_stmt place_call = {
	"place_call",
	"SELECT outcome, replay, body FROM place_call_1($1::uuid, $2::jsonb, $3::json, $4::integer, $5::boolean)",
	5
};
static const struct db_stmt move_call = {
	"move_call",
	"SELECT outcome, body FROM move_call_1($1::uuid, $2, $3, $4::jsonb, $5::integer, $6::boolean)",
	6
};

/* --- place --------------------------------------------------------------------------------------- */

struct place {
	struct call_request call;
	json_t *own_location;	 /* of the request, before an address was put under it */
	json_t *own_warnings;	 /* of the request alone: what a second decision begins with */
	char call_id[UUID_TEXT]; /* fixed before the first attempt; every rerun keeps them */
	char new_call_id[UUID_TEXT];
	const char *extension; /* the digits, where a leading 9 or 0 may be a prefix; NULL else */
	const char *cache_key;
	const char *context_text;
	size_t load_slot, store_slot;
	bool asked;		     /* load has added its statement */
	const char *intent, *ladder; /* parameters of place_call_1 */
};

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

static enum err place_parse(struct request *req)
{
	struct place *p = arena_alloc(req->arena, sizeof(*p));
	struct dial_string dialed;
	const char *missing;

	if (!p)
		return ERR_UNAVAILABLE;
	req->op = p;
	missing = call_request_parse(req->arena, req->json, &p->call);
	if (missing)
		return fail_member(req, ERR_REQUIRED, *missing == 'u' ? "/user_id" : "/dial_string",
				   "must be a string that is not empty");
	if (!p->call.warnings)
		return ERR_UNAVAILABLE;
	lenient_notes(req, p->call.warnings);
	p->own_location = p->call.location;
	p->own_warnings = arena_json(req->arena, json_copy(p->call.warnings));
	if (dial_normalise(p->call.dialed, &dialed) &&
	    (dialed.digits[0] == '9' || dialed.digits[0] == '0'))
		p->extension = arena_strdup(req->arena, dialed.digits);
	/* With lengths: an external_id may hold any separator. */
	p->cache_key = arena_printf(
		req->arena, "%s|%zu|%s|%zu|%s|%s|%s", req->tenant, strlen(p->call.user_ref),
		p->call.user_ref, p->call.site_ref ? strlen(p->call.site_ref) : 0,
		p->call.site_ref ? p->call.site_ref : "", p->extension ? p->extension : "",
		p->call.address_ref ? p->call.address_ref : "");
	id_v7(p->new_call_id);
	if (req->idempotency_key) {
		const char *const parts[] = { req->tenant, req->idempotency_key, p->call.user_ref,
					      dialed.is_sos_urn ? "urn:service:sos" : dialed.digits,
					      NULL };

		if (derive(parts, p->call_id))
			return ERR_UNAVAILABLE;
	} else {
		id_v7(p->call_id);
	}
	return p->cache_key && p->own_warnings ? ERR_OK : ERR_UNAVAILABLE;
}

static const char *place_key(struct request *req)
{
	const struct place *p = req->op;

	return arena_printf(req->arena, "%s|u|%s", req->tenant, p->call.user_ref);
}

static enum err place_load(struct request *req, struct db_batch *batch, bool fresh)
{
	struct place *p = req->op;
	const char *const params[] = { req->tenant, p->call.user_ref, p->call.site_ref,
				       p->call.address_ref, p->extension };
	enum err err;

	p->asked = false;
	p->context_text =
		fresh ? NULL : context_cache_get(req->app->contexts, req->arena, p->cache_key);
	metric_add(req->app->metrics, p->context_text ? METRIC_CONTEXT_HITS : METRIC_CONTEXT_MISSES,
		   1);
	if (p->context_text)
		return ERR_OK;
	p->asked = true;
	err = db_batch_tenant(batch, req->tenant);
	return err ? err : db_batch_add(batch, &load_context, params, &p->load_slot);
}

static enum err place_loaded(struct request *req, const struct db_batch *batch)
{
	struct place *p = req->op;
	const struct db_result *r;

	if (!p->asked)
		return ERR_OK;
	r = db_batch_result(batch, p->load_slot);
	if (!db_rows(r) || !db_value(r, 0, 0))
		return fail(req, ERR_NOT_FOUND, "There is no such resource.");
	p->context_text = arena_strdup(req->arena, db_value(r, 0, 0));
	if (!p->context_text)
		return ERR_UNAVAILABLE;
	context_cache_put(req->app->contexts, p->cache_key, p->context_text);
	return ERR_OK;
}

static enum err not_emergency(struct request *req, const json_t *context, const struct place *p)
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

/* The scalars of place_call_1. */
static json_t *intent_of(struct request *req, struct place *p, const json_t *context,
			 const struct dial_result *dial, const struct plan *plan)
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
		" s:s?, s:s?, s:O?, s:O?, s:i, s:i, s:b, s:s, s:s?, s:O}",
		"call_id", p->call_id, "new_call_id", p->new_call_id, "rerun", req->rerun,
		"holder_id", holder, "user_id", known ? json_object_get(user, "id") : NULL, "guest",
		known ? NULL : p->call.user_ref, "external_id",
		known ? json_object_get(user, "external_id") : NULL, "tenant_version",
		json_object_get(json_object_get(context, "tenant"), "config_version"),
		"user_version", known ? json_object_get(user, "version") : NULL, "key_hash",
		hash(req->arena, "key", req->idempotency_key), "external_hash",
		hash(req->arena, "external_call_id", p->call.external_call_id), "external_call_id",
		p->call.external_call_id, "dial_string", dial->dial_string, "dialed_as",
		p->call.dialed, "service_urn", dial->asserted ? NULL : "urn:service:sos", "site_id",
		json_object_get(json_object_get(context, "site"), "id"), "origin", p->call.origin,
		"presence", p->call.presence, "presented_number", p->call.presented_number,
		"endpoint", p->call.endpoint, "metadata", p->call.metadata, "ttl_seconds",
		PLAN_LEASE_TTL_SECONDS, "max_call_seconds", PLAN_MAX_CALL_SECONDS, "locks_presence",
		plan->locks_presence, "request_id", req->request_id, "traceparent",
		*req->traceparent ? req->traceparent : NULL, "warnings", p->call.warnings);
}

static enum err place_decide(struct request *req)
{
	struct place *p = req->op;
	json_t *context = arena_json(req->arena, json_loads(p->context_text, 0, NULL));
	struct dial_result dial;
	struct plan plan;

	if (!context)
		return ERR_UNAVAILABLE;
	p->call.warnings = arena_json(req->arena, json_copy(p->own_warnings));
	p->call.location = p->own_location;
	plan_overlay(context, &p->call);
	plan_dial(context, &p->call, &dial);
	if (dial.outcome != DIAL_EMERGENCY)
		return not_emergency(req, context, p);
	if (!p->call.warnings || !plan_make(req->arena, context, &p->call, &dial, &plan))
		return ERR_UNAVAILABLE;
	p->intent = lenient_dump(req->arena,
				 arena_json(req->arena, intent_of(req, p, context, &dial, &plan)));
	p->ladder = lenient_dump(req->arena, plan.ladder);
	return p->intent && p->ladder ? ERR_OK : ERR_UNAVAILABLE;
}

static enum err place_store(struct request *req, struct db_batch *batch, bool alone)
{
	struct place *p = req->op;
	const char *const params[] = { req->tenant, p->intent, p->ladder, lenient_instance(req),
				       alone ? "true" : "false" };
	enum err err = db_batch_tenant(batch, req->tenant);

	return err ? err : db_batch_add(batch, &place_call, params, &p->store_slot);
}

/* Location of a new call, from the id its document begins with. */
static const char *location_of(struct request *req, const char *body)
{
	const char *id = strstr(body, "\"id\" : \"");

	return id ? arena_printf(req->arena, "/v1/tenants/%s/emergency-calls/%.36s", req->tenant,
				 id + 8)
		  : NULL;
}

static enum err place_stored(struct request *req, const struct db_batch *batch, enum stored *stored)
{
	const struct place *p = req->op;
	const struct db_result *r = db_batch_result(batch, p->store_slot);
	const char *outcome = db_value(r, 0, 0);
	const char *body;

	if (!strcmp(outcome, "stale") || !strcmp(outcome, "alone")) {
		*stored = *outcome == 's' ? STORED_STALE : STORED_ALONE;
		return ERR_OK;
	}
	body = arena_strdup(req->arena, db_value(r, 0, 2));
	if (!body)
		return ERR_OUTCOME_UNKNOWN;
	reply_json(req, 201, body);
	req->reply.replay = db_true(r, 0, 1);
	req->reply.location = location_of(req, body);
	return ERR_OK;
}

static const struct emergency_op place_op = {
	.parse = place_parse,
	.key = place_key,
	.load = place_load,
	.loaded = place_loaded,
	.decide = place_decide,
	.store = place_store,
	.stored = place_stored,
};

/* --- connect, end, cancel ------------------------------------------------------------------------ */

struct move {
	const char *ref;
	const char *action;
	const char *details;
	size_t slot;
};

/* An id, or ext: and an external_call_id, which may be longer than an external_id. */
static bool names_call(const char *ref)
{
	return is_uuid(ref) || (!strncmp(ref, "ext:", 4) && ref[4] && strlen(ref) <= 4 + 255);
}

static enum err no_call(struct request *req)
{
	return fail(req, ERR_NOT_FOUND, "There is no such resource.");
}

static enum err move_parse(struct request *req)
{
	const char *end = strrchr(req->route->path, '/');
	struct move *m = arena_alloc(req->arena, sizeof(*m));
	json_t *details;

	if (!m)
		return ERR_UNAVAILABLE;
	req->op = m;
	m->action = end + 1;
	m->ref = request_path(req, "emergency_call_id");
	if (!names_call(m->ref))
		return no_call(req);
	details = call_action_parse(req->arena, m->action, req->json);
	if (!details)
		return ERR_UNAVAILABLE;
	lenient_notes(req, json_object_get(details, "warnings"));
	json_object_set_new(details, "request_id", json_string(req->request_id));
	if (*req->traceparent)
		json_object_set_new(details, "traceparent", json_string(req->traceparent));
	m->details = lenient_dump(req->arena, details);
	return m->details ? ERR_OK : ERR_UNAVAILABLE;
}

static const char *move_key(struct request *req)
{
	const struct move *m = req->op;

	return arena_printf(req->arena, "%s|c|%s", req->tenant, m->ref);
}

static enum err move_store(struct request *req, struct db_batch *batch, bool alone)
{
	struct move *m = req->op;
	const char *const params[] = { req->tenant,
				       m->ref,
				       m->action,
				       m->details,
				       lenient_instance(req),
				       alone ? "true" : "false" };
	enum err err = db_batch_tenant(batch, req->tenant);

	return err ? err : db_batch_add(batch, &move_call, params, &m->slot);
}

static enum err move_stored(struct request *req, const struct db_batch *batch, enum stored *stored)
{
	const struct move *m = req->op;
	const struct db_result *r = db_batch_result(batch, m->slot);
	const char *outcome = db_value(r, 0, 0);
	const char *body = arena_strdup(req->arena, db_value(r, 0, 1));

	if (!strcmp(outcome, "alone")) {
		*stored = STORED_ALONE;
		return ERR_OK;
	}
	if (!strcmp(outcome, "not_found"))
		return no_call(req);
	if (!strcmp(outcome, "invalid_state"))
		return fail(req, ERR_INVALID_STATE, "The call is %s: %s is not possible.", body,
			    m->action);
	return body ? reply_json(req, 200, body) : ERR_OUTCOME_UNKNOWN;
}

static const struct emergency_op move_op = {
	.parse = move_parse,
	.key = move_key,
	.store = move_store,
	.stored = move_stored,
};

/* --- get and list -------------------------------------------------------------------------------- */

static enum err get_call(struct request *req)
{
	static const struct db_stmt get = {
		"get_call",
		"SELECT call_json_1(c) FROM emergency_calls c WHERE c.tenant_id = $1::uuid"
		" AND (c.id = ref_id($2) OR c.external_call_id = ref_external($2)) ORDER BY c.placed_at DESC LIMIT 1",
		2
	};
	const char *const params[] = { req->tenant, request_path(req, "emergency_call_id") };
	struct db_result *r = NULL;
	enum err err;

	if (!names_call(params[1]))
		return no_call(req);
	err = db_exec(req->db, req->arena, &get, params, &r);
	if (err)
		return err;
	return db_rows(r) ? reply_json(req, 200, db_value(r, 0, 0)) : no_call(req);
}

static enum err list_calls(struct request *req)
{
	static const struct listing listing = {
		.select = { "list_calls",
			    "SELECT c.id, call_json_1(c) FROM emergency_calls c WHERE c.tenant_id = $1::uuid"
			    " AND c.id" AFTER " AND ($4::text IS NULL OR c.state = $4)"
			    " AND ($5::uuid IS NULL OR c.user_id = $5::uuid)"
			    " AND ($6::uuid IS NULL OR c.site_id = $6::uuid)"
			    " AND ($7::text IS NULL OR c.external_call_id = $7) ORDER BY c.id LIMIT $3::integer",
			    7 },
		.filters = { { "state", FILTER_CHOICE, 0,
			       "placed|connected|ended|cancelled|timed_out" },
			     { "user_id", FILTER_REFERENCE, KIND_USER, NULL },
			     { "site_id", FILTER_REFERENCE, KIND_SITE, NULL },
			     { "external_call_id", FILTER_CALL_ID, 0, NULL } },
	};

	return common_list(req, &listing);
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = PATH,
	  .operation_id = "placeEmergencyCall",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_EMERGENCY,
	  .body = BODY_LENIENT,
	  .op = &place_op },
	{ .method = "GET",
	  .path = PATH,
	  .operation_id = "listEmergencyCalls",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("state", "user_id", "site_id", "external_call_id"),
	  .handler = list_calls },
	{ .method = "GET",
	  .path = PATH "/{emergency_call_id}",
	  .operation_id = "getEmergencyCall",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get_call },
	{ .method = "POST",
	  .path = PATH "/{emergency_call_id}/connect",
	  .operation_id = "connectEmergencyCall",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_EMERGENCY,
	  .body = BODY_LENIENT_OPTIONAL,
	  .op = &move_op },
	{ .method = "POST",
	  .path = PATH "/{emergency_call_id}/end",
	  .operation_id = "endEmergencyCall",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_EMERGENCY,
	  .body = BODY_LENIENT_OPTIONAL,
	  .op = &move_op },
	{ .method = "POST",
	  .path = PATH "/{emergency_call_id}/cancel",
	  .operation_id = "cancelEmergencyCall",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_EMERGENCY,
	  .body = BODY_LENIENT_OPTIONAL,
	  .op = &move_op },
	{ .method = NULL },
};

const struct resource emergency_calls_resource = { "emergency-calls", routes };
