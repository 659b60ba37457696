/*
 * See migrate.h. Runs as the login role of the URL, which becomes switchback_owner for each
 * migration; it must be able to create the three roles once (CREATEROLE or superuser).
 */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assets.h"
#include "crypto.h"
#include "db.h"
#include "log.h"

/* What an administrator may run by hand where the login role is not allowed to. */
static const char roles_sql[] =
	"DO $$\n"
	"DECLARE r text;\n"
	"BEGIN\n"
	"	FOREACH r IN ARRAY ARRAY['switchback_owner', 'switchback_app', 'switchback_lookup'] LOOP\n"
	"		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN\n"
	"			EXECUTE format('CREATE ROLE %I NOLOGIN', r);\n"
	"		END IF;\n"
	"		IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)\n"
	"		   AND NOT pg_has_role(current_user, r, 'MEMBER') THEN\n"
	"			EXECUTE format('GRANT %I TO CURRENT_USER', r);\n"
	"		END IF;\n"
	"	END LOOP;\n"
	"	IF NOT pg_has_role('switchback_owner', 'switchback_lookup', 'MEMBER') THEN\n"
	"		GRANT switchback_lookup TO switchback_owner;\n"
	"	END IF;\n"
	"END $$;\n"
	"CREATE SCHEMA IF NOT EXISTS switchback AUTHORIZATION switchback_owner;\n"
	"GRANT USAGE ON SCHEMA switchback TO switchback_app, switchback_lookup;\n"
	"GRANT CREATE ON SCHEMA switchback TO switchback_lookup;\n";

static const char registry_sql[] =
	"SET ROLE switchback_owner; SET search_path = switchback, pg_temp;"
	"CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
	" checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());"
	"COMMENT ON TABLE schema_migrations IS 'Which migrations this database has, with the SHA-256 of each.';"
	"GRANT SELECT ON schema_migrations TO switchback_app";

static const struct db_stmt find_applied = {
	"find_applied",
	"SELECT number, name, checksum FROM switchback.schema_migrations ORDER BY number", 0
};
static const struct db_stmt has_schema = {
	"has_schema", "SELECT to_regclass('switchback.schema_migrations') IS NOT NULL", 0
};
static const struct db_stmt has_roles = {
	"has_roles",
	"SELECT count(*) = 3 AND bool_and(pg_has_role(current_user, oid, 'MEMBER')) FROM pg_roles"
	" WHERE rolname IN ('switchback_owner', 'switchback_app', 'switchback_lookup')"
	" HAVING to_regnamespace('switchback') IS NOT NULL",
	0
};
static const struct db_stmt record = {
	"record",
	"INSERT INTO switchback.schema_migrations (number, name, checksum) VALUES ($1::integer, $2, $3)",
	3
};

static char *checksum(struct arena *arena, const struct migration *m)
{
	uint8_t digest[SHA256_LENGTH];

	if (crypto_sha256(m->sql, m->length, digest))
		return NULL;
	return crypto_hex(arena, digest, sizeof(digest));
}

/* NULL: every applied migration is one of ours, unchanged, or (newer_too) comes after ours: hot
   functions carry a version in their name, so that two releases run side by side. */
static const char *compare(struct arena *arena, const struct db_result *applied, bool newer_too)
{
	const struct migration *ours;
	const size_t n = asset_migrations(&ours);

	for (int i = 0; i < db_rows(applied); i++) {
		const char *sum = (size_t)i < n ? checksum(arena, &ours[i]) : NULL;

		if ((size_t)i >= n && newer_too)
			break;
		if ((size_t)i >= n)
			return arena_printf(
				arena,
				"the database has migration %s, which this release does not know: it is newer",
				db_value(applied, i, 1));
		if (!sum || strcmp(db_value(applied, i, 1), ours[i].name) ||
		    strcmp(db_value(applied, i, 2), sum))
			return arena_printf(
				arena,
				"migration %s was changed after it was applied (checksum differs)",
				db_value(applied, i, 1));
	}
	return NULL;
}

static int fail_migrate(const struct db *db, const char *what)
{
	fprintf(stderr, "switchback migrate: %s: %s\n", what, db_message(db));
	return 1;
}

static int prepare_roles(struct db *db, struct arena *arena)
{
	struct db_result *r = NULL;

	if (db_exec(db, arena, &has_roles, NULL, &r))
		return fail_migrate(db, "cannot look for the roles");
	if (db_rows(r) && db_true(r, 0, 0))
		return 0;
	if (!db_script(db, roles_sql))
		return 0;
	fail_migrate(db, "cannot create the roles and the schema");
	fprintf(stderr,
		"Let an administrator of the database run this, as the role that migrates:\n\n%s",
		roles_sql);
	return 1;
}

static int apply(struct db *db, struct arena *arena, const struct migration *m)
{
	char *sum = checksum(arena, m);
	char number[16];
	const char *params[] = { number, m->name, sum };

	snprintf(number, sizeof(number), "%d", m->number);
	if (!sum)
		return 1;
	if (db_begin(db, "", true) ||
	    db_script(
		    db,
		    "SET LOCAL ROLE switchback_owner; SET LOCAL search_path = switchback, pg_temp") ||
	    db_script(db, m->sql) || db_exec(db, arena, &record, params, NULL)) {
		fail_migrate(db, m->name);
		db_rollback(db);
		return 1;
	}
	if (db_commit(db))
		return fail_migrate(db, m->name);
	printf("applied %s\n", m->name);
	return 0;
}

static int apply_all(struct db *db, struct arena *arena)
{
	const struct migration *ours;
	const size_t n = asset_migrations(&ours);
	struct db_result *applied = NULL;
	const char *why;
	size_t from;

	if (prepare_roles(db, arena))
		return 1;
	if (db_script(db, registry_sql) || db_exec(db, arena, &find_applied, NULL, &applied))
		return fail_migrate(db, "cannot read schema_migrations");
	why = compare(arena, applied, false);
	if (why) {
		fprintf(stderr, "switchback migrate: %s\n", why);
		return 1;
	}
	from = (size_t)db_rows(applied);
	for (size_t i = from; i < n; i++)
		if (apply(db, arena, &ours[i]))
			return 1;
	if (from == n)
		printf("up to date: %zu migrations\n", n);
	return 0;
}

int migrate(const struct config *config)
{
	struct db *db = db_new_admin(config->database_url);
	struct arena *arena = arena_new();
	int status = 1;

	/* One migrator at a time; the lock falls with the connection. */
	if (!db || !arena)
		fprintf(stderr, "switchback migrate: out of memory\n");
	else if (db_ready(db))
		fprintf(stderr, "switchback migrate: cannot connect to the database\n");
	else if (db_script(db,
			   "SET client_min_messages = warning; SELECT pg_advisory_lock(22868, 0)"))
		fail_migrate(db, "cannot take the lock");
	else
		status = apply_all(db, arena);
	arena_free(arena);
	db_free(db);
	return status;
}

const char *migrate_check(struct db *db, struct arena *arena)
{
	const struct migration *ours;
	struct db_result *r = NULL;
	const char *why;

	if (db_exec(db, arena, &has_schema, NULL, &r))
		return "the database does not answer";
	if (!db_true(r, 0, 0))
		return "the database is empty: run `switchback migrate` first";
	if (db_exec(db, arena, &find_applied, NULL, &r))
		return "cannot read schema_migrations";
	why = compare(arena, r, true);
	if (!why && (size_t)db_rows(r) < asset_migrations(&ours))
		why = "migrations are missing: run `switchback migrate` first";
	return why;
}
