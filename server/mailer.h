/*
 * Emails, sent by a few threads of its own: a mail server that is slow holds up other emails at
 * worst, and no webhook. Owned by delivery.c; everything but start and stop from one thread.
 */
#ifndef SB_MAILER_H
#define SB_MAILER_H

#include <stdbool.h>

#include "config.h"

struct mailer;
struct outbound;

struct mailer_result {
	void *tag;	   /* as given to mailer_send */
	int status;	   /* reply code of SMTP; 0: no answer */
	const char *error; /* static */
};

/* Wakes the outbound whenever a result is there. NULL: no threads or memory. */
struct mailer *mailer_start(const struct config *, struct outbound *wakes);
/* Cuts off what is under way. NULL: nothing. */
void mailer_stop(struct mailer *);

/* Queues an email; copied. False: out of memory (then no result follows). */
bool mailer_send(struct mailer *, const char *to, const char *message, void *tag);
bool mailer_next(struct mailer *, struct mailer_result *); /* false: none is over */
bool mailer_busy(struct mailer *);			   /* some are queued or under way */

#endif
