/*
 * One email through SWITCHBACK_SMTP_URL. It blocks: libcurl waits for some of SMTP's replies inside of its
 * calls, whatever interface it is used by. The server is the operator's choice: no guard.
 */
#ifndef SB_OUTBOUND_MAIL_H
#define SB_OUTBOUND_MAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* The connection of one thread, which another one may cut. */
struct outbound_line {
	pthread_mutex_t mutex;
	int fd;	  /* -1: none */
	bool cut; /* and stays so */
};

bool outbound_line_init(struct outbound_line *);
void outbound_line_destroy(struct outbound_line *);
/* Ends what is under way on it within a second, and refuses what follows. Any thread. */
void outbound_line_cut(struct outbound_line *);

/* At most 30 s, and 10 s a reply; STARTTLS where it is offered. The reply code of SMTP: 250 where the
   server has taken it; 0: there was none. *error: static, why not; "" otherwise. */
int outbound_mail(const struct config *, struct outbound_line *, const char *to,
		  const char *message, size_t length, const char **error);

#endif
