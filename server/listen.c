/* See listen.h. */
#include "listen.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

int listen_socket(const struct config *c)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	const int on = 1;
	char port[8];
	int fd = -1;

	snprintf(port, sizeof(port), "%u", (unsigned)c->listen_port);
	if (getaddrinfo(c->listen_host, port, &hints, &list))
		return -1;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 1024)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

void listen_log(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	char host[64], port[8], text[80];

	if (getsockname(fd, (struct sockaddr *)&a, &n) ||
	    getnameinfo((struct sockaddr *)&a, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(text, sizeof(text), a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	log_event(LOG_LEVEL_INFO, "listening", "address", text, NULL);
}

unsigned listen_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return 512;
	r.rlim_cur = r.rlim_max < 16384 ? r.rlim_max : 16384;
	setrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur > 640 ? (unsigned)r.rlim_cur - 128 : 512;
}
