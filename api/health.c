/*
 * The service itself: alive, ready, counted, described. No key, no database round trip: answered on
 * the loop.
 */
#include <string.h>

#include "resources.h"
#include "server/assets.h"
#include "server/db.h"
#include "server/metrics.h"
#include "server/request.h"

static enum err livez(struct request *req)
{
	return reply_json(req, 200, "{\"status\":\"ok\"}");
}

static enum err readyz(struct request *req)
{
	if (!db_health_up(req->app->health))
		return fail(req, ERR_UNAVAILABLE, "The database does not answer.");
	return reply_json(req, 200, "{\"status\":\"ok\",\"database\":\"ok\"}");
}

static enum err reply_text(struct request *req, const char *type, const char *text, size_t length)
{
	if (!text)
		return ERR_UNAVAILABLE;
	req->reply = (struct reply){
		.status = 200, .content_type = type, .body = text, .length = length
	};
	return ERR_OK;
}

static enum err metrics(struct request *req)
{
	const char *text = metrics_text(req->app->metrics, req->arena);

	return reply_text(req, "text/plain; version=0.0.4; charset=utf-8", text,
			  text ? strlen(text) : 0);
}

static enum err openapi(struct request *req)
{
	const struct asset a = asset_openapi();

	return reply_text(req, "application/yaml", a.data, a.length);
}

/* What the `type` of a problem leads to. */
static enum err problem(struct request *req)
{
	const char *code = request_path(req, "code");
	const enum err e = err_by_code(code, strlen(code));
	const struct err_info *info = err_info(e);
	const char *json;

	if (!e)
		return fail(req, ERR_NOT_FOUND, "There is no problem of this code.");
	json = arena_printf(req->arena,
			    "{\"code\":\"%s\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"}",
			    info->code, info->title, info->status, info->detail);
	return json ? reply_json(req, 200, json) : ERR_UNAVAILABLE;
}

static const struct route routes[] = {
	{ .method = "GET",
	  .path = "/livez",
	  .operation_id = "getLiveness",
	  .is_public = true,
	  .handler = livez },
	{ .method = "GET",
	  .path = "/readyz",
	  .operation_id = "getReadiness",
	  .is_public = true,
	  .handler = readyz },
	{ .method = "GET",
	  .path = "/metrics",
	  .operation_id = "getMetrics",
	  .is_public = true,
	  .handler = metrics },
	{ .method = "GET",
	  .path = "/openapi.yaml",
	  .operation_id = "getOpenapi",
	  .is_public = true,
	  .handler = openapi },
	{ .method = "GET",
	  .path = "/problems/{code}",
	  .operation_id = "getProblem",
	  .is_public = true,
	  .handler = problem },
	{ .method = NULL },
};

const struct resource health_resource = { "health", routes };
