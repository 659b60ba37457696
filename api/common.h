/*
 * What the files of api/ share. A handler of the ordinary lane is straight-line code:
 *
 *	fields_parse()       the body, into p[2..]: the parameters of the INSERT (p[0] tenant, p[1] id)
 *	common_reference()   each member that names another resource
 *	common_insert()      INSERT ... RETURNING version, json
 *	common_created()     201
 *
 * common_get() and common_list() are whole handlers. Everything runs on the worker of the request,
 * inside its transaction; memory is the request's arena.
 */
#ifndef SB_COMMON_H
#define SB_COMMON_H

#include <stdbool.h>
#include <stddef.h>

#include "server/db.h"
#include "server/error.h"
#include "server/fields.h"
#include "server/list.h"
#include "server/request.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* --- references ------------------------------------------------------------------------------- */

/* What a path segment, a member or a query parameter can name. */
enum kind {
	KIND_API_KEY,
	KIND_ADDRESS,
	KIND_SITE,
	KIND_NUMBER, /* also by its E.164 form */
	KIND_POOL,
	KIND_USER,
	KIND_WEBHOOK_ENDPOINT,
	KIND_LEASE,
	KIND_POLICY, /* there is none yet: every reference is unknown */
};

/* The resource that the path names: *id is its uuid. ERR_NOT_FOUND. */
enum err common_path(struct request *, enum kind, const char **id);

/* The resource that a member names: *ref, as it was given, becomes its uuid; NULL stays NULL.
   pointer: the member. ERR_UNKNOWN_REFERENCE. */
enum err common_reference(struct request *, enum kind, const char *pointer, const char **ref);

/* --- replies ---------------------------------------------------------------------------------- */

/* {"version","json"}: a whole resource. version becomes the strong ETag (NULL: none), location the
   header field (NULL: none). 200 turns into 304 where If-None-Match has the ETag. */
enum err reply_resource(struct request *, int status, const char *version, const char *json,
			const char *location);

/* 204 without a body. */
enum err reply_nothing(struct request *);

/* The JSON text of an object, with one more member whose value needs no escape. NULL: out of
   memory. For secrets that are shown once: they never get into a statement. */
const char *json_with(struct request *, const char *json, const char *name, const char *value);

/* GET of the resource of the path. select: $1 tenant, $2 id; gives (version, json). */
enum err common_get(struct request *, enum kind, const struct db_stmt *select);

/* --- creating --------------------------------------------------------------------------------- */

/* Runs an INSERT ... RETURNING; what it violates becomes a problem that names the member. */
enum err common_insert(struct request *, const struct db_stmt *, const char *const *params,
		       struct db_result **row);

/* The last statement of every write of configuration: decisions made on what was before are made
   again (place_call compares the version at commit). */
enum err config_changed(struct request *);

/* config_changed(), then 201 with Location: the route's collection and id. */
enum err common_created(struct request *, const char *id, const char *version, const char *json);

/* common_insert() of (version, json), then common_created(). */
enum err common_create(struct request *, const struct db_stmt *insert, const char *const *params,
		       const char *id);

/* May the key do what needs this scope? The operator may do everything that a tenant's key can. */
bool key_has(const struct request *, uint32_t scope);

/* --- lists ------------------------------------------------------------------------------------ */

enum filter_type {
	FILTER_END,
	FILTER_EXTERNAL_ID,
	FILTER_CALL_ID,	  /* an external_call_id: 1-255 visible ASCII */
	FILTER_REFERENCE, /* of `kind`; one that names nothing matches nothing */
	FILTER_CHOICE,	  /* one of `choices`, separated by '|' */
	FILTER_E164,
	FILTER_TIME,
	FILTER_PATH, /* no query parameter: the `kind` that the path names */
};

struct filter {
	const char *name;
	enum filter_type type;
	enum kind kind;
	const char *choices;
};

#define MAX_FILTERS 4

struct listing {
	/* $1 tenant, $2 id after which the page begins (or null), $3 limit, $4.. the filters (null:
	   absent) -> (id, json) by id */
	struct db_stmt select;
	struct filter filters[MAX_FILTERS + 1];
	bool all_tenants; /* the operator's: there is no $1 tenant, and the rest moves up */
};

/* GET of a collection. */
enum err common_list(struct request *, const struct listing *);

/* "... AND x.id" AFTER: the condition of keyset order, as an index can use it. */
#define AFTER " > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')"

/* clang-format off */
/* The query parameters of a list's route: QUERY("external_id"), or QUERY_PAGE for none of its own. */
#define QUERY(...) (const char *const[]){ __VA_ARGS__, LIST_QUERY, NULL }
#define QUERY_PAGE (const char *const[]){ LIST_QUERY, NULL }

/* --- tables of fields ------------------------------------------------------------------------- */

/* The last rows of every table: what the server makes. */
#define SERVER_FIELDS \
	{ .name = "id", .flags = FIELD_READ_ONLY }, \
	{ .name = "created_at", .flags = FIELD_READ_ONLY }, \
	{ .name = "updated_at", .flags = FIELD_READ_ONLY }, \
	{ .name = NULL }
/* clang-format on */

#define NUMBER_TYPES "native|operator_connect|byoc"

extern const struct field destination_fields[]; /* Destination */

/* What the table cannot say of a Destination: the address fits the type. object: the one that has
   it as member `name`; prefix: its pointer. Absent or null is fine. */
enum err common_destination(struct request *, const json_t *object, const char *prefix,
			    const char *name);

#endif
