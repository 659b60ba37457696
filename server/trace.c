/* See trace.h. */
#include "trace.h"

#include <string.h>

bool trace_is_id(const char *s, size_t max)
{
	size_t n = 0;

	for (; s[n]; n++)
		if (n == max || s[n] < 0x21 || s[n] > 0x7e)
			return false;
	return n > 0;
}

/* W3C trace context, version 00: 00-<32 hex>-<16 hex>-<2 hex> */
bool trace_is_parent(const char *s)
{
	static const char shape[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

	for (size_t i = 0; i < sizeof(shape); i++)
		if (shape[i] == 'x' ? !s[i] || !strchr("0123456789abcdef", s[i]) : s[i] != shape[i])
			return false;
	return true;
}
