/*
 * What an emergency call would get now, and why: the same decision as placing it, and nothing is
 * leased, stored or sent. In the ordinary lane, so that it never delays a call.
 */
#include "call_placing.h"
#include "common.h"
#include "resources.h"

/* Read anew: nothing compares versions here. */
static enum err read_context(struct request *req, const struct placing *p, json_t **context)
{
	const char *params[CONTEXT_PARAMETERS];
	struct db_result *row;
	enum err e;

	placing_parameters(req, p, params);
	e = db_exec(req->db, req->arena, &call_context, params, &row);
	if (e)
		return e;
	if (!db_rows(row) || !db_value(row, 0, 0))
		return fail(req, ERR_NOT_FOUND, "There is no such resource.");
	*context = arena_json(req->arena, json_loads(db_value(row, 0, 0), 0, NULL));
	return *context ? ERR_OK : ERR_UNAVAILABLE;
}

static enum err preview(struct request *req)
{
	static const struct db_stmt preview_call = {
		"preview_call", "SELECT preview_call_1($1::uuid, $2::jsonb, $3::json, $4::json)", 4
	};
	const char *params[] = { req->tenant, NULL, NULL, NULL };
	struct db_result *row;
	struct placing p;
	struct plan plan;
	json_t *context = NULL;
	enum err e;

	if ((e = placing_parse(req, &p)) || (e = read_context(req, &p, &context)) ||
	    (e = placing_decide(req, &p, context, &plan, &params[1])))
		return e;
	if (plan.refused)
		return placing_refused(req, &p, context);
	params[2] = plan.ladder;
	params[3] = plan.trace;
	e = db_exec(req->db, req->arena, &preview_call, params, &row);
	return e ? e : reply_json(req, 200, db_value(row, 0, 0));
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/emergency-calls/preview",
	  .operation_id = "previewEmergencyCall",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .body = BODY_LENIENT,
	  .write = true, /* of an answer kept under an Idempotency-Key, and of nothing else */
	  .handler = preview },
	{ .method = NULL },
};

const struct resource call_preview_resource = { "emergency-calls", routes };
