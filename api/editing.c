/*
 * Changing and deleting resources: see common.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "emergency/call_request.h"
#include "kinds.h"
#include "merge_patch.h"

#define MAX_REFERENCES 20

enum err common_if_match(struct request *req, const char *version)
{
	const char *etag;

	if (!req->if_match)
		return ERR_OK;
	etag = arena_printf(req->arena, "\"%s\"", version);
	if (!etag)
		return ERR_UNAVAILABLE;
	return common_lists_etag(req->if_match, etag, false)
		       ? ERR_OK
		       : fail(req, ERR_PRECONDITION_FAILED,
			      "The resource was changed: its ETag is %s now.", etag);
}

enum err common_in_use(struct request *req, const struct db_result *rows, const char *detail)
{
	const int n = db_rows(rows) < MAX_REFERENCES ? db_rows(rows) : MAX_REFERENCES;
	json_t *list = json_array();
	bool ok = list != NULL;

	for (int i = 0; i < n && ok; i++)
		ok = json_array_append_new(list, json_pack("{ss ss}", "type", db_value(rows, i, 0),
							   "id", db_value(rows, i, 1))) == 0;
	req->problem_extra =
		arena_json(req->arena, ok ? json_pack("{sO}", "references", list) : NULL);
	json_decref(list);
	if (!req->problem_extra)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	return fail(req, ERR_IN_USE, "%s", detail);
}

/* The resource of the path, its row locked and If-Match compared. */
static enum err lock(struct request *req, enum kind kind, const struct db_stmt *stmt,
		     const char **id)
{
	const char *params[] = { req->tenant, NULL };
	struct db_result *rows;
	enum err e;

	if ((e = common_path(req, kind, &params[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, stmt, params, &rows)) != ERR_OK)
		return e;
	if (db_rows(rows) == 0) /* deleted in between */
		return fail(req, ERR_NOT_FOUND, "There is no such %s.", kinds[kind].noun);
	*id = params[1];
	return common_if_match(req, db_value(rows, 0, 0));
}

enum err common_lock(struct request *req, enum kind kind, const char **id)
{
	return lock(req, kind, &kinds[kind].lock, id);
}

/* --- changing ----------------------------------------------------------------------------------- */

/* The two states of a resource that is being changed, as parameters of `update`. */
struct states {
	const char **before, **after;
	size_t n; /* of the table's rows */
};

static enum err make_room(struct request *req, const struct editing *how, const char *id,
			  struct states *s)
{
	while (how->fields[s->n].name)
		s->n++;
	s->before = arena_alloc(req->arena, (s->n + 2) * sizeof(*s->before));
	s->after = arena_alloc(req->arena, (s->n + 2) * sizeof(*s->after));
	if (!s->before || !s->after)
		return ERR_UNAVAILABLE;
	s->before[0] = s->after[0] = req->tenant;
	s->before[1] = s->after[1] = id;
	return ERR_OK;
}

/* What may be sent of what GET answers. NULL: out of memory. */
static json_t *sendable(struct request *req, const struct field *table, const char *text)
{
	json_t *whole = json_loads(text, 0, NULL);

	for (; whole && table->name; table++)
		if (table->flags & FIELD_READ_ONLY)
			(void)json_object_del(whole, table->name); /* -1: it is shown once only */
	return arena_json(req->arena, whole);
}

/* Merges the patch into the resource; from here on req->json is the whole. */
static enum err merge(struct request *req, const struct editing *how, const char *text,
		      struct states *s)
{
	json_t *whole = sendable(req, how->fields, text);
	json_t *merged = whole ? arena_json(req->arena, json_deep_copy(whole)) : NULL;
	enum err e;

	if (!merged || !merge_patch(merged, req->json))
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	req->json = merged;
	if ((e = fields_parse(req, how->fields, merged, "", s->after + 2)) != ERR_OK)
		return e;
	/* What is stored has passed this before; a rule that has become stricter is the patch's to mend. */
	e = fields_parse(req, how->fields, whole, "", s->before + 2);
	req->n_errors = e == ERR_OK ? req->n_errors : 0;
	req->detail = NULL;
	return ERR_OK;
}

static bool same(const struct states *s)
{
	for (size_t i = 2; i < s->n + 2; i++) {
		const char *a = s->before[i], *b = s->after[i];

		if (!a != !b || (a && strcmp(a, b) != 0))
			return false;
	}
	return true;
}

static enum err update(struct request *req, const struct editing *how, const struct states *s,
		       struct db_result **row)
{
	const enum err e = common_insert(req, &how->update, s->after, row);

	if (e == ERR_OK && db_rows(*row) == 0)
		return ERR_INTERNAL; /* it is locked, and was there */
	return e == ERR_OK ? common_changed(req, how->kind, s->after[1], CHANGE_UPDATED) : e;
}

enum err common_patch(struct request *req, const struct editing *how)
{
	json_t *patch = req->json;
	struct states s = { .n = 0 };
	struct db_result *row;
	const char *id = NULL;
	enum err e;

	if ((e = fields_check_patch(req, how->fields, patch)) != ERR_OK ||
	    (e = common_lock(req, how->kind, &id)) != ERR_OK ||
	    (e = make_room(req, how, id, &s)) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, &how->get, s.after, &row)) != ERR_OK)
		return e;
	e = merge(req, how, db_value(row, 0, 1), &s);
	if (e == ERR_OK && how->check)
		e = how->check(req, s.after, s.before);
	if (e == ERR_OK && !same(&s))
		e = update(req, how, &s, &row);
	req->json = patch; /* the handler may be run again */
	return e == ERR_OK
		       ? reply_resource(req, 200, db_value(row, 0, 0), db_value(row, 0, 1), NULL)
		       : e;
}

