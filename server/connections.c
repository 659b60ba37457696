/*
 * See connections.h. Open addressing over the pointer; a cut is shutdown(2), after which
 * libmicrohttpd sees the end of the stream and closes.
 */
#include "connections.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"

#define REQUEST_NS (10 * 1000000000LL)
/* A claim of an Idempotency-Key falls after 15 minutes (idempotency.c): its request is over by then. */
#define RECEIVING_NS (14 * 60 * 1000000000LL)
#define IDLE_NS (60 * 1000000000LL)
#define CHECK_NS 1000000000LL

enum state { FREE, IDLE, READING, RECEIVING, WORKING };

struct entry {
	const void *id;
	int fd;
	enum state state;
	bool cut;
	int64_t since_ns;   /* in this state, or when the last part arrived */
	int64_t begun_ns;   /* the request */
	struct entry *next; /* in its bucket */
};

struct connections {
	struct entry **buckets;
	size_t n_buckets, n, limit;
	int64_t checked_ns;
};

struct connections *connections_new(size_t limit)
{
	struct connections *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->limit = limit;
	c->n_buckets = 1024;
	c->buckets = calloc(c->n_buckets, sizeof(struct entry *));
	if (!c->buckets) {
		free(c);
		return NULL;
	}
	return c;
}

void connections_free(struct connections *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_buckets; i++) {
		while (c->buckets[i]) {
			struct entry *e = c->buckets[i];

			c->buckets[i] = e->next;
			free(e);
		}
	}
	free(c->buckets);
	free(c);
}

static struct entry **find(struct connections *c, const void *id)
{
	struct entry **at = &c->buckets[((uintptr_t)id >> 6) * 2654435761u % c->n_buckets];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

void connection_open(struct connections *c, const void *id, int fd)
{
	struct entry **at = find(c, id);

	if (*at)
		return;
	*at = calloc(1, sizeof(struct entry));
	if (!*at)
		return; /* it is served, only not watched */
	**at = (struct entry){ .id = id, .fd = fd, .state = IDLE, .since_ns = clock_ns() };
	c->n++;
}

void connection_closed(struct connections *c, const void *id)
{
	struct entry **at = find(c, id);
	struct entry *e = *at;

	if (!e)
		return;
	*at = e->next;
	free(e);
	c->n--;
}

static void enter(struct connections *c, const void *id, enum state state)
{
	struct entry *e = *find(c, id);

	if (!e)
		return;
	if (e->state != state)
		e->since_ns = clock_ns();
	e->state = state;
}

void connection_busy(struct connections *c, const void *id)
{
	struct entry *e = *find(c, id);

	enter(c, id, READING);
	if (e)
		e->begun_ns = e->since_ns;
}

void connection_receiving(struct connections *c, const void *id, int64_t now)
{
	struct entry *e = *find(c, id);

	if (!e)
		return;
	e->state = RECEIVING;
	e->since_ns = now;
}

void connection_working(struct connections *c, const void *id)
{
	enter(c, id, WORKING);
}

void connection_idle(struct connections *c, const void *id)
{
	enter(c, id, IDLE);
}

static void cut(struct entry *e)
{
	if (!e->cut)
		shutdown(e->fd, SHUT_RDWR);
	e->cut = true;
}

static bool is_overdue(const struct entry *e, int64_t now)
{
	const int64_t age = now - e->since_ns;

	switch (e->state) {
	case READING: return age > REQUEST_NS;
	case RECEIVING: return age > REQUEST_NS || now - e->begun_ns > RECEIVING_NS;
	case IDLE: return age > IDLE_NS;
	case FREE:
	case WORKING: break;
	}
	return false;
}

void connections_check(struct connections *c, int64_t now)
{
	struct entry *oldest = NULL;
	size_t leaving = 0; /* cut, but not closed yet */

	if (now - c->checked_ns < CHECK_NS && c->n * 10 <= c->limit * 9)
		return;
	c->checked_ns = now;
	for (size_t i = 0; i < c->n_buckets; i++) {
		for (struct entry *e = c->buckets[i]; e; e = e->next) {
			if (is_overdue(e, now))
				cut(e);
			leaving += e->cut;
			if (e->state == IDLE && !e->cut &&
			    (!oldest || e->since_ns < oldest->since_ns))
				oldest = e;
		}
	}
	if (oldest && (c->n - leaving) * 10 > c->limit * 9)
		cut(oldest);
}
