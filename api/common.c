/*
 * See common.h.
 */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kinds.h"
#include "trace.h"

/* --- references --------------------------------------------------------------------------------- */

const char *common_type(enum kind kind)
{
	return kinds[kind].type;
}

/* *id stays NULL where the tenant has no such resource. */
static enum err find(struct request *req, enum kind kind, const char *ref, const char **id)
{
	const char *const params[] = { req->tenant, ref };
	struct db_result *rows;
	enum err e;

	*id = NULL;
	/* What is no reference at all need not be asked for, and may not be valid UTF-8. */
	if (!is_reference(ref) && !(kind == KIND_NUMBER && is_e164(ref)))
		return ERR_OK;
	e = db_exec(req->db, req->arena, &kinds[kind].find, params, &rows);
	if (e == ERR_OK && db_rows(rows) > 0)
		*id = db_value(rows, 0, 0);
	return e;
}

enum err common_path(struct request *req, enum kind kind, const char **id)
{
	const enum err e = find(req, kind, request_path(req, kinds[kind].parameter), id);

	if (e != ERR_OK)
		return e;
	return *id ? ERR_OK : fail(req, ERR_NOT_FOUND, "There is no such %s.", kinds[kind].noun);
}

enum err common_reference(struct request *req, enum kind kind, const char *pointer,
			  const char **ref)
{
	const char *id;
	enum err e;

	if (!*ref)
		return ERR_OK;
	e = find(req, kind, *ref, &id);
	if (e != ERR_OK)
		return e;
	if (!id)
		return fail_member(req, ERR_UNKNOWN_REFERENCE, pointer,
				   "names no %s of this tenant", kinds[kind].noun);
	*ref = id;
	return ERR_OK;
}

/* --- replies ------------------------------------------------------------------------------------ */

bool common_lists_etag(const char *list, const char *etag, bool weakly)
{
	const size_t length = strlen(etag);

	for (const char *p = list; *p; p++) {
		const bool weak = p > list && p[-1] == '/';

		if (*p == '*')
			return true;
		if (*p != '"')
			continue;
		if ((weakly || !weak) && strncmp(p, etag, length) == 0)
			return true;
		p = strchr(p + 1, '"');
		if (!p)
			return false;
	}
	return false;
}

enum err reply_resource(struct request *req, int status, const char *version, const char *json,
			const char *location)
{
	const char *etag = NULL;

	if (version) {
		etag = arena_printf(req->arena, "\"%s\"", version);
		if (!etag)
			return ERR_INTERNAL;
	}
	/* Of a read: a change has been made, whatever the client has seen. */
	if (strcmp(req->route->method, "GET") == 0 && etag && req->if_none_match &&
	    common_lists_etag(req->if_none_match, etag, true)) {
		req->reply.status = 304;
		req->reply.body = "";
	} else {
		const enum err e = reply_json(req, status, json);

		if (e != ERR_OK)
			return e;
	}
	req->reply.etag = etag;
	req->reply.location = location;
	return ERR_OK;
}

enum err reply_nothing(struct request *req)
{
	req->reply.status = 204;
	req->reply.body = "";
	return ERR_OK;
}

const char *json_with(struct request *req, const char *json, const char *name, const char *value)
{
	const size_t length = strlen(json); /* of an object: it ends in '}' */

	return arena_printf(req->arena, "%.*s,\"%s\":\"%s\"}", (int)length - 1, json, name, value);
}

enum err common_get(struct request *req, enum kind kind, const struct db_stmt *select)
{
	const char *params[] = { req->tenant, NULL };
	struct db_result *rows;
	enum err e;

	if ((e = common_path(req, kind, &params[1])) != ERR_OK ||
	    (e = db_exec(req->db, req->arena, select, params, &rows)) != ERR_OK)
		return e;
	if (db_rows(rows) == 0) /* deleted in between */
		return fail(req, ERR_NOT_FOUND, "There is no such %s.", kinds[kind].noun);
	return reply_resource(req, 200, db_value(rows, 0, 0), db_value(rows, 0, 1), NULL);
}

