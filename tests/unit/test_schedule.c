/* server/schedule.c: every row of both schedules, jitter, and what Retry-After does to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule.h"

#define LENGTH(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define UNSAID (-1L)
#define HOUR 3600
#define DAY (24 * HOUR)

/* After 1, 2, ... attempts. */
static const int general[] = { 5,	  300,	     1800,	2 * HOUR, 5 * HOUR,
			       10 * HOUR, 14 * HOUR, 20 * HOUR, DAY };
static const int presence[] = { 1, 2, 5, 10, 20, 30 };
#define PRESENCE_HOUR 120 /* attempts of 30 s each, behind them */
#define PRESENCE_LATER (LENGTH(presence) + PRESENCE_HOUR)

static const uint32_t randoms[] = { 0, 1, 7, 1000, 65537, 123456789, UINT32_MAX - 1, UINT32_MAX };

static void every_row(void **state)
{
	(void)state;
	for (int i = 0; i < LENGTH(general); i++)
		assert_int_equal(schedule_next(false, i + 1, UNSAID, 0), general[i]);
}

static void every_row_of_presence(void **state)
{
	int sum = 0;

	(void)state;
	for (int i = 0; i < LENGTH(presence); i++)
		assert_int_equal(schedule_next(true, i + 1, UNSAID, 0), presence[i]);
	for (int i = 0; i < PRESENCE_HOUR; i++) {
		const int n = schedule_next(true, LENGTH(presence) + 1 + i, UNSAID, 0);

		assert_int_equal(n, 30);
		sum += n;
	}
	assert_int_equal(sum, HOUR);
	/* Then by the schedule of all others, from 5 minutes on. */
	for (int i = 1; i < LENGTH(general); i++)
		assert_int_equal(schedule_next(true, PRESENCE_LATER + i, UNSAID, 0), general[i]);
}

static void used_up(void **state)
{
	static const int more[] = { 0, 1, 100, 1000000 };

	(void)state;
	for (int i = 0; i < LENGTH(more); i++)
		for (int r = 0; r < LENGTH(randoms); r++) {
			const int attempts = LENGTH(general) + 1 + more[i];

			assert_int_equal(schedule_next(false, attempts, UNSAID, randoms[r]), -1);
			assert_int_equal(schedule_next(true, PRESENCE_LATER + attempts - 1, UNSAID,
						       randoms[r]),
					 -1);
			/* Nobody can ask for more attempts than there are. */
			assert_int_equal(schedule_next(false, attempts, 60, randoms[r]), -1);
		}
}

/* Up to a tenth more, never less; all of that range can come; none within the hour of presence. */
static void jitter(void **state)
{
	(void)state;
	for (int i = 0; i < LENGTH(general); i++) {
		const int most = general[i] + general[i] / 10;

		for (int r = 0; r < LENGTH(randoms); r++)
			assert_in_range(schedule_next(false, i + 1, UNSAID, randoms[r]), general[i],
					most);
		assert_int_equal(schedule_next(false, i + 1, UNSAID, (uint32_t)general[i] / 10),
				 most);
	}
	for (int i = 1; i <= PRESENCE_LATER; i++)
		for (int r = 0; r < LENGTH(randoms); r++)
			assert_int_equal(schedule_next(true, i, UNSAID, randoms[r]),
					 schedule_next(true, i, UNSAID, 0));
	for (int i = 1; i < LENGTH(general); i++)
		for (int r = 0; r < LENGTH(randoms); r++)
			assert_in_range(schedule_next(true, PRESENCE_LATER + i, UNSAID, randoms[r]),
					general[i], general[i] + general[i] / 10);
}

/* Who asks for later gets later, and who asks for sooner, or for nothing, gets the schedule. */
static void retry_after(void **state)
{
	static const long sooner[] = { UNSAID, 0, 1, 4, 5 };

	(void)state;
	for (int i = 0; i < LENGTH(sooner); i++)
		assert_int_equal(schedule_next(false, 1, sooner[i], 0), 5);
	assert_int_equal(schedule_next(false, 1, 6, 0), 6);
	assert_int_equal(schedule_next(false, 2, 299, 0), 300);
	assert_int_equal(schedule_next(false, 2, 301, 0), 301);
	assert_int_equal(schedule_next(false, 4, 3 * HOUR, 0), 3 * HOUR);
	assert_int_equal(schedule_next(true, 1, 120, 0), 120);
	assert_int_equal(schedule_next(true, 6, 29, 0), 30);
	assert_int_equal(schedule_next(true, 50, 600, 0), 600);
}

static void retry_after_is_capped(void **state)
{
	static const long much[] = { DAY + 1, 10L * DAY, INT32_MAX, INT32_MAX * 1000L };

	(void)state;
	for (int i = 0; i < LENGTH(much); i++) {
		for (int attempts = 1; attempts <= LENGTH(general); attempts++)
			assert_int_equal(schedule_next(false, attempts, much[i], 0), DAY);
		/* Presence is worth an attempt every hour. */
		for (int attempts = 1; attempts <= PRESENCE_LATER; attempts++)
			assert_int_equal(schedule_next(true, attempts, much[i], 0), HOUR);
	}
	assert_int_equal(schedule_next(false, 1, DAY, 0), DAY);
	assert_int_equal(schedule_next(true, 1, HOUR, 0), HOUR);
	assert_int_equal(schedule_next(true, 1, HOUR + 1, 0), HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),   cmocka_unit_test(every_row_of_presence),
		cmocka_unit_test(used_up),     cmocka_unit_test(jitter),
		cmocka_unit_test(retry_after), cmocka_unit_test(retry_after_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
