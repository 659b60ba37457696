/*
 * See delivery.h. The thread goes round: record what attempts came to, take what may be attempted
 * now, let libcurl work until something finished or somebody committed. Nothing is lost when the
 * database goes: results wait in memory; what could not be recorded is sent again under the same
 * webhook-id.
 */
#include "delivery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "crypto.h"
#include "delivery_queue.h"
#include "log.h"
#include "mail.h"
#include "mailer.h"
#include "metrics.h"
#include "outbound.h"
#include "signature.h"
#include "trace.h"

#define TAKE_AT_ONCE 64
#define POLL_MIN_MS 100 /* finds what other processes left, and retries */
#define POLL_JITTER_MS 150
#define PAUSE_MS 100 /* after a failure of the database */
#define STOP_MS 2000
#define STOP_RECORD_MS 500

struct delivery {
	struct delivery_queue queue;
	struct outbound *outbound;
	struct mailer *mailer; /* NULL: there is no mail server */
	pthread_t thread;
	atomic_bool work; /* a commit of this process wrote events */
	atomic_bool stop;
	bool told_no_smtp; /* that emails are not sent */
	bool again;	   /* there is, or may be, more to take at once */
	int64_t poll_at, pause_until;
	uint32_t dice;
};

/* --- sending --------------------------------------------------------------------------------------- */

/* The signing secret of the endpoint; NULL: it was sealed under another key, or is damaged. */
static char *unseal(struct delivery *d, const struct message *m)
{
	struct arena *arena = d->queue.arena;
	const char *aad = arena_printf(arena, "%s/%s", m->attempt->tenant, m->attempt->endpoint);
	const size_t n = strlen(m->secret_sealed) / 2;
	uint8_t *sealed = arena_alloc(arena, n), *plain = NULL;
	size_t length;

	if (!aad || !sealed || !crypto_unhex(m->secret_sealed, sealed, n, &length) ||
	    crypto_unseal(arena, d->queue.app->config->secrets_key, aad, sealed, length, &plain,
			  &length))
		return NULL;
	return (char *)plain;
}

/* Why it cannot be signed, as static text; NULL: *signature is there. */
static const char *sign(struct delivery *d, const struct message *m, char **signature)
{
	char *secret = unseal(d, m);
	enum err err;

	if (!secret)
		return "the secret cannot be unsealed with SWITCHBACK_SECRETS_KEY";
	err = signature_make(d->queue.arena, secret, m->event_id, m->sent_epoch, m->payload,
			     strlen(m->payload), signature);
	crypto_wipe(secret, strlen(secret));
	return err ? "the message cannot be signed" : NULL;
}

/* Why it could not even be sent, as static text; NULL: it is under way. A recipient has no secret,
   and gets no signature. */
static const char *send_webhook(struct delivery *d, const struct message *m)
{
	struct arena *arena = d->queue.arena;
	const bool cloud = !strcmp(m->format, "cloudevents"), secret = m->secret_sealed != NULL;
	char *signature = NULL;
	const char *headers[7], *why = secret ? sign(d, m, &signature) : NULL;
	size_t n = 0;

	if (why)
		return why;
	headers[n++] = cloud ? "Content-Type: application/cloudevents+json"
			     : "Content-Type: application/json";
	headers[n++] = arena_printf(arena, "webhook-id: %s", m->event_id);
	headers[n++] = arena_printf(arena, "webhook-timestamp: %lld", (long long)m->sent_epoch);
	if (secret)
		headers[n++] = arena_printf(arena, "webhook-signature: %s", signature);
	if (m->request_id && trace_is_id(m->request_id, 128))
		headers[n++] = arena_printf(arena, "X-Request-Id: %s", m->request_id);
	if (m->traceparent && trace_is_parent(m->traceparent))
		headers[n++] = arena_printf(arena, "traceparent: %s", m->traceparent);
	headers[n] = NULL;
	for (size_t i = 0; i < n; i++)
		if (!headers[i])
			return "out of memory";
	if (!outbound_post(d->outbound, m->url, headers, m->payload, strlen(m->payload),
			   m->attempt))
		return "the URL is not one that webhooks may reach";
	return NULL;
}

static const char *send_mail(struct delivery *d, const struct message *m)
{
	const struct config *config = d->queue.app->config;
	const struct mail mail = { .from = config->smtp_from,
				   .to = m->url,
				   .id = m->attempt->id,
				   .date = m->sent_epoch,
				   .subject = m->subject,
				   .text = m->payload };
	const char *text;

	if (!d->mailer) {
		if (!d->told_no_smtp)
			log_event(LOG_LEVEL_WARN, "email_not_sent", "reason",
				  "SWITCHBACK_SMTP_URL is not set", NULL);
		d->told_no_smtp = m->attempt->permanent = true;
		return "SWITCHBACK_SMTP_URL is not set";
	}
	text = mail_make(d->queue.arena, &mail);
	if (!text)
		return "the email cannot be made";
	if (!mailer_send(d->mailer, m->url, text, m->attempt))
		return "out of memory";
	return NULL;
}

static void begin_attempt(struct delivery *d, const struct message *m)
{
	const enum attempt_kind kind = m->attempt->kind;
	const char *why = "the payload cannot be made";

	if (m->payload)
		why = kind == TO_MAILBOX ? send_mail(d, m) : send_webhook(d, m);
	metric_add(d->queue.app->metrics,
		   kind == TO_ENDPOINT ? METRIC_WEBHOOK_ATTEMPTS : METRIC_NOTIFICATION_ATTEMPTS, 1);
	if (why) {
		m->attempt->error = why;
		m->attempt->state = ATTEMPT_DONE;
	}
}

