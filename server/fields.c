#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse {
	struct request *req;
	enum err first; /* of the rules that were broken */
	bool no_memory;
	bool patch; /* of a merge patch: nothing is required, and null removes */
};

/* Records what is wrong with a member; the value of it is NULL, for no value was taken. */
#define wrong(p, e, pointer, ...) broken(p, e, fail_member((p)->req, e, pointer, __VA_ARGS__))

static json_t *broken(struct parse *p, enum err e, enum err again)
{
	(void)again;
	if (p->first == ERR_OK)
		p->first = e;
	return NULL;
}

static json_t *kept(struct parse *p, json_t *json)
{
	if (json == NULL)
		p->no_memory = true;
	return json;
}

/* prefix + "/" + name, escaped as RFC 6901 has it. */
static const char *child(struct parse *p, const char *prefix, const char *name)
{
	size_t length = strlen(prefix);
	char *pointer = arena_alloc(p->req->arena, length + 2 * strlen(name) + 2);
	char *at = pointer;

	if (pointer == NULL) {
		p->no_memory = true;
		return prefix;
	}
	memcpy(at, prefix, length);
	at += length;
	*at++ = '/';
	for (; *name != '\0'; name++) {
		if (*name == '~' || *name == '/') {
			*at++ = '~';
			*at++ = *name == '~' ? '0' : '1';
		} else {
			*at++ = *name;
		}
	}
	return pointer;
}

static const char *child_at(struct parse *p, const char *prefix, size_t index)
{
	char name[24];

	(void)snprintf(name, sizeof(name), "%zu", index);
	return child(p, prefix, name);
}

/* --- text --------------------------------------------------------------------------------------- */

/* Compact JSON in the arena. 15 digits write 47.6 as it came; 17 are needed for a few numbers. */
static const char *dump(struct parse *p, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	json_t *again = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);

	if (again == NULL || !json_equal(json, again)) {
		free(text);
		text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	}
	json_decref(again);
	if (text == NULL || !arena_defer(p->req->arena, free, text)) {
		p->no_memory = true;
		return NULL;
	}
	return text;
}

/* A PostgreSQL array literal of strings, every one quoted. */
static const char *array_literal(struct parse *p, const json_t *array)
{
	size_t index, size = 3;
	json_t *item;
	char *text, *at;

	json_array_foreach (array, index, item)
		size += 2 * json_string_length(item) + 3;
	text = arena_alloc(p->req->arena, size);
	if (text == NULL) {
		p->no_memory = true;
		return NULL;
	}
	at = text;
	*at++ = '{';
	json_array_foreach (array, index, item) {
		if (index > 0)
			*at++ = ',';
		*at++ = '"';
		for (const char *s = json_string_value(item); *s != '\0'; s++) {
			if (*s == '"' || *s == '\\')
				*at++ = '\\';
			*at++ = *s;
		}
		*at++ = '"';
	}
	*at = '}';
	return text;
}

static const char *as_parameter(struct parse *p, const struct field *row, const json_t *json)
{
	const char *text;

	if (json_is_null(json))
		return NULL;
	if (row->type == F_SCOPES || row->type == F_STRINGS)
		return array_literal(p, json);
	if (!json_is_string(json))
		return dump(p, json);
	text = arena_strdup(p->req->arena, json_string_value(json));
	if (text == NULL)
		p->no_memory = true;
	return text;
}

/* --- single values ------------------------------------------------------------------------------ */

static bool is_choice(const char *choices, const char *s)
{
	size_t length = strlen(s);

	if (length == 0 || strchr(s, '|') != NULL)
		return false;
	while (choices != NULL) {
		if (strncmp(choices, s, length) == 0 && strchr("|", choices[length]) != NULL)
			return true;
		choices = strchr(choices, '|');
		if (choices != NULL)
			choices++;
	}
	return false;
}

