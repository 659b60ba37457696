/*
 * Method + path template -> route. Templates are split at '/', the raw target too; only then is a
 * segment percent-decoded, so that an encoded slash stays inside its segment.
 * Read-only after router_init: safe from any thread.
 */
#ifndef SB_ROUTER_H
#define SB_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct request;
struct emergency_op;
struct arena;

enum scope {
	SCOPE_NONE = 0, /* any valid key */
	SCOPE_CONFIG_READ = 1 << 0,
	SCOPE_CONFIG_WRITE = 1 << 1,
	SCOPE_NUMBERS_WRITE = 1 << 2,
	SCOPE_CALLS_READ = 1 << 3,
	SCOPE_CALLS_WRITE = 1 << 4,
	SCOPE_CALLBACKS_RESOLVE = 1 << 5,
	SCOPE_WEBHOOKS_MANAGE = 1 << 6,
	SCOPE_EMERGENCY_MONITOR = 1 << 7,
	SCOPE_OPERATOR = 1 << 8,
};

enum lane_id {
	LANE_NONE, /* answered on the loop: no key, no database */
	LANE_ORDINARY,
	LANE_EMERGENCY,
};

enum body_rule {
	BODY_NONE,     /* a body is ignored */
	BODY_JSON,     /* application/json, an object */
	BODY_PATCH,    /* application/merge-patch+json (RFC 7396), an object */
	BODY_OPTIONAL, /* the same, or none at all */
	BODY_LENIENT,  /* emergency routes: JSON whatever the content type says */
	BODY_LENIENT_OPTIONAL,
	BODY_STREAM, /* worked on while it arrives: JSON lines, or an array (stream.h) */
};

typedef enum err (*handler_fn)(struct request *);

struct route {
	const char *method;	  /* "GET"; HEAD is served as GET */
	const char *path;	  /* "/v1/tenants/{tenant_id}/users" */
	const char *operation_id; /* as in openapi.yaml */
	uint32_t scopes;	  /* any of these allows it */
	enum lane_id lane;
	enum body_rule body;
	size_t max_body;	       /* 0: 64 KiB */
	bool write;		       /* ordinary lane: a read-write transaction */
	bool is_public;		       /* no key */
	const char *const *query;      /* allowed query parameters, NULL-terminated; NULL: none */
	handler_fn handler;	       /* LANE_NONE and LANE_ORDINARY */
	const struct emergency_op *op; /* LANE_EMERGENCY */
};

/* What one file of api/ offers: `routes` ends with a row whose method is NULL. */
struct resource {
	const char *name; /* collection noun: "sites" */
	const struct route *routes;
};

#define MAX_PATH_PARAMS 4

struct route_match {
	const char *names[MAX_PATH_PARAMS];  /* in the template's own text, up to '}' */
	const char *values[MAX_PATH_PARAMS]; /* decoded, in the arena */
	size_t n;
	char allow[64]; /* with ERR_METHOD_NOT_ALLOWED: "GET, HEAD, POST" */
};

/* ERR_OK and *route; ERR_NOT_FOUND (also for %00 or a bad escape in a segment);
   ERR_METHOD_NOT_ALLOWED with match->allow. path: the raw target without its query. */
enum err router_find(const struct resource *const *resources, struct arena *, const char *method,
		     const char *path, const struct route **route, struct route_match *match);

/* Every parameter called ..._id is one: a uuid, ext:<external_id>, or an E.164 number. Otherwise
   the path names nothing: 404, before any key is asked for. */
bool router_ids_fit(const struct route_match *match);

/* "config:read" -> bit, 0 where there is none; and back. */
uint32_t scope_by_name(const char *name, size_t len);
const char *scope_name(uint32_t bit);

#endif
