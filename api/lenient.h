/*
 * What the routes of the emergency lane share: JSON in and out of their statements.
 */
#ifndef SB_LENIENT_H
#define SB_LENIENT_H

#include <jansson.h>

#include "request.h"

/* Moves what request_parse_json() had to mend into `warnings`, as ignored_member. */
void lenient_notes(struct request *, json_t *warnings);

/* The text of a document, in the arena. NULL: json is NULL, or out of memory. */
const char *lenient_dump(struct arena *, const json_t *json);

/* app->instance as the parameter of a statement, in the arena. */
const char *lenient_instance(struct request *);

#endif
