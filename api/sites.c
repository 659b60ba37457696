/*
 * Sites: where users work, with their default emergency address and their answering points
 * (resource account, receptionist, call queue), whose numbers get registered here.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
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

static enum err check_region(struct request *req, const char *region, const char *address_id)
{
	static const struct db_stmt select = {
		"region_of_address",
		"SELECT a.region, region_group(a.region) = region_group($3)"
		" FROM addresses a WHERE a.tenant_id = $1 AND a.id = $2",
		3
	};
	const char *const params[] = { req->tenant, address_id, region };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, params, &rows);

	if (e == ERR_OK && db_rows(rows) > 0 && !db_true(rows, 0, 1))
		return fail_member(req, ERR_INVALID_VALUE, "/region",
				   "must be the region of the address, which is %s",
				   db_value(rows, 0, 0));
	return e;
}

/* Is the number of a role the tenant's, for services, and of the type that the role says?
   *known: the tenant has it. */
static enum err check_number(struct request *req, const char *role, const char *json, bool *known)
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
	*known = db_rows(rows) > 0;
	if (*known && strcmp(db_value(rows, 0, 0), "service") != 0) {
		snprintf(pointer, sizeof(pointer), "/%s/number", role);
		return fail_member(req, ERR_NUMBER_USAGE, pointer,
				   "is registered with usage %s, and must have usage service",
				   db_value(rows, 0, 0));
	}
	if (*known && !db_true(rows, 0, 2)) {
		snprintf(pointer, sizeof(pointer), "/%s/number_type", role);
		return fail_member(req, ERR_NUMBER_USAGE, pointer,
				   "must be that of the registered number, which is %s",
				   db_value(rows, 0, 1));
	}
	return ERR_OK;
}

/* Naming a number in a role registers it, with usage service; several sites may name the same. */
static enum err register_number(struct request *req, const char *role, const char *json,
				const char *region)
{
	static const struct db_stmt insert = {
		"register_service_number",
		"INSERT INTO phone_numbers (tenant_id, id, number, number_type, region, usage)"
		" VALUES ($1, $2, $3::json->>'number', $3::json->>'number_type', $4, 'service')"
		" ON CONFLICT (number) DO NOTHING",
		4
	};
	char id[UUID_TEXT], pointer[60];
	const char *const params[] = { req->tenant, id, json, region };
	bool known;
	enum err e = check_number(req, role, json, &known);

	if (e != ERR_OK || known)
		return e;
	snprintf(pointer, sizeof(pointer), "/%s/number", role);
	if (!key_has(req, SCOPE_NUMBERS_WRITE))
		return fail_member(
			req, ERR_FORBIDDEN, pointer,
			"is not registered, and registering it needs the scope numbers:write");
	id_v7(id);
	if ((e = db_exec(req->db, req->arena, &insert, params, NULL)) != ERR_OK ||
	    (e = check_number(req, role, json, &known)) != ERR_OK)
		return e;
	return known ? ERR_OK
		     : fail_member(req, ERR_NUMBER_IN_USE, pointer, "is registered already");
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

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check_destinations(req)) != ERR_OK ||
	    (e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK ||
	    (e = common_reference(req, KIND_POLICY, "/policy_id", &p[POLICY_ID])) != ERR_OK ||
	    (e = check_region(req, p[REGION], p[ADDRESS_ID])) != ERR_OK)
		return e;
	for (size_t i = 0; i < LENGTH(roles); i++) {
		const char *role = p[RESOURCE_ACCOUNT + i];

		if (role && (e = register_number(req, roles[i], role, p[REGION])) != ERR_OK)
			return e;
	}
	id_v7(id);
	return common_create(req, &insert, p, id);
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
	static const struct db_stmt select = { "get_site",
					       "SELECT s.version, " SITE_JSON
					       " FROM sites s WHERE s.tenant_id = $1 AND s.id = $2",
					       2 };

	return common_get(req, KIND_SITE, &select);
}

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
	{ .method = NULL },
};

const struct resource sites_resource = { "sites", routes };
