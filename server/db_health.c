/*
 * Is PostgreSQL there? A statement may rightly take long (a lock, a big batch), so slowness of one
 * connection says nothing. After 60 ms of silence this thread is asked to say SELECT 1 on a
 * connection of its own: any answer, to anybody, is progress. None for 200 ms: the server is taken
 * for gone and every request fails at once, until SELECT 1 is answered again.
 */
#include "db_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"

#define RETRY_MS 50

struct db_health {
	char *url;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool asked, stop; /* under the mutex */
	atomic_bool up;
	_Atomic int64_t progress_ms; /* when an answer last came, on any connection */
};

bool db_health_up(const struct db_health *h)
{
	return atomic_load(&h->up);
}

void db_health_progress(struct db_health *h)
{
	if (h)
		atomic_store(&h->progress_ms, clock_ms());
}

int64_t db_health_last(const struct db_health *h)
{
	return atomic_load(&h->progress_ms);
}

static void ask(struct db_health *h, bool down)
{
	pthread_mutex_lock(&h->mutex);
	if (down && atomic_exchange(&h->up, false))
		log_event(LOG_LEVEL_ERROR, "database_down", NULL);
	h->asked = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->mutex);
}

void db_health_ask(struct db_health *h)
{
	ask(h, false);
}

void db_health_down(struct db_health *h)
{
	ask(h, true);
}

/* One SELECT 1, on the connection of this thread or a new one. */
static bool ping_once(struct db_health *h, PGconn **conn)
{
	const int64_t since = clock_ms();
	PGresult *res;
	bool ok = true;

	if (!*conn)
		*conn = db_open(h->url, "health", h);
	if (!*conn)
		return false;
	if (!PQsendQuery(*conn, "SELECT 1") || PQflush(*conn) < 0)
		ok = false;
	while (ok && PQisBusy(*conn)) {
		struct db_health *no_ask = NULL;

		/* Its own limit, not extended by progress elsewhere: it must not hang. */
		if (clock_ms() - since > DB_STALL_MS || db_poll(*conn, 1, since, no_ask) ||
		    !PQconsumeInput(*conn))
			ok = false;
	}
	while (ok && (res = PQgetResult(*conn))) {
		ok = PQresultStatus(res) == PGRES_TUPLES_OK;
		PQclear(res);
	}
	if (!ok) {
		PQfinish(*conn);
		*conn = NULL;
	}
	return ok;
}

/* A connection of ours that broke while idle says nothing of the server: a new one is asked. */
static bool ping(struct db_health *h, PGconn **conn)
{
	const bool was_open = *conn != NULL;

	return ping_once(h, conn) || (was_open && ping_once(h, conn));
}

static bool wait_asked(struct db_health *h)
{
	struct timespec until;
	bool go;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RETRY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&h->mutex);
	if (atomic_load(&h->up)) {
		while (!h->asked && !h->stop)
			pthread_cond_wait(&h->wake, &h->mutex);
	} else {
		while (!h->stop && pthread_cond_timedwait(&h->wake, &h->mutex, &until) != ETIMEDOUT)
			;
	}
	h->asked = false;
	go = !h->stop;
	pthread_mutex_unlock(&h->mutex);
	return go;
}

static void *health_main(void *arg)
{
	struct db_health *h = arg;
	PGconn *conn = NULL;

	while (wait_asked(h)) {
		if (ping(h, &conn)) {
			db_health_progress(h);
			if (!atomic_exchange(&h->up, true))
				log_event(LOG_LEVEL_INFO, "database_up", NULL);
		} else if (atomic_exchange(&h->up, false)) {
			log_event(LOG_LEVEL_ERROR, "database_down", NULL);
		}
	}
	PQfinish(conn);
	return NULL;
}

struct db_health *db_health_start(const char *url)
{
	struct db_health *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		return NULL;
	h->url = strdup(url);
	atomic_store(&h->up, true);
	atomic_store(&h->progress_ms, clock_ms());
	pthread_mutex_init(&h->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (!h->url || pthread_create(&h->thread, NULL, health_main, h)) {
		free(h->url);
		free(h);
		return NULL;
	}
	return h;
}

void db_health_stop(struct db_health *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->mutex);
	h->stop = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->mutex);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->mutex);
	free(h->url);
	free(h);
}
