/* See call_request.h. One table a level: name, check, where it goes. */
#include "call_request.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server/fields.h"

#define EXTERNAL_CALL_ID_MAX 255
#define TEXT_MAX 200
#define NAME_SHOWN 64
#define UNCERTAINTY_MAX 10000000.0 /* metres */

typedef bool (*check_fn)(const json_t *);

static void decref(void *json)
{
	json_decref(json);
}

json_t *arena_json(struct arena *arena, json_t *json)
{
	return json && arena_defer(arena, decref, json) ? json : NULL;
}

void warn(json_t *warnings, const char *code, const char *fmt, ...)
{
	char detail[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	json_array_append_new(warnings,
			      json_pack("{s:s, s:s+}", "code", code, "detail", detail, ""));
}

/* A string without NUL inside; NULL otherwise. */
static const char *text_of(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

static bool is_text(const json_t *v)
{
	return text_of(v) && is_plain_text(text_of(v), 1, TEXT_MAX);
}

static bool is_external_call_id(const json_t *v)
{
	const char *s = text_of(v);

	if (!s || !*s || strlen(s) > EXTERNAL_CALL_ID_MAX)
		return false;
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

static bool check_reference(const json_t *v)
{
	return text_of(v) && is_reference(text_of(v));
}

static bool check_region(const json_t *v)
{
	return text_of(v) && is_region(text_of(v));
}

static bool check_e164(const json_t *v)
{
	return text_of(v) && is_e164(text_of(v));
}

static bool check_time(const json_t *v)
{
	return text_of(v) && is_time(text_of(v));
}

static bool one_of(const json_t *v, const char *const *choices)
{
	const char *s = text_of(v);

	for (; s && *choices; choices++)
		if (!strcmp(s, *choices))
			return true;
	return false;
}

static bool check_origin(const json_t *v)
{
	static const char *const origins[] = { "planned", "observed", NULL };

	return one_of(v, origins);
}

static bool check_availability(const json_t *v)
{
	static const char *const values[] = { "available", "available_idle", "busy",
					      "busy_idle", "do_not_disturb", "be_right_back",
					      "away",	   "offline",	     "unknown",
					      NULL };

	return one_of(v, values);
}

static bool check_endpoint_type(const json_t *v)
{
	static const char *const types[] = { "ccaas_client",   "teams_client",
					     "desktop_client", "vdi_client",
					     "desk_phone",     "tablet",
					     "mobile",	       NULL };

	return one_of(v, types);
}

static bool between(const json_t *v, double min, double max)
{
	return json_is_number(v) && json_number_value(v) >= min && json_number_value(v) <= max;
}

static bool check_latitude(const json_t *v)
{
	return between(v, -90, 90);
}

static bool check_longitude(const json_t *v)
{
	return between(v, -180, 180);
}

static bool check_uncertainty(const json_t *v)
{
	return between(v, 0, UNCERTAINTY_MAX);
}

static bool check_bool(const json_t *v)
{
	return json_is_boolean(v);
}

/* No string of it may hold NUL: PostgreSQL cannot store that. */
static bool storable(const json_t *v, int depth)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(v))
		return text_of(v) != NULL;
	if (depth > 16)
		return false;
	if (json_is_object(v)) {
		json_object_foreach ((json_t *)(uintptr_t)v, key, item)
			if (!storable(item, depth + 1))
				return false;
	}
	if (json_is_array(v)) {
		json_array_foreach (v, i, item)
			if (!storable(item, depth + 1))
				return false;
	}
	return true;
}

static bool check_metadata(const json_t *v)
{
	return json_is_object(v) && storable(v, 1);
}

static bool check_object(const json_t *v)
{
	return json_is_object(v);
}

static bool check_reason(const json_t *v)
{
	static const char *const reasons[] = { "agent", "remote", "dropped", "unknown", NULL };

	return one_of(v, reasons);
}

static bool check_cancel_reason(const json_t *v)
{
	static const char *const reasons[] = { "caller_abandoned", "failed", NULL };

	return one_of(v, reasons);
}

static bool check_sip_status(const json_t *v)
{
	return json_is_integer(v) && between(v, 100, 699);
}

struct member {
	const char *name;
	check_fn check;
	const char *rule;
};

/* Bytes of a name that are shown: whole characters of UTF-8. */
static int shown(const char *name)
{
	size_t n = strnlen(name, NAME_SHOWN);

	while (n && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

void warn_unknown(json_t *warnings, const char *prefix, const char *name)
{
	warn(warnings, "ignored_member", "%s/%.*s: is not known; it was left out.", prefix,
	     shown(name), name);
}

static const struct member *find(const struct member *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

/* A new object of those members that fit; the others, null apart, are named. */
static json_t *sift(const struct member *table, const json_t *object, const char *prefix,
		    json_t *warnings)
{
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
		const struct member *m = find(table, name);

		if (m && json_is_null(value))
			continue;
		if (m && m->check(value))
			json_object_set(out, name, value);
		else if (m)
			warn(warnings, "ignored_member", "%s/%s: %s; it was left out.", prefix,
			     name, m->rule);
		else
			warn_unknown(warnings, prefix, name);
	}
	return out;
}

#define TEXT_RULE "must be 1-200 characters without control characters"
#define REFERENCE_RULE "must be an id or ext:<external_id>"
#define REGION_RULE "must be an ISO 3166-1 alpha-2 code"

static const struct member call_members[] = {
	{ "external_call_id", is_external_call_id, "must be 1-255 visible ASCII characters" },
	{ "endpoint", check_object, "must be an object" },
	{ "site_id", check_reference, REFERENCE_RULE },
	{ "region", check_region, REGION_RULE },
	{ "location", check_object, "must be an object" },
	{ "presence", check_object, "must be an object" },
	{ "origin", check_origin, "must be planned or observed" },
	{ "presented_number", check_e164, "must be an E.164 number" },
	{ "on_behalf_of", is_text, TEXT_RULE },
	{ "assert_emergency", check_bool, "must be true or false" },
	{ "metadata", check_metadata,
	  "must be an object, at most 16 levels deep, without \\u0000" },
	{ NULL, NULL, NULL },
};

static const struct member endpoint_members[] = {
	{ "type", check_endpoint_type, "must be a type of endpoint" },
	{ "address", is_text, TEXT_RULE },
	{ "cellular", check_bool, "must be true or false" },
	{ NULL, NULL, NULL },
};

static const struct member presence_members[] = {
	{ "availability", check_availability, "must be an availability" },
	{ "activity", is_text, TEXT_RULE },
	{ NULL, NULL, NULL },
};

static const struct member location_members[] = {
	{ "address_id", check_reference, REFERENCE_RULE },
	{ "region", check_region, REGION_RULE },
	{ "admin_area", is_text, TEXT_RULE },
	{ "city", is_text, TEXT_RULE },
	{ "postal_code", is_text, TEXT_RULE },
	{ "street", is_text, TEXT_RULE },
	{ "house_number", is_text, TEXT_RULE },
	{ "floor", is_text, TEXT_RULE },
	{ "room", is_text, TEXT_RULE },
	{ "name", is_text, TEXT_RULE },
	{ "latitude", check_latitude, "must be a number from -90 to 90" },
	{ "longitude", check_longitude, "must be a number from -180 to 180" },
	{ "uncertainty_m", check_uncertainty, "must be a number of metres from 0 to 10000000" },
	{ "method", is_text, TEXT_RULE },
	{ "detected_at", check_time, "must be an RFC 3339 time" },
	{ NULL, NULL, NULL },
};

/* What says nothing of where the caller is, by itself. */
static bool says_where(const json_t *location)
{
	static const char *const places[] = { "city", "postal_code", "street", "name", NULL };

	for (const char *const *p = places; *p; p++)
		if (json_object_get(location, *p))
			return true;
	return json_object_get(location, "latitude") && json_object_get(location, "longitude");
}

static json_t *whole_location(const json_t *sifted)
{
	json_t *out = json_object();

	for (const struct member *m = location_members; m->name; m++) {
		json_t *v = json_object_get(sifted, m->name);

		/* address_id of the answer is that of the address it was taken from: none here. */
		json_object_set(out, m->name, v && strcmp(m->name, "address_id") ? v : json_null());
	}
	return out;
}

static void take_location(struct arena *arena, const json_t *v, struct call_request *out)
{
	json_t *sifted = arena_json(arena, sift(location_members, v, "/location", out->warnings));

	out->address_ref = text_of(json_object_get(sifted, "address_id"));
	if (!out->region)
		out->region = text_of(json_object_get(sifted, "region"));
	/* With an address_id the other members say more of it: the floor, the room. */
	if (says_where(sifted) || out->address_ref)
		out->location = arena_json(arena, whole_location(sifted));
	else if (json_object_size(sifted) > (json_object_get(sifted, "region") ? 1u : 0u))
		warn(out->warnings, "ignored_member", "/location: says no place; it was left out.");
}

static void take_endpoint(struct arena *arena, const json_t *v, struct call_request *out)
{
	json_t *sifted = arena_json(arena, sift(endpoint_members, v, "/endpoint", out->warnings));

	/* The type alone decides where a callback rings; an address alone says nothing. */
	if (json_object_get(sifted, "type"))
		out->endpoint = sifted;
	else if (json_object_size(sifted))
		warn(out->warnings, "ignored_member", "/endpoint: has no type; it was left out.");
}

const char *call_request_parse(struct arena *arena, const json_t *body, struct call_request *out)
{
	json_t *rest = arena_json(arena, json_copy((json_t *)(uintptr_t)body));
	json_t *kept, *v;

	memset(out, 0, sizeof(*out));
	out->user_ref = text_of(json_object_get(body, "user_id"));
	out->dialed = text_of(json_object_get(body, "dial_string"));
	if (!out->user_ref || !*out->user_ref)
		return "user_id";
	if (!out->dialed || !*out->dialed)
		return "dial_string";
	out->warnings = arena_json(arena, json_array());
	if (!out->warnings || !rest)
		return NULL;
	json_object_del(rest, "user_id");
	json_object_del(rest, "dial_string");
	kept = arena_json(arena, sift(call_members, rest, "", out->warnings));
	out->external_call_id = text_of(json_object_get(kept, "external_call_id"));
	out->site_ref = text_of(json_object_get(kept, "site_id"));
	out->region = text_of(json_object_get(kept, "region"));
	out->presented_number = text_of(json_object_get(kept, "presented_number"));
	out->on_behalf_of = text_of(json_object_get(kept, "on_behalf_of"));
	out->origin = text_of(json_object_get(kept, "origin"));
	out->origin = out->origin ? out->origin : "planned";
	out->assert_emergency = json_is_true(json_object_get(kept, "assert_emergency"));
	out->metadata = json_object_get(kept, "metadata");
	v = json_object_get(kept, "endpoint");
	if (v)
		take_endpoint(arena, v, out);
	v = json_object_get(kept, "location");
	if (v)
		take_location(arena, v, out);
	v = json_object_get(kept, "presence");
	if (v) {
		v = arena_json(arena, sift(presence_members, v, "/presence", out->warnings));
		out->presence = text_of(json_object_get(v, "availability"));
	}
	return NULL;
}

json_t *call_action_parse(struct arena *arena, const char *action, const json_t *body)
{
	static const struct member connect[] = {
		{ "presented_number", check_e164, "must be an E.164 number" }, { NULL, NULL, NULL }
	};
	static const struct member end[] = { { "reason", check_reason,
					       "must be agent, remote, dropped or unknown" },
					     { NULL, NULL, NULL } };
	static const struct member cancel[] = {
		{ "reason", check_cancel_reason, "must be caller_abandoned or failed" },
		{ "sip_status", check_sip_status, "must be 100-699" },
		{ NULL, NULL, NULL },
	};
	const struct member *table = *action == 'e' ? end : action[1] == 'o' ? connect : cancel;
	json_t *warnings = arena_json(arena, json_array());
	json_t *out = warnings ? arena_json(arena, sift(table, body, "", warnings)) : NULL;

	if (out)
		json_object_set(out, "warnings", warnings);
	if (out && table == end && !json_object_get(out, "reason"))
		json_object_set_new(out, "reason", json_string("unknown"));
	return out;
}