static json_t *wrong_choice(struct parse *p, const char *pointer, const char *choices)
{
	char *list = arena_alloc(p->req->arena, strlen(choices) * 2 + 1), *at = list;

	if (list == NULL)
		return kept(p, NULL);
	for (; *choices != '\0'; choices++) {
		*at++ = *choices == '|' ? ',' : *choices;
		if (*choices == '|')
			*at++ = ' ';
	}
	return wrong(p, ERR_INVALID_VALUE, pointer, "must be one of %s", list);
}

static const struct {
	bool (*holds)(const char *);
	const char *rule;
} rules[] = {
	[F_TIME] = { is_time,
		     "must be an RFC 3339 date-time with offset, such as 2026-03-02T14:00:00Z" },
	[F_E164] = { is_e164, "must be an E.164 number, such as +14255550100" },
	[F_REGION] = { is_region, "must be an assigned ISO 3166-1 alpha-2 code, such as US" },
	[F_EXTERNAL_ID] = { is_external_id, "must be 1 to 128 visible ASCII characters" },
	[F_REF] = { is_reference, "must be an id or ext:<external_id>" },
	[F_NUMBER_REF] = { is_number_reference, "must be an id or an E.164 number" },
	[F_LANGUAGE] = { is_language, "must be a BCP 47 language tag, such as en or de-AT" },
	[F_URL] = { is_url, "must be an absolute http or https URL of at most 2048 characters" },
	[F_EXTENSION] = { is_extension, "must be 1 to 32 of the characters 0-9, * and #" },
};

static json_t *take_string(struct parse *p, const struct field *row, json_t *value,
			   const char *pointer)
{
	const char *s = json_string_value(value);
	double min = row->max > 0 ? row->min : 1, max = row->max > 0 ? row->max : 200;

	if (s == NULL)
		return wrong(p, ERR_INVALID_VALUE, pointer, "must be a string");
	if (row->type == F_ENUM && !is_choice(row->choices, s))
		return wrong_choice(p, pointer, row->choices);
	if (row->type == F_STRING && !is_plain_text(s, (size_t)min, (size_t)max))
		return wrong(p, ERR_INVALID_VALUE, pointer,
			     "must have %.0f to %.0f characters, no control characters among them",
			     min, max);
	if (row->type != F_ENUM && row->type != F_STRING && !rules[row->type].holds(s))
		return wrong(p, ERR_INVALID_VALUE, pointer, "%s", rules[row->type].rule);
	return json_incref(value);
}

static json_t *take_number(struct parse *p, const struct field *row, json_t *value,
			   const char *pointer)
{
	const char *kind = row->type == F_INTEGER ? "an integer" : "a number";
	double number = json_number_value(value);
	/* 2.0 is an integer in JSON Schema. */
	const bool whole =
		json_is_integer(value) || (json_is_real(value) && number > -9e15 && number < 9e15 &&
					   number == (double)(json_int_t)number);

	if (row->type == F_INTEGER ? !whole : !json_is_number(value))
		return wrong(p, ERR_INVALID_VALUE, pointer, "must be %s", kind);
	if (row->min < row->max && (number < row->min || number > row->max))
		return wrong(p, ERR_INVALID_VALUE, pointer, "must be %s from %.15g to %.15g", kind,
			     row->min, row->max);
	if (row->type == F_INTEGER && json_is_real(value))
		return kept(p, json_integer((json_int_t)number));
	return json_incref(value);
}

/* NULL: it may be one of the strings; else the rule that it breaks. */
static const char *wrong_item(const struct field *row, const char *s)
{
	uint32_t scope;

	if (s == NULL)
		return "must be a string";
	if (row->type == F_SCOPES) {
		scope = scope_by_name(s, strlen(s));
		if (scope == 0)
			return "is not a scope";
		return scope == SCOPE_OPERATOR ? "is only for SWITCHBACK_OPERATOR_KEY" : NULL;
	}
	if (row->choices != NULL)
		return is_choice(row->choices, s) ? NULL : "is not one of those that there are";
	return is_plain_text(s, 1, 200) ? NULL
					: "must have 1 to 200 characters, no control characters";
}

