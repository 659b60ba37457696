/*
 * server/connections.c: which connections are cut, and when. Connections are socket pairs; one that
 * was cut reads as ended at its other side. Time is what connections_check() is told: now and then.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/connections.h"

#define SECOND 1000000000LL
#define MOST 100 /* sockets of a test */
#define LIMIT 100

static struct connections *table;
static struct socket_pair {
	int ours, theirs;
} pairs[MOST];
static int64_t start;

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static int begin(void **state)
{
	(void)state;
	table = connections_new(LIMIT);
	for (size_t i = 0; i < MOST; i++)
		pairs[i] = (struct socket_pair){ -1, -1 };
	start = monotonic();
	return table ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	connections_free(table);
	for (size_t i = 0; i < MOST; i++) {
		if (pairs[i].ours < 0)
			continue;
		close(pairs[i].ours);
		close(pairs[i].theirs);
	}
	return 0;
}

/* Connection i, whose id is the address of its pair. */
static void open_one(size_t i)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	pairs[i] = (struct socket_pair){ sockets[0], sockets[1] };
	connection_open(table, &pairs[i], sockets[0]);
}

/* Each younger than the one before, on any clock. */
static void open_many(size_t n)
{
	const struct timespec moment = { .tv_nsec = 20000 };

	for (size_t i = 0; i < n; i++) {
		open_one(i);
		nanosleep(&moment, NULL);
	}
}

static bool is_cut(size_t i)
{
	char byte;
	const ssize_t n = recv(pairs[i].theirs, &byte, 1, MSG_DONTWAIT);

	assert_true(n == 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)));
	return n == 0;
}

static size_t count_cut(size_t n)
{
	size_t cut = 0;

	for (size_t i = 0; i < n; i++)
		cut += is_cut(i);
	return cut;
}

/* As of so many seconds after the start; what happened since then took part of a second at most. */
static void check_after(int64_t seconds)
{
	connections_check(table, start + seconds * SECOND);
}

static void test_idle_for_60_seconds_is_cut(void **state)
{
	(void)state;
	open_one(0);
	check_after(58);
	assert_false(is_cut(0));
	check_after(70);
	assert_true(is_cut(0));
}

static void test_request_not_complete_within_10_seconds_is_cut(void **state)
{
	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	check_after(9);
	assert_false(is_cut(0));
	check_after(20);
	assert_true(is_cut(0));
}

static void test_body_that_arrives_is_cut_after_10_seconds_of_silence(void **state)
{
	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	for (int64_t seconds = 0; seconds < 100; seconds += 9) {
		connection_receiving(table, &pairs[0], start + seconds * SECOND);
		check_after(seconds + 9);
		assert_false(is_cut(0));
	}
	check_after(120);
	assert_true(is_cut(0));
}

static void test_body_that_arrives_for_14_minutes_is_cut(void **state)
{
	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	connection_receiving(table, &pairs[0], start + 835 * SECOND);
	check_after(839);
	assert_false(is_cut(0));
	connection_receiving(table, &pairs[0], start + 840 * SECOND);
	check_after(842);
	assert_true(is_cut(0));
}

static void test_complete_request_may_take_its_time(void **state)
{
	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	connection_working(table, &pairs[0]);
	check_after(1000);
	assert_false(is_cut(0));
}

static void test_answered_connection_is_idle_again(void **state)
{
	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	connection_working(table, &pairs[0]);
	connection_idle(table, &pairs[0]);
	check_after(58);
	assert_false(is_cut(0));
	check_after(70);
	assert_true(is_cut(0));
}

static void test_more_of_a_request_does_not_begin_it_anew(void **state)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t begun;

	(void)state;
	open_one(0);
	connection_busy(table, &pairs[0]);
	begun = monotonic();
	nanosleep(&moment, NULL);
	connection_busy(table, &pairs[0]);
	connections_check(table, begun + 10 * SECOND + 1);
	assert_true(is_cut(0));
}

static void test_checks_once_a_second(void **state)
{
	(void)state;
	check_after(69);
	open_one(0);
	connections_check(table, start + 69 * SECOND + SECOND / 2);
	assert_false(is_cut(0));
	check_after(70);
	assert_true(is_cut(0));
}

