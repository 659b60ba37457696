/*
 * The two lanes. The ordinary one is a plain queue before N threads. The emergency one is built for
 * throughput without delay: a thread takes everything that is queued at that moment as one batch, so
 * that batches grow only while PostgreSQL is busy. See emergency.c for what happens to a batch.
 */
#include "lane.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "config.h"
#include "dispatch.h"
#include "emergency.h"
#include "metrics.h"

#define ORDINARY_THREADS 4
#define STREAM_THREADS 2   /* of them, that work on streams at one time */
#define ORDINARY_QUEUE 512 /* waiting requests of a kind; past it they are shed with 503 */
#define BATCH_THREADS 2

/* Each has a limit of its own, so that many of one do not shed the others. */
enum kind {
	PLAIN,
	STREAM,
	PARKED, /* and what was, until a thread takes it */
	KINDS
};

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct request *first, **last;
	struct request *parked;	      /* in no order; each until its not_before_ns */
	size_t waiting[KINDS], limit; /* of each kind; 0: none */
	unsigned streaming;	      /* threads that work on streams */
	bool closed;		      /* no more will come: threads leave when it is empty */
};

struct worker {
	struct lanes *lanes;
	struct db *db;
	pthread_t thread;
	bool running;
};

struct lanes {
	struct app *app;
	struct queue ordinary, emergency, alone;
	struct worker ordinary_workers[ORDINARY_THREADS];
	struct worker batch_workers[BATCH_THREADS];
	struct worker alone_worker;
};

static void queue_init(struct queue *q, size_t limit)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&q->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->more, &attr);
	pthread_condattr_destroy(&attr);
	q->last = &q->first;
	q->limit = limit;
}

/* Under the mutex. */
static void append(struct queue *q, struct request *req)
{
	req->next = NULL;
	*q->last = req;
	q->last = &req->next;
}

static enum kind kind_of(const struct request *req)
{
	if (req->not_before_ns)
		return PARKED;
	return req->stream ? STREAM : PLAIN;
}

static bool queue_put(struct queue *q, struct request *req, bool anyway)
{
	const enum kind kind = kind_of(req);
	bool fits;

	pthread_mutex_lock(&q->mutex);
	fits = anyway || !q->limit || q->waiting[kind] < q->limit;
	if (fits) {
		append(q, req);
		q->waiting[kind]++;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->mutex);
	return fits;
}

static bool queue_park(struct queue *q, struct request *req, int64_t ns)
{
	bool fits;

	pthread_mutex_lock(&q->mutex);
	fits = !q->closed && (!q->limit || q->waiting[PARKED] < q->limit);
	if (fits) {
		req->not_before_ns = clock_ns() + ns;
		req->next = q->parked;
		q->parked = req;
		q->waiting[PARKED]++;
		pthread_cond_signal(&q->more); /* somebody must know when to look */
	}
	pthread_mutex_unlock(&q->mutex);
	return fits;
}

/* Under the mutex: queues the parked ones whose time has come (all, once it is closed); the moment
   at which the next one is due, 0: none is left. */
static int64_t unpark(struct queue *q)
{
	const int64_t now = clock_ns();
	int64_t next = 0;

	for (struct request **at = &q->parked; *at;) {
		struct request *req = *at;

		if (!q->closed && req->not_before_ns > now) {
			if (!next || req->not_before_ns < next)
				next = req->not_before_ns;
			at = &req->next;
			continue;
		}
		*at = req->next;
		append(q, req);
	}
	return next;
}

/* Under the mutex: the first that may be taken now; NULL: none. */
static struct request **takeable(struct queue *q)
{
	for (struct request **at = &q->first; *at; at = &(*at)->next)
		if (!(*at)->stream || q->streaming < STREAM_THREADS)
			return at;
	return NULL;
}

static struct request *take_out(struct queue *q, struct request **at)
{
	struct request *req = *at;

	*at = req->next;
	if (!*at)
		q->last = at;
	req->next = NULL;
	q->waiting[kind_of(req)]--;
	req->not_before_ns = 0;
	q->streaming += req->stream != NULL;
	return req;
}

/* Under the mutex: until something may be taken, or nothing will be: then a thread that works on a
   stream takes the others. */
static void wait_for_one(struct queue *q)
{
	for (;;) {
		const int64_t due = unpark(q);
		const struct timespec until = { .tv_sec = due / 1000000000,
						.tv_nsec = due % 1000000000 };

		if (takeable(q) || q->closed)
			return;
		if (due)
			pthread_cond_timedwait(&q->more, &q->mutex, &until);
		else
			pthread_cond_wait(&q->more, &q->mutex);
	}
}

