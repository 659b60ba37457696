#include "numbers.h"

#include <string.h>

const char *numbers_writer(const struct request *req)
{
	return *req->who.key_id ? req->who.key_id : NULL;
}

const char *numbers_culprit(const char *const *before, const char *const *p, size_t other,
			    const char *pointer, const char *other_pointer)
{
	if (!before || !before[other] || !p[other])
		return pointer;
	return strcmp(before[other], p[other]) == 0 ? pointer : other_pointer;
}

enum err numbers_check_address(struct request *req, const char *region, const char *address_id,
			       const char *pointer)
{
	static const struct db_stmt select = {
		"region_of_address",
		"SELECT a.region, region_group(a.region) = region_group($3)"
		" FROM addresses a WHERE a.tenant_id = $1 AND a.id = $2 FOR SHARE",
		3
	};
	const char *const params[] = { req->tenant, address_id, region };
	struct db_result *rows;
	enum err e;

	if (!address_id)
		return ERR_OK;
	e = db_exec(req->db, req->arena, &select, params, &rows);
	if (e != ERR_OK)
		return e;
	if (db_rows(rows) == 0) /* deleted since it was looked up: look again */
		return ERR_RETRY;
	if (db_true(rows, 0, 1))
		return ERR_OK;
	if (strcmp(pointer, "/region") == 0)
		return fail_member(req, ERR_INVALID_VALUE, pointer,
				   "must be the region of the address, which is %s",
				   db_value(rows, 0, 0));
	return fail_member(req, ERR_INVALID_VALUE, pointer,
			   "must name an address in region %s; the region of this one is %s",
			   region, db_value(rows, 0, 0));
}

enum err numbers_refuse_change(struct request *req, const struct db_result *rows,
			       const char *pointer, const char *rule)
{
	if (db_rows(rows) == 0)
		return ERR_OK;
	(void)fail_member(req, ERR_IN_USE, pointer, "%s", rule);
	return common_in_use(req, rows, req->detail);
}
