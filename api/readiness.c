/*
 * Readiness: will an emergency call work, of one user and of all (api.md 7)? What is said comes from
 * findings.h; here the parts that several users share are put together to the context of each, one at
 * a time, so that a page of a thousand costs little more memory than its answer.
 */
#include <string.h>

#include "common.h"
#include "emergency/call_request.h"
#include "emergency/findings.h"
#include "resources.h"

#define ITEM_SIZE 400 /* bytes of a user's item, mostly */
#define SITES 64      /* whose documents are kept at once */

/* (part, id, site_id, policy_id, external_id, document): one tenant, then policies, sites and users,
   each by id. */
enum { PART, ID, SITE_ID, POLICY_ID, EXTERNAL_ID, DOCUMENT };

struct site {
	int row;	/* whose document it is; 0: none yet */
	json_t *parsed; /* with its policy, and the tenant's rules after its own; owned */
};

struct parts {
	const struct db_result *rows;
	int policies, sites, users, end;   /* where each begins */
	json_t *tenant;			   /* its document, with its policy */
	struct site recent[SITES];	   /* by row: users of few sites stand in any order */
	struct arena *shared, *user_arena; /* the request's; of one user */
};

/* --- documents ----------------------------------------------------------------------------------- */

static json_t *document(struct arena *arena, const struct parts *p, int row)
{
	return arena_json(arena, json_loads(db_value(p->rows, row, DOCUMENT), 0, NULL));
}

