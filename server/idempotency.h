/*
 * Idempotency-Key of the ordinary lane (api.md 1): the answer to a POST is kept, sealed, for 24 h, in
 * the transaction of what it did. Scoped by API key, method and path. Two requests under one key at
 * once: the second waits, parked outside any thread, for at most 5 s.
 *
 * Either of two ways of work:
 *	one transaction     idempotency_begin() ... idempotency_keep(), inside it
 *	many (users/batch)  idempotency_claim() ... idempotency_keep() or idempotency_drop(), each in a
 *	                    transaction of its own
 * A request without the field: every function is ERR_OK and does nothing.
 */
#ifndef SB_IDEMPOTENCY_H
#define SB_IDEMPOTENCY_H

#include <stdbool.h>

#include "crypto.h"
#include "request.h"

/* Of a request's body, for comparison: members in any order, any white space. */
enum err idempotency_hash(struct request *, uint8_t hash[static SHA256_LENGTH]);

/* Inside the transaction, before the handler. *replayed: req->reply is the kept answer, and nothing
   else is to be done. ERR_IDEMPOTENCY_KEY_REUSED: it was kept for another body.
   ERR_IDEMPOTENCY_IN_PROGRESS: another request with the key is running; park and try again. */
enum err idempotency_begin(struct request *, const uint8_t hash[static SHA256_LENGTH],
			   bool *replayed);

/* The same for a request of many transactions, whose body is not read yet. *kept: an answer is there;
   read the body, then ask idempotency_begin() for it. Otherwise the key is claimed for this instance
   until idempotency_keep() or idempotency_drop(). */
enum err idempotency_claim(struct request *, bool *kept);

/* Inside the transaction of the last write: keeps req->reply, which is a success. */
enum err idempotency_keep(struct request *, const uint8_t hash[static SHA256_LENGTH]);

/* Gives up a claim: the request failed. */
enum err idempotency_drop(struct request *);

#endif
