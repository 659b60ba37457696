/*
 * READ dispatch.c FIRST. Route -> auth -> lane -> handler -> commit -> reply, in one place.
 */
#ifndef SB_DISPATCH_H
#define SB_DISPATCH_H

#include "db.h"
#include "request.h"

/* On the loop, when the request is complete. True: a lane has it, and loop_complete() will follow;
   false: req->reply is set. */
bool dispatch(struct request *);

/* Pointer of a note (not an error) on the query of an emergency route. */
#define QUERY_NOTE "?"

/* The checks between the key and the handler, in the order of api.md 1: scope, content type, size,
   JSON, query. */
enum err dispatch_check(struct request *);

/* One request of the ordinary lane, on its worker: sets req->reply. False: it was parked, or is queued
   again (lane.h), and is no longer the worker's. */
bool dispatch_ordinary(struct request *, struct db *);

/* The request is answered: logs it, counts it, gives it back to the loop. */
void dispatch_done(struct request *);

/* Nanoseconds since its request line was read. */
int64_t dispatch_age_ns(const struct request *);

/* Sets the problem reply for e, logs what is ours to mend. */
void dispatch_fail(struct request *, enum err e);

#endif