/* --- creating ----------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

enum err common_insert(struct request *req, const struct db_stmt *stmt, const char *const *params,
		       struct db_result **row)
{
	static const struct {
		const char *constraint; /* how its name ends */
		enum err err;
		const char *pointer, *detail;
	} conflicts[] = {
		{ "external_id_key", ERR_ALREADY_EXISTS, "/external_id", "is taken" },
		{ "users_extension_key", ERR_ALREADY_EXISTS, "/extension", "is another user's" },
		{ "users_number_key", ERR_NUMBER_IN_USE, "/number_id", "is another user's" },
		{ "phone_numbers_number_key", ERR_NUMBER_IN_USE, "/number",
		  "is registered already" },
	};
	const enum err e = db_exec(req->db, req->arena, stmt, params, row);

	/* What it refers to was there when it was looked up: look again. */
	if (e == ERR_UNKNOWN_REFERENCE)
		return ERR_RETRY;
	if (e != ERR_ALREADY_EXISTS)
		return e;
	for (size_t i = 0; i < LENGTH(conflicts); i++)
		if (ends_with(db_constraint(req->db), conflicts[i].constraint))
			return fail_member(req, conflicts[i].err, conflicts[i].pointer, "%s",
					   conflicts[i].detail);
	return e;
}

/* What is written in the tenant that is being made has no tenant in its path. */
static const char *tenant_of(const struct request *req, enum kind kind, const char *id)
{
	return kind == KIND_TENANT ? id : req->tenant;
}

static enum err audit(struct request *req, enum kind kind, const char *id, enum change change)
{
	static const char *const actions[] = {
		[CHANGE_CREATED] = "created",
		[CHANGE_UPDATED] = "updated",
		[CHANGE_DELETED] = "deleted",
	};
	static const struct db_stmt insert = {
		"audit",
		"INSERT INTO audit_entries (tenant_id, id, key_id, action, resource_type, resource_id)"
		" VALUES ($1, uuid7_ordered(), $2, $3, $4, $5)",
		5
	};
	const char *const params[] = { tenant_of(req, kind, id),
				       *req->who.key_id ? req->who.key_id : NULL, actions[change],
				       kinds[kind].type, id };

	return db_exec(req->db, req->arena, &insert, params, NULL);
}

enum err common_changed(struct request *req, enum kind kind, const char *id, enum change change)
{
	static const struct db_stmt raise = {
		"config_changed",
		"UPDATE tenants SET config_version = config_version + 1 WHERE id = $1 RETURNING true",
		1
	};
	const char *const params[] = { req->tenant };
	struct db_result *raised;
	enum err e = audit(req, kind, id, change);

	/* A user has a version of its own, and a new or a deleted tenant none to raise. */
	if (e != ERR_OK || (kind == KIND_USER && change != CHANGE_CREATED) ||
	    (kind == KIND_TENANT && change != CHANGE_UPDATED))
		return e;
	e = db_exec(req->db, req->arena, &raise, params, &raised);
	if (e == ERR_OK && db_rows(raised) == 0) /* the tenant was deleted meanwhile */
		return fail(req, ERR_NOT_FOUND, "There is no such tenant.");
	return e;
}

/* The collection of the route, with its tenant, and the id. */
static const char *location_of(struct request *req, const char *id)
{
	static const char parameter[] = "{tenant_id}";
	const char *path = req->route->path;
	const char *at = strstr(path, parameter);

	if (!at)
		return arena_printf(req->arena, "%s/%s", path, id);
	return arena_printf(req->arena, "%.*s%s%s/%s", (int)(at - path), path, req->tenant,
			    at + strlen(parameter), id);
}

enum err common_created(struct request *req, enum kind kind, const char *id, const char *version,
			const char *json)
{
	const char *location = location_of(req, id);
	const enum err e = common_changed(req, kind, id, CHANGE_CREATED);

	if (e != ERR_OK)
		return e;
	if (!location || !json)
		return ERR_INTERNAL;
	return reply_resource(req, 201, version, json, location);
}

enum err common_create(struct request *req, enum kind kind, const struct db_stmt *insert,
		       const char *const *params, const char *id)
{
	struct db_result *row;
	const enum err e = common_insert(req, insert, params, &row);

	if (e != ERR_OK)
		return e;
	return common_created(req, kind, id, db_value(row, 0, 0), db_value(row, 0, 1));
}

bool key_has(const struct request *req, uint32_t scope)
{
	return (req->who.scopes & scope) || req->who.operator;
}

/* --- lists -------------------------------------------------------------------------------------- */

