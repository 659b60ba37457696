/* server/crypto.c: digests against published vectors, encodings, sealing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int open_arena(void **state)
{
	*state = arena_new();
	return *state == NULL || crypto_init() != ERR_OK;
}

static int close_arena(void **state)
{
	arena_free(*state);
	return 0;
}

static void digests(void **state)
{
	uint8_t out[SHA256_LENGTH];

	/* FIPS 180-4 and RFC 4231, case 2. */
	assert_int_equal(crypto_sha256("abc", 3, out), ERR_OK);
	assert_string_equal(crypto_hex(*state, out, sizeof(out)),
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(crypto_sha256("", 0, out), ERR_OK);
	assert_string_equal(crypto_hex(*state, out, sizeof(out)),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out),
			 ERR_OK);
	assert_string_equal(crypto_hex(*state, out, sizeof(out)),
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void digests_in_parts(void **state)
{
	static const char text[] = "what comes in parts is what comes at once";
	uint8_t whole[SHA256_LENGTH], parts[SHA256_LENGTH];

	(void)state;
	assert_int_equal(crypto_sha256(text, sizeof(text), whole), ERR_OK);
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		struct crypto_sha256 *hash = crypto_sha256_new();

		assert_non_null(hash);
		assert_int_equal(crypto_sha256_add(hash, text, cut), ERR_OK);
		assert_int_equal(crypto_sha256_add(hash, text + cut, sizeof(text) - cut), ERR_OK);
		crypto_sha256_end(hash, parts);
		crypto_sha256_free(hash);
		assert_memory_equal(parts, whole, sizeof(whole));
	}
	crypto_sha256_free(NULL);
}

static void random_bytes(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_int_equal(crypto_random(a, sizeof(a)), ERR_OK);
	assert_int_equal(crypto_random(b, sizeof(b)), ERR_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_false(crypto_equal(a, b, sizeof(a)));
	memcpy(b, a, sizeof(a));
	assert_true(crypto_equal(a, b, sizeof(a)));
	assert_true(crypto_equal(a, "", 0));
	crypto_wipe(a, sizeof(a));
	assert_memory_equal(a, (uint8_t[32]){ 0 }, sizeof(a));
}

static const struct {
	const char *plain, *base64, *base64url;
} encodings[] = {
	/* RFC 4648, 10 */
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbe", "+/++", "-_--" },
};

static void base64(void **state)
{
	uint8_t out[16];
	size_t length;

	for (size_t i = 0; i < LENGTH(encodings); i++) {
		const char *plain = encodings[i].plain;
		const size_t n = strlen(plain);

		assert_string_equal(crypto_base64(*state, plain, n), encodings[i].base64);
		assert_string_equal(crypto_base64url(*state, plain, n), encodings[i].base64url);
		assert_true(crypto_unbase64(encodings[i].base64, out, n, &length));
		assert_int_equal(length, n);
		assert_memory_equal(out, plain, n);
		assert_true(crypto_unbase64url(encodings[i].base64url, out, n, &length));
		assert_int_equal(length, n);
		assert_memory_equal(out, plain, n);
		assert_true(n == 0 || !crypto_unbase64(encodings[i].base64, out, n - 1, &length));
	}
}

static void base64_refused(void **state)
{
	static const char *const wrong[] = {
		"Zg",	  "Zg=",   "Zg===", "Z===", "====",	"=",	    "Zh==",	     "Zm9=",
		"Zg==\n", " Zg==", "Z g==", "Zm-v", "Zm9v====", "Zg==Zg==", "Zm9v\xc3\xa4=",
	};
	static const char *const wrong_url[] = {
		"Z", "Zg==", "Zh", "Zm9", "Zm+v", "Zm9v=", "Zm9vY"
	};
	uint8_t out[16];
	size_t length;

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++)
		assert_false(crypto_unbase64(wrong[i], out, sizeof(out), &length));
	for (size_t i = 0; i < LENGTH(wrong_url); i++)
		assert_false(crypto_unbase64url(wrong_url[i], out, sizeof(out), &length));
}

static void hex(void **state)
{
	static const char *const wrong[] = { "0", "0g", "g0", "0x", " 0", "00 ", "\xc3\xa4" };
	uint8_t out[4];
	size_t length;

	assert_string_equal(crypto_hex(*state, "\x00\x7f\xff", 3), "007fff");
	assert_string_equal(crypto_hex(*state, "", 0), "");
	assert_true(crypto_unhex("007fFF", out, sizeof(out), &length));
	assert_int_equal(length, 3);
	assert_memory_equal(out, "\x00\x7f\xff", 3);
	assert_true(crypto_unhex("", out, 0, &length));
	assert_false(crypto_unhex("0011223344", out, sizeof(out), &length));
	for (size_t i = 0; i < LENGTH(wrong); i++)
		assert_false(crypto_unhex(wrong[i], out, sizeof(out), &length));
}

static void sealing(void **state)
{
	static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	uint8_t key[32] = { 1 }, other[32] = { 2 };
	uint8_t *sealed, *again, *plain;
	size_t n, n_again, length;

	assert_int_equal(crypto_seal(*state, key, "t/e", secret, strlen(secret), &sealed, &n),
			 ERR_OK);
	assert_int_equal(n, 4 + 12 + strlen(secret) + 16);
	assert_int_equal(crypto_unseal(*state, key, "t/e", sealed, n, &plain, &length), ERR_OK);
	assert_int_equal(length, strlen(secret));
	assert_string_equal((const char *)plain, secret);

	/* Never twice the same, each key named by its own id. */
	assert_int_equal(crypto_seal(*state, key, "t/e", secret, strlen(secret), &again, &n_again),
			 ERR_OK);
	assert_memory_equal(sealed, again, 4);
	assert_memory_not_equal(sealed + 4, again + 4, 12);
	assert_memory_not_equal(sealed + 16, again + 16, n - 16);

	assert_int_equal(crypto_unseal(*state, key, "t/f", sealed, n, &plain, &length),
			 ERR_INTERNAL);
	assert_int_equal(crypto_unseal(*state, other, "t/e", sealed, n, &plain, &length),
			 ERR_INTERNAL);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(crypto_unseal(*state, key, "t/e", sealed, cut, &plain, &length),
				 ERR_INTERNAL);
	for (size_t at = 0; at < n; at++) {
		sealed[at] ^= 1;
		assert_int_equal(crypto_unseal(*state, key, "t/e", sealed, n, &plain, &length),
				 ERR_INTERNAL);
		sealed[at] ^= 1;
	}
	assert_int_equal(crypto_unseal(*state, key, "t/e", sealed, n, &plain, &length), ERR_OK);

	assert_int_equal(crypto_seal(*state, key, "", "", 0, &sealed, &n), ERR_OK);
	assert_int_equal(crypto_unseal(*state, key, "", sealed, n, &plain, &length), ERR_OK);
	assert_int_equal(length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),	  cmocka_unit_test(digests_in_parts),
		cmocka_unit_test(random_bytes),	  cmocka_unit_test(base64),
		cmocka_unit_test(base64_refused), cmocka_unit_test(hex),
		cmocka_unit_test(sealing),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
