/*
 * The policy in force for a user: each field with the level and the policy that say so.
 */
#include "common.h"
#include "emergency/call_request.h"
#include "emergency/policy.h"
#include "lenient.h"
#include "resources.h"

/* {site_first, tenant, site, user}: the policies as a call of this moment would read them. */
static enum err read_levels(struct request *req, const char *user, json_t **levels)
{
	static const struct db_stmt select = {
		"effective_policy",
		"SELECT json_build_object('site_first', t.policy_order = 'site_first',"
		" 'tenant', policy_json_1(t.id, t.policy_id, clock_timestamp()),"
		" 'site', policy_json_1(t.id, s.policy_id, clock_timestamp()),"
		" 'user', policy_json_1(t.id, u.policy_id, clock_timestamp()))"
		" FROM users u JOIN tenants t ON t.id = u.tenant_id"
		" JOIN sites s ON s.tenant_id = u.tenant_id AND s.id = u.site_id"
		" WHERE u.tenant_id = $1 AND u.id = $2",
		2
	};
	struct db_result *row;
	enum err e = db_exec(req->db, req->arena, &select,
			     (const char *const[]){ req->tenant, user }, &row);

	if (e)
		return e;
	if (!db_rows(row))
		return fail(req, ERR_NOT_FOUND, "There is no such resource.");
	*levels = arena_json(req->arena, json_loads(db_value(row, 0, 0), 0, NULL));
	return *levels ? ERR_OK : ERR_UNAVAILABLE;
}

/* Every field {value, level, policy_id}. NULL: out of memory. */
static const char *effective(struct arena *arena, const struct policy *policy)
{
	json_t *all = arena_json(arena, json_object());

	for (int f = 0; f < POLICY_FIELDS; f++) {
		const struct policy_setting *s = &policy->of[f];
		json_t *value = policy_value((enum policy_field)f, s);
		json_t *field =
			value ? json_pack("{s:o, s:s, s:s?}", "value", value, "level",
					  policy_level_name(s->level), "policy_id", s->policy_id)
			      : NULL;

		if (!field || json_object_set_new(all, policy_name((enum policy_field)f), field))
			return NULL;
	}
	return lenient_dump(arena, all);
}

static enum err get(struct request *req)
{
	const json_t *levels[POLICY_LEVELS] = { NULL };
	struct policy policy;
	const char *user, *body;
	json_t *read = NULL;
	enum err e;

	if ((e = common_path(req, KIND_USER, &user)) || (e = read_levels(req, user, &read)))
		return e;
	levels[LEVEL_TENANT] = json_object_get(read, "tenant");
	levels[LEVEL_SITE] = json_object_get(read, "site");
	levels[LEVEL_USER] = json_object_get(read, "user");
	policy_resolve(levels, json_is_true(json_object_get(read, "site_first")), &policy);
	body = effective(req->arena, &policy);
	return body ? reply_json(req, 200, body) : ERR_UNAVAILABLE;
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}/effective-policy",
	  .operation_id = "getEffectivePolicy",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = NULL },
};

const struct resource effective_policy_resource = { "users", routes };
