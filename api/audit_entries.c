/*
 * Audit entries: who changed which resource, and when. Written by common_changed() in the transaction
 * of the change; here they are only read.
 */
#include "common.h"
#include "resources.h"

#define TYPES \
	"tenant|api_key|address|site|phone_number|pool|user|policy|dial_rule|carrier_route|" \
	"notification_recipient|webhook_endpoint"

static const struct listing all = {
	.select = { "list_audit_entries",
		"SELECT a.id, json_build_object('id', a.id, 'key_id', a.key_id, 'action', a.action,"
		" 'resource_type', a.resource_type, 'resource_id', a.resource_id, 'at', rfc3339(a.at))"
		" FROM audit_entries a WHERE a.tenant_id = $1 AND a.id" AFTER
		" AND ($4::text IS NULL OR a.resource_type = $4)"
		" AND ($5::uuid IS NULL OR a.resource_id = $5)"
		" AND ($6::uuid IS NULL OR a.key_id = $6) ORDER BY a.id LIMIT $3",
		6 },
	.filters = {
		{ .name = "resource_type", .type = FILTER_CHOICE, .choices = TYPES },
		{ .name = "resource_id", .type = FILTER_UUID },
		{ .name = "key_id", .type = FILTER_UUID },
	},
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/audit-entries",
	  .operation_id = "listAuditEntries",
	  .scopes = SCOPE_CONFIG_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("resource_type", "resource_id", "key_id"),
	  .handler = list },
	{ .method = NULL },
};

const struct resource audit_entries_resource = { "audit-entries", routes };
