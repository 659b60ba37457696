/*
 * Users: agents, rooms and common area phones, with the endpoints on which callbacks ring them.
 */
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/ids.h"
#include "users.h"

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

const struct field user_endpoint = { .type = F_OBJECT, .fields = endpoint_fields };

const struct field user_fields[] = {
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
	{ .name = "endpoints",
	  .type = F_ARRAY,
	  .max = 20,
	  .standard = "[]",
	  .fields = &user_endpoint },
	SERVER_FIELDS,
};

enum { EXTERNAL_ID = 2, SITE_ID = 4, EXTENSION = 6, NUMBER_ID, ADDRESS_ID, POLICY_ID };

#define USER_JSON \
	"json_build_object('id', u.id, 'external_id', u.external_id, 'display_name', u.display_name," \
	" 'site_id', u.site_id, 'kind', u.kind, 'extension', u.extension, 'number_id', u.number_id," \
	" 'address_id', u.address_id, 'policy_id', u.policy_id, 'active', u.active, 'remote', u.remote," \
	" 'outbound_enabled', u.outbound_enabled, 'provisioning', u.provisioning," \
	" 'endpoints', u.endpoints, 'created_at', rfc3339(u.created_at)," \
	" 'updated_at', rfc3339(u.updated_at))"

/* References become ids; the rules are those of users/batch, too. */
static enum err check(struct request *req, const char **p, const char *const *before)
{
	static const struct db_stmt check_user = {
		"check_user",
		"SELECT site_id, number_id, address_id, policy_id, code, pointer, detail"
		" FROM check_user_1($1, $2, $3, $4, $5, $6, $7, $8)",
		8
	};
	const char *const params[] = { p[0],	     p[1],	   p[EXTERNAL_ID], p[SITE_ID],
				       p[EXTENSION], p[NUMBER_ID], p[ADDRESS_ID],  p[POLICY_ID] };
	struct db_result *row;
	const char *code;
	enum err e = db_exec(req->db, req->arena, &check_user, params, &row);

	(void)before;
	if (e != ERR_OK)
		return e;
	code = db_value(row, 0, 4);
	if (code)
		return fail_member(req, err_by_code(code, strlen(code)), db_value(row, 0, 5), "%s",
				   db_value(row, 0, 6));
	p[SITE_ID] = db_value(row, 0, 0);
	p[NUMBER_ID] = db_value(row, 0, 1);
	p[ADDRESS_ID] = db_value(row, 0, 2);
	p[POLICY_ID] = db_value(row, 0, 3);
	return ERR_OK;
}

#define STORE_USER(function) \
	"SELECT u.revision, " USER_JSON " FROM " function \
	"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) u"

static enum err create(struct request *req)
{
	static const struct db_stmt store = { "create_user", STORE_USER("store_user_1"),
					      2 + USER_MEMBERS };
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(user_fields)] = { req->tenant, id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, user_fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return common_create(req, KIND_USER, &store, p, id);
}

/* Whoever places a call holds this lock: from here on there is none but those that can be seen. */
static enum err lock_state(struct request *req, const char *id)
{
	static const struct db_stmt lock = {
		"lock_user_state",
		"SELECT 1 FROM user_states WHERE tenant_id = $1 AND holder_id = $2 FOR UPDATE", 2
	};
	const char *const params[] = { req->tenant, id };

	return db_exec(req->db, req->arena, &lock, params, NULL);
}

static enum err delete_user(struct request *req, const char *id)
{
	static const struct db_stmt delete = { "delete_user", "SELECT delete_user_1($1, $2)", 2 };
	const char *const params[] = { req->tenant, id };

	return db_exec(req->db, req->arena, &delete, params, NULL);
}

static const struct editing editing = {
	.kind = KIND_USER,
	.fields = user_fields,
	.get = { "get_user",
		 "SELECT u.revision, " USER_JSON
		 " FROM users u WHERE u.tenant_id = $1 AND u.id = $2",
		 2 },
	.update = { "update_user", STORE_USER("change_user_1"), 2 + USER_MEMBERS },
	.check = check,
	.references = { "references_user",
			"SELECT 'emergency_call', c.id FROM emergency_calls c WHERE c.tenant_id = $1"
			" AND c.holder_id = $2 AND c.state IN ('placed', 'connected')"
			" UNION ALL SELECT 'lease', l.id FROM leases l WHERE l.tenant_id = $1"
			" AND l.holder_id = $2 AND l.state IN ('active', 'superseded')"
			" AND (l.expires_at > now() OR l.in_call > 0) LIMIT 20",
			2 },
	.before_delete = lock_state,
	.delete = delete_user,
};

static enum err get(struct request *req)
{
	return common_get(req, KIND_USER, &editing.get);
}

static enum err update(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err remove_user(struct request *req)
{
	return common_delete(req, &editing);
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
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}",
	  .operation_id = "updateUser",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = update },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}",
	  .operation_id = "deleteUser",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = remove_user },
	{ .method = NULL },
};

const struct resource users_resource = { "users", routes };
