/*
 * Which carriers take a number, in order: direct routing where a carrier route of the tenant matches,
 * then a calling plan, then operator connect, as far as the tenant has such numbers.
 */
#include "decision.h"

#include "dial_rule.h"

struct match {
	const json_t *route;
	bool site_level;
	size_t literals;
};

/* A catch-all counts, behind whatever says more. */
static bool matches(const json_t *route, const char *number, struct match *out)
{
	const char *pattern = text(route, "pattern");
	const bool all = same(pattern, ".*");

	if (pattern == NULL || (!all && !dial_rule_matches(pattern, number)))
		return false;
	*out = (struct match){
		.route = route,
		.site_level = json_is_true(json_object_get(route, "site_level")),
		.literals = all ? 0 : dial_literals(pattern),
	};
	return true;
}

static bool goes_before(const struct match *a, const struct match *b)
{
	if (a->site_level != b->site_level)
		return a->site_level;
	return a->literals > b->literals;
}

/* The matches in order; those that are alike keep theirs. Returns how many. */
static size_t match_all(const json_t *routes, const char *number, struct match *matched)
{
	const json_t *route;
	struct match m;
	size_t i, n = 0;

	json_array_foreach (routes, i, route) {
		size_t at = n;

		if (!matches(route, number, &m))
			continue;
		for (; at > 0 && goes_before(&m, &matched[at - 1]); at--)
			matched[at] = matched[at - 1];
		matched[at] = m;
		n++;
	}
	return n;
}

static bool has_carrier(const struct decision *d, const char *type)
{
	const json_t *carriers = member(d->context, "carriers"), *v;
	size_t i;

	json_array_foreach (carriers, i, v)
		if (same(json_string_value(v), type))
			return true;
	return false;
}

struct carriers carriers_for(struct decision *d, const char *number)
{
	static const char *const offers[] = { "native", "operator_connect" };
	const json_t *routes = member(d->context, "carrier_routes");
	const size_t most = json_array_size(routes);
	struct match *matched = arena_alloc(d->arena, (most + 1) * sizeof(*matched));
	struct carrier *of = arena_alloc(d->arena, (most + 2) * sizeof(*of));
	size_t n = 0;

	if (matched == NULL || of == NULL)
		return (struct carriers){ NULL, 0 };
	for (size_t direct = match_all(routes, number, matched); n < direct; n++)
		of[n] = (struct carrier){
			.via = "byoc",
			.trunk = text(matched[n].route, "trunk"),
			.unconfirmed =
				!json_is_true(json_object_get(matched[n].route, "confirmed")),
		};
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		if (has_carrier(d, offers[i]))
			of[n++] = (struct carrier){ .via = offers[i] };
	return (struct carriers){ of, n };
}
