/*
 * switchback serve | migrate | check-config | healthcheck | dump-api | version
 * Joins the mechanism of server/ with what api/ offers; the only file that includes both.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <jansson.h>

#include "api/resources.h"
#include "app.h"
#include "auth.h"
#include "config.h"
#include "context_cache.h"
#include "crypto.h"
#include "db.h"
#include "delivery.h"
#include "health_client.h"
#include "lane.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "migrate.h"
#include "sweep.h"
#include "version.h"

#define EXIT_CONFIG 2 /* it says which setting and why, before it listens */

static const struct db_stmt role_check = {
	"role_check",
	"SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid"
	" AND c.relkind IN ('r', 'p')) FROM pg_roles r WHERE r.rolname = current_user",
	0
};

/* The wall holds only for a role that is no superuser, does not bypass it and owns no table. */
static const char *check_role(struct db *db, struct arena *arena)
{
	struct db_result *r = NULL;

	if (db_exec(db, arena, &role_check, NULL, &r))
		return "the database does not answer";
	if (!db_rows(r) || db_true(r, 0, 0))
		return "the effective role must not be superuser, bypass row security or own a table";
	return NULL;
}

/* At start the database may still be coming up: the service waits for it, with its log saying so. */
static enum err wait_for_database(struct db *db)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000000L };
	enum err err = db_ready(db);

	for (int i = 0; err == ERR_UNAVAILABLE && i < 100; i++) {
		nanosleep(&pause, NULL);
		err = db_ready(db);
	}
	return err;
}

static bool check_database(struct app *app)
{
	struct db *db = db_new(app->config->database_url, app->health, "start");
	struct arena *arena = arena_new();
	const char *why = "out of memory";

	if (db && arena) {
		why = wait_for_database(db) ? db_message(db) : check_role(db, arena);
		if (!why)
			why = migrate_check(db, arena);
	}
	if (why)
		fprintf(stderr, "switchback: SWITCHBACK_DATABASE_URL: %s\n", why);
	arena_free(arena);
	db_free(db);
	return !why;
}

/* The number by which this process is known in claims; drawn again where another has it. */
static bool start_delivery(struct app *app)
{
	for (int i = 0; i < 5 && !app->delivery; i++) {
		uint32_t n;

		if (crypto_random(&n, sizeof(n)))
			return false;
		app->instance = (int32_t)(n & 0x7fffffff) | 1;
		app->delivery = delivery_start(app);
	}
	return app->delivery != NULL;
}

static bool start(struct app *app)
{
	app->metrics = metrics_new();
	app->auth = auth_cache_new();
	app->contexts = context_cache_new();
	if (!app->metrics || !app->auth || !app->contexts || !start_delivery(app))
		return false;
	app->lanes = lanes_start(app);
	app->sweep = sweep_start(app);
	app->loop = app->lanes && app->sweep ? loop_new(app) : NULL;
	return app->loop != NULL;
}

static void stop(struct app *app)
{
	lanes_stop(app->lanes);
	sweep_stop(app->sweep);
	loop_free(app->loop);
	delivery_stop(app->delivery);
	context_cache_free(app->contexts);
	auth_cache_free(app->auth);
	metrics_free(app->metrics);
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int serve(const struct config *config)
{
	struct app app = { .config = config, .resources = resources };
	int status = EXIT_CONFIG;

	block_signals();
	prctl(PR_SET_DUMPABLE, 0); /* no core dumps: they would hold keys and personal data */
	json_object_seed(0);
	app.health = db_health_start(config->database_url);
	if (app.health && check_database(&app)) {
		status = EXIT_FAILURE;
		if (start(&app)) {
			loop_run(app.loop);
			status = EXIT_SUCCESS;
		}
		stop(&app);
	}
	db_health_stop(app.health);
	if (status == EXIT_SUCCESS)
		log_event(LOG_LEVEL_INFO, "stopped", NULL);
	return status;
}

static const char *lane_name(enum lane_id lane)
{
	static const char *const names[] = { "none", "ordinary", "emergency" };

	return names[lane];
}

static json_t *scope_json(const struct route *r)
{
	char text[128] = "";

	if (r->is_public || !r->scopes)
		return json_null();
	for (uint32_t bit = 1; bit <= SCOPE_OPERATOR; bit <<= 1)
		if (r->scopes & bit)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? " " : "", scope_name(bit));
	return json_string(text);
}

static int dump_api(const struct config *config)
{
	json_t *routes = json_array();
	json_t *root = json_pack("{s:o}", "routes", routes);

	(void)config;
	for (const struct resource *const *res = resources; *res; res++)
		for (const struct route *r = (*res)->routes; r->method; r++)
			json_array_append_new(routes,
					      json_pack("{s:s, s:s, s:s, s:o, s:s}", "method",
							r->method, "path", r->path, "operation_id",
							r->operation_id, "scope", scope_json(r),
							"lane", lane_name(r->lane)));
	json_dumpf(root, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(root);
	return EXIT_SUCCESS;
}

static int check_config(const struct config *config)
{
	(void)config; /* it was loaded: that is the check */
	config_help(stdout);
	return EXIT_SUCCESS;
}

static int version(const struct config *config)
{
	(void)config;
	puts("switchback " SWITCHBACK_VERSION);
	return EXIT_SUCCESS;
}

struct command {
	const char *name;
	int (*run)(const struct config *);
	int need; /* enum config_need, or -1: no settings */
	const char *help;
};

static const struct command commands[] = {
	{ "serve", serve, CONFIG_ALL, "answer HTTP requests until SIGTERM" },
	{ "migrate", migrate, CONFIG_DATABASE, "bring the database to this release's schema" },
	{ "check-config", check_config, CONFIG_ALL, "check the settings and list them" },
	{ "healthcheck", health_client, CONFIG_ALL,
	  "exit 0 if the service at SWITCHBACK_LISTEN is ready" },
	{ "dump-api", dump_api, -1, "print all routes as JSON" },
	{ "version", version, -1, "print the version" },
};

static int usage(void)
{
	fputs("usage: switchback COMMAND\n\n", stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-13s %s\n", commands[i].name, commands[i].help);
	fputs("\nSettings come from the environment; `switchback check-config` lists them.\n",
	      stderr);
	return EXIT_CONFIG;
}

static int run_command(const struct command *c)
{
	struct config config = { 0 };
	int status = EXIT_CONFIG;

	if (crypto_init()) {
		fputs("switchback: GnuTLS does not start\n", stderr);
		return EXIT_FAILURE;
	}
	if (c->need < 0 || config_load(&config, (enum config_need)c->need, stderr))
		status = c->run(&config);
	config_free(&config);
	return status;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return usage();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return run_command(&commands[i]);
	return usage();
}
