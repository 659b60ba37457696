/*
 * Pipelines: any number of statements, one flush, one wait. libpq queues what is added; answers are
 * read only in db_batch_run.
 */
#include "db_internal.h"

#include <stdio.h>
#include <string.h>

enum expect_kind { EXPECT_PREPARE, EXPECT_PLAIN, EXPECT_ROWS, EXPECT_COMMIT };

struct expect {
	enum expect_kind kind;
	const struct db_stmt *stmt; /* EXPECT_PREPARE */
	struct db_result *result;   /* EXPECT_ROWS */
};

struct db_batch {
	struct db *db;
	struct arena *arena;
	bool transaction;
	bool open;    /* in pipeline mode */
	enum err err; /* the first failure */
	struct expect *expects;
	size_t n, room;
	char tenant[37]; /* bound now */
};

static const struct db_stmt begin = { "batch_begin", "BEGIN", 0 };
static const struct db_stmt commit = { "batch_commit", "COMMIT", 0 };
static const struct db_stmt set_tenant = { "batch_tenant",
					   "SELECT set_config('switchback.tenant', $1, true)", 1 };

struct db_batch *db_batch_new(struct db *db, struct arena *arena, bool transaction)
{
	struct db_batch *b = arena_alloc(arena, sizeof(*b));

	if (!b)
		return NULL;
	b->db = db;
	b->arena = arena;
	b->transaction = transaction;
	return b;
}

static enum err expect(struct db_batch *b, enum expect_kind kind, const struct db_stmt *stmt,
		       size_t *slot)
{
	if (b->n == b->room) {
		const size_t room = b->room ? 2 * b->room : 64;
		struct expect *more = arena_alloc(b->arena, room * sizeof(*more));

		if (!more)
			return b->err = ERR_UNAVAILABLE;
		if (b->n)
			memcpy(more, b->expects, b->n * sizeof(*more));
		b->expects = more;
		b->room = room;
	}
	if (slot)
		*slot = b->n;
	b->expects[b->n++] = (struct expect){ .kind = kind, .stmt = stmt };
	return ERR_OK;
}

/* Whether this pipeline has it prepared already, or the connection from before. */
static bool prepared_here(const struct db_batch *b, const struct db_stmt *stmt)
{
	if (db_is_prepared(b->db, stmt))
		return true;
	for (size_t i = 0; i < b->n; i++)
		if (b->expects[i].kind == EXPECT_PREPARE && b->expects[i].stmt == stmt)
			return true;
	return false;
}

static enum err queue(struct db_batch *b, enum expect_kind kind, const struct db_stmt *stmt,
		      const char *const *params, size_t *slot)
{
	PGconn *conn = b->db->conn;

	if (!prepared_here(b, stmt)) {
		if (!PQsendPrepare(conn, stmt->name, stmt->sql, stmt->n_params, NULL))
			return b->err = ERR_UNAVAILABLE;
		if (expect(b, EXPECT_PREPARE, stmt, NULL))
			return b->err;
	}
	if (!PQsendQueryPrepared(conn, stmt->name, stmt->n_params, params, NULL, NULL, 0))
		return b->err = ERR_UNAVAILABLE;
	return expect(b, kind, stmt, slot);
}

/* What cannot be queued whole is not sent at all: no caller has to mind a half pipeline. */
static enum err send(struct db_batch *b, enum expect_kind kind, const struct db_stmt *stmt,
		     const char *const *params, size_t *slot)
{
	const enum err err = queue(b, kind, stmt, params, slot);

	if (err)
		db_batch_abandon(b);
	return err;
}

static enum err open_pipeline(struct db_batch *b)
{
	b->err = db_ready(b->db);
	if (b->err)
		return b->err;
	if (!PQenterPipelineMode(b->db->conn))
		return b->err = ERR_UNAVAILABLE;
	b->open = true;
	b->db->warned = false;
	if (b->transaction)
		return send(b, EXPECT_PLAIN, &begin, NULL, NULL);
	return ERR_OK;
}

