/*
 * THE DECISION: what an emergency call gets. Pure: from the context of the caller, the request and
 * what was dialled follows the whole ladder of caller IDs, each rung complete with route, location,
 * restrictions and warnings; the database takes the first rung that can be had (place_call_1).
 */
#ifndef SB_PLAN_H
#define SB_PLAN_H

#include <stdbool.h>

#include <jansson.h>

#include "call_request.h"
#include "dial.h"

/* The built-in policy; a later release reads these from policies. */
#define PLAN_LEASE_TTL_SECONDS 3600
#define PLAN_MAX_CALL_SECONDS 14400

struct plan {
	json_t *ladder; /* as place_call_1 takes it */
	bool locks_presence;
};

/* Where the caller is: of the request (the address it names, else its own), of the user, of the site;
   NULL: unknown. *source: caller, user, site or none. */
json_t *plan_location(const json_t *context, const struct call_request *, const char **source);

/* Puts what the request says beside its address_id (floor, room, point, method) over the address of
   the context; drops a location that says no more than an address_id that names nothing. */
void plan_overlay(json_t *context, struct call_request *);

/* What was dialled, in the first region of request, location, user's address, site and tenant. */
void plan_dial(const json_t *context, const struct call_request *, struct dial_result *);
/* The first of these regions that has emergency numbers, for the 422 that lists them; NULL: none. */
const char *plan_region(const json_t *context, const struct call_request *);

/* False: out of memory. Warnings that hold for every rung are added to request->warnings. */
bool plan_make(struct arena *, const json_t *context, struct call_request *,
	       const struct dial_result *, struct plan *);

/* {blocked_operations, visible_controls, incoming_calls, record, history} during a call. New. */
json_t *plan_restrictions(void);

#endif
