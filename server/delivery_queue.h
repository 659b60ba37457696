/*
 * The outbox as delivery.c sees it: what is due, claims, and the record of attempts. Each is one
 * round trip for however many. One thread. Nothing else includes it.
 */
#ifndef SB_DELIVERY_QUEUE_H
#define SB_DELIVERY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app.h"
#include "db.h"
#include "request.h"

#define FLYING_MAX 512

enum attempt_state {
	ATTEMPT_FREE,
	ATTEMPT_FLYING, /* its transfer is under way */
	ATTEMPT_DONE,	/* over, and not recorded yet: it stays until it is */
};

/* Two outboxes: of the webhook endpoints, and of the recipients of notifications. */
enum attempt_kind { TO_ENDPOINT, TO_RECIPIENT, TO_MAILBOX };

struct attempt {
	enum attempt_state state;
	enum attempt_kind kind;
	char tenant[UUID_TEXT], id[UUID_TEXT];
	char endpoint[UUID_TEXT]; /* or recipient */
	bool failing;		  /* its endpoint, since earlier attempts */
	bool presence;		  /* or as urgent */
	bool permanent;		  /* its failure: trying again is of no use */
	int failures;		  /* attempts before this one */
	int status;		  /* of the answer; 0: none */
	long retry_after;
	const char *error; /* static */
};

/* What claim_delivery_1 or claim_notification_1 gives for an attempt; borrowed from the arena. */
struct message {
	struct attempt *attempt;   /* filled, still ATTEMPT_FREE */
	const char *url;	   /* or mail address */
	const char *secret_sealed; /* NULL: not signed */
	const char *subject;	   /* of an email */
	const char *format, *event_id, *payload, *request_id, *traceparent;
	int64_t sent_epoch;
};

struct delivery_queue {
	struct app *app;
	struct db *db;
	struct arena *arena;
	char instance[16];
	bool locked;	      /* by this connection */
	bool was_locked;      /* and earlier already: others may have lost their locks as well */
	int64_t orphans_from; /* monotonic milliseconds: before it no claim is taken for fallen */
	struct attempt attempts[FLYING_MAX];
};

bool queue_open(struct delivery_queue *, struct app *); /* false: no memory */
void queue_close(struct delivery_queue *);		/* the lock, and so all claims, fall */

/* Takes the advisory lock of this instance, and again after its connection was lost. ERR_LOCKED:
   another session holds it. */
enum err queue_lock(struct delivery_queue *);

/* Claims what may be attempted now: n messages in the arena, at most `room`. *more: there is
   further work, look again at once. */
enum err queue_take(struct delivery_queue *, bool orphans, struct message *messages, size_t room,
		    size_t *n, bool *more);

/* Records every attempt that is done, and frees it. *recorded: how many. On an error the others
   stay as they are. */
enum err queue_record(struct delivery_queue *, size_t *recorded);

#endif
