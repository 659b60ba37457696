/*
 * The list of all resources: a new one is a file of api/ and a line here.
 */
#include "resources.h"

#include <stddef.h>

const struct resource *const resources[] = {
	&emergency_calls_resource,
	&call_preview_resource,
	&callback_resolutions_resource,
	&leases_resource,
	&presence_resource,
	&tenants_resource,
	&api_keys_resource,
	&addresses_resource,
	&sites_resource,
	&phone_numbers_resource,
	&pools_resource,
	&pool_numbers_resource,
	&users_resource,
	&user_operational_resource,
	&user_batch_resource,
	&effective_policy_resource,
	&policies_resource,
	&dial_rules_resource,
	&carrier_routes_resource,
	&notification_recipients_resource,
	&webhook_endpoints_resource,
	&readiness_resource,
	&audit_entries_resource,
	&health_resource,
	NULL,
};
