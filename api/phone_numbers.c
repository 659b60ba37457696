/*
 * Phone numbers: the registered ones of a tenant, and those of a pool. A number is registered once
 * in the whole deployment.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/ids.h"

#define USAGES "user|callback|service"
#define STATES "active|porting_in|porting_out|suspended"

static const struct field fields[] = {
	{ .name = "number", .type = F_E164, .flags = FIELD_REQUIRED },
	{ .name = "number_type", .type = F_ENUM, .flags = FIELD_REQUIRED, .choices = NUMBER_TYPES },
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED },
	{ .name = "usage", .type = F_ENUM, .flags = FIELD_REQUIRED, .choices = USAGES },
	{ .name = "address_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "addresses" },
	{ .name = "state", .type = F_ENUM, .choices = STATES, .standard = "active" },
	{ .name = "pool_id", .flags = FIELD_READ_ONLY },
	{ .name = "user_id", .flags = FIELD_READ_ONLY },
	SERVER_FIELDS,
};

enum { ADDRESS_ID = 6 };

#define NUMBER_JSON \
	"json_build_object('id', n.id, 'number', n.number, 'number_type', n.number_type, 'region', n.region," \
	" 'usage', n.usage, 'address_id', n.address_id, 'state', n.state," \
	" 'pool_id', (SELECT i.pool_id FROM pool_numbers i" \
	" WHERE i.tenant_id = n.tenant_id AND i.number_id = n.id)," \
	" 'user_id', (SELECT u.id FROM users u WHERE u.tenant_id = n.tenant_id AND u.number_id = n.id)," \
	" 'created_at', rfc3339(n.created_at), 'updated_at', rfc3339(n.updated_at))"

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_phone_number",
		"INSERT INTO phone_numbers AS n (tenant_id, id, number, number_type, region, usage, address_id,"
		" state)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING n.version, " NUMBER_JSON,
		8
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK)
		return e;
	id_v7(id);
	return common_create(req, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_phone_numbers",
		"SELECT n.id, " NUMBER_JSON " FROM phone_numbers n WHERE n.tenant_id = $1"
		" AND n.id" AFTER " AND ($4::text IS NULL OR n.usage = $4)"
		" AND ($5::text IS NULL OR n.state = $5) AND ($6::text IS NULL OR n.number = $6)"
		" ORDER BY n.id LIMIT $3",
		6 },
	.filters = {
		{ .name = "usage", .type = FILTER_CHOICE, .choices = USAGES },
		{ .name = "state", .type = FILTER_CHOICE, .choices = STATES },
		{ .name = "number", .type = FILTER_E164 },
	},
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	static const struct db_stmt select = {
		"get_phone_number",
		"SELECT n.version, " NUMBER_JSON
		" FROM phone_numbers n WHERE n.tenant_id = $1 AND n.id = $2",
		2
	};

	return common_get(req, KIND_NUMBER, &select);
}

/* --- the numbers of a pool ---------------------------------------------------------------------- */

static const struct field e164 = { .type = F_E164 };
static const struct field add_fields[] = {
	{ .name = "numbers",
	  .type = F_ARRAY,
	  .flags = FIELD_REQUIRED,
	  .min = 1,
	  .max = 1000,
	  .fields = &e164 },
	{ .name = NULL },
};

/* Parameters of the statements of an addition. */
enum { TENANT, POOL, NUMBERS, MAY_REGISTER, ADDITION };

/* Says of one number of an addition why it cannot be added. at: its index. */
static enum err refuse_number(struct request *req, const char *at, const char *verdict)
{
	static const struct {
		const char *verdict;
		enum err err;
		const char *detail;
	} verdicts[] = {
		{ "twice", ERR_INVALID_VALUE, "is in the list twice" },
		{ "registered", ERR_NUMBER_IN_USE, "is registered already" },
		{ "scope", ERR_FORBIDDEN,
		  "is not registered, and registering it needs the scope numbers:write" },
		{ "user", ERR_NUMBER_USAGE,
		  "is registered with usage user, and must have usage callback" },
		{ "service", ERR_NUMBER_USAGE,
		  "is registered with usage service, and must have usage callback" },
		{ "pooled", ERR_NUMBER_IN_USE, "is in another pool" },
		{ "region", ERR_NUMBER_USAGE,
		  "is registered in another region than that of the pool" },
		{ "type", ERR_NUMBER_USAGE,
		  "is registered with another number_type than that of the pool" },
	};
	char pointer[40];

