/*
 * Our own table of connections, since libmicrohttpd's limit shuts the listener before a path is
 * known and its time-out counts idle time only: a complete request within 10 s of its request line, or
 * for a body that is taken in as it arrives never 10 s without more of it, and 14 minutes in all; 60 s between requests, and above 90 % of the limit the longest idle one goes. What is being
 * worked on is never cut. Loop thread only.
 */
#ifndef SB_CONNECTIONS_H
#define SB_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections;

struct connections *connections_new(size_t limit); /* NULL: out of memory */
void connections_free(struct connections *);

/* id: any pointer that names the connection; fd: its socket. */
void connection_open(struct connections *, const void *id, int fd);
void connection_closed(struct connections *, const void *id);
void connection_busy(struct connections *, const void *id); /* a request has begun */
/* Of a body that is worked on while it arrives, or only dropped, some has arrived. */
void connection_receiving(struct connections *, const void *id, int64_t now_ns);
void connection_working(struct connections *, const void *id); /* it is complete */
void connection_idle(struct connections *, const void *id);    /* it has been answered */

/* Cuts what is overdue; at most once a second, else free. */
void connections_check(struct connections *, int64_t now_ns);

#endif
