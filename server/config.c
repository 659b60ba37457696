#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "mail.h"
#include "outbound.h"

#define SECRET_FILE_MAX 16384
#define OPERATOR_KEY_MIN 32

extern char **environ;

/* --- the values --------------------------------------------------------------------------------- */

static const char *set_listen(struct config *config, const char *value)
{
	static const char *const rule =
		"must be address:port, as 127.0.0.1:8080 or [::1]:8080, the port from 0 to 65535";
	const char *colon = strrchr(value, ':'), *host = value;
	size_t length = colon == NULL ? 0 : (size_t)(colon - value);
	bool brackets = *value == '[' && length >= 2 && value[length - 1] == ']';
	size_t digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
	unsigned char address[16];
	long port;

	if (brackets) {
		host++;
		length -= 2;
	}
	if (length == 0 || length >= sizeof(config->listen_host) || digits < 1 || digits > 5 ||
	    colon[1 + digits] != '\0')
		return rule;
	port = strtol(colon + 1, NULL, 10);
	memcpy(config->listen_host, host, length);
	config->listen_host[length] = '\0';
	if (port > UINT16_MAX || brackets != (memchr(host, ':', length) != NULL) ||
	    (brackets && inet_pton(AF_INET6, config->listen_host, address) != 1) ||
	    strpbrk(config->listen_host, " \t[]/@") != NULL)
		return rule;
	config->listen_port = (uint16_t)port;
	return NULL;
}

static const char *set_text(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	return *to == NULL ? "cannot be kept: there is no memory" : NULL;
}

static const char *set_database_url(struct config *config, const char *value)
{
	bool url =
		strncmp(value, "postgresql://", 13) == 0 || strncmp(value, "postgres://", 11) == 0;

	if (!url && strchr(value, '=') == NULL)
		return "must be a libpq URL, as postgresql://user@host/database";
	return set_text(&config->database_url, value);
}

static const char *set_operator_key(struct config *config, const char *value)
{
	size_t n = 0;

	while (value[n] > ' ' && value[n] <= '~')
		n++;
	if (value[n] != '\0' || n < OPERATOR_KEY_MIN || n > 512)
		return "must have 32 to 512 visible ASCII characters";
	return set_text(&config->operator_key, value);
}

static const char *set_secrets_key(struct config *config, const char *value)
{
	size_t length;

	if (!crypto_unbase64(value, config->secrets_key, sizeof(config->secrets_key), &length) ||
	    length != sizeof(config->secrets_key))
		return "must be the base64 of exactly 32 bytes, as of `openssl rand -base64 32`";
	return NULL;
}

static const char *set_allow_http(struct config *config, const char *value)
{
	config->webhook_allow_http = strcmp(value, "true") == 0;
	if (!config->webhook_allow_http && strcmp(value, "false") != 0)
		return "must be true or false";
	return NULL;
}

static bool parse_cidr(const char *text, size_t length, struct cidr *cidr)
{
	const char *slash = memchr(text, '/', length);
	size_t host = slash == NULL ? length : (size_t)(slash - text);
	size_t digits = slash == NULL ? 0 : strspn(slash + 1, "0123456789");
	char address[INET6_ADDRSTRLEN];
	unsigned most;

	if (slash == NULL || host >= sizeof(address) || digits < 1 || digits > 3 ||
	    host + 1 + digits != length)
		return false;
	memcpy(address, text, host);
	address[host] = '\0';
	*cidr = (struct cidr){ 0 };
	cidr->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(cidr->family, address, cidr->address) != 1)
		return false;
	most = cidr->family == AF_INET ? 32 : 128;
	cidr->bits = (unsigned)strtoul(slash + 1, NULL, 10);
	if (cidr->bits > most)
		return false;
	/* 10.0.0.1/8 is either a typo in the address or one in the length. */
	for (unsigned bit = cidr->bits; bit < most; bit++)
		if (cidr->address[bit / 8] & (0x80U >> bit % 8))
			return false;
	return true;
}

