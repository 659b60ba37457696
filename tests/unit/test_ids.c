/* server/ids.c: the layouts of RFC 9562, and that ids of a process rise. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fields.h"
#include "ids.h"

#include <cmocka.h>

#define MANY 20000
#define THREADS 4

static uint64_t milliseconds(const char *id)
{
	char digits[13];

	memcpy(digits, id, 8);
	memcpy(digits + 8, id + 9, 4);
	digits[12] = '\0';
	return strtoull(digits, NULL, 16);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_v7(void **state)
{
	char last[37] = "", id[37];
	uint64_t before = now_ms();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		id_v7(id);
		assert_int_equal(strlen(id), 36);
		assert_true(is_uuid(id));
		assert_int_equal(id[14], '7');
		assert_non_null(strchr("89ab", id[19]));
		assert_true(strcmp(last, id) < 0);
		memcpy(last, id, sizeof(last));
	}
	/* More ids a millisecond than it has fractions run ahead of the clock, but not far. */
	assert_in_range(milliseconds(id), before, now_ms() + MANY / 4096 + 1);
}

static void *make_many(void *ids)
{
	for (int i = 0; i < MANY; i++)
		id_v7(((char(*)[37])ids)[i]);
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_threads(void **state)
{
	char(*ids)[37] = calloc(THREADS * MANY, sizeof(*ids));
	pthread_t threads[THREADS];

	(void)state;
	assert_non_null(ids);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_many, ids + i * MANY), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	qsort(ids, THREADS * MANY, sizeof(*ids), by_text);
	for (int i = 1; i < THREADS * MANY; i++) /* the first 16 digits alone tell them apart */
		assert_true(memcmp(ids[i - 1], ids[i], 18) < 0);
	free(ids);
}

static void test_v8(void **state)
{
	uint8_t digest[32];
	char id[37];

	(void)state;
	for (int i = 0; i < 32; i++)
		digest[i] = (uint8_t)(i * 17);
	id_v8(digest, id);
	assert_string_equal(id, "00112233-4455-8677-8899-aabbccddeeff");
	memset(digest, 0xff, sizeof(digest));
	id_v8(digest, id);
	assert_string_equal(id, "ffffffff-ffff-8fff-bfff-ffffffffffff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v7),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_v8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
