/*
 * Dial rules: masks, custom emergency numbers, test numbers, and changes to how an emergency number
 * is handled. What a rule may say is judged in emergency/dial_rule.c; here it is held against the
 * regions, users and other rules of the tenant.
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "emergency/dial_rule.h"
#include "resources.h"
#include "server/ids.h"

#define KINDS "mask|custom|test|override"
#define ROUTES "psap_only|psap_and_team|team_only|team_then_psap|sip_group_only|team_then_sip_group"

static const struct field fields[] = {
	{ .name = "external_id", .type = F_EXTERNAL_ID, .flags = FIELD_NULLABLE },
	{ .name = "site_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "sites" },
	{ .name = "name", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "pattern", .type = F_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = 32 },
	{ .name = "kind", .type = F_ENUM, .flags = FIELD_REQUIRED, .choices = KINDS },
	{ .name = "translation", .type = F_STRING, .flags = FIELD_NULLABLE, .min = 1, .max = 32 },
	{ .name = "route", .type = F_ENUM, .flags = FIELD_NULLABLE, .choices = ROUTES },
	{ .name = "max_hold_seconds",
	  .type = F_INTEGER,
	  .flags = FIELD_NULLABLE,
	  .min = 1,
	  .max = 600 },
	{ .name = "sip_group",
	  .type = F_OBJECT,
	  .flags = FIELD_NULLABLE,
	  .fields = destination_fields },
	{ .name = "notify", .type = F_BOOL, .standard = "true" },
	{ .name = "warnings", .flags = FIELD_READ_ONLY },
	SERVER_FIELDS,
};

enum { ID = 1, SITE_ID = 3, PATTERN = 5, RULE_KIND, TRANSLATION, ROUTE, MAX_HOLD };

/* The regions whose numbers the rule meets stand where its warnings are to be: see answer(). */
#define RULE_JSON \
	"json_build_object('id', r.id, 'external_id', r.external_id, 'site_id', r.site_id," \
	" 'name', r.name, 'pattern', r.pattern, 'kind', r.kind, 'translation', r.translation," \
	" 'route', r.route, 'max_hold_seconds', r.max_hold_seconds, 'sip_group', r.sip_group," \
	" 'notify', r.notify, 'warnings', CASE WHEN r.site_id IS NULL" \
	" THEN (SELECT json_agg(g.region ORDER BY g.region) FROM (" REGIONS_OF_TENANT ") g)" \
	" ELSE (SELECT json_build_array(s.region) FROM sites s" \
	" WHERE s.tenant_id = $1 AND s.id = r.site_id) END," \
	" 'created_at', rfc3339(r.created_at), 'updated_at', rfc3339(r.updated_at))"

#define REGIONS_OF_TENANT \
	"SELECT t.region FROM tenants t WHERE t.id = $1" \
	" UNION SELECT s.region FROM sites s WHERE s.tenant_id = $1"

/* --- checks ------------------------------------------------------------------------------------- */

static enum err fault(struct request *req, const struct dial_rule_fault *f)
{
	static const enum err errors[] = {
		[DIAL_RULE_INVALID] = ERR_INVALID_VALUE,
		[DIAL_RULE_REQUIRED] = ERR_REQUIRED,
		[DIAL_RULE_CONFLICT] = ERR_PATTERN_CONFLICT,
		[DIAL_RULE_TRANSLATION_REQUIRED] = ERR_TRANSLATION_REQUIRED,
	};

	return fail_member(req, errors[f->error], f->member, "%s", f->detail);
}

/* The rules of a tenant are written one by one, or two masks could chain that were never compared;
   and no extension is given meanwhile (check_user_1). */
static enum err lock_tenant(struct request *req)
{
	static const struct db_stmt lock_extensions = {
		"lock_extensions", "SELECT pg_advisory_xact_lock(extension_lock_1($1))", 1
	};
	const char *const params[] = { req->tenant };
	const enum err e = db_exec(req->db, req->arena, &lock_extensions, params, NULL);

	return e == ERR_OK ? common_lock_tenant(req) : e;
}

/* Against the numbers of the regions that the rule holds in. */
static enum err check_regions(struct request *req, const struct dial_rule *rule,
			      const char *site_id)
{
	/* The site is locked before the tenant: deleting one has the same order. */
	static const struct db_stmt of_site = {
		"region_of_rule_site",
		"SELECT s.region FROM sites s WHERE s.tenant_id = $1 AND s.id = $2 FOR KEY SHARE", 2
	};
	static const struct db_stmt of_tenant = { "regions_of_tenant",
						  REGIONS_OF_TENANT " ORDER BY 1", 1 };
	const char *const params[] = { req->tenant, site_id };
	struct dial_rule_fault found;
	struct db_result *rows;
	const char **regions;
	enum err e;

	e = db_exec(req->db, req->arena, site_id ? &of_site : &of_tenant, params, &rows);
	if (e == ERR_OK)
		e = lock_tenant(req);
	if (e != ERR_OK)
		return e;
	regions = arena_alloc(req->arena, ((size_t)db_rows(rows) + 1) * sizeof(*regions));
	if (!regions)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	for (int i = 0; i < db_rows(rows); i++)
		regions[i] = db_value(rows, i, 0);
	if (dial_rule_conflicts(rule, regions, (size_t)db_rows(rows), &found))
		return fault(req, &found);
	return ERR_OK;
}

