/*
 * router_find() and request_parse_query() on anything. Input: one byte for the method, then the
 * target; what follows its first '?' is the query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const allowed[] = { "page_size", "page_token", "state", "a", NULL };
static const struct route rows[] = {
	{ .method = "GET", .path = "/livez" },
	{ .method = "GET", .path = "/docs/" },
	{ .method = "GET", .path = "/v1/t/{tenant_id}/u", .query = allowed },
	{ .method = "POST", .path = "/v1/t/{tenant_id}/u" },
	{ .method = "GET", .path = "/v1/t/{tenant_id}/u/{user_id}" },
	{ .method = "POST", .path = "/v1/t/{tenant_id}/u/batch" },
	{ .method = "PUT", .path = "/v1/{a}/{b}/{c}/{d}" },
	{ 0 },
};
static const struct resource resource = { "rows", rows };
static const struct resource *const resources[] = { &resource, NULL };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_plain(const char *s, bool may_be_empty)
{
	size_t characters;

	require(text_plain(s, &characters) && (may_be_empty || characters > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "" };
	struct request req = { .arena = arena_new(), .request_id = "fuzz" };
	char *target, *query;
	enum err e;

	if (size < 1) {
		arena_free(req.arena);
		return 0;
	}
	target = arena_strndup(req.arena, (const char *)data + 1, size - 1);
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	req.method = methods[data[0] % (sizeof(methods) / sizeof(methods[0]))];
	req.target = target;
	req.query = query;
	e = router_find(resources, req.arena, req.method, target, &req.route, &req.match);
	require((e == ERR_OK) == (req.route != NULL));
	require((e == ERR_METHOD_NOT_ALLOWED) == (req.match.allow[0] != '\0'));
	if (e == ERR_OK)
		for (size_t i = 0; i < req.match.n; i++)
			require_plain(req.match.values[i], false);
	e = request_parse_query(&req, allowed);
	require((e == ERR_OK) == (req.detail == NULL));
	if (e == ERR_OK)
		for (size_t i = 0; i < req.n_params; i++)
			require_plain(req.params[i].value, true);
	reply_problem(&req, ERR_NOT_FOUND);
	require(req.reply.status == 404);
	arena_free(req.arena);
	return 0;
}
