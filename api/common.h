/*
 * What the files of api/ share. A handler of the ordinary lane is straight-line code:
 *
 *	fields_parse()       the body, into p[2..]: the parameters of the INSERT (p[0] tenant, p[1] id)
 *	check()              references and rules, the same for a new resource and a changed one
 *	common_insert()      INSERT ... RETURNING version, json
 *	common_created()     audit entry, config_version, 201
 *
 * common_get(), common_list(), common_patch() and common_delete() are whole handlers. Everything runs
 * on the worker of the request, inside its transaction; memory is the request's arena.
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
	KIND_POLICY,
	KIND_DIAL_RULE,
	KIND_CARRIER_ROUTE,
	KIND_NOTIFICATION_RECIPIENT,
	KIND_TENANT,
};

/* "phone_number": what references of a problem and audit entries call a resource. */
const char *common_type(enum kind);

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

/* Does an If-Match or If-None-Match field (RFC 9110 13.1: "*", or a list of entity tags) have the tag?
   etag has its quotes. weakly: W/ does not matter, as in If-None-Match; else weak tags never match. */
bool common_lists_etag(const char *list, const char *etag, bool weakly);

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

/* What was done to a resource, as audit entries say it. */
enum change {
	CHANGE_CREATED,
	CHANGE_UPDATED,
	CHANGE_DELETED,
};

/* The last call of every write of configuration: writes the audit entry and raises the tenant's
   config_version, so that decisions made on what was before are made again (place_call compares the
   version at commit). A user that is changed or deleted has a version of its own instead. */
enum err common_changed(struct request *, enum kind, const char *id, enum change);

/* common_changed(), then 201 with Location: the route's collection and id. */
enum err common_created(struct request *, enum kind, const char *id, const char *version,
			const char *json);

/* common_insert() of (version, json), then common_created(). */
enum err common_create(struct request *, enum kind, const struct db_stmt *insert,
		       const char *const *params, const char *id);

/* May the key do what needs this scope? The operator may do everything that a tenant's key can. */
bool key_has(const struct request *, uint32_t scope);

/* --- changing and deleting -------------------------------------------------------------------- */

/* How a resource of the path is changed and deleted; one static const a file. Parameters of every
   statement begin with $1 tenant, $2 id. */
struct editing {
	enum kind kind;
	const struct field *fields; /* of the body that creates it */
	struct db_stmt get;	    /* (version, json): that of common_get() */
	/* $3.. the values of `fields`, in their order; sets version = version + 1, updated_at = now();
	   returns (version, json) */
	struct db_stmt update;
	/* References of p[2..] become ids, then the rules that more than one member or resource has a
	   part in. req->json is the whole body (of a change: merged). before: the values as stored, in
	   p's layout; NULL: it is created. NULL: nothing to check. */
	enum err (*check)(struct request *, const char **p, const char *const *before);
	/* (type, id) of what refers to it, LIMIT 20; no SQL: nothing can. */
	struct db_stmt references;
	/* Before the references are asked for: locks whatever must not move. NULL: nothing. */
	enum err (*before_delete)(struct request *, const char *id);
	/* In its place: the statements that delete it. NULL: one DELETE. */
	enum err (*delete)(struct request *, const char *id);
};

/* PATCH, RFC 7396: the row is locked, If-Match compared, the patch merged into what GET answers, and
   the whole held against the table and check(). What changes nothing is answered as it is: no new
   version, no audit entry. A member that is null is as if it had not been sent at creation. */
enum err common_patch(struct request *, const struct editing *);

/* DELETE: 204; 409 in_use with `references` where something refers to it; If-Match as above. */
enum err common_delete(struct request *, const struct editing *);

/* The tenant's row, as the last statement of every write wants it: taken before what others may hold
   while they wait for it. */
enum err common_lock_tenant(struct request *);

/* before_delete of what calls know: from here to the end of the transaction no call of the tenant is
   placed, and those that were can be seen. */
enum err common_hold_calls(struct request *, const char *id);

/* The resource of the path, its row locked and If-Match compared: what a handler of its own does before
   it changes one. */
enum err common_lock(struct request *, enum kind, const char **id);

/* If-Match (RFC 9110 13.1.1, strong comparison) against the version of a locked row. */
enum err common_if_match(struct request *, const char *version);

/* 409 in_use with these rows (type, id) as `references`, at most 20 of them. detail: a sentence. */
enum err common_in_use(struct request *, const struct db_result *rows, const char *detail);

/* --- lists ------------------------------------------------------------------------------------ */

enum filter_type {
	FILTER_END,
	FILTER_EXTERNAL_ID,
	FILTER_CALL_ID,	  /* an external_call_id: 1-255 visible ASCII */
	FILTER_REFERENCE, /* of `kind`; one that names nothing matches nothing */
	FILTER_CHOICE,	  /* one of `choices`, separated by '|' */
	FILTER_E164,
	FILTER_TIME,
	FILTER_UUID,
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
/* The rows of a place: of an address, and of a location that is none of the tenant's. */
#define PLACE_FIELDS \
	{ .name = "region", .type = F_REGION, .flags = FIELD_REQUIRED }, \
	{ .name = "admin_area", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "city", .type = F_STRING, .flags = FIELD_REQUIRED }, \
	{ .name = "postal_code", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "street", .type = F_STRING, .flags = FIELD_REQUIRED }, \
	{ .name = "house_number", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "floor", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "room", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "name", .type = F_STRING, .flags = FIELD_NULLABLE }, \
	{ .name = "latitude", .type = F_NUMBER, .flags = FIELD_NULLABLE, .min = -90, .max = 90 }, \
	{ .name = "longitude", .type = F_NUMBER, .flags = FIELD_NULLABLE, .min = -180, .max = 180 }, \
	{ .name = "uncertainty_m", \
	  .type = F_NUMBER, \
	  .flags = FIELD_NULLABLE, \
	  .min = 0, \
	  .max = 10000000 }, \
	{ .name = "validated_at", .type = F_TIME, .flags = FIELD_NULLABLE }
/* clang-format on */

#define NUMBER_TYPES "native|operator_connect|byoc"

extern const struct field destination_fields[]; /* Destination */

/* What the table cannot say of a Destination: the address fits the type. object: the one that has
   it as member `name`; prefix: its pointer. Absent or null is fine. */
enum err common_destination(struct request *, const json_t *object, const char *prefix,
			    const char *name);

#endif
