/*
 * Leases: who holds, or held, which callback number. Calls make and move them.
 */
#include "common.h"
#include "resources.h"

/*
 * The stored state may lag: an active lease that is over is read as expired before anybody stores it.
 * It is over at its expiry, or where a call went on past that, when the last call on the number ended
 * (which is then the free_at of the number's head); `over` is null while a call is in progress.
 */
#define LEASES \
	" FROM leases l LEFT JOIN pool_numbers h ON h.tenant_id = l.tenant_id" \
	" AND h.number_id = l.number_id AND h.lease_id = l.id" \
	" CROSS JOIN LATERAL (SELECT coalesce(l.ended_at, CASE WHEN l.in_call = 0" \
	" THEN greatest(l.expires_at, h.free_at) END)) o(over)" \
	" CROSS JOIN LATERAL (SELECT CASE WHEN l.state = 'active' AND o.over <= statement_timestamp()" \
	" THEN 'expired' ELSE l.state END) r(state)"

#define LEASE_JSON \
	"json_build_object('id', l.id, 'number', l.number, 'pool_id', l.pool_id, 'user_id', l.user_id," \
	" 'guest', CASE WHEN l.guest IS NOT NULL THEN json_build_object('reference', l.guest) END," \
	" 'emergency_call_id', l.emergency_call_id, 'state', r.state," \
	" 'leased_at', rfc3339(l.leased_at), 'expires_at', rfc3339(l.expires_at)," \
	" 'ended_at', CASE WHEN r.state <> 'active' THEN rfc3339(o.over) END," \
	" 'in_call', l.in_call > 0, 'shared', l.shared, 'test', l.test)"

static const struct listing all = {
	.select = { "list_leases",
		"SELECT l.id, " LEASE_JSON LEASES " WHERE l.tenant_id = $1 AND l.id" AFTER
		" AND ($4::text IS NULL OR l.number = $4) AND ($5::uuid IS NULL OR l.user_id = $5)"
		" AND ($6::text IS NULL OR r.state = $6)"
		" AND ($7::timestamptz IS NULL OR l.leased_at <= $7 AND (o.over IS NULL OR $7 < o.over))"
		" ORDER BY l.id LIMIT $3",
		7 },
	.filters = {
		{ .name = "number", .type = FILTER_E164 },
		{ .name = "user_id", .type = FILTER_REFERENCE, .kind = KIND_USER },
		{ .name = "state", .type = FILTER_CHOICE, .choices = "active|superseded|released|expired" },
		{ .name = "at", .type = FILTER_TIME },
	},
};

static enum err list(struct request *req)
{
	return common_list(req, &all);
}

static enum err get(struct request *req)
{
	/* No version: what a call changes has no ETag. */
	static const struct db_stmt select = { "get_lease",
					       "SELECT NULL, " LEASE_JSON LEASES
					       " WHERE l.tenant_id = $1 AND l.id = $2",
					       2 };

	return common_get(req, KIND_LEASE, &select);
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/leases",
	  .operation_id = "listLeases",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .query = QUERY("number", "user_id", "state", "at"),
	  .handler = list },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/leases/{lease_id}",
	  .operation_id = "getLease",
	  .scopes = SCOPE_CALLS_READ,
	  .lane = LANE_ORDINARY,
	  .handler = get },
	{ .method = NULL },
};

const struct resource leases_resource = { "leases", routes };
