/*
 * `switchback healthcheck`: asks /readyz of the service at SWITCHBACK_LISTEN, for containers without
 * curl. 0: ready; 1: not, or no answer within 2 s.
 */
#ifndef SB_HEALTH_CLIENT_H
#define SB_HEALTH_CLIENT_H

struct config;
int health_client(const struct config *);

#endif
