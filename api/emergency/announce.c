/*
 * What the agent is told, in the tenant's language: the notice of every call, and the announcement
 * that a test call hears. {number} and {time} stay in the texts: they are known when a number is had.
 */
#include "decision.h"

#include "phrases.h"

static const struct phrases *phrases(const struct decision *d)
{
	return phrases_of(text(d->tenant, "language"));
}

void notice_decide(struct decision *d)
{
	const struct phrases *p = phrases(d);
	struct json_text t;

	json_text_start(&t, d->arena, 480);
	json_text_open(&t, NULL, '{');
	json_text_string(&t, "language", p->language);
	json_text_string(&t, "with_expiry", p->with_expiry);
	json_text_string(&t, "without_expiry", p->without_expiry);
	json_text_string(&t, "without_number", p->without_number);
	json_text_close(&t, '}');
	d->notice = json_text_end(&t);
	trace_step(d, "notice", p->language,
		   "It is the tenant's language, or English in its place.");
}

/* --- announcement of a test ---------------------------------------------------------------------- */

/* s with what stands for `placeholder` put in. */
static const char *put_in(struct arena *arena, const char *s, const char *placeholder,
			  const char *value)
{
	const char *at = strstr(s, placeholder);
	const char *before = at != NULL ? arena_strndup(arena, s, (size_t)(at - s)) : NULL;

	return before != NULL ? text_join(arena, before, value, at + strlen(placeholder), NULL) : s;
}

/* Characters that XML takes for its own. */
static const char *escaped(struct arena *arena, const char *s)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };
	size_t at = 0, n = strlen(s);
	char *out = arena_alloc(arena, n * 6 + 1);

	for (; out != NULL && *s; s++) {
		const char *found = strchr(special, *s);
		const char *part = found != NULL ? entities[found - special] : s;
		const size_t length = found != NULL ? strlen(part) : 1;

		memcpy(out + at, part, length);
		at += length;
	}
	return out != NULL ? out : "";
}

/* The parts of a postal address that there are, as people say them. "": none. */
static const char *spoken(struct arena *arena, const struct place *p)
{
	static const struct {
		const char *member, *before;
	} parts[] = {
		{ "name", ", " },  { "street", ", " },	   { "house_number", " " },
		{ "floor", ", " }, { "room", ", " },	   { "postal_code", ", " },
		{ "city", ", " },  { "admin_area", ", " },
	};
	const char *all = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && all != NULL; i++) {
		const char *part = json_string_value(place_member(p, parts[i].member));

		if (part != NULL && *part)
			all = text_join(arena, all, *all ? parts[i].before : "", part, NULL);
	}
	return all != NULL ? all : "";
}

void announcement_write(struct decision *d, struct json_text *t, const struct presented *number,
			const struct place *seen)
{
	const struct phrases *p = phrases(d);
	const bool any = number->number != NULL || number->pool;
	const char *address, *callback, *said, *reached;

	if (!d->out->test) {
		json_text_raw(t, "announcement", "null");
		return;
	}
	address = spoken(d->arena, seen);
	callback = any ? p->number : p->no_number;
	reached = d->reaches ? p->reached : p->not_reached;
	said = *address ? put_in(d->arena, p->address, "{address}", address) : p->no_address;
	json_text_open(t, "announcement", '{');
	json_text_string(t, "text",
			 text_join(d->arena, p->test, " ", callback, " ", said != NULL ? said : "",
				   " ", reached, NULL));
	callback = put_in(d->arena, escaped(d->arena, callback), "{number}",
			  "<say-as interpret-as=\"telephone\">{number}</say-as>");
	json_text_string(
		t, "ssml",
		text_join(
			d->arena,
			"<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" xml:lang=\"",
			p->language, "\"><s>", escaped(d->arena, p->test), "</s><s>",
			callback != NULL ? callback : "", "</s><s>",
			escaped(d->arena, said != NULL ? said : ""), "</s><s>",
			escaped(d->arena, reached), "</s></speak>", NULL));
	json_text_string(t, "language", p->language);
	json_text_string(t, "play_to", "caller");
	json_text_close(t, '}');
}
