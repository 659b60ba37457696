/* server/request.c: query, body, problems; and repair.c, which emergency routes read bodies with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "request.h"

#include <cmocka.h> /* its macro fail() hides ours, but not (fail)() */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define FIVE "[[[[["

static const struct route strict = { .body = BODY_JSON };
static const struct route lenient = { .body = BODY_LENIENT };

static struct request fresh(void)
{
	return (struct request){
		.arena = arena_new(),
		.route = &strict,
		.method = "POST",
		.target = "/v1/tenants/t1/sites",
		.request_id = "r-1",
	};
}

static const char *const allowed[] = { "page_size", "q", "name", NULL };

static const struct {
	const char *query;
	enum err e;
	const char *q; /* its value; with an error: the pointer of the first member */
} queries[] = {
	{ NULL, ERR_OK, NULL },
	{ "", ERR_OK, NULL },
	{ "&&", ERR_OK, NULL },
	{ "q=1", ERR_OK, "1" },
	{ "q", ERR_OK, "" },
	{ "q=", ERR_OK, "" },
	{ "&q=a&&name=b&", ERR_OK, "a" },
	{ "q=a%20b+c%2B", ERR_OK, "a b c+" },
	{ "q=a=b", ERR_OK, "a=b" },
	{ "%71=%C3%A9", ERR_OK, "\xc3\xa9" },
	{ "q=1&q=1", ERR_INVALID_QUERY, "q" },
	{ "x=1", ERR_INVALID_QUERY, "x" },
	{ "=1", ERR_INVALID_QUERY, "" },
	{ "Q=1", ERR_INVALID_QUERY, "Q" },
	{ "q=%", ERR_INVALID_QUERY, "q" },
	{ "q=%2", ERR_INVALID_QUERY, "q" },
	{ "q=%2&name=1", ERR_INVALID_QUERY, "q" },
	{ "q=%gg", ERR_INVALID_QUERY, "q" },
	{ "q=%00", ERR_INVALID_QUERY, "q" },
	{ "q=%0A", ERR_INVALID_QUERY, "q" },
	{ "q=%C2%80", ERR_INVALID_QUERY, "q" },
	{ "q=%ff", ERR_INVALID_QUERY, "q" },
	{ "%ff=1", ERR_INVALID_QUERY, NULL },
	{ "q%00=1", ERR_INVALID_QUERY, NULL },
};

static void test_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(queries); i++) {
		struct request req = fresh();
		const char *got;
		enum err e;

		req.query = queries[i].query;
		e = request_parse_query(&req, allowed);
		if (e != queries[i].e)
			fail_msg("%s: %d", req.query, (int)e);
		got = e == ERR_OK ? request_query(&req, "q") : NULL;
		if (e != ERR_OK && req.n_errors > 0)
			got = req.errors[0].pointer;
		if (queries[i].q == NULL)
			assert_null(got);
		else
			assert_string_equal(got, queries[i].q);
		assert_true(e == ERR_OK || req.detail != NULL);
		arena_free(req.arena);
	}
}

static void test_query_none_allowed(void **state)
{
	struct request req = fresh();

	(void)state;
	req.query = "q=1";
	assert_int_equal(request_parse_query(&req, NULL), ERR_INVALID_QUERY);
	assert_string_equal(req.detail, "q is not a parameter of this path.");
	arena_free(req.arena);
}

