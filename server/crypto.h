/*
 * Everything that GnuTLS does for us: digests, MACs, random bytes, sealing; and the encodings that
 * go with them. Stateless; any thread. The only module that includes GnuTLS headers.
 */
#ifndef SB_CRYPTO_H
#define SB_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

#define SHA256_LENGTH 32

enum err crypto_init(void); /* once, before any thread */

enum err crypto_sha256(const void *data, size_t length, uint8_t out[static SHA256_LENGTH]);
/* The same of what comes in parts. NULL: out of memory. end: once, after the last part. */
struct crypto_sha256;
struct crypto_sha256 *crypto_sha256_new(void);
enum err crypto_sha256_add(struct crypto_sha256 *, const void *data, size_t length);
void crypto_sha256_end(struct crypto_sha256 *, uint8_t out[static SHA256_LENGTH]);
void crypto_sha256_free(struct crypto_sha256 *);
enum err crypto_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
			    uint8_t out[static SHA256_LENGTH]);
enum err crypto_random(void *out, size_t length);
/* Time depends on length only. */
bool crypto_equal(const void *a, const void *b, size_t length);
/* Forgets a secret: the compiler may not leave it out. */
void crypto_wipe(void *data, size_t length);

/* base64 with padding (RFC 4648 4), base64url without (RFC 4648 5), lower-case hex. In the arena;
   NULL: out of memory. */
char *crypto_base64(struct arena *, const void *data, size_t length);
char *crypto_base64url(struct arena *, const void *data, size_t length);
char *crypto_hex(struct arena *, const void *data, size_t length);
/* Strict decoding; false: not base64 (or hex), not the one encoding of these bytes, or longer than
   max. Hex of either case. */
bool crypto_unbase64(const char *text, uint8_t *out, size_t max, size_t *length);
bool crypto_unbase64url(const char *text, uint8_t *out, size_t max, size_t *length);
bool crypto_unhex(const char *text, uint8_t *out, size_t max, size_t *length);

/* AES-256-GCM. sealed = key id (4 bytes: first of SHA-256 of the key) | nonce (12) | ciphertext |
   tag (16). aad binds it to its place ("tenant/endpoint"). crypto_unseal: ERR_INTERNAL where it
   does not verify or was sealed under another key; a NUL follows the plain bytes. */
enum err crypto_seal(struct arena *, const uint8_t key[static 32], const char *aad,
		     const void *plain, size_t length, uint8_t **sealed, size_t *sealed_length);
enum err crypto_unseal(struct arena *, const uint8_t key[static 32], const char *aad,
		       const uint8_t *sealed, size_t sealed_length, uint8_t **plain,
		       size_t *length);

#endif
