/*
 * Standard Webhooks 1.0.0 signatures (https://www.standardwebhooks.com): HMAC-SHA256 over
 * "id.timestamp.body" with the bytes of a whsec_ secret. Stateless; any thread.
 */
#ifndef SB_SIGNATURE_H
#define SB_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

/* A new secret: "whsec_" + base64 of 32 random bytes. NULL: out of memory or randomness. */
char *signature_new_secret(struct arena *);

/* "v1,<base64>" for one message; *out in the arena. timestamp: Unix seconds. ERR_INVALID_VALUE: not
   a whsec_ secret of 24 to 64 bytes; ERR_UNAVAILABLE: out of memory. */
enum err signature_make(struct arena *, const char *secret, const char *id, int64_t timestamp,
			const char *body, size_t length, char **out);

#endif