static const struct {
	const char *body;
	size_t length; /* 0: strlen() */
	enum err e, lenient_e;
	const char *lenient_json, *note; /* what a lenient route reads, and notes */
} bodies[] = {
	{ "{}", 0, ERR_OK, ERR_OK, "{}", NULL },
	{ " \r\n\t{\"a\":[1,2.5,null,true,\"x\"]} \n", 0, ERR_OK, ERR_OK,
	  "{\"a\":[1,2.5,null,true,\"x\"]}", NULL },
	{ "{\"a\":\"[[[[[[[[[[[[[[[[[[[[\\\"{{{\"}", 0, ERR_OK, ERR_OK,
	  "{\"a\":\"[[[[[[[[[[[[[[[[[[[[\\\"{{{\"}", NULL },
	{ "{\"a\":" FIVE FIVE FIVE "]]]]]]]]]]]]]]]}", 0, ERR_OK, ERR_OK,
	  "{\"a\":" FIVE FIVE FIVE "]]]]]]]]]]]]]]]}", NULL },
	{ "{\"a\":" FIVE FIVE FIVE "[]]]]]]]]]]]]]]]],\"b\":1}", 0, ERR_INVALID_JSON, ERR_OK,
	  "{\"a\":" FIVE FIVE FIVE "null]]]]]]]]]]]]]]],\"b\":1}",
	  "is nested too deeply, what is deeper is left out" },
	{ "{\"a\":" FIVE FIVE FIVE "[\"]\\\"]\",{\"x\":[2]}]]]]]]]]]]]]]]]]}", 0, ERR_INVALID_JSON,
	  ERR_OK, "{\"a\":" FIVE FIVE FIVE "null]]]]]]]]]]]]]]]}",
	  "is nested too deeply, what is deeper is left out" },
	{ "{\"a\":" FIVE FIVE FIVE FIVE, 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":" FIVE FIVE FIVE "[\"\\", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":1,\"b\":2,\"a\":3}", 0, ERR_DUPLICATE_MEMBER, ERR_OK, "{\"a\":3,\"b\":2}",
	  "has a member twice, the last one counts" },
	{ "{\"x\":{\"a\":1,\"a\":1}}", 0, ERR_DUPLICATE_MEMBER, ERR_OK, "{\"x\":{\"a\":1}}",
	  "has a member twice, the last one counts" },
	{ "{\"a\":99999999999999999999,\"b\":-1,\"c\":1e999,\"d\":1e-999}", 0, ERR_INVALID_JSON,
	  ERR_OK, "{\"a\":null,\"b\":-1,\"c\":null,\"d\":0.0}",
	  "holds a number that is too large, it is left out" },
	{ "{\"a\":\"x\\u0000y\"}", 0, ERR_INVALID_JSON, ERR_OK, "{\"a\":\"x\xef\xbf\xbdy\"}",
	  "holds an escaped character that is none, it is left out" },
	{ "{\"\\u0000\":1}", 0, ERR_INVALID_JSON, ERR_OK, "{\"\xef\xbf\xbd\":1}",
	  "holds an escaped character that is none, it is left out" },
	{ "{\"a\":\"\\ud800\"}", 0, ERR_INVALID_JSON, ERR_OK, "{\"a\":\"\xef\xbf\xbd\"}",
	  "holds an escaped character that is none, it is left out" },
	{ "{\"a\":\"\\udc00\\ud83d\\ude00\\u0041\"}", 0, ERR_INVALID_JSON, ERR_OK,
	  "{\"a\":\"\xef\xbf\xbd\xf0\x9f\x98\x80"
	  "A\"}",
	  "holds an escaped character that is none, it is left out" },
	{ "{\"a\":\"\\ud83d\\u0041\"}", 0, ERR_INVALID_JSON, ERR_OK, "{\"a\":\"\\ufffdA\"}",
	  "holds an escaped character that is none, it is left out" },
	{ "{\"a\":\"x\0y\"}", 11, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{}\0", 3, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":\"\xff\"}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":\"\xed\xa0\x80\"}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "  ", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "[]", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "\"a\"", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "null", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{} {}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":1", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":1,}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{'a':1}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":01}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":NaN}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":-99999999999999999999-}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":\"\\u12\"}", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
	{ "{\"a\":\"\\", 0, ERR_INVALID_JSON, ERR_INVALID_JSON, NULL, NULL },
};

static void check_body(size_t i, bool is_lenient)
{
	struct request req = fresh();
	enum err want = is_lenient ? bodies[i].lenient_e : bodies[i].e, e;
	json_t *json;

	req.route = is_lenient ? &lenient : &strict;
	req.body_length = bodies[i].length > 0 ? bodies[i].length : strlen(bodies[i].body);
	req.body = arena_alloc(req.arena, req.body_length + 1);
	memcpy(req.body, bodies[i].body, req.body_length);
	e = request_parse_json(&req, false);
	if (e != want)
		fail_msg("row %zu, %s: %d, %s", i, req.body, (int)e, req.detail);
	if (e != ERR_OK) {
		assert_non_null(req.detail);
		assert_null(req.json);
	} else if (is_lenient) {
		json = json_loads(bodies[i].lenient_json, 0, NULL);
		assert_true(json_equal(json, req.json));
		json_decref(json);
		assert_null(req.detail);
		assert_int_equal(req.n_errors, bodies[i].note != NULL);
		if (bodies[i].note != NULL)
			assert_string_equal(req.errors[0].detail, bodies[i].note);
	}
	arena_free(req.arena);
}

static void test_body(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(bodies); i++) {
		check_body(i, false);
		check_body(i, true);
	}
}

static void test_body_details(void **state)
{
	static char text[] = "{\n \"a\": x}";
	struct request req = fresh();

	(void)state;
	assert_int_equal(request_parse_json(&req, true), ERR_OK);
	assert_int_equal(json_object_size(req.json), 0);
	req.body = text;
	req.body_length = strlen(text);
	assert_int_equal(request_parse_json(&req, true), ERR_INVALID_JSON);
	assert_string_equal(req.detail, "The body is not JSON: line 2, column 7.");
	memcpy(text, "[]", 3);
	req.body_length = 2;
	assert_int_equal(request_parse_json(&req, true), ERR_INVALID_JSON);
	assert_string_equal(req.detail, "The body must be a JSON object.");
	arena_free(req.arena);
}

