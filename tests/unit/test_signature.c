/* server/signature.c: the vector that the Standard Webhooks libraries share, and secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto.h"
#include "signature.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define BODY "{\"test\": 2432232314}"

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

static void shared_vector(void **state)
{
	char *signature;

	assert_int_equal(
		signature_make(*state, SECRET, ID, 1614265330, BODY, strlen(BODY), &signature),
		ERR_OK);
	assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

/* Id, time and body each count, and where one ends and the next begins. */
static void all_of_it_is_signed(void **state)
{
	static const struct {
		const char *id, *body;
		int64_t at;
	} messages[] = {
		{ "a", "b", 1 }, { "b", "b", 1 },   { "a", "a", 1 },   { "a", "b", 2 },
		{ "a", "", 1 },	 { "a", "1.b", 1 }, { "a.1", "b", 1 }, { "", "a.b", 1 },
	};
	char *made[LENGTH(messages)];

	for (size_t i = 0; i < LENGTH(messages); i++) {
		assert_int_equal(signature_make(*state, SECRET, messages[i].id, messages[i].at,
						messages[i].body, strlen(messages[i].body),
						&made[i]),
				 ERR_OK);
		/* "a.1" at 1 with "b", and "a" at 1 with "1.b", are one text: ids hold no dot. */
		for (size_t k = 0; k < i; k++)
			if (!(k == 5 && i == 6))
				assert_string_not_equal(made[i], made[k]);
	}
}

static void secrets_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"whsec_",
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
		/* 21 and 66 bytes */
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La",
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	char *signature;

	for (size_t i = 0; i < LENGTH(wrong); i++)
		assert_int_equal(
			signature_make(*state, wrong[i], ID, 1, BODY, strlen(BODY), &signature),
			ERR_INVALID_VALUE);
}

static void new_secrets(void **state)
{
	char *a = signature_new_secret(*state), *b = signature_new_secret(*state), *signature;
	uint8_t key[32];
	size_t length;

	assert_non_null(a);
	assert_non_null(b);
	assert_string_not_equal(a, b);
	assert_memory_equal(a, "whsec_", 6);
	assert_true(crypto_unbase64(a + 6, key, sizeof(key), &length));
	assert_int_equal(length, 32);
	assert_int_equal(signature_make(*state, a, ID, 1, BODY, strlen(BODY), &signature), ERR_OK);
	assert_int_equal(strlen(signature), 3 + 44);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_vector),
		cmocka_unit_test(all_of_it_is_signed),
		cmocka_unit_test(secrets_refused),
		cmocka_unit_test(new_secrets),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
