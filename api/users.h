/*
 * What the files of users share: the table of their members.
 */
#ifndef SB_USERS_H
#define SB_USERS_H

#include "common.h"

enum { USER_MEMBERS = 13 }; /* that can be sent; the server's follow */

extern const struct field user_fields[USER_MEMBERS + 4];
extern const struct field user_endpoint; /* an item of endpoints */

#endif
