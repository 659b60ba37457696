/*
 * The list of all resources: a new one is a file of api/ and a line here.
 */
#include "resources.h"

#include <stddef.h>

const struct resource *const resources[] = {
	&emergency_calls_resource, &callback_resolutions_resource,
	&leases_resource,	   &presence_resource,
	&tenants_resource,	   &api_keys_resource,
	&addresses_resource,	   &sites_resource,
	&phone_numbers_resource,   &pools_resource,
	&users_resource,	   &webhook_endpoints_resource,
	&health_resource,	   NULL,
};
