/*
 * Where the caller is, and what the PSAP gets of it: US and Canada, native: the caller's location
 * goes with the call, whatever the caller ID. Elsewhere and with direct routing the PSAP looks up the
 * caller ID and sees the number's address of record (domain.md 3, location).
 */
#include "decision.h"

/* What may stand beside an address_id: it says more of that address, and not another one. */
static bool says_more(const char *name)
{
	static const char *const members[] = { "floor",		"room",
					       "latitude",	"longitude",
					       "uncertainty_m", "method",
					       "detected_at",	NULL };

	for (const char *const *m = members; *m; m++)
		if (same(*m, name))
			return true;
	return false;
}

const json_t *place_member(const struct place *p, const char *name)
{
	const json_t *over = p->over != NULL && says_more(name) ? member(p->over, name) : NULL;

	return over != NULL ? over : member(p->address, name);
}

static bool is_place(const json_t *location)
{
	return json_is_string(json_object_get(location, "street")) ||
	       json_is_string(json_object_get(location, "city")) ||
	       json_is_string(json_object_get(location, "postal_code")) ||
	       json_is_string(json_object_get(location, "name")) ||
	       (json_is_number(json_object_get(location, "latitude")) &&
		json_is_number(json_object_get(location, "longitude")));
}

struct place location_named(const json_t *context, const struct call_request *req)
{
	const json_t *named = member(context, "address");

	if (json_is_object(named))
		return (struct place){ named, req->address_ref != NULL ? req->location : NULL };
	/* A floor beside an address_id that names nothing is no place. */
	if (req->address_ref != NULL && !is_place(req->location))
		return (struct place){ NULL, NULL };
	return (struct place){ req->location, NULL };
}

static const struct {
	const char *source, *because;
} sources[] = {
	{ "caller", "The request says where the caller is." },
	{ "user", "The request says no place; the user has a location or an address." },
	{ "site", "Neither the request nor the user says a place; the site has an address." },
	{ "none", "Neither the request, the user nor the site says a place." },
};

/* The region of a place that has none is the first that is known of the call. */
void location_find(struct decision *d)
{
	const struct place of[] = {
		location_named(d->context, d->req),
		{ member(d->user, "address"), NULL },
		{ member(d->site, "address"), NULL },
	};
	size_t i = 0;

	while (i < sizeof(of) / sizeof(of[0]) && !json_is_object(of[i].address))
		i++;
	if (i < sizeof(of) / sizeof(of[0]))
		d->where = of[i];
	d->where_source = sources[i].source;
	d->region = json_string_value(place_member(&d->where, "region"));
	if (d->region == NULL)
		d->region = plan_region(d->context, d->req);
	if (d->region == NULL)
		d->region = "";
	trace_step(d, "location", sources[i].source,
		   *d->region ? text_join(d->arena, sources[i].because, " The region is ",
					  d->region, ".", NULL)
			      : sources[i].because);
}

/* Same place, whatever id it was read under and however it was found. */
static bool same_place(const struct place *a, const struct place *b)
{
	static const char *const members[] = { "region",      "admin_area", "city",
					       "postal_code", "street",	    "house_number",
					       "floor",	      "room",	    NULL };

	for (const char *const *m = members; *m; m++) {
		const json_t *x = place_member(a, *m), *y = place_member(b, *m);

		if (x != y && !json_equal(x, y))
			return false;
	}
	return true;
}

static void write_place(struct json_text *t, const char *name, const struct place *p)
{
	static const char *const members[] = {
		"address_id",	 "region", "admin_area",  "city", "postal_code", "street",
		"house_number",	 "floor",  "room",	  "name", "latitude",	 "longitude",
		"uncertainty_m", "method", "detected_at", NULL,
	};

	if (p->over == NULL) {
		json_text_value(t, name, p->address);
		return;
	}
	json_text_open(t, name, '{');
	for (const char *const *m = members; *m; m++)
		json_text_value(t, *m, place_member(p, *m));
	json_text_close(t, '}');
}

static void write_location(struct json_text *t, const char *source, const char *conveyed_by,
			   const struct place *address, const struct place *caller)
{
	static const struct place none = { NULL, NULL };

	json_text_open(t, "location", '{');
	json_text_string(t, "source", source);
	json_text_string(t, "conveyed_by", conveyed_by);
	write_place(t, "address", address);
	write_place(t, "caller_address", caller != NULL ? caller : &none);
	json_text_close(t, '}');
}

/* The location goes with the call: also where there is no caller ID to look anything up by. */
static bool is_sent(const struct decision *d, const struct presented *number)
{
	const char *group = dial_region_group(d->region);
	const bool native = number->type == NULL || strcmp(number->type, "native") == 0;

	if (number->number == NULL && !number->pool)
		return true;
	return native && (strcmp(group, "US") == 0 || strcmp(group, "CA") == 0);
}

static void trace_conveyed(struct decision *d, const struct presented *number, const char *how,
			   const char *because)
{
	trace_step(d, "conveyance", how,
		   text_join(d->arena, "With caller ID ", number->source,
			     number->type != NULL ? ", " : "",
			     number->type != NULL ? number->type : "", ": ", because, NULL));
}

struct place location_write(struct decision *d, struct json_text *t, const struct presented *number,
			    struct warnings *w)
{
	const json_t *site = member(d->site, "address");
	const bool own = json_is_object(number->address);
	const struct place record = { own		     ? number->address
				      : json_is_object(site) ? site
							     : NULL,
				      NULL };
	const bool differs = d->where.address != NULL && record.address != NULL &&
			     !same_place(&d->where, &record);

	if (d->where.address == NULL && record.address == NULL) {
		warn_rung(d, w, "conveyance", "no_address",
			  "No location is known: not of the caller, the user or the site.");
		write_location(t, "none", NULL, &record, NULL);
		return record;
	}
	if (d->where.address != NULL && (record.address == NULL || is_sent(d, number))) {
		trace_conveyed(d, number, "pidf_lo",
			       "the caller's location is sent with the call.");
		write_location(t, d->where_source, "pidf_lo", &d->where, NULL);
		return d->where;
	}
	trace_conveyed(d, number, "caller_id",
		       own ? "the PSAP looks up the number's address of record."
			   : "the PSAP looks up the number; its address is the site's.");
	if (differs)
		warn_rung(
			d, w, "conveyance", "location_differs",
			"The PSAP looks up the caller ID and sees its address of record, not where the caller is.");
	if (number->pool && json_is_true(json_object_get(d->user, "remote")))
		warn_rung(
			d, w, "conveyance", "remote_user_on_pool",
			"The user is remote and presents a number of the site: the PSAP sees the site's address."
			" Remote users need a number of their own.");
	write_location(t, own ? "number" : "site", "caller_id", &record,
		       differs ? &d->where : NULL);
	return record;
}
