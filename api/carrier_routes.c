/*
 * Carrier routes: which dial strings leave by which trunk of the tenant's own carrier (direct
 * routing). A pattern of ".*" is the catch-all.
 */
#include "common.h"
#include "emergency/dial_rule.h"
#include "resources.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "site_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "sites" },
	{ .name = "pattern", .type = F_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = 32 },
	{ .name = "trunk", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "emergency_confirmed_at", .type = F_TIME, .flags = FIELD_NULLABLE },
	SERVER_FIELDS,
};

enum { SITE_ID = 2, PATTERN };

#define ROUTE_JSON \
	"json_build_object('id', c.id, 'site_id', c.site_id, 'pattern', c.pattern, 'trunk', c.trunk," \
	" 'emergency_confirmed_at', rfc3339(c.emergency_confirmed_at)," \
	" 'created_at', rfc3339(c.created_at), 'updated_at', rfc3339(c.updated_at))"

static enum err check(struct request *req, const char **p, const char *const *before)
{
	(void)before;
	if (!dial_rule_is_carrier_pattern(p[PATTERN]))
		return fail_member(req, ERR_INVALID_VALUE, "/pattern",
				   "must be .* or 1 to 32 of the characters 0-9, *, # and x");
	return common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID]);
}

static const struct editing editing = {
	.kind = KIND_CARRIER_ROUTE,
	.fields = fields,
	.get = { "get_carrier_route",
		 "SELECT c.version, " ROUTE_JSON
		 " FROM carrier_routes c WHERE c.tenant_id = $1 AND c.id = $2",
		 2 },
	.update = { "update_carrier_route",
		    "UPDATE carrier_routes AS c SET site_id = $3, pattern = $4, trunk = $5,"
		    " emergency_confirmed_at = $6, version = version + 1, updated_at = now()"
		    " WHERE c.tenant_id = $1 AND c.id = $2 RETURNING c.version, " ROUTE_JSON,
		    6 },
	.check = check,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_carrier_route",
		"INSERT INTO carrier_routes AS c (tenant_id, id, site_id, pattern, trunk,"
		" emergency_confirmed_at)"
		" VALUES ($1, $2, $3, $4, $5, $6) RETURNING c.version, " ROUTE_JSON,
		6
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	id_v7(id);
	return common_create(req, KIND_CARRIER_ROUTE, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_carrier_routes",
		    "SELECT c.id, " ROUTE_JSON
		    " FROM carrier_routes c WHERE c.tenant_id = $1 AND c.id" AFTER
		    " AND ($4::uuid IS NULL OR c.site_id = $4) ORDER BY c.id LIMIT $3",
		    4 },
	.filters = { { .name = "site_id", .type = FILTER_REFERENCE, .kind = KIND_SITE } },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_CARRIER_ROUTE, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/carrier-routes",
	  .operation_id = "createCarrierRoute",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/carrier-routes",
	  .operation_id = "listCarrierRoutes",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("site_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/carrier-routes/{carrier_route_id}",
	  .operation_id = "getCarrierRoute",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/carrier-routes/{carrier_route_id}",
	  .operation_id = "updateCarrierRoute",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/carrier-routes/{carrier_route_id}",
	  .operation_id = "deleteCarrierRoute",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource carrier_routes_resource = { "carrier-routes", routes };
