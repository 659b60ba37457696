/*
 * See outbound.h. libcurl's multi interface. The address of every connection is checked twice: when
 * its socket is opened, and before a request goes out on it (which also covers a reused one).
 */
#include "outbound.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "version.h"

#define CONNECT_MS 5000L
#define TOTAL_MS 15000L
#define RESPONSE_MAX 65536 /* bytes of an answer that we read and drop; past it the transfer ends */

struct transfer {
	struct outbound *owner;
	CURL *curl;
	struct curl_slist *headers;
	char *body;
	void *tag;
	size_t received;
	bool refused; /* by the address policy */
	struct transfer *next;
};

struct outbound {
	const struct config *config;
	CURLM *multi;
	struct transfer *under_way;
	size_t n;
};

/* --- which addresses ------------------------------------------------------------------------------ */

/* Not globally reachable (IANA special-purpose registries); IPv4 ranges as mapped addresses. */
static const struct cidr denied[] = {
	{ AF_INET, { 0 }, 8 },
	{ AF_INET, { 10 }, 8 },
	{ AF_INET, { 100, 64 }, 10 },
	{ AF_INET, { 127 }, 8 },
	{ AF_INET, { 169, 254 }, 16 },
	{ AF_INET, { 172, 16 }, 12 },
	{ AF_INET, { 192, 0, 0 }, 24 },
	{ AF_INET, { 192, 0, 2 }, 24 },
	{ AF_INET, { 192, 88, 99 }, 24 },
	{ AF_INET, { 192, 168 }, 16 },
	{ AF_INET, { 198, 18 }, 15 },
	{ AF_INET, { 198, 51, 100 }, 24 },
	{ AF_INET, { 203, 0, 113 }, 24 },
	{ AF_INET, { 224 }, 3 },
	{ AF_INET6, { 0 }, 8 },
	{ AF_INET6, { 0x01, 0x00 }, 64 },
	{ AF_INET6, { 0x20, 0x01, 0x00, 0x00 }, 23 },
	{ AF_INET6, { 0x20, 0x01, 0x0d, 0xb8 }, 32 },
	{ AF_INET6, { 0x3f, 0xff }, 20 },
	{ AF_INET6, { 0x5f, 0x00 }, 16 },
	{ AF_INET6, { 0xfc }, 7 },
	{ AF_INET6, { 0xfe, 0x80 }, 10 },
	{ AF_INET6, { 0xfe, 0xc0 }, 10 },
	{ AF_INET6, { 0xff }, 8 },
};

static bool inside(const struct cidr *c, int family, const uint8_t *address)
{
	if (c->family != family)
		return false;
	for (unsigned bit = 0; bit < c->bits; bit++)
		if ((c->address[bit / 8] ^ address[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

/* An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4): where it is, or NULL. */
static const uint8_t *embedded(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (!memcmp(a, mapped, sizeof(mapped)) || !memcmp(a, nat64, sizeof(nat64)))
		return a + 12;
	return a[0] == 0x20 && a[1] == 0x02 ? a + 2 : NULL;
}

static bool address_allowed(const struct config *c, int family, const uint8_t *address)
{
	const uint8_t *v4 = family == AF_INET6 ? embedded(address) : NULL;

	for (size_t i = 0; i < c->n_webhook_allow_cidrs; i++)
		if (inside(&c->webhook_allow_cidrs[i], family, address) ||
		    (v4 && inside(&c->webhook_allow_cidrs[i], AF_INET, v4)))
			return true;
	if (v4)
		return address_allowed(c, AF_INET, v4);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (inside(&denied[i], family, address))
			return false;
	return family == AF_INET || family == AF_INET6;
}

bool outbound_allowed(const struct config *config, const uint8_t *address, size_t length)
{
	return address_allowed(config, length == 4 ? AF_INET : AF_INET6, address);
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = arg;
	const void *address = &((struct sockaddr_in *)(void *)&a->addr)->sin_addr;

	(void)purpose;
	if (a->family == AF_INET6)
		address = &((struct sockaddr_in6 *)(void *)&a->addr)->sin6_addr;
	if (!address_allowed(t->owner->config, a->family, address)) {
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int before_request(void *arg, char *primary_ip, char *local_ip, int primary_port,
			  int local_port)
{
	struct transfer *t = arg;
	uint8_t address[16];
	int family = strchr(primary_ip, ':') ? AF_INET6 : AF_INET;

	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	if (inet_pton(family, primary_ip, address) == 1 &&
	    address_allowed(t->owner->config, family, address))
		return CURL_PREREQFUNC_OK;
	t->refused = true;
	return CURL_PREREQFUNC_ABORT;
}

/* --- transfers ------------------------------------------------------------------------------------ */

/* An answer's body is nobody's business: not even the tenant sees it. */
static size_t drop(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)data;
	t->received += size * n;
	return t->received > RESPONSE_MAX ? 0 : size * n;
}

struct outbound *outbound_new(const struct config *config)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (!o || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(o);
		return NULL;
	}
	o->config = config;
	o->multi = curl_multi_init();
	if (!o->multi) {
		curl_global_cleanup();
		free(o);
		return NULL;
	}
	return o;
}

static void transfer_free(struct transfer *t)
{
	if (t->curl) {
		curl_multi_remove_handle(t->owner->multi, t->curl);
		curl_easy_cleanup(t->curl);
	}
	curl_slist_free_all(t->headers);
	free(t->body);
	free(t);
}

/* Takes it out of the list of those under way. */
static void unlink_transfer(struct transfer *t)
{
	struct transfer **at = &t->owner->under_way;

	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
}

void outbound_free(struct outbound *o)
{
	if (!o)
		return;
	while (o->under_way) {
		struct transfer *t = o->under_way;

		o->under_way = t->next;
		transfer_free(t);
	}
	curl_multi_cleanup(o->multi);
	curl_global_cleanup();
	free(o);
}

static bool set_up(struct transfer *t, const char *url, size_t length)
{
	CURL *c = t->curl;
	const bool http = t->owner->config->webhook_allow_http;

	return !curl_easy_setopt(c, CURLOPT_URL, url) &&
	       !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, http ? "http,https" : "https") &&
	       !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) &&
	       !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, TOTAL_MS) &&
	       !curl_easy_setopt(c, CURLOPT_USERAGENT, "Switchback/" SWITCHBACK_VERSION) &&
	       !curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers) &&
	       !curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)length) &&
	       !curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->body) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEDATA, t) &&
	       !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
	       !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) &&
	       !curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, before_request) &&
	       !curl_easy_setopt(c, CURLOPT_PREREQDATA, t) &&
	       !curl_easy_setopt(c, CURLOPT_PRIVATE, t) &&
	       !curl_multi_add_handle(t->owner->multi, c);
}

