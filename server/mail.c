#include "mail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto.h"
#include "text.h"

#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define LINE_MAX 76 /* RFC 2045: of quoted-printable, its "=" at the end included */
/* A line with encoded words has at most 76 characters (RFC 2047): "Subject: =?UTF-8?B?" and "?=" leave
   52 of base64. */
#define WORD_BYTES 39

bool mail_is_address(const char *s)
{
	const size_t local = strspn(s, ALNUM ".!#$%&'*+/=?^_`{|}~-");

	if (strlen(s) > 254 || local < 1 || local > 64 || s[local] != '@')
		return false;
	for (s += local; *s == '@' || *s == '.';) {
		const size_t label = strspn(++s, ALNUM "-");

		if (label < 1 || label > 63 || s[0] == '-' || s[label - 1] == '-')
			return false;
		s += label;
		if (*s == '@')
			return false;
	}
	return *s == '\0';
}

/* --- the subject ----------------------------------------------------------------------------------- */

/* Without control characters, and UTF-8 throughout. */
static char *one_line(struct arena *arena, const char *s)
{
	char *line = arena_printf(arena, "%s", s);
	uint32_t point;
	size_t n;

	if (!line)
		return NULL;
	text_repair(line);
	for (char *at = line; (n = text_next(at, &point)) > 0 && point; at += n)
		if (point < ' ' || (point >= 0x7f && point <= 0x9f))
			memset(at, ' ', n);
	return line;
}

/* As it is where that fits into its line and cannot be taken for an encoded word. */
static bool is_simple(const char *s)
{
	for (const char *c = s; *c; c++)
		if (*c < ' ' || *c > '~')
			return false;
	return strlen(s) <= 60 && !strstr(s, "=?");
}

/* Encoded words on lines of their own, each of whole characters; spaces between them do not count. */
static const char *encode_words(struct arena *arena, const char *s)
{
	const char *all = "";

	while (*s && all) {
		size_t bytes = 0, n;
		uint32_t point;
		char *word;

		while (s[bytes] && (n = text_next(s + bytes, &point)) > 0 &&
		       bytes + n <= WORD_BYTES)
			bytes += n;
		word = crypto_base64(arena, s, bytes);
		all = word ? arena_printf(arena, "%s%s=?UTF-8?B?%s?=", all, *all ? "\r\n " : "",
					  word)
			   : NULL;
		s += bytes;
	}
	return all;
}

/* --- the body -------------------------------------------------------------------------------------- */

struct quoted {
	char *at;
	size_t column;
};

static void put(struct quoted *q, const char *s, size_t n)
{
	if (q->column + n > LINE_MAX - 1) {
		memcpy(q->at, "=\r\n", 3);
		q->at += 3;
		q->column = 0;
	}
	memcpy(q->at, s, n);
	q->at += n;
	q->column += n;
}

/* Quoted-printable (RFC 2045): readable as it is, and no server has a reason to change it. */
static const char *quote(struct arena *arena, const char *s)
{
	/* Each byte becomes three at most, and each line of 72 or more of these has three more. */
	const size_t length = strlen(s);
	char *text = arena_alloc(arena, length * 4 + 8);
	struct quoted q = { .at = text };

	for (; text && *s; s++) {
		const unsigned char c = (unsigned char)*s;
		const bool last = s[1] == '\n' || s[1] == '\0';
		char hex[4];

		if (c == '\n') {
			memcpy(q.at, "\r\n", 2);
			q.at += 2;
			q.column = 0;
		} else if (c > '~' || c < ' ' || c == '=' || (c == ' ' && last)) {
			(void)snprintf(hex, sizeof(hex), "=%02X", c);
			put(&q, hex, 3);
		} else {
			put(&q, s, 1);
		}
	}
	if (text)
		*q.at = '\0';
	return text;
}

/* --- the whole ------------------------------------------------------------------------------------- */

/* Not strftime: names of days and months must not depend on a locale. */
static bool write_date(int64_t date, char *out, size_t size)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	const time_t seconds = (time_t)date;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		return false;
	(void)snprintf(out, size, "%s, %02d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday],
		       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		       tm.tm_sec);
	return true;
}

char *mail_make(struct arena *arena, const struct mail *m)
{
	const char *subject, *text;
	char date[64];

	if (!mail_is_address(m->from) || !mail_is_address(m->to) ||
	    !write_date(m->date, date, sizeof(date)))
		return NULL;
	subject = one_line(arena, m->subject);
	if (subject && !is_simple(subject))
		subject = encode_words(arena, subject);
	text = quote(arena, m->text);
	if (!subject || !text)
		return NULL;
	return arena_printf(arena,
			    "Date: %s\r\n"
			    "From: %s\r\n"
			    "To: %s\r\n"
			    "Message-ID: <%s%s>\r\n"
			    "Subject: %s\r\n"
			    "MIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: quoted-printable\r\n"
			    "Auto-Submitted: auto-generated\r\n"
			    "Importance: high\r\n"
			    "\r\n"
			    "%s",
			    date, m->from, m->to, m->id, strchr(m->from, '@'), subject, text);
}
