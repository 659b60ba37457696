/*
 * Webhook delivery: one thread with its own connection. Claims what is due, one attempt at a time
 * per endpoint, person and stream, signs and sends it (outbound.h), records the outcome.
 */
#ifndef SB_DELIVERY_H
#define SB_DELIVERY_H

#include "app.h"

struct delivery;

struct delivery *delivery_start(struct app *); /* NULL: no thread, memory or curl */
/* A commit of this process wrote events: look now. Any thread, never blocks. */
void delivery_wake(struct delivery *);
/* Finishes the attempts in flight (at most 2 s), records them, gives the claims back. */
void delivery_stop(struct delivery *);

#endif
