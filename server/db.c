/*
 * Connections, statements, transactions. See db.h; pipelines are in db_batch.c, and when a server
 * counts as gone in db_health.c.
 */
#include "db_internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"

/* What every session is: the service's role, our schema first, nothing that surprises. */
static const char session_sql[] =
	"SET ROLE switchback_app; SET search_path = switchback, pg_temp; SET TimeZone = 'UTC';"
	"SET lock_timeout = '200ms'; SET jit = off; SET client_min_messages = warning;"
	"SET idle_in_transaction_session_timeout = '30s'";

static const struct db_stmt set_tenant = { "set_tenant",
					   "SELECT set_config('switchback.tenant', $1, true)", 1 };
static const struct db_stmt instance_lock = { "instance_lock",
					      "SELECT pg_try_advisory_lock(22868, $1::integer)",
					      1 };

/* The one place where a SQLSTATE becomes an error of ours. */
static enum err err_of_sqlstate(const char *state)
{
	static const struct {
		const char *prefix;
		enum err err;
	} map[] = {
		{ "23505", ERR_ALREADY_EXISTS }, { "23503", ERR_UNKNOWN_REFERENCE },
		{ "23514", ERR_INVALID_VALUE },	 { "40001", ERR_RETRY },
		{ "40P01", ERR_RETRY },		 { "55P03", ERR_LOCKED },
		{ "26000", ERR_RETRY },		 { "08", ERR_UNAVAILABLE },
		{ "53", ERR_UNAVAILABLE },	 { "57", ERR_UNAVAILABLE },
		{ "25006", ERR_UNAVAILABLE },	 { "58", ERR_UNAVAILABLE },
	};

	for (size_t i = 0; state && i < sizeof(map) / sizeof(map[0]); i++)
		if (!strncmp(state, map[i].prefix, strlen(map[i].prefix)))
			return map[i].err;
	return ERR_INTERNAL;
}

/* arg: the struct db that wants to know of warnings, or NULL. libpq's own receiver would print to our
   log what is no JSON. */
static void on_notice(void *arg, const PGresult *res)
{
	struct db *db = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity && !strcmp(severity, "WARNING")) {
		if (db)
			db->warned = true;
		log_event(LOG_LEVEL_WARN, "database_warning", "message",
			  PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), NULL);
	}
}

enum err db_poll(PGconn *conn, short events, int64_t since_ms, struct db_health *health)
{
	struct pollfd p = { .fd = PQsocket(conn), .events = events };
	const int64_t now = clock_ms();
	int64_t from = since_ms;

	if (health) {
		if (now - since_ms >= DB_ASK_MS)
			db_health_ask(health);
		if (db_health_last(health) > from)
			from = db_health_last(health);
		if (now - from >= DB_STALL_MS)
			return ERR_UNAVAILABLE;
	}
	return poll(&p, 1, 20) < 0 && p.revents & POLLNVAL ? ERR_UNAVAILABLE : ERR_OK;
}

/* Connection options that the URL may override: it comes after them. */
PGconn *db_open(const char *url, const char *name, struct db_health *health)
{
	const char *const keys[] = { "application_name",     "connect_timeout",
				     "tcp_user_timeout",     "keepalives_idle",
				     "target_session_attrs", "dbname",
				     "client_encoding",	     NULL };
	char label[64];
	const char *const values[] = { label, "2", "3000", "5", "read-write", url, "UTF8", NULL };
	const int64_t since = clock_ms();
	PGconn *conn;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	snprintf(label, sizeof(label), "switchback %s", name);
	conn = PQconnectStartParams(keys, values, 1);
	if (conn)
		PQsetNoticeReceiver(conn, on_notice, NULL);
	while (conn && PQstatus(conn) != CONNECTION_BAD && status != PGRES_POLLING_OK) {
		if (db_poll(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, since,
			    NULL) ||
		    (health && clock_ms() - since > DB_STALL_MS))
			break;
		status = PQconnectPoll(conn);
		if (status == PGRES_POLLING_FAILED)
			break;
	}
	if (conn && status == PGRES_POLLING_OK && PQstatus(conn) == CONNECTION_OK &&
	    !PQsetnonblocking(conn, 1))
		return conn;
	PQfinish(conn);
	return NULL;
}

struct db *db_new(const char *url, struct db_health *health, const char *name)
{
	struct db *db = calloc(1, sizeof(*db));

	if (!db)
		return NULL;
	db->url = strdup(url);
	db->health = health;
	db->name = name;
	if (!db->url) {
		free(db);
		return NULL;
	}
	return db;
}

