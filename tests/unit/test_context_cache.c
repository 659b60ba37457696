/*
 * server/context_cache.c: what is put is got, by its whole key; what is not kept is not there. That
 * a document may be old is the caller's business: its versions are compared at commit.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/context_cache.h"

#define DOCUMENT_MAX 16384 /* bytes of a document with its NUL; larger ones are not kept */
#define MANY 30000	   /* keys: more than there is room for */
#define THREADS 4
#define ROUNDS 5000

static struct context_cache *cache;
static struct arena *arena;

static int begin(void **state)
{
	(void)state;
	cache = context_cache_new();
	arena = arena_new();
	return cache && arena ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	context_cache_free(cache);
	arena_free(arena);
	return 0;
}

static char *filled(size_t length)
{
	char *text = arena_alloc(arena, length + 1);

	memset(text, 'x', length);
	return text;
}

static void test_what_was_never_put_is_not_there(void **state)
{
	(void)state;
	assert_null(context_cache_get(cache, arena, "a"));
	assert_null(context_cache_get(cache, arena, ""));
}

static void test_what_was_put_is_got(void **state)
{
	static const char *const documents[] = { "{}", "", "{\"user\": \"\xc3\xa9\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		context_cache_put(cache, "a", documents[i]);
		assert_string_equal(context_cache_get(cache, arena, "a"), documents[i]);
	}
	context_cache_put(cache, "", "empty key");
	assert_string_equal(context_cache_get(cache, arena, ""), "empty key");
}

static void test_the_whole_key_counts(void **state)
{
	static const char *const others[] = { "", "t|1|", "t|1|u|0|", "t|1|u|0||x", "T|1|u|0||" };

	(void)state;
	context_cache_put(cache, "t|1|u|0||", "{}");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_null(context_cache_get(cache, arena, others[i]));
	assert_non_null(context_cache_get(cache, arena, "t|1|u|0||"));
}

/* Both are copies: neither the caller's buffers nor a later put change what was given. */
static void test_put_and_get_copy(void **state)
{
	char key[] = "key", document[] = "first";
	char *got;

	(void)state;
	context_cache_put(cache, key, document);
	memset(document, '?', sizeof(document) - 1);
	got = context_cache_get(cache, arena, key);
	memset(key, '?', sizeof(key) - 1);
	assert_string_equal(got, "first");
	context_cache_put(cache, "key", "second");
	assert_string_equal(got, "first");
	assert_string_equal(context_cache_get(cache, arena, "key"), "second");
	got[0] = '?';
	assert_string_equal(context_cache_get(cache, arena, "key"), "second");
}

static void test_document_of_16_kib_is_kept_and_a_larger_one_is_not(void **state)
{
	const char *largest = filled(DOCUMENT_MAX - 100);

	(void)state;
	context_cache_put(cache, "a", largest);
	assert_string_equal(context_cache_get(cache, arena, "a"), largest);
	context_cache_put(cache, "b", filled(DOCUMENT_MAX));
	assert_null(context_cache_get(cache, arena, "b"));
}

/* Or a tenant that grew would be decided from its old document first, at every single call. */
static void test_document_that_is_not_kept_leaves_no_older_one(void **state)
{
	(void)state;
	context_cache_put(cache, "a", "old");
	context_cache_put(cache, "a", filled(DOCUMENT_MAX));
	assert_null(context_cache_get(cache, arena, "a"));
}

/* A guest's reference is part of the key, and may be as long as a body: slots times it is too much. */
static void test_long_key_is_not_kept(void **state)
{
	const char *key = filled(60000);

	(void)state;
	context_cache_put(cache, key, "{}");
	assert_null(context_cache_get(cache, arena, key));
}

/* Keys that fall on one slot replace each other, and none ever gets another's document. */
static void test_collisions_replace(void **state)
{
	size_t kept = 0;
	char key[32];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		context_cache_put(cache, key, key);
		assert_string_equal(context_cache_get(cache, arena, key), key);
		arena_reset(arena);
	}
	for (int i = 0; i < MANY; i++) {
		const char *got;

		snprintf(key, sizeof(key), "key %d", i);
		got = context_cache_get(cache, arena, key);
		if (got) {
			assert_string_equal(got, key);
			kept++;
		}
		arena_reset(arena);
	}
	assert_in_range(kept, MANY / 10, MANY - 1);
}

static void *put_and_get(void *wrong)
{
	struct arena *own = arena_new();
	char key[32], document[64];

	for (int i = 0; own && i < ROUNDS; i++) {
		const char *got;

		snprintf(key, sizeof(key), "key %d", i % 7);
		snprintf(document, sizeof(document), "%s, round %d", key, i);
		context_cache_put(cache, key, document);
		got = context_cache_get(cache, own, key);
		if (!got || strncmp(got, key, strlen(key)) != 0)
			*(bool *)wrong = true;
		arena_reset(own);
	}
	arena_free(own);
	return NULL;
}

static void test_any_thread_at_once(void **state)
{
	pthread_t threads[THREADS];
	bool wrong[THREADS] = { false };

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, &wrong[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_false(wrong[i]);
	}
}

static void test_freeing_none_is_fine(void **state)
{
	(void)state;
	context_cache_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_never_put_is_not_there),
		TEST(test_what_was_put_is_got),
		TEST(test_the_whole_key_counts),
		TEST(test_put_and_get_copy),
		TEST(test_document_of_16_kib_is_kept_and_a_larger_one_is_not),
		TEST(test_document_that_is_not_kept_leaves_no_older_one),
		TEST(test_long_key_is_not_kept),
		TEST(test_collisions_replace),
		TEST(test_any_thread_at_once),
		cmocka_unit_test(test_freeing_none_is_fine),
	};

	return cmocka_run_group_tests_name("context_cache", tests, NULL, NULL);
}