	snprintf(pointer, sizeof(pointer), "/numbers/%s", at);
	for (size_t i = 0; i < LENGTH(verdicts); i++)
		if (strcmp(verdict, verdicts[i].verdict) == 0)
			return fail_member(req, verdicts[i].err, pointer, "%s", verdicts[i].detail);
	return ERR_INTERNAL;
}

static enum err check_addition(struct request *req, const char *const *p)
{
	static const struct db_stmt select = {
		"check_pool_numbers",
		"SELECT x.at - 1, v.verdict FROM ("
		" SELECT number, at, row_number() OVER (PARTITION BY number ORDER BY at) AS nth"
		" FROM json_array_elements_text($3::json) WITH ORDINALITY AS j(number, at)) x"
		" JOIN pools p ON p.tenant_id = $1 AND p.id = $2"
		" LEFT JOIN phone_numbers n ON n.tenant_id = $1 AND n.number = x.number"
		" LEFT JOIN pool_numbers i ON i.tenant_id = $1 AND i.number_id = n.id"
		" LEFT JOIN LATERAL lookup_number_1(x.number) other ON n.id IS NULL"
		" CROSS JOIN LATERAL (SELECT CASE"
		" WHEN x.nth > 1 THEN 'twice'"
		" WHEN n.id IS NULL AND other.tenant_id IS NOT NULL THEN 'registered'"
		" WHEN n.id IS NULL AND NOT $4::boolean THEN 'scope'"
		" WHEN n.usage <> 'callback' THEN n.usage"
		" WHEN i.pool_id <> p.id THEN 'pooled'"
		" WHEN i.pool_id IS NULL AND region_group(n.region) <> region_group(p.region) THEN 'region'"
		" WHEN i.pool_id IS NULL AND n.number_type <> p.number_type THEN 'type' END) v(verdict)"
		" WHERE v.verdict IS NOT NULL ORDER BY x.at LIMIT 20",
		4
	};
	struct db_result *rows;
	enum err first = ERR_OK;
	const enum err e = db_exec(req->db, req->arena, &select, p, &rows);

	if (e != ERR_OK)
		return e;
	for (int i = 0; i < db_rows(rows); i++) {
		const enum err refused =
			refuse_number(req, db_value(rows, i, 0), db_value(rows, i, 1));

		if (first == ERR_OK)
			first = refused;
	}
	return first;
}

/* All of them, or none. Numbers that come up in between by another request make the whole be done
   again. In the order of the numbers, so that two additions cannot wait for each other. */
static enum err add_numbers(struct request *req, const char *const *p, struct db_result **items)
{
	static const struct db_stmt create_new = {
		"register_pool_numbers",
		"INSERT INTO phone_numbers (tenant_id, id, number, number_type, region, usage)"
		" SELECT $1, uuid7(), x.number, p.number_type, p.region, 'callback'"
		" FROM pools p, json_array_elements_text($3::json) AS x(number)"
		" WHERE p.tenant_id = $1 AND p.id = $2 AND NOT EXISTS ("
		"SELECT FROM phone_numbers n WHERE n.tenant_id = $1 AND n.number = x.number)"
		" ORDER BY x.number ON CONFLICT (number) DO NOTHING",
		3
	};
	static const struct db_stmt add = {
		"add_pool_numbers",
		"WITH added AS ("
		" INSERT INTO pool_numbers (tenant_id, number_id, pool_id, number, leasable)"
		" SELECT $1, n.id, p.id, n.number, n.state = 'active'"
		" FROM json_array_elements_text($3::json) AS x(number)"
		" JOIN pools p ON p.tenant_id = $1 AND p.id = $2"
		" JOIN phone_numbers n ON n.tenant_id = $1 AND n.number = x.number AND n.usage = 'callback'"
		" AND n.number_type = p.number_type AND region_group(n.region) = region_group(p.region)"
		" ORDER BY n.number ON CONFLICT (tenant_id, number_id) DO NOTHING RETURNING number_id)"
		/* pool_id is a member of the number, so this changes it; a new one has only just begun. */
		" UPDATE phone_numbers n SET version = n.version + 1, updated_at = now() FROM added"
		" WHERE n.tenant_id = $1 AND n.id = added.number_id AND n.created_at < now()",
		3
	};
	static const struct db_stmt select = {
		"added_pool_numbers",
		"SELECT count(*) = json_array_length($3::json),"
		" json_build_object('items', json_agg(" NUMBER_JSON " ORDER BY x.at))"
		" FROM json_array_elements_text($3::json) WITH ORDINALITY AS x(number, at)"
		" JOIN phone_numbers n ON n.tenant_id = $1 AND n.number = x.number"
		" JOIN pool_numbers m ON m.tenant_id = $1 AND m.number_id = n.id AND m.pool_id = $2",
		3
	};
	enum err e;

