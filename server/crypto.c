#include "crypto.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "text.h"

#define KEY_ID 4
#define NONCE 12
#define TAG 16
#define AES_KEY 32

enum err crypto_init(void)
{
	/* What we use is in 3.6.3 (gnutls_aead_cipher_encrypt and GNUTLS_RND_KEY are older). */
	if (gnutls_check_version("3.6.3") == NULL || gnutls_global_init() != GNUTLS_E_SUCCESS)
		return ERR_INTERNAL;
	return ERR_OK;
}

enum err crypto_sha256(const void *data, size_t length, uint8_t out[static SHA256_LENGTH])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, data, length, out) == 0 ? ERR_OK : ERR_INTERNAL;
}

struct crypto_sha256 {
	gnutls_hash_hd_t handle;
};

struct crypto_sha256 *crypto_sha256_new(void)
{
	struct crypto_sha256 *hash = calloc(1, sizeof(*hash));

	if (hash != NULL && gnutls_hash_init(&hash->handle, GNUTLS_DIG_SHA256) != 0) {
		free(hash);
		return NULL;
	}
	return hash;
}

enum err crypto_sha256_add(struct crypto_sha256 *hash, const void *data, size_t length)
{
	return gnutls_hash(hash->handle, data, length) == 0 ? ERR_OK : ERR_INTERNAL;
}

void crypto_sha256_end(struct crypto_sha256 *hash, uint8_t out[static SHA256_LENGTH])
{
	gnutls_hash_output(hash->handle, out);
}

void crypto_sha256_free(struct crypto_sha256 *hash)
{
	if (hash == NULL)
		return;
	gnutls_hash_deinit(hash->handle, NULL);
	free(hash);
}

enum err crypto_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
			    uint8_t out[static SHA256_LENGTH])
{
	int e = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_length, data, length, out);

	return e == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err crypto_random(void *out, size_t length)
{
	return gnutls_rnd(GNUTLS_RND_KEY, out, length) == 0 ? ERR_OK : ERR_INTERNAL;
}

bool crypto_equal(const void *a, const void *b, size_t length)
{
	return gnutls_memcmp(a, b, length) == 0;
}

void crypto_wipe(void *data, size_t length)
{
	gnutls_memset(data, 0, length);
}

/* --- encodings ---------------------------------------------------------------------------------- */

/* GnuTLS's own decoder takes white space, and several texts for the same bytes: a secret or a page
   token must have one. */
static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode(struct arena *arena, const uint8_t *bytes, size_t length, const char *alphabet,
		    bool padded)
{
	char *text, *at;

	if (length > SIZE_MAX / 2)
		return NULL;
	text = at = arena_alloc(arena, (length + 2) / 3 * 4 + 1);
	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		const size_t n = length - i < 3 ? length - i : 3;
		uint32_t group = (uint32_t)bytes[i] << 16;

		if (n > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (n > 2)
			group |= bytes[i + 2];
		for (size_t k = 0; k < 4; k++) {
			if (k <= n)
				*at++ = alphabet[group >> (18 - 6 * k) & 63];
			else if (padded)
				*at++ = '=';
		}
	}
	*at = '\0';
	return text;
}

/* The value of a digit, or 64: none. */
static uint32_t digit(char c, const char *alphabet)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? 64 : (uint32_t)(at - alphabet);
}

static bool decode(const char *text, uint8_t *out, size_t max, size_t *length, const char *alphabet,
		   bool padded)
{
	size_t n = strlen(text), pads = 0, at = 0;
	uint32_t bits = 0;
	unsigned kept = 0;

	if (padded) {
		if (n % 4 != 0)
			return false;
		while (pads < 2 && n > 0 && text[n - 1] == '=') {
			n--;
			pads++;
		}
	}
	if (n % 4 == 1 || n / 4 * 3 + n % 4 * 3 / 4 > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		const uint32_t value = digit(text[i], alphabet);

		if (value > 63)
			return false;
		bits = bits << 6 | value;
		kept += 6;
		if (kept >= 8) {
			kept -= 8;
			out[at++] = (uint8_t)(bits >> kept);
		}
	}
	*length = at;
	return (bits & ((1U << kept) - 1)) == 0;
}

char *crypto_base64(struct arena *arena, const void *data, size_t length)
{
	return encode(arena, data, length, standard, true);
}

