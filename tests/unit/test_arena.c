/* server/arena.c: alignment, zeroes, destructors, reset, failure. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"

static bool all_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Fills the arena twice with sizes on both sides of a chunk: what is handed out the second time was
   dirty before. */
static void test_aligned_zeroed_apart(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 16, 100, 3999, 4001, 7999, 8000, 8001, 70000 };
	struct arena *arena = arena_new();

	(void)state;
	assert_non_null(arena);
	for (int round = 0; round < 2; round++) {
		unsigned char *got[64][sizeof(sizes) / sizeof(sizes[0])];
		size_t used = 0;

		for (size_t n = 0; n < 64; n++)
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				unsigned char *p = arena_alloc(arena, sizes[i]);

				assert_non_null(p);
				assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
				assert_true(all_zero(p, sizes[i]));
				memset(p, (int)(n + i), sizes[i]);
				got[n][i] = p;
				used += sizes[i];
			}
		for (size_t n = 0; n < 64; n++)
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
				for (size_t k = 0; k < sizes[i]; k++)
					if (got[n][i][k] != (unsigned char)(n + i))
						fail_msg("%zu bytes were overwritten", sizes[i]);
		assert_int_equal(arena_used(arena), used);
		arena_reset(arena);
		assert_int_equal(arena_used(arena), 0);
	}
	arena_free(arena);
}

static void test_text(void **state)
{
	struct arena *arena = arena_new();
	char *big;

	(void)state;
	assert_string_equal(arena_strdup(arena, "abc"), "abc");
	assert_string_equal(arena_strdup(arena, ""), "");
	assert_null(arena_strdup(arena, NULL));
	assert_string_equal(arena_strndup(arena, "abc", 2), "ab");
	assert_string_equal(arena_strndup(arena, "abc", 9), "abc");
	assert_null(arena_strndup(arena, NULL, 3));
	assert_string_equal(arena_printf(arena, "%d %s", 42, "x"), "42 x");
	big = arena_printf(arena, "%*d", 20000, 7);
	assert_int_equal(strlen(big), 20000);
	assert_int_equal(big[19999], '7');
	arena_free(arena);
	arena_free(NULL);
}

static char order[8];

static void note(void *p)
{
	size_t n = strlen(order);

	order[n] = *(const char *)p;
	order[n + 1] = '\0';
}

static void test_destructors_last_first(void **state)
{
	struct arena *arena = arena_new();
	static char names[] = "abcd";

	(void)state;
	order[0] = '\0';
	assert_true(arena_defer(arena, note, &names[0]));
	assert_true(arena_defer(arena, note, &names[1]));
	assert_true(arena_defer(arena, free, malloc(10)));
	assert_true(arena_defer(arena, note, &names[2]));
	assert_string_equal(order, "");
	arena_reset(arena);
	assert_string_equal(order, "cba");
	arena_reset(arena);
	assert_string_equal(order, "cba");
	assert_true(arena_defer(arena, note, &names[3]));
	arena_free(arena);
	assert_string_equal(order, "cbad");
}

static void test_failure_stays(void **state)
{
	struct arena *arena = arena_new();
	static char name[] = "x";

	(void)state;
	order[0] = '\0';
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, 1));
	assert_null(arena_strdup(arena, "abc"));
	assert_null(arena_printf(arena, "abc"));
	assert_false(arena_defer(arena, note, name));
	assert_string_equal(order, "x");
	arena_reset(arena);
	assert_non_null(arena_alloc(arena, 1));
	assert_null(arena_alloc(arena, PTRDIFF_MAX - 8));
	arena_free(arena);
	assert_string_equal(order, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aligned_zeroed_apart),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_destructors_last_first),
		cmocka_unit_test(test_failure_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
