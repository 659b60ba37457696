/*
 * JSON lines on stderr, one write each: {"at","level","event",...}. Never a body, a key, an
 * address; numbers only masked (log_mask). Any thread.
 */
#ifndef SB_LOG_H
#define SB_LOG_H

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Further members follow as name, value pairs of strings (NULL value: left out), ended by NULL:
   log_event(LOG_LEVEL_INFO, "listening", "address", addr, NULL). A name that ends in '#' has a
   value that is written bare, as a number. */
void log_event(enum log_level, const char *event, ...) __attribute__((sentinel));

/* "+14255550100" -> "+1425*****00"; buffer of 24 bytes. */
const char *log_mask(const char *number, char *buffer);

#endif
