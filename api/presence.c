/*
 * Presence of a user: what the platform reports, and what an emergency call makes of it. The row in
 * user_states is the one that calls lock.
 */
#include "common.h"
#include "resources.h"

static const struct field fields[] = {
	{ .name = "availability",
	  .type = F_ENUM,
	  .flags = FIELD_REQUIRED,
	  .choices =
		  "available|available_idle|busy|busy_idle|do_not_disturb|be_right_back|away|offline|"
		  "unknown" },
	{ .name = "activity", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "source", .type = F_ENUM, .choices = "agent|system", .standard = "system" },
	{ .name = "base_availability", .flags = FIELD_READ_ONLY },
	{ .name = "locked_by", .flags = FIELD_READ_ONLY },
	{ .name = "sequence", .flags = FIELD_READ_ONLY },
	{ .name = "ignored", .flags = FIELD_READ_ONLY },
	{ .name = "updated_at", .flags = FIELD_READ_ONLY },
	{ .name = NULL },
};

/* more: further members, or "". */
#define PRESENCE(more) \
	"SELECT json_build_object(" \
	"'availability', CASE WHEN s.in_progress > 0 THEN 'do_not_disturb' ELSE s.availability END," \
	" 'activity', s.activity, 'base_availability', s.availability," \
	" 'locked_by', (SELECT coalesce(json_agg(json_build_object('type', 'emergency_call', 'id', c.id)" \
	" ORDER BY c.placed_at, c.id), '[]') FROM emergency_calls c WHERE c.tenant_id = s.tenant_id" \
	" AND c.holder_id = s.holder_id AND c.state IN ('placed', 'connected') AND c.locks_presence)," \
	" 'sequence', s.sequence" more ", 'updated_at', rfc3339(s.updated_at))" \
	" FROM user_states s WHERE s.tenant_id = $1 AND s.holder_id = $2"

static enum err answer(struct request *req, const struct db_stmt *select, const char *const *params)
{
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, select, params, &rows);

	if (e != ERR_OK)
		return e;
	if (db_rows(rows) == 0)
		return fail(req, ERR_NOT_FOUND, "There is no such user.");
	return reply_json(req, 200, db_value(rows, 0, 0));
}

static enum err get(struct request *req)
{
	static const struct db_stmt select = { "get_presence", PRESENCE(""), 2 };
	const char *params[] = { req->tenant, NULL };
	const enum err e = common_path(req, KIND_USER, &params[1]);

	return e == ERR_OK ? answer(req, &select, params) : e;
}

static enum err put(struct request *req)
{
	/* While locked, a do_not_disturb by the system is the echo of our own change. The condition is
	   asked again where the row was locked by a call: it holds for what the call left. */
	static const struct db_stmt update = {
		"put_presence",
		"UPDATE user_states SET availability = $3, activity = $4, updated_at = clock_timestamp()"
		" WHERE tenant_id = $1 AND holder_id = $2"
		" AND NOT (in_progress > 0 AND $3 = 'do_not_disturb' AND $5 = 'system') RETURNING true",
		5
	};
	static const struct db_stmt select = { "get_presence_put",
					       PRESENCE(", 'ignored', $3::boolean"), 3 };
	const char *p[2 + LENGTH(fields)] = { req->tenant };
	struct db_result *changed;
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = common_path(req, KIND_USER, &p[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &update, p, &changed)) != ERR_OK)
		return e;
	p[2] = db_rows(changed) > 0 ? "false" : "true";
	return answer(req, &select, p);
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}/presence",
	  .operation_id = "getPresence",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PUT",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}/presence",
	  .operation_id = "putPresence",
	  .scopes = SCOPE_CALLS_WRITE | SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = put },
	{ .method = NULL },
};

const struct resource presence_resource = { "presence", routes };
