/* See lenient.h. */
#include "lenient.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "emergency/call_request.h"

void lenient_notes(struct request *req, json_t *warnings)
{
	for (size_t i = 0; i < req->n_errors; i++)
		warn(warnings, "ignored_member", "The %s %s.",
		     strcmp(req->errors[i].pointer, QUERY_NOTE) ? "body" : "query",
		     req->errors[i].detail);
	req->n_errors = 0;
}

static void release(void *text)
{
	free(text);
}

const char *lenient_dump(struct arena *arena, const json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	return text && arena_defer(arena, release, text) ? text : NULL;
}

const char *lenient_instance(struct request *req)
{
	return arena_printf(req->arena, "%ld", (long)req->app->instance);
}
