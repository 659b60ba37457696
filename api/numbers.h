/*
 * The rules that addresses, sites, pools and numbers have a part in together, and what their files
 * share. A rule holds under concurrent requests because whoever relies on a row locks it FOR SHARE
 * before it looks, and who changes or deletes it has it FOR [NO KEY] UPDATE. Waiting goes one way:
 *
 *	user -> pool -> site -> number -> address, tenant -> lease heads (pool_numbers)
 *
 * numbers of one request in the order of their digits. Calls wait for the tenant and for lease heads
 * only, in this order too.
 */
#ifndef SB_NUMBERS_H
#define SB_NUMBERS_H

#include "common.h"

/* Phone number n. */
#define NUMBER_JSON \
	"json_build_object('id', n.id, 'number', n.number, 'number_type', n.number_type, 'region', n.region," \
	" 'usage', n.usage, 'address_id', n.address_id, 'state', n.state," \
	" 'pool_id', (SELECT i.pool_id FROM pool_numbers i" \
	" WHERE i.tenant_id = n.tenant_id AND i.number_id = n.id)," \
	" 'user_id', (SELECT u.id FROM users u WHERE u.tenant_id = n.tenant_id AND u.number_id = n.id)," \
	" 'created_at', rfc3339(n.created_at), 'updated_at', rfc3339(n.updated_at))"

/* Lease l is live: its number is somebody's. */
#define LEASE_IS_LIVE \
	"l.state IN ('active', 'superseded') AND (l.expires_at > now() OR l.in_call > 0)"

/* Statement that ends in "... rows AS (... RETURNING id)": an audit entry for each phone number of
   rows. key: the parameter with audit_key(). */
#define AUDIT_NUMBERS(rows, key, action) \
	" INSERT INTO audit_entries (tenant_id, id, key_id, action, resource_type, resource_id)" \
	" SELECT $1, uuid7_ordered(), " key "::uuid, '" action "', 'phone_number', id FROM " rows

/* Who writes, as audit entries say it: NULL for the operator. */
const char *numbers_writer(const struct request *);

/* Which of two members a patch brought out of step: other_pointer where p[other] is not what it was,
   else pointer. before: NULL at creation. */
const char *numbers_culprit(const char *const *before, const char *const *p, size_t other,
			    const char *pointer, const char *other_pointer);

/* The region of a site or a number is that of its address, which stays locked. address_id NULL is
   fine. 422 at pointer ("/region" or "/address_id"). */
enum err numbers_check_address(struct request *, const char *region, const char *address_id,
			       const char *pointer);

/* 409 in_use at the member where there are rows (type, id): they rely on what it was. */
enum err numbers_refuse_change(struct request *, const struct db_result *rows, const char *pointer,
			       const char *rule);

#endif
