/* server/outbound.c: calls to a listener on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "outbound.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* --- a listener --------------------------------------------------------------------------------- */

/* One connection at a time, kept as long as the other end likes; it answers by the path. */
struct listener {
	int fd;
	char port[8];
	pthread_t thread;
	atomic_int connections, requests;
	char last[4096]; /* read by the test once the answer is there */
};

static const struct {
	const char *path, *answer;
	bool endless;
} answers[] = {
	{ "/ok", "HTTP/1.1 204 No Content\r\n\r\n", false },
	{ "/busy", "HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n", false },
	{ "/later",
	  "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"
	  "Content-Length: 0\r\n\r\n",
	  false },
	{ "/past",
	  "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
	  "Content-Length: 0\r\n\r\n",
	  false },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", false },
	{ "/body", "HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true },
	{ "/headers", "HTTP/1.1 200 OK\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", true },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc", false },
	{ "/continue", "HTTP/1.1 100 Continue\r\n\r\n", false },
	{ "/close", "", false },
	{ "/nonsense", "SSH-2.0-OpenSSH\r\n", false },
};

static bool put(int fd, const char *text)
{
	const size_t n = strlen(text);

	return n == 0 || send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* False: the connection is over. */
static bool answer(int fd, const char *request)
{
	for (size_t i = 0; i < LENGTH(answers); i++) {
		const size_t n = strlen(answers[i].path);

		if (strncmp(request + 5, answers[i].path, n) != 0 || request[5 + n] != ' ')
			continue;
		if (answers[i].endless) {
			const char *end = strstr(answers[i].answer, "\r\n\r\n");

			if (!put(fd, answers[i].answer))
				return false;
			while (put(fd, end != NULL ? "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
						   : "X-More: xxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"))
				;
			return false;
		}
		return put(fd, answers[i].answer) &&
		       strstr(answers[i].answer, "\r\n\r\n") != NULL &&
		       strstr(answers[i].answer, "close") == NULL;
	}
	return false; /* "/hang": as long as nothing comes */
}

static bool complete(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strstr(request, "Content-Length: ");

	return end != NULL && length != NULL &&
	       strlen(end + 4) >= strtoul(length + strlen("Content-Length: "), NULL, 10);
}

static void serve(struct listener *l, int fd)
{
	char request[sizeof(l->last)];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, request + n, sizeof(request) - 1 - n, 0)) > 0) {
		n += (size_t)got;
		request[n] = '\0';
		if (!complete(request))
			continue;
		memcpy(l->last, request, n + 1);
		atomic_fetch_add(&l->requests, 1);
		if (strncmp(request, "POST /hang ", 11) != 0 && !answer(fd, request))
			return;
		n = 0;
	}
}

static void *listen_main(void *arg)
{
	struct listener *l = arg;
	int fd;

	while ((fd = accept(l->fd, NULL, NULL)) >= 0) {
		atomic_fetch_add(&l->connections, 1);
		serve(l, fd);
		close(fd);
	}
	return NULL;
}

static int start_listener(void **state)
{
	static struct listener l;
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(l.fd, (struct sockaddr *)&address, size) != 0 || listen(l.fd, 16) != 0 ||
	    getsockname(l.fd, (struct sockaddr *)&address, &size) != 0)
		return -1;
	snprintf(l.port, sizeof(l.port), "%u", ntohs(address.sin_port));
	*state = &l;
	return pthread_create(&l.thread, NULL, listen_main, &l);
}

static int stop_listener(void **state)
{
	struct listener *l = *state;

	shutdown(l->fd, SHUT_RDWR);
	pthread_join(l->thread, NULL);
	close(l->fd);
	return 0;
}

enum reach { NOWHERE, LOOPBACK };

static struct config reaching(enum reach reach)
{
	return (struct config){
		.webhook_allow_http = true,
		.n_webhook_allow_cidrs = reach == LOOPBACK,
		.webhook_allow_cidrs = { { .family = AF_INET, .address = { 127 }, .bits = 8 } },
	};
}

