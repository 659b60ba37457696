#include "merge_patch.h"

#include <stdint.h>

/* A member that was no object becomes one: RFC 7396 merges into an empty one. */
static json_t *object_in(json_t *target, const char *name)
{
	json_t *inner = json_object_get(target, name);

	if (json_is_object(inner))
		return inner;
	return json_object_set_new(target, name, json_object()) == 0 ? json_object_get(target, name)
								     : NULL;
}

bool merge_patch(json_t *target, const json_t *patch)
{
	const char *name;
	json_t *value;

	/* jansson's iterators want to be able to change what they walk over; this one does not. */
	json_object_foreach ((json_t *)(uintptr_t)patch, name, value) {
		json_t *inner;

		if (json_is_null(value)) {
			(void)json_object_del(target, name); /* -1: it was not there */
			continue;
		}
		if (!json_is_object(value)) {
			if (json_object_set(target, name, value) != 0)
				return false;
			continue;
		}
		inner = object_in(target, name);
		if (inner == NULL || !merge_patch(inner, value))
			return false;
	}
	return true;
}