static void test_closed_connection_is_forgotten(void **state)
{
	(void)state;
	open_one(0);
	open_one(1);
	connection_closed(table, &pairs[0]);
	check_after(70);
	assert_false(is_cut(0));
	assert_true(is_cut(1));
}

static void test_id_may_come_again(void **state)
{
	(void)state;
	open_one(0);
	connection_closed(table, &pairs[0]);
	connection_open(table, &pairs[0], pairs[0].ours);
	connection_open(table, &pairs[0], -1); /* the first stays */
	check_after(70);
	assert_true(is_cut(0));
}

static void test_unknown_connection_is_ignored(void **state)
{
	(void)state;
	connection_busy(table, &pairs[0]);
	connection_working(table, &pairs[0]);
	connection_idle(table, &pairs[0]);
	connection_closed(table, &pairs[0]);
	check_after(1000);
}

static void test_up_to_90_percent_nobody_goes(void **state)
{
	(void)state;
	open_many(90);
	check_after(1);
	assert_int_equal(count_cut(90), 0);
}

static void test_above_90_percent_the_longest_idle_goes(void **state)
{
	(void)state;
	open_many(91);
	connection_busy(table, &pairs[0]);
	connection_working(table, &pairs[1]);
	connection_busy(table, &pairs[2]);
	check_after(1);
	assert_true(is_cut(3));
	assert_int_equal(count_cut(91), 1);
}

static void test_above_90_percent_it_does_not_wait_for_the_second(void **state)
{
	(void)state;
	connections_check(table, start);
	open_many(91);
	connections_check(table, start + 1);
	assert_true(is_cut(0));
}

static void test_next_one_goes_when_the_last_has_gone(void **state)
{
	(void)state;
	open_many(92);
	check_after(1);
	connection_closed(table, &pairs[0]);
	check_after(1);
	assert_true(is_cut(1));
	connection_closed(table, &pairs[1]);
	check_after(1);
	assert_int_equal(count_cut(92), 2);
}

/* One that answered last is the youngest, however old the connection is. */
static void test_idle_counts_from_the_last_answer(void **state)
{
	(void)state;
	open_many(91);
	connection_busy(table, &pairs[0]);
	connection_idle(table, &pairs[0]);
	check_after(1);
	assert_false(is_cut(0));
	assert_true(is_cut(1));
}

static void test_with_nobody_idle_nobody_goes(void **state)
{
	(void)state;
	open_many(100);
	for (size_t i = 0; i < 100; i++)
		connection_busy(table, &pairs[i]);
	check_after(1);
	assert_int_equal(count_cut(100), 0);
}

static void test_one_that_is_being_cut_is_not_counted_again(void **state)
{
	(void)state;
	open_many(91);
	for (int i = 0; i < 5; i++)
		check_after(1);
	assert_int_equal(count_cut(91), 1);
}

static void test_freeing_none_is_fine(void **state)
{
	(void)state;
	connections_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_idle_for_60_seconds_is_cut),
		TEST(test_request_not_complete_within_10_seconds_is_cut),
		TEST(test_body_that_arrives_is_cut_after_10_seconds_of_silence),
		TEST(test_body_that_arrives_for_14_minutes_is_cut),
		TEST(test_complete_request_may_take_its_time),
		TEST(test_answered_connection_is_idle_again),
		TEST(test_more_of_a_request_does_not_begin_it_anew),
		TEST(test_checks_once_a_second),
		TEST(test_closed_connection_is_forgotten),
		TEST(test_id_may_come_again),
		TEST(test_unknown_connection_is_ignored),
		TEST(test_up_to_90_percent_nobody_goes),
		TEST(test_above_90_percent_the_longest_idle_goes),
		TEST(test_above_90_percent_it_does_not_wait_for_the_second),
		TEST(test_next_one_goes_when_the_last_has_gone),
		TEST(test_idle_counts_from_the_last_answer),
		TEST(test_with_nobody_idle_nobody_goes),
		TEST(test_one_that_is_being_cut_is_not_counted_again),
		cmocka_unit_test(test_freeing_none_is_fine),
	};

	return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
