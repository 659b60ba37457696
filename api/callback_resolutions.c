/*
 * Callback resolutions: who is rung when one of our numbers is called. On the emergency lane.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "lenient.h"
#include "emergency/call_request.h"
#include "emergency/callback.h"
#include "emergency/dial.h"
#include "emergency/policy.h"
#include "resources.h"
#include "server/emergency.h"
#include "server/ids.h"
#include "server/trace.h"

#define PATH "/v1/callback-resolutions"

/* The operator asks for any number: its tenant is bound first. A tenant's key finds only its own. */
static const struct db_stmt bind_tenant = {
	"bind_number_tenant",
	"SELECT set_config('switchback.tenant', coalesce((SELECT tenant_id::text FROM lookup_number_1($1)), ''), true)",
	1
};
static const struct db_stmt load_context = {
	"callback_context",
	"SELECT callback_context_1(current_tenant(), $1, $2, $3, make_interval(secs => $4::integer))",
	4
};
static const struct db_stmt store_callback = {
	"store_callback",
	"SELECT outcome, replay, body FROM store_callback_1($1::uuid, $2::jsonb, $3::json, $4::integer, $5::boolean)",
	5
};

struct resolve {
	char id[UUID_TEXT];
	struct dial_string called;
	const char *caller_number, *sip_priority, *external_call_id, *caller_user_id;
	json_t *warnings;
	size_t load_slot, store_slot;
	const char *existing; /* the document of the same external_call_id, if there is one */
	const char *intent, *decision;
};

/* A free string: anything but NUL and lone controls is kept as it came; it never refuses. */
static const char *free_text(const json_t *body, const char *name, json_t *warnings)
{
	const json_t *v = json_object_get(body, name);
	const char *s = json_string_value(v);

	if (!v || json_is_null(v))
		return NULL;
	if (s && strlen(s) == json_string_length(v))
		return s;
	warn(warnings, "ignored_member", "/%s: must be a string; it was left out.", name);
	return NULL;
}

/* The same, with a rule; a value that breaks it is left out. */
static const char *checked_text(const json_t *body, const char *name, bool (*check)(const char *),
				const char *rule, json_t *warnings)
{
	const char *s = free_text(body, name, warnings);

	if (!s || check(s))
		return s;
	warn(warnings, "ignored_member", "/%s: %s; it was left out.", name, rule);
	return NULL;
}

static bool is_external_call_id(const char *s)
{
	return trace_is_id(s, 255);
}

static void name_unknown(const json_t *body, json_t *warnings)
{
	static const char *const known[] = { "called_number",	 "caller_number",  "sip_priority",
					     "external_call_id", "caller_user_id", NULL };
	const char *name;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)body, name, v) {
		const char *const *k = known;

		while (*k && strcmp(*k, name))
			k++;
		if (!*k)
			warn_unknown(warnings, "", name);
	}
}

static enum err resolve_parse(struct request *req)
{
	struct resolve *p = arena_alloc(req->arena, sizeof(*p));
	const json_t *called = json_object_get(req->json, "called_number");

	if (!p)
		return ERR_UNAVAILABLE;
	req->op = p;
	p->warnings = arena_json(req->arena, json_array());
	if (!p->warnings)
		return ERR_UNAVAILABLE;
	if (!json_is_string(called) || !json_string_length(called))
		return fail_member(req, ERR_REQUIRED, "/called_number",
				   "must be a string that is not empty");
	if (strlen(json_string_value(called)) != json_string_length(called) ||
	    !dial_normalise(json_string_value(called), &p->called))
		return fail(req, ERR_NUMBER_NOT_MANAGED, "The number is not managed here.");
	id_v7(p->id);
	p->caller_number = free_text(req->json, "caller_number", p->warnings);
	p->sip_priority = free_text(req->json, "sip_priority", p->warnings);
	p->external_call_id = checked_text(req->json, "external_call_id", is_external_call_id,
					   "must be 1-255 visible ASCII characters", p->warnings);
	p->caller_user_id = checked_text(req->json, "caller_user_id", is_reference,
					 "must be an id or ext:<external_id>", p->warnings);
	name_unknown(req->json, p->warnings);
	lenient_notes(req, p->warnings);
	return ERR_OK;
}

/* Only a repeat must not be in a batch with its first. */
static const char *resolve_key(struct request *req)
{
	const struct resolve *p = req->op;

	return p->external_call_id
		       ? arena_printf(req->arena, "%s|r|%s", req->tenant, p->external_call_id)
		       : NULL;
}

static enum err resolve_load(struct request *req, struct db_batch *batch, bool fresh)
{
	static const json_t *const nobody[POLICY_LEVELS];
	struct resolve *p = req->op;
	const char *const number[] = { p->called.digits };
	struct policy built_in;
	char ttl[24];
	const char *const params[] = { p->called.digits, p->external_call_id, p->caller_user_id,
				       ttl };
	enum err err;

	(void)fresh;
	policy_resolve(nobody, false, &built_in);
	snprintf(ttl, sizeof(ttl), "%ld", built_in.of[POLICY_LEASE_TTL_SECONDS].number);
	if (req->who.operator) {
		err = db_batch_add(batch, &bind_tenant, number, &p->load_slot);
		if (!err)
			err = db_batch_tenant(batch, NULL);
	} else {
		err = db_batch_tenant(batch, req->who.tenant);
	}
	return err ? err : db_batch_add(batch, &load_context, params, &p->load_slot);
}