/* 55x is about the message (RFC 5321 4.2.1); other refusals are about the session: a password, a
   limit, a server that is not itself. */
static bool is_permanent(const struct attempt *a)
{
	if (a->kind == TO_MAILBOX)
		return a->status >= 550 && a->status <= 559;
	return a->kind == TO_RECIPIENT && a->status == 410;
}

static void finished(struct attempt *a, int status, const char *error)
{
	a->status = status;
	a->error = error;
	a->permanent = is_permanent(a);
	a->state = ATTEMPT_DONE;
}

static void collect(struct delivery *d)
{
	struct outbound_result r;
	struct mailer_result mailed;

	while (outbound_next(d->outbound, &r)) {
		struct attempt *a = r.tag;

		a->retry_after = r.retry_after;
		finished(a, r.status, r.error);
	}
	while (d->mailer && mailer_next(d->mailer, &mailed))
		finished(mailed.tag, mailed.status, mailed.error);
}

/* --- the thread ------------------------------------------------------------------------------------ */

static bool any_done(const struct delivery *d)
{
	for (size_t i = 0; i < FLYING_MAX; i++)
		if (d->queue.attempts[i].state == ATTEMPT_DONE)
			return true;
	return false;
}

static enum err record(struct delivery *d)
{
	size_t recorded = 0;
	enum err err = ERR_OK;

	if (any_done(d))
		err = queue_record(&d->queue, &recorded);
	if (recorded)
		d->again = true; /* what came after it in its stream may go now */
	return err;
}

static enum err take(struct delivery *d, bool orphans)
{
	struct message messages[TAKE_AT_ONCE];
	size_t n;
	enum err err;

	atomic_store(&d->work, false);
	d->again = false;
	err = queue_take(&d->queue, orphans, messages, TAKE_AT_ONCE, &n, &d->again);
	for (size_t i = 0; i < n; i++)
		begin_attempt(d, &messages[i]);
	return err;
}

static void work(struct delivery *d)
{
	const int64_t now = clock_ms();
	const bool poll = now >= d->poll_at;
	enum err err;

	if (now < d->pause_until)
		return;
	if (poll) {
		d->dice = d->dice * 1664525u + 1013904223u;
		d->poll_at = now + POLL_MIN_MS + (d->dice >> 16) % POLL_JITTER_MS;
	}
	err = queue_lock(&d->queue);
	/* An old session of ours that the server has not missed yet: our claims stand meanwhile. */
	if (err == ERR_LOCKED && d->queue.was_locked)
		err = ERR_OK;
	if (!err)
		err = record(d);
	if (!err && (poll || d->again || atomic_load(&d->work)))
		err = take(d, poll);
	if (err) {
		d->again = true;
		d->pause_until = clock_ms() + PAUSE_MS;
	}
	arena_reset(d->queue.arena);
}

static int wait_ms(const struct delivery *d)
{
	const int64_t now = clock_ms();

	if (now < d->pause_until)
		return (int)(d->pause_until - now);
	if (d->again || atomic_load(&d->work) || any_done(d) || now >= d->poll_at)
		return 0;
	return (int)(d->poll_at - now);
}

/* What is under way ends, or is left to others: their claims on it begin when our lock is free. */
static void finish(struct delivery *d)
{
	const int64_t until = clock_ms() + STOP_MS;
	int64_t record_until;

	while ((outbound_in_flight(d->outbound) || (d->mailer && mailer_busy(d->mailer))) &&
	       clock_ms() < until) {
		outbound_run(d->outbound, (int)(until - clock_ms()));
		collect(d);
		(void)record(d);
		arena_reset(d->queue.arena);
	}
	record_until = clock_ms() + STOP_RECORD_MS;
	while (any_done(d) && clock_ms() < record_until) {
		if (queue_lock(&d->queue) || record(d))
			outbound_run(d->outbound, PAUSE_MS);
		arena_reset(d->queue.arena);
	}
}

static void *delivery_main(void *arg)
{
	struct delivery *d = arg;

	while (!atomic_load(&d->stop)) {
		work(d);
		outbound_run(d->outbound, wait_ms(d));
		collect(d);
	}
	finish(d);
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------------ */

static void delivery_free(struct delivery *d)
{
	mailer_stop(d->mailer); /* it wakes the outbound */
	outbound_free(d->outbound);
	queue_close(&d->queue);
	free(d);
}

struct delivery *delivery_start(struct app *app)
{
	struct delivery *d = calloc(1, sizeof(*d));
	enum err err = ERR_UNAVAILABLE;

	if (!d)
		return NULL;
	d->dice = (uint32_t)app->instance;
	d->outbound = outbound_new(app->config);
	if (d->outbound && app->config->smtp_url)
		d->mailer = mailer_start(app->config, d->outbound);
	if (queue_open(&d->queue, app) && d->outbound && (d->mailer || !app->config->smtp_url))
		err = queue_lock(&d->queue);
	if (!err && !pthread_create(&d->thread, NULL, delivery_main, d))
		return d;
	log_event(LOG_LEVEL_WARN, "delivery_not_started", "instance#", d->queue.instance, "reason",
		  err == ERR_LOCKED ? "another process has this number" : err_info(err)->title,
		  NULL);
	delivery_free(d);
	return NULL;
}

void delivery_wake(struct delivery *d)
{
	atomic_store(&d->work, true);
	outbound_wake(d->outbound);
}

void delivery_stop(struct delivery *d)
{
	if (!d)
		return;
	atomic_store(&d->stop, true);
	outbound_wake(d->outbound);
	pthread_join(d->thread, NULL);
	delivery_free(d);
}
