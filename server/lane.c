/*
 * The two lanes. The ordinary one is a plain queue before N threads. The emergency one is built for
 * throughput without delay: a thread takes everything that is queued at that moment as one batch, so
 * that batches grow only while PostgreSQL is busy. See emergency.c for what happens to a batch.
 */
#include "lane.h"

#include <pthread.h>
#include <stdlib.h>

#include "config.h"
#include "dispatch.h"
#include "emergency.h"
#include "metrics.h"

#define ORDINARY_THREADS 4
#define ORDINARY_QUEUE 512 /* waiting requests; past it they are shed with 503 */
#define BATCH_THREADS 2

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct request *first, **last;
	size_t length, limit; /* limit 0: none */
	bool closed;	      /* no more will come: threads leave when it is empty */
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
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->more, NULL);
	q->last = &q->first;
	q->limit = limit;
}

static bool queue_put(struct queue *q, struct request *req)
{
	bool fits;

	pthread_mutex_lock(&q->mutex);
	fits = !q->limit || q->length < q->limit;
	if (fits) {
		req->next = NULL;
		*q->last = req;
		q->last = &req->next;
		q->length++;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->mutex);
	return fits;
}

/* Takes up to max requests; 0: closed and empty. */
static size_t queue_take(struct queue *q, struct request **out, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&q->mutex);
	while (!q->first && !q->closed)
		pthread_cond_wait(&q->more, &q->mutex);
	while (q->first && n < max) {
		out[n] = q->first;
		q->first = q->first->next;
		out[n++]->next = NULL;
	}
	if (!q->first)
		q->last = &q->first;
	q->length -= n;
	pthread_mutex_unlock(&q->mutex);
	return n;
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
		dispatch_ordinary(req, w->db);
		dispatch_done(req);
	}
	return NULL;
}

static void run_alone(void *arg, struct request *req)
{
	struct lanes *lanes = arg;

	queue_put(&lanes->alone, req);
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
		return queue_put(&lanes->emergency, req);
	}
	return queue_put(&lanes->ordinary, req);
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
