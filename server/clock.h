/*
 * The monotonic clock, for limits and ages; never for times that anybody is told. Any thread.
 */
#ifndef SB_CLOCK_H
#define SB_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void); /* nanoseconds since some moment before the start */
int64_t clock_ms(void); /* milliseconds since the same */

#endif
