/*
 * Addresses: of sites, of users, and of record of numbers.
 */
#include "numbers.h"
#include "resources.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "kind", .type = F_ENUM, .choices = "company|personal", .standard = "company" },
	PLACE_FIELDS,
	SERVER_FIELDS,
};

enum { REGION = 4, LATITUDE = 13, LONGITUDE };

#define ADDRESS_JSON \
	"json_build_object('id', a.id, 'external_id', a.external_id, 'kind', a.kind, 'region', a.region," \
	" 'admin_area', a.admin_area, 'city', a.city, 'postal_code', a.postal_code, 'street', a.street," \
	" 'house_number', a.house_number, 'floor', a.floor, 'room', a.room, 'name', a.name," \
	" 'latitude', a.latitude, 'longitude', a.longitude, 'uncertainty_m', a.uncertainty_m," \
	" 'validated_at', rfc3339(a.validated_at), 'created_at', rfc3339(a.created_at)," \
	" 'updated_at', rfc3339(a.updated_at))"

/* A point has two coordinates. */
static enum err check_point(struct request *req, const char *const *p)
{
	if (p[LATITUDE] && !p[LONGITUDE])
		return fail_member(req, ERR_INVALID_VALUE, "/longitude",
				   "must be given with latitude");
	if (p[LONGITUDE] && !p[LATITUDE])
		return fail_member(req, ERR_INVALID_VALUE, "/latitude",
				   "must be given with longitude");
	return ERR_OK;
}

/* Sites, their pools, and numbers with this address of record are in its region. */
static enum err check(struct request *req, const char **p, const char *const *before)
{
	static const struct db_stmt rely = {
		"rely_on_region_of_address",
		"WITH a AS (SELECT id FROM addresses WHERE tenant_id = $1 AND id = $2"
		" AND region_group(region) <> region_group($3)),"
		" s AS (SELECT s.id FROM sites s JOIN a ON s.tenant_id = $1 AND s.address_id = a.id)"
		" SELECT 'site', id FROM s"
		" UNION ALL SELECT 'pool', p.id FROM pools p JOIN s ON p.tenant_id = $1 AND p.site_id = s.id"
		" UNION ALL SELECT 'phone_number', n.id FROM phone_numbers n"
		" JOIN a ON n.tenant_id = $1 AND n.address_id = a.id LIMIT 20",
		3
	};
	const char *const params[] = { req->tenant, p[1], p[REGION] };
	struct db_result *rows;
	enum err e = check_point(req, p);

	if (e != ERR_OK || !before)
		return e;
	e = db_exec(req->db, req->arena, &rely, params, &rows);
	if (e != ERR_OK)
		return e;
	return numbers_refuse_change(
		req, rows, "/region",
		"cannot change while sites, their pools or phone numbers have this address");
}

/* Where a user was until a time that is over is nobody's location. */
static enum err forget_locations(struct request *req, const char *id)
{
	static const struct db_stmt forget = {
		"forget_locations_of_address",
		"DELETE FROM user_locations WHERE tenant_id = $1 AND address_id = $2 AND expires_at <= now()",
		2
	};
	const char *const params[] = { req->tenant, id };

	return db_exec(req->db, req->arena, &forget, params, NULL);
}

static const struct editing editing = {
	.kind = KIND_ADDRESS,
	.fields = fields,
	.get = { "get_address",
		 "SELECT a.version, " ADDRESS_JSON
		 " FROM addresses a WHERE a.tenant_id = $1 AND a.id = $2",
		 2 },
	.update = { "update_address",
		    "UPDATE addresses AS a SET external_id = $3, kind = $4, region = $5, admin_area = $6,"
		    " city = $7, postal_code = $8, street = $9, house_number = $10, floor = $11, room = $12,"
		    " name = $13, latitude = $14, longitude = $15, uncertainty_m = $16, validated_at = $17,"
		    " version = a.version + 1, updated_at = now()"
		    " WHERE a.tenant_id = $1 AND a.id = $2 RETURNING a.version, " ADDRESS_JSON,
		    17 },
	.check = check,
	.references = { "references_of_address",
			"SELECT 'site', id FROM sites WHERE tenant_id = $1 AND address_id = $2"
			" UNION ALL SELECT 'user', id FROM (SELECT id FROM users"
			" WHERE tenant_id = $1 AND address_id = $2 UNION SELECT user_id FROM user_locations"
			" WHERE tenant_id = $1 AND address_id = $2) u"
			" UNION ALL SELECT 'phone_number', id FROM phone_numbers"
			" WHERE tenant_id = $1 AND address_id = $2 LIMIT 20",
			2 },
	.before_delete = forget_locations,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_address",
		"INSERT INTO addresses AS a (tenant_id, id, external_id, kind, region, admin_area, city,"
		" postal_code, street, house_number, floor, room, name, latitude, longitude, uncertainty_m,"
		" validated_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
		" RETURNING a.version, " ADDRESS_JSON,
		17
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return common_create(req, KIND_ADDRESS, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_addresses",
		    "SELECT a.id, " ADDRESS_JSON
		    " FROM addresses a WHERE a.tenant_id = $1 AND a.id" AFTER
		    " AND ($4::text IS NULL OR a.external_id = $4) ORDER BY a.id LIMIT $3",
		    4 },
	.filters = { { .name = "external_id", .type = FILTER_EXTERNAL_ID } },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_ADDRESS, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/addresses",
	  .operation_id = "createAddress",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/addresses",
	  .operation_id = "listAddresses",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/addresses/{address_id}",
	  .operation_id = "getAddress",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/addresses/{address_id}",
	  .operation_id = "updateAddress",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/addresses/{address_id}",
	  .operation_id = "deleteAddress",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource addresses_resource = { "addresses", routes };
