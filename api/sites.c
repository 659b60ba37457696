/*
 * Sites: where users work, with their default emergency address and their answering points
 * (resource account, receptionist, call queue), whose numbers get registered here.
 */
#include <stdio.h>
#include <string.h>

#include "numbers.h"
#include "resources.h"
#include "server/ids.h"

static const struct field role_fields[] = {
	{ .name = "number", .type = F_E164, .flags = FIELD_REQUIRED },
	{ .name = "number_type", .type = F_ENUM, .choices = NUMBER_TYPES, .standard = "native" },
	{ .name = "destination",
	  .type = F_OBJECT,
	  .flags = FIELD_REQUIRED,
	  .fields = destination_fields },
	{ .name = "staffed_24x7", .type = F_BOOL, .standard = "false" },
	{ .name = "dedicated_to_safety", .type = F_BOOL, .standard = "false" },
	{ .name = "licensed", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = NULL },
};

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
	{ .name = "address_id", .type = F_REF, .flags = FIELD_REQUIRED, .choices = "addresses" },
	{ .name = "policy_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "policies" },
	{ .name = "safety_team",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = destination_fields },
	{ .name = "fallback",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = destination_fields },
	{ .name = "resource_account",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = role_fields },
	{ .name = "receptionist",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = role_fields },
	{ .name = "call_queue", .type = F_OBJECT, .flags = FIELD_NULLABLE, .fields = role_fields },
	SERVER_FIELDS,
};

enum { NAME = 3, REGION, ADDRESS_ID, POLICY_ID, RESOURCE_ACCOUNT = 9 };

static const char *const roles[] = { "resource_account", "receptionist", "call_queue" };

#define SITE_JSON \
	"json_build_object('id', s.id, 'external_id', s.external_id, 'name', s.name, 'region', s.region," \
	" 'address_id', s.address_id, 'policy_id', s.policy_id, 'safety_team', s.safety_team," \
	" 'fallback', s.fallback, 'resource_account', s.resource_account, 'receptionist', s.receptionist," \
	" 'call_queue', s.call_queue, 'created_at', rfc3339(s.created_at)," \
	" 'updated_at', rfc3339(s.updated_at))"

/* Why has the tenant no such number, after it was to be registered? */
static enum err refuse_number(struct request *req, const char *pointer, const char *json)
{
	static const struct db_stmt select = { "owner_of_service_number",
					       "SELECT FROM lookup_number_1($1::json->>'number')",
					       1 };
	struct db_result *rows;
	enum err e;

	if (!key_has(req, SCOPE_NUMBERS_WRITE))
		return fail_member(
			req, ERR_FORBIDDEN, pointer,
			"is not registered, and registering it needs the scope numbers:write");
	e = db_exec(req->db, req->arena, &select, &json, &rows);
	if (e != ERR_OK)
		return e;
	if (db_rows(rows) == 0) /* it was there, and has been deleted since: register it now */
		return ERR_RETRY;
	return fail_member(req, ERR_NUMBER_IN_USE, pointer, "is registered already");
}

/* The number of a role is the tenant's, for services, and of the type that the role says. */
static enum err check_number(struct request *req, const char *role, const char *json)
{
	static const struct db_stmt select = {
		"service_number",
		"SELECT n.usage, n.number_type, n.number_type = $2::json->>'number_type' FROM phone_numbers n"
		" WHERE n.tenant_id = $1 AND n.number = $2::json->>'number'",
		2
	};
	const char *const params[] = { req->tenant, json };
	char pointer[60];
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, params, &rows);

	if (e != ERR_OK)
		return e;
	snprintf(pointer, sizeof(pointer), "/%s/number", role);
	if (db_rows(rows) == 0)
		return refuse_number(req, pointer, json);
	if (strcmp(db_value(rows, 0, 0), "service") != 0)
		return fail_member(req, ERR_NUMBER_USAGE, pointer,
				   "is registered with usage %s, and must have usage service",
				   db_value(rows, 0, 0));
	snprintf(pointer, sizeof(pointer), "/%s/number_type", role);
	if (!db_true(rows, 0, 2))
		return fail_member(req, ERR_NUMBER_USAGE, pointer,
				   "must be that of the registered number, which is %s",
				   db_value(rows, 0, 1));
	return ERR_OK;
}

/* Naming a number in a role registers it, with usage service; several sites may name the same. Those
   that are there stay locked, so that nobody changes their usage or type. */
static enum err register_numbers(struct request *req, const char *const *p)
{
	static const struct db_stmt insert = {
		"register_service_numbers",
		"WITH made AS (INSERT INTO phone_numbers (tenant_id, id, number, number_type, region, usage)"
		" SELECT $1, uuid7(), r.json->>'number', r.json->>'number_type', $2, 'service'"
		" FROM (VALUES (1, $3::json), (2, $4::json), (3, $5::json)) r(at, json)"
		" WHERE r.json IS NOT NULL AND NOT EXISTS ("
		"SELECT FROM phone_numbers n WHERE n.tenant_id = $1 AND n.number = r.json->>'number')"
		" ORDER BY r.json->>'number', r.at ON CONFLICT (number) DO NOTHING RETURNING id)" AUDIT_NUMBERS(
			"made", "$6", "created"),
		6
	};
	static const struct db_stmt lock = {
		"share_service_numbers",
		"SELECT FROM phone_numbers n WHERE n.tenant_id = $1"
		" AND n.number IN ($2::json->>'number', $3::json->>'number', $4::json->>'number')"
		" ORDER BY n.number FOR SHARE",
		4
	};
	const char *const *json = p + RESOURCE_ACCOUNT;
	const char *const made[] = { req->tenant, p[REGION], json[0],
				     json[1],	  json[2],   numbers_writer(req) };
	const char *const locked[] = { req->tenant, json[0], json[1], json[2] };
	enum err e = ERR_OK;

