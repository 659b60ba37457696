/*
 * request_parse_json() on anything, then a field table with a row of every type. Input: one byte of
 * flags, then the body. What is refused must have a detail, and every problem must be JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct field inner[] = {
	{ .name = "type", .type = F_ENUM, .choices = "a|b|c", .flags = FIELD_REQUIRED },
	{ .name = "address", .type = F_STRING, .flags = FIELD_NULLABLE },
	{ .name = "cellular", .type = F_BOOL, .standard = "true" },
	{ .name = "rank", .type = F_INTEGER, .max = 9, .standard = "1" },
	{ 0 },
};
static const struct field item = { .type = F_OBJECT, .fields = inner };
static const struct field table[] = {
	{ .name = "s", .type = F_STRING, .max = 20, .standard = "x" },
	{ .name = "e", .type = F_ENUM, .choices = "on|off", .flags = FIELD_NULLABLE },
	{ .name = "b", .type = F_BOOL },
	{ .name = "i", .type = F_INTEGER, .min = -10, .max = 10 },
	{ .name = "n", .type = F_NUMBER, .min = -90, .max = 90 },
	{ .name = "t", .type = F_TIME, .flags = FIELD_NULLABLE },
	{ .name = "p", .type = F_E164 },
	{ .name = "r", .type = F_REGION },
	{ .name = "x", .type = F_EXTERNAL_ID },
	{ .name = "f", .type = F_REF },
	{ .name = "m", .type = F_NUMBER_REF },
	{ .name = "l", .type = F_LANGUAGE },
	{ .name = "u", .type = F_URL },
	{ .name = "d", .type = F_EXTENSION },
	{ .name = "o", .type = F_OBJECT, .fields = inner, .flags = FIELD_NULLABLE },
	{ .name = "a", .type = F_ARRAY, .fields = &item, .max = 5, .standard = "[]" },
	{ .name = "c", .type = F_SCOPES, .min = 1 },
	{ .name = "g", .type = F_STRINGS, .choices = "x.y|z", .standard = "{}" },
	{ .name = "h", .type = F_STRINGS },
	{ .name = "k", .type = F_ANY_OBJECT, .max = 100 },
	{ .name = "id", .type = F_STRING, .flags = FIELD_READ_ONLY },
	{ 0 },
};

#define N_ROWS (sizeof(table) / sizeof(table[0]) - 1)

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_problem(struct request *req, enum err e)
{
	json_t *json;

	require(req->detail != NULL);
	reply_problem(req, e);
	json = json_loadb(req->reply.body, req->reply.length, JSON_REJECT_DUPLICATES, NULL);
	require(json != NULL && json_object_size(json) == 8);
	require(json_integer_value(json_object_get(json, "status")) == err_info(e)->status);
	json_decref(json);
}

/* What the text of a value must be to be a parameter of a statement. */
static void check_values(const char *const *values)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		size_t length = values[i] == NULL ? 0 : strlen(values[i]);
		json_t *json;

		if (length == 0)
			continue;
		if (table[i].type == F_SCOPES || table[i].type == F_STRINGS)
			require(values[i][0] == '{' && values[i][length - 1] == '}');
		if (table[i].type < F_OBJECT || table[i].type == F_SCOPES ||
		    table[i].type == F_STRINGS)
			continue;
		json = json_loads(values[i], 0, NULL);
		require(json != NULL);
		json_decref(json);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct route routes[] = { { .body = BODY_JSON }, { .body = BODY_LENIENT } };
	const char *values[N_ROWS];
	struct request req = { .request_id = "fuzz", .target = "/fuzz" };
	enum err e;

	if (size < 1)
		return 0;
	req.arena = arena_new();
	req.route = &routes[data[0] & 1];
	req.body_length = size - 1;
	req.body = arena_alloc(req.arena, size);
	memcpy(req.body, data + 1, size - 1);
	e = request_parse_json(&req, (data[0] & 2) != 0);
	if (e == ERR_OK) {
		require(json_is_object(req.json));
		req.n_errors = 0;
		e = fields_parse(&req, table, req.json, "", values);
		require((e == ERR_OK) == (req.n_errors == 0));
		if (e == ERR_OK)
			check_values(values);
	}
	if (e != ERR_OK)
		check_problem(&req, e);
	arena_free(req.arena);
	return 0;
}