enum err common_lock_tenant(struct request *req)
{
	static const struct db_stmt lock_row = {
		"lock_tenant_row", "SELECT FROM tenants WHERE id = $1 FOR NO KEY UPDATE", 1
	};
	const char *const params[] = { req->tenant };

	return db_exec(req->db, req->arena, &lock_row, params, NULL);
}

enum err common_hold_calls(struct request *req, const char *id)
{
	static const struct db_stmt hold = { "hold_calls",
					     "SELECT pg_advisory_xact_lock(placing_lock_1($1))",
					     1 };
	const char *const params[] = { req->tenant };
	/* The tenant's row first, as a call that runs alone has it. */
	const enum err e = common_lock_tenant(req);

	(void)id;
	return e == ERR_OK ? db_exec(req->db, req->arena, &hold, params, NULL) : e;
}

/* --- deleting ----------------------------------------------------------------------------------- */

static enum err check_references(struct request *req, const struct editing *how,
				 const char *const *params)
{
	struct db_result *rows;
	enum err e;

	if (!how->references.sql)
		return ERR_OK;
	e = db_exec(req->db, req->arena, &how->references, params, &rows);
	if (e != ERR_OK || db_rows(rows) == 0)
		return e;
	return common_in_use(req, rows, "Other resources still refer to it.");
}

static enum err delete_row(struct request *req, const struct editing *how,
			   const char *const *params)
{
	const enum err e =
		how->delete ? how->delete (req, params[1])
			    : db_exec(req->db, req->arena, &kinds[how->kind].delete, params, NULL);

	/* Somebody has come to refer to it since: ask again who. */
	return e == ERR_UNKNOWN_REFERENCE ? ERR_RETRY : e;
}

enum err common_delete(struct request *req, const struct editing *how)
{
	const char *params[] = { req->tenant, NULL };
	enum err e;

	if ((e = lock(req, how->kind, &kinds[how->kind].lock_to_delete, &params[1])) != ERR_OK ||
	    (how->before_delete && (e = how->before_delete(req, params[1])) != ERR_OK) ||
	    (e = check_references(req, how, params)) != ERR_OK ||
	    (e = delete_row(req, how, params)) != ERR_OK ||
	    (e = common_changed(req, how->kind, params[1], CHANGE_DELETED)) != ERR_OK)
		return e;
	return reply_nothing(req);
}
