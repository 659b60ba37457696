/*
 * Queues and worker threads. Ordinary lane: each thread runs one request in one transaction
 * (dispatch.h), and half of the threads take bodies that are worked on piece by piece (stream.h).
 * Emergency lane: a thread takes all that is queued as one batch (emergency.h); who must
 * not be batched runs alone on a thread of its own.
 */
#ifndef SB_LANE_H
#define SB_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct lanes;

struct lanes *lanes_start(struct app *); /* NULL: no thread or memory */
/* False: the ordinary queue is full (the caller sheds it); an emergency request is never refused. */
bool lane_submit(struct lanes *, struct request *);
/* A stream of which more has arrived than one pass works on: to the end of the queue, never refused. */
void lane_again(struct lanes *, struct request *);
/* An ordinary request that has to wait for another one comes back to the queue after so long, held by
   no thread meanwhile. False: the lane is closing, or too many wait; else the request is another
   thread's from here on. */
bool lane_park(struct lanes *, struct request *, int64_t ns);
/* Finishes what is queued, then joins the threads. */
void lanes_stop(struct lanes *);

#endif
