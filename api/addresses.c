/*
 * Addresses: of sites, of users, and of record of numbers.
 */
#include "common.h"
#include "resources.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "kind", .type = F_ENUM, .choices = "company|personal", .standard = "company" },
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
	{ .name = "admin_area", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "city", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "postal_code", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "street", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "house_number", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "floor", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "room", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "name", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "latitude", .type = F_NUMBER, .flags = FIELD_NULLABLE, .min = -90, .max = 90 },
	{ .name = "longitude", .type = F_NUMBER, .flags = FIELD_NULLABLE, .min = -180, .max = 180 },
	{ .name = "uncertainty_m",
	  .type = F_NUMBER,
	  .flags = FIELD_NULLABLE,
	  .min = 0,
	  .max = 10000000 },
	{ .name = "validated_at", .type = F_TIME, .flags = FIELD_NULLABLE },
	SERVER_FIELDS,
};

enum { LATITUDE = 13, LONGITUDE };

#define ADDRESS_JSON \
	"json_build_object('id', a.id, 'external_id', a.external_id, 'kind', a.kind, 'region', a.region," \
	" 'admin_area', a.admin_area, 'city', a.city, 'postal_code', a.postal_code, 'street', a.street," \
	" 'house_number', a.house_number, 'floor', a.floor, 'room', a.room, 'name', a.name," \
	" 'latitude', a.latitude, 'longitude', a.longitude, 'uncertainty_m', a.uncertainty_m," \
	" 'validated_at', rfc3339(a.validated_at), 'created_at', rfc3339(a.created_at)," \
	" 'updated_at', rfc3339(a.updated_at))"

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
	const enum err e = fields_parse(req, fields, req->json, "", p + 2);

	if (e != ERR_OK)
		return e;
	if (p[LATITUDE] && !p[LONGITUDE])
		return fail_member(req, ERR_INVALID_VALUE, "/longitude",
				   "must be given with latitude");
	if (p[LONGITUDE] && !p[LATITUDE])
		return fail_member(req, ERR_INVALID_VALUE, "/latitude",
				   "must be given with longitude");
	id_v7(id);
	return common_create(req, &insert, p, id);
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
	static const struct db_stmt select = {
		"get_address",
		"SELECT a.version, " ADDRESS_JSON
		" FROM addresses a WHERE a.tenant_id = $1 AND a.id = $2",
		2
	};

	return common_get(req, KIND_ADDRESS, &select);
}

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
	{ .method = NULL },
};

const struct resource addresses_resource = { "addresses", routes };
