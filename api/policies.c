/*
 * Policies: what a tenant wants of its emergency calls, field by field; a null field inherits. They
 * are stored and validated here; a preset is kept by its name, not expanded.
 */
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/ids.h"

#define PRESETS "teams_phone|dynamics_365|zoom_phone"
#define OPERATIONS \
	"hold|local_mute|remote_mute|transfer|start_recording|stop_recording|add_participant|" \
	"remove_participant"

/* One row a field: every one is optional. */
#define CHOICE(field, values) \
	{ \
		.name = (field), .type = F_ENUM, .flags = FIELD_NULLABLE, .choices = (values) \
	}
#define COUNT(field, from, to) \
	{ \
		.name = (field), .type = F_INTEGER, .flags = FIELD_NULLABLE, .min = (from), \
		.max = (to) \
	}
#define SWITCH(field) \
	{ \
		.name = (field), .type = F_BOOL, .flags = FIELD_NULLABLE \
	}
#define DESTINATION(field) \
	{ \
		.name = (field), .type = F_OBJECT, .flags = FIELD_NULLABLE, \
		.fields = destination_fields \
	}
#define SEVERAL(field, count, values) \
	{ \
		.name = (field), .type = F_STRINGS, .flags = FIELD_NULLABLE, .max = (count), \
		.choices = (values) \
	}

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	CHOICE("preset", PRESETS),
	CHOICE("calling", "auto|primary|shared"),
	CHOICE("caller_id", "number_pool|receptionist|call_queue|resource_account"),
	CHOICE("caller_id_control", "switchback|platform"),
	COUNT("lease_ttl_seconds", 60, 86400),
	COUNT("test_lease_ttl_seconds", 60, 3600),
	CHOICE("lease_clock", "placed|ended"),
	CHOICE("lease_repeat", "renew|next"),
	CHOICE("lease_exhausted", "reuse_oldest|reuse_first|fallback"),
	CHOICE("unleased_callback",
	       "last_holder|resource_account|receptionist|call_queue|safety_team|fallback"),
	COUNT("callback_grace_seconds", 0, 604800),
	CHOICE("callback_ring", "by_placing_client|ccaas_only|placing_endpoint|all_endpoints"),
	CHOICE("callback_no_answer", "safety_team|fallback|candidates|none"),
	COUNT("callback_no_answer_seconds", 5, 120),
	CHOICE("route",
	       "psap_only|psap_and_team|team_only|team_then_psap|sip_group_only|team_then_sip_group"),
	COUNT("max_hold_seconds", 1, 60),
	DESTINATION("safety_team"),
	DESTINATION("sip_group"),
	SWITCH("record_safety_team"),
	SWITCH("psap_enabled"),
	{ .name = "psap_disabled_until", .type = F_TIME, .flags = FIELD_NULLABLE },
	CHOICE("notify_mode", "none|notify|listen|speak"),
	SEVERAL("blocked_operations", 8, OPERATIONS),
	SEVERAL("visible_controls", 2, "device_settings|end_call"),
	SWITCH("block_incoming"),
	SWITCH("record"),
	SWITCH("history"),
	SWITCH("presence_lock"),
	CHOICE("presence_value", "do_not_disturb|busy"),
	CHOICE("presence_restore", "call_ended|session_closed"),
	COUNT("max_call_seconds", 60, 86400),
	COUNT("retention_seconds", 0, 31536000),
	SERVER_FIELDS,
};

enum { PSAP_ENABLED = 23, PSAP_DISABLED_UNTIL };

/* The parameters from calling on, as they are stored. */
#define STORED \
	"json_build_object('calling', $6::text, 'caller_id', $7::text, 'caller_id_control', $8::text," \
	" 'lease_ttl_seconds', $9::integer, 'test_lease_ttl_seconds', $10::integer," \
	" 'lease_clock', $11::text, 'lease_repeat', $12::text, 'lease_exhausted', $13::text," \
	" 'unleased_callback', $14::text, 'callback_grace_seconds', $15::integer," \
	" 'callback_ring', $16::text, 'callback_no_answer', $17::text," \
	" 'callback_no_answer_seconds', $18::integer, 'route', $19::text," \
	" 'max_hold_seconds', $20::integer, 'safety_team', $21::json, 'sip_group', $22::json," \
	" 'record_safety_team', $23::boolean, 'psap_enabled', $24::boolean," \
	" 'psap_disabled_until', rfc3339($25::timestamptz), 'notify_mode', $26::text," \
	" 'blocked_operations', $27::text[], 'visible_controls', $28::text[]," \
	" 'block_incoming', $29::boolean, 'record', $30::boolean, 'history', $31::boolean," \
	" 'presence_lock', $32::boolean, 'presence_value', $33::text, 'presence_restore', $34::text," \
	" 'max_call_seconds', $35::integer, 'retention_seconds', $36::integer)"

