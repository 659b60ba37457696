/*
 * PostgreSQL. The only module that knows libpq. A connection belongs to one thread; its sessions run
 * as switchback_app in schema switchback, times in UTC. Waiting is bounded: a server that does not
 * answer (see db_health) is given up after 200 ms, and everything that follows fails at once with
 * ERR_UNAVAILABLE until it answers again.
 */
#ifndef SB_DB_H
#define SB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

struct config;

/* --- is PostgreSQL there: shared by all connections, own thread ------------------------------ */
struct db_health;
struct db_health *db_health_start(const char *url); /* NULL: no thread or memory */
void db_health_stop(struct db_health *);
bool db_health_up(const struct db_health *);

/* --- connections ------------------------------------------------------------------------------ */
struct db;

/* Connects lazily, at first use and again after a loss. NULL: out of memory. name tells the
   connection apart in pg_stat_activity. */
struct db *db_new(const char *url, struct db_health *, const char *name);
void db_free(struct db *);

/* A statement beside its use; prepared once a connection, by address. */
struct db_stmt {
	const char *name; /* unique, <= 60 characters */
	const char *sql;  /* $n parameters */
	int n_params;
};

struct db_result; /* rows, freed with the arena */
int db_rows(const struct db_result *);
const char *db_value(const struct db_result *, int row, int column); /* NULL for SQL null */
bool db_true(const struct db_result *, int row, int column);	     /* a boolean column is true */

/* Connects if need be. */
enum err db_ready(struct db *);
bool db_connected(const struct db *); /* not lost since; what the session holds is still held */

/* One statement, all values as text (NULL: SQL null). result may be NULL. */
enum err db_exec(struct db *, struct arena *, const struct db_stmt *, const char *const *params,
		 struct db_result **result);

/* Transactions. tenant: the wall for all that follows in it; "" where none is known (then only the
   lookup functions show rows). Read only unless `write`. */
enum err db_begin(struct db *, const char *tenant, bool write);
enum err db_set_tenant(struct db *, struct arena *, const char *tenant);
enum err db_commit(struct db *); /* ERR_OUTCOME_UNKNOWN: the answer was lost */
void db_rollback(struct db *);

/* Of the last failed statement: what it violated, "" where nothing; valid until the next one. */
const char *db_constraint(const struct db *);
const char *db_message(const struct db *); /* for the log, not for clients */

/* Session advisory lock (22868, key), held until the connection is lost. *got tells. */
enum err db_instance_lock(struct db *, int32_t key, bool *got);

/* Runs a script of several statements as the connection's login role (migrations). */
enum err db_script(struct db *, const char *sql);
/* A connection that does not SET ROLE and waits without limit: for `migrate`. */
struct db *db_new_admin(const char *url);

/* --- pipelines: many statements, one flush, one wait ------------------------------------------- */
struct db_batch;

/* Statements added are run in one transaction when `transaction`, else each in its own up to the
   end of the batch (reads). */
struct db_batch *db_batch_new(struct db *, struct arena *, bool transaction);
/* Values are copied by libpq's buffer at once; slot is the index of its result. */
enum err db_batch_add(struct db_batch *, const struct db_stmt *, const char *const *params,
		      size_t *slot);
/* Binds the tenant of the statements that follow, in the transaction. NULL: a statement of the
   caller's has bound another; the next call binds anew. */
enum err db_batch_tenant(struct db_batch *, const char *tenant);
/* Sends, waits, commits. ERR_OK: all done and durable. Otherwise none is (ERR_OUTCOME_UNKNOWN apart). */
enum err db_batch_run(struct db_batch *);
/* A caller that will not run what it has added: it must not be answered to the next batch, so the
   connection goes. Done already where adding failed; after db_batch_run, and for NULL, nothing. */
void db_batch_abandon(struct db_batch *);
const struct db_result *db_batch_result(const struct db_batch *, size_t slot);

#endif