struct db *db_new_admin(const char *url)
{
	return db_new(url, NULL, "admin");
}

void db_lost(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->in_transaction = false;
	memset(db->prepared, 0, sizeof(db->prepared));
}

void db_free(struct db *db)
{
	if (!db)
		return;
	db_lost(db);
	free(db->url);
	free(db);
}

enum err db_wait(struct db *db)
{
	const int64_t since = clock_ms();
	bool stalled = false;

	for (;;) {
		const int unsent = PQflush(db->conn);

		if (unsent < 0 || !PQconsumeInput(db->conn))
			break;
		if (!unsent && !PQisBusy(db->conn)) {
			db_health_progress(db->health);
			return ERR_OK;
		}
		stalled = db_poll(db->conn, (short)(unsent ? POLLIN | POLLOUT : POLLIN), since,
				  db->health) != ERR_OK;
		if (stalled)
			break;
	}
	snprintf(db->message, sizeof(db->message), "%s", PQerrorMessage(db->conn));
	db_lost(db);
	/* One lost connection is not a lost server: let the health thread find out. */
	if (db->health && stalled)
		db_health_down(db->health);
	else if (db->health)
		db_health_ask(db->health);
	return ERR_UNAVAILABLE;
}

enum err db_failed(struct db *db, const PGresult *res)
{
	const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const enum err err = err_of_sqlstate(state);

	snprintf(db->constraint, sizeof(db->constraint), "%s", constraint ? constraint : "");
	snprintf(db->message, sizeof(db->message), "%s: %s", state ? state : "-",
		 message ? message : "");
	if (state && !strcmp(state, "26000")) /* somebody has dropped them: prepare again */
		memset(db->prepared, 0, sizeof(db->prepared));
	if (err == ERR_INTERNAL)
		log_event(LOG_LEVEL_ERROR, "statement_failed", "message", db->message, NULL);
	return err;
}

/* Takes every result of what was sent; the last one that matters is kept in *keep. */
static enum err drain(struct db *db, PGresult **keep)
{
	enum err err = ERR_OK;
	PGresult *res;

	*keep = NULL;
	for (;;) {
		const enum err wait = db_wait(db);

		if (wait) {
			PQclear(*keep);
			*keep = NULL;
			return wait;
		}
		res = PQgetResult(db->conn);
		if (!res)
			return err;
		if (PQresultStatus(res) != PGRES_TUPLES_OK &&
		    PQresultStatus(res) != PGRES_COMMAND_OK && !err)
			err = db_failed(db, res);
		PQclear(*keep);
		*keep = res;
	}
}

static enum err run_sql(struct db *db, const char *sql, PGresult **keep)
{
	db->warned = false;
	if (!PQsendQuery(db->conn, sql)) {
		db_lost(db);
		return ERR_UNAVAILABLE;
	}
	return drain(db, keep);
}

bool db_connected(const struct db *db)
{
	return db->conn && PQstatus(db->conn) == CONNECTION_OK;
}

enum err db_ready(struct db *db)
{
	PGresult *res = NULL;
	enum err err;

	if (db_connected(db))
		return db->health && !db_health_up(db->health) ? ERR_UNAVAILABLE : ERR_OK;
	db_lost(db);
	if (db->health && !db_health_up(db->health))
		return ERR_UNAVAILABLE;
	db->conn = db_open(db->url, db->name, db->health);
	if (!db->conn) {
		if (db->health)
			db_health_down(db->health);
		return ERR_UNAVAILABLE;
	}
	PQsetNoticeReceiver(db->conn, on_notice, db);
	if (!db->health)
		return ERR_OK;
	err = run_sql(db, session_sql, &res);
	PQclear(res);
	if (err)
		db_lost(db);
	return err ? ERR_UNAVAILABLE : ERR_OK;
}

/* --- statements ---------------------------------------------------------------------------------- */

static size_t slot_of(const struct db_stmt *stmt)
{
	return ((uintptr_t)stmt / sizeof(void *)) * 2654435761u % DB_MAX_STATEMENTS;
}

bool db_is_prepared(const struct db *db, const struct db_stmt *stmt)
{
	for (size_t i = 0, at = slot_of(stmt); i < DB_MAX_STATEMENTS;
	     i++, at = (at + 1) % DB_MAX_STATEMENTS) {
		if (db->prepared[at] == stmt)
			return true;
		if (!db->prepared[at])
			return false;
	}
	return false;
}

