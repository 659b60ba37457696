/*
 * Lists: {"items":[...],"next_page_token"}: keyset order by id, opaque tokens bound to the filters.
 */
#ifndef SB_LIST_H
#define SB_LIST_H

#include "request.h"

struct page {
	char size_plus_one
		[12];	   /* LIMIT parameter: one more than the page, to know whether it ends */
	const char *after; /* id after which the page begins; NULL: the first page */
	int size;
};

#define LIST_QUERY "page_size", "page_token"

/* Reads page_size (1-1000, larger is clamped; default 100) and page_token; filters: all values of
   the list's own filters, NULL-terminated array of query names. ERR_INVALID_QUERY. */
enum err list_begin(struct request *, const char *const *filters, struct page *);
/* Makes the reply from rows of (id, json text), ordered by id, at most size + 1 of them. */
struct db_result;
enum err list_reply(struct request *, const char *const *filters, const struct page *,
		    const struct db_result *rows);
/* The next_page_token of a page whose last item has this id, for a list that makes its own reply. */
enum err list_token(struct request *, const char *const *filters, const char *last,
		    const char **token);

#endif
