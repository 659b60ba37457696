/*
 * The one table of errors: what went wrong, its HTTP status, its code in problem+json and its title.
 * Every fallible function of the service returns an enum err; ERR_OK is 0.
 * Codes are fixed by the API contract (api.md 1); openapi.yaml lists them too.
 */
#ifndef SB_ERROR_H
#define SB_ERROR_H

#include <stddef.h>

enum err {
	ERR_OK = 0,
	ERR_BAD_REQUEST, /* malformed HTTP: duplicate Content-Length and the like */
	ERR_INVALID_JSON,
	ERR_DUPLICATE_MEMBER,
	ERR_INVALID_QUERY,
	ERR_UNAUTHORIZED,
	ERR_FORBIDDEN,
	ERR_NOT_FOUND,
	ERR_METHOD_NOT_ALLOWED,
	ERR_PRECONDITION_FAILED,
	ERR_BODY_TOO_LARGE,
	ERR_UNSUPPORTED_MEDIA_TYPE,
	ERR_UNKNOWN_FIELD,
	ERR_READ_ONLY,
	ERR_REQUIRED,
	ERR_INVALID_VALUE,
	ERR_UNKNOWN_REFERENCE,
	ERR_ALREADY_EXISTS,
	ERR_NUMBER_IN_USE,
	ERR_NUMBER_USAGE,
	ERR_NUMBER_NOT_MANAGED,
	ERR_NOT_AN_EMERGENCY_NUMBER,
	ERR_PATTERN_CONFLICT,
	ERR_TRANSLATION_REQUIRED,
	ERR_IN_USE,
	ERR_INVALID_STATE,
	ERR_IDEMPOTENCY_KEY_REUSED,
	ERR_IDEMPOTENCY_IN_PROGRESS,
	ERR_RATE_LIMITED,
	ERR_UNAVAILABLE,     /* a dependency did not answer; nothing was done */
	ERR_OUTCOME_UNKNOWN, /* the answer to COMMIT was lost: done or not done */
	ERR_INTERNAL,
	/* Never leave the service: dispatch and the lanes act on them. */
	ERR_RETRY,  /* serialization failure or deadlock: run the handler again */
	ERR_LOCKED, /* lock_timeout: somebody else holds it */
	ERR_COUNT
};

struct err_info {
	int status;	  /* HTTP status */
	const char *code; /* member `code`, and the last segment of `type` */
	const char *title;
	const char *detail; /* what causes it and what to do: /problems/{code} */
};

/* Never NULL: an unknown value is told as ERR_INTERNAL. */
const struct err_info *err_info(enum err e);

/* The error with this code, or ERR_OK where there is none (for /problems/{code}). */
enum err err_by_code(const char *code, size_t len);

#endif