void db_mark_prepared(struct db *db, const struct db_stmt *stmt)
{
	for (size_t i = 0, at = slot_of(stmt); i < DB_MAX_STATEMENTS;
	     i++, at = (at + 1) % DB_MAX_STATEMENTS) {
		if (!db->prepared[at]) {
			db->prepared[at] = stmt;
			return;
		}
	}
}

static void clear_result(void *res)
{
	PQclear(res);
}

struct db_result *db_wrap(struct arena *arena, PGresult *res)
{
	/* A struct db_result is a PGresult by another name: the cast stays in this module. */
	if (!arena_defer(arena, clear_result, res))
		return NULL;
	return (struct db_result *)res;
}

int db_rows(const struct db_result *r)
{
	return PQntuples((const PGresult *)r);
}

const char *db_value(const struct db_result *r, int row, int column)
{
	const PGresult *res = (const PGresult *)r;

	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

bool db_true(const struct db_result *r, int row, int column)
{
	const char *v = db_value(r, row, column);

	return v && *v == 't';
}

enum err db_exec(struct db *db, struct arena *arena, const struct db_stmt *stmt,
		 const char *const *params, struct db_result **result)
{
	PGresult *res = NULL;
	enum err err = db_ready(db);

	if (err)
		return err;
	if (!db_is_prepared(db, stmt)) {
		if (!PQsendPrepare(db->conn, stmt->name, stmt->sql, stmt->n_params, NULL)) {
			db_lost(db);
			return ERR_UNAVAILABLE;
		}
		err = drain(db, &res);
		PQclear(res);
		if (err)
			return err;
		db_mark_prepared(db, stmt);
	}
	if (!PQsendQueryPrepared(db->conn, stmt->name, stmt->n_params, params, NULL, NULL, 0)) {
		db_lost(db);
		return ERR_UNAVAILABLE;
	}
	err = drain(db, &res);
	if (err || !result) {
		PQclear(res);
		return err;
	}
	*result = db_wrap(arena, res);
	return *result ? ERR_OK : ERR_UNAVAILABLE;
}

/* --- transactions -------------------------------------------------------------------------------- */

enum err db_set_tenant(struct db *db, struct arena *arena, const char *tenant)
{
	return db_exec(db, arena, &set_tenant, &tenant, NULL);
}

enum err db_begin(struct db *db, const char *tenant, bool write)
{
	PGresult *res = NULL;
	enum err err = db_ready(db);

	if (!err)
		err = run_sql(db, write ? "BEGIN" : "BEGIN READ ONLY", &res);
	PQclear(res);
	if (err)
		return err;
	db->in_transaction = true;
	if (*tenant)
		err = db_set_tenant(db, NULL, tenant);
	if (err)
		db_rollback(db);
	return err;
}

enum err db_commit(struct db *db)
{
	PGresult *res = NULL;
	enum err err;

	if (!db->conn || !db->in_transaction)
		return ERR_UNAVAILABLE;
	db->in_transaction = false;
	err = run_sql(db, "COMMIT", &res);
	if (err == ERR_UNAVAILABLE || (!err && db->warned))
		err = ERR_OUTCOME_UNKNOWN;
	else if (!err && strcmp(PQcmdStatus(res), "COMMIT"))
		err = ERR_INTERNAL;
	PQclear(res);
	return err;
}

void db_rollback(struct db *db)
{
	PGresult *res = NULL;

	if (!db->conn || !db->in_transaction)
		return;
	db->in_transaction = false;
	if (run_sql(db, "ROLLBACK", &res))
		db_lost(db);
	PQclear(res);
}

const char *db_constraint(const struct db *db)
{
	return db->constraint;
}

const char *db_message(const struct db *db)
{
	return db->message;
}

enum err db_instance_lock(struct db *db, int32_t key, bool *got)
{
	struct arena *arena = arena_new();
	struct db_result *r = NULL;
	char text[16];
	const char *params[] = { text };
	enum err err = ERR_UNAVAILABLE;

	snprintf(text, sizeof(text), "%ld", (long)key);
	if (arena)
		err = db_exec(db, arena, &instance_lock, params, &r);
	*got = !err && db_true(r, 0, 0);
	arena_free(arena);
	return err;
}

enum err db_script(struct db *db, const char *sql)
{
	PGresult *res = NULL;
	enum err err = db_ready(db);

	if (!err)
		err = run_sql(db, sql, &res);
	PQclear(res);
	return err;
}