	if ((e = db_exec(req->db, req->arena, &create_new, p, NULL)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &add, p, NULL)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &select, p, items)) != ERR_OK)
		return e;
	return db_true(*items, 0, 0) ? ERR_OK : ERR_RETRY;
}

static enum err add_to_pool(struct request *req)
{
	const char *p[ADDITION] = { req->tenant, NULL, NULL,
				    key_has(req, SCOPE_NUMBERS_WRITE) ? "true" : "false" };
	struct db_result *items;
	enum err e;

	if ((e = fields_parse(req, add_fields, req->json, "", &p[NUMBERS])) != ERR_OK ||
	    (e = common_path(req, KIND_POOL, &p[POOL])) != ERR_OK ||
	    (e = check_addition(req, p)) != ERR_OK || (e = add_numbers(req, p, &items)) != ERR_OK ||
	    (e = config_changed(req)) != ERR_OK)
		return e;
	return reply_json(req, 201, db_value(items, 0, 1));
}

static const struct listing of_pool = {
	.select = { "list_pool_numbers",
		    "SELECT n.id, " NUMBER_JSON " FROM pool_numbers m"
		    " JOIN phone_numbers n ON n.tenant_id = $1 AND n.id = m.number_id"
		    " WHERE m.tenant_id = $1 AND m.pool_id = $4::uuid AND n.id" AFTER
		    " ORDER BY n.id LIMIT $3",
		    4 },
	.filters = { { .type = FILTER_PATH, .kind = KIND_POOL } },
};

static enum err list_of_pool(struct request *req)
{
	return common_list(req, &of_pool);
}

static enum err get_of_pool(struct request *req)
{
	static const struct db_stmt select = {
		"get_pool_number",
		"SELECT n.version, " NUMBER_JSON " FROM pool_numbers m"
		" JOIN phone_numbers n ON n.tenant_id = $1 AND n.id = m.number_id"
		" WHERE m.tenant_id = $1 AND m.number_id = $2 AND m.pool_id = $3",
		3
	};
	const char *p[] = { req->tenant, NULL, NULL };
	struct db_result *rows;
	enum err e;

	if ((e = common_path(req, KIND_POOL, &p[2])) != ERR_OK ||
	    (e = common_path(req, KIND_NUMBER, &p[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &select, p, &rows)) != ERR_OK)
		return e;
	if (db_rows(rows) == 0)
		return fail(req, ERR_NOT_FOUND, "The phone number is not in this pool.");
	return reply_resource(req, 200, db_value(rows, 0, 0), db_value(rows, 0, 1), NULL);
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/phone-numbers",
	  .operation_id = "createPhoneNumber",
	  .scopes = SCOPE_NUMBERS_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/phone-numbers",
	  .operation_id = "listPhoneNumbers",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("usage", "state", "number"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/phone-numbers/{number_id}",
	  .operation_id = "getPhoneNumber",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}/numbers",
	  .operation_id = "addPoolNumbers",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .max_body = 256 * 1024,
	  .write = true,
	  .handler = add_to_pool },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}/numbers",
	  .operation_id = "listPoolNumbers",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY_PAGE,
	  .handler = list_of_pool },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}/numbers/{number_id}",
	  .operation_id = "getPoolNumber",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get_of_pool },
	{ .method = NULL },
};

const struct resource phone_numbers_resource = { "phone-numbers", routes };
