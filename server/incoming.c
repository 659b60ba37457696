#include "incoming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ids.h"
#include "stream.h"
#include "trace.h"

#define DEFAULT_BODY ((size_t)64 * 1024)
#define DRAIN_MAX \
	((size_t)32 * 1024 * 1024) /* of a body that is too large; past it the connection is cut */

/* Several lines of a field that is a list are one list (RFC 9110 5.3). */
static void join(struct request *req, const char **list, const char *value)
{
	*list = *list ? arena_printf(req->arena, "%s, %s", *list, value)
		      : arena_strdup(req->arena, value);
}

void incoming_header(struct incoming *in, const char *name, const char *value)
{
	struct request *req = in->req;
	struct arena *arena = req->arena;
	const struct {
		const char *name;
		const char **to;
		unsigned *count;
	} known[] = {
		{ "Authorization", &req->authorization, &in->authorizations },
		{ "Content-Type", &req->content_type, NULL },
		{ "Idempotency-Key", &req->idempotency_key, NULL },
		{ "X-Request-Id", &in->request_id, NULL },
		{ "traceparent", &in->traceparent, NULL },
		{ "Content-Length", &in->length, &in->lengths },
		{ "Host", NULL, &in->hosts },
		{ "Transfer-Encoding", NULL, &in->codings },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcasecmp(name, known[i].name))
			continue;
		if (known[i].to)
			*known[i].to = arena_strdup(arena, value);
		if (known[i].count)
			++*known[i].count;
	}
	if (!strcasecmp(name, "If-Match"))
		join(req, &req->if_match, value);
	if (!strcasecmp(name, "If-None-Match"))
		join(req, &req->if_none_match, value);
	if (!strcasecmp(name, "Transfer-Encoding") && strcasecmp(value, "chunked"))
		in->bad_coding = true;
}

static void take_trace(struct request *req, const char *id, const char *parent)
{
	if (id && trace_is_id(id, sizeof(req->request_id) - 1))
		snprintf(req->request_id, sizeof(req->request_id), "%s", id);
	else
		id_v7(req->request_id);
	if (parent && trace_is_parent(parent))
		snprintf(req->traceparent, sizeof(req->traceparent), "%s", parent);
	else
		trace_new_parent(req->traceparent);
}

/* "abc" or abc. Where calls are handled, anything else is as if it were not there: none is refused for
   its header. Elsewhere dispatch_check() looks at its length. */
static const char *bare_key(struct request *req, const char *value)
{
	const bool lenient = req->route && req->route->lane == LANE_EMERGENCY;
	size_t n = value ? strlen(value) : 0;

	if (!value)
		return NULL;
	if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
		value++;
		n -= 2;
	}
	if (lenient && (n < 1 || n > IDEMPOTENCY_KEY_MAX))
		return NULL;
	return arena_strndup(req->arena, value, n);
}

static void early(struct request *req, enum err e, const char *detail)
{
	if (req->early)
		return;
	req->early = e;
	req->early_detail = detail;
}

size_t incoming_max_body(const struct request *req)
{
	return req->route && req->route->max_body ? req->route->max_body : DEFAULT_BODY;
}

/* A body that says that it is too large is refused before anything is done. */
static void begin_stream(struct request *req, const char *length)
{
	req->stream = stream_new(req);
	if (!req->stream)
		early(req, ERR_UNAVAILABLE, NULL);
	req->body_too_large = length && strtoull(length, NULL, 10) > incoming_max_body(req);
}

void incoming_begin(struct incoming *in, const char *method)
{
	struct request *req = in->req;
	const enum err found = router_find(req->app->resources, req->arena, method, req->target,
					   &req->route, &req->match);

	req->method = arena_strdup(req->arena, method);
	take_trace(req, in->request_id, in->traceparent);
	req->idempotency_key = bare_key(req, req->idempotency_key);
	if (in->lengths > 1 || in->hosts > 1 || in->authorizations > 1)
		early(req, ERR_BAD_REQUEST,
		      "Content-Length, Host and Authorization may be given once only.");
	if (in->codings > 1 || in->bad_coding || (in->codings && in->lengths))
		early(req, ERR_BAD_REQUEST,
		      "Transfer-Encoding must be chunked, without Content-Length.");
	if (!req->method)
		early(req, ERR_UNAVAILABLE, NULL);
	if (found)
		early(req, found, NULL);
	else if (!router_ids_fit(&req->match))
		early(req, ERR_NOT_FOUND, NULL);
	if (!req->early && req->route->body == BODY_STREAM)
		begin_stream(req, in->length);
}

bool incoming_drain(struct request *req, size_t n)
{
	req->body_length += n;
	return req->body_length <= DRAIN_MAX;
}

bool incoming_body(struct request *req, const char *data, size_t n)
{
	char *more;

	if (req->body_too_large || req->early)
		return incoming_drain(req, n);
	if (req->body_length + n > incoming_max_body(req)) {
		req->body_too_large = true;
		free(req->body);
		req->body = NULL;
		req->body_length += n;
		return true;
	}
	more = realloc(req->body, req->body_length + n + 1);
	if (!more)
		return false;
	memcpy(more + req->body_length, data, n);
	req->body = more;
	req->body_length += n;
	more[req->body_length] = '\0';
	return true;
}