/* A rule takes its dial string from whoever has it as an extension; an override takes none. */
static enum err check_extensions(struct request *req, const struct dial_rule *rule)
{
	static const struct db_stmt exact = {
		"extension_of_pattern",
		"SELECT u.extension FROM users u WHERE u.tenant_id = $1 AND u.extension = $2", 2
	};
	static const struct db_stmt matching = {
		"extension_in_pattern",
		"SELECT u.extension FROM users u WHERE u.tenant_id = $1 AND u.extension"
		" ~ ('^' || replace(replace($2::text, '*', '[*]'), 'x', '[0-9]') || '$') LIMIT 1",
		2
	};
	const char *const params[] = { req->tenant, rule->pattern };
	struct db_result *rows;
	enum err e;

	if (strcmp(rule->kind, "override") == 0 || *rule->pattern == '+')
		return ERR_OK;
	e = db_exec(req->db, req->arena, strchr(rule->pattern, 'x') ? &matching : &exact, params,
		    &rows);
	if (e != ERR_OK || db_rows(rows) == 0)
		return e;
	return fail_member(req, ERR_PATTERN_CONFLICT, "/pattern",
			   "matches %s, the extension of a user", db_value(rows, 0, 0));
}

/* A mask stands for what is dialled, not for another mask that the same caller has. */
static enum err check_chain(struct request *req, const struct dial_rule *rule, const char *id,
			    const char *site_id)
{
	static const struct db_stmt select = {
		"other_masks",
		"SELECT r.id, r.pattern, r.translation FROM dial_rules r"
		" WHERE r.tenant_id = $1 AND r.id <> $2 AND r.kind = 'mask'"
		" AND (r.site_id IS NULL OR $3::uuid IS NULL OR r.site_id = $3) ORDER BY r.id",
		3
	};
	const char *const params[] = { req->tenant, id, site_id };
	struct db_result *rows;
	enum err e;

	if (strcmp(rule->kind, "mask") != 0)
		return ERR_OK;
	e = db_exec(req->db, req->arena, &select, params, &rows);
	if (e != ERR_OK)
		return e;
	for (int i = 0; i < db_rows(rows); i++) {
		if (dial_rule_overlap(rule->translation, db_value(rows, i, 1)))
			return fail_member(req, ERR_INVALID_VALUE, "/translation",
					   "is masked itself, by dial rule %s",
					   db_value(rows, i, 0));
		if (dial_rule_overlap(rule->pattern, db_value(rows, i, 2)))
			return fail_member(req, ERR_INVALID_VALUE, "/pattern",
					   "is what the mask of dial rule %s stands for",
					   db_value(rows, i, 0));
	}
	return ERR_OK;
}

/* Has nothing changed that is held against numbers, extensions and other rules? What it was allowed to
   be it may stay, wherever sites have been opened since. */
static bool dials_the_same(const char *const *p, const char *const *before)
{
	static const int members[] = { SITE_ID, PATTERN, RULE_KIND, TRANSLATION, ROUTE };

	for (size_t i = 0; before && i < LENGTH(members); i++) {
		const char *a = before[members[i]], *b = p[members[i]];

		if (!a != !b || (a && strcmp(a, b) != 0))
			return false;
	}
	return before != NULL;
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const struct dial_rule rule = {
		.kind = p[RULE_KIND],
		.pattern = p[PATTERN],
		.translation = p[TRANSLATION],
		.route = p[ROUTE],
		.max_hold_seconds = p[MAX_HOLD] ? (int)strtol(p[MAX_HOLD], NULL, 10) : 0,
	};
	struct dial_rule_fault found, faults[DIAL_RULE_FAULTS];
	const size_t n = dial_rule_faults(&rule, faults);
	enum err e = ERR_OK;

	for (size_t i = 0; i < n; i++)
		e = fault(req, &faults[i]);
	if (common_destination(req, req->json, "", "sip_group") != ERR_OK)
		e = ERR_INVALID_VALUE;
	if (e != ERR_OK)
		return e;
	if ((e = common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID])) != ERR_OK ||
	    dials_the_same(p, before))
		return e;
	if ((e = check_regions(req, &rule, p[SITE_ID])) != ERR_OK ||
	    (e = check_extensions(req, &rule)) != ERR_OK ||
	    (e = check_chain(req, &rule, p[ID], p[SITE_ID])) != ERR_OK)
		return e;
	return dial_rule_lacks_translation(&rule, &found) ? fault(req, &found) : ERR_OK;
}

