/*
 * What the service offers. Each file of api/ exports one struct resource, a table of its routes
 * beside their handlers; resources.c lists them. Read-only: any thread.
 */
#ifndef SB_RESOURCES_H
#define SB_RESOURCES_H

#include "server/router.h"

extern const struct resource *const resources[]; /* NULL-terminated */

extern const struct resource tenants_resource;
extern const struct resource api_keys_resource;
extern const struct resource addresses_resource;
extern const struct resource sites_resource;
extern const struct resource phone_numbers_resource;
extern const struct resource pools_resource;
extern const struct resource pool_numbers_resource;
extern const struct resource users_resource;
extern const struct resource user_operational_resource;
extern const struct resource user_batch_resource;
extern const struct resource effective_policy_resource;
extern const struct resource policies_resource;
extern const struct resource dial_rules_resource;
extern const struct resource carrier_routes_resource;
extern const struct resource notification_recipients_resource;
extern const struct resource presence_resource;
extern const struct resource webhook_endpoints_resource;
extern const struct resource readiness_resource;
extern const struct resource audit_entries_resource;
extern const struct resource emergency_calls_resource;
extern const struct resource call_preview_resource;
extern const struct resource leases_resource;
extern const struct resource callback_resolutions_resource;
extern const struct resource health_resource;

#endif
