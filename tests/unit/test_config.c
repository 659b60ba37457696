/* server/config.c: what is taken from the environment, and what is refused with which words. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define URL "SWITCHBACK_DATABASE_URL=postgresql://u@h/d"
#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY "SWITCHBACK_SECRETS_KEY=" KEY_TEXT
#define OPERATOR_TEXT "0123456789abcdef0123456789abcdef"
#define RANGE "10.0.0.0/8,"
#define EIGHT RANGE RANGE RANGE RANGE RANGE RANGE RANGE RANGE

extern char **environ;

static char said[8192];

/* Loads from exactly these entries; what was written to err is in `said`. */
static bool load(struct config *config, enum config_need need, const char *const *entries)
{
	FILE *err = fmemopen(said, sizeof(said), "w");
	char **before = environ;
	bool good;

	assert_non_null(err);
	environ = (char **)(uintptr_t)entries;
	good = config_load(config, need, err);
	environ = before;
	(void)fclose(err);
	if (good)
		said[0] = '\0';
	return good;
}

static void test_defaults(void **state)
{
	const char *const entries[] = { "PATH=/bin", URL, KEY, NULL };
	struct config config;

	(void)state;
	assert_true(load(&config, CONFIG_ALL, entries));
	assert_string_equal(config.listen_host, "127.0.0.1");
	assert_int_equal(config.listen_port, 8080);
	assert_string_equal(config.database_url, "postgresql://u@h/d");
	assert_null(config.operator_key);
	for (int i = 0; i < 32; i++)
		assert_int_equal(config.secrets_key[i], i);
	assert_false(config.webhook_allow_http);
	assert_int_equal(config.n_webhook_allow_cidrs, 0);
	config_free(&config);
}

static void test_all_set(void **state)
{
	const char *const entries[] = {
		URL,
		KEY,
		"SWITCHBACK_LISTEN=[::1]:0",
		"SWITCHBACK_OPERATOR_KEY=" OPERATOR_TEXT,
		"SWITCHBACK_WEBHOOK_ALLOW_HTTP=true",
		"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8, fd00::/8,192.0.2.1/32,0.0.0.0/0",
		"SWITCHBACK_SMTP_URL=smtps://user:p%40ss@mail.example:465",
		"SWITCHBACK_SMTP_FROM=switchback@calls.example",
		NULL
	};
	struct config config;

	(void)state;
	assert_true(load(&config, CONFIG_ALL, entries));
	assert_string_equal(config.listen_host, "::1");
	assert_int_equal(config.listen_port, 0);
	assert_string_equal(config.operator_key, OPERATOR_TEXT);
	assert_true(config.webhook_allow_http);
	assert_int_equal(config.n_webhook_allow_cidrs, 4);
	assert_int_equal(config.webhook_allow_cidrs[0].family, AF_INET);
	assert_int_equal(config.webhook_allow_cidrs[0].bits, 8);
	assert_int_equal(config.webhook_allow_cidrs[0].address[0], 127);
	assert_int_equal(config.webhook_allow_cidrs[1].family, AF_INET6);
	assert_int_equal(config.webhook_allow_cidrs[1].address[0], 0xfd);
	assert_int_equal(config.webhook_allow_cidrs[2].bits, 32);
	assert_int_equal(config.webhook_allow_cidrs[3].bits, 0);
	assert_string_equal(config.smtp_url, "smtps://user:p%40ss@mail.example:465");
	assert_string_equal(config.smtp_from, "switchback@calls.example");
	config_free(&config);
	assert_null(config.operator_key);
}

static void test_need(void **state)
{
	const char *const url_only[] = { URL, NULL };
	const char *const nothing[] = { NULL };
	struct config config;

	(void)state;
	assert_true(load(&config, CONFIG_DATABASE, url_only));
	config_free(&config);
	assert_false(load(&config, CONFIG_ALL, url_only));
	assert_non_null(strstr(said, "SWITCHBACK_SECRETS_KEY or SWITCHBACK_SECRETS_KEY_FILE"));
	assert_null(strstr(said, "DATABASE_URL"));
	assert_false(load(&config, CONFIG_DATABASE, nothing));
	assert_non_null(strstr(said, "SWITCHBACK_DATABASE_URL"));
	assert_null(strstr(said, "SECRETS_KEY"));
}

