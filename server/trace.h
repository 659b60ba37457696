/*
 * The ids under which a request is followed: X-Request-Id and traceparent. Stateless.
 */
#ifndef SB_TRACE_H
#define SB_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* 1 to max visible ASCII characters. */
bool trace_is_id(const char *s, size_t max);

#define TRACE_PARENT 56 /* 55 characters and NUL */

/* W3C Trace Context, version 00: 00-<32 hex>-<16 hex>-<2 hex>, lower case, no id all zeros. */
bool trace_is_parent(const char *s);
/* A new one, not sampled. */
void trace_new_parent(char out[static TRACE_PARENT]);

#endif
