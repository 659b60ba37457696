/*
 * What the kinds of resources are called, and the statements that are the same for all of them.
 */
#ifndef SB_KINDS_H
#define SB_KINDS_H

#include "common.h"

struct kind_info {
	const char *noun;      /* for people: "phone number" */
	const char *type;      /* for programs: "phone_number" */
	const char *parameter; /* its name in paths */
	struct db_stmt find;   /* $1 tenant, $2 a reference as it came -> id */
	/* $1 tenant, $2 id -> version; the row stays locked. No SQL: it is not for changing. */
	struct db_stmt lock, lock_to_delete;
	struct db_stmt delete;
};

extern const struct kind_info kinds[]; /* by enum kind */

#endif
