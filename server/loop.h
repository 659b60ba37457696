/*
 * The HTTP daemon and its epoll loop: the only file that knows libmicrohttpd. One thread, the
 * caller's of loop_run; loop_complete from any.
 */
#ifndef SB_LOOP_H
#define SB_LOOP_H

#include "app.h"
#include "error.h"

struct request;
struct loop;

/* Listens; logs {"event":"listening","address"}. NULL: why was logged. */
struct loop *loop_new(struct app *);
/* Serves until SIGTERM or SIGINT: stops accepting, finishes what is in flight, returns. */
void loop_run(struct loop *);
void loop_free(struct loop *);
/* A lane is done with the request: its reply may be sent. */
void loop_complete(struct loop *, struct request *);

#endif
