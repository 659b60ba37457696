/*
 * `switchback migrate`: roles, schema and the migrations that are in the binary, forward only, one
 * transaction each, under an advisory lock, checked by SHA-256 against what was applied before.
 */
#ifndef SB_MIGRATE_H
#define SB_MIGRATE_H

#include "config.h"

/* Applies what is missing. 0: up to date; 1: why not was told on stderr. */
int migrate(const struct config *);

/* `serve` starts only on what this binary was built for. NULL: the database fits, else why not. */
struct db;
struct arena;
const char *migrate_check(struct db *, struct arena *);

#endif
