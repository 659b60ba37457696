#include "router.h"

#include <string.h>

#include "fields.h"
#include "text.h"
#include "trace.h"

#define MAX_SEGMENTS 16

struct segment {
	const char *text;
	size_t length;
};

struct path {
	struct segment segments[MAX_SEGMENTS];
	size_t n;
};

static bool split(const char *text, struct path *path)
{
	path->n = 0;
	while (*text == '/') {
		size_t length = strcspn(++text, "/");

		if (path->n == MAX_SEGMENTS)
			return false;
		path->segments[path->n++] = (struct segment){ text, length };
		text += length;
	}
	return *text == '\0' && path->n > 0;
}

/* Does the template fit? *literals has a bit for every literal segment, the first one highest: the
   larger of two is the more specific, as OpenAPI wants it. */
static bool fits(const char *template, const struct path *path, uint32_t *literals)
{
	*literals = 0;
	for (size_t i = 0; i < path->n; i++) {
		const struct segment *segment = &path->segments[i];
		size_t length;

		if (*template != '/')
			return false;
		length = strcspn(++template, "/");
		if (*template == '{') {
			if (segment->length == 0)
				return false;
		} else {
			if (length != segment->length ||
			    memcmp(template, segment->text, length) != 0)
				return false;
			*literals |= 1U << (MAX_SEGMENTS - 1 - i);
		}
		template += length;
	}
	return *template == '\0';
}

static enum err take_parameters(struct arena *arena, const char *template, const struct path *path,
				struct route_match *match)
{
	for (size_t i = 0; i < path->n; i++) {
		const struct segment *segment = &path->segments[i];
		char *value;
		enum err e;

		template += 1;
		if (*template == '{') {
			if (match->n == MAX_PATH_PARAMS)
				return ERR_NOT_FOUND;
			e = text_unescape(arena, segment->text, segment->length, false, &value);
			if (e != ERR_OK)
				return e == ERR_UNAVAILABLE ? e : ERR_NOT_FOUND;
			match->names[match->n] = template + 1;
			match->values[match->n++] = value;
		}
		template += strcspn(template, "/");
	}
	return ERR_OK;
}

static void allow(struct route_match *match, const char *method)
{
	size_t used = strlen(match->allow), length = strlen(method);

	if (used + length + 3 > sizeof(match->allow))
		return;
	if (used > 0) {
		memcpy(match->allow + used, ", ", 2);
		used += 2;
	}
	memcpy(match->allow + used, method, length + 1);
}

/* The largest `literals` of all templates that fit; false: none does. */
static bool most_specific(const struct resource *const *resources, const struct path *path,
			  uint32_t *best)
{
	bool found = false;
	uint32_t literals;

	for (; *resources != NULL; resources++)
		for (const struct route *r = (*resources)->routes; r->method != NULL; r++)
			if (fits(r->path, path, &literals) && (!found || literals > *best)) {
				*best = literals;
				found = true;
			}
	return found;
}

enum err router_find(const struct resource *const *resources, struct arena *arena,
		     const char *method, const char *path, const struct route **route,
		     struct route_match *match)
{
	const struct route *got = NULL;
	uint32_t best = 0, literals;
	struct path parts;

	*route = NULL;
	*match = (struct route_match){ 0 };
	if (!split(path, &parts) || !most_specific(resources, &parts, &best))
		return ERR_NOT_FOUND;
	for (; *resources != NULL; resources++) {
		for (const struct route *r = (*resources)->routes; r->method != NULL; r++) {
			bool get = strcmp(r->method, "GET") == 0;

			if (!fits(r->path, &parts, &literals) || literals != best)
				continue;
			/* Any of them tells where the parameters are: a bad one is 404 before 405. */
			if (match->n == 0) {
				enum err e = take_parameters(arena, r->path, &parts, match);

				if (e != ERR_OK)
					return e;
			}
			allow(match, r->method);
			if (get)
				allow(match, "HEAD");
			if (strcmp(r->method, method) == 0 || (get && strcmp(method, "HEAD") == 0))
				got = r;
		}
	}
	if (got == NULL)
		return ERR_METHOD_NOT_ALLOWED;
	match->allow[0] = '\0';
	match->n = 0;
	*route = got;
	return take_parameters(arena, got->path, &parts, match);
}

/* What may stand for an id: a uuid, ext:<external_id>, or a number in E.164. */
static bool is_id(const char *s)
{
	return is_uuid(s) || is_e164(s) || (strncmp(s, "ext:", 4) == 0 && trace_is_id(s + 4, 255));
}

static bool names_id(const char *template)
{
	size_t length = strcspn(template, "}");

	return length >= 3 && strncmp(template + length - 3, "_id", 3) == 0;
}

bool router_ids_fit(const struct route_match *match)
{
	for (size_t i = 0; i < match->n; i++)
		if (names_id(match->names[i]) && !is_id(match->values[i]))
			return false;
	return true;
}

static const struct {
	uint32_t bit;
	const char *name;
} scopes[] = {
	{ SCOPE_CONFIG_READ, "config:read" },
	{ SCOPE_CONFIG_WRITE, "config:write" },
	{ SCOPE_NUMBERS_WRITE, "numbers:write" },
	{ SCOPE_CALLS_READ, "calls:read" },
	{ SCOPE_CALLS_WRITE, "calls:write" },
	{ SCOPE_CALLBACKS_RESOLVE, "callbacks:resolve" },
	{ SCOPE_WEBHOOKS_MANAGE, "webhooks:manage" },
	{ SCOPE_EMERGENCY_MONITOR, "emergency:monitor" },
	{ SCOPE_OPERATOR, "operator" },
};

uint32_t scope_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (strlen(scopes[i].name) == len && memcmp(scopes[i].name, name, len) == 0)
			return scopes[i].bit;
	return 0;
}

const char *scope_name(uint32_t bit)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (scopes[i].bit == bit)
			return scopes[i].name;
	return "";
}
