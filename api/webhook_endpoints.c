/*
 * Webhook endpoints: where events are sent. The signing secret is shown once, when the endpoint is
 * made; it is stored sealed.
 */
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/app.h"
#include "server/config.h"
#include "server/crypto.h"
#include "server/ids.h"
#include "server/outbound.h"
#include "server/signature.h"

#define EVENT_TYPES \
	"presence.do_not_disturb|presence.restored|emergency_call.placed|emergency_call.connected|" \
	"emergency_call.ended|emergency_call.cancelled|emergency_call.timed_out|emergency_call.reassigned|" \
	"lease.created|lease.renewed|lease.superseded|lease.released|lease.expired|callback.resolved|" \
	"callback.connected|callback.ended|callback.unanswered|callback.reassigned|callback.timed_out|" \
	"pool.low|pool.exhausted|policy.psap_disabled|policy.psap_enabled|webhook_endpoint.disabled|" \
	"webhook.test"
#define EVENT_TYPE_COUNT 25

static const struct field fields[] = {
	{ .name = "url", .type = F_URL, .flags = FIELD_REQUIRED },
	{ .name = "description", .type = F_STRING, .flags = FIELD_NULLABLE, .min = 1, .max = 500 },
	{ .name = "event_types",
	  .type = F_STRINGS,
	  .max = EVENT_TYPE_COUNT,
	  .choices = EVENT_TYPES,
	  .standard = "{}" },
	{ .name = "payload_format",
	  .type = F_ENUM,
	  .choices = "standard|cloudevents",
	  .standard = "standard" },
	{ .name = "detail", .type = F_ENUM, .choices = "minimal|full", .standard = "minimal" },
	{ .name = "enabled", .type = F_BOOL, .standard = "true" },
	{ .name = "disabled_reason", .flags = FIELD_READ_ONLY },
	{ .name = "secret", .flags = FIELD_READ_ONLY },
	SERVER_FIELDS,
};

enum { URL = 2, SECRET_SEALED = 8 };

#define ENDPOINT_JSON \
	"json_build_object('id', w.id, 'url', w.url, 'description', w.description," \
	" 'event_types', w.event_types, 'payload_format', w.payload_format, 'detail', w.detail," \
	" 'enabled', w.enabled, 'disabled_reason', w.disabled_reason," \
	" 'created_at', rfc3339(w.created_at), 'updated_at', rfc3339(w.updated_at))"

/* A new secret, and its sealed form as bytea text; bound to the endpoint. */
static enum err make_secret(struct request *req, const char *id, const char **secret,
			    const char **sealed)
{
	const char *aad = arena_printf(req->arena, "%s/%s", req->tenant, id);
	const char *hex;
	uint8_t *bytes;
	size_t length;
	enum err e;

	*secret = signature_new_secret(req->arena);
	if (!*secret || !aad)
		return ERR_INTERNAL;
	e = crypto_seal(req->arena, req->app->config->secrets_key, aad, *secret, strlen(*secret),
			&bytes, &length);
	if (e != ERR_OK)
		return e;
	hex = crypto_hex(req->arena, bytes, length);
	*sealed = hex ? arena_printf(req->arena, "\\x%s", hex) : NULL;
	return *sealed ? ERR_OK : ERR_INTERNAL;
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *rule = outbound_check_url(req->app->config, p[URL]);

	(void)before;
	return rule ? fail_member(req, ERR_INVALID_VALUE, "/url", "%s", rule) : ERR_OK;
}

/* What is still to be delivered. In their order, as everybody who locks several. */
static enum err delete_endpoint(struct request *req, const char *id)
{
	static const struct db_stmt remove = {
		"delete_webhook_endpoint",
		"DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2", 2
	};
	static const struct db_stmt drop_deliveries = {
		"drop_deliveries",
		"UPDATE webhook_deliveries d SET state = 'failed', claimed_by = NULL, finished_at = now(),"
		" last_error = 'the endpoint was deleted'"
		" WHERE d.tenant_id = $1 AND d.id IN (SELECT x.id FROM webhook_deliveries x"
		" WHERE x.tenant_id = $1 AND x.endpoint_id = $2 AND x.state = 'pending'"
		" ORDER BY x.id FOR NO KEY UPDATE)",
		2
	};
	const char *const p[] = { req->tenant, id };
	const enum err e = db_exec(req->db, req->arena, &remove, p, NULL);

	return e == ERR_OK ? db_exec(req->db, req->arena, &drop_deliveries, p, NULL) : e;
}

static const struct editing editing = {
	.kind = KIND_WEBHOOK_ENDPOINT,
	.fields = fields,
	.get = { "get_webhook_endpoint",
		 "SELECT w.version, " ENDPOINT_JSON
		 " FROM webhook_endpoints w WHERE w.tenant_id = $1 AND w.id = $2",
		 2 },
	/* One that is enabled again starts with a clean sheet. */
	.update = { "update_webhook_endpoint",
		    "UPDATE webhook_endpoints w SET url = $3, description = $4, event_types = $5,"
		    " payload_format = $6, detail = $7, enabled = $8,"
		    " disabled_reason = CASE WHEN $8 THEN NULL ELSE w.disabled_reason END,"
		    " failing_since = CASE WHEN $8 THEN NULL ELSE w.failing_since END,"
		    " version = w.version + 1, updated_at = now()"
		    " WHERE w.tenant_id = $1 AND w.id = $2 RETURNING w.version, " ENDPOINT_JSON,
		    8 },
	.check = check,
	.delete = delete_endpoint,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_webhook_endpoint",
		"INSERT INTO webhook_endpoints AS w (tenant_id, id, url, description, event_types,"
		" payload_format, detail, enabled, secret_sealed)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING w.version, " ENDPOINT_JSON,
		9
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	const char *secret;
	struct db_result *row;
	enum err e;

	id_v7(id);
	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK ||
	    (e = make_secret(req, id, &secret, &p[SECRET_SEALED])) != ERR_OK ||
	    (e = common_insert(req, &insert, p, &row)) != ERR_OK)
		return e;
	return common_created(req, KIND_WEBHOOK_ENDPOINT, id, db_value(row, 0, 0),
			      json_with(req, db_value(row, 0, 1), "secret", secret));
}

static const struct listing all = {
	.select = { "list_webhook_endpoints",
		    "SELECT w.id, " ENDPOINT_JSON
		    " FROM webhook_endpoints w WHERE w.tenant_id = $1 AND w.id" AFTER
		    " ORDER BY w.id LIMIT $3",
		    3 },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_WEBHOOK_ENDPOINT, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/webhook-endpoints",
	  .operation_id = "createWebhookEndpoint",
	  .scopes = SCOPE_WEBHOOKS_MANAGE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/webhook-endpoints",
	  .operation_id = "listWebhookEndpoints",
	  .scopes = SCOPE_WEBHOOKS_MANAGE,
	  .lane = LANE_ORDINARY,
	  .query = QUERY_PAGE,
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/webhook-endpoints/{webhook_endpoint_id}",
	  .operation_id = "getWebhookEndpoint",
	  .scopes = SCOPE_WEBHOOKS_MANAGE,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/webhook-endpoints/{webhook_endpoint_id}",
	  .operation_id = "updateWebhookEndpoint",
	  .scopes = SCOPE_WEBHOOKS_MANAGE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/webhook-endpoints/{webhook_endpoint_id}",
	  .operation_id = "deleteWebhookEndpoint",
	  .scopes = SCOPE_WEBHOOKS_MANAGE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource webhook_endpoints_resource = { "webhook-endpoints", routes };
