/* The release, as `switchback version` and the User-Agent of webhooks tell it. */
#ifndef SB_VERSION_H
#define SB_VERSION_H

#define SWITCHBACK_VERSION "0.1.0"

#endif