static const char *set_allow_cidrs(struct config *config, const char *value)
{
	config->n_webhook_allow_cidrs = 0;
	for (;;) {
		size_t length;

		value += strspn(value, " ,");
		length = strcspn(value, " ,");
		if (length == 0)
			return NULL;
		if (config->n_webhook_allow_cidrs == MAX_CIDRS)
			return "must have at most 32 ranges";
		if (!parse_cidr(value, length,
				&config->webhook_allow_cidrs[config->n_webhook_allow_cidrs]))
			return "must be ranges as 10.0.0.0/8 or fd00::/8, with commas between, "
			       "no bit set behind the length";
		config->n_webhook_allow_cidrs++;
		value += length;
	}
}

static const char *set_smtp_url(struct config *config, const char *value)
{
	const char *rule = outbound_check_smtp_url(value);

	return rule != NULL ? rule : set_text(&config->smtp_url, value);
}

static const char *set_smtp_from(struct config *config, const char *value)
{
	if (!mail_is_address(value))
		return "must be one mail address, as switchback@example.com";
	return set_text(&config->smtp_from, value);
}

/* --- the table ---------------------------------------------------------------------------------- */

#define NEVER 0U
#define NEED(need) (1U << (need))

static const struct setting {
	const char *name;
	const char *standard; /* NULL: none */
	unsigned required;    /* bits of NEED() */
	bool secret;	      /* also as NAME_FILE */
	/* NULL, or the rule that the value breaks. Never repeats the value. */
	const char *(*set)(struct config *, const char *value);
	const char *meaning;
} settings[] = {
	{ "SWITCHBACK_LISTEN", "127.0.0.1:8080", NEVER, false, set_listen,
	  "address:port; port 0 takes any that is free, and the log says which" },
	{ "SWITCHBACK_DATABASE_URL", NULL, NEED(CONFIG_DATABASE) | NEED(CONFIG_ALL), true,
	  set_database_url, "libpq URL of the PostgreSQL database; required" },
	{ "SWITCHBACK_OPERATOR_KEY", NULL, NEVER, true, set_operator_key,
	  "the operator's key, at least 32 characters, never stored; without it there is no "
	  "operator" },
	{ "SWITCHBACK_SECRETS_KEY", NULL, NEED(CONFIG_ALL), true, set_secrets_key,
	  "32 bytes, base64; required: seals webhook secrets and kept answers" },
	{ "SWITCHBACK_WEBHOOK_ALLOW_HTTP", "false", NEVER, false, set_allow_http,
	  "true: webhooks may go to http:// URLs too" },
	{ "SWITCHBACK_WEBHOOK_ALLOW_CIDRS", "", NEVER, false, set_allow_cidrs,
	  "private ranges that webhooks may reach, as 10.0.0.0/8,fd00::/8; at most 32" },
	{ "SWITCHBACK_SMTP_URL", NULL, NEVER, true, set_smtp_url,
	  "smtp://host:port or smtps://host:port, with user:password@ where the server asks for it: "
	  "sends the email of notification recipients; without it none is sent" },
	{ "SWITCHBACK_SMTP_FROM", NULL, NEVER, false, set_smtp_from,
	  "the mail address that they come from; required with SWITCHBACK_SMTP_URL" },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define NAME_MAX_LENGTH 64

static const char *file_name(const struct setting *setting, char name[static NAME_MAX_LENGTH])
{
	(void)snprintf(name, NAME_MAX_LENGTH, "%s_FILE", setting->name);
	return name;
}

/* --- reading ------------------------------------------------------------------------------------ */

static bool is_known(const char *name, size_t length)
{
	char with_file[NAME_MAX_LENGTH];

	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];

		if (strlen(s->name) == length && memcmp(s->name, name, length) == 0)
			return true;
		if (s->secret && strlen(file_name(s, with_file)) == length &&
		    memcmp(with_file, name, length) == 0)
			return true;
	}
	return false;
}

