/* See documents.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "documents.h"

struct arena *arena;

int begin_documents(void **state)
{
	(void)state;
	arena = arena_new();
	return arena ? 0 : -1;
}

int end_documents(void **state)
{
	(void)state;
	arena_free(arena);
	arena = NULL;
	return 0;
}

static void release(void *json)
{
	json_decref(json);
}

json_t *doc(const char *text)
{
	char *quoted = arena_strdup(arena, text);
	json_error_t error;
	json_t *json;

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(quoted, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
			  &error);
	if (!json)
		fail_msg("%s: %s", error.text, text);
	assert_true(arena_defer(arena, release, json));
	return json;
}

json_t *doc_of(const char *text)
{
	json_error_t error;
	json_t *json = text ? json_loads(text, JSON_REJECT_DUPLICATES, &error) : NULL;

	if (!json)
		fail_msg("%s", text ? text : "no text");
	assert_true(arena_defer(arena, release, json));
	return json;
}

const char *dump(const json_t *json)
{
	char *text = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
	const char *copy = arena_strdup(arena, text ? text : "nothing");

	free(text);
	return copy;
}

bool holds(const json_t *got, const json_t *want)
{
	const char *name;
	json_t *v;
	size_t i;

	if (json_is_null(want))
		return !got || json_is_null(got);
	if (json_is_object(want)) {
		json_object_foreach ((json_t *)(uintptr_t)want, name, v)
			if (!holds(json_object_get(got, name), v))
				return false;
		return json_is_object(got);
	}
	if (!json_is_array(want))
		return json_equal(got, want);
	json_array_foreach (want, i, v)
		if (!holds(json_array_get(got, i), v))
			return false;
	return json_is_array(got) && json_array_size(got) == json_array_size(want);
}

void must_hold(const json_t *got, const char *want)
{
	if (holds(got, doc(want)))
		return;
	fprintf(stderr, "want %s\ngot  %s\n", want, dump(got)); /* cmocka cuts what is long */
	fail();
}