enum err db_batch_add(struct db_batch *b, const struct db_stmt *stmt, const char *const *params,
		      size_t *slot)
{
	if (b->err || (!b->open && open_pipeline(b)))
		return b->err;
	return send(b, EXPECT_ROWS, stmt, params, slot);
}

enum err db_batch_tenant(struct db_batch *b, const char *tenant)
{
	if (!tenant) {
		b->tenant[0] = '\0';
		return b->err;
	}
	if (b->err || (!b->open && open_pipeline(b)))
		return b->err;
	if (!strcmp(b->tenant, tenant))
		return ERR_OK;
	snprintf(b->tenant, sizeof(b->tenant), "%s", tenant);
	return send(b, EXPECT_PLAIN, &set_tenant, &tenant, NULL);
}

static void take(struct db_batch *b, struct expect *e, PGresult *res)
{
	const ExecStatusType status = PQresultStatus(res);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		if (e->kind == EXPECT_PREPARE)
			db_mark_prepared(b->db, e->stmt);
		if (e->kind == EXPECT_COMMIT && strcmp(PQcmdStatus(res), "COMMIT") && !b->err)
			b->err = ERR_INTERNAL;
		if (e->kind == EXPECT_ROWS) {
			e->result = db_wrap(b->arena, res);
			if (!e->result && !b->err)
				b->err = ERR_UNAVAILABLE;
			return;
		}
	} else if (status != PGRES_PIPELINE_ABORTED && !b->err) {
		b->err = db_failed(b->db, res);
		/* A server that goes away at the COMMIT may have done it. */
		if (e->kind == EXPECT_COMMIT && b->err == ERR_UNAVAILABLE)
			b->err = ERR_OUTCOME_UNKNOWN;
	}
	PQclear(res);
}

/* Reads the answers of all that was sent, up to the sync. */
static enum err collect(struct db_batch *b)
{
	size_t i = 0;

	for (;;) {
		PGresult *res;

		if (db_wait(b->db)) {
			b->open = false;
			/* The commit may have been done before the connection broke. */
			return b->transaction && (!b->err || b->err == ERR_OUTCOME_UNKNOWN)
				       ? ERR_OUTCOME_UNKNOWN
				       : ERR_UNAVAILABLE;
		}
		res = PQgetResult(b->db->conn);
		if (!res)
			continue; /* the end of one statement's results */
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
			PQclear(res);
			break;
		}
		if (i < b->n)
			take(b, &b->expects[i++], res);
		else
			PQclear(res);
	}
	b->open = false;
	if (!PQexitPipelineMode(b->db->conn)) {
		db_lost(b->db);
		return b->err ? b->err : ERR_UNAVAILABLE;
	}
	if (!b->err && b->transaction && b->db->warned)
		return ERR_OUTCOME_UNKNOWN;
	return b->err;
}

/* After a failed statement the explicit transaction is still open: the server waits for its end. */
static void end_failed(struct db_batch *b)
{
	if (!b->db->conn || !b->transaction)
		return;
	b->db->in_transaction = true;
	db_rollback(b->db);
}

enum err db_batch_run(struct db_batch *b)
{
	enum err err;

	if (!b->open && !b->err)
		return ERR_OK; /* nothing was added */
	if (!b->err && b->transaction)
		send(b, EXPECT_COMMIT, &commit, NULL, NULL);
	if (b->err)
		return b->err;
	if (!PQpipelineSync(b->db->conn)) {
		db_lost(b->db);
		return b->err = ERR_UNAVAILABLE;
	}
	err = collect(b);
	if (err)
		end_failed(b);
	return b->err = err;
}

void db_batch_abandon(struct db_batch *b)
{
	if (!b || !b->open)
		return;
	b->open = false;
	db_lost(b->db);
}

const struct db_result *db_batch_result(const struct db_batch *b, size_t slot)
{
	return b->expects[slot].result;
}
