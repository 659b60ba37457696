/*
 * Every outgoing transfer, and the guard against SSRF: addresses that are not globally reachable
 * are refused at connect time unless SWITCHBACK_WEBHOOK_ALLOW_CIDRS allows them. The only module
 * that knows libcurl. One outbound belongs to one thread; outbound_wake from any. Email: outbound_mail.h.
 */
#ifndef SB_OUTBOUND_H
#define SB_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

struct outbound;

struct outbound_result {
	void *tag;	   /* as given to outbound_post */
	int status;	   /* HTTP status; 0: no answer */
	long retry_after;  /* seconds, -1: not said */
	const char *error; /* static: why there is no answer; "" otherwise */
};

bool outbound_ready(void);			      /* libcurl is; any thread */
struct outbound *outbound_new(const struct config *); /* NULL: no memory or no libcurl */
void outbound_free(struct outbound *);		      /* aborts what is under way */
/* Queues a POST: 5 s to connect, 15 s in all. headers: NULL-terminated "Name: value" lines; all
   copied. False: out of memory, or not a URL that may be called
   (then no result follows). */
bool outbound_post(struct outbound *, const char *url, const char *const *headers, const char *body,
		   size_t length, void *tag);
/* Works for at most timeout_ms, or until something finished or outbound_wake. */
void outbound_run(struct outbound *, int timeout_ms);
void outbound_wake(struct outbound *);
/* Finished transfers, one a call, in their order; what the body said is never told. False: none. */
bool outbound_next(struct outbound *, struct outbound_result *);
size_t outbound_in_flight(const struct outbound *);

/* May a webhook be sent there at all: scheme (https, or http where allowed), host, no userinfo, no
   fragment; a literal address must be allowed too. NULL: yes, else the rule that it breaks. Any
   thread. */
const char *outbound_check_url(const struct config *, const char *url);

/* Is it a URL for SWITCHBACK_SMTP_URL? NULL: yes, else the rule that it breaks. Any thread. */
const char *outbound_check_smtp_url(const char *url);

/* Is this address (4 bytes: IPv4; 16: IPv6, network byte order) globally reachable or allowed by
   the settings? IPv4 inside of IPv6 (mapped, NAT64, 6to4) is judged as the IPv4 that it is. */
bool outbound_allowed(const struct config *, const uint8_t *address, size_t length);

#endif
