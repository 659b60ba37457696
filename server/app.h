/*
 * The one context of the process. Made by main.c, handed down; there is no other global state
 * but the log's level and jansson's seed.
 */
#ifndef SB_APP_H
#define SB_APP_H

#include <stdint.h>

struct config;
struct db_health;
struct lane;
struct lanes;
struct loop;
struct auth_cache;
struct delivery;
struct sweep;
struct context_cache;
struct metrics;
struct resource;

struct app {
	const struct config *config;
	const struct resource *const *resources; /* NULL-terminated: api/resources.c */
	struct db_health *health;
	struct metrics *metrics;
	struct auth_cache *auth;
	struct lanes *lanes;
	struct loop *loop;
	struct delivery *delivery;
	struct sweep *sweep;
	struct context_cache *contexts; /* call contexts of the emergency lane */
	int32_t instance; /* names this process in claims: advisory lock (22868, instance) */
};

#endif
