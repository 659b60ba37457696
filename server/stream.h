/*
 * A body that is worked on while it arrives (BODY_STREAM), in memory that does not grow with it. The
 * loop collects a piece, suspends the connection and gives the request to the ordinary lane; the worker
 * runs the handler on the elements that are whole and gives the request back, and the loop reads on. So
 * each piece queues up like a request of its own, and no thread waits for the network.
 *
 * The handler runs outside any transaction, with req->db and req->stream; it keeps what it needs in
 * req->stream->work. It works on a bounded part of a piece, and sets req->stream->more where some is
 * left: then the request goes to the end of the queue first. With req->complete and nothing left it sets
 * the reply; an error of it is the reply at once, and what is left of the body is dropped.
 */
#ifndef SB_STREAM_H
#define SB_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "crypto.h"
#include "db.h"
#include "records.h"
#include "request.h"

#define STREAM_ELEMENT_MAX ((size_t)64 * 1024)

struct stream {
	struct records *records;
	size_t fresh;	/* bytes that came since the last piece was worked on */
	bool in_lane;	/* ... and it is being worked on: the loop keeps its hands off */
	bool more;	/* set by the handler: not all of the piece was worked on yet */
	int64_t run_ns; /* when the last piece was, or the body began */
	bool is_array;	/* application/json: one array; else lines */
	void *work;	/* of the handler; NULL before its first run */
	/* With an Idempotency-Key: */
	struct crypto_sha256 *hash; /* of the bytes of the body; NULL: there is no key */
	uint8_t digest[SHA256_LENGTH];
	bool digested;
	bool claimed;	/* the key is ours, until the end or stream_drop() */
	bool kept;	/* there is an answer: the body is only compared */
	bool abandoned; /* nobody waits for a reply: the claim is to be dropped */
};

/* Is it a content type that a stream has? */
bool stream_takes(const char *content_type);

/* For a request whose head is complete. NULL: out of memory. In its arena. */
struct stream *stream_new(struct request *);

/* On the loop: more of the body. False: out of memory. */
bool stream_add(struct stream *, const char *data, size_t n);
/* Enough for a piece, or it has waited for a second: it must be worked on before more is added. */
bool stream_is_due(const struct stream *);

/* On the worker, after the checks. req->reply.status stays 0 while more is to come.
   ERR_IDEMPOTENCY_IN_PROGRESS: nothing was done; try again. */
enum err stream_run(struct request *, struct db *);
/* On the worker: it has failed. Gives up the claim, and what is left of the body. */
void stream_drop(struct request *, struct db *);

#endif
