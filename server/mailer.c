#include "mailer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "outbound.h"
#include "outbound_mail.h"

#define THREADS 4

struct job {
	struct job *next;
	struct mailer_result result;
	const char *message; /* behind `to` */
	char to[];
};

struct jobs {
	struct job *first, **end;
};

struct worker {
	struct mailer *mailer;
	struct outbound_line line;
	pthread_t thread;
};

struct mailer {
	const struct config *config;
	struct outbound *wakes;
	struct worker workers[THREADS];
	size_t n_workers;
	pthread_mutex_t mutex; /* of all below */
	pthread_cond_t work;
	struct jobs waiting, done;
	size_t busy; /* waiting or under way */
	bool stop;
};

static void push(struct jobs *jobs, struct job *job)
{
	job->next = NULL;
	*jobs->end = job;
	jobs->end = &job->next;
}

static struct job *pop(struct jobs *jobs)
{
	struct job *job = jobs->first;

	if (job && !(jobs->first = job->next))
		jobs->end = &jobs->first;
	return job;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct mailer *m = w->mailer;

	(void)pthread_mutex_lock(&m->mutex);
	while (!m->stop) {
		struct job *job = pop(&m->waiting);

		if (!job) {
			(void)pthread_cond_wait(&m->work, &m->mutex);
			continue;
		}
		(void)pthread_mutex_unlock(&m->mutex);
		job->result.status = outbound_mail(m->config, &w->line, job->to, job->message,
						   strlen(job->message), &job->result.error);
		(void)pthread_mutex_lock(&m->mutex);
		push(&m->done, job);
		m->busy--;
		outbound_wake(m->wakes);
	}
	(void)pthread_mutex_unlock(&m->mutex);
	return NULL;
}

bool mailer_send(struct mailer *m, const char *to, const char *message, void *tag)
{
	const size_t to_size = strlen(to) + 1, size = strlen(message) + 1;
	struct job *job = malloc(sizeof(*job) + to_size + size);

	if (!job)
		return false;
	*job = (struct job){ .result = { .tag = tag } };
	memcpy(job->to, to, to_size);
	memcpy(job->to + to_size, message, size);
	job->message = job->to + to_size;
	(void)pthread_mutex_lock(&m->mutex);
	push(&m->waiting, job);
	m->busy++;
	(void)pthread_cond_signal(&m->work);
	(void)pthread_mutex_unlock(&m->mutex);
	return true;
}

bool mailer_next(struct mailer *m, struct mailer_result *result)
{
	struct job *job;

	(void)pthread_mutex_lock(&m->mutex);
	job = pop(&m->done);
	(void)pthread_mutex_unlock(&m->mutex);
	if (!job)
		return false;
	*result = job->result;
	free(job);
	return true;
}

bool mailer_busy(struct mailer *m)
{
	bool busy;

	(void)pthread_mutex_lock(&m->mutex);
	busy = m->busy > 0;
	(void)pthread_mutex_unlock(&m->mutex);
	return busy;
}

/* --- life ------------------------------------------------------------------------------------------ */

struct mailer *mailer_start(const struct config *config, struct outbound *wakes)
{
	struct mailer *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->config = config;
	m->wakes = wakes;
	m->waiting.end = &m->waiting.first;
	m->done.end = &m->done.first;
	(void)pthread_mutex_init(&m->mutex, NULL);
	(void)pthread_cond_init(&m->work, NULL);
	while (m->n_workers < THREADS) {
		struct worker *w = &m->workers[m->n_workers];

		w->mailer = m;
		if (!outbound_line_init(&w->line))
			break;
		if (pthread_create(&w->thread, NULL, worker_main, w)) {
			outbound_line_destroy(&w->line);
			break;
		}
		m->n_workers++;
	}
	if (m->n_workers)
		return m;
	mailer_stop(m);
	return NULL;
}

void mailer_stop(struct mailer *m)
{
	struct job *job;

	if (!m)
		return;
	(void)pthread_mutex_lock(&m->mutex);
	m->stop = true;
	(void)pthread_cond_broadcast(&m->work);
	(void)pthread_mutex_unlock(&m->mutex);
	for (size_t i = 0; i < m->n_workers; i++)
		outbound_line_cut(&m->workers[i].line);
	for (size_t i = 0; i < m->n_workers; i++) {
		pthread_join(m->workers[i].thread, NULL);
		outbound_line_destroy(&m->workers[i].line);
	}
	while ((job = pop(&m->waiting)) || (job = pop(&m->done)))
		free(job);
	pthread_mutex_destroy(&m->mutex);
	pthread_cond_destroy(&m->work);
	free(m);
}
