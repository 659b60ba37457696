/*
 * See outbound.h. libcurl's multi interface; the policy for addresses is asked twice: before a
 * socket is opened, and before a request goes out, which also covers a connection that was kept.
 */
#include "outbound.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include "clock.h"
#include "outbound_guard.h"
#include "version.h"

#define CONNECT_MS 5000L
#define TOTAL_MS 15000L
/* A receiver has nothing to tell us but its status: past these the transfer is cut. */
#define BODY_MAX ((size_t)64 * 1024)
#define HEADERS_MAX ((size_t)64 * 1024)
#define KEPT_CONNECTIONS 256L
#define RETRY_AFTER_MAX (365L * 86400)

struct transfer {
	struct outbound *owner;
	CURL *easy;
	struct curl_slist *headers;
	void *tag;
	size_t body_bytes, header_bytes;
	bool refused; /* an address of the host was not allowed */
	int status;
	long retry_after;
	const char *error;
	struct transfer *next; /* in the list that it is in */
};

struct outbound {
	const struct config *config;
	CURLM *multi;
	struct transfer *flying;
	struct transfer *done, **done_end; /* in the order in which they ended */
	size_t in_flight;
	atomic_bool woken;
};

/* --- what libcurl asks us ----------------------------------------------------------------------- */

static bool sockaddr_allowed(const struct config *config, const struct curl_sockaddr *to)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (to->family == AF_INET && to->addrlen >= sizeof(in)) {
		memcpy(&in, &to->addr, sizeof(in));
		return outbound_allowed(config, (const uint8_t *)&in.sin_addr, 4);
	}
	if (to->family == AF_INET6 && to->addrlen >= sizeof(in6)) {
		memcpy(&in6, &to->addr, sizeof(in6));
		return outbound_allowed(config, in6.sin6_addr.s6_addr, 16);
	}
	return false;
}

/* Before each connection: the name has been resolved, so that no later answer of DNS counts. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;

	(void)purpose;
	if (!sockaddr_allowed(t->owner->config, to)) {
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Before each request, on a kept connection too. */
static int on_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct transfer *t = arg;
	bool literal;

	(void)local_ip;
	(void)port;
	(void)local_port;
	if (outbound_text_allowed(t->owner->config, ip, &literal))
		return CURL_PREREQFUNC_OK;
	t->refused = true;
	return CURL_PREREQFUNC_ABORT;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)data;
	t->body_bytes += size * n;
	return t->body_bytes > BODY_MAX ? 0 : size * n;
}

/* libcurl keeps what it is sent as headers: without a limit that is all memory. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)data;
	t->header_bytes += size * n;
	return t->header_bytes > HEADERS_MAX ? 0 : size * n;
}

/* --- transfers ---------------------------------------------------------------------------------- */

static void transfer_free(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t);
}

static struct transfer *transfer_new(struct outbound *o, void *tag)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->owner = o;
	t->tag = tag;
	t->retry_after = -1;
	t->error = "";
	t->easy = curl_easy_init();
	if (t->easy != NULL)
		return t;
	free(t);
	return NULL;
}

/* Under way when it is ready; else it is freed (NULL: it could not even be made). */
static bool transfer_start(struct transfer *t, bool ready)
{
	if (t == NULL)
		return false;
	if (!ready || curl_multi_add_handle(t->owner->multi, t->easy) != CURLM_OK) {
		transfer_free(t);
		return false;
	}
	t->next = t->owner->flying;
	t->owner->flying = t;
	t->owner->in_flight++;
	return true;
}

static bool add_header(struct transfer *t, const char *line)
{
	struct curl_slist *more;

	for (const char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	more = curl_slist_append(t->headers, line);
	if (more == NULL)
		return false;
	t->headers = more;
	return true;
}

#define SET(option, value) (curl_easy_setopt(t->easy, (option), (value)) == CURLE_OK)

static bool set_request(struct transfer *t, const char *url, const char *body, size_t length)
{
	return SET(CURLOPT_URL, url) && SET(CURLOPT_POST, 1L) &&
	       SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length) &&
	       SET(CURLOPT_COPYPOSTFIELDS, body) && SET(CURLOPT_HTTPHEADER, t->headers) &&
	       SET(CURLOPT_USERAGENT, "Switchback/" SWITCHBACK_VERSION) && SET(CURLOPT_PRIVATE, t);
}

/* HTTP/1.1: there are few transfers an endpoint, and one that hangs never stands in the way of
   another on the same connection. QUICK_EXIT: a resolver that hangs does not hold up this thread
   when its transfer is over. */
