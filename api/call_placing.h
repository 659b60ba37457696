/*
 * What placing an emergency call and previewing it share: the body, the context of its caller, the plan,
 * and the scalars of the decision as the stored functions take them.
 */
#ifndef SB_CALL_PLACING_H
#define SB_CALL_PLACING_H

#include "emergency/call_request.h"
#include "emergency/plan.h"
#include "server/db.h"
#include "server/request.h"

struct placing {
	struct call_request call;
	char call_id[UUID_TEXT]; /* fixed before the first attempt; every rerun keeps them */
	char new_call_id[UUID_TEXT];
	const char *extension; /* the digits, where a leading 9 or 0 may be a prefix; NULL else */
};

enum { CONTEXT_PARAMETERS = 5 };

/* placing_parameters() -> the context of the call, or NULL: there is no such tenant. */
extern const struct db_stmt call_context;

/* The body, with a warning for whatever is left out of it. ERR_REQUIRED: no user_id or dial_string. */
enum err placing_parse(struct request *, struct placing *);

void placing_parameters(const struct request *, const struct placing *,
			const char *params[CONTEXT_PARAMETERS]);

/* The plan, and its scalars as place_call_3 takes them. A plan that is refused has no intent: what to
   answer is placing_refused(). Intent and plan live in the arena. */
enum err placing_decide(struct request *, const struct placing *, const json_t *context,
			struct plan *, const char **intent);

/* 422 not_an_emergency_number, with the numbers of the call's region. */
enum err placing_refused(struct request *, const struct placing *, const json_t *context);

#endif