/* --- warnings ----------------------------------------------------------------------------------- */

/* One warning a region in which the pattern is a public short code. NULL: out of memory. */
static json_t *warnings_of(const char *pattern, const json_t *regions)
{
	json_t *warnings = json_array();

	for (size_t i = 0; warnings && i < json_array_size(regions); i++) {
		const char *region = json_string_value(json_array_get(regions, i));
		char code[4];

		if (!dial_rule_short_code(pattern, region, code))
			continue;
		if (json_array_append_new(
			    warnings, json_pack("{ss so}", "code", "public_short_code", "detail",
						json_sprintf("%s is a public short code of %s, "
							     "which the rule takes from callers.",
							     code, region))) != 0) {
			json_decref(warnings);
			return NULL;
		}
	}
	return warnings;
}

static bool put_warnings(json_t *rule)
{
	json_t *warnings = warnings_of(json_string_value(json_object_get(rule, "pattern")),
				       json_object_get(rule, "warnings"));

	return warnings && json_object_set_new(rule, "warnings", warnings) == 0;
}

/* The reply that a handler made, with warnings where the regions stand. */
static enum err answer(struct request *req, enum err e)
{
	json_t *reply, *items, *rule;
	bool ok = true;
	size_t i;
	char *text;

	if (e != ERR_OK || req->reply.length == 0) /* 304, 204 */
		return e;
	reply = json_loads(req->reply.body, 0, NULL);
	items = json_object_get(reply, "items");
	json_array_foreach (items, i, rule)
		ok = ok && put_warnings(rule);
	if (!items)
		ok = put_warnings(reply);
	text = ok ? json_dumps(reply, JSON_COMPACT) : NULL;
	json_decref(reply);
	if (!text || !arena_defer(req->arena, free, text))
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	return reply_json(req, req->reply.status, text);
}

/* --- operations --------------------------------------------------------------------------------- */

static const struct editing editing = {
	.kind = KIND_DIAL_RULE,
	.fields = fields,
	.get = { "get_dial_rule",
		 "SELECT r.version, " RULE_JSON
		 " FROM dial_rules r WHERE r.tenant_id = $1 AND r.id = $2",
		 2 },
	.update = { "update_dial_rule",
		    "UPDATE dial_rules AS r SET external_id = $3, site_id = $4, name = $5,"
		    " pattern = $6, kind = $7, translation = $8, route = $9, max_hold_seconds = $10,"
		    " sip_group = $11, notify = $12, version = version + 1, updated_at = now()"
		    " WHERE r.tenant_id = $1 AND r.id = $2 RETURNING r.version, " RULE_JSON,
		    12 },
	.check = check,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_dial_rule",
		"INSERT INTO dial_rules AS r (tenant_id, id, external_id, site_id, name, pattern, kind,"
		" translation, route, max_hold_seconds, sip_group, notify)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
		" RETURNING r.version, " RULE_JSON,
		12
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	return answer(req, common_create(req, KIND_DIAL_RULE, &insert, p, id));
}

static const struct listing all = {
	.select = { "list_dial_rules",
		    "SELECT r.id, " RULE_JSON
		    " FROM dial_rules r WHERE r.tenant_id = $1 AND r.id" AFTER
		    " AND ($4::text IS NULL OR r.external_id = $4)"
		    " AND ($5::uuid IS NULL OR r.site_id = $5)"
		    " AND ($6::text IS NULL OR r.kind = $6) ORDER BY r.id LIMIT $3",
		    6 },
	.filters = { { .name = "external_id", .type = FILTER_EXTERNAL_ID },
		     { .name = "site_id", .type = FILTER_REFERENCE, .kind = KIND_SITE },
		     { .name = "kind", .type = FILTER_CHOICE, .choices = KINDS } },
};

static enum err list(struct request *req)
{
	return answer(req, common_list(req, &all));
}

static enum err get(struct request *req)
{
	return answer(req, common_get(req, KIND_DIAL_RULE, &editing.get));
}

static enum err patch(struct request *req)
{
	return answer(req, common_patch(req, &editing));
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/dial-rules",
	  .operation_id = "createDialRule",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/dial-rules",
	  .operation_id = "listDialRules",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("external_id", "site_id", "kind"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/dial-rules/{dial_rule_id}",
	  .operation_id = "getDialRule",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/dial-rules/{dial_rule_id}",
	  .operation_id = "updateDialRule",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/dial-rules/{dial_rule_id}",
	  .operation_id = "deleteDialRule",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource dial_rules_resource = { "dial-rules", routes };
