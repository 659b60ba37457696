/*
 * Tenants: the customers of the deployment. Only the operator creates and lists them.
 */
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
	{ .name = "language", .type = F_LANGUAGE, .standard = "en" },
	{ .name = "policy_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "policies" },
	{ .name = "policy_order",
	  .type = F_ENUM,
	  .choices = "user_first|site_first",
	  .standard = "user_first" },
	{ .name = "safety_team",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = destination_fields },
	{ .name = "fallback",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = destination_fields },
	SERVER_FIELDS,
};

/* Parameters: the tenant stands for itself twice, so that they are where common_patch() has them. */
enum { EXTERNAL_ID = 2, POLICY_ID = 6 };

#define TENANT_JSON \
	"json_build_object('id', t.id, 'external_id', t.external_id, 'name', t.name, 'region', t.region," \
	" 'language', t.language, 'policy_id', t.policy_id, 'policy_order', t.policy_order," \
	" 'safety_team', t.safety_team, 'fallback', t.fallback, 'created_at', rfc3339(t.created_at)," \
	" 'updated_at', rfc3339(t.updated_at))"

static enum err check(struct request *req, const char **p, const char *const *before)
{
	enum err e;

	if ((e = common_destination(req, req->json, "", "safety_team")) != ERR_OK ||
	    (e = common_destination(req, req->json, "", "fallback")) != ERR_OK)
		return e;
	/* Who names a tenant decides where provisioning by that name goes: the one who makes them. */
	if (before && !req->who.operator&& strcmp(before[EXTERNAL_ID] ? before[EXTERNAL_ID] : "",
						  p[EXTERNAL_ID] ? p[EXTERNAL_ID] : "") != 0)
		return fail_member(req, ERR_FORBIDDEN, "/external_id",
				   "of a tenant is changed by the operator only");
	if (!before && p[POLICY_ID])
		return fail_member(req, ERR_UNKNOWN_REFERENCE, "/policy_id",
				   "names no policy of this tenant, which has none yet");
	return common_reference(req, KIND_POLICY, "/policy_id", &p[POLICY_ID]);
}

/* What is configured under a tenant has to go first. Its keys, webhook endpoints and what it did go
   with it; its audit entries stay. In the order in which calls lock. */
static enum err delete_all(struct request *req, const char *id)
{
	static const struct db_stmt statements[] = {
#define ALL(table) { "delete_all_" table, "DELETE FROM " table " WHERE tenant_id = $1", 1 }
		ALL("idempotency_keys"),
		ALL("call_keys"),
		ALL("user_states"),
		ALL("emergency_calls"),
		ALL("leases"),
		ALL("callback_resolutions"),
		ALL("events"),
		ALL("webhook_deliveries"),
		ALL("notification_deliveries"),
		ALL("webhook_endpoints"),
		ALL("api_keys"),
#undef ALL
		{ "delete_tenant", "DELETE FROM tenants WHERE id = $1", 1 },
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < LENGTH(statements) && e == ERR_OK; i++)
		e = db_exec(req->db, req->arena, &statements[i], &id, NULL);
	return e;
}

static const struct editing editing = {
	.kind = KIND_TENANT,
	.fields = fields,
	.get = { "get_tenant",
		 "SELECT t.version, " TENANT_JSON " FROM tenants t WHERE t.id = $1 AND t.id = $2",
		 2 },
	.update = { "update_tenant",
		    "UPDATE tenants t SET external_id = $3, name = $4, region = $5, language = $6,"
		    " policy_id = $7, policy_order = $8, safety_team = $9, fallback = $10,"
		    " version = t.version + 1, updated_at = now()"
		    " WHERE t.id = $1 AND t.id = $2 RETURNING t.version, " TENANT_JSON,
		    10 },
	.check = check,
	.references = { "references_of_tenant",
			"SELECT * FROM ("
			"(SELECT 'site', id FROM sites WHERE tenant_id = $1 AND tenant_id = $2 LIMIT 20)"
			" UNION ALL (SELECT 'user', id FROM users WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'pool', id FROM pools WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'phone_number', id FROM phone_numbers WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'address', id FROM addresses WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'dial_rule', id FROM dial_rules WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'carrier_route', id FROM carrier_routes WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'notification_recipient', id FROM notification_recipients"
			" WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'policy', id FROM policies WHERE tenant_id = $1 LIMIT 20)"
			" UNION ALL (SELECT 'emergency_call', id FROM emergency_calls WHERE tenant_id = $1"
			" AND state IN ('placed', 'connected') LIMIT 20)) r LIMIT 20",
			2 },
	.before_delete = common_hold_calls,
	.delete = delete_all,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_tenant",
		"INSERT INTO tenants AS t (id, external_id, name, region, language, policy_id, policy_order,"
		" safety_team, fallback)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING t.version, " TENANT_JSON,
		9
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { id, id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK ||
	    (e = db_set_tenant(req->db, req->arena, id)) != ERR_OK)
		return e;
	return common_create(req, KIND_TENANT, &insert, p + 1, id);
}

static const struct listing all = {
	.select = { "list_tenants",
		    "SELECT t.id, " TENANT_JSON
		    " FROM lookup_tenants_1($1, $3, $2) t ORDER BY t.id",
		    3 },
	.filters = { { .name = "external_id", .type = FILTER_EXTERNAL_ID } },
	.all_tenants = true,
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_TENANT, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants",
	  .operation_id = "createTenant",
	  .scopes = SCOPE_OPERATOR,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants",
	  .operation_id = "listTenants",
	  .scopes = SCOPE_OPERATOR,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}",
	  .operation_id = "getTenant",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}",
	  .operation_id = "updateTenant",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}",
	  .operation_id = "deleteTenant",
	  .scopes = SCOPE_OPERATOR,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource tenants_resource = { "tenants", routes };
