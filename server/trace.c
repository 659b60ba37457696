/* See trace.h. */
#include "trace.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "crypto.h"

bool trace_is_id(const char *s, size_t max)
{
	size_t n = 0;

	for (; s[n]; n++)
		if (n == max || s[n] < 0x21 || s[n] > 0x7e)
			return false;
	return n > 0;
}

bool trace_is_parent(const char *s)
{
	static const char shape[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

	for (size_t i = 0; i < sizeof(shape); i++)
		if (shape[i] == 'x' ? !s[i] || !strchr("0123456789abcdef", s[i]) : s[i] != shape[i])
			return false;
	/* All zeros is no id. */
	return strspn(s + 3, "0") < 32 && strspn(s + 36, "0") < 16;
}

void trace_new_parent(char out[static TRACE_PARENT])
{
	uint8_t bytes[24];
	size_t at = 3;

	out[0] = '\0';
	if (crypto_random(bytes, sizeof(bytes)))
		return; /* without randomness it is not traced */
	memcpy(out, "00-", 4);
	for (size_t i = 0; i < sizeof(bytes); i++, at += 2) {
		if (i == 16)
			out[at++] = '-';
		snprintf(out + at, TRACE_PARENT - at, "%02x", bytes[i]);
	}
	memcpy(out + at, "-00", 4); /* not sampled: nobody before us asked for it */
}
