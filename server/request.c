#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repair.h"
#include "text.h"

#define MAX_DEPTH 16

/* --- refusing ----------------------------------------------------------------------------------- */

static const char *format(struct request *req, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* What is told may quote bytes of the client, and must be JSON text. */
static const char *format(struct request *req, const char *fmt, va_list ap)
{
	char *text = arena_vprintf(req->arena, fmt, ap);

	if (text != NULL)
		text_repair(text);
	return text;
}

enum err fail(struct request *req, enum err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	req->detail = format(req, fmt, ap);
	va_end(ap);
	return e;
}

enum err fail_member(struct request *req, enum err e, const char *pointer, const char *fmt, ...)
{
	const char *detail, *subject = pointer;
	char *copy;
	va_list ap;

	if (req->n_errors == MAX_ERRORS)
		return e;
	va_start(ap, fmt);
	detail = format(req, fmt, ap);
	va_end(ap);
	copy = arena_strdup(req->arena, pointer);
	if (detail == NULL || copy == NULL)
		return e;
	text_repair(copy);
	req->errors[req->n_errors++] = (struct member_error){ copy, detail };
	if (req->detail != NULL)
		return e;
	if (*subject == '\0')
		subject = "The body";
	else if (*subject == '/')
		subject++;
	return fail(req, e, "%s %s.", subject, detail);
}

/* --- replies ------------------------------------------------------------------------------------ */

enum err reply_json(struct request *req, int status, const char *json)
{
	if (json == NULL)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	req->reply.status = status;
	req->reply.content_type = "application/json";
	req->reply.body = json;
	req->reply.length = strlen(json);
	return ERR_OK;
}

/* The target as a URI reference: whatever may not stand in one is escaped. NULL: out of memory. */
static const char *instance(struct request *req)
{
	static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "-._~!$&'()*+,;=:@/";
	static const char digits[] = "0123456789ABCDEF";
	const char *s = req->target == NULL ? "/" : req->target;
	char *uri = arena_alloc(req->arena, strlen(s) * 3 + 1);
	size_t n = 0;

	if (uri == NULL)
		return NULL;
	for (; *s != '\0'; s++) {
		bool escape = *s == '%' && text_hex_digit(s[1]) >= 0 && text_hex_digit(s[2]) >= 0;

		if (escape || strchr(legal, *s) != NULL) {
			uri[n++] = *s;
			continue;
		}
		uri[n++] = '%';
		uri[n++] = digits[(unsigned char)*s >> 4];
		uri[n++] = digits[(unsigned char)*s & 0x0f];
	}
	return uri;
}

static json_t *member_errors(const struct request *req)
{
	json_t *errors = json_array();

	for (size_t i = 0; errors != NULL && i < req->n_errors; i++) {
		const struct member_error *error = &req->errors[i];
		json_t *entry =
			json_pack("{ss ss}", "pointer", error->pointer, "detail", error->detail);

		if (json_array_append_new(errors, entry) != 0) {
			json_decref(errors);
			errors = NULL;
		}
	}
	return errors;
}

/* NULL: out of memory. */
static char *problem_text(struct request *req, const struct err_info *info, const char *detail)
{
	const char *where = instance(req);
	char *type = arena_printf(req->arena, "/problems/%s", info->code);
	char *id = arena_strdup(req->arena, req->request_id);
	json_t *problem;
	char *text = NULL;

	if (where == NULL || type == NULL || id == NULL)
		return NULL;
	text_repair(id);
	problem = json_pack("{ss ss si ss ss ss ss so}", "type", type, "title", info->title,
			    "status", info->status, "detail", detail, "instance", where, "code",
			    info->code, "request_id", id, "errors", member_errors(req));
	if (problem != NULL && (req->problem_extra == NULL ||
				json_object_update_missing(problem, req->problem_extra) == 0))
		text = json_dumps(problem, JSON_COMPACT);
	json_decref(problem);
	if (text != NULL && !arena_defer(req->arena, free, text))
		text = NULL;
	return text;
}

void reply_problem(struct request *req, enum err e)
{
	static const char no_memory[] =
		"{\"type\":\"/problems/unavailable\",\"title\":\"Unavailable\",\"status\":503,"
		"\"detail\":\"There is no memory left.\",\"instance\":\"/\","
		"\"code\":\"unavailable\",\"request_id\":\"unknown\",\"errors\":[]}";
	const struct err_info *info = err_info(e);
	/* What failed inside is for the log. */
	bool tell = req->detail != NULL && info->status != 500;
	const char *text = problem_text(req, info, tell ? req->detail : info->detail);

	if (text == NULL) {
		info = err_info(ERR_UNAVAILABLE);
		text = no_memory;
	}
	req->reply = (struct reply){
		.status = info->status,
		.content_type = "application/problem+json",
		.body = text,
		.length = strlen(text),
		.retry_after = info->status == 503 || info->status == 429,
		.www_authenticate = info->status == 401,
		.allow = info->status == 405 ? req->match.allow : NULL,
	};
}

/* --- path and query ----------------------------------------------------------------------------- */

const char *request_path(const struct request *req, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < req->match.n; i++)
		if (strncmp(req->match.names[i], name, length) == 0 &&
		    req->match.names[i][length] == '}')
			return req->match.values[i];
	return NULL;
}

const char *request_query(const struct request *req, const char *name)
{
	for (size_t i = 0; i < req->n_params; i++)
		if (strcmp(req->params[i].name, name) == 0)
			return req->params[i].value;
	return NULL;
}

static bool is_allowed(const char *name, const char *const *allowed)
{
	for (; allowed != NULL && *allowed != NULL; allowed++)
		if (strcmp(*allowed, name) == 0)
			return true;
	return false;
}

