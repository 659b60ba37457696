/*
 * A field table is parser, validator and schema of a JSON object at once. One row a member; the
 * parsed values come out as text, in the table's order, ready to be parameters of a statement.
 */
#ifndef SB_FIELDS_H
#define SB_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "request.h"

enum field_type {
	F_STRING,      /* min..max characters (0: 1..200), no control characters */
	F_ENUM,	       /* one of `choices`, separated by '|' */
	F_BOOL,	       /* -> "true" / "false" */
	F_INTEGER,     /* min..max */
	F_NUMBER,      /* min..max, finite */
	F_TIME,	       /* RFC 3339 date-time */
	F_E164,	       /* +[1-9][0-9]{1,14} */
	F_REGION,      /* ISO 3166-1 alpha-2, assigned */
	F_EXTERNAL_ID, /* 1-128 visible ASCII */
	F_REF,	      /* a uuid or ext:<external_id>; `choices` names the table; -> text as given */
	F_NUMBER_REF, /* the same, or an E.164 number */
	F_LANGUAGE,   /* BCP 47 tag */
	F_URL,	      /* absolute http(s) URL, 1-2048 characters */
	F_EXTENSION,  /* 1-32 of 0-9 * # */
	F_OBJECT,     /* nested table `fields` -> JSON text, with defaults filled in */
	F_ARRAY,      /* of the one row `fields` points at; min..max (0: 1000) items -> JSON text */
	F_SCOPES,     /* array of scope names -> PostgreSQL array text */
	F_STRINGS,    /* array of `choices` (NULL: any string) -> PostgreSQL array text */
	F_ANY_OBJECT, /* any object, <= max bytes as text -> JSON text */
};

enum field_flag {
	FIELD_REQUIRED = 1,
	FIELD_NULLABLE = 2,  /* null is allowed, and is the default of an absent member */
	FIELD_READ_ONLY = 4, /* known, but not to be sent: 422 read_only */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags;
	double min, max;
	const char *choices;
	const char *standard;	    /* default of an absent member, as text; NULL: none */
	const struct field *fields; /* F_OBJECT: table ended by a NULL name; F_ARRAY: one row */
};

/* Validates object against table. values[i] is the text of row i, NULL for null or absent without
   default; the array has one slot a row. Every broken rule is recorded with its pointer
   (prefix + "/name"); the first one's error is returned: unknown_field, read_only, required or
   invalid_value. */
enum err fields_parse(struct request *, const struct field *table, const json_t *object,
		      const char *prefix, const char **values);

/* The same for a merge patch (RFC 7396) of such an object: no member is required, null stands for
   "remove" wherever the member is not required, arrays are whole. No values come out: the merged
   object is what is to be parsed. */
enum err fields_check_patch(struct request *, const struct field *table, const json_t *patch);

/* The single checks, for lenient parsing and path segments. */
bool is_e164(const char *s);
bool is_region(const char *s);
bool is_uuid(const char *s);	  /* any case, 8-4-4-4-12 */
bool is_reference(const char *s); /* uuid or ext:<external_id> */
bool is_plain_text(const char *s, size_t min,
		   size_t max);	    /* characters; valid UTF-8, no controls */
bool is_time(const char *s);	    /* RFC 3339 date-time with offset, a real instant */
bool is_external_id(const char *s); /* F_EXTERNAL_ID and so on, above */
bool is_number_reference(const char *s);
bool is_language(const char *s);
bool is_url(const char *s);
bool is_extension(const char *s);

#endif
