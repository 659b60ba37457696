/*
 * Counters and sums, exposed at /metrics (Prometheus text format). Atomics; any thread.
 */
#ifndef SB_METRICS_H
#define SB_METRICS_H

#include <stdint.h>

#include "arena.h"

enum metric {
	METRIC_REQUESTS, /* replies sent */
	METRIC_REPLIES_5XX,
	METRIC_CONNECTIONS, /* gauge */
	METRIC_EMERGENCY_REQUESTS,
	METRIC_BATCHES,	       /* committed batches of the emergency lane */
	METRIC_BATCH_ELEMENTS, /* their elements: elements / batches = mean batch size */
	METRIC_ALONE,	       /* elements run alone */
	METRIC_STALE,	       /* decisions made again because the configuration moved */
	METRIC_CONTEXT_HITS,
	METRIC_CONTEXT_MISSES,
	METRIC_ORDINARY_SHED, /* refused because the queue was full */
	METRIC_WEBHOOK_ATTEMPTS,
	METRIC_WEBHOOK_FAILURES,
	METRIC_NOTIFICATION_ATTEMPTS,
	METRIC_NOTIFICATION_FAILURES,
	METRIC_SWEPT,
	METRIC_COUNT
};

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *);
void metric_add(struct metrics *, enum metric, int64_t n);
char *metrics_text(struct metrics *, struct arena *); /* NULL: out of memory */

#endif
