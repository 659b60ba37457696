/* See health_client.h. One request by hand: nothing else here speaks HTTP as a client. */
#include "health_client.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "config.h"

/* A wildcard is listened on, but not connected to. */
static const char *host_of(const struct config *c)
{
	if (!strcmp(c->listen_host, "0.0.0.0"))
		return "127.0.0.1";
	return strcmp(c->listen_host, "::") ? c->listen_host : "::1";
}

static int connect_to(const struct config *c)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const struct timeval limit = { .tv_sec = 2 };
	struct addrinfo *list = NULL;
	char port[8];
	int fd = -1;

	snprintf(port, sizeof(port), "%u", (unsigned)c->listen_port);
	if (getaddrinfo(host_of(c), port, &hints, &list))
		return -1;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

int health_client(const struct config *c)
{
	static const char ask[] =
		"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	char answer[64] = "";
	size_t n = 0;
	const int fd = connect_to(c);

	if (fd >= 0 && write(fd, ask, sizeof(ask) - 1) == (ssize_t)sizeof(ask) - 1) {
		ssize_t got;

		while (n < sizeof(answer) - 1 &&
		       (got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
			n += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	if (!strncmp(answer, "HTTP/1.1 200", 12))
		return 0;
	fprintf(stderr, "switchback healthcheck: %s\n", n ? "not ready" : "no answer");
	return 1;
}
