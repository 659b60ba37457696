/*
 * Which addresses may be connected to: those that are globally reachable, and those that
 * SWITCHBACK_WEBHOOK_ALLOW_CIDRS allows; outbound_allowed (outbound.h) and its form for text. Pure; any
 * thread.
 */
#ifndef SB_OUTBOUND_GUARD_H
#define SB_OUTBOUND_GUARD_H

#include <stdbool.h>

#include "config.h"

/* The text of an address, brackets and a zone allowed. *literal: it is one. */
bool outbound_text_allowed(const struct config *, const char *text, bool *literal);

#endif
