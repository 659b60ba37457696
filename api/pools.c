/*
 * Emergency number pools of sites. Their numbers are in phone_numbers.c.
 */
#include "common.h"
#include "resources.h"
#include "server/ids.h"

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "site_id", .type = F_REF, .flags = FIELD_REQUIRED, .choices = "sites" },
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
	{ .name = "number_type", .type = F_ENUM, .flags = FIELD_REQUIRED, .choices = NUMBER_TYPES },
	{ .name = "low_water", .type = F_INTEGER, .min = 0, .max = 10000, .standard = "1" },
	{ .name = "counts", .flags = FIELD_READ_ONLY },
	SERVER_FIELDS,
};

enum { SITE_ID = 3, REGION = 5 };

/* free: could be leased now; leased: under a lease that has not run out, or presented by a call. */
#define POOL_JSON \
	"json_build_object('id', p.id, 'external_id', p.external_id, 'site_id', p.site_id, 'name', p.name," \
	" 'region', p.region, 'number_type', p.number_type, 'low_water', p.low_water," \
	" 'counts', (SELECT json_build_object('total', count(*)," \
	" 'free', count(*) FILTER (WHERE i.leasable AND number_is_free_1(i, statement_timestamp()))," \
	" 'leased', count(*) FILTER (WHERE NOT number_is_free_1(i, statement_timestamp()))," \
	" 'in_call', count(*) FILTER (WHERE i.in_call > 0))" \
	" FROM pool_numbers i WHERE i.tenant_id = p.tenant_id AND i.pool_id = p.id)," \
	" 'created_at', rfc3339(p.created_at), 'updated_at', rfc3339(p.updated_at))"

static enum err check_region(struct request *req, const char *const *p)
{
	static const struct db_stmt select = {
		"region_of_site",
		"SELECT a.region, region_group(a.region) = region_group($3) FROM sites s"
		" JOIN addresses a ON a.tenant_id = $1 AND a.id = s.address_id"
		" WHERE s.tenant_id = $1 AND s.id = $2",
		3
	};
	const char *const params[] = { req->tenant, p[SITE_ID], p[REGION] };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, params, &rows);

	if (e == ERR_OK && db_rows(rows) > 0 && !db_true(rows, 0, 1))
		return fail_member(req, ERR_INVALID_VALUE, "/region",
				   "must be the region of the site's default address, which is %s",
				   db_value(rows, 0, 0));
	return e;
}

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_pool",
		"INSERT INTO pools AS p (tenant_id, id, external_id, site_id, name, region, number_type, low_water)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING p.version, " POOL_JSON,
		8
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID])) != ERR_OK ||
	    (e = check_region(req, p)) != ERR_OK)
		return e;
	id_v7(id);
	return common_create(req, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_pools",
		"SELECT p.id, " POOL_JSON " FROM pools p WHERE p.tenant_id = $1 AND p.id" AFTER
		" AND ($4::text IS NULL OR p.external_id = $4) AND ($5::uuid IS NULL OR p.site_id = $5)"
		" ORDER BY p.id LIMIT $3",
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
	static const struct db_stmt select = { "get_pool",
					       "SELECT p.version, " POOL_JSON
					       " FROM pools p WHERE p.tenant_id = $1 AND p.id = $2",
					       2 };

	return common_get(req, KIND_POOL, &select);
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/pools",
	  .operation_id = "createPool",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/pools",
	  .operation_id = "listPools",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id", "site_id"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}",
	  .operation_id = "getPool",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = NULL },
};

const struct resource pools_resource = { "pools", routes };
