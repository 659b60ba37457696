/*
 * Users: agents, rooms and common area phones, with the endpoints on which callbacks ring them.
 */
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/ids.h"

static const struct field provisioning_fields[] = {
	{ .name = "teams_phone_license", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = "enterprise_voice", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = "capacity_profile", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = "outbound_profile", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = "browser_location_region", .type = F_REGION, .flags = FIELD_NULLABLE },
	{ .name = NULL },
};

static const struct field endpoint_fields[] = {
	{ .name = "type",
	  .type = F_ENUM,
	  .flags = FIELD_REQUIRED,
	  .choices =
		  "ccaas_client|teams_client|desktop_client|vdi_client|desk_phone|tablet|mobile" },
	{ .name = "address", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "cellular", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = "expires_at", .type = F_TIME, .flags = FIELD_NULLABLE },
	{ .name = NULL },
};

static const struct field endpoint = { .type = F_OBJECT, .fields = endpoint_fields };

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "display_name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "site_id", .type = F_REF, .flags = FIELD_REQUIRED, .choices = "sites" },
	{ .name = "kind",
	  .type = F_ENUM,
	  .choices = "person|room|common_area_phone",
	  .standard = "person" },
	{ .name = "extension", .type = F_EXTENSION, .flags = FIELD_NULLABLE },
	{ .name = "number_id",
	  .type = F_NUMBER_REF,
	  .flags = FIELD_NULLABLE,
	  .choices = "phone_numbers" },
	{ .name = "address_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "addresses" },
	{ .name = "policy_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "policies" },
	{ .name = "active", .type = F_BOOL, .standard = "true" },
	{ .name = "remote", .type = F_BOOL, .standard = "false" },
	{ .name = "outbound_enabled", .type = F_BOOL, .standard = "true" },
	{ .name = "provisioning",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = provisioning_fields },
	{ .name = "endpoints", .type = F_ARRAY, .max = 20, .standard = "[]", .fields = &endpoint },
	SERVER_FIELDS,
};

enum { SITE_ID = 4, NUMBER_ID = 7, ADDRESS_ID, POLICY_ID };

#define USER_JSON \
	"json_build_object('id', u.id, 'external_id', u.external_id, 'display_name', u.display_name," \
	" 'site_id', u.site_id, 'kind', u.kind, 'extension', u.extension, 'number_id', u.number_id," \
	" 'address_id', u.address_id, 'policy_id', u.policy_id, 'active', u.active, 'remote', u.remote," \
	" 'outbound_enabled', u.outbound_enabled, 'provisioning', u.provisioning," \
	" 'endpoints', u.endpoints, 'created_at', rfc3339(u.created_at)," \
	" 'updated_at', rfc3339(u.updated_at))"

/* A user's number has usage user. user_id is a member of the number, so naming it changes it. */
static enum err assign_number(struct request *req, const char *number_id)
{
	static const struct db_stmt assign = {
		"assign_number",
		"UPDATE phone_numbers SET version = version + 1, updated_at = now()"
		" WHERE tenant_id = $1 AND id = $2 RETURNING usage",
		2
	};
	const char *const params[] = { req->tenant, number_id };
	struct db_result *rows;
	enum err e;

	if (!number_id)
		return ERR_OK;
	e = db_exec(req->db, req->arena, &assign, params, &rows);
	if (e == ERR_OK && db_rows(rows) > 0 && strcmp(db_value(rows, 0, 0), "user") != 0)
		return fail_member(req, ERR_NUMBER_USAGE, "/number_id",
				   "is registered with usage %s, and must have usage user",
				   db_value(rows, 0, 0));
	return e;
}

static enum err insert_user(struct request *req, const char *const *p, struct db_result **row)
{
	static const struct db_stmt insert = {
		"create_user",
		"INSERT INTO users AS u (tenant_id, id, external_id, display_name, site_id, kind, extension,"
		" number_id, address_id, policy_id, active, remote, outbound_enabled, provisioning, endpoints)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
		/* Times leave as UTC with Z, however they came. */
		" (SELECT coalesce(json_agg(json_build_object('type', e->'type', 'address', e->'address',"
		" 'cellular', e->'cellular', 'expires_at', rfc3339((e->>'expires_at')::timestamptz))"
		" ORDER BY at), '[]') FROM json_array_elements($15::json) WITH ORDINALITY AS x(e, at)))"
		" RETURNING u.version, " USER_JSON,
		15
	};
	/* What calls lock and change is there before the first of them. */
	static const struct db_stmt insert_state = {
		"create_user_state",
		"INSERT INTO user_states (tenant_id, holder_id) VALUES ($1, $2)", 2
	};
	const enum err e = common_insert(req, &insert, p, row);

	return e == ERR_OK ? db_exec(req->db, req->arena, &insert_state, p, NULL) : e;
}

static enum err create(struct request *req)
{
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	struct db_result *row;
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID])) != ERR_OK ||
	    (e = common_reference(req, KIND_NUMBER, "/number_id", &p[NUMBER_ID])) != ERR_OK ||
	    (e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK ||
	    (e = common_reference(req, KIND_POLICY, "/policy_id", &p[POLICY_ID])) != ERR_OK ||
	    (e = assign_number(req, p[NUMBER_ID])) != ERR_OK ||
	    (e = insert_user(req, p, &row)) != ERR_OK)
		return e;
	return common_created(req, id, db_value(row, 0, 0), db_value(row, 0, 1));
}

static const struct listing all = {
	.select = { "list_users",
		"SELECT u.id, " USER_JSON " FROM users u WHERE u.tenant_id = $1 AND u.id" AFTER
		" AND ($4::text IS NULL OR u.external_id = $4) AND ($5::uuid IS NULL OR u.site_id = $5)"
		" ORDER BY u.id LIMIT $3",
		5 },
	.filters = {
		{ .name = "external_id", .type = FILTER_EXTERNAL_ID },
		{ .name = "site_id", .type = FILTER_REFERENCE, .kind = KIND_SITE },
	},
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	static const struct db_stmt select = { "get_user",
					       "SELECT u.version, " USER_JSON
					       " FROM users u WHERE u.tenant_id = $1 AND u.id = $2",
					       2 };

	return common_get(req, KIND_USER, &select);
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/users",
	  .operation_id = "createUser",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users",
	  .operation_id = "listUsers",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id", "site_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}",
	  .operation_id = "getUser",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = NULL },
};

const struct resource users_resource = { "users", routes };