/* The row of this id among [from, to), which are in its order; -1: none. */
static int row_of(const struct parts *p, int from, int to, const char *id)
{
	while (id != NULL && from < to) {
		const int middle = from + (to - from) / 2;
		const int order = strcmp(id, db_value(p->rows, middle, ID));

		if (order == 0)
			return middle;
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return -1;
}

/* Puts the policy of a row into its member `of`. False: out of memory. */
static bool add_policy(struct arena *arena, const struct parts *p, int row, json_t *of)
{
	const int at = row_of(p, p->policies, p->sites, db_value(p->rows, row, POLICY_ID));

	return at < 0 || json_object_set(of, "policy", document(arena, p, at)) == 0;
}

static bool begin_tenant(struct parts *p)
{
	p->tenant = document(p->shared, p, 0);
	return p->tenant != NULL &&
	       add_policy(p->shared, p, 0, json_object_get(p->tenant, "tenant"));
}

/* The document of a site; NULL: out of memory. */
static json_t *site_at(struct parts *p, int row)
{
	static const char *const lists[] = { "rules", "carrier_routes" };
	struct site *site = &p->recent[row % SITES];

	if (site->row == row)
		return site->parsed;
	json_decref(site->parsed);
	site->row = 0;
	site->parsed = json_loads(db_value(p->rows, row, DOCUMENT), 0, NULL);
	if (site->parsed == NULL ||
	    !add_policy(p->user_arena, p, row, json_object_get(site->parsed, "site")))
		return NULL;
	for (size_t i = 0; i < LENGTH(lists); i++)
		if (json_array_extend(json_object_get(site->parsed, lists[i]),
				      json_object_get(p->tenant, lists[i])) != 0)
			return NULL;
	site->row = row;
	return site->parsed;
}

/* What a call of this user is decided on; NULL: out of memory. */
static json_t *context_of(struct parts *p, int row)
{
	const int at = row_of(p, p->sites, p->users, db_value(p->rows, row, SITE_ID));
	json_t *context = arena_json(p->user_arena, json_object());
	json_t *user = document(p->user_arena, p, row);
	json_t *site = at >= 0 ? site_at(p, at) : NULL;

	if (context == NULL || site == NULL || user == NULL ||
	    !add_policy(p->user_arena, p, row, json_object_get(user, "user")) ||
	    json_object_update(context, p->tenant) != 0 || json_object_update(context, site) != 0 ||
	    json_object_update(context, user) != 0)
		return NULL;
	return context;
}

/* --- reading ------------------------------------------------------------------------------------- */

static int end_of(const struct parts *p, int from, const char *part)
{
	while (from < db_rows(p->rows) && strcmp(db_value(p->rows, from, PART), part) == 0)
		from++;
	return from;
}

/* Parts that last as long as the request. */
static bool begin_parts(struct request *req, const struct db_result *rows, struct parts *p)
{
	*p = (struct parts){ .rows = rows, .shared = req->arena };
	p->policies = end_of(p, 0, "tenant");
	p->sites = end_of(p, p->policies, "policy");
	p->users = end_of(p, p->sites, "site");
	p->end = end_of(p, p->users, "user");
	p->user_arena = arena_new();
	return p->user_arena != NULL && begin_tenant(p);
}

static void end_parts(struct parts *p)
{
	arena_free(p->user_arena);
	for (size_t i = 0; i < LENGTH(p->recent); i++)
		json_decref(p->recent[i].parsed);
}

/* --- one user ------------------------------------------------------------------------------------ */

static enum err get_reply(struct request *req, struct parts *p)
{
	const json_t *context = context_of(p, p->users);
	struct findings found;
	struct json_text t;
	const char *json;

	if (context == NULL || !findings_of_user(p->user_arena, context, &found))
		return ERR_UNAVAILABLE;
	findings_of_tenant(p->user_arena, context, &found);
	json_text_start(&t, req->arena, ITEM_SIZE);
	json_text_open(&t, NULL, '{');
	findings_write(&t, &found);
	json_text_close(&t, '}');
	json = json_text_end(&t);
	return json != NULL ? reply_json(req, 200, json) : ERR_UNAVAILABLE;
}

static enum err get(struct request *req)
{
	static const struct db_stmt select = {
		"readiness_of_user",
		"SELECT part, id, site_id, policy_id, external_id, document"
		" FROM readiness_contexts_1($1, $2, NULL, NULL, 1)",
		2
	};
	const char *params[] = { req->tenant, NULL };
	struct db_result *rows;
	struct parts parts;
	enum err e;

	if ((e = common_path(req, KIND_USER, &params[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &select, params, &rows)) != ERR_OK)
		return e;
	if (!begin_parts(req, rows, &parts))
		e = ERR_UNAVAILABLE;
	else if (parts.users == parts.end) /* deleted since its id was looked up */
		e = fail(req, ERR_NOT_FOUND, "There is no such user.");
	else
		e = get_reply(req, &parts);
	end_parts(&parts);
	return e;
}

/* --- all of them --------------------------------------------------------------------------------- */

static bool write_item(struct json_text *t, struct parts *p, int row)
{
	const json_t *context;
	struct findings found;
	bool made;

	arena_reset(p->user_arena);
	context = context_of(p, row);
	made = context != NULL && findings_of_user(p->user_arena, context, &found);
	if (!made)
		return false;
	json_text_open(t, NULL, '{');
	json_text_string(t, "user_id", db_value(p->rows, row, ID));
	json_text_string(t, "external_id", db_value(p->rows, row, EXTERNAL_ID));
	findings_write(t, &found);
	json_text_close(t, '}');
	return true;
}

static enum err list_answer(struct request *req, const char *const *filters,
			    const struct page *page, struct parts *p)
{
	const bool more = p->end - p->users > page->size;
	const int end = more ? p->users + page->size : p->end;
	struct findings of_tenant = { .n = 0 };
	const char *token = NULL, *json;
	struct json_text t;
	enum err e;

	json_text_start(&t, req->arena, (size_t)(end - p->users + 2) * ITEM_SIZE);
	json_text_open(&t, NULL, '{');
	json_text_open(&t, "tenant", '{');
	findings_of_tenant(req->arena, p->tenant, &of_tenant);
	findings_write(&t, &of_tenant);
	json_text_close(&t, '}');
	json_text_open(&t, "items", '[');
	for (int row = p->users; row < end; row++)
		if (!write_item(&t, p, row))
			return ERR_UNAVAILABLE;
	json_text_close(&t, ']');
	if (more) {
		e = list_token(req, filters, db_value(p->rows, end - 1, ID), &token);
		if (e != ERR_OK)
			return e;
		json_text_string(&t, "next_page_token", token);
	}
	json_text_close(&t, '}');
	json = json_text_end(&t);
	return json != NULL ? reply_json(req, 200, json) : ERR_UNAVAILABLE;
}

static enum err list(struct request *req)
{
	static const struct db_stmt select = {
		"readiness_of_users",
		"SELECT part, id, site_id, policy_id, external_id, document"
		" FROM readiness_contexts_1($1, NULL, $4, $2, $3::integer)",
		4
	};
	static const char *const filters[] = { "site_id", NULL };
	const char *params[] = { req->tenant, NULL, NULL, request_query(req, "site_id") };
	struct db_result *rows;
	struct parts parts;
	struct page page;
	enum err e;

	if ((e = list_begin(req, filters, &page)) != ERR_OK)
		return e;
	if (params[3] != NULL && !is_reference(params[3]))
		return fail_member(req, ERR_INVALID_QUERY, "site_id",
				   "must be an id or ext:<external_id>");
	params[1] = page.after;
	params[2] = page.size_plus_one;
	if ((e = db_exec(req->db, req->arena, &select, params, &rows)) != ERR_OK)
		return e;
	e = begin_parts(req, rows, &parts) ? list_answer(req, filters, &page, &parts)
					   : ERR_UNAVAILABLE;
	end_parts(&parts);
	return e;
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}/readiness",
	  .operation_id = "getUserReadiness",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/readiness",
	  .operation_id = "listReadiness",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("site_id"),
	  .handler = list },
	{ .method = NULL },
};

const struct resource readiness_resource = { "readiness", routes };
