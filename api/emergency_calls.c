/*
 * Emergency calls: place, connect, end and cancel on the emergency lane; get and list.
 */
#include <string.h>

#include "call_placing.h"
#include "common.h"
#include "lenient.h"
#include "resources.h"
#include "server/context_cache.h"
#include "server/emergency.h"
#include "server/ids.h"
#include "server/metrics.h"

#define PATH "/v1/tenants/{tenant_id}/emergency-calls"

static const struct db_stmt place_call = {
	"place_call",
	"SELECT outcome, replay, body FROM place_call_3($1::uuid, $2::jsonb, $3::json, $4::integer, $5::boolean)",
	5
};
static const struct db_stmt move_call = {
	"move_call",
	"SELECT outcome, body FROM move_call_1($1::uuid, $2, $3, $4::jsonb, $5::integer, $6::boolean)",
	6
};

/* --- place --------------------------------------------------------------------------------------- */

struct place {
	struct placing placing;
	const char *cache_key;
	const char *context_text;
	size_t load_slot, store_slot;
	bool asked;		     /* load has added its statement */
	const char *intent, *ladder; /* parameters of place_call_3 */
};

/* With lengths: an external_id may hold any separator. */
static const char *cache_key(struct request *req, const struct placing *p)
{
	const struct call_request *call = &p->call;

	return arena_printf(req->arena, "%s|%zu|%s|%zu|%s|%s|%s", req->tenant,
			    strlen(call->user_ref), call->user_ref,
			    call->site_ref ? strlen(call->site_ref) : 0,
			    call->site_ref ? call->site_ref : "", p->extension ? p->extension : "",
			    call->address_ref ? call->address_ref : "");
}

static enum err place_parse(struct request *req)
{
	struct place *p = arena_alloc(req->arena, sizeof(*p));
	enum err err;

	if (!p)
		return ERR_UNAVAILABLE;
	req->op = p;
	err = placing_parse(req, &p->placing);
	if (err)
		return err;
	p->cache_key = cache_key(req, &p->placing);
	return p->cache_key ? ERR_OK : ERR_UNAVAILABLE;
}

static const char *place_key(struct request *req)
{
	const struct place *p = req->op;

	return arena_printf(req->arena, "%s|u|%s", req->tenant, p->placing.call.user_ref);
}

static enum err place_load(struct request *req, struct db_batch *batch, bool fresh)
{
	struct place *p = req->op;
	const char *params[CONTEXT_PARAMETERS];
	enum err err;

	p->asked = false;
	p->context_text =
		fresh ? NULL : context_cache_get(req->app->contexts, req->arena, p->cache_key);
	metric_add(req->app->metrics, p->context_text ? METRIC_CONTEXT_HITS : METRIC_CONTEXT_MISSES,
		   1);
	if (p->context_text)
		return ERR_OK;
	p->asked = true;
	placing_parameters(req, &p->placing, params);
	err = db_batch_tenant(batch, req->tenant);
	return err ? err : db_batch_add(batch, &call_context, params, &p->load_slot);
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

static enum err place_decide(struct request *req)
{
	struct place *p = req->op;
	json_t *context = arena_json(req->arena, json_loads(p->context_text, 0, NULL));
	struct plan plan;
	enum err err = placing_decide(req, &p->placing, context, &plan, &p->intent);

	if (err)
		return err;
	/* Not by what may have changed since it was read. */
	if (plan.refused)
		return p->asked ? placing_refused(req, &p->placing, context) : ERR_RETRY;
	p->ladder = plan.ladder;
	return ERR_OK;
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