static bool counts(struct parse *p, const struct field *row, const json_t *value,
		   const char *pointer)
{
	size_t n = json_array_size(value);
	double max = row->max > 0 ? row->max : 1000;

	if (!json_is_array(value)) {
		(void)wrong(p, ERR_INVALID_VALUE, pointer, "must be an array");
		return false;
	}
	if ((double)n > max) {
		(void)wrong(p, ERR_INVALID_VALUE, pointer, "must have at most %.0f items", max);
		return false;
	}
	if ((double)n < row->min) {
		(void)wrong(p, ERR_INVALID_VALUE, pointer, "must have at least %.0f item%s",
			    row->min, row->min > 1 ? "s" : "");
		return false;
	}
	return true;
}

static json_t *take_strings(struct parse *p, const struct field *row, json_t *value,
			    const char *pointer)
{
	bool good = counts(p, row, value, pointer);
	size_t index, before;
	json_t *item, *other;

	if (!good)
		return NULL;
	json_array_foreach (value, index, item) {
		const char *rule = wrong_item(row, json_string_value(item));

		if (rule == NULL)
			for (before = 0; before < index && rule == NULL; before++) {
				other = json_array_get(value, before);
				rule = json_equal(item, other) ? "is there twice" : NULL;
			}
		if (rule != NULL) {
			(void)wrong(p, ERR_INVALID_VALUE, child_at(p, pointer, index), "%s", rule);
			good = false;
			if (p->req->n_errors == MAX_ERRORS)
				break; /* the rest could not be told */
		}
	}
	return good ? json_incref(value) : NULL;
}

static json_t *take_any_object(struct parse *p, const struct field *row, json_t *value,
			       const char *pointer)
{
	const char *text;

	if (!json_is_object(value))
		return wrong(p, ERR_INVALID_VALUE, pointer, "must be an object");
	text = dump(p, value);
	if (text == NULL)
		return NULL;
	if (row->max > 0 && (double)strlen(text) > row->max)
		return wrong(p, ERR_INVALID_VALUE, pointer, "must have at most %.0f bytes",
			     row->max);
	return json_incref(value);
}

/* --- objects and arrays ------------------------------------------------------------------------- */

static json_t *take(struct parse *p, const struct field *row, json_t *value, const char *pointer);

/* What an absent member stands for. */
static json_t *standard(const struct field *row)
{
	if (row->standard == NULL)
		return json_null();
	switch (row->type) {
	case F_BOOL:
	case F_INTEGER:
	case F_NUMBER:
	case F_OBJECT:
	case F_ARRAY:
	case F_ANY_OBJECT: return json_loads(row->standard, JSON_DECODE_ANY, NULL);
	case F_SCOPES:
	case F_STRINGS: return json_array(); /* "{}": no other default is of use */
	default: return json_string(row->standard);
	}
}

/* As take(); also NULL where the member is *absent, which breaks a rule only if it is required. */
static json_t *take_member(struct parse *p, const struct field *row, const json_t *object,
			   const char *prefix, bool *absent)
{
	json_t *value = json_object_get(object, row->name);
	const char *pointer = child(p, prefix, row->name);

	*absent = value == NULL;
	if (value != NULL && (row->flags & FIELD_READ_ONLY))
		return wrong(p, ERR_READ_ONLY, pointer, "is read-only");
	if (value != NULL)
		return take(p, row, value, pointer);
	if (row->flags & FIELD_REQUIRED && !p->patch)
		return wrong(p, ERR_REQUIRED, pointer, "is required");
	return NULL;
}

