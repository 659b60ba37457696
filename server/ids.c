#include "ids.h"

#include <stdatomic.h>
#include <time.h>

#include <uuid/uuid.h>

/* Milliseconds and their fraction, as the latest id has them: what makes ids of a process rise. */
static _Atomic uint64_t latest;

/* Unix milliseconds in the upper 48 of 60 bits, 1/4096 milliseconds in the lower 12: RFC 9562 6.2,
   method 3. Within the same fraction, or when the clock stepped back, counts on. */
static uint64_t ticks(void)
{
	struct timespec now;
	uint64_t tick, before = atomic_load_explicit(&latest, memory_order_relaxed);

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		now = (struct timespec){ 0 };
	tick = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 12 |
	       (uint64_t)(now.tv_nsec % 1000000) * 4096 / 1000000;
	do {
		if (tick <= before)
			tick = before + 1;
	} while (!atomic_compare_exchange_weak_explicit(
		&latest, &before, tick, memory_order_relaxed, memory_order_relaxed));
	return tick;
}

static void write_id(uuid_t id, unsigned version, char *out)
{
	id[6] = (unsigned char)(version << 4 | (id[6] & 0x0fU));
	id[8] = (unsigned char)(0x80U | (id[8] & 0x3fU));
	uuid_unparse_lower(id, out);
}

void id_v7(char out[static 37])
{
	uint64_t tick = ticks();
	uuid_t id;

	uuid_generate_random(id);
	for (int i = 0; i < 6; i++)
		id[i] = (unsigned char)(tick >> (52 - 8 * i));
	id[6] = (unsigned char)(tick >> 8 & 0x0f);
	id[7] = (unsigned char)tick;
	write_id(id, 7, out);
}

void id_v8(const uint8_t digest[static 32], char out[static 37])
{
	uuid_t id;

	for (int i = 0; i < 16; i++)
		id[i] = digest[i];
	write_id(id, 8, out);
}