static bool add_header(struct transfer *t, const char *line)
{
	struct curl_slist *more = curl_slist_append(t->headers, line);

	if (more)
		t->headers = more;
	return more != NULL;
}

bool outbound_post(struct outbound *o, const char *url, const char *const *headers,
		   const char *body, size_t length, void *tag)
{
	struct transfer *t = calloc(1, sizeof(*t));
	bool ok = t && !outbound_check_url(o->config, url);

	if (!t)
		return false;
	t->owner = o;
	t->tag = tag;
	t->body = malloc(length + 1);
	t->curl = curl_easy_init();
	ok = ok && t->body && t->curl && add_header(t, "Expect:");
	for (; ok && *headers; headers++)
		ok = add_header(t, *headers);
	if (ok)
		memcpy(t->body, body, length);
	if (!ok || !set_up(t, url, length)) {
		transfer_free(t);
		return false;
	}
	t->next = o->under_way;
	o->under_way = t;
	o->n++;
	return true;
}

void outbound_run(struct outbound *o, int timeout_ms)
{
	int running = 0;

	curl_multi_perform(o->multi, &running);
	curl_multi_poll(o->multi, NULL, 0, timeout_ms, NULL);
	curl_multi_perform(o->multi, &running);
}

void outbound_wake(struct outbound *o)
{
	curl_multi_wakeup(o->multi);
}

bool outbound_next(struct outbound *o, struct outbound_result *out)
{
	struct transfer *t = NULL;
	curl_off_t after = 0;
	long status = 0;
	CURLMsg *m;
	int left;

	do {
		m = curl_multi_info_read(o->multi, &left);
		if (!m)
			return false;
	} while (m->msg != CURLMSG_DONE);
	curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
	memset(out, 0, sizeof(*out));
	out->tag = t->tag;
	out->retry_after = -1;
	out->error = "";
	/* An answer that is too long is an answer: its status came first. */
	if (m->data.result == CURLE_OK ||
	    (m->data.result == CURLE_WRITE_ERROR && t->received > RESPONSE_MAX)) {
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		if (!curl_easy_getinfo(m->easy_handle, CURLINFO_RETRY_AFTER, &after) && after > 0)
			out->retry_after = (long)after;
	} else {
		out->error = t->refused ? "the address is not one that webhooks may reach"
					: curl_easy_strerror(m->data.result);
	}
	out->status = (int)status;
	o->n--;
	unlink_transfer(t);
	transfer_free(t);
	return true;
}

size_t outbound_in_flight(const struct outbound *o)
{
	return o->n;
}

/* --- which URLs ----------------------------------------------------------------------------------- */

static const char *check_host(const struct config *config, char *host)
{
	uint8_t address[16];
	size_t n = strlen(host);

	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, address) == 1)
			return address_allowed(config, AF_INET6, address)
				       ? NULL
				       : "must not be an address that is not globally reachable";
		return "must have a valid host";
	}
	if (inet_pton(AF_INET, host, address) == 1 && !address_allowed(config, AF_INET, address))
		return "must not be an address that is not globally reachable";
	return n ? NULL : "must have a host";
}

static const char *check_parts(const struct config *config, CURLU *u)
{
	char *scheme = NULL, *host = NULL, *part = NULL;
	const char *why = NULL;

	curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (!scheme || (strcasecmp(scheme, "https") && strcasecmp(scheme, "http")))
		why = "must be an https URL";
	else if (!strcasecmp(scheme, "http") && !config->webhook_allow_http)
		why = "must be an https URL (SWITCHBACK_WEBHOOK_ALLOW_HTTP is false)";
	else if (!host)
		why = "must have a host";
	else if (!curl_url_get(u, CURLUPART_USER, &part, 0) ||
		 !curl_url_get(u, CURLUPART_PASSWORD, &part, 0))
		why = "must have no user or password";
	else if (!curl_url_get(u, CURLUPART_FRAGMENT, &part, 0))
		why = "must have no fragment";
	else
		why = check_host(config, host);
	curl_free(part);
	curl_free(scheme);
	curl_free(host);
	return why;
}

const char *outbound_check_url(const struct config *config, const char *url)
{
	CURLU *u = curl_url();
	const char *why = "is not a URL";

	if (!u)
		return "could not be checked: out of memory";
	if (!curl_url_set(u, CURLUPART_URL, url, 0))
		why = check_parts(config, u);
	curl_url_cleanup(u);
	return why;
}
