/*
 * THE DECISION: what an emergency call gets. Pure: from the context of the caller (the document of
 * call_context_3; what is missing there is null) and the request follows the
 * whole ladder of caller IDs, each rung complete with route, location, restrictions and warnings;
 * the database takes the first rung that can be had. Everything made here is text in the arena.
 *
 * decision.h has what its parts share: location.c, caller_id.c (the ladder), route.c, carrier.c,
 * notify.c, announce.c, and trace.c, which tells why.
 */
#ifndef SB_PLAN_H
#define SB_PLAN_H

#include <stdbool.h>

#include <jansson.h>

#include "call_request.h"
#include "policy.h"

struct plan {
	bool refused; /* what was dialled is no emergency number: only dial_string and trace are set */
	const char *dial_string;
	const char *service_urn; /* NULL: asserted, or a custom number */
	bool test, asserted, custom;
	bool handled_by_device, locks_presence;
	long ttl_seconds, max_call_seconds;
	struct policy policy; /* in force; points into the context */
	/*
	 * JSON array of rungs: {source, number, number_type, decision, warnings}, or of the pools
	 * {source: pool_lease, pools: [ids], test?: true, types: {<number_type>: {decision, warnings}}}.
	 * A platform's rung has the pools too where a lease was to be had: for a number of theirs.
	 * decision: {route, location, restrictions, notifications, recipients: [{id, channel}] of those
	 * that we tell ourselves, notice: {language, with_expiry, without_expiry, without_number},
	 * announcement: null | {text, ssml, language, play_to}}; in the
	 * texts stand {number} and {time}, see phrases.h.
	 */
	const char *ladder;
	const char
		*warnings; /* JSON array {code, detail}: the request's, and those of every rung */
	const char *trace; /* JSON array {step, outcome, because, level?}: every step, in order */
};

/* False: out of memory. The context and the request stay as they are. */
bool plan_make(struct arena *, const json_t *context, const struct call_request *, struct plan *);

/* The first region of request, location, user's address, site and tenant that has emergency numbers,
   for the 422 that lists them; NULL: none. */
const char *plan_region(const json_t *context, const struct call_request *);

/* {blocked_operations, visible_controls, incoming_calls, record, history} during a call, by the
   policy; NULL: the built-in one. New reference; NULL: out of memory. */
json_t *plan_restrictions(const struct policy *);

#endif