static void test_problem(void **state)
{
	struct request req = fresh();

	(void)state;
	req.target = "/v1/a%2Fb/\xff\"<%zz";
	assert_int_equal(fail_member(&req, ERR_REQUIRED, "/name", "is %s", "required"),
			 ERR_REQUIRED);
	assert_int_equal(fail_member(&req, ERR_UNKNOWN_FIELD, "/x\"\xff", "is wrong"),
			 ERR_UNKNOWN_FIELD);
	reply_problem(&req, ERR_REQUIRED);
	assert_int_equal(req.reply.status, 422);
	assert_string_equal(req.reply.content_type, "application/problem+json");
	assert_string_equal(
		req.reply.body,
		"{\"type\":\"/problems/required\",\"title\":\"Required\",\"status\":422,"
		"\"detail\":\"name is required.\",\"instance\":\"/v1/a%2Fb/%FF%22%3C%25zz\","
		"\"code\":\"required\",\"request_id\":\"r-1\",\"errors\":["
		"{\"pointer\":\"/name\",\"detail\":\"is required\"},"
		"{\"pointer\":\"/x\\\"?\",\"detail\":\"is wrong\"}]}");
	assert_int_equal(req.reply.length, strlen(req.reply.body));
	assert_false(req.reply.retry_after || req.reply.www_authenticate);
	assert_null(req.reply.allow);
	arena_free(req.arena);
}

static void test_problem_fields(void **state)
{
	struct request req = fresh();
	json_t *extra = json_pack("{s[s]ss}", "emergency_numbers", "911", "code", "mine");

	(void)state;
	req.problem_extra = extra;
	(void)(fail)(&req, ERR_UNAVAILABLE, "Not %d.", 1);
	reply_problem(&req, ERR_UNAVAILABLE);
	assert_int_equal(req.reply.status, 503);
	assert_true(req.reply.retry_after);
	assert_non_null(strstr(req.reply.body, "\"detail\":\"Not 1.\""));
	assert_non_null(strstr(req.reply.body, "\"emergency_numbers\":[\"911\"]"));
	assert_non_null(strstr(req.reply.body, "\"code\":\"unavailable\""));
	assert_non_null(strstr(req.reply.body, "\"errors\":[]"));
	json_decref(extra);
	req.problem_extra = NULL;
	reply_problem(&req, ERR_RATE_LIMITED);
	assert_true(req.reply.retry_after);
	reply_problem(&req, ERR_UNAUTHORIZED);
	assert_true(req.reply.www_authenticate);
	memcpy(req.match.allow, "GET, HEAD", 10);
	reply_problem(&req, ERR_METHOD_NOT_ALLOWED);
	assert_string_equal(req.reply.allow, "GET, HEAD");
	(void)(fail)(&req, ERR_INTERNAL, "secret of the house");
	reply_problem(&req, ERR_INTERNAL);
	assert_int_equal(req.reply.status, 500);
	assert_null(strstr(req.reply.body, "secret"));
	arena_free(req.arena);
}

static void test_many_errors(void **state)
{
	struct request req = fresh();

	(void)state;
	for (int i = 0; i < MAX_ERRORS + 5; i++)
		(void)fail_member(&req, ERR_INVALID_VALUE, "/a", "%d", i);
	assert_int_equal(req.n_errors, MAX_ERRORS);
	assert_string_equal(req.errors[MAX_ERRORS - 1].detail, "19");
	assert_string_equal(req.detail, "a 0.");
	arena_free(req.arena);
}

static void test_no_memory(void **state)
{
	struct request req = fresh();
	json_t *json;

	(void)state;
	assert_null(arena_alloc(req.arena, SIZE_MAX));
	assert_int_equal(request_parse_json(&req, true), ERR_UNAVAILABLE);
	assert_int_equal(reply_json(&req, 200, NULL), ERR_UNAVAILABLE);
	reply_problem(&req, ERR_NOT_FOUND);
	assert_int_equal(req.reply.status, 503);
	assert_true(req.reply.retry_after);
	json = json_loads(req.reply.body, 0, NULL);
	assert_non_null(json);
	json_decref(json);
	arena_free(req.arena);
}

static void test_reply_and_path(void **state)
{
	struct request req = fresh();

	(void)state;
	req.reply.location = "/x";
	assert_int_equal(reply_json(&req, 201, "{\"a\":1}"), ERR_OK);
	assert_int_equal(req.reply.status, 201);
	assert_int_equal(req.reply.length, 7);
	assert_string_equal(req.reply.location, "/x");
	req.match = (struct route_match){ .names = { "user_id}", "user}/x" },
					  .values = { "u", "v" },
					  .n = 2 };
	assert_string_equal(request_path(&req, "user_id"), "u");
	assert_string_equal(request_path(&req, "user"), "v");
	assert_null(request_path(&req, "use"));
	arena_free(req.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),	       cmocka_unit_test(test_query_none_allowed),
		cmocka_unit_test(test_body),	       cmocka_unit_test(test_body_details),
		cmocka_unit_test(test_problem),	       cmocka_unit_test(test_problem_fields),
		cmocka_unit_test(test_many_errors),    cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_reply_and_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
