/*
 * The HTTP daemon. libmicrohttpd runs on our epoll loop (MHD_run on its epoll descriptor); an
 * eventfd wakes it when a lane is done, a signalfd when the process shall stop. A connection is
 * suspended before its request is given to a lane, and resumed here alone.
 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <microhttpd.h>

#include "clock.h"
#include "config.h"
#include "connections.h"
#include "dispatch.h"
#include "ids.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "trace.h"

#define DEFAULT_BODY ((size_t)64 * 1024)
#define DRAIN_MAX \
	((size_t)32 * 1024 * 1024) /* of a body that is too large; past it the connection is cut */
#define SILENT_SECONDS 60u	   /* of a client that neither sends nor takes its reply */
#define STOP_MS 10000		   /* for what is being worked on when the process shall stop */
#define READ_MS 1000		   /* and for requests that are not complete */
#define MS 1000000LL

struct loop {
	struct app *app;
	struct MHD_Daemon *daemon;
	struct connections *connections;
	int listener, epoll, wake, signals;
	pthread_mutex_t mutex;
	struct request *done, **done_last; /* under the mutex */
	size_t working;			   /* of them, those that are complete */
	size_t in_flight; /* requests between their first byte and their last of the reply */
	bool stopping;
};

/* --- a request comes in ------------------------------------------------------------------------- */

/* Called when the request line has been read; what it returns is the request's con_cls. */
static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *conn)
{
	struct loop *loop = cls;
	struct arena *arena = arena_new();
	struct request *req = arena ? arena_alloc(arena, sizeof(*req)) : NULL;
	char *target = req ? arena_strdup(arena, uri) : NULL;
	char *query;

	if (!target) {
		arena_free(arena);
		return NULL;
	}
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	req->app = loop->app;
	req->arena = arena;
	req->target = target;
	req->query = query;
	req->connection = conn;
	req->received_ns = clock_ns();
	loop->in_flight++;
	connection_busy(loop->connections, conn);
	return req;
}

struct headers {
	struct request *req;
	unsigned hosts, lengths, authorizations, codings;
	bool bad_coding;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	struct headers *h = cls;
	struct request *req = h->req;
	const struct {
		const char *name;
		const char **to;
		unsigned *count;
	} known[] = {
		{ "Authorization", &req->authorization, &h->authorizations },
		{ "Content-Type", &req->content_type, NULL },
		{ "Idempotency-Key", &req->idempotency_key, NULL },
		{ "If-Match", &req->if_match, NULL },
		{ "If-None-Match", &req->if_none_match, NULL },
		{ "Host", NULL, &h->hosts },
		{ "Content-Length", NULL, &h->lengths },
		{ "Transfer-Encoding", NULL, &h->codings },
	};

	(void)kind;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcasecmp(name, known[i].name))
			continue;
		if (known[i].to)
			*known[i].to = arena_strdup(req->arena, value ? value : "");
		if (known[i].count)
			++*known[i].count;
	}
	if (!strcasecmp(name, "Transfer-Encoding") && (!value || strcasecmp(value, "chunked")))
		h->bad_coding = true;
	return MHD_YES;
}

static void take_trace(struct request *req, struct MHD_Connection *conn)
{
	const char *id = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "X-Request-Id");
	const char *parent = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "traceparent");

	if (id && trace_is_id(id, sizeof(req->request_id) - 1))
		snprintf(req->request_id, sizeof(req->request_id), "%s", id);
	else
		id_v7(req->request_id);
	if (parent && trace_is_parent(parent))
		snprintf(req->traceparent, sizeof(req->traceparent), "%s", parent);
	else
		trace_new_parent(req->traceparent);
}

/* "abc" or abc; anything else is as if it were not there: a call is not refused for its header. */
static const char *bare_key(struct request *req, const char *value)
{
	size_t n = value ? strlen(value) : 0;

	if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
		value++;
		n -= 2;
	}
	return n >= 1 && n <= 255 ? arena_strndup(req->arena, value, n) : NULL;
}

static void early(struct request *req, enum err e, const char *detail)
{
	if (req->early)
		return;
	req->early = e;
	req->early_detail = detail;
}