static bool post(struct outbound *o, const struct listener *l, const char *host, const char *path,
		 void *tag)
{
	static const char *const headers[] = { "Content-Type: application/json", "webhook-id: 1",
					       NULL };
	char url[128];

	snprintf(url, sizeof(url), "http://%s:%s%s", host, l->port, path);
	return outbound_post(o, url, headers, "{\"a\":1}", 7, tag);
}

static struct outbound_result result_of(struct outbound *o)
{
	struct outbound_result r;
	int rounds = 0;

	while (!outbound_next(o, &r)) {
		assert_true(rounds++ < 40);
		outbound_run(o, 500);
	}
	return r;
}

/* One call with an outbound of its own. */
static struct outbound_result call_once(const struct listener *l, enum reach reach,
					const char *host, const char *path)
{
	const struct config config = reaching(reach);
	struct outbound *o = outbound_new(&config);
	struct outbound_result r;
	int tag;

	assert_non_null(o);
	assert_true(post(o, l, host, path, &tag));
	assert_int_equal(outbound_in_flight(o), 1);
	r = result_of(o);
	assert_ptr_equal(r.tag, &tag);
	assert_int_equal(outbound_in_flight(o), 0);
	outbound_free(o);
	return r;
}

static void what_is_sent(void **state)
{
	struct listener *l = *state;
	struct outbound_result r = call_once(l, LOOPBACK, "127.0.0.1", "/ok");

	assert_int_equal(r.status, 204);
	assert_int_equal(r.retry_after, -1);
	assert_string_equal(r.error, "");
	assert_memory_equal(l->last, "POST /ok HTTP/1.1\r\n", 19);
	assert_non_null(strstr(l->last, "\r\nUser-Agent: Switchback/"));
	assert_non_null(strstr(l->last, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(l->last, "\r\nwebhook-id: 1\r\n"));
	assert_null(strstr(l->last, "Expect"));
	assert_non_null(strstr(l->last, "\r\n\r\n{\"a\":1}"));
}

static void answers_told(void **state)
{
	const struct listener *l = *state;
	struct outbound_result r;

	r = call_once(l, LOOPBACK, "127.0.0.1", "/busy");
	assert_int_equal(r.status, 503);
	assert_int_equal(r.retry_after, 17);
	r = call_once(l, LOOPBACK, "127.0.0.1", "/later");
	assert_int_equal(r.status, 429);
	assert_true(r.retry_after > 86400);
	r = call_once(l, LOOPBACK, "127.0.0.1", "/past");
	assert_int_equal(r.status, 429);
	assert_int_equal(r.retry_after, -1);
	/* Not followed. */
	assert_int_equal(call_once(l, LOOPBACK, "127.0.0.1", "/moved").status, 302);
	/* Cut off, but answered. */
	assert_int_equal(call_once(l, LOOPBACK, "127.0.0.1", "/body").status, 200);
	assert_int_equal(call_once(l, LOOPBACK, "127.0.0.1", "/headers").status, 200);
	assert_int_equal(call_once(l, LOOPBACK, "127.0.0.1", "/cut").status, 200);
}

static void no_answer(void **state)
{
	const struct listener *l = *state;
	struct listener closed = { .port = "1" };
	struct outbound_result r;

	r = call_once(l, LOOPBACK, "127.0.0.1", "/close");
	assert_int_equal(r.status, 0);
	assert_string_not_equal(r.error, "");
	r = call_once(l, LOOPBACK, "127.0.0.1", "/nonsense");
	assert_int_equal(r.status, 0);
	assert_string_not_equal(r.error, "");
	r = call_once(&closed, LOOPBACK, "127.0.0.1", "/");
	assert_int_equal(r.status, 0);
	assert_string_not_equal(r.error, "");
}

/* A name is checked by what it resolves to; nothing of a call gets out. */
static void refused_address(void **state)
{
	struct listener *l = *state;
	const int before = atomic_load(&l->connections);
	const struct config config = reaching(NOWHERE);
	struct outbound *o = outbound_new(&config);
	struct outbound_result r;

	assert_false(post(o, l, "127.0.0.1", "/ok", NULL));
	assert_false(post(o, l, "[::ffff:127.0.0.1]", "/ok", NULL));
	assert_int_equal(outbound_in_flight(o), 0);
	outbound_free(o);
	r = call_once(l, NOWHERE, "localhost", "/ok");
	assert_int_equal(r.status, 0);
	assert_string_equal(r.error, "the address is not one that webhooks may reach");
	assert_int_equal(atomic_load(&l->connections), before);
	assert_int_equal(call_once(l, LOOPBACK, "localhost", "/ok").status, 204);
}

/* The second call takes the connection of the first; the third would, were it still allowed. */
static void kept_connection(void **state)
{
	struct listener *l = *state;
	const int connections = atomic_load(&l->connections), requests = atomic_load(&l->requests);
	struct config config = reaching(LOOPBACK);
	struct outbound *o = outbound_new(&config);
	struct outbound_result r;

	for (int i = 0; i < 2; i++) {
		assert_true(post(o, l, "localhost", "/ok", NULL));
		assert_int_equal(result_of(o).status, 204);
	}
	assert_int_equal(atomic_load(&l->connections), connections + 1);
	assert_int_equal(atomic_load(&l->requests), requests + 2);
	config.n_webhook_allow_cidrs = 0;
	assert_true(post(o, l, "localhost", "/ok", NULL));
	r = result_of(o);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.error, "the address is not one that webhooks may reach");
	assert_int_equal(atomic_load(&l->requests), requests + 2);
	outbound_free(o);
}

