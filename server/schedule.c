/* See schedule.h. */
#include "schedule.h"

#include <stddef.h>

#define HOUR 3600
#define LENGTH(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Index: attempts made. */
static const int general[] = { 0,	 5,	    5 * 60,    30 * 60,	  2 * HOUR,
			       5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR };
static const int presence_first[] = { 0, 1, 2, 5, 10, 20, 30 };

#define PRESENCE_EVERY 30
#define PRESENCE_ATTEMPTS (LENGTH(presence_first) + HOUR / PRESENCE_EVERY)

static int general_next(int step, uint32_t random)
{
	if (step >= LENGTH(general))
		return -1;
	return general[step] + (int)(random % (uint32_t)(general[step] / 10 + 1));
}

int schedule_next(bool presence, int attempts, long retry_after, uint32_t random)
{
	const long longest = presence ? HOUR : general[LENGTH(general) - 1];
	int next;

	if (!presence)
		next = general_next(attempts, random);
	else if (attempts < LENGTH(presence_first))
		next = presence_first[attempts];
	else if (attempts < PRESENCE_ATTEMPTS)
		next = PRESENCE_EVERY;
	else
		next = general_next(attempts - PRESENCE_ATTEMPTS + 2,
				    random); /* from 5 minutes on */
	if (next < 0)
		return next;
	/* Asked for longer, it waits longer; never shorter than its own schedule. */
	if (retry_after > longest)
		retry_after = longest;
	return retry_after > next ? (int)retry_after : next;
}
