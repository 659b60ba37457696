/*
 * Who is rung when a number is called back. Pure: from what callback_context_1 knows of the number
 * follows the outcome, the targets and their order (api.md 5).
 */
#ifndef SB_CALLBACK_H
#define SB_CALLBACK_H

#include <stdbool.h>

#include <jansson.h>

#include "server/arena.h"

#define CALLBACK_NO_ANSWER_SECONDS 20 /* built-in callback_no_answer_seconds */

struct callback {
	const char *outcome; /* user, fallback or message */
	const char *reason;  /* active_lease, user_number, service_number, lease_expired, ... */
	const json_t
		*callee; /* whom it is for: a callee of the context; NULL with outcome fallback */
	json_t *decision; /* {user, targets, ring, then, never, priority, bypass, on_busy, candidates, restrictions} */
	json_t *warnings;
};

/* sip_priority: a hint, may be NULL; caller_user_id: of the context, a user's id or NULL.
   False: out of memory. */
bool callback_decide(struct arena *, const json_t *context, const char *sip_priority,
		     struct callback *);

#endif