static bool set_guards(struct transfer *t)
{
	const bool http = t->owner->config->webhook_allow_http;

	return SET(CURLOPT_PROTOCOLS_STR, http ? "http,https" : "https") &&
	       SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_PROXY, "") &&
	       SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_QUICK_EXIT, 1L) &&
	       SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) && SET(CURLOPT_TIMEOUT_MS, TOTAL_MS) &&
	       SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       SET(CURLOPT_TCP_KEEPALIVE, 1L) && SET(CURLOPT_OPENSOCKETFUNCTION, on_open) &&
	       SET(CURLOPT_OPENSOCKETDATA, t) && SET(CURLOPT_PREREQFUNCTION, on_request) &&
	       SET(CURLOPT_PREREQDATA, t) && SET(CURLOPT_WRITEFUNCTION, on_body) &&
	       SET(CURLOPT_WRITEDATA, t) && SET(CURLOPT_HEADERFUNCTION, on_header) &&
	       SET(CURLOPT_HEADERDATA, t);
}

bool outbound_post(struct outbound *o, const char *url, const char *const *headers,
		   const char *body, size_t length, void *tag)
{
	struct transfer *t;
	bool ready;

	if (outbound_check_url(o->config, url) != NULL)
		return false;
	t = transfer_new(o, tag);
	/* No waiting for "100 Continue". */
	ready = t != NULL && add_header(t, "Expect:");
	while (ready && *headers != NULL)
		ready = add_header(t, *headers++);
	return transfer_start(t, ready && set_request(t, url, body, length) && set_guards(t));
}

/* --- the end of a transfer --------------------------------------------------------------------- */

static void judge(struct transfer *t, CURLcode code, long status)
{
	curl_off_t seconds = 0;

	/* The status line is the answer, also where it broke off, or went on for too long, after it. */
	if (status >= 200 && status <= 999) {
		t->status = (int)status;
		if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK &&
		    seconds > 0)
			t->retry_after =
				seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (long)seconds;
	} else if (t->refused) {
		t->error = "the address is not one that webhooks may reach";
	} else {
		t->error = code == CURLE_OK ? "no HTTP status" : curl_easy_strerror(code);
	}
}

static void finish(struct outbound *o, struct transfer *t, CURLcode code)
{
	struct transfer **at = &o->flying;
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	judge(t, code, status);
	(void)curl_multi_remove_handle(o->multi, t->easy);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	o->in_flight--;
	t->next = NULL;
	*o->done_end = t;
	o->done_end = &t->next;
}

static void collect(struct outbound *o)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(o->multi, &left)) != NULL) {
		const CURLcode code = message->data.result;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		finish(o, (struct transfer *)(void *)private, code);
	}
}

void outbound_run(struct outbound *o, int timeout_ms)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	const int64_t until = clock_ms() + timeout_ms;
	int running;

	for (;;) {
		int64_t left;

		(void)curl_multi_perform(o->multi, &running);
		collect(o);
		left = until - clock_ms();
		if (atomic_exchange(&o->woken, false) || o->done != NULL || left <= 0)
			return;
		/* Returns early for libcurl's own timers, and for curl_multi_wakeup. */
		if (curl_multi_poll(o->multi, NULL, 0, (int)left, NULL) != CURLM_OK) {
			(void)nanosleep(&pause, NULL); /* no memory: it must not spin */
			return;
		}
	}
}

void outbound_wake(struct outbound *o)
{
	/* One wake-up is enough for however many: each is a system call. */
	if (!atomic_exchange(&o->woken, true))
		(void)curl_multi_wakeup(o->multi);
}

bool outbound_next(struct outbound *o, struct outbound_result *result)
{
	struct transfer *t = o->done;

	if (t == NULL)
		return false;
	o->done = t->next;
	if (o->done == NULL)
		o->done_end = &o->done;
	result->tag = t->tag;
	result->status = t->status;
	result->retry_after = t->retry_after;
	result->error = t->error;
	transfer_free(t);
	return true;
}

size_t outbound_in_flight(const struct outbound *o)
{
	return o->in_flight;
}

/* --- life --------------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool curl_ready;

static void start_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool outbound_ready(void)
{
	(void)pthread_once(&once, start_curl);
	return curl_ready;
}

struct outbound *outbound_new(const struct config *config)
{
	struct outbound *o;

	o = outbound_ready() ? calloc(1, sizeof(*o)) : NULL;
	if (o == NULL)
		return NULL;
	o->config = config;
	o->done_end = &o->done;
	o->multi = curl_multi_init();
	if (o->multi == NULL ||
	    curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS) != CURLM_OK) {
		outbound_free(o);
		return NULL;
	}
	return o;
}

void outbound_free(struct outbound *o)
{
	struct transfer *t;

	if (o == NULL)
		return;
	while ((t = o->flying) != NULL) {
		o->flying = t->next;
		(void)curl_multi_remove_handle(o->multi, t->easy);
		transfer_free(t);
	}
	while ((t = o->done) != NULL) {
		o->done = t->next;
		transfer_free(t);
	}
	(void)curl_multi_cleanup(o->multi);
	free(o);
}
