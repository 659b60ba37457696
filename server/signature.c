#include "signature.h"

#include <string.h>

#include "crypto.h"

#define PREFIX "whsec_"
#define NEW_KEY 32
/* What the specification asks of a key. */
#define KEY_MIN 24
#define KEY_MAX 64

char *signature_new_secret(struct arena *arena)
{
	uint8_t key[NEW_KEY];
	char *text, *secret = NULL;

	if (crypto_random(key, sizeof(key)) != ERR_OK)
		return NULL;
	text = crypto_base64(arena, key, sizeof(key));
	crypto_wipe(key, sizeof(key));
	if (text != NULL) {
		secret = arena_printf(arena, PREFIX "%s", text);
		crypto_wipe(text, strlen(text));
	}
	return secret;
}

/* The key of a secret; its length, 0: it is none. */
static size_t key_of(const char *secret, uint8_t key[static KEY_MAX])
{
	const size_t prefix = strlen(PREFIX);
	size_t length;

	if (strncmp(secret, PREFIX, prefix) != 0 ||
	    !crypto_unbase64(secret + prefix, key, KEY_MAX, &length) || length < KEY_MIN)
		return 0;
	return length;
}

enum err signature_make(struct arena *arena, const char *secret, const char *id, int64_t timestamp,
			const char *body, size_t length, char **out)
{
	uint8_t key[KEY_MAX], digest[SHA256_LENGTH];
	const size_t key_length = key_of(secret, key);
	char *head, *text = NULL;
	size_t n = 0;
	enum err e = ERR_UNAVAILABLE;

	if (key_length == 0)
		return ERR_INVALID_VALUE;
	head = arena_printf(arena, "%s.%lld.", id, (long long)timestamp);
	if (head != NULL) {
		n = strlen(head);
		text = arena_alloc(arena, n + length);
	}
	if (text != NULL) {
		memcpy(text, head, n);
		memcpy(text + n, body, length);
		e = crypto_hmac_sha256(key, key_length, text, n + length, digest);
	}
	crypto_wipe(key, sizeof(key));
	if (e != ERR_OK)
		return e;
	text = crypto_base64(arena, digest, sizeof(digest));
	*out = text == NULL ? NULL : arena_printf(arena, "v1,%s", text);
	return *out == NULL ? ERR_UNAVAILABLE : ERR_OK;
}
