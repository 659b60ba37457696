/*
 * Settings: one table, from the environment, each secret also as NAME_FILE. Read once at start,
 * then constant: any thread.
 */
#ifndef SB_CONFIG_H
#define SB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_CIDRS 32

struct cidr {
	int family;	     /* AF_INET or AF_INET6 */
	uint8_t address[16]; /* network byte order */
	unsigned bits;
};

struct config {
	char listen_host[256]; /* IPv6 without its brackets */
	uint16_t listen_port;  /* 0: any free one */
	char *database_url;
	char *operator_key; /* NULL: there is no operator */
	uint8_t secrets_key[32];
	bool webhook_allow_http;
	struct cidr webhook_allow_cidrs[MAX_CIDRS];
	size_t n_webhook_allow_cidrs;
	char *smtp_url;	 /* may hold a password; NULL: email is not sent */
	char *smtp_from; /* set where smtp_url is */
};

/* Which settings a command needs. */
enum config_need { CONFIG_DATABASE, CONFIG_ALL };

/* Reads environ. False: what is wrong (name and rule, never a secret's value) was written to err,
   all faults at once. */
bool config_load(struct config *, enum config_need, FILE *err);
void config_free(struct config *);
/* The table as text: name, default, meaning; for `check-config` and the README's check. */
void config_help(FILE *out);

#endif
