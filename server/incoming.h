/*
 * What comes in of a request, as the loop hears of it: header fields, then the body. Fills in a struct
 * request; what is wrong with it is noted, to be answered in the order of checks. Loop thread only.
 */
#ifndef SB_INCOMING_H
#define SB_INCOMING_H

#include <stdbool.h>
#include <stddef.h>

#include "request.h"

#define IDEMPOTENCY_KEY_MAX 255

struct incoming {
	struct request *req;
	const char *request_id, *traceparent, *length; /* of these fields; NULL: absent */
	unsigned hosts, lengths, authorizations, codings;
	bool bad_coding;
};

/* A header field. */
void incoming_header(struct incoming *, const char *name, const char *value);
/* That was the last one: finds the route, and sees what is wrong. */
void incoming_begin(struct incoming *, const char *method);

/* The largest body that the request may have. */
size_t incoming_max_body(const struct request *);
/* More of the body, kept in req->body. False: out of memory, or the connection is to be cut. */
bool incoming_body(struct request *, const char *data, size_t n);
/* More of a body that is not kept there. False: the connection is to be cut. */
bool incoming_drain(struct request *, size_t n);

#endif
