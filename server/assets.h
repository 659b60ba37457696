/*
 * Files that the binary carries: openapi.yaml and the migrations. Constant; any thread.
 */
#ifndef SB_ASSETS_H
#define SB_ASSETS_H

#include <stddef.h>

struct asset {
	const char *data; /* a NUL follows */
	size_t length;
};

struct migration {
	int number;
	const char *name; /* "0001_configuration" */
	const char *sql;  /* a NUL follows */
	size_t length;
};

struct asset asset_openapi(void);
/* How many; *migrations is the table of them, by number. */
size_t asset_migrations(const struct migration **migrations);

#endif
