/* server/router.c: which route a method and a raw path reach, and the names of scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"
#include "router.h"

static const struct route users[] = {
	{ .method = "GET", .path = "/v1/tenants/{tenant_id}/users", .operation_id = "listUsers" },
	{ .method = "POST", .path = "/v1/tenants/{tenant_id}/users", .operation_id = "addUser" },
	{ .method = "GET",
	  .path = "/v1/tenants/{tenant_id}/users/{user_id}",
	  .operation_id = "getUser" },
	{ .method = "POST",
	  .path = "/v1/tenants/{tenant_id}/users/batch",
	  .operation_id = "addUsers" },
	{ 0 },
};
static const struct route others[] = {
	{ .method = "GET", .path = "/livez", .operation_id = "live" },
	{ .method = "GET", .path = "/docs/", .operation_id = "docs" },
	{ .method = "GET", .path = "/v1/{a}/x", .operation_id = "ax" },
	{ .method = "GET", .path = "/v1/y/{b}", .operation_id = "yb" },
	{ .method = "DELETE", .path = "/v1/y/{b}", .operation_id = "deleteY" },
	{ .method = "PUT", .path = "/v1/put/{b}", .operation_id = "putOnly" },
	{ 0 },
};
static const struct resource user_resource = { "users", users };
static const struct resource other_resource = { "others", others };
static const struct resource *const resources[] = { &user_resource, &other_resource, NULL };

/* route: operation_id; NULL: 404; beginning with '!': 405 and its Allow. */
static const struct {
	const char *method, *path, *route, *values[3];
} paths[] = {
	{ "GET", "/livez", "live", { NULL } },
	{ "HEAD", "/livez", "live", { NULL } },
	{ "POST", "/livez", "!GET, HEAD", { NULL } },
	{ "BREW", "/livez", "!GET, HEAD", { NULL } },
	{ "get", "/livez", "!GET, HEAD", { NULL } },
	{ "GET", "/livez/", NULL, { NULL } },
	{ "GET", "//livez", NULL, { NULL } },
	{ "GET", "livez", NULL, { NULL } },
	{ "GET", "/Livez", NULL, { NULL } },
	{ "GET", "/live", NULL, { NULL } },
	{ "GET", "/livezz", NULL, { NULL } },
	{ "GET", "/%6civez", NULL, { NULL } },
	{ "GET", "/", NULL, { NULL } },
	{ "GET", "", NULL, { NULL } },
	{ "GET", "*", NULL, { NULL } },
	{ "GET", "/docs/", "docs", { NULL } },
	{ "GET", "/docs", NULL, { NULL } },
	{ "GET", "/docs//", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users", "listUsers", { "t1" } },
	{ "POST", "/v1/tenants/t1/users", "addUser", { "t1" } },
	{ "PATCH", "/v1/tenants/t1/users", "!GET, HEAD, POST", { NULL } },
	{ "GET", "/v1/tenants/t1/users/u1", "getUser", { "t1", "u1" } },
	{ "HEAD", "/v1/tenants/t1/users/u1", "getUser", { "t1", "u1" } },
	{ "GET", "/v1/tenants/t1/users/u1/", NULL, { NULL } },
	{ "GET", "/v1/tenants//users", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/a%2Fb", "getUser", { "t1", "a/b" } },
	{ "GET", "/v1/tenants/t1/users/a%2fb%3F", "getUser", { "t1", "a/b?" } },
	{ "GET", "/v1/tenants/t1/users/ext:a+b", "getUser", { "t1", "ext:a+b" } },
	{ "GET", "/v1/tenants/t1/users/%2B14255550100", "getUser", { "t1", "+14255550100" } },
	{ "GET", "/v1/tenants/t1/users/%C3%A9", "getUser", { "t1", "\xc3\xa9" } },
	{ "GET", "/v1/tenants/t1/users/%25", "getUser", { "t1", "%" } },
	{ "GET", "/v1/tenants/t1/users/%2E%2E", "getUser", { "t1", ".." } },
	{ "GET", "/v1/tenants/t1/users/%00", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/a%00b", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%4", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%zz", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%0a", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%7f", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%C2%85", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%ff", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/\xff", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%C0%80", NULL, { NULL } },
	{ "GET", "/v1/tenants/t1/users/%ED%A0%80", NULL, { NULL } },
	{ "PUT", "/v1/tenants/t1/users/%00", NULL, { NULL } },
	/* A literal segment beats a parameter, the earlier one first, whatever the order of rows. */
	{ "POST", "/v1/tenants/t1/users/batch", "addUsers", { "t1" } },
	{ "GET", "/v1/tenants/t1/users/batch", "!POST", { NULL } },
	{ "GET", "/v1/tenants/t1/users/batc%68", "getUser", { "t1", "batch" } },
	{ "GET", "/v1/y/x", "yb", { "x" } },
	{ "GET", "/v1/z/x", "ax", { "z" } },
	{ "POST", "/v1/y/x", "!GET, HEAD, DELETE", { NULL } },
	{ "HEAD", "/v1/put/1", "!PUT", { NULL } },
	{ "GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18", NULL, { NULL } },
};

static void test_paths(void **state)
{
	struct arena *arena = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct route *route;
		struct route_match match;
		const char *want = paths[i].route;
		enum err e;

		e = router_find(resources, arena, paths[i].method, paths[i].path, &route, &match);
		if (want == NULL || *want == '!') {
			if (e != (want == NULL ? ERR_NOT_FOUND : ERR_METHOD_NOT_ALLOWED) ||
			    route != NULL)
				fail_msg("%s %s: %d", paths[i].method, paths[i].path, (int)e);
			if (want != NULL)
				assert_string_equal(match.allow, want + 1);
			continue;
		}
		if (e != ERR_OK || strcmp(route->operation_id, want) != 0)
			fail_msg("%s %s: %d", paths[i].method, paths[i].path, (int)e);
		for (size_t n = 0; n < match.n; n++)
			assert_string_equal(match.values[n], paths[i].values[n]);
		assert_null(paths[i].values[match.n]);
	}
	arena_free(arena);
}

static void test_names(void **state)
{
	struct arena *arena = arena_new();
	const struct route *route;
	struct route_match match;

	(void)state;
	assert_int_equal(
		router_find(resources, arena, "GET", "/v1/tenants/t/users/u", &route, &match),
		ERR_OK);
	assert_int_equal(match.n, 2);
	assert_memory_equal(match.names[0], "tenant_id}", 10);
	assert_memory_equal(match.names[1], "user_id}", 8);
	arena_free(arena);
}

static void test_scopes(void **state)
{
	static const char *const names[] = { "config:read",	"config:write",
					     "numbers:write",	"calls:read",
					     "calls:write",	"callbacks:resolve",
					     "webhooks:manage", "emergency:monitor",
					     "operator" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(scope_by_name(names[i], strlen(names[i])), 1U << i);
		assert_string_equal(scope_name(1U << i), names[i]);
	}
	assert_int_equal(scope_by_name("config:rea", 10), 0);
	assert_int_equal(scope_by_name("config:reads", 12), 0);
	assert_int_equal(scope_by_name("", 0), 0);
	assert_string_equal(scope_name(0), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
