#include "kinds.h"

/* $2 is a reference as it came. An index serves each side of the OR. */
#define FIND(table) "SELECT id FROM " table " WHERE tenant_id = $1 AND id = ref_id($2)"
#define FIND_EXTERNAL(table) \
	"SELECT id FROM " table \
	" WHERE tenant_id = $1 AND (id = ref_id($2) OR external_id = ref_external($2))"

#define LOCK(table) \
	{ \
		"lock_" table, \
			"SELECT version FROM " table \
			" WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE", \
			2 \
	}
#define LOCK_TO_DELETE(table) \
	{ \
		"lock_to_delete_" table, \
			"SELECT version FROM " table \
			" WHERE tenant_id = $1 AND id = $2 FOR UPDATE", \
			2 \
	}
#define DELETE(table) \
	{ \
		"delete_" table, "DELETE FROM " table " WHERE tenant_id = $1 AND id = $2", 2 \
	}
#define EDITED(table) \
	.lock = LOCK(table), .lock_to_delete = LOCK_TO_DELETE(table), .delete = DELETE(table)

const struct kind_info kinds[] = {
	[KIND_API_KEY] = { "API key", "api_key", "api_key_id",
			   .find = { "find_api_key", FIND("api_keys"), 2 }, EDITED("api_keys") },
	[KIND_ADDRESS] = { "address", "address", "address_id",
			   .find = { "find_address", FIND_EXTERNAL("addresses"), 2 },
			   EDITED("addresses") },
	[KIND_SITE] = { "site", "site", "site_id",
			.find = { "find_site", FIND_EXTERNAL("sites"), 2 }, EDITED("sites") },
	[KIND_NUMBER] = { "phone number", "phone_number", "number_id",
			  .find = { "find_number",
				    "SELECT id FROM phone_numbers WHERE tenant_id = $1"
				    " AND (id = ref_id($2) OR number = $2)",
				    2 },
			  EDITED("phone_numbers") },
	[KIND_POOL] = { "pool", "pool", "pool_id",
			.find = { "find_pool", FIND_EXTERNAL("pools"), 2 }, EDITED("pools") },
	[KIND_USER] = { "user", "user", "user_id",
			.find = { "find_user", FIND_EXTERNAL("users"), 2 },
			.lock = { "lock_users",
				  "SELECT revision FROM users WHERE tenant_id = $1 AND id = $2"
				  " FOR NO KEY UPDATE",
				  2 },
			.lock_to_delete = { "lock_to_delete_users",
					    "SELECT revision FROM users WHERE tenant_id = $1 AND id = $2"
					    " FOR UPDATE",
					    2 },
			.delete = DELETE("users") },
	[KIND_WEBHOOK_ENDPOINT] = { "webhook endpoint", "webhook_endpoint", "webhook_endpoint_id",
				    .find = { "find_webhook_endpoint", FIND("webhook_endpoints"),
					      2 },
				    EDITED("webhook_endpoints") },
	[KIND_LEASE] = { "lease", "lease", "lease_id",
			 .find = { "find_lease", FIND("leases"), 2 } },
	[KIND_POLICY] = { "policy", "policy", "policy_id",
			  .find = { "find_policy", FIND_EXTERNAL("policies"), 2 },
			  EDITED("policies") },
	[KIND_DIAL_RULE] = { "dial rule", "dial_rule", "dial_rule_id",
			     .find = { "find_dial_rule", FIND_EXTERNAL("dial_rules"), 2 },
			     EDITED("dial_rules") },
	[KIND_CARRIER_ROUTE] = { "carrier route", "carrier_route", "carrier_route_id",
				 .find = { "find_carrier_route", FIND("carrier_routes"), 2 },
				 EDITED("carrier_routes") },
	[KIND_NOTIFICATION_RECIPIENT] = { "notification recipient", "notification_recipient",
					  "notification_recipient_id",
					  .find = { "find_notification_recipient",
						    FIND("notification_recipients"), 2 },
					  EDITED("notification_recipients") },
	/* Its id is the tenant of the transaction. */
	[KIND_TENANT] = { "tenant", "tenant", "tenant_id",
			  .find = { "find_own_tenant",
				    "SELECT id FROM tenants WHERE id = $1"
				    " AND (id = ref_id($2) OR external_id = ref_external($2))",
				    2 },
			  .lock = { "lock_tenants",
				    "SELECT version FROM tenants WHERE id = $1 AND id = $2"
				    " FOR NO KEY UPDATE",
				    2 },
			  .lock_to_delete = { "lock_to_delete_tenants",
					      "SELECT version FROM tenants WHERE id = $1 AND id = $2"
					      " FOR UPDATE",
					      2 },
			  .delete = { "delete_tenants",
				      "DELETE FROM tenants WHERE id = $1 AND id = $2", 2 } },
};