static void proxies_are_ignored(void **state)
{
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(call_once(*state, LOOPBACK, "127.0.0.1", "/ok").status, 204);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void headers_are_lines(void **state)
{
	static const char *const broken[] = { "X-Request-Id: a\r\nX: b", NULL };
	const struct listener *l = *state;
	const struct config config = reaching(LOOPBACK);
	struct outbound *o = outbound_new(&config);
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%s/ok", l->port);
	assert_false(outbound_post(o, url, broken, "", 0, NULL));
	assert_int_equal(outbound_in_flight(o), 0);
	outbound_free(o);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *wake_soon(void *arg)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000L };

	nanosleep(&pause, NULL);
	outbound_wake(arg);
	return NULL;
}

static void waking(void **state)
{
	const struct listener *l = *state;
	const struct config config = reaching(LOOPBACK);
	struct outbound *o = outbound_new(&config);
	struct outbound_result r;
	int64_t start = now_ms();
	pthread_t thread;

	outbound_run(o, 30);
	assert_in_range(now_ms() - start, 29, 500);
	/* From another thread, while a transfer hangs. */
	assert_true(post(o, l, "127.0.0.1", "/hang", NULL));
	start = now_ms();
	assert_int_equal(pthread_create(&thread, NULL, wake_soon, o), 0);
	outbound_run(o, 5000);
	assert_in_range(now_ms() - start, 40, 2000);
	pthread_join(thread, NULL);
	/* Before it waits: that must not be lost either. */
	outbound_wake(o);
	start = now_ms();
	outbound_run(o, 5000);
	assert_in_range(now_ms() - start, 0, 2000);
	assert_false(outbound_next(o, &r));
	assert_int_equal(outbound_in_flight(o), 1);
	outbound_free(o); /* with the transfer under way */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent),	     cmocka_unit_test(answers_told),
		cmocka_unit_test(no_answer),	     cmocka_unit_test(refused_address),
		cmocka_unit_test(kept_connection),   cmocka_unit_test(proxies_are_ignored),
		cmocka_unit_test(headers_are_lines), cmocka_unit_test(waking),
	};

	return cmocka_run_group_tests(tests, start_listener, stop_listener);
}