static bool only_known(FILE *err)
{
	bool good = true;

	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		size_t length = strcspn(*entry, "=");

		if (strncmp(*entry, "SWITCHBACK_", 11) != 0 || is_known(*entry, length))
			continue;
		(void)fprintf(err, "%.*s is not a setting\n", (int)length, *entry);
		good = false;
	}
	return good;
}

/* The compiler may not drop it, as it may a memset() before free(). */
static void wipe(void *p, size_t n)
{
	volatile unsigned char *bytes = p;

	while (n-- > 0)
		bytes[n] = 0;
}

static bool read_secret(const char *path, char text[static SECRET_FILE_MAX], const char **why)
{
	FILE *file = fopen(path, "re");
	size_t length;

	*why = "names a file that cannot be opened";
	if (file == NULL)
		return false;
	length = fread(text, 1, SECRET_FILE_MAX, file);
	*why = ferror(file) ? "names a file that cannot be read"
			    : "names a file that is longer than any secret";
	if (ferror(file) || length == SECRET_FILE_MAX) {
		(void)fclose(file);
		return false;
	}
	(void)fclose(file);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[length] = '\0';
	*why = "names a file with a NUL byte";
	return strlen(text) == length;
}

static bool set_from_file(struct config *config, const struct setting *s, const char *name,
			  const char *path, FILE *err)
{
	char text[SECRET_FILE_MAX];
	const char *why;

	if (read_secret(path, text, &why))
		why = s->set(config, text);
	wipe(text, sizeof(text));
	if (why != NULL)
		(void)fprintf(err, "%s %s\n", name, why);
	return why == NULL;
}

static bool load_one(struct config *config, const struct setting *s, unsigned need, FILE *err)
{
	char with_file[NAME_MAX_LENGTH];
	const char *value = getenv(s->name), *path = NULL, *why;

	if (s->secret)
		path = getenv(file_name(s, with_file));
	if (value != NULL && path != NULL) {
		(void)fprintf(err, "%s and %s are both set\n", s->name, with_file);
		return false;
	}
	if (path != NULL)
		return set_from_file(config, s, with_file, path, err);
	if (value == NULL && (s->required & need)) {
		(void)fprintf(err, "%s or %s_FILE must be set: %s\n", s->name, s->name, s->meaning);
		return false;
	}
	if (value == NULL)
		value = s->standard;
	why = value == NULL ? NULL : s->set(config, value);
	if (why != NULL)
		(void)fprintf(err, "%s %s\n", s->name, why);
	return why == NULL;
}

bool config_load(struct config *config, enum config_need need, FILE *err)
{
	bool good = only_known(err);

	*config = (struct config){ 0 };
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (!load_one(config, &settings[i], NEED(need), err))
			good = false;
	if (config->smtp_url != NULL && config->smtp_from == NULL &&
	    getenv("SWITCHBACK_SMTP_FROM") == NULL) {
		(void)fprintf(err, "SWITCHBACK_SMTP_FROM must be set with SWITCHBACK_SMTP_URL\n");
		good = false;
	}
	if (!good)
		config_free(config);
	return good;
}

void config_free(struct config *config)
{
	if (config->operator_key != NULL)
		wipe(config->operator_key, strlen(config->operator_key));
	if (config->database_url != NULL)
		wipe(config->database_url, strlen(config->database_url));
	if (config->smtp_url != NULL)
		wipe(config->smtp_url, strlen(config->smtp_url));
	free(config->operator_key);
	free(config->database_url);
	free(config->smtp_url);
	free(config->smtp_from);
	wipe(config, sizeof(*config));
}

void config_help(FILE *out)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *standard = s->standard;

		if (standard == NULL || *standard == '\0')
			standard = "none";
		(void)fprintf(out, "%s%s\n    %s\n    default: %s\n", s->name,
			      s->secret ? " (or _FILE)" : "", s->meaning, standard);
	}
}
