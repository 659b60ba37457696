/*
 * API keys of a tenant. The key itself is shown once, when it is made; its SHA-256 is stored.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/auth.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "scopes", .type = F_SCOPES, .flags = FIELD_REQUIRED, .min = 1, .max = 8 },
	{ .name = "expires_at", .type = F_TIME, .flags = FIELD_NULLABLE },
	{ .name = "last_used_at", .flags = FIELD_READ_ONLY },
	{ .name = "key", .flags = FIELD_READ_ONLY },
	SERVER_FIELDS,
};

enum { SCOPES = 3, EXPIRES_AT, SECRET_HASH };

#define KEY_JSON \
	"json_build_object('id', k.id, 'name', k.name, 'scopes', k.scopes," \
	" 'expires_at', rfc3339(k.expires_at), 'last_used_at', rfc3339(k.last_used_at)," \
	" 'created_at', rfc3339(k.created_at), 'updated_at', rfc3339(k.updated_at))"

static bool was_there(const char *const *before, const char *quoted)
{
	return before && strstr(before[SCOPES], quoted);
}

/* A key gives only scopes that it has, beside those that were there before. The operator has all but
   emergency:monitor, and may give that one too: nobody else could ever give the first. */
static enum err check_scopes(struct request *req, const char *const *before)
{
	const json_t *scopes = json_object_get(req->json, "scopes");
	const json_t *scope;
	size_t i;

	json_array_foreach (scopes, i, scope) {
		const char *name = json_string_value(scope);
		char pointer[40], quoted[40];

		snprintf(quoted, sizeof(quoted), "\"%s\"", name);
		if (key_has(req, scope_by_name(name, strlen(name))) || was_there(before, quoted))
			continue;
		snprintf(pointer, sizeof(pointer), "/scopes/%zu", i);
		return fail_member(req, ERR_FORBIDDEN, pointer,
				   "is a scope that this key does not have itself");
	}
	return ERR_OK;
}

/* By the clock of the database, as everything that expires. */
static enum err check_expiry(struct request *req, const char *expires_at)
{
	static const struct db_stmt in_future = { "in_future", "SELECT $1::timestamptz > now()",
						  1 };
	struct db_result *rows;
	enum err e;

	if (!expires_at)
		return ERR_OK;
	e = db_exec(req->db, req->arena, &in_future, &expires_at, &rows);
	if (e == ERR_OK && !db_true(rows, 0, 0))
		return fail_member(req, ERR_INVALID_VALUE, "/expires_at", "must be in the future");
	return e;
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *old = before ? before[EXPIRES_AT] : NULL, *new = p[EXPIRES_AT];
	const bool same = before && !old == !new && (!old || strcmp(old, new) == 0);
	/* Who sets when a key expires gives it its scopes anew. */
	const enum err e = check_scopes(req, same ? before : NULL);

	return e == ERR_OK && !same ? check_expiry(req, new) : e;
}

static const struct editing editing = {
	.kind = KIND_API_KEY,
	.fields = fields,
	.get = { "get_api_key",
		 "SELECT k.version, " KEY_JSON
		 " FROM api_keys k WHERE k.tenant_id = $1 AND k.id = $2",
		 2 },
	.update = { "update_api_key",
		    "UPDATE api_keys k SET name = $3, scopes = $4, expires_at = $5,"
		    " version = k.version + 1, updated_at = now()"
		    " WHERE k.tenant_id = $1 AND k.id = $2 RETURNING k.version, " KEY_JSON,
		    5 },
	.check = check,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_api_key",
		"INSERT INTO api_keys AS k (tenant_id, id, name, scopes, expires_at, secret_hash)"
		" VALUES ($1, $2, $3, $4, $5, decode($6, 'hex')) RETURNING k.version, " KEY_JSON,
		6
	};
	char id[UUID_TEXT], *key, *hash;
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	struct db_result *row;
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK ||
	    (e = auth_new_key(req->arena, id, &key, &hash)) != ERR_OK)
		return e;
	p[SECRET_HASH] = hash;
	e = common_insert(req, &insert, p, &row);
	if (e != ERR_OK)
		return e;
	return common_created(req, KIND_API_KEY, id, db_value(row, 0, 0),
			      json_with(req, db_value(row, 0, 1), "key", key));
}

static const struct listing all = {
	.select = { "list_api_keys",
		    "SELECT k.id, " KEY_JSON
		    " FROM api_keys k WHERE k.tenant_id = $1 AND k.id" AFTER
		    " ORDER BY k.id LIMIT $3",
		    3 },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_API_KEY, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/api-keys",
	  .operation_id = "createApiKey",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/api-keys",
	  .operation_id = "listApiKeys",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY_PAGE,
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/api-keys/{api_key_id}",
	  .operation_id = "getApiKey",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/api-keys/{api_key_id}",
	  .operation_id = "updateApiKey",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/api-keys/{api_key_id}",
	  .operation_id = "deleteApiKey",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource api_keys_resource = { "api-keys", routes };
