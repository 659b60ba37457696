#include "text.h"

#include <string.h>
#include <strings.h>

size_t text_next(const char *s, uint32_t *point)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t min;
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	unsigned char first = (unsigned char)s[0];

	for (size_t more = 0; more < sizeof(forms) / sizeof(forms[0]); more++) {
		uint32_t c = first & (uint32_t)(unsigned char)~forms[more].mask;

		if ((first & forms[more].mask) != forms[more].lead)
			continue;
		for (size_t i = 1; i <= more; i++) {
			if (((unsigned char)s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | ((unsigned char)s[i] & 0x3fU);
		}
		if (c < forms[more].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		*point = c;
		return more + 1;
	}
	return 0;
}

bool text_plain(const char *s, size_t *characters)
{
	uint32_t point;

	*characters = 0;
	while (*s != '\0') {
		size_t length = text_next(s, &point);

		if (length == 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f))
			return false;
		s += length;
		++*characters;
	}
	return true;
}

void text_repair(char *s)
{
	uint32_t point;

	while (*s != '\0') {
		size_t length = text_next(s, &point);

		if (length == 0) {
			*s = '?';
			length = 1;
		}
		s += length;
	}
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err text_unescape(struct arena *arena, const char *s, size_t n, bool form, char **out)
{
	char *text = arena_alloc(arena, n + 1);
	size_t length = 0, characters;

	if (text == NULL)
		return ERR_UNAVAILABLE;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			int high = n - i > 2 ? text_hex_digit(s[i + 1]) : -1;
			int low = n - i > 2 ? text_hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return ERR_INVALID_VALUE;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (form && c == '+') {
			c = ' ';
		}
		text[length++] = c;
	}
	if (!text_plain(text, &characters))
		return ERR_INVALID_VALUE;
	*out = text;
	return ERR_OK;
}

uint32_t text_hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

bool text_is_media_type(const char *type, const char *wanted)
{
	const size_t length = strlen(wanted);

	if (!type || strncasecmp(type, wanted, length))
		return false;
	return type[length] == '\0' || type[length] == ';' || type[length] == ' ';
}
