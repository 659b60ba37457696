/* server/mail.c: addresses, and messages that are what RFC 5322, 2045 and 2047 ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "mail.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEN(x) x x x x x x x x x x

static const struct mail usual = {
	.from = "switchback@calls.example",
	.to = "desk@desk.example",
	.id = "01981f6a-3c0c-7a10-8f00-00000000000c",
	.date = 1772463845,
	.subject = "Emergency call: 911 at Redmond",
	.text = "Dialled: 911\nWho: Ada\n",
};

static int make_arena(void **state)
{
	*state = arena_new();
	return *state == NULL;
}

static int free_arena(void **state)
{
	arena_free(*state);
	return 0;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "a@b", true },
		{ "o'hara+911=x@sub-1.example.org", true },
		{ "", false },
		{ "a", false },
		{ "a@", false },
		{ "@b", false },
		{ "a@b@c", false },
		{ "a@b.", false },
		{ "a@-b", false },
		{ "a@b-", false },
		{ "a b@c", false },
		{ "a@b\r\nBcc: c@d", false },
		{ "<a@b>", false },
		{ "a@b, c@d", false },
		{ "a@b c", false },
		{ "z\xc3\xbc@b", false },
		{ TEN("aaaaaaa") "@b", false },
		{ "a@[127.0.0.1]", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		if (mail_is_address(rows[i].text) != rows[i].good)
			fail_msg("%s: %s", rows[i].text, rows[i].good ? "is one" : "is none");
}

static void test_whole(void **state)
{
	assert_string_equal(mail_make(*state, &usual),
			    "Date: Mon, 02 Mar 2026 15:04:05 +0000\r\n"
			    "From: switchback@calls.example\r\n"
			    "To: desk@desk.example\r\n"
			    "Message-ID: <01981f6a-3c0c-7a10-8f00-00000000000c@calls.example>\r\n"
			    "Subject: Emergency call: 911 at Redmond\r\n"
			    "MIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: quoted-printable\r\n"
			    "Auto-Submitted: auto-generated\r\n"
			    "Importance: high\r\n"
			    "\r\n"
			    "Dialled: 911\r\nWho: Ada\r\n");
}

/* The subject's field, as it is folded. */
static const struct {
	const char *subject, *field;
} subjects[] = {
	{ "", "Subject: \r\n" },
	{ "plain", "Subject: plain\r\n" },
	{ "two\r\nBcc: a@b", "Subject: two  Bcc: a@b\r\n" },
	{ "tab\there\x7f", "Subject: tab here \r\n" },
	{ "Z\xc3\xbcrich", "Subject: =?UTF-8?B?WsO8cmljaA==?=\r\n" },
	{ "like =?UTF-8?Q?this?=", "Subject: =?UTF-8?B?bGlrZSA9P1VURi04P1E/dGhpcz89?=\r\n" },
	/* NEL (C1) is a line's end to some. */
	{ "a\xc2\x85"
	  "b",
	  "Subject: a  b\r\n" },
	/* Not UTF-8. */
	{ "a\xff"
	  "b",
	  "Subject: a?b\r\n" },
	/* 39 bytes a word, and no character across two: the 20th has two bytes. */
	{ "a" TEN("\xc3\xbc") TEN("\xc3\xbc"),
	  "Subject: =?UTF-8?B?YcO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8?=\r\n"
	  " =?UTF-8?B?w7w=?=\r\n" },
	{ TEN("0123456"),
	  "Subject: =?UTF-8?B?MDEyMzQ1NjAxMjM0NTYwMTIzNDU2MDEyMzQ1NjAxMjM0NTYwMTIz?=\r\n"
	  " =?UTF-8?B?NDU2MDEyMzQ1NjAxMjM0NTYwMTIzNDU2MDEyMzQ1Ng==?=\r\n" },
};

static void test_subjects(void **state)
{
	for (size_t i = 0; i < LENGTH(subjects); i++) {
		struct mail m = usual;
		char *text, *field;

		m.subject = subjects[i].subject;
		text = mail_make(*state, &m);
		assert_non_null(text);
		field = strstr(text, "Subject:");
		*strstr(field, "MIME-Version:") = '\0';
		assert_string_equal(field, subjects[i].field);
	}
}

static const struct {
	const char *text, *body;
} bodies[] = {
	{ "", "" },
	{ "a=b", "a=3Db" },
	{ "\xc3\xbc", "=C3=BC" },
	{ "end \nnext\t\n", "end=20\r\nnext=09\r\n" },
	{ "a\r\nb", "a=0D\r\nb" },
	{ ".\n..\n", ".\r\n..\r\n" }, /* doubled by who sends it */
	{ TEN("0123456789"),
	  "012345678901234567890123456789012345678901234567890123456789012345678901234=\r\n"
	  "5678901234567890123456789" },
	/* No escape across two lines. */
	{ TEN("0123456") "789=" TEN("x"), TEN("0123456") "789=\r\n=3D" TEN("x") },
};

static void test_bodies(void **state)
{
	for (size_t i = 0; i < LENGTH(bodies); i++) {
		struct mail m = usual;

		m.text = bodies[i].text;
		assert_string_equal(strstr(mail_make(*state, &m), "\r\n\r\n") + 4, bodies[i].body);
	}
}

/* Whatever there is: lines of at most 76 characters, ASCII, and no bare CR or LF. */
static void test_any_bytes(void **state)
{
	char text[2000];
	uint32_t dice = 42;

	for (int round = 0; round < 500; round++) {
		struct mail m = usual;
		const char *made, *line, *end;

		for (size_t i = 0; i < sizeof(text) - 1; i++) {
			dice = dice * 1664525u + 1013904223u;
			text[i] = (char)(dice >> 24 ? dice >> 24 : '\n');
		}
		text[dice % sizeof(text)] = '\0';
		text[sizeof(text) - 1] = '\0';
		m.subject = m.text = text;
		made = mail_make(*state, &m);
		assert_non_null(made);
		for (line = made; *line != '\0'; line = end + 2) {
			end = strstr(line, "\r\n");
			if (end == NULL)
				end = line + strlen(line);
			assert_in_range(end - line, 0, 76);
			for (const char *c = line; c < end; c++)
				assert_in_range(*c, ' ', '~');
			if (*end == '\0')
				break;
		}
		assert_true(strstr(made, "\r\nMIME-Version:") < strstr(made, "\r\n\r\n"));
		arena_reset(*state);
	}
}

static void test_no_addresses(void **state)
{
	struct mail m = usual;

	m.to = "a@b\r\nBcc: c@d";
	assert_null(mail_make(*state, &m));
	m = usual;
	m.from = "Switchback <a@b>";
	assert_null(mail_make(*state, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_whole),
		cmocka_unit_test(test_subjects),  cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_no_addresses),
	};

	return cmocka_run_group_tests(tests, make_arena, free_arena);
}
