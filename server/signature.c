/* See signature.h. */
#include "signature.h"

#include <string.h>

#include "crypto.h"

#define PREFIX "whsec_"
#define SECRET_BYTES 32
#define SECRET_MIN 24 /* bytes, by the specification */
#define SECRET_MAX 64

char *signature_new_secret(struct arena *arena)
{
	uint8_t bytes[SECRET_BYTES];
	const char *text;

	if (crypto_random(bytes, sizeof(bytes)))
		return NULL;
	text = crypto_base64(arena, bytes, sizeof(bytes));
	return text ? arena_printf(arena, PREFIX "%s", text) : NULL;
}

enum err signature_make(struct arena *arena, const char *secret, const char *id, int64_t timestamp,
			const char *body, size_t length, char **out)
{
	uint8_t key[SECRET_MAX], mac[SHA256_LENGTH];
	size_t key_length = 0, head;
	const char *text;
	char *signed_text;
	enum err err;

	if (strncmp(secret, PREFIX, strlen(PREFIX)) ||
	    !crypto_unbase64(secret + strlen(PREFIX), key, sizeof(key), &key_length) ||
	    key_length < SECRET_MIN)
		return ERR_INVALID_VALUE;
	signed_text = arena_printf(arena, "%s.%lld.", id, (long long)timestamp);
	head = signed_text ? strlen(signed_text) : 0;
	/* The body may hold anything: no format of its own. */
	text = signed_text;
	signed_text = text ? arena_alloc(arena, head + length + 1) : NULL;
	if (!signed_text)
		return ERR_UNAVAILABLE;
	memcpy(signed_text, text, head);
	memcpy(signed_text + head, body, length);
	err = crypto_hmac_sha256(key, key_length, signed_text, head + length, mac);
	text = err ? NULL : crypto_base64(arena, mac, sizeof(mac));
	*out = text ? arena_printf(arena, "v1,%s", text) : NULL;
	return *out ? ERR_OK : err ? err : ERR_UNAVAILABLE;
}
