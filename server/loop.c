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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <microhttpd.h>

#include "clock.h"
#include "config.h"
#include "connections.h"
#include "dispatch.h"
#include "incoming.h"
#include "lane.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "stream.h"

#define SILENT_SECONDS 60u /* of a client that neither sends nor takes its reply */
#define STOP_MS 10000	   /* for what is being worked on when the process shall stop */
#define READ_MS 1000	   /* and for requests that are not complete */
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

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	(void)kind;
	incoming_header(cls, name, value ? value : "");
	return MHD_YES;
}

/* The head of a request is complete. */
static void begin(struct request *req, struct MHD_Connection *conn, const char *method)
{
	struct incoming in = { .req = req };

	MHD_get_connection_values(conn, MHD_HEADER_KIND, on_header, &in);
	incoming_begin(&in, method);
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

/* Gives the request to its lane, which may be done before we return: so it is suspended before. After
   that on_access is called again, with the reply or for more of the body. */
static void hand_over(struct loop *loop, struct request *req, struct MHD_Connection *conn)
{
	connection_working(loop->connections, conn);
	MHD_suspend_connection(conn);
	if (req->stream)
		req->stream->in_lane = true;
	if (dispatch(req))
		return;
	if (req->stream)
		req->stream->in_lane = false;
	if (!req->complete)
		connection_receiving(loop->connections, conn, clock_ns());
	MHD_resume_connection(conn);
}

/* More of a body that is worked on piece by piece. What does not fit is left to libmicrohttpd until the
   piece before it has been worked on. */
static enum MHD_Result on_piece(struct loop *loop, struct request *req, struct MHD_Connection *conn,
				const char *data, size_t *size)
{
	const size_t n = *size;

	if (req->stream->in_lane)
		return MHD_YES;
	connection_receiving(loop->connections, conn, clock_ns());
	if (!req->reply.status && loop->stopping) {
		req->early = ERR_UNAVAILABLE;
		req->early_detail = "The service is stopping; what was taken in stays.";
		dispatch(req);
	}
	if (!req->reply.status && req->body_length + n > incoming_max_body(req))
		req->body_too_large = true;
	if (!req->reply.status && (req->body_too_large || stream_is_due(req->stream))) {
		hand_over(loop, req, conn);
		return MHD_YES;
	}
	*size = 0;
	if (!incoming_drain(req, n))
		return MHD_NO;
	return req->reply.status || stream_add(req->stream, data, n) ? MHD_YES : MHD_NO;
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
		if (req->stream || req->early)
			connection_receiving(loop->connections, conn, clock_ns());
		return MHD_YES;
	}
	if (*size && req->stream)
		return on_piece(loop, req, conn, data, size);
	if (*size) {
		const bool ok = incoming_body(req, data, *size);

		*size = 0;
		if (req->early || req->body_too_large)
			connection_receiving(loop->connections, conn, clock_ns());
		return ok ? MHD_YES : MHD_NO;
	}
	loop->working += !req->complete;
	req->complete = true;
	if (req->reply.status)
		return send_reply(loop, req, conn);
	if (!req->early && req->route->lane != LANE_NONE) {
		hand_over(loop, req, conn);
		return MHD_YES;
	}
	connection_working(loop->connections, conn);
	dispatch(req);
	return send_reply(loop, req, conn);
}

static void discard(struct request *req)
{
	free(req->body);
	arena_free(req->arena);
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
	/* Gone before its end: its Idempotency-Key is given up where there is a database. */
	if (req->stream && req->stream->claimed && !loop->stopping) {
		req->stream->abandoned = true;
		if (lane_submit(loop->app->lanes, req))
			return;
	}
	discard(req);
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

static void resume(struct loop *loop, struct request *req)
{
	if (req->stream && req->stream->abandoned) {
		discard(req);
		return;
	}
	if (req->stream)
		req->stream->in_lane = false;
	if (!req->complete)
		connection_receiving(loop->connections, req->connection, clock_ns());
	MHD_resume_connection(req->connection);
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

		resume(loop, req);
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