/* The head of a request is complete: find its route, see what is wrong with it. */
static void begin(struct request *req, struct MHD_Connection *conn, const char *method)
{
	struct headers h = { .req = req };
	const enum err found = router_find(req->app->resources, req->arena, method, req->target,
					   &req->route, &req->match);

	req->method = arena_strdup(req->arena, method);
	MHD_get_connection_values(conn, MHD_HEADER_KIND, on_header, &h);
	take_trace(req, conn);
	req->idempotency_key = bare_key(req, req->idempotency_key);
	if (h.lengths > 1 || h.hosts > 1 || h.authorizations > 1)
		early(req, ERR_BAD_REQUEST,
		      "Content-Length, Host and Authorization may be given once only.");
	if (h.codings > 1 || h.bad_coding || (h.codings && h.lengths))
		early(req, ERR_BAD_REQUEST,
		      "Transfer-Encoding must be chunked, without Content-Length.");
	if (!req->method)
		early(req, ERR_UNAVAILABLE, NULL);
	if (found)
		early(req, found, NULL);
	else if (!router_ids_fit(&req->match))
		early(req, ERR_NOT_FOUND, NULL);
}

/* More of the body. False: out of memory, or the connection is to be cut. */
static bool grow(struct request *req, const char *data, size_t n)
{
	const size_t limit =
		req->route && req->route->max_body ? req->route->max_body : DEFAULT_BODY;
	char *more;

	if (req->body_too_large || req->early) {
		req->body_length += n; /* drained, not kept */
		return req->body_length <= DRAIN_MAX;
	}
	if (req->body_length + n > limit) {
		req->body_too_large = true;
		free(req->body);
		req->body = NULL;
		req->body_length += n;
		return true;
	}
	more = realloc(req->body, req->body_length + n + 1);
	if (!more)
		return false;
	memcpy(more + req->body_length, data, n);
	req->body = more;
	req->body_length += n;
	more[req->body_length] = '\0';
	return true;
}

/* --- its reply goes out ------------------------------------------------------------------------- */

static void add(struct MHD_Response *response, const char *name, const char *value)
{
	if (value && *value)
		MHD_add_response_header(response, name, value);
}

static enum MHD_Result send_reply(struct loop *loop, struct request *req,
				  struct MHD_Connection *conn)
{
	const struct reply *r = &req->reply;
	struct MHD_Response *response;
	enum MHD_Result result;

	/* Persistent: the arena outlives the sending (on_completed). MHD does not write to it. */
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		r->length, (void *)(uintptr_t)r->body, NULL, NULL);
	if (!response)
		return MHD_NO;
	add(response, "Content-Type", r->content_type);
	add(response, "Location", r->location);
	add(response, "ETag", r->etag);
	add(response, "Allow", r->allow);
	add(response, "Idempotent-Replay", r->replay ? "true" : NULL);
	add(response, "Retry-After", r->retry_after ? "1" : NULL);
	add(response, "WWW-Authenticate", r->www_authenticate ? "Bearer" : NULL);
	add(response, "X-Request-Id", req->request_id);
	add(response, "traceparent", req->traceparent);
	add(response, "Cache-Control", "no-store");
	if (loop->stopping || req->early == ERR_BAD_REQUEST)
		add(response, "Connection", "close");
	result = MHD_queue_response(conn, (unsigned)r->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *conn, const char *uri,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **con_cls)
{
	struct loop *loop = cls;
	struct request *req = *con_cls;

	(void)uri;
	(void)version;
	if (!req)
		return MHD_NO;
	if (!*req->request_id) {
		begin(req, conn, method);
		/* Where its body ends is not to be known: answered at once, and the connection closed. */
		if (req->early == ERR_BAD_REQUEST) {
			dispatch(req);
			return send_reply(loop, req, conn);
		}
		return MHD_YES;
	}
	if (*size) {
		const bool ok = grow(req, data, *size);

		*size = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	if (!req->reply.status) {
		connection_working(loop->connections, conn);
		loop->working += !req->complete;
		req->complete = true;
		if (req->early || req->route->lane == LANE_NONE) {
			dispatch(req);
		} else {
			/* Suspended before it is published: the lane may be done before we return. */
			MHD_suspend_connection(conn);
			if (dispatch(req))
				return MHD_YES;
			MHD_resume_connection(conn);
			return MHD_YES; /* re-entered with its reply */
		}
	}
	return send_reply(loop, req, conn);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct loop *loop = cls;
	struct request *req = *con_cls;

	(void)why;
	*con_cls = NULL;
	if (!req)
		return;
	connection_idle(loop->connections, conn);
	loop->in_flight--;
	loop->working -= req->complete;
	free(req->body);
	arena_free(req->arena);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct loop *loop = cls;
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_open(loop->connections, conn, fd ? fd->connect_fd : -1);
	else
		connection_closed(loop->connections, conn);
	metric_add(loop->app->metrics, METRIC_CONNECTIONS,
		   code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
}

void loop_complete(struct loop *loop, struct request *req)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&loop->mutex);
	req->next = NULL;
	*loop->done_last = req;
	loop->done_last = &req->next;
	pthread_mutex_unlock(&loop->mutex);
	/* Full (EAGAIN) means that the loop is going to wake anyway. */
	while (write(loop->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void resume_done(struct loop *loop)
{
	struct request *req;
	uint64_t count;

	while (read(loop->wake, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&loop->mutex);
	req = loop->done;
	loop->done = NULL;
	loop->done_last = &loop->done;
	pthread_mutex_unlock(&loop->mutex);
	while (req) {
		struct request *next = req->next;

		MHD_resume_connection(req->connection);
		req = next;
	}
}

/* --- start, run, stop --------------------------------------------------------------------------- */

static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls;
	(void)conn;
	return strlen(s); /* we split paths before we decode them */
}

static bool watch(struct loop *loop, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return fd >= 0 && !epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &e);
}

static struct MHD_Daemon *start_daemon(struct loop *loop, unsigned limit)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, loop,
		MHD_OPTION_LISTEN_SOCKET, loop->listener, MHD_OPTION_CONNECTION_LIMIT, limit,
		MHD_OPTION_URI_LOG_CALLBACK, on_request_line, loop, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, loop,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_CONNECTION_TIMEOUT, SILENT_SECONDS, MHD_OPTION_END);
}

