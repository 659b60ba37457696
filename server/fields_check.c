/* The single checks of fields.h. */
#include <string.h>
#include <strings.h>

#include "fields.h"
#include "text.h"

bool is_e164(const char *s)
{
	size_t digits = s[0] == '+' ? strspn(s + 1, "0123456789") : 0;

	return digits >= 2 && digits <= 15 && s[1] != '0' && s[1 + digits] == '\0';
}

bool is_region(const char *s)
{
	/* clang-format off */
	/* ISO 3166-1 alpha-2, officially assigned: 249, sorted. */
	static const char codes[] =
		"AD" "AE" "AF" "AG" "AI" "AL" "AM" "AO" "AQ" "AR" "AS" "AT" "AU" "AW" "AX" "AZ"
		"BA" "BB" "BD" "BE" "BF" "BG" "BH" "BI" "BJ" "BL" "BM" "BN" "BO" "BQ" "BR" "BS"
		"BT" "BV" "BW" "BY" "BZ" "CA" "CC" "CD" "CF" "CG" "CH" "CI" "CK" "CL" "CM" "CN"
		"CO" "CR" "CU" "CV" "CW" "CX" "CY" "CZ" "DE" "DJ" "DK" "DM" "DO" "DZ" "EC" "EE"
		"EG" "EH" "ER" "ES" "ET" "FI" "FJ" "FK" "FM" "FO" "FR" "GA" "GB" "GD" "GE" "GF"
		"GG" "GH" "GI" "GL" "GM" "GN" "GP" "GQ" "GR" "GS" "GT" "GU" "GW" "GY" "HK" "HM"
		"HN" "HR" "HT" "HU" "ID" "IE" "IL" "IM" "IN" "IO" "IQ" "IR" "IS" "IT" "JE" "JM"
		"JO" "JP" "KE" "KG" "KH" "KI" "KM" "KN" "KP" "KR" "KW" "KY" "KZ" "LA" "LB" "LC"
		"LI" "LK" "LR" "LS" "LT" "LU" "LV" "LY" "MA" "MC" "MD" "ME" "MF" "MG" "MH" "MK"
		"ML" "MM" "MN" "MO" "MP" "MQ" "MR" "MS" "MT" "MU" "MV" "MW" "MX" "MY" "MZ" "NA"
		"NC" "NE" "NF" "NG" "NI" "NL" "NO" "NP" "NR" "NU" "NZ" "OM" "PA" "PE" "PF" "PG"
		"PH" "PK" "PL" "PM" "PN" "PR" "PS" "PT" "PW" "PY" "QA" "RE" "RO" "RS" "RU" "RW"
		"SA" "SB" "SC" "SD" "SE" "SG" "SH" "SI" "SJ" "SK" "SL" "SM" "SN" "SO" "SR" "SS"
		"ST" "SV" "SX" "SY" "SZ" "TC" "TD" "TF" "TG" "TH" "TJ" "TK" "TL" "TM" "TN" "TO"
		"TR" "TT" "TV" "TW" "TZ" "UA" "UG" "UM" "US" "UY" "UZ" "VA" "VC" "VE" "VG" "VI"
		"VN" "VU" "WF" "WS" "YE" "YT" "ZA" "ZM" "ZW";
	/* clang-format on */
	size_t low = 0, high = (sizeof(codes) - 1) / 2;

	_Static_assert(sizeof(codes) - 1 == 249 * 2, "all that are assigned");
	if (strlen(s) != 2)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(s, codes + middle * 2, 2);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

bool is_uuid(const char *s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == '-' ? s[i] != '-' : text_hex_digit(s[i]) < 0)
			return false;
	return s[sizeof(form) - 1] == '\0';
}

bool is_external_id(const char *s)
{
	size_t n = 0;

	while (s[n] >= '!' && s[n] <= '~')
		n++;
	return s[n] == '\0' && n >= 1 && n <= 128;
}

bool is_reference(const char *s)
{
	return strncmp(s, "ext:", 4) == 0 ? is_external_id(s + 4) : is_uuid(s);
}

bool is_number_reference(const char *s)
{
	return is_e164(s) || is_reference(s);
}

bool is_plain_text(const char *s, size_t min, size_t max)
{
	size_t characters;

	return text_plain(s, &characters) && characters >= min && characters <= max;
}

bool is_language(const char *s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t n = strspn(s, letters);

	if (strlen(s) > 35 || n < 2 || n > 8)
		return false;
	for (s += n; *s == '-'; s += n) {
		n = 0;
		s++;
		while ((s[n] >= '0' && s[n] <= '9') || (s[n] != '\0' && strchr(letters, s[n])))
			n++;
		if (n < 1 || n > 8)
			return false;
	}
	return *s == '\0';
}

/* The characters of a URI, each % with two hex digits behind it (RFC 3986 2). */
static bool has_uri_characters(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s <= ' ' || *s > '~' || strchr("\"<>\\^`{|}", *s) != NULL)
			return false;
		if (*s == '%' && (text_hex_digit(s[1]) < 0 || text_hex_digit(s[2]) < 0))
			return false;
	}
	return true;
}

bool is_url(const char *s)
{
	if (strlen(s) > 2048 || !has_uri_characters(s))
		return false;
	if (strncasecmp(s, "https://", 8) == 0)
		s += 8;
	else if (strncasecmp(s, "http://", 7) == 0)
		s += 7;
	else
		return false;
	return *s != '\0' && strchr("/?#:@", *s) == NULL;
}

bool is_extension(const char *s)
{
	size_t n = strspn(s, "0123456789*#");

	return s[n] == '\0' && n >= 1 && n <= 32;
}

/* Exactly n digits; -1: not. */
static int digits(const char **s, int n)
{
	int value = 0;

	for (; n > 0; n--, ++*s) {
		if (**s < '0' || **s > '9')
			return -1;
		value = value * 10 + (**s - '0');
	}
	return value;
}

static bool next_is(const char **s, const char *any)
{
	if (**s == '\0' || strchr(any, **s) == NULL)
		return false;
	++*s;
	return true;
}

static bool is_date(const char **s)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day;
	bool leap;

	if ((year = digits(s, 4)) < 1 || !next_is(s, "-"))
		return false;
	if ((month = digits(s, 2)) < 1 || month > 12 || !next_is(s, "-"))
		return false;
	day = digits(s, 2);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* ":mm" behind hours that are at most max_hour. */
static bool is_clock(const char **s, int max_hour)
{
	int hour = digits(s, 2), minute;

	if (hour < 0 || hour > max_hour || !next_is(s, ":"))
		return false;
	minute = digits(s, 2);
	return minute >= 0 && minute <= 59;
}

bool is_time(const char *s)
{
	int second;

	/* At both ends an offset would lead out of the four digits of a year. */
	if (!strncmp(s, "000", 3) || !strncmp(s, "9999", 4))
		return false;
	if (strlen(s) > 64 || !is_date(&s) || !next_is(&s, "Tt") || !is_clock(&s, 23) ||
	    !next_is(&s, ":"))
		return false;
	second = digits(&s, 2);
	if (second < 0 || second > 60)
		return false;
	if (next_is(&s, ".")) {
		size_t fraction = strspn(s, "0123456789");

		if (fraction == 0)
			return false;
		s += fraction;
	}
	if (next_is(&s, "Zz"))
		return *s == '\0';
	/* No place is further from UTC than 14 hours, and PostgreSQL takes less than 16. */
	return next_is(&s, "+-") && is_clock(&s, 15) && *s == '\0';
}
