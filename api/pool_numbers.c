/*
 * The numbers of a pool: added many at a time, taken out one by one.
 */
#include <stdio.h>
#include <string.h>

#include "numbers.h"
#include "resources.h"

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
enum { TENANT, POOL, NUMBERS, WRITER, ADDITION };

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

	/* It was there, and has been deleted since: register it now. */
	if (strcmp(verdict, "scope") == 0 && key_has(req, SCOPE_NUMBERS_WRITE))
		return ERR_RETRY;
	/* Who may not register is not told who has. */
	if (strcmp(verdict, "registered") == 0 && !key_has(req, SCOPE_NUMBERS_WRITE))
		verdict = "scope";
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
		" WHEN n.id IS NULL THEN 'scope'"
		" WHEN n.usage <> 'callback' THEN n.usage"
		" WHEN i.pool_id <> p.id THEN 'pooled'"
		" WHEN i.pool_id IS NULL AND region_group(n.region) <> region_group(p.region) THEN 'region'"
		" WHEN i.pool_id IS NULL AND n.number_type <> p.number_type THEN 'type' END) v(verdict)"
		" WHERE v.verdict IS NOT NULL ORDER BY x.at LIMIT 20",
		3
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

/* The pool keeps its region and number_type, and every number what it is, until the end: those that
   are not registered are by now, where the key may do it. In the order of the numbers, so that two
   additions cannot wait for each other. */
static enum err lock_numbers(struct request *req, const char *const *p)
{
	static const struct db_stmt lock_pool = {
		"share_pool", "SELECT FROM pools WHERE tenant_id = $1 AND id = $2 FOR SHARE", 2
	};
	static const struct db_stmt create_new = {
		"register_pool_numbers",
		"WITH made AS (INSERT INTO phone_numbers (tenant_id, id, number, number_type, region, usage)"
		" SELECT $1, uuid7(), x.number, p.number_type, p.region, 'callback'"
		" FROM pools p, json_array_elements_text($3::json) AS x(number)"
		" WHERE p.tenant_id = $1 AND p.id = $2 AND NOT EXISTS ("
		"SELECT FROM phone_numbers n WHERE n.tenant_id = $1 AND n.number = x.number)"
		" ORDER BY x.number ON CONFLICT (number) DO NOTHING RETURNING id)" AUDIT_NUMBERS(
			"made", "$4", "created"),
		4
	};
	static const struct db_stmt lock = {
		"lock_pool_numbers",
		"SELECT FROM phone_numbers n WHERE n.tenant_id = $1"
		" AND n.number IN (SELECT json_array_elements_text($2::json))"
		" ORDER BY n.number FOR NO KEY UPDATE",
		2
	};
	const char *const locked[] = { req->tenant, p[NUMBERS] };
	struct db_result *pool;
	enum err e = db_exec(req->db, req->arena, &lock_pool, p, &pool);

	if (e == ERR_OK && db_rows(pool) == 0) /* deleted in between */
		return fail(req, ERR_NOT_FOUND, "There is no such pool.");
	if (e == ERR_OK && key_has(req, SCOPE_NUMBERS_WRITE))
		e = db_exec(req->db, req->arena, &create_new, p, NULL);
	return e == ERR_OK ? db_exec(req->db, req->arena, &lock, locked, NULL) : e;
}

/* A number that comes back has its place in the order of use, and a lease that nobody has closed yet
   is closed by who takes it next. */
#define LEASE_HEAD \
	" CROSS JOIN LATERAL (SELECT coalesce(sum(l.in_call), 0) AS in_call, max(l.leased_at) AS leased_at," \
	" max(CASE l.state WHEN 'released' THEN l.ended_at ELSE greatest(l.expires_at, l.ended_at) END)" \
	" AS free_at," \
	" max(l.id::text) FILTER (WHERE l.state = 'active')::uuid AS lease_id" \
	" FROM leases l WHERE l.tenant_id = $1 AND l.number = n.number AND l.number_id = n.id) h" \
	" LEFT JOIN leases l ON l.tenant_id = $1 AND l.id = h.lease_id"

/* All of them; none of them is refused. */
static enum err add_numbers(struct request *req, const char *const *p, struct db_result **items)
{
	static const struct db_stmt add = {
		"add_pool_numbers",
		"WITH added AS ("
		" INSERT INTO pool_numbers (tenant_id, number_id, pool_id, number, leasable, in_call, leased_at,"
		" free_at, lease_id, call_id)"
		" SELECT $1, n.id, $2, n.number, n.state = 'active', h.in_call, h.leased_at, h.free_at, h.lease_id,"
		" l.emergency_call_id"
		" FROM json_array_elements_text($3::json) AS x(number)"
		" JOIN phone_numbers n ON n.tenant_id = $1 AND n.number = x.number" LEASE_HEAD
		" ORDER BY n.number ON CONFLICT (tenant_id, number_id) DO NOTHING RETURNING number_id),"
		/* pool_id is a member of the number, so this changes it; a new one has only just begun. */
		" changed AS (UPDATE phone_numbers n SET version = n.version + 1, updated_at = now() FROM added"
		" WHERE n.tenant_id = $1 AND n.id = added.number_id AND n.created_at < now() RETURNING n.id)" AUDIT_NUMBERS(
			"changed", "$4", "updated"),
		4
	};
	static const struct db_stmt select = {
		"added_pool_numbers",
		"SELECT json_build_object('items', json_agg(" NUMBER_JSON " ORDER BY x.at))"
		" FROM json_array_elements_text($2::json) WITH ORDINALITY AS x(number, at)"
		" JOIN phone_numbers n ON n.tenant_id = $1 AND n.number = x.number",
		2
	};
	const char *const added[] = { req->tenant, p[NUMBERS] };
	const enum err e = db_exec(req->db, req->arena, &add, p, NULL);