struct loop *loop_new(struct app *app)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	const unsigned limit = listen_limit();
	const union MHD_DaemonInfo *info = NULL;
	sigset_t set;

	if (!loop)
		return NULL;
	loop->app = app;
	app->loop = loop;
	loop->done_last = &loop->done;
	pthread_mutex_init(&loop->mutex, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	loop->connections = connections_new(limit);
	loop->listener = listen_socket(app->config);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->listener < 0)
		log_event(LOG_LEVEL_ERROR, "cannot_listen", "address", app->config->listen_host,
			  "reason", strerror(errno), NULL);
	else if (loop->connections)
		loop->daemon = start_daemon(loop, limit);
	if (loop->daemon)
		info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || !watch(loop, info->epoll_fd) || !watch(loop, loop->wake) ||
	    !watch(loop, loop->signals)) {
		loop_free(loop);
		app->loop = NULL;
		return NULL;
	}
	return loop;
}

/* Stops accepting; keeps serving what has begun. */
static void begin_stop(struct loop *loop)
{
	struct signalfd_siginfo s;

	while (read(loop->signals, &s, sizeof(s)) == (ssize_t)sizeof(s))
		;
	if (loop->stopping)
		return;
	loop->stopping = true;
	log_event(LOG_LEVEL_INFO, "stopping", NULL);
	MHD_quiesce_daemon(loop->daemon);
	close(loop->listener);
	loop->listener = -1;
}

static int wait_ms(const struct loop *loop)
{
	MHD_UNSIGNED_LONG_LONG t = 0;

	if (MHD_get_timeout(loop->daemon, &t) == MHD_YES && t < 1000)
		return (int)t;
	return loop->stopping ? 50 : 1000;
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[8];
	int64_t begun = 0; /* to stop */

	listen_log(loop->listener);
	for (;;) {
		const int n = epoll_wait(loop->epoll, events, 8, wait_ms(loop));

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == loop->wake)
				resume_done(loop);
			else if (events[i].data.fd == loop->signals)
				begin_stop(loop);
		}
		MHD_run(loop->daemon);
		connections_check(loop->connections, clock_ns());
		if (!loop->stopping)
			continue;
		if (!begun)
			begun = clock_ns();
		/* What is complete is finished; what is not may become so for a moment. */
		if (!loop->in_flight || (!loop->working && clock_ns() - begun > READ_MS * MS) ||
		    clock_ns() - begun > STOP_MS * MS)
			return;
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	resume_done(loop);
	if (loop->daemon)
		MHD_stop_daemon(loop->daemon);
	connections_free(loop->connections);
	if (loop->listener >= 0)
		close(loop->listener);
	close(loop->epoll);
	close(loop->wake);
	close(loop->signals);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}
