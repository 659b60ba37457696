/* server/list.c: page sizes, tokens, and the reply made of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "list.h"

#include <cmocka.h> /* its macro fail() hides ours */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Rows without PostgreSQL: the two functions of db.h that list.c asks. */
struct db_result {
	int n;
};

int db_rows(const struct db_result *rows)
{
	return rows->n;
}

const char *db_value(const struct db_result *rows, int row, int column)
{
	static const char *const ids[] = { "01981f6a-3c01-7a10-8f00-000000000001",
					   "01981f6a-3c01-7a10-8f00-000000000002",
					   "01981f6a-3c01-7a10-8f00-000000000003" };
	static const char *const json[] = { "{\"n\":1}", "{\"n\":2}", "{\"n\":3}" };

	assert_in_range(row, 0, rows->n - 1);
	return column == 0 ? ids[row] : json[row];
}

#define LEASES "/v1/tenants/t/leases"
#define CALLS "/v1/tenants/t/emergency-calls"

static const char *const filters[] = { "state", "user_id", NULL };
static const char *const allowed[] = { "state", "user_id", LIST_QUERY, NULL };
static const struct route route = { .operation_id = "listLeases" };

static struct request request(struct arena *arena, const char *query)
{
	struct request req = { .arena = arena, .route = &route, .target = LEASES, .query = query };

	assert_int_equal(request_parse_query(&req, allowed), ERR_OK);
	return req;
}

static void test_sizes(void **state)
{
	static const struct {
		const char *query;
		int size; /* 0: refused */
	} sizes[] = {
		{ "", 100 },
		{ "page_size=1", 1 },
		{ "page_size=1000", 1000 },
		{ "page_size=1001", 1000 },
		{ "page_size=99999999999999999999999", 1000 },
		{ "page_size=0007", 7 },
		{ "page_size=0", 0 },
		{ "page_size=000", 0 },
		{ "page_size=", 0 },
		{ "page_size=-1", 0 },
		{ "page_size=%2B5", 0 },
		{ "page_size=1.5", 0 },
		{ "page_size=1e2", 0 },
		{ "page_size=ten", 0 },
	};
	struct arena *arena = arena_new();

	(void)state;
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		struct request req = request(arena, sizes[i].query);
		struct page page;
		enum err e = list_begin(&req, filters, &page);

		assert_int_equal(e, sizes[i].size == 0 ? ERR_INVALID_QUERY : ERR_OK);
		if (e == ERR_OK) {
			assert_int_equal(page.size, sizes[i].size);
			assert_int_equal(strtol(page.size_plus_one, NULL, 10), page.size + 1);
			assert_null(page.after);
		} else {
			assert_string_equal(req.errors[0].pointer, "page_size");
		}
	}
	arena_free(arena);
}

/* The token of the first page of two, listed with this query. */
static const char *first_token(struct arena *arena, const char *query)
{
	struct request req = request(arena, query);
	struct db_result rows = { 3 };
	struct page page;
	json_t *json;
	const char *token;

	assert_int_equal(list_begin(&req, filters, &page), ERR_OK);
	assert_int_equal(page.size, 2);
	assert_int_equal(list_reply(&req, filters, &page, &rows), ERR_OK);
	assert_int_equal(req.reply.status, 200);
	json = json_loads(req.reply.body, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "items")), 2);
	token = arena_strdup(arena, json_string_value(json_object_get(json, "next_page_token")));
	json_decref(json);
	assert_non_null(token);
	return token;
}

static enum err use(struct arena *arena, const char *target, const char *before, const char *token,
		    struct page *page)
{
	struct request req =
		request(arena, arena_printf(arena, "%s&page_size=2&page_token=%s", before, token));

	req.target = target;
	return list_begin(&req, filters, page);
}

static void test_tokens(void **state)
{
	struct arena *arena = arena_new();
	const char *token = first_token(arena, "page_size=2&state=active&user_id=ext:a");
	const char *none = first_token(arena, "page_size=2");
	char *broken;
	struct page page;

	(void)state;
	assert_int_equal(use(arena, LEASES, "user_id=ext:a&state=active", token, &page), ERR_OK);
	assert_string_equal(page.after, "01981f6a-3c01-7a10-8f00-000000000002");
	assert_int_equal(use(arena, LEASES, "", none, &page), ERR_OK);
	assert_int_equal(use(arena, LEASES, "", token, &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "state=active", token, &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "state=", none, &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "state=active&user_id=ext:b", token, &page),
			 ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "state=activ&user_id=ext:a", token, &page),
			 ERR_INVALID_QUERY);
	assert_int_equal(use(arena, CALLS, "", none, &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "", "", &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "", "AAAA", &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "", "!!", &page), ERR_INVALID_QUERY);
	assert_int_equal(use(arena, LEASES, "", arena_printf(arena, "%sAA", none), &page),
			 ERR_INVALID_QUERY);
	for (size_t i = 0; none[i] != '\0'; i++) {
		enum err e;

		broken = arena_strdup(arena, none);
		broken[i] = broken[i] == 'A' ? 'B' : 'A';
		e = use(arena, LEASES, "", broken, &page);
		/* Another id is nobody's secret; what is not one never gets to the database. */
		if (e == ERR_OK)
			assert_int_equal(strlen(page.after), 36);
		else
			assert_int_equal(e, ERR_INVALID_QUERY);
	}
	arena_free(arena);
}

static void test_replies(void **state)
{
	struct arena *arena = arena_new();
	struct request req = request(arena, "page_size=3");
	struct db_result rows = { 3 };
	struct page page;

	(void)state;
	assert_int_equal(list_begin(&req, NULL, &page), ERR_OK);
	assert_int_equal(list_reply(&req, NULL, &page, &rows), ERR_OK);
	assert_string_equal(req.reply.body, "{\"items\":[{\"n\":1},{\"n\":2},{\"n\":3}]}");
	assert_int_equal(req.reply.length, strlen(req.reply.body));
	rows.n = 1;
	assert_int_equal(list_reply(&req, NULL, &page, &rows), ERR_OK);
	assert_string_equal(req.reply.body, "{\"items\":[{\"n\":1}]}");
	rows.n = 0;
	assert_int_equal(list_reply(&req, NULL, &page, &rows), ERR_OK);
	assert_string_equal(req.reply.body, "{\"items\":[]}");
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