static enum err decide(struct request *req, const json_t *context)
{
	struct resolve *p = req->op;
	const json_t *who;
	struct callback c;
	json_t *intent;

	if (!callback_decide(req->arena, context, p->sip_priority, &c))
		return ERR_UNAVAILABLE;
	json_array_extend(c.warnings, p->warnings);
	who = strcmp(c.outcome, "fallback") ? c.callee : NULL;
	intent = arena_json(
		req->arena,
		json_pack(
			"{s:s, s:s?, s:s, s:s, s:O?, s:O?, s:s, s:s?, s:s?, s:O?, s:O?, s:O, s:s, s:s?}",
			"id", p->id, "external_call_id", p->external_call_id, "outcome", c.outcome,
			"reason", c.reason, "holder_id", json_object_get(who, "holder_id"),
			"user_id", json_object_get(who, "user_id"), "called_number",
			p->called.digits, "caller_number", p->caller_number, "sip_priority",
			p->sip_priority, "emergency_call_id",
			json_object_get(who, "emergency_call_id"), "lease_id",
			json_object_get(who, "lease_id"), "warnings", c.warnings, "request_id",
			req->request_id, "traceparent",
			*req->traceparent ? req->traceparent : NULL));
	p->intent = lenient_dump(req->arena, intent);
	p->decision = lenient_dump(req->arena, c.decision);
	return p->intent && p->decision ? ERR_OK : ERR_UNAVAILABLE;
}

static enum err resolve_loaded(struct request *req, const struct db_batch *batch)
{
	struct resolve *p = req->op;
	const struct db_result *r = db_batch_result(batch, p->load_slot);
	const char *document = db_rows(r) ? db_value(r, 0, 0) : NULL;
	const json_t *context;

	if (!document)
		return fail(req, ERR_NUMBER_NOT_MANAGED, "The number is not managed here.");
	context = arena_json(req->arena, json_loads(document, 0, NULL));
	if (!context)
		return ERR_UNAVAILABLE;
	snprintf(req->tenant, sizeof(req->tenant), "%s",
		 json_string_value(json_object_get(context, "tenant_id")));
	return decide(req, context);
}

static enum err resolve_store(struct request *req, struct db_batch *batch, bool alone)
{
	struct resolve *p = req->op;
	const char *const params[] = { req->tenant, p->intent, p->decision, lenient_instance(req),
				       alone ? "true" : "false" };
	enum err err = db_batch_tenant(batch, req->tenant);

	return err ? err : db_batch_add(batch, &store_callback, params, &p->store_slot);
}

static enum err resolve_stored(struct request *req, const struct db_batch *batch,
			       enum stored *stored)
{
	const struct resolve *p = req->op;
	const struct db_result *r = db_batch_result(batch, p->store_slot);
	const char *body;

	if (!strcmp(db_value(r, 0, 0), "alone")) {
		*stored = STORED_ALONE;
		return ERR_OK;
	}
	body = arena_strdup(req->arena, db_value(r, 0, 2));
	if (!body)
		return ERR_OUTCOME_UNKNOWN;
	reply_json(req, 201, body);
	req->reply.replay = db_true(r, 0, 1);
	if (strlen(body) > 44)
		req->reply.location = arena_printf(req->arena, PATH "/%.36s", body + 9);
	return ERR_OK;
}

static const struct emergency_op resolve_op = {
	.parse = resolve_parse,
	.key = resolve_key,
	.load = resolve_load,
	.loaded = resolve_loaded,
	.store = resolve_store,
	.stored = resolve_stored,
};

/* --- get ----------------------------------------------------------------------------------------- */

static enum err get_resolution(struct request *req)
{
	static const struct db_stmt find = { "find_resolution_tenant",
					     "SELECT tenant_id FROM lookup_resolution_1($1::uuid)",
					     1 };
	static const struct db_stmt get = {
		"get_resolution",
		"SELECT resolution_json_1(r) FROM callback_resolutions r WHERE r.tenant_id = $1::uuid AND r.id = $2::uuid",
		2
	};
	const char *id = request_path(req, "callback_resolution_id");
	const char *params[] = { req->who.tenant, id };
	struct db_result *r = NULL;
	enum err err = ERR_OK;

	if (!is_uuid(id))
		return fail(req, ERR_NOT_FOUND, "There is no such resource.");
	if (req->who.operator) {
		err = db_exec(req->db, req->arena, &find, &params[1], &r);
		if (!err && !db_rows(r))
			return fail(req, ERR_NOT_FOUND, "There is no such resource.");
		params[0] = err ? NULL : db_value(r, 0, 0);
	}
	if (!err)
		err = db_set_tenant(req->db, req->arena, params[0]);
	if (!err)
		err = db_exec(req->db, req->arena, &get, params, &r);
	if (err)
		return err;
	if (!db_rows(r))
		return fail(req, ERR_NOT_FOUND, "There is no such resource.");
	return reply_json(req, 200, db_value(r, 0, 0));
}

static const struct route routes[] = {
	{ .method = "POST",
	  .path = PATH,
	  .operation_id = "createCallbackResolution",
	  .scopes = SCOPE_CALLBACKS_RESOLVE,
	  .lane = LANE_EMERGENCY,
	  .body = BODY_LENIENT,
	  .op = &resolve_op },
	{ .method = "GET",
	  .path = PATH "/{callback_resolution_id}",
	  .operation_id = "getCallbackResolution",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get_resolution },
	{ .method = NULL },
};

const struct resource callback_resolutions_resource = { "callback-resolutions", routes };
