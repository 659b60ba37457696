/*
 * What db.c, db_batch.c and db_health.c share. Nothing else includes it.
 */
#ifndef SB_DB_INTERNAL_H
#define SB_DB_INTERNAL_H

#include <libpq-fe.h>

#include "db.h"

#define DB_STALL_MS 200	      /* no answer from the server at all for so long: it is given up */
#define DB_ASK_MS 60	      /* after so long the health thread is asked for a second opinion */
#define DB_MAX_STATEMENTS 512 /* prepared on one connection; a power of two */

struct db {
	PGconn *conn; /* NULL: not connected */
	char *url;
	struct db_health *health; /* NULL: waits without limit (migrations) */
	const char *name;
	bool in_transaction;
	bool warned; /* a WARNING arrived: at COMMIT, it is not durable */
	const struct db_stmt *prepared[DB_MAX_STATEMENTS];
	char constraint[64];
	char message[256];
};

/* Waits until the connection's next result is there (and what was queued is sent). ERR_UNAVAILABLE:
   lost or given up; then the connection is closed. */
enum err db_wait(struct db *);
void db_lost(struct db *); /* closes it */

/* The last error of a result: fills constraint and message, maps SQLSTATE. */
enum err db_failed(struct db *, const PGresult *);

bool db_is_prepared(const struct db *, const struct db_stmt *);
void db_mark_prepared(struct db *, const struct db_stmt *);
struct db_result *db_wrap(struct arena *, PGresult *); /* takes it; NULL: out of memory, cleared */

/* Opens one connection within the stall limit. NULL: not to be had. */
PGconn *db_open(const char *url, const char *name, struct db_health *);
enum err db_poll(PGconn *, short events, int64_t since_ms, struct db_health *);

/* Health: an answer came; what is asked; it was given up. */
void db_health_progress(struct db_health *);
int64_t db_health_last(const struct db_health *);
void db_health_ask(struct db_health *);
void db_health_down(struct db_health *);

#endif
