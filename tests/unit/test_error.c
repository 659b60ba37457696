/* server/error.c: the codes of the contract, each with its status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "error.h"

static const struct {
	enum err e;
	int status;
	const char *code;
} contract[] = {
	{ ERR_INVALID_JSON, 400, "invalid_json" },
	{ ERR_DUPLICATE_MEMBER, 400, "duplicate_member" },
	{ ERR_INVALID_QUERY, 400, "invalid_query" },
	{ ERR_UNAUTHORIZED, 401, "unauthorized" },
	{ ERR_FORBIDDEN, 403, "forbidden" },
	{ ERR_NOT_FOUND, 404, "not_found" },
	{ ERR_METHOD_NOT_ALLOWED, 405, "method_not_allowed" },
	{ ERR_PRECONDITION_FAILED, 412, "precondition_failed" },
	{ ERR_BODY_TOO_LARGE, 413, "body_too_large" },
	{ ERR_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type" },
	{ ERR_UNKNOWN_FIELD, 422, "unknown_field" },
	{ ERR_READ_ONLY, 422, "read_only" },
	{ ERR_REQUIRED, 422, "required" },
	{ ERR_INVALID_VALUE, 422, "invalid_value" },
	{ ERR_UNKNOWN_REFERENCE, 422, "unknown_reference" },
	{ ERR_ALREADY_EXISTS, 409, "already_exists" },
	{ ERR_NUMBER_IN_USE, 409, "number_in_use" },
	{ ERR_NUMBER_USAGE, 422, "number_usage" },
	{ ERR_NUMBER_NOT_MANAGED, 404, "number_not_managed" },
	{ ERR_NOT_AN_EMERGENCY_NUMBER, 422, "not_an_emergency_number" },
	{ ERR_PATTERN_CONFLICT, 422, "pattern_conflict" },
	{ ERR_TRANSLATION_REQUIRED, 422, "translation_required" },
	{ ERR_IN_USE, 409, "in_use" },
	{ ERR_INVALID_STATE, 409, "invalid_state" },
	{ ERR_IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused" },
	{ ERR_IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress" },
	{ ERR_RATE_LIMITED, 429, "rate_limited" },
	{ ERR_UNAVAILABLE, 503, "unavailable" },
	{ ERR_OUTCOME_UNKNOWN, 503, "outcome_unknown" },
	{ ERR_INTERNAL, 500, "internal" },
};

#define N_CONTRACT (sizeof(contract) / sizeof(contract[0]))

static void test_contract(void **state)
{
	(void)state;
	assert_int_equal(N_CONTRACT, ERR_RETRY - ERR_INVALID_JSON);
	for (size_t i = 0; i < N_CONTRACT; i++) {
		const struct err_info *info = err_info(contract[i].e);

		assert_string_equal(info->code, contract[i].code);
		assert_int_equal(info->status, contract[i].status);
		assert_true(strlen(info->title) > 0 && strlen(info->detail) > 0);
		assert_int_equal(err_by_code(info->code, strlen(info->code)), contract[i].e);
	}
}

static void test_unknown(void **state)
{
	(void)state;
	assert_string_equal(err_info(ERR_OK)->code, "internal");
	assert_string_equal(err_info(ERR_COUNT)->code, "internal");
	assert_string_equal(err_info((enum err)4711)->code, "internal");
	assert_string_equal(err_info(ERR_RETRY)->code, "unavailable");
	assert_int_equal(err_info(ERR_LOCKED)->status, 503);
	assert_int_equal(err_by_code("not_foun", 8), ERR_OK);
	assert_int_equal(err_by_code("not_found!", 10), ERR_OK);
	assert_int_equal(err_by_code("not_found!", 9), ERR_NOT_FOUND);
	assert_int_equal(err_by_code("", 0), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contract),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
