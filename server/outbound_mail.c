#include "outbound_mail.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "outbound.h"

#define CONNECT_MS 5000L
#define TOTAL_MS 30000L
#define REPLY_SECONDS 10L /* also the longest wait for the answer to QUIT */

struct mailing {
	struct outbound_line *line;
	CURL *easy;
	struct curl_slist *to;
	const char *message;
	size_t length, sent;
};

/* --- the line -------------------------------------------------------------------------------------- */

bool outbound_line_init(struct outbound_line *line)
{
	line->fd = -1;
	line->cut = false;
	return pthread_mutex_init(&line->mutex, NULL) == 0;
}

void outbound_line_destroy(struct outbound_line *line)
{
	(void)pthread_mutex_destroy(&line->mutex);
}

void outbound_line_cut(struct outbound_line *line)
{
	(void)pthread_mutex_lock(&line->mutex);
	line->cut = true;
	if (line->fd >= 0)
		(void)shutdown(line->fd, SHUT_RDWR);
	(void)pthread_mutex_unlock(&line->mutex);
}

/* --- what libcurl asks us -------------------------------------------------------------------------- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct outbound_line *line = ((struct mailing *)arg)->line;
	curl_socket_t fd = CURL_SOCKET_BAD;

	(void)purpose;
	(void)pthread_mutex_lock(&line->mutex);
	if (!line->cut)
		fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	line->fd = fd;
	(void)pthread_mutex_unlock(&line->mutex);
	return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
	struct outbound_line *line = ((struct mailing *)arg)->line;
	int result;

	(void)pthread_mutex_lock(&line->mutex);
	if (line->fd == fd)
		line->fd = -1;
	result = close(fd);
	(void)pthread_mutex_unlock(&line->mutex);
	return result;
}

/* About once a second, also where there is no connection yet. Not 0: give up. */
static int on_progress(void *arg, curl_off_t down, curl_off_t got, curl_off_t up, curl_off_t put)
{
	struct outbound_line *line = ((struct mailing *)arg)->line;
	bool cut;

	(void)down;
	(void)got;
	(void)up;
	(void)put;
	(void)pthread_mutex_lock(&line->mutex);
	cut = line->cut;
	(void)pthread_mutex_unlock(&line->mutex);
	return cut;
}

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
	struct mailing *m = arg;
	const size_t left = m->length - m->sent, room = size * n, take = left < room ? left : room;

	memcpy(out, m->message + m->sent, take);
	m->sent += take;
	return take;
}

static size_t on_reply(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

/* --- an email -------------------------------------------------------------------------------------- */

#define SET(option, value) (curl_easy_setopt(m->easy, (option), (value)) == CURLE_OK)

static bool set_message(const struct config *config, struct mailing *m)
{
	return SET(CURLOPT_MAIL_FROM, config->smtp_from) && SET(CURLOPT_MAIL_RCPT, m->to) &&
	       SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)m->length) &&
	       SET(CURLOPT_READFUNCTION, on_read) && SET(CURLOPT_READDATA, m);
}

/* With a password or smtps:// the server must prove who it is. Without, encryption is what can be
   had on the way to a relay (RFC 7435): whoever stands in between could as well hide STARTTLS, and
   relays come with certificates that nobody signed. */
static bool set_server(const struct config *config, struct mailing *m)
{
	const char *url = config->smtp_url;
	const bool verify = strchr(url, '@') != NULL || strncmp(url, "smtps:", 6) == 0;

	return SET(CURLOPT_URL, url) && SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps") &&
	       SET(CURLOPT_USE_SSL, (long)CURLUSESSL_TRY) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       SET(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L) &&
	       SET(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L) && SET(CURLOPT_PROXY, "");
}

static bool set_limits(struct mailing *m)
{
	return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_QUICK_EXIT, 1L) &&
	       SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) && SET(CURLOPT_TIMEOUT_MS, TOTAL_MS) &&
	       SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, REPLY_SECONDS) &&
	       SET(CURLOPT_OPENSOCKETFUNCTION, on_open) && SET(CURLOPT_OPENSOCKETDATA, m) &&
	       SET(CURLOPT_CLOSESOCKETFUNCTION, on_close) && SET(CURLOPT_CLOSESOCKETDATA, m) &&
	       SET(CURLOPT_NOPROGRESS, 0L) && SET(CURLOPT_XFERINFOFUNCTION, on_progress) &&
	       SET(CURLOPT_XFERINFODATA, m) && SET(CURLOPT_WRITEFUNCTION, on_reply);
}

int outbound_mail(const struct config *config, struct outbound_line *line, const char *to,
		  const char *message, size_t length, const char **error)
{
	struct mailing m = { .line = line, .message = message, .length = length };
	CURLcode code;
	long status = 0;

	*error = "out of memory";
	m.easy = outbound_ready() ? curl_easy_init() : NULL;
	m.to = curl_slist_append(NULL, to);
	if (m.easy != NULL && m.to != NULL && set_message(config, &m) && set_server(config, &m) &&
	    set_limits(&m)) {
		code = curl_easy_perform(m.easy);
		(void)curl_easy_getinfo(m.easy, CURLINFO_RESPONSE_CODE, &status);
		*error = code == CURLE_OK ? "" : curl_easy_strerror(code);
		/* Only the reply to a message that went out, and a refusal, are an answer to it. */
		if (code != CURLE_OK && (status < 400 || status > 599))
			status = 0;
	}
	curl_easy_cleanup(m.easy); /* says goodbye */
	curl_slist_free_all(m.to);
	return (int)status;
}
