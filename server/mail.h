/*
 * The text of an email (RFC 5322, MIME): short ASCII lines that end in CRLF, whatever is in subject
 * and text. Pure; any thread.
 */
#ifndef SB_MAIL_H
#define SB_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

struct mail {
	const char *from, *to; /* mail_is_address() */
	const char *
		id; /* unique, of letters, digits and '-': with the domain of `from` the Message-ID */
	int64_t date;	     /* seconds since 1970, UTC */
	const char *subject; /* UTF-8; control characters become spaces */
	const char *text;    /* UTF-8, lines with '\n' */
};

/* A mailbox as HTML forms take it (WHATWG): a subset of RFC 5321 without quoting, comments and
   address literals, so that it can stand in a header as it is. Whether it exists shows only when a
   mail is sent. */
bool mail_is_address(const char *);

/* Headers and body, in the arena; NULL: out of memory, or not addresses. */
char *mail_make(struct arena *, const struct mail *);

#endif
