/*
 * Emergency number pools of sites. Their numbers are in pool_numbers.c.
 */
#include <string.h>

#include "numbers.h"
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

enum { SITE_ID = 3, REGION = 5, NUMBER_TYPE };

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

/* The region of a pool is that of its site's default address. The site stays locked: it cannot get
   another address, nor can an address that is a site's get another region. */
static enum err check_region(struct request *req, const char *const *p, const char *pointer)
{
	static const struct db_stmt lock = {
		"share_site_of_pool",
		"SELECT FROM sites WHERE tenant_id = $1 AND id = $2 FOR SHARE", 2
	};
	static const struct db_stmt select = {
		"region_of_site",
		"SELECT a.region, region_group(a.region) = region_group($3) FROM sites s"
		" JOIN addresses a ON a.tenant_id = $1 AND a.id = s.address_id"
		" WHERE s.tenant_id = $1 AND s.id = $2",
		3
	};
	const char *const params[] = { req->tenant, p[SITE_ID], p[REGION] };
	struct db_result *rows;
	enum err e;

	/* Two statements: what was waited for has its address in the second one's snapshot only. */
	if ((e = db_exec(req->db, req->arena, &lock, params, NULL)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &select, params, &rows)) != ERR_OK)
		return e;
	if (db_rows(rows) == 0) /* deleted since it was looked up: look again */
		return ERR_RETRY;
	if (db_true(rows, 0, 1))
		return ERR_OK;
	if (strcmp(pointer, "/region") == 0)
		return fail_member(req, ERR_INVALID_VALUE, pointer,
				   "must be the region of the site's default address, which is %s",
				   db_value(rows, 0, 0));
	return fail_member(
		req, ERR_INVALID_VALUE, pointer,
		"must name a site whose default address is in region %s; that of this one is in %s",
		p[REGION], db_value(rows, 0, 0));
}

/* The numbers of a pool have its region and its one number_type. */
static enum err check_numbers(struct request *req, const char *const *p, const char *const *before)
{
	static const struct db_stmt rely = {
		"rely_on_pool",
		"SELECT 'phone_number', i.number_id FROM pools p"
		" JOIN pool_numbers i ON i.tenant_id = $1 AND i.pool_id = p.id"
		" WHERE p.tenant_id = $1 AND p.id = $2 AND (p.number_type <> $3"
		" OR region_group(p.region) <> region_group($4)) LIMIT 20",
		4
	};
	const char *const params[] = { req->tenant, p[1], p[NUMBER_TYPE], p[REGION] };
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &rely, params, &rows);

	if (e != ERR_OK)
		return e;
	return numbers_refuse_change(
		req, rows, numbers_culprit(before, p, NUMBER_TYPE, "/region", "/number_type"),
		"cannot change while numbers are in the pool: they have its region and number_type");
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	enum err e;

	if ((e = common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID])) != ERR_OK ||
	    (e = check_region(req, p,
			      before ? numbers_culprit(before, (const char *const *)p, REGION,
						       "/site_id", "/region")
				     : "/region")) != ERR_OK)
		return e;
	return before ? check_numbers(req, p, before) : ERR_OK;
}

static const struct editing editing = {
	.kind = KIND_POOL,
	.fields = fields,
	.get = { "get_pool",
		 "SELECT p.version, " POOL_JSON
		 " FROM pools p WHERE p.tenant_id = $1 AND p.id = $2",
		 2 },
	.update = { "update_pool",
		    "UPDATE pools AS p SET external_id = $3, site_id = $4, name = $5, region = $6,"
		    " number_type = $7, low_water = $8, version = p.version + 1, updated_at = now()"
		    " WHERE p.tenant_id = $1 AND p.id = $2 RETURNING p.version, " POOL_JSON,
		    8 },
	.check = check,
	/* A number that has left may be presented all the same: a connect reported late brings a call
	   back, and with it the lease. */
	.references = { "references_of_pool",
			"SELECT 'phone_number', number_id FROM pool_numbers WHERE tenant_id = $1 AND pool_id = $2"
			" UNION ALL SELECT DISTINCT 'lease', l.id FROM emergency_calls c"
			" JOIN leases l ON l.tenant_id = $1 AND l.id = c.lease_id AND l.pool_id = $2"
			" WHERE c.tenant_id = $1 AND c.state IN ('placed', 'connected') LIMIT 20",
			2 },
};

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

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return common_create(req, KIND_POOL, &insert, p, id);
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
	return common_get(req, KIND_POOL, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

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
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}",
	  .operation_id = "updatePool",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}",
	  .operation_id = "deletePool",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource pools_resource = { "pools", routes };
