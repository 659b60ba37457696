/*
 * Whatever is due: leases that are over, calls nobody ended, callbacks nobody connected. One thread
 * with its own connection, every second; any number of processes may sweep, each thing is done once.
 */
#ifndef SB_SWEEP_H
#define SB_SWEEP_H

#include "app.h"

struct sweep;

struct sweep *sweep_start(struct app *); /* NULL: no thread or memory */
void sweep_stop(struct sweep *);

#endif
