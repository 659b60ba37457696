/*
 * When a webhook that failed is tried again (api.md 6). Pure.
 */
#ifndef SB_SCHEDULE_H
#define SB_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Seconds until the next attempt after `attempts` of them (1: the first has just failed); -1: the
 * schedule is used up. presence: every 30 s at the latest for an hour, since the state matters now;
 * then, and for everything else from the start, the schedule of Standard Webhooks with up to 10 %
 * of jitter from `random`. retry_after: what the endpoint asked for, -1: nothing; obeyed, for
 * presence up to an hour.
 */
int schedule_next(bool presence, int attempts, long retry_after, uint32_t random);

#endif