/* Each is refused, naming what stands before '=', and without repeating a secret. */
static const char *const wrong[] = {
	"SWITCHBACK_LISTEN=",
	"SWITCHBACK_LISTEN=127.0.0.1",
	"SWITCHBACK_LISTEN=:8080",
	"SWITCHBACK_LISTEN=127.0.0.1:",
	"SWITCHBACK_LISTEN=127.0.0.1:65536",
	"SWITCHBACK_LISTEN=127.0.0.1:-1",
	"SWITCHBACK_LISTEN=127.0.0.1:80x",
	"SWITCHBACK_LISTEN=127.0.0.1:000080",
	"SWITCHBACK_LISTEN=::1:8080",
	"SWITCHBACK_LISTEN=[::1]",
	"SWITCHBACK_LISTEN=[]:80",
	"SWITCHBACK_LISTEN=[::1:80",
	"SWITCHBACK_LISTEN=[::g]:80",
	"SWITCHBACK_LISTEN=[127.0.0.1]:80",
	"SWITCHBACK_LISTEN=http://127.0.0.1:80",
	"SWITCHBACK_OPERATOR_KEY=",
	"SWITCHBACK_OPERATOR_KEY=0123456789abcdef0123456789abcde",
	"SWITCHBACK_OPERATOR_KEY=0123456789abcdef 123456789abcdef",
	"SWITCHBACK_SMTP_URL=",
	"SWITCHBACK_SMTP_URL=mail.example",
	"SWITCHBACK_SMTP_URL=http://mail.example",
	"SWITCHBACK_SMTP_URL=smtp://",
	"SWITCHBACK_SMTP_URL=smtp://mail.example:port",
	"SWITCHBACK_SMTP_URL=smtp://mail.example:65536",
	"SWITCHBACK_SMTP_URL=smtp://mail.example/name",
	"SWITCHBACK_SMTP_URL=smtp://mail.example?a=b",
	"SWITCHBACK_SMTP_URL=smtp://mail.example#a",
	"SWITCHBACK_SMTP_URL=smtp://mail.exam\rple",
	"SWITCHBACK_SMTP_FROM=",
	"SWITCHBACK_SMTP_FROM=switchback",
	"SWITCHBACK_SMTP_FROM=Switchback <a@b>",
	"SWITCHBACK_SMTP_FROM=a@b\r\nBcc: c@d",
	"SWITCHBACK_WEBHOOK_ALLOW_HTTP=1",
	"SWITCHBACK_WEBHOOK_ALLOW_HTTP=",
	"SWITCHBACK_WEBHOOK_ALLOW_HTTP=TRUE",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0.0",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0.1/8",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0.0/33",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0.0/",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0.0/8x",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=10.0.0/8",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=fd00::/129",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=fd00::/4",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=all",
	"SWITCHBACK_WEBHOOK_ALLOW_CIDRS=" EIGHT EIGHT EIGHT EIGHT "10.0.0.0/8",
	"SWITCHBACK_LISTENN=127.0.0.1:80",
	"SWITCHBACK_LISTEN_FILE=/x",
	"SWITCHBACK_=1",
	"SWITCHBACK_TEST_ADMIN_URL=postgresql://x",
	"SWITCHBACK_TLS_CERT_FILE=/x",
	"SWITCHBACK_OPERATOR_KEY_FILE=/nonexistent/file",
	"SWITCHBACK_OPERATOR_KEY_FILE=/",
};

static void test_wrong(void **state)
{
	struct config config;

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		const char *const entries[] = { URL, KEY, wrong[i], NULL };
		size_t name = strcspn(wrong[i], "=");

		if (load(&config, CONFIG_ALL, entries))
			fail_msg("%s was taken", wrong[i]);
		if (strncmp(said, wrong[i], name) != 0 || said[name] != ' ' ||
		    strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("%s: %s", wrong[i], said);
		assert_null(strstr(said, "0123456789"));
	}
}

static void test_wrong_secrets(void **state)
{
	static const char *const entries[][3] = {
		{ "SWITCHBACK_DATABASE_URL=", KEY, NULL },
		{ "SWITCHBACK_DATABASE_URL=localhost", KEY, NULL },
		{ URL, "SWITCHBACK_SECRETS_KEY=", NULL },
		{ URL,
		  "SWITCHBACK_SECRETS_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", NULL },
		{ URL, "SWITCHBACK_SECRETS_KEY=" KEY_TEXT "AAAA", NULL },
		{ URL, "SWITCHBACK_SECRETS_KEY= " KEY_TEXT, NULL },
		{ URL, "SWITCHBACK_SECRETS_KEY=not base64 at all, by any means", NULL },
	};
	struct config config;

	(void)state;
	for (size_t i = 0; i < LENGTH(entries); i++) {
		if (load(&config, CONFIG_ALL, entries[i]))
			fail_msg("row %zu was taken", i);
		assert_null(strstr(said, "AAEC"));
		assert_non_null(strstr(said, "must be"));
	}
}

