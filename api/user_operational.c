/*
 * What a login or a desk move tells of a user: the endpoints of now, and where the user is. Operational,
 * no configuration: no audit entry and no config_version; calls are decided on it, so it raises the
 * version of the user.
 */
#include "common.h"
#include "resources.h"
#include "users.h"

#define USER_PATH "/v1/tenants/{tenant_id}/users/{user_id}"

/* The user of the path into p[1]. */
static enum err user_of_path(struct request *req, const char **p)
{
	p[0] = req->tenant;
	return common_path(req, KIND_USER, &p[1]);
}

static enum err gone(struct request *req)
{
	return fail(req, ERR_NOT_FOUND, "There is no such user.");
}

/* --- endpoints ------------------------------------------------------------------------------------ */

static enum err put_endpoints(struct request *req)
{
	static const struct field fields[] = {
		{ .name = "endpoints",
		  .type = F_ARRAY,
		  .flags = FIELD_REQUIRED,
		  .max = 20,
		  .fields = &user_endpoint },
		{ .name = NULL },
	};
	/* Every login tells the same again: only what is new is a change. */
	static const struct db_stmt put = {
		"put_user_endpoints",
		"UPDATE users u SET endpoints = n.endpoints, version = u.version + n.changed::int,"
		" revision = u.revision + n.changed::int,"
		" updated_at = CASE WHEN n.changed THEN now() ELSE u.updated_at END"
		" FROM (SELECT o.id, e AS endpoints, e::text <> o.endpoints::text AS changed"
		" FROM users o, endpoints_json_1($3) e WHERE o.tenant_id = $1 AND o.id = $2) n"
		" WHERE u.tenant_id = $1 AND u.id = n.id"
		" RETURNING u.revision, json_build_object('endpoints', u.endpoints)",
		3
	};
	const char *p[3] = { req->tenant };
	struct db_result *row;
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", &p[2])) != ERR_OK ||
	    (e = common_lock(req, KIND_USER, &p[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &put, p, &row)) != ERR_OK)
		return e;
	return reply_resource(req, 200, db_value(row, 0, 0), db_value(row, 0, 1), NULL);
}

/* --- location ------------------------------------------------------------------------------------- */

static const struct field place_fields[] = {
	PLACE_FIELDS,
	{ .name = NULL },
};

static const struct field location_fields[] = {
	{ .name = "address_id", .type = F_REF, .choices = "addresses" },
	{ .name = "address", .type = F_OBJECT, .fields = place_fields },
	{ .name = "expires_at", .type = F_TIME, .flags = FIELD_NULLABLE },
	{ .name = NULL },
};

enum { ADDRESS_ID = 2, ADDRESS };

#define LOCATION_JSON \
	"json_build_object('address_id', l.address_id, 'address', l.address," \
	" 'expires_at', rfc3339(l.expires_at), 'updated_at', rfc3339(l.updated_at))"

/* What the table cannot say. */
static enum err check_location(struct request *req, const char *const *p)
{
	const json_t *address = json_object_get(req->json, "address");
	const bool latitude = json_is_number(json_object_get(address, "latitude"));
	const bool longitude = json_is_number(json_object_get(address, "longitude"));

	if (p[ADDRESS_ID] && p[ADDRESS])
		return fail_member(req, ERR_INVALID_VALUE, "/address",
				   "must not be given with address_id");
	if (!p[ADDRESS_ID] && !p[ADDRESS])
		return fail_member(req, ERR_REQUIRED, "/address_id",
				   "is required, or else address");
	if (latitude != longitude)
		return fail_member(req, ERR_INVALID_VALUE,
				   latitude ? "/address/longitude" : "/address/latitude",
				   "must be given with %s", latitude ? "latitude" : "longitude");
	return ERR_OK;
}

/* Decisions that were made before this one are made again. The location is no part of the user: its
   ETag and updated_at stay. */
static enum err raise_version(struct request *req, const char *const *p)
{
	static const struct db_stmt raise = {
		"raise_user_version",
		"UPDATE users SET version = version + 1 WHERE tenant_id = $1 AND id = $2 RETURNING 1",
		2
	};
	struct db_result *row;
	const enum err e = db_exec(req->db, req->arena, &raise, p, &row);

	return e == ERR_OK && db_rows(row) == 0 ? gone(req) : e;
}

static enum err put_location(struct request *req)
{
	static const struct db_stmt put = {
		"put_user_location",
		"INSERT INTO user_locations AS l (tenant_id, user_id, address_id, address, expires_at)"
		" VALUES ($1, $2, $3, $4::jsonb || jsonb_build_object('validated_at',"
		" rfc3339(($4::jsonb->>'validated_at')::timestamptz)), $5)"
		" ON CONFLICT (tenant_id, user_id) DO UPDATE SET address_id = excluded.address_id,"
		" address = excluded.address, expires_at = excluded.expires_at, updated_at = now()"
		" RETURNING " LOCATION_JSON,
		5
	};
	const char *p[5];
	struct db_result *row;
	enum err e;

	if ((e = fields_parse(req, location_fields, req->json, "", &p[2])) != ERR_OK ||
	    (e = check_location(req, p)) != ERR_OK || (e = user_of_path(req, p)) != ERR_OK ||
	    (e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK ||
	    (e = raise_version(req, p)) != ERR_OK ||
	    (e = common_insert(req, &put, p, &row)) != ERR_OK)
		return e;
	return reply_resource(req, 200, NULL, db_value(row, 0, 0), NULL);
}

static enum err get_location(struct request *req)
{
	static const struct db_stmt get = { "get_user_location",
					    "SELECT " LOCATION_JSON " FROM user_locations l"
					    " WHERE l.tenant_id = $1 AND l.user_id = $2"
					    " AND (l.expires_at IS NULL OR l.expires_at > now())",
					    2 };
	const char *p[2];
	struct db_result *row;
	enum err e;

	if ((e = user_of_path(req, p)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &get, p, &row)) != ERR_OK)
		return e;
	if (db_rows(row) == 0)
		return fail(req, ERR_NOT_FOUND, "The user has no location now.");
	return reply_resource(req, 200, NULL, db_value(row, 0, 0), NULL);
}

static enum err delete_location(struct request *req)
{
	/* The user first, as in PUT. */
	static const struct db_stmt raise = {
		"raise_located_user",
		"UPDATE users u SET version = u.version + 1 WHERE u.tenant_id = $1 AND u.id = $2 AND EXISTS"
		" (SELECT FROM user_locations l WHERE l.tenant_id = $1 AND l.user_id = $2)",
		2
	};
	static const struct db_stmt delete = {
		"delete_user_location",
		"DELETE FROM user_locations WHERE tenant_id = $1 AND user_id = $2", 2
	};
	const char *p[2];
	enum err e;

	if ((e = user_of_path(req, p)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &raise, p, NULL)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &delete, p, NULL)) != ERR_OK)
		return e;
	return reply_nothing(req);
}

static const struct route routes[] = {
	{ .method = "PUT",
	  .path = USER_PATH "/endpoints",
	  .operation_id = "putUserEndpoints",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = put_endpoints },
	{ .method = "PUT",
	  .path = USER_PATH "/location",
	  .operation_id = "putUserLocation",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = put_location },
	{ .method = "GET",
	  .path = USER_PATH "/location",
	  .operation_id = "getUserLocation",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get_location },
	{ .method = "DELETE",
	  .path = USER_PATH "/location",
	  .operation_id = "deleteUserLocation",
	  .scopes = SCOPE_CALLS_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete_location },
	{ .method = NULL },
};

const struct resource user_operational_resource = { "users", routes };