/* Takes up to max requests; 0: closed and empty. */
static size_t queue_take(struct queue *q, struct request **out, size_t max)
{
	struct request **at;
	size_t n = 0;

	pthread_mutex_lock(&q->mutex);
	wait_for_one(q);
	while (n < max && (at = takeable(q)))
		out[n++] = take_out(q, at);
	if (q->parked)
		pthread_cond_signal(
			&q->more); /* this thread was perhaps the one that looked at the time */
	pthread_mutex_unlock(&q->mutex);
	return n;
}

/* A thread has worked on a stream: another one may be waiting for that. */
static void queue_streamed(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->streaming--;
	if (q->first)
		pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->mutex);
}

static void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->closed = true;
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->mutex);
}

static void *ordinary_main(void *arg)
{
	struct worker *w = arg;
	struct request *req;

	while (queue_take(&w->lanes->ordinary, &req, 1)) {
		const bool stream = req->stream;

		if (dispatch_ordinary(req, w->db))
			dispatch_done(req);
		if (stream)
			queue_streamed(&w->lanes->ordinary);
	}
	return NULL;
}

static void run_alone(void *arg, struct request *req)
{
	struct lanes *lanes = arg;

	queue_put(&lanes->alone, req, true);
}

static void *batch_main(void *arg)
{
	struct worker *w = arg;
	struct request *batch[BATCH_MAX];
	size_t n;

	while ((n = queue_take(&w->lanes->emergency, batch, BATCH_MAX)))
		emergency_batch(w->lanes->app, w->db, batch, n, run_alone, w->lanes);
	return NULL;
}

static void *alone_main(void *arg)
{
	struct worker *w = arg;
	struct request *req;

	while (queue_take(&w->lanes->alone, &req, 1)) {
		emergency_alone(w->lanes->app, w->db, req);
		dispatch_done(req);
	}
	return NULL;
}

static bool start(struct lanes *lanes, struct worker *w, const char *name, void *(*main)(void *))
{
	w->lanes = lanes;
	w->db = db_new(lanes->app->config->database_url, lanes->app->health, name);
	w->running = w->db && !pthread_create(&w->thread, NULL, main, w);
	return w->running;
}

static void join(struct worker *w)
{
	if (w->running)
		pthread_join(w->thread, NULL);
	db_free(w->db);
}

struct lanes *lanes_start(struct app *app)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	bool ok = true;

	if (!lanes)
		return NULL;
	lanes->app = app;
	queue_init(&lanes->ordinary, ORDINARY_QUEUE);
	queue_init(&lanes->emergency, 0);
	queue_init(&lanes->alone, 0);
	for (size_t i = 0; i < ORDINARY_THREADS; i++)
		ok = ok && start(lanes, &lanes->ordinary_workers[i], "ordinary", ordinary_main);
	for (size_t i = 0; i < BATCH_THREADS; i++)
		ok = ok && start(lanes, &lanes->batch_workers[i], "emergency", batch_main);
	ok = ok && start(lanes, &lanes->alone_worker, "alone", alone_main);
	if (ok)
		return lanes;
	lanes_stop(lanes);
	return NULL;
}

bool lane_submit(struct lanes *lanes, struct request *req)
{
	if (req->route->lane == LANE_EMERGENCY) {
		metric_add(lanes->app->metrics, METRIC_EMERGENCY_REQUESTS, 1);
		return queue_put(&lanes->emergency, req, true);
	}
	return queue_put(&lanes->ordinary, req, false);
}

void lane_again(struct lanes *lanes, struct request *req)
{
	queue_put(&lanes->ordinary, req, true);
}

bool lane_park(struct lanes *lanes, struct request *req, int64_t ns)
{
	return queue_park(&lanes->ordinary, req, ns);
}

static void queue_destroy(struct queue *q)
{
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->mutex);
}

void lanes_stop(struct lanes *lanes)
{
	if (!lanes)
		return;
	queue_close(&lanes->ordinary);
	queue_close(&lanes->emergency);
	for (size_t i = 0; i < ORDINARY_THREADS; i++)
		join(&lanes->ordinary_workers[i]);
	for (size_t i = 0; i < BATCH_THREADS; i++)
		join(&lanes->batch_workers[i]);
	/* Batches may still have sent somebody there. */
	queue_close(&lanes->alone);
	join(&lanes->alone_worker);
	queue_destroy(&lanes->ordinary);
	queue_destroy(&lanes->emergency);
	queue_destroy(&lanes->alone);
	free(lanes);
}