	if (key_has(req, SCOPE_NUMBERS_WRITE))
		e = db_exec(req->db, req->arena, &insert, made, NULL);
	return e == ERR_OK ? db_exec(req->db, req->arena, &lock, locked, NULL) : e;
}

static enum err check_roles(struct request *req, const char *const *p)
{
	enum err e = register_numbers(req, p);

	for (size_t i = 0; i < LENGTH(roles) && e == ERR_OK; i++)
		if (p[RESOURCE_ACCOUNT + i])
			e = check_number(req, roles[i], p[RESOURCE_ACCOUNT + i]);
	return e;
}

static enum err check_destinations(struct request *req)
{
	enum err e;

	if ((e = common_destination(req, req->json, "", "safety_team")) != ERR_OK ||
	    (e = common_destination(req, req->json, "", "fallback")) != ERR_OK)
		return e;
	for (size_t i = 0; i < LENGTH(roles); i++) {
		char prefix[40];

		snprintf(prefix, sizeof(prefix), "/%s", roles[i]);
		e = common_destination(req, json_object_get(req->json, roles[i]), prefix,
				       "destination");
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* The pools of a site are in the region of its address. */
static enum err check_pools(struct request *req, const char *const *p, const char *const *before)
{
	static const struct db_stmt rely = {
		"rely_on_region_of_site",
		"SELECT 'pool', p.id FROM pools p JOIN addresses a ON a.tenant_id = $1 AND a.id = $3"
		" WHERE p.tenant_id = $1 AND p.site_id = $2"
		" AND region_group(p.region) <> region_group(a.region) LIMIT 20",
		3
	};
	const char *const params[] = { req->tenant, p[1], p[ADDRESS_ID] };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &rely, params, &rows);

	if (e != ERR_OK)
		return e;
	return numbers_refuse_change(
		req, rows, numbers_culprit(before, p, ADDRESS_ID, "/region", "/address_id"),
		"cannot go to another region while the site has pools");
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *culprit = "/region";
	enum err e;

	if ((e = check_destinations(req)) != ERR_OK ||
	    (e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK ||
	    (e = common_reference(req, KIND_POLICY, "/policy_id", &p[POLICY_ID])) != ERR_OK)
		return e;
	if (before)
		culprit = numbers_culprit(before, p, REGION, "/address_id", "/region");
	if ((e = numbers_check_address(req, p[REGION], p[ADDRESS_ID], culprit)) != ERR_OK ||
	    (e = check_roles(req, p)) != ERR_OK)
		return e;
	return before ? check_pools(req, p, before) : ERR_OK;
}

static const struct editing editing = {
	.kind = KIND_SITE,
	.fields = fields,
	.get = { "get_site",
		 "SELECT s.version, " SITE_JSON
		 " FROM sites s WHERE s.tenant_id = $1 AND s.id = $2",
		 2 },
	.update = { "update_site",
		    "UPDATE sites AS s SET external_id = $3, name = $4, region = $5, address_id = $6,"
		    " policy_id = $7, safety_team = $8, fallback = $9, resource_account = $10,"
		    " receptionist = $11, call_queue = $12, version = s.version + 1, updated_at = now()"
		    " WHERE s.tenant_id = $1 AND s.id = $2 RETURNING s.version, " SITE_JSON,
		    12 },
	.check = check,
	.references = { "references_of_site",
			"SELECT 'pool', id FROM pools WHERE tenant_id = $1 AND site_id = $2"
			" UNION ALL SELECT 'user', id FROM users WHERE tenant_id = $1 AND site_id = $2"
			" UNION ALL SELECT 'dial_rule', id FROM dial_rules WHERE tenant_id = $1 AND site_id = $2"
			" UNION ALL SELECT 'carrier_route', id FROM carrier_routes"
			" WHERE tenant_id = $1 AND site_id = $2"
			" UNION ALL SELECT 'notification_recipient', id FROM notification_recipients"
			" WHERE tenant_id = $1 AND site_id = $2"
			" UNION ALL SELECT 'emergency_call', id FROM emergency_calls"
			" WHERE tenant_id = $1 AND site_id = $2 AND state IN ('placed', 'connected') LIMIT 20",
			2 },
	.before_delete = common_hold_calls,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_site",
		"INSERT INTO sites AS s (tenant_id, id, external_id, name, region, address_id, policy_id,"
		" safety_team, fallback, resource_account, receptionist, call_queue)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING s.version, " SITE_JSON,
		12
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return common_create(req, KIND_SITE, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_sites",
		    "SELECT s.id, " SITE_JSON " FROM sites s WHERE s.tenant_id = $1 AND s.id" AFTER
		    " AND ($4::text IS NULL OR s.external_id = $4) ORDER BY s.id LIMIT $3",
		    4 },
	.filters = { { .name = "external_id", .type = FILTER_EXTERNAL_ID } },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_SITE, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/sites",
	  .operation_id = "createSite",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/sites",
	  .operation_id = "listSites",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/sites/{site_id}",
	  .operation_id = "getSite",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/sites/{site_id}",
	  .operation_id = "updateSite",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/sites/{site_id}",
	  .operation_id = "deleteSite",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource sites_resource = { "sites", routes };