char *crypto_base64url(struct arena *arena, const void *data, size_t length)
{
	return encode(arena, data, length, for_urls, false);
}

bool crypto_unbase64(const char *text, uint8_t *out, size_t max, size_t *length)
{
	return decode(text, out, max, length, standard, true);
}

bool crypto_unbase64url(const char *text, uint8_t *out, size_t max, size_t *length)
{
	return decode(text, out, max, length, for_urls, false);
}

char *crypto_hex(struct arena *arena, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	char *text = length > SIZE_MAX / 4 ? NULL : arena_alloc(arena, 2 * length + 1);

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	return text;
}

bool crypto_unhex(const char *text, uint8_t *out, size_t max, size_t *length)
{
	const size_t n = strlen(text);

	if (n % 2 != 0 || n / 2 > max)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		const int high = text_hex_digit(text[i]), low = text_hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*length = n / 2;
	return true;
}

/* --- sealing ------------------------------------------------------------------------------------ */

static enum err key_id(const uint8_t key[static AES_KEY], uint8_t id[static KEY_ID])
{
	uint8_t digest[SHA256_LENGTH];

	if (crypto_sha256(key, AES_KEY, digest) != ERR_OK)
		return ERR_INTERNAL;
	memcpy(id, digest, KEY_ID);
	return ERR_OK;
}

static gnutls_aead_cipher_hd_t cipher_new(const uint8_t key[static AES_KEY])
{
	uint8_t copy[AES_KEY]; /* gnutls_datum_t is not const */
	gnutls_datum_t datum = { copy, sizeof(copy) };
	gnutls_aead_cipher_hd_t cipher = NULL;

	memcpy(copy, key, sizeof(copy));
	if (gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_GCM, &datum) != 0)
		cipher = NULL;
	crypto_wipe(copy, sizeof(copy));
	return cipher;
}

enum err crypto_seal(struct arena *arena, const uint8_t key[static AES_KEY], const char *aad,
		     const void *plain, size_t length, uint8_t **sealed, size_t *sealed_length)
{
	size_t room = length + TAG;
	gnutls_aead_cipher_hd_t cipher;
	uint8_t *out;
	int e = -1;

	if (length > SIZE_MAX / 2)
		return ERR_INTERNAL;
	out = arena_alloc(arena, KEY_ID + NONCE + room);
	if (out == NULL || key_id(key, out) != ERR_OK)
		return ERR_INTERNAL;
	/* Random nonces: safe for 2^32 messages under one key, far beyond our few secrets. */
	if (gnutls_rnd(GNUTLS_RND_NONCE, out + KEY_ID, NONCE) != 0)
		return ERR_INTERNAL;
	cipher = cipher_new(key);
	if (cipher == NULL)
		return ERR_INTERNAL;
	e = gnutls_aead_cipher_encrypt(cipher, out + KEY_ID, NONCE, aad, strlen(aad), TAG, plain,
				       length, out + KEY_ID + NONCE, &room);
	gnutls_aead_cipher_deinit(cipher);
	if (e != 0 || room != length + TAG)
		return ERR_INTERNAL;
	*sealed = out;
	*sealed_length = KEY_ID + NONCE + room;
	return ERR_OK;
}

enum err crypto_unseal(struct arena *arena, const uint8_t key[static AES_KEY], const char *aad,
		       const uint8_t *sealed, size_t sealed_length, uint8_t **plain, size_t *length)
{
	gnutls_aead_cipher_hd_t cipher;
	uint8_t id[KEY_ID];
	size_t room;
	uint8_t *out;
	int e;

	if (sealed_length < KEY_ID + NONCE + TAG || key_id(key, id) != ERR_OK ||
	    memcmp(id, sealed, KEY_ID) != 0)
		return ERR_INTERNAL;
	room = sealed_length - KEY_ID - NONCE - TAG;
	out = arena_alloc(arena, room + 1);
	cipher = out == NULL ? NULL : cipher_new(key);
	if (cipher == NULL)
		return ERR_INTERNAL;
	e = gnutls_aead_cipher_decrypt(cipher, sealed + KEY_ID, NONCE, aad, strlen(aad), TAG,
				       sealed + KEY_ID + NONCE, sealed_length - KEY_ID - NONCE, out,
				       &room);
	gnutls_aead_cipher_deinit(cipher);
	if (e != 0)
		return ERR_INTERNAL;
	*plain = out;
	*length = room;
	return ERR_OK;
}