static bool is_member(const struct field *table, const char *name)
{
	for (; table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

/* jansson's iterators want to be able to change what they walk over; these do not. */
static json_t *walkable(const json_t *json)
{
	return (json_t *)(uintptr_t)json;
}

static bool only_known(struct parse *p, const struct field *table, const json_t *object,
		       const char *prefix)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object)) {
		(void)wrong(p, ERR_INVALID_VALUE, prefix, "must be an object");
		return false;
	}
	json_object_foreach (walkable(object), name, value)
		if (!is_member(table, name))
			(void)wrong(p, ERR_UNKNOWN_FIELD, child(p, prefix, name),
				    "is not a member of this %s",
				    *prefix == '\0' ? "resource" : "object");
	return true;
}

static json_t *take_object(struct parse *p, const struct field *table, const json_t *object,
			   const char *prefix)
{
	json_t *whole;

	if (!only_known(p, table, object, prefix))
		return NULL;
	whole = kept(p, json_object());
	for (; whole != NULL && table->name != NULL; table++) {
		bool absent;
		json_t *value = take_member(p, table, object, prefix, &absent);

		if (absent && !(table->flags & (FIELD_REQUIRED | FIELD_READ_ONLY)))
			value = kept(p, standard(table));
		if (value != NULL && json_object_set_new(whole, table->name, value) != 0)
			p->no_memory = true;
	}
	return whole;
}

static json_t *take_array(struct parse *p, const struct field *row, json_t *array,
			  const char *pointer)
{
	const bool patch = p->patch;
	json_t *whole, *item;
	size_t index;

	if (!counts(p, row, array, pointer))
		return NULL;
	whole = kept(p, json_array());
	if (whole == NULL)
		return NULL;
	p->patch = false; /* an array is replaced as a whole */
	json_array_foreach (array, index, item) {
		json_t *value = take(p, row->fields, item, child_at(p, pointer, index));

		if (value != NULL && json_array_append_new(whole, value) != 0)
			p->no_memory = true;
		if (p->req->n_errors == MAX_ERRORS)
			break;
	}
	p->patch = patch;
	return whole;
}

/* A new reference to the value as it is to be stored; NULL: it breaks a rule, or no memory. */
static json_t *take(struct parse *p, const struct field *row, json_t *value, const char *pointer)
{
	if (json_is_null(value)) {
		if (row->flags & FIELD_NULLABLE || (p->patch && !(row->flags & FIELD_REQUIRED)))
			return json_incref(value);
		return wrong(p, ERR_INVALID_VALUE, pointer, "must not be null");
	}
	switch (row->type) {
	case F_BOOL:
		if (!json_is_boolean(value))
			return wrong(p, ERR_INVALID_VALUE, pointer, "must be true or false");
		return json_incref(value);
	case F_INTEGER:
	case F_NUMBER: return take_number(p, row, value, pointer);
	case F_OBJECT: return take_object(p, row->fields, value, pointer);
	case F_ARRAY: return take_array(p, row, value, pointer);
	case F_SCOPES:
	case F_STRINGS: return take_strings(p, row, value, pointer);
	case F_ANY_OBJECT: return take_any_object(p, row, value, pointer);
	default: return take_string(p, row, value, pointer);
	}
}

enum err fields_parse(struct request *req, const struct field *table, const json_t *object,
		      const char *prefix, const char **values)
{
	struct parse p = { .req = req };

	if (!only_known(&p, table, object, prefix))
		return p.first;
	for (size_t i = 0; table[i].name != NULL; i++) {
		bool absent;
		json_t *value = take_member(&p, &table[i], object, prefix, &absent);

		values[i] = absent ? table[i].standard : NULL;
		if (value != NULL)
			values[i] = as_parameter(&p, &table[i], value);
		json_decref(value);
	}
	if (p.no_memory)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	return p.first;
}

enum err fields_check_patch(struct request *req, const struct field *table, const json_t *patch)
{
	struct parse p = { .req = req, .patch = true };

	json_decref(take_object(&p, table, patch, ""));
	if (p.no_memory)
		return fail(req, ERR_UNAVAILABLE, "There is no memory left.");
	return p.first;
}
