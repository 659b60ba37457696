/*
 * Phone numbers: the registered ones of a tenant. A number is registered once in the whole
 * deployment. Those of a pool: pool_numbers.c.
 */
#include <string.h>

#include "numbers.h"
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

enum { NUMBER = 2, NUMBER_TYPE, REGION, USAGE, ADDRESS_ID, STATE };

/* Pools, users and sites that name it rely on what a number is. Its digits are who it is: calls and
   leases say them. */
static enum err check_uses(struct request *req, const char *const *p, const char *const *before)
{
	static const struct db_stmt rely = {
		"rely_on_phone_number",
		"WITH n AS (SELECT * FROM phone_numbers WHERE tenant_id = $1 AND id = $2"
		" AND (number_type <> $3 OR region_group(region) <> region_group($4) OR usage <> $5))"
		" SELECT 'pool', i.pool_id FROM n JOIN pool_numbers i ON i.tenant_id = $1 AND i.number_id = n.id"
		" UNION ALL SELECT 'user', u.id FROM n JOIN users u ON u.tenant_id = $1 AND u.number_id = n.id"
		" UNION ALL SELECT 'site', s.id FROM n JOIN sites s ON s.tenant_id = $1 AND n.number IN ("
		"s.resource_account->>'number', s.receptionist->>'number', s.call_queue->>'number') LIMIT 20",
		5
	};
	const char *const params[] = { req->tenant, p[1], p[NUMBER_TYPE], p[REGION], p[USAGE] };
	struct db_result *rows;
	enum err e;

	if (before[NUMBER] && strcmp(p[NUMBER], before[NUMBER]) != 0)
		return fail_member(req, ERR_INVALID_VALUE, "/number",
				   "cannot be changed; register the other number");
	e = db_exec(req->db, req->arena, &rely, params, &rows);
	if (e != ERR_OK)
		return e;
	return numbers_refuse_change(
		req, rows,
		numbers_culprit(before, p, USAGE,
				numbers_culprit(before, p, NUMBER_TYPE, "/region", "/number_type"),
				"/usage"),
		"cannot change while the number is in a pool, a user's, or in a role of a site");
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *culprit = "/address_id";
	enum err e;

	if ((e = common_reference(req, KIND_ADDRESS, "/address_id", &p[ADDRESS_ID])) != ERR_OK)
		return e;
	if (before)
		culprit = numbers_culprit(before, p, REGION, "/address_id", "/region");
	if ((e = numbers_check_address(req, p[REGION], p[ADDRESS_ID], culprit)) != ERR_OK ||
	    !before || (e = check_uses(req, p, before)) != ERR_OK)
		return e;
	/* With the state, the update changes the lease head of the number. */
	if (before[STATE] && strcmp(p[STATE], before[STATE]) == 0)
		return ERR_OK;
	return common_lock_tenant(req);
}

static const struct editing editing = {
	.kind = KIND_NUMBER,
	.fields = fields,
	.get = { "get_phone_number",
		 "SELECT n.version, " NUMBER_JSON
		 " FROM phone_numbers n WHERE n.tenant_id = $1 AND n.id = $2",
		 2 },
	/* Only an active number is taken by a call. What has been leased stays. */
	.update = { "update_phone_number",
		    "WITH head AS (UPDATE pool_numbers SET leasable = $8::text = 'active'"
		    " WHERE tenant_id = $1 AND number_id = $2 AND leasable <> ($8::text = 'active'))"
		    " UPDATE phone_numbers AS n SET number = $3, number_type = $4, region = $5, usage = $6,"
		    " address_id = $7, state = $8, version = n.version + 1, updated_at = now()"
		    " WHERE n.tenant_id = $1 AND n.id = $2 RETURNING n.version, " NUMBER_JSON,
		    8 },
	.check = check,
	.references = { "references_of_phone_number",
			"WITH n AS (SELECT * FROM phone_numbers WHERE tenant_id = $1 AND id = $2)"
			" SELECT 'pool', i.pool_id FROM n JOIN pool_numbers i ON i.tenant_id = $1 AND i.number_id = n.id"
			" UNION ALL SELECT 'user', u.id FROM n JOIN users u ON u.tenant_id = $1 AND u.number_id = n.id"
			" UNION ALL SELECT 'site', s.id FROM n JOIN sites s ON s.tenant_id = $1 AND n.number IN ("
			"s.resource_account->>'number', s.receptionist->>'number', s.call_queue->>'number')"
			" UNION ALL SELECT 'lease', l.id FROM n JOIN leases l ON l.tenant_id = $1"
			" AND l.number = n.number AND " LEASE_IS_LIVE
			" UNION ALL SELECT 'emergency_call', c.id FROM n JOIN emergency_calls c ON c.tenant_id = $1"
			" AND c.state IN ('placed', 'connected')"
			" AND n.number IN (c.presented_number, c.caller_number) LIMIT 20",
			2 },
};

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

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return common_create(req, KIND_NUMBER, &insert, p, id);
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
	return common_get(req, KIND_NUMBER, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

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
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/phone-numbers/{number_id}",
	  .operation_id = "updatePhoneNumber",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/phone-numbers/{number_id}",
	  .operation_id = "deletePhoneNumber",
	  .scopes = SCOPE_NUMBERS_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource phone_numbers_resource = { "phone-numbers", routes };