	return e == ERR_OK ? db_exec(req->db, req->arena, &select, added, items) : e;
}

static enum err add_to_pool(struct request *req)
{
	const char *p[ADDITION] = { req->tenant, NULL, NULL, numbers_writer(req) };
	struct db_result *items;
	enum err e;

	if ((e = fields_parse(req, add_fields, req->json, "", &p[NUMBERS])) != ERR_OK ||
	    (e = common_path(req, KIND_POOL, &p[POOL])) != ERR_OK ||
	    (e = lock_numbers(req, p)) != ERR_OK || (e = check_addition(req, p)) != ERR_OK ||
	    (e = add_numbers(req, p, &items)) != ERR_OK ||
	    (e = common_changed(req, KIND_POOL, p[POOL], CHANGE_UPDATED)) != ERR_OK)
		return e;
	return reply_json(req, 201, db_value(items, 0, 0));
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

/* p: tenant, number, pool. Locks the number, then its lease head: no call takes it any more. One that
   holds the head is waited for, and seen by the next statement. */
static enum err lock_membership(struct request *req, const char *const *p)
{
	static const struct db_stmt lock_number = {
		"lock_pool_number",
		"SELECT version FROM phone_numbers WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
		2
	};
	static const struct db_stmt lock_head = {
		"lock_lease_head",
		"SELECT FROM pool_numbers WHERE tenant_id = $1 AND number_id = $2 AND pool_id = $3"
		" FOR UPDATE",
		3
	};
	struct db_result *number, *head;
	enum err e;

	if ((e = db_exec(req->db, req->arena, &lock_number, p, &number)) != ERR_OK ||
	    (e = common_lock_tenant(req)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &lock_head, p, &head)) != ERR_OK)
		return e;
	if (db_rows(number) == 0 || db_rows(head) == 0)
		return fail(req, ERR_NOT_FOUND, "The phone number is not in this pool.");
	return common_if_match(req, db_value(number, 0, 0));
}

static enum err check_leases(struct request *req, const char *const *p)
{
	static const struct db_stmt select = {
		"live_leases_of_number",
		"SELECT 'lease', l.id FROM phone_numbers n JOIN leases l ON l.tenant_id = $1"
		" AND l.number = n.number AND l.number_id = n.id AND " LEASE_IS_LIVE
		" WHERE n.tenant_id = $1 AND n.id = $2"
		" UNION ALL SELECT 'emergency_call', c.id FROM emergency_calls c WHERE c.tenant_id = $1"
		" AND c.number_id = $2 AND c.state IN ('placed', 'connected') LIMIT 20",
		2
	};
	struct db_result *rows;
	const enum err e = db_exec(req->db, req->arena, &select, p, &rows);

	if (e != ERR_OK || db_rows(rows) == 0)
		return e;
	return common_in_use(
		req, rows,
		"The phone number is leased: it leaves the pool when its lease is over.");
}

static enum err remove_from_pool(struct request *req)
{
	static const struct db_stmt leave = {
		"remove_pool_number",
		"WITH gone AS (DELETE FROM pool_numbers WHERE tenant_id = $1 AND number_id = $2"
		" RETURNING number_id),"
		" changed AS (UPDATE phone_numbers n SET version = n.version + 1, updated_at = now() FROM gone"
		" WHERE n.tenant_id = $1 AND n.id = gone.number_id RETURNING n.id)" AUDIT_NUMBERS(
			"changed", "$3", "updated"),
		3
	};
	const char *p[] = { req->tenant, NULL, NULL };
	const char *left[] = { req->tenant, NULL, numbers_writer(req) };
	enum err e;

	if ((e = common_path(req, KIND_POOL, &p[2])) != ERR_OK ||
	    (e = common_path(req, KIND_NUMBER, &p[1])) != ERR_OK ||
	    (e = lock_membership(req, p)) != ERR_OK || (e = check_leases(req, p)) != ERR_OK)
		return e;
	left[1] = p[1];
	if ((e = db_exec(req->db, req->arena, &leave, left, NULL)) != ERR_OK ||
	    (e = common_changed(req, KIND_POOL, p[2], CHANGE_UPDATED)) != ERR_OK)
		return e;
	return reply_nothing(req);
}

static const struct route routes[] = {
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
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/pools/{pool_id}/numbers/{number_id}",
	  .operation_id = "deletePoolNumber",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = remove_from_pool },
	{ .method = NULL },
};

const struct resource pool_numbers_resource = { "pool-numbers", routes };
