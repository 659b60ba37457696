/*
 * The listening socket, and how many connections the process can hold.
 */
#ifndef SB_LISTEN_H
#define SB_LISTEN_H

#include "config.h"

int listen_socket(const struct config *); /* non-blocking; -1 and errno: not to be had */
void listen_log(int fd);		  /* {"event":"listening","address":"127.0.0.1:8080"} */

/* Raises the limit of open files to at most 16384; connections that fit, leaving room for the rest. */
unsigned listen_limit(void);

#endif