static enum err take_parameter(struct request *req, const char *text, size_t length,
			       const char *const *allowed)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals == NULL ? length : (size_t)(equals - text);
	size_t value_length = equals == NULL ? 0 : length - name_length - 1;
	char *name, *value;
	enum err e;

	e = text_unescape(req->arena, text, name_length, true, &name);
	if (e == ERR_INVALID_VALUE)
		return fail(req, ERR_INVALID_QUERY, "The name of a query parameter is not text.");
	if (e != ERR_OK)
		return e;
	if (!is_allowed(name, allowed))
		return fail_member(req, ERR_INVALID_QUERY, name, "is not a parameter of this path");
	if (request_query(req, name) != NULL)
		return fail_member(req, ERR_INVALID_QUERY, name, "may be given only once");
	if (req->n_params == MAX_QUERY)
		return fail(req, ERR_INVALID_QUERY, "There are too many query parameters.");
	e = text_unescape(req->arena, equals == NULL ? "" : equals + 1, value_length, true, &value);
	if (e == ERR_INVALID_VALUE)
		return fail_member(req, ERR_INVALID_QUERY, name,
				   "must be percent-encoded UTF-8 without control characters");
	if (e != ERR_OK)
		return e;
	req->params[req->n_params++] = (struct name_value){ name, value };
	return ERR_OK;
}

enum err request_parse_query(struct request *req, const char *const *allowed)
{
	const char *at = req->query;

	req->n_params = 0;
	while (at != NULL && *at != '\0') {
		size_t length = strcspn(at, "&");
		enum err e = length == 0 ? ERR_OK : take_parameter(req, at, length, allowed);

		if (e != ERR_OK)
			return e;
		at += length + (at[length] == '&');
	}
	return ERR_OK;
}

/* --- body --------------------------------------------------------------------------------------- */

static void release_json(void *json)
{
	json_decref(json);
}

static enum err keep_json(struct request *req, json_t *json, json_t **kept)
{
	if (json == NULL || !arena_defer(req->arena, release_json, json))
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	*kept = json;
	return ERR_OK;
}

/* Before any parsing: it recurses. */
static bool too_deep(const char *text, size_t length)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > MAX_DEPTH)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

static enum err explain(struct request *req, const char *text, const json_error_t *error)
{
	static const struct {
		enum json_error_code code;
		const char *what;
	} reasons[] = {
		{ json_error_premature_end_of_input, "ends too early" },
		{ json_error_end_of_input_expected, "goes on after the end of the object" },
		{ json_error_invalid_utf8, "is not UTF-8" },
		{ json_error_null_character, "has a string with the character U+0000" },
		{ json_error_null_byte_in_key, "has a name with the character U+0000" },
		{ json_error_numeric_overflow, "has a number that is too large" },
	};
	const char *what = "is not JSON";

	if (json_error_code(error) == json_error_out_of_memory)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	if (json_error_code(error) == json_error_duplicate_key)
		return fail(req, ERR_DUPLICATE_MEMBER,
			    "An object has the same member twice: line %d, column %d.", error->line,
			    error->column);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (json_error_code(error) == reasons[i].code)
			what = reasons[i].what;
	return fail(req, ERR_INVALID_JSON, "%s %s: line %d, column %d.", text, what, error->line,
		    error->column);
}

/* An emergency call is refused only for what is not JSON at all. What RFC 8259 allows but we do not
   take is mended, and noted in req->errors. */
static enum err load_mended(struct request *req, json_t **json)
{
	struct mended mended;
	json_error_t error;

	if (!json_mend(req->arena, req->body, req->body_length, MAX_DEPTH, &mended))
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	*json = json_loadb(mended.text, mended.length, 0, &error);
	if (*json == NULL)
		return explain(req, "The body", &error);
	(void)fail_member(req, ERR_OK, "", "%s",
			  mended.what != NULL ? mended.what
					      : "has a member twice, the last one counts");
	req->detail = NULL;
	return ERR_OK;
}

static bool is_lenient(const struct request *req)
{
	return req->route != NULL &&
	       (req->route->body == BODY_LENIENT || req->route->body == BODY_LENIENT_OPTIONAL);
}

static bool begins_object(const char *text, size_t length)
{
	size_t blank = 0;

	while (blank < length && text[blank] != '\0' && strchr(" \t\r\n", text[blank]) != NULL)
		blank++;
	return blank < length && text[blank] == '{';
}

enum err request_parse_object(struct request *req, const char *what, const char *text,
			      size_t length, json_t **json)
{
	json_error_t error;
	json_t *got;

	if (!begins_object(text, length))
		return fail(req, ERR_INVALID_JSON, "%s must be a JSON object.", what);
	if (too_deep(text, length))
		return fail(req, ERR_INVALID_JSON, "%s is nested deeper than %d.", what, MAX_DEPTH);
	got = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	return got == NULL ? explain(req, what, &error) : keep_json(req, got, json);
}

enum err request_parse_json(struct request *req, bool optional)
{
	const char *body = req->body;
	json_t *mended = NULL;
	enum err e;

	if (body == NULL || req->body_length == 0) {
		if (optional)
			return keep_json(req, json_object(), &req->json);
		return fail(req, ERR_INVALID_JSON, "The body is empty; send a JSON object.");
	}
	e = request_parse_object(req, "The body", body, req->body_length, &req->json);
	if (e == ERR_OK || !is_lenient(req) || !begins_object(body, req->body_length))
		return e;
	req->detail = NULL;
	e = load_mended(req, &mended);
	return e == ERR_OK ? keep_json(req, mended, &req->json) : e;
}
