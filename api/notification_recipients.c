/*
 * Notification recipients: who is told that an emergency number was dialled, and who joins the call.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "resources.h"
#include "server/app.h"
#include "server/ids.h"
#include "server/mail.h"
#include "server/outbound.h"

#define MAX_DIAL_STRINGS 50

static const struct field fields[] = {
	{ .name = "site_id", .type = F_REF, .flags = FIELD_NULLABLE, .choices = "sites" },
	{ .name = "channel",
	  .type = F_ENUM,
	  .flags = FIELD_REQUIRED,
	  .choices = "email|phone|webhook" },
	{ .name = "address", .type = F_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = 2048 },
	{ .name = "mode", .type = F_ENUM, .choices = "notify|listen|speak", .standard = "notify" },
	{ .name = "dial_strings", .type = F_STRINGS, .max = MAX_DIAL_STRINGS, .standard = "{}" },
	SERVER_FIELDS,
};

enum { SITE_ID = 2, CHANNEL, ADDRESS, MODE };

#define RECIPIENT_JSON \
	"json_build_object('id', n.id, 'site_id', n.site_id, 'channel', n.channel," \
	" 'address', n.address, 'mode', n.mode, 'dial_strings', n.dial_strings," \
	" 'created_at', rfc3339(n.created_at), 'updated_at', rfc3339(n.updated_at))"

/* NULL: the channel can reach it; else the rule that it breaks. */
static const char *wrong_address(struct request *req, const char *channel, const char *address)
{
	if (strcmp(channel, "email") == 0)
		return mail_is_address(address)
			       ? NULL
			       : "must be one mail address of at most 254 characters, as the channel is email";
	if (strcmp(channel, "phone") == 0)
		return is_e164(address) ? NULL : "must be an E.164 number, as the channel is phone";
	if (!is_url(address))
		return "must be an absolute http or https URL, as the channel is webhook";
	return outbound_check_url(req->app->config, address);
}

static enum err check_dial_strings(struct request *req)
{
	const json_t *list = json_object_get(req->json, "dial_strings");
	enum err e = ERR_OK;

	for (size_t i = 0; i < json_array_size(list); i++) {
		char pointer[40];

		if (is_extension(json_string_value(json_array_get(list, i))))
			continue;
		(void)snprintf(pointer, sizeof(pointer), "/dial_strings/%zu", i);
		e = fail_member(req, ERR_INVALID_VALUE, pointer,
				"must be 1 to 32 of the characters 0-9, * and #");
	}
	return e;
}

static enum err check(struct request *req, const char **p, const char *const *before)
{
	const char *rule = wrong_address(req, p[CHANNEL], p[ADDRESS]);
	enum err e = check_dial_strings(req);

	(void)before;
	if (rule)
		e = fail_member(req, ERR_INVALID_VALUE, "/address", "%s", rule);
	if (strcmp(p[MODE], "notify") != 0 && strcmp(p[CHANNEL], "phone") != 0)
		e = fail_member(req, ERR_INVALID_VALUE, "/mode",
				"must be notify: only a phone can join a call, not channel %s",
				p[CHANNEL]);
	if (e != ERR_OK)
		return e;
	return common_reference(req, KIND_SITE, "/site_id", &p[SITE_ID]);
}

static const struct editing editing = {
	.kind = KIND_NOTIFICATION_RECIPIENT,
	.fields = fields,
	.get = { "get_notification_recipient",
		 "SELECT n.version, " RECIPIENT_JSON
		 " FROM notification_recipients n WHERE n.tenant_id = $1 AND n.id = $2",
		 2 },
	.update = { "update_notification_recipient",
		    "UPDATE notification_recipients AS n SET site_id = $3, channel = $4, address = $5,"
		    " mode = $6, dial_strings = $7, version = version + 1, updated_at = now()"
		    " WHERE n.tenant_id = $1 AND n.id = $2 RETURNING n.version, " RECIPIENT_JSON,
		    7 },
	.check = check,
};

static enum err create(struct request *req)
{
	static const struct db_stmt insert = {
		"create_notification_recipient",
		"INSERT INTO notification_recipients AS n (tenant_id, id, site_id, channel, address, mode,"
		" dial_strings)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING n.version, " RECIPIENT_JSON,
		7
	};
	char id[UUID_TEXT];
	const char *p[2 + LENGTH(fields)] = { req->tenant, id };
	enum err e;

	if ((e = fields_parse(req, fields, req->json, "", p + 2)) != ERR_OK ||
	    (e = check(req, p, NULL)) != ERR_OK)
		return e;
	id_v7(id);
	return common_create(req, KIND_NOTIFICATION_RECIPIENT, &insert, p, id);
}

static const struct listing all = {
	.select = { "list_notification_recipients",
		    "SELECT n.id, " RECIPIENT_JSON
		    " FROM notification_recipients n WHERE n.tenant_id = $1 AND n.id" AFTER
		    " AND ($4::uuid IS NULL OR n.site_id = $4)"
		    " AND ($5::text IS NULL OR n.channel = $5) ORDER BY n.id LIMIT $3",
		    5 },
	.filters = { { .name = "site_id", .type = FILTER_REFERENCE, .kind = KIND_SITE },
		     { .name = "channel",
		       .type = FILTER_CHOICE,
		       .choices = "email|phone|webhook" } },
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	return common_get(req, KIND_NOTIFICATION_RECIPIENT, &editing.get);
}

static enum err patch(struct request *req)
{
	return common_patch(req, &editing);
}

static enum err delete (struct request *req) { return common_delete(req, &editing); }

static const struct route routes[] = {
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/notification-recipients",
	  .operation_id = "createNotificationRecipient",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_JSON,
	  .write = true,
	  .handler = create },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/notification-recipients",
	  .operation_id = "listNotificationRecipients",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("site_id", "channel"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/notification-recipients/{notification_recipient_id}",
	  .operation_id = "getNotificationRecipient",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = "PATCH",
	  .path = "/v1/tenants/{tenant_id}/notification-recipients/{notification_recipient_id}",
	  .operation_id = "updateNotificationRecipient",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .body = BODY_PATCH,
	  .write = true,
	  .handler = patch },
	{ .method = "DELETE",
	  .path = "/v1/tenants/{tenant_id}/notification-recipients/{notification_recipient_id}",
	  .operation_id = "deleteNotificationRecipient",
	  .scopes = SCOPE_CONFIG_WRITE,
	  .lane = LANE_ORDINARY,
	  .write = true,
	  .handler = delete },
	{ .method = NULL },
};

const struct resource notification_recipients_resource = { "notification-recipients", routes };
