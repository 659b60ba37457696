/*
 * JSON documents in tests: written in C with single quotes, compared by what they must hold. They
 * live in the arena of the running test.
 */
#ifndef TEST_DOCUMENTS_H
#define TEST_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "server/arena.h"

extern struct arena *arena; /* of the running test */

/* The set-up and tear-down of every test that uses these. */
int begin_documents(void **state);
int end_documents(void **state);

/* The document; ' stands for ". Fails the test where it is no JSON. */
json_t *doc(const char *text);

/* The document of a text that is JSON. */
json_t *doc_of(const char *text);

/* Its text, members sorted; "nothing" for NULL. */
const char *dump(const json_t *json);

/* Every member of want is in got with that value, null also being absent; arrays as a whole. */
bool holds(const json_t *got, const json_t *want);

/* Fails the test, showing both, unless got holds want. */
void must_hold(const json_t *got, const char *want);

#endif
