/*
 * Queues and worker threads. Ordinary lane: each thread runs one request in one transaction
 * (dispatch.h). Emergency lane: a thread takes all that is queued as one batch (emergency.h); who must
 * not be batched runs alone on a thread of its own.
 */
#ifndef SB_LANE_H
#define SB_LANE_H

#include <stdbool.h>

#include "request.h"

struct lanes;

struct lanes *lanes_start(struct app *); /* NULL: no thread or memory */
/* False: the ordinary queue is full (the caller sheds it); an emergency request is never refused. */
bool lane_submit(struct lanes *, struct request *);
/* Finishes what is queued, then joins the threads. */
void lanes_stop(struct lanes *);

#endif
