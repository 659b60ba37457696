#include "list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "db.h"
#include "fields.h"

#define DEFAULT_SIZE 100
#define MAX_SIZE 1000
#define MARK_BYTES 4 /* of the digest in a token */
#define ID_LENGTH (UUID_TEXT - 1)
#define TOKEN_LENGTH (ID_LENGTH + 1 + 2 * MARK_BYTES)

/* Tells apart the lists that a token may come from: the operation and its filters' values, each
   with its length, so that no two lists run together to the same text. */
static enum err list_mark(struct request *req, const char *const *filters, char **mark)
{
	uint8_t digest[SHA256_LENGTH];
	char *text = arena_strdup(req->arena, req->target); /* names the collection */
	enum err e;

	for (; filters != NULL && *filters != NULL && text != NULL; filters++) {
		const char *value = request_query(req, *filters);

		if (value != NULL)
			text = arena_printf(req->arena, "%s&%s=%zu:%s", text, *filters,
					    strlen(value), value);
	}
	if (text == NULL)
		return ERR_UNAVAILABLE;
	e = crypto_sha256(text, strlen(text), digest);
	if (e != ERR_OK)
		return e;
	*mark = crypto_hex(req->arena, digest, MARK_BYTES);
	return *mark == NULL ? ERR_UNAVAILABLE : ERR_OK;
}

static enum err take_size(struct request *req, struct page *page)
{
	const char *text = request_query(req, "page_size");
	size_t length;

	page->size = DEFAULT_SIZE;
	if (text != NULL) {
		length = strlen(text);
		if (length == 0 || strspn(text, "0123456789") != length)
			return fail_member(req, ERR_INVALID_QUERY, "page_size",
					   "must be a whole number of at least 1");
		text += strspn(text, "0");
		if (*text == '\0')
			return fail_member(req, ERR_INVALID_QUERY, "page_size",
					   "must be at least 1");
		page->size = strlen(text) > 3 ? MAX_SIZE : (int)strtol(text, NULL, 10);
	}
	(void)snprintf(page->size_plus_one, sizeof(page->size_plus_one), "%d", page->size + 1);
	return ERR_OK;
}

static enum err take_token(struct request *req, const char *const *filters, struct page *page)
{
	const char *token = request_query(req, "page_token");
	char *text, *mark;
	size_t length;
	enum err e;

	page->after = NULL;
	if (token == NULL)
		return ERR_OK;
	e = list_mark(req, filters, &mark);
	if (e != ERR_OK)
		return e;
	text = arena_alloc(req->arena, TOKEN_LENGTH + 1);
	if (text == NULL)
		return ERR_UNAVAILABLE;
	if (!crypto_unbase64url(token, (uint8_t *)text, TOKEN_LENGTH, &length) ||
	    length != TOKEN_LENGTH || text[ID_LENGTH] != '.' ||
	    strcmp(text + ID_LENGTH + 1, mark) != 0)
		return fail_member(req, ERR_INVALID_QUERY, "page_token",
				   "is not a next_page_token of this list with these filters");
	text[ID_LENGTH] = '\0';
	if (!is_uuid(text))
		return fail_member(req, ERR_INVALID_QUERY, "page_token", "is not a token of ours");
	page->after = text;
	return ERR_OK;
}

enum err list_begin(struct request *req, const char *const *filters, struct page *page)
{
	enum err e = take_size(req, page);

	return e != ERR_OK ? e : take_token(req, filters, page);
}

enum err list_token(struct request *req, const char *const *filters, const char *last,
		    const char **token)
{
	char *mark, *text;
	const enum err e = list_mark(req, filters, &mark);

	if (e != ERR_OK)
		return e;
	text = arena_printf(req->arena, "%s.%s", last, mark);
	*token = text == NULL ? NULL : crypto_base64url(req->arena, text, strlen(text));
	return *token == NULL ? ERR_UNAVAILABLE : ERR_OK;
}

/* `,"next_page_token":"..."`, or nothing where the list ends. */
static enum err token_member(struct request *req, const char *const *filters,
			     const struct page *page, const struct db_result *rows,
			     const char **member)
{
	const char *token;
	enum err e;

	*member = "";
	if (db_rows(rows) <= page->size)
		return ERR_OK;
	e = list_token(req, filters, db_value(rows, page->size - 1, 0), &token);
	if (e != ERR_OK)
		return e;
	*member = arena_printf(req->arena, ",\"next_page_token\":\"%s\"", token);
	return *member == NULL ? ERR_UNAVAILABLE : ERR_OK;
}

static char *append(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	return at + length;
}

enum err list_reply(struct request *req, const char *const *filters, const struct page *page,
		    const struct db_result *rows)
{
	int n = db_rows(rows) < page->size ? db_rows(rows) : page->size;
	size_t length = sizeof("{\"items\":[]}");
	const char *next;
	char *json, *at;
	enum err e;

	e = token_member(req, filters, page, rows, &next);
	if (e != ERR_OK)
		return e;
	length += strlen(next);
	for (int i = 0; i < n; i++)
		length += strlen(db_value(rows, i, 1)) + 1;
	json = arena_alloc(req->arena, length);
	if (json == NULL)
		return ERR_UNAVAILABLE;
	at = append(json, "{\"items\":[");
	for (int i = 0; i < n; i++) {
		if (i > 0)
			at = append(at, ",");
		at = append(at, db_value(rows, i, 1));
	}
	at = append(at, "]");
	at = append(at, next);
	(void)append(at, "}");
	return reply_json(req, 200, json);
}
