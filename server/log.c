#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

/* Up to PIPE_BUF (4096 at least on Linux) the lines of many threads and processes never mix. What
   does not fit is cut: the end of a value, then whole members. */
#define LINE_MAX_BYTES 4096
#define LINE_ROOM (LINE_MAX_BYTES - 4) /* the rest closes the value, the object and the line */

struct line {
	char text[LINE_MAX_BYTES];
	size_t length;
};

static bool put(struct line *line, const char *bytes, size_t n)
{
	if (line->length + n > LINE_ROOM)
		return false;
	memcpy(line->text + line->length, bytes, n);
	line->length += n;
	return true;
}

static void put_string(struct line *line, const char *s)
{
	static const char shorthand[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	uint32_t point;
	bool fits = put(line, "\"", 1);

	while (fits && *s != '\0') {
		size_t length = text_next(s, &point);
		const char *code = NULL;
		char escaped[8];

		for (size_t i = 0; i < sizeof(shorthand) - 1 && code == NULL; i += 2)
			if (shorthand[i] == *s)
				code = &shorthand[i + 1];
		if (length == 0) {
			fits = put(line, "\xef\xbf\xbd", 3);
			length = 1;
		} else if (code != NULL) {
			escaped[0] = '\\';
			escaped[1] = *code;
			fits = put(line, escaped, 2);
		} else if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) {
			(void)snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)point);
			fits = put(line, escaped, 6);
		} else {
			fits = put(line, s, length);
		}
		s += length;
	}
	line->text[line->length++] = '"'; /* of the four bytes kept back */
}

static bool is_number(const char *s)
{
	size_t digits = strspn(s + (*s == '-'), "0123456789");
	const char *rest = s + (*s == '-') + digits;

	if (digits == 0 || (digits > 1 && *(rest - digits) == '0'))
		return false;
	if (*rest == '.') {
		digits = strspn(rest + 1, "0123456789");
		rest = digits == 0 ? rest : rest + 1 + digits;
	}
	return *rest == '\0';
}

static void put_member(struct line *line, const char *name, const char *value)
{
	size_t length = strlen(name);
	bool bare = length > 0 && name[length - 1] == '#';
	char member[72];
	int n = snprintf(member, sizeof(member), ",\"%.*s\":", (int)(length - bare), name);

	/* Two quotes at least must fit behind the name, or a whole number. */
	if (n < 0 || (size_t)n >= sizeof(member) ||
	    line->length + (size_t)n + (bare ? strlen(value) : 0) + 2 > LINE_ROOM)
		return;
	(void)put(line, member, (size_t)n);
	if (bare && is_number(value))
		(void)put(line, value, strlen(value));
	else
		put_string(line, value);
}

static void put_head(struct line *line, enum log_level level)
{
	static const char *const names[] = { "info", "warn", "error" };
	struct timespec now;
	struct tm utc;
	int n;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0 || gmtime_r(&now.tv_sec, &utc) == NULL) {
		now = (struct timespec){ 0 };
		utc = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	}
	n = snprintf(line->text, sizeof(line->text),
		     "{\"at\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\"",
		     utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
		     utc.tm_sec, (int)(now.tv_nsec / 1000000), names[level]);
	line->length = n < 0 ? 0 : (size_t)n;
}

/* Whoever reads stderr may stand still: a line that does not fit is dropped and counted, for no call
   waits for its log. A pipe that is writable takes PIPE_BUF bytes, which is more than a line; the
   mutex keeps two threads from sharing that room. */
static void put_out(struct line *line)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static unsigned long dropped;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char count[24];

	pthread_mutex_lock(&mutex);
	if (poll(&p, 1, 0) == 0) {
		dropped++;
		pthread_mutex_unlock(&mutex);
		return;
	}
	if (dropped) {
		(void)snprintf(count, sizeof(count), "%lu", dropped);
		put_member(line, "lines_dropped#", count);
		dropped = 0;
	}
	line->text[line->length++] = '}';
	line->text[line->length++] = '\n';
	while (write(STDERR_FILENO, line->text, line->length) < 0 && errno == EINTR)
		;
	pthread_mutex_unlock(&mutex);
}

void log_event(enum log_level level, const char *event, ...)
{
	int saved = errno;
	struct line line;
	const char *name;
	va_list ap;

	put_head(&line, level);
	put_member(&line, "event", event);
	va_start(ap, event);
	while ((name = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value != NULL)
			put_member(&line, name, value);
	}
	va_end(ap);
	put_out(&line);
	errno = saved;
}

const char *log_mask(const char *number, char *buffer)
{
	size_t n = number == NULL ? 0 : strnlen(number, 23);

	for (size_t i = 0; i < n; i++) {
		bool shown = n > 7 && (i < 5 || i + 2 >= n);
		bool digit = (number[i] >= '0' && number[i] <= '9') || number[i] == '+';

		buffer[i] = '*';
		if (shown && digit)
			buffer[i] = number[i];
	}
	buffer[n] = '\0';
	return buffer;
}
