/*
 * The request of an emergency call, read leniently: only user_id and dial_string are needed, and
 * whatever else is unknown or invalid is left out and named by a warning (api.md 3).
 * Pure; what it makes lives in the arena.
 */
#ifndef SB_CALL_REQUEST_H
#define SB_CALL_REQUEST_H

#include <stdbool.h>

#include <jansson.h>

#include "server/arena.h"

struct call_request {
	const char *user_ref; /* as given: an id, ext:<external_id>, or anything (a guest) */
	const char *dialed;   /* as given */
	const char *external_call_id; /* the following are NULL where not given or left out */
	const char *site_ref;
	const char *address_ref;      /* location.address_id */
	const char *region;	      /* ISO 3166-1 alpha-2 */
	const char *presence;	      /* reported availability */
	const char *presented_number; /* E.164 */
	const char *on_behalf_of;     /* whose call it is; decides nothing */
	const char *origin;	      /* "planned" or "observed" */
	json_t *endpoint;	      /* {type, address, cellular} */
	json_t *location; /* all members of an address of a location, null where unset */
	json_t *metadata; /* object */
	bool assert_emergency;
	json_t *warnings; /* array of {code, detail} */
};

/* NULL: taken; "user_id" or "dial_string": it is missing. out->warnings NULL: out of memory. */
const char *call_request_parse(struct arena *, const json_t *body, struct call_request *out);

/* The bodies of connect, end and cancel: what fits goes into an object of its own, the rest into
   warnings: {presented_number?, reason?, sip_status?, warnings}. NULL: out of memory. */
json_t *call_action_parse(struct arena *, const char *action, const json_t *body);

/* Adds {code, detail}. */
void warn(json_t *warnings, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The ignored_member warning of a member that nobody knows; prefix: the pointer of its object. */
void warn_unknown(json_t *warnings, const char *prefix, const char *name);

/* The arena gives it back; NULL where json is NULL or memory is out. */
json_t *arena_json(struct arena *, json_t *json);

#endif
