#include "metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
	_Atomic int64_t values[METRIC_COUNT];
};

static const struct {
	const char *name, *type, *help;
} table[METRIC_COUNT] = {
	[METRIC_REQUESTS] = { "switchback_requests_total", "counter", "Replies sent." },
	[METRIC_REPLIES_5XX] = { "switchback_replies_5xx_total", "counter",
				 "Replies with a status of 500 or more." },
	[METRIC_CONNECTIONS] = { "switchback_connections", "gauge", "Open connections." },
	[METRIC_EMERGENCY_REQUESTS] = { "switchback_emergency_requests_total", "counter",
					"Requests of the emergency lane." },
	[METRIC_BATCHES] = { "switchback_batches_total", "counter",
			     "Batches that the emergency lane committed." },
	[METRIC_BATCH_ELEMENTS] = { "switchback_batch_elements_total", "counter",
				    "Requests in those batches; divided by the batches: their mean size." },
	[METRIC_ALONE] = { "switchback_alone_total", "counter",
			   "Emergency requests that were run alone, to wait for a lock." },
	[METRIC_STALE] = { "switchback_stale_total", "counter",
			   "Decisions made again because the configuration had moved." },
	[METRIC_CONTEXT_HITS] = { "switchback_context_hits_total", "counter",
				  "Call contexts found in the cache." },
	[METRIC_CONTEXT_MISSES] = { "switchback_context_misses_total", "counter",
				    "Call contexts that had to be loaded." },
	[METRIC_ORDINARY_SHED] = { "switchback_ordinary_shed_total", "counter",
				   "Ordinary requests refused because their queue was full." },
	[METRIC_WEBHOOK_ATTEMPTS] = { "switchback_webhook_attempts_total", "counter",
				      "Webhook deliveries attempted." },
	[METRIC_WEBHOOK_FAILURES] = { "switchback_webhook_failures_total", "counter",
				      "Webhook deliveries that were not accepted." },
	[METRIC_NOTIFICATION_ATTEMPTS] = { "switchback_notification_attempts_total", "counter",
					   "Notifications of calls attempted." },
	[METRIC_NOTIFICATION_FAILURES] = { "switchback_notification_failures_total", "counter",
					   "Notifications of calls that were not accepted." },
	[METRIC_SWEPT] = { "switchback_swept_total", "counter",
			   "Rows that were expired, timed out or forgotten." },
};

/* Lines of /proc/self/status, in kB. */
static const struct {
	const char *line, *name, *help;
} memory[] = {
	{ "VmRSS:", "switchback_resident_memory_bytes", "Resident memory of the process." },
	{ "VmHWM:", "switchback_resident_memory_peak_bytes",
	  "The most resident memory that the process had." },
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

void metric_add(struct metrics *metrics, enum metric metric, int64_t n)
{
	atomic_fetch_add_explicit(&metrics->values[metric], n, memory_order_relaxed);
}

static size_t put(char *at, size_t room, const char *name, const char *type, const char *help,
		  int64_t value)
{
	int n = snprintf(at, room, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name,
			 type, name, value);

	return n < 0 || (size_t)n >= room ? 0 : (size_t)n;
}

static size_t put_memory(char *at, size_t room)
{
	FILE *status = fopen("/proc/self/status", "re");
	size_t used = 0;
	char line[256];

	if (status == NULL)
		return 0;
	while (fgets(line, sizeof(line), status) != NULL)
		for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
			size_t head = strlen(memory[i].line);

			if (strncmp(line, memory[i].line, head) == 0)
				used += put(at + used, room - used, memory[i].name, "gauge",
					    memory[i].help, strtoll(line + head, NULL, 10) * 1024);
		}
	(void)fclose(status);
	return used;
}

char *metrics_text(struct metrics *metrics, struct arena *arena)
{
	const size_t room = (METRIC_COUNT + sizeof(memory) / sizeof(memory[0])) * 384;
	char *text = arena_alloc(arena, room);
	size_t used = 0;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < METRIC_COUNT; i++)
		used += put(text + used, room - used, table[i].name, table[i].type, table[i].help,
			    atomic_load_explicit(&metrics->values[i], memory_order_relaxed));
	(void)put_memory(text + used, room - used);
	return text;
}