#define POLICY_JSON \
	"json_build_object('id', p.id, 'external_id', p.external_id, 'name', p.name, 'preset', p.preset," \
	" 'calling', p.fields->'calling', 'caller_id', p.fields->'caller_id'," \
	" 'caller_id_control', p.fields->'caller_id_control'," \
	" 'lease_ttl_seconds', p.fields->'lease_ttl_seconds'," \
	" 'test_lease_ttl_seconds', p.fields->'test_lease_ttl_seconds'," \
	" 'lease_clock', p.fields->'lease_clock', 'lease_repeat', p.fields->'lease_repeat'," \
	" 'lease_exhausted', p.fields->'lease_exhausted'," \
	" 'unleased_callback', p.fields->'unleased_callback'," \
	" 'callback_grace_seconds', p.fields->'callback_grace_seconds'," \
	" 'callback_ring', p.fields->'callback_ring'," \
	" 'callback_no_answer', p.fields->'callback_no_answer'," \
	" 'callback_no_answer_seconds', p.fields->'callback_no_answer_seconds'," \
	" 'route', p.fields->'route', 'max_hold_seconds', p.fields->'max_hold_seconds'," \
	" 'safety_team', p.fields->'safety_team', 'sip_group', p.fields->'sip_group'," \
	" 'record_safety_team', p.fields->'record_safety_team'," \
	" 'psap_enabled', p.fields->'psap_enabled'," \
	" 'psap_disabled_until', p.fields->'psap_disabled_until'," \
	" 'notify_mode', p.fields->'notify_mode'," \
	" 'blocked_operations', p.fields->'blocked_operations'," \
	" 'visible_controls', p.fields->'visible_controls'," \
	" 'block_incoming', p.fields->'block_incoming', 'record', p.fields->'record'," \
	" 'history', p.fields->'history', 'presence_lock', p.fields->'presence_lock'," \
	" 'presence_value', p.fields->'presence_value'," \
	" 'presence_restore', p.fields->'presence_restore'," \
	" 'max_call_seconds', p.fields->'max_call_seconds'," \
	" 'retention_seconds', p.fields->'retention_seconds'," \
	" 'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at))"

/* PSAP routing is switched off for tests, and comes back by itself: never for longer than a day. One
   that has come back since stays as it was set, until the change is about it. */
static enum err check_until(struct request *req, const char *until, const char *before)
{
	static const struct db_stmt select = {
		"psap_disabled_until",
		"SELECT $1::timestamptz > statement_timestamp(),"
		" $1::timestamptz <= statement_timestamp() + interval '24 hours',"
		" $1::timestamptz IS NOT DISTINCT FROM $2::timestamptz",
		2
	};
	const char *const params[] = { until, before };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, params, &rows);

	if (e != ERR_OK || db_true(rows, 0, 2))
		return e;
	if (!db_true(rows, 0, 0))
		return fail_member(req, ERR_INVALID_VALUE, "/psap_disabled_until",
				   "must be in the future");
	if (!db_true(rows, 0, 1))
		return fail_member(req, ERR_INVALID_VALUE, "/psap_disabled_until",
				   "must be at most 24 hours ahead");
	return ERR_OK;
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *until = p[PSAP_DISABLED_UNTIL];
	const bool disabled = p[PSAP_ENABLED] && strcmp(p[PSAP_ENABLED], "false") == 0;
	enum err e;

	if (disabled && !until)
		return fail_member(req, ERR_REQUIRED, "/psap_disabled_until",
				   "is required, as psap_enabled is false");
	if (!disabled && until) {
		(void)fail_member(req, ERR_INVALID_VALUE, "/psap_disabled_until",
				  "must be null, as psap_enabled is not false");
		return fail_member(req, ERR_INVALID_VALUE, "/psap_enabled",
				   "must be false, as psap_disabled_until is given");
	}
	if ((e = common_destination(req, req->json, "", "safety_team")) != ERR_OK ||
	    (e = common_destination(req, req->json, "", "sip_group")) != ERR_OK || !disabled)
		return e;
	return check_until(req, until, before ? before[PSAP_DISABLED_UNTIL] : NULL);
}

static const struct editing editing = {
	.kind = KIND_POLICY,
	.fields = fields,
	.get = { "get_policy",
		 "SELECT p.version, " POLICY_JSON
		 " FROM policies p WHERE p.tenant_id = $1 AND p.id = $2",
		 2 },
	.update = { "update_policy",
		    "UPDATE policies AS p SET external_id = $3, name = $4, preset = $5,"
		    " fields = " STORED ", version = version + 1, updated_at = now()"
		    " WHERE p.tenant_id = $1 AND p.id = $2 RETURNING p.version, " POLICY_JSON,
		    36 },
	.check = check,
	.references = { "references_of_policy",
			"(SELECT 'tenant', t.id FROM tenants t WHERE t.id = $1 AND t.policy_id = $2)"
			" UNION ALL (SELECT 'site', s.id FROM sites s"
			" WHERE s.tenant_id = $1 AND s.policy_id = $2 ORDER BY s.id LIMIT 20)"
			" UNION ALL (SELECT 'user', u.id FROM users u"
			" WHERE u.tenant_id = $1 AND u.policy_id = $2 ORDER BY u.id LIMIT 20) LIMIT 20",
			2 },
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_policy",
		"INSERT INTO policies AS p (tenant_id, id, external_id, name, preset, fields)"
		" VALUES ($1, $2, $3, $4, $5, " STORED ") RETURNING p.version, " POLICY_JSON,
		36
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	id_v7(id);
	return common_create(req, KIND_POLICY, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_policies",
		    "SELECT p.id, " POLICY_JSON
		    " FROM policies p WHERE p.tenant_id = $1 AND p.id" AFTER
		    " AND ($4::text IS NULL OR p.external_id = $4) ORDER BY p.id LIMIT $3",
		    4 },
	.filters = { { .name = "external_id", .type = FILTER_EXTERNAL_ID } },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_POLICY, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/policies",
	  .operation_id = "createPolicy",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/policies",
	  .operation_id = "listPolicies",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/policies/{policy_id}",
	  .operation_id = "getPolicy",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/policies/{policy_id}",
	  .operation_id = "updatePolicy",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/policies/{policy_id}",
	  .operation_id = "deletePolicy",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource policies_resource = { "policies", routes };
