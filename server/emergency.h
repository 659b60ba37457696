/*
 * A batch of the emergency lane: one transaction for all its elements, and the same steps for an
 * element that runs alone. An operation (placing, ending, resolving ...) is a struct emergency_op.
 */
#ifndef SB_EMERGENCY_H
#define SB_EMERGENCY_H

#include "db.h"
#include "request.h"

#define BATCH_MAX 64

/* What `stored` says of an element. */
enum stored {
	STORED,	      /* req->reply is set */
	STORED_STALE, /* the context moved: load, decide and store again */
	STORED_ALONE, /* it would have to wait: run it alone */
};

/* The steps of an operation of the emergency lane. A step that returns an error ends the request
   with that problem. `load` and `store` only add statements; the lane sends, waits and commits. */
struct emergency_op {
	enum err (*parse)(struct request *); /* body -> req->op */
	/* What must not be twice in a batch: a string in the arena, NULL: nothing. */
	const char *(*key)(struct request *);
	/* fresh: not from a cache. NULL step, or nothing added: no need. */
	enum err (*load)(struct request *, struct db_batch *, bool fresh);
	enum err (*loaded)(struct request *, const struct db_batch *);
	enum err (*decide)(struct request *);
	enum err (*store)(struct request *, struct db_batch *, bool alone);
	enum err (*stored)(struct request *, const struct db_batch *, enum stored *);
};

/* Runs a batch; every element ends in dispatch_done() or in to_alone(). */
void emergency_batch(struct app *, struct db *, struct request **batch, size_t n,
		     void (*to_alone)(void *arg, struct request *), void *arg);

/* Runs one element by itself: it waits for locks, up to 200 ms each. Sets req->reply. */
void emergency_alone(struct app *, struct db *, struct request *);

#endif
