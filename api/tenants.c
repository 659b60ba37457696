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

enum { ID, EXTERNAL_ID, NAME, REGION, LANGUAGE, POLICY_ID };

#define TENANT_JSON \
	"json_build_object('id', t.id, 'external_id', t.external_id, 'name', t.name, 'region', t.region," \
	" 'language', t.language, 'policy_id', t.policy_id, 'policy_order', t.policy_order," \
	" 'safety_team', t.safety_team, 'fallback', t.fallback, 'created_at', rfc3339(t.created_at)," \
	" 'updated_at', rfc3339(t.updated_at))"

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
	const char *p[1 + LENGTH(fields)] = { id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 1)) != ERR_OK ||
	    (e = common_destination(req, req->json, "", "safety_team")) != ERR_OK ||
	    (e = common_destination(req, req->json, "", "fallback")) != ERR_OK ||
	    (e = common_reference(req, KIND_POLICY, "/policy_id", &p[POLICY_ID])) != ERR_OK ||
	    (e = db_set_tenant(req->db, req->arena, id)) != ERR_OK)
		return e;
	return common_create(req, &insert, p, id);
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
	static const struct db_stmt select = {
		"get_tenant", "SELECT t.version, " TENANT_JSON " FROM tenants t WHERE t.id = $1", 1
	};
	const char *const params[] = { req->tenant };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, params, &rows);

	if (e != ERR_OK)
		return e;
	if (db_rows(rows) == 0)
		return fail(req, ERR_NOT_FOUND, "There is no such tenant.");
	return reply_resource(req, 200, db_value(rows, 0, 0), db_value(rows, 0, 1), NULL);
}

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
	{ .method = NULL },
};

const struct resource tenants_resource = { "tenants", routes };