static bool is_choice(const char *choices, const char *value)
{
	const size_t length = strlen(value);

	for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (length == strcspn(p, "|") && strncmp(p, value, length) == 0)
			return true;
	return false;
}

/* The value of a filter as a parameter of the statement. */
static enum err filter_value(struct request *req, const struct filter *f, const char **value)
{
	static const char nothing[] = "00000000-0000-0000-0000-000000000000";
	enum err e;

	if (f->type == FILTER_PATH)
		return common_path(req, f->kind, value);
	*value = request_query(req, f->name);
	if (!*value)
		return ERR_OK;
	switch (f->type) {
	case FILTER_EXTERNAL_ID:
		if (is_external_id(*value))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name,
				   "must be 1 to 128 visible ASCII characters");
	case FILTER_CALL_ID:
		if (trace_is_id(*value, 255))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name,
				   "must be 1 to 255 visible ASCII characters");
	case FILTER_REFERENCE:
		if (!is_reference(*value))
			return fail_member(req, ERR_INVALID_QUERY, f->name,
					   "must be an id or ext:<external_id>");
		e = find(req, f->kind, *value, value);
		if (!*value)
			*value = nothing;
		return e;
	case FILTER_CHOICE:
		if (is_choice(f->choices, *value))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name, "must be one of %s",
				   f->choices);
	case FILTER_E164:
		if (is_e164(*value))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name,
				   "must be an E.164 number; + is sent as %%2B");
	case FILTER_UUID:
		if (is_uuid(*value))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name, "must be an id");
	case FILTER_TIME:
		if (is_time(*value))
			return ERR_OK;
		return fail_member(req, ERR_INVALID_QUERY, f->name, "must be an RFC 3339 time");
	case FILTER_END:
	case FILTER_PATH: break;
	}
	return ERR_INTERNAL;
}

enum err common_list(struct request *req, const struct listing *list)
{
	const char *params[3 + MAX_FILTERS] = { req->tenant };
	const char *names[MAX_FILTERS + 1];
	struct db_result *rows;
	struct page page;
	size_t n_names = 0;
	enum err e;

	for (const struct filter *f = list->filters; f->type != FILTER_END; f++)
		if (f->type != FILTER_PATH)
			names[n_names++] = f->name;
	names[n_names] = NULL;
	if ((e = list_begin(req, names, &page)) != ERR_OK)
		return e;
	params[1] = page.after;
	params[2] = page.size_plus_one;
	for (size_t i = 0; list->filters[i].type != FILTER_END; i++)
		if ((e = filter_value(req, &list->filters[i], &params[3 + i])) != ERR_OK)
			return e;
	e = db_exec(req->db, req->arena, &list->select, params + (list->all_tenants ? 1 : 0),
		    &rows);
	return e == ERR_OK ? list_reply(req, names, &page, rows) : e;
}

/* --- destinations ------------------------------------------------------------------------------- */

const struct field destination_fields[] = {
	{ .name = "type",
	  .type = F_ENUM,
	  .flags = FIELD_REQUIRED,
	  .choices =
		  "resource_account|receptionist|call_queue|safety_team|sip_group|phone_number|sip_uri" },
	{ .name = "address", .type = F_STRING, .flags = FIELD_REQUIRED },
	{ .name = "name", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "staffed_24x7", .type = F_BOOL, .flags = FIELD_NULLABLE },
	{ .name = NULL },
};

enum err common_destination(struct request *req, const json_t *object, const char *prefix,
			    const char *name)
{
	const json_t *destination = json_object_get(object, name);
	const char *type = json_string_value(json_object_get(destination, "type"));
	const char *address = json_string_value(json_object_get(destination, "address"));
	const char *rule = NULL;
	char pointer[80];

	if (!type || !address)
		return ERR_OK;
	if (strcmp(type, "phone_number") == 0 && !is_e164(address))
		rule = "must be an E.164 number, as the type is phone_number";
	else if (strcmp(type, "sip_uri") == 0 && strncasecmp(address, "sip:", 4) != 0 &&
		 strncasecmp(address, "sips:", 5) != 0)
		rule = "must be a SIP URI, as the type is sip_uri";
	if (!rule)
		return ERR_OK;
	snprintf(pointer, sizeof(pointer), "%s/%s/address", prefix, name);
	return fail_member(req, ERR_INVALID_VALUE, pointer, "%s", rule);
}
