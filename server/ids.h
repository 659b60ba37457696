/*
 * Identifiers: UUIDv7 and UUIDv8 of RFC 9562. Any thread.
 */
#ifndef SB_IDS_H
#define SB_IDS_H

#include <stdint.h>

/* 48 bits of Unix milliseconds, 12 bits of their fraction, then random bits; text of 36 characters
   and NUL. Ids of one process rise strictly, also when its clock steps back. */
void id_v7(char out[static 37]);
/* UUIDv8 over the first 16 bytes of a SHA-256. */
void id_v8(const uint8_t digest[static 32], char out[static 37]);

#endif