static void test_all_faults_at_once(void **state)
{
	const char *const entries[] = { "SWITCHBACK_LISTEN=x",
					"SWITCHBACK_OPERATOR_KEY=short",
					"SWITCHBACK_OPERATOR_KEY_FILE=/dev/null",
					"SWITCHBACK_NONSENSE=1",
					"SWITCHBACK_WEBHOOK_ALLOW_HTTP=yes",
					NULL };
	static const char *const names[] = {
		"SWITCHBACK_LISTEN must",
		"SWITCHBACK_NONSENSE is not",
		"SWITCHBACK_OPERATOR_KEY and SWITCHBACK_OPERATOR_KEY_FILE are both set",
		"SWITCHBACK_WEBHOOK_ALLOW_HTTP must",
		"SWITCHBACK_DATABASE_URL or",
		"SWITCHBACK_SECRETS_KEY or"
	};
	struct config config;

	(void)state;
	assert_false(load(&config, CONFIG_ALL, entries));
	for (size_t i = 0; i < LENGTH(names); i++)
		if (strstr(said, names[i]) == NULL)
			fail_msg("'%s' is missing: %s", names[i], said);
	assert_null(strstr(said, "short"));
}

/* Without a sender no mail can be sent: said at once, and not when somebody is to be told. */
static void test_smtp_needs_a_sender(void **state)
{
	const char *const entries[] = { URL, KEY, "SWITCHBACK_SMTP_URL=smtp://mail.example", NULL };
	const char *const sender[] = { URL, KEY, "SWITCHBACK_SMTP_FROM=a@b", NULL };
	struct config config;

	(void)state;
	assert_false(load(&config, CONFIG_ALL, entries));
	assert_non_null(strstr(said, "SWITCHBACK_SMTP_FROM must be set"));
	assert_true(load(&config, CONFIG_ALL, sender));
	assert_null(config.smtp_url);
	config_free(&config);
}

/* The name of a file with this text, for the caller to unlink. */
static char *file_with(const char *text, size_t length, char name[static 32])
{
	int file;

	(void)snprintf(name, 32, "/tmp/switchback-test-XXXXXX");
	file = mkstemp(name);
	assert_true(file >= 0);
	assert_int_equal(write(file, text, length), length);
	close(file);
	return name;
}

static void test_files(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		bool good;
	} files[] = {
		{ OPERATOR_TEXT, 32, true },
		{ OPERATOR_TEXT "\n", 33, true },
		{ OPERATOR_TEXT "\r\n", 34, true },
		{ OPERATOR_TEXT "\n\n", 34, false },
		{ OPERATOR_TEXT " \n", 34, false },
		{ OPERATOR_TEXT "\0x", 34, false },
		{ "", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(files); i++) {
		char name[32], entry[80];
		const char *const entries[] = { URL, KEY, entry, NULL };
		struct config config;
		bool good;

		(void)snprintf(entry, sizeof(entry), "SWITCHBACK_OPERATOR_KEY_FILE=%s",
			       file_with(files[i].text, files[i].length, name));
		good = load(&config, CONFIG_ALL, entries);
		unlink(name);
		if (good != files[i].good)
			fail_msg("row %zu: %s", i, said);
		if (good) {
			assert_string_equal(config.operator_key, OPERATOR_TEXT);
			config_free(&config);
		}
	}
}

static void test_help(void **state)
{
	static const char *const names[] = { "SWITCHBACK_LISTEN",
					     "SWITCHBACK_DATABASE_URL",
					     "SWITCHBACK_OPERATOR_KEY",
					     "SWITCHBACK_SECRETS_KEY",
					     "SWITCHBACK_WEBHOOK_ALLOW_HTTP",
					     "SWITCHBACK_WEBHOOK_ALLOW_CIDRS",
					     "SWITCHBACK_SMTP_URL",
					     "SWITCHBACK_SMTP_FROM",
					     "127.0.0.1:8080" };
	FILE *out = fmemopen(said, sizeof(said), "w");

	(void)state;
	assert_non_null(out);
	config_help(out);
	(void)fclose(out);
	for (size_t i = 0; i < LENGTH(names); i++)
		assert_non_null(strstr(said, names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_set),
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_wrong_secrets),
		cmocka_unit_test(test_all_faults_at_once),
		cmocka_unit_test(test_smtp_needs_a_sender),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
