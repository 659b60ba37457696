/*
 * JSON merge patch, RFC 7396.
 */
#ifndef SB_MERGE_PATCH_H
#define SB_MERGE_PATCH_H

#include <stdbool.h>

#include <jansson.h>

/* Applies patch, an object, to target, an object that it changes. The result shares no object with
   patch, but may share arrays and scalars. False: out of memory. */
bool merge_patch(json_t *target, const json_t *patch);

#endif
