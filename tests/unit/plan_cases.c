/* See plan_cases.h. */
#include <string.h>

#include "plan_cases.h"

static const char base[] =
	"{'tenant': {'id': 't', 'config_version': 1, 'region': 'US', 'language': 'en',"
	"  'safety_team': null, 'fallback': null},"
	" 'user': {'id': 'u', 'version': 1, 'external_id': 'agent-42', 'active': true, 'remote': false,"
	"  'outbound_enabled': true, 'endpoints': [], 'number': null, 'address': null},"
	" 'site': {'id': 's', 'region': 'US', 'named': false, 'safety_team': null, 'fallback': null,"
	"  " ACCOUNT ", 'address': " ADDRESS(
		"site", "US",
		"Main St") ","
			   "  'pools': [" POOL(
				   "p1", "native",
				   "2") "]},"
					" 'address': null, 'extension': false, 'carriers': ['native']}";

static json_t *codes(const json_t *warnings)
{
	json_t *out = json_array(), *w;
	size_t i;

	assert_true(json_is_array(warnings));
	json_array_foreach (warnings, i, w) {
		assert_true(json_string_length(json_object_get(w, "detail")) > 0);
		json_array_append(out, json_object_get(w, "code"));
	}
	return out;
}

/* {decision, warnings} and so on -> one level: the members of the decision, codes as warnings. */
static json_t *flat(const json_t *rung)
{
	json_t *out = json_copy((json_t *)(uintptr_t)rung), *types = json_object_get(rung, "types");
	json_t *flat_types = json_object(), *v;
	const char *type;

	json_object_foreach (types, type, v)
		json_object_set_new(flat_types, type, flat(v));
	if (types)
		json_object_set(out, "types", flat_types);
	else
		json_object_set_new(out, "warnings", codes(json_object_get(rung, "warnings")));
	json_object_update(out, json_object_get(rung, "decision"));
	json_object_del(out, "decision");
	json_decref(flat_types);
	return out;
}

void read_request(const char *request, const char *dialed, struct call_request *out)
{
	json_t *body = doc(request);

	json_object_set_new(body, "user_id", json_string("ext:agent-42"));
	json_object_set_new(body, "dial_string", json_string(dialed));
	assert_null(call_request_parse(arena, body, out));
}

json_t *context_of(const char *changes)
{
	json_t *context = doc(base);

	assert_int_equal(json_object_update_recursive(context, doc(changes)), 0);
	return context;
}

/* --- what holds of every plan -------------------------------------------------------------------- */

static bool is_word(const json_t *object, const char *name)
{
	return json_string_length(json_object_get(object, name)) > 0;
}

/* Every code of the warnings is the outcome of a step. */
static void check_explained(const json_t *warnings, const json_t *trace)
{
	const json_t *w, *step;
	size_t i, k;

	assert_true(json_is_array(warnings));
	json_array_foreach (warnings, i, w) {
		bool found = false;

		assert_true(is_word(w, "code") && is_word(w, "detail"));
		json_array_foreach (trace, k, step)
			found = found || json_equal(json_object_get(step, "outcome"),
						    json_object_get(w, "code"));
		if (!found)
			fail_msg("%s is not in %s", dump(w), dump(trace));
	}
}

static bool warns(const json_t *warnings, const char *code)
{
	const json_t *w;
	size_t i;

	json_array_foreach (warnings, i, w)
		if (!strcmp(json_string_value(json_object_get(w, "code")), code))
			return true;
	return false;
}

static void check_decision(const struct plan *plan, const struct call_request *req,
			   const json_t *rung, const json_t *warnings, const json_t *trace)
{
	const json_t *decision = json_object_get(rung, "decision"), *leg;
	const json_t *route = json_object_get(decision, "route");
	const json_t *legs = json_object_get(route, "legs"),
		     *notice = json_object_get(decision, "notice"),
		     *location = json_object_get(decision, "location");
	bool psap = false;
	size_t i;

	check_explained(json_object_get(rung, "warnings"), trace);
	assert_true(is_word(route, "path") && is_word(route, "handled_by") && json_is_array(legs));
	json_array_foreach (legs, i, leg) {
		const char *target = json_string_value(json_object_get(leg, "target"));
		const bool out = !strcmp(target, "psap") || !strcmp(target, "test");

		assert_true(json_is_integer(json_object_get(leg, "start_after_seconds")));
		assert_true(out ? is_word(leg, "dial")
				: json_is_object(json_object_get(leg, "destination")));
		assert_true(plan->test == !strcmp(target, "test"));
		psap = psap || out;
	}
	/* It gets somewhere, or somebody was told why not. */
	if (!plan->handled_by_device && strcmp(req->origin, "observed")) {
		assert_true(json_array_size(legs) > 0 || warns(warnings, "psap_not_reached"));
		assert_true(psap || plan->custom || warns(warnings, "psap_not_reached"));
	} else {
		assert_int_equal(json_array_size(legs), 0);
	}
	assert_true(is_word(location, "source"));
	assert_true(json_is_object(json_object_get(decision, "restrictions")));
	assert_true(json_is_array(json_object_get(decision, "notifications")));
	assert_true(json_is_array(json_object_get(decision, "recipients")));
	assert_true(is_word(notice, "with_expiry") && is_word(notice, "without_expiry") &&
		    is_word(notice, "without_number") && is_word(notice, "language"));
	assert_true(json_is_object(json_object_get(decision, "announcement")) == plan->test);
}

void check_plan(const struct plan *plan, const struct call_request *req)
{
	const json_t *ladder = doc_of(plan->ladder), *warnings = doc_of(plan->warnings);
	const json_t *trace = doc_of(plan->trace), *rung, *step, *last = NULL;
	json_t *type;
	const char *name;
	size_t i;

	json_array_foreach (trace, i, step)
		assert_true(is_word(step, "step") && is_word(step, "outcome") &&
			    is_word(step, "because"));
	check_explained(warnings, trace);
	assert_true(json_array_size(ladder) > 0);
	json_array_foreach (ladder, i, rung) {
		last = rung;
		assert_true(is_word(rung, "source"));
		if (!json_object_get(rung, "types")) {
			check_decision(plan, req, rung, warnings, trace);
			continue;
		}
		assert_true(json_array_size(json_object_get(rung, "pools")) > 0);
		assert_true(json_object_size(json_object_get(rung, "types")) > 0);
		json_object_foreach (json_object_get(rung, "types"), name, type)
			check_decision(plan, req, type, warnings, trace);
	}
	assert_null(json_object_get(last, "types")); /* the last rung can always be had */
	assert_true(plan->ttl_seconds > 0 && plan->max_call_seconds > 0);
	assert_true(*plan->dial_string);
}

/* --- cases --------------------------------------------------------------------------------------- */

static json_t *steps(const json_t *trace)
{
	json_t *out = json_object();
	const json_t *step;
	size_t i;

	json_array_foreach (trace, i, step) {
		const char *name = arena_printf(
			arena, "%s: %s", json_string_value(json_object_get(step, "step")),
			json_string_value(json_object_get(step, "outcome")));
		json_t *level = json_object_get(step, "level");

		json_object_set_new(out, name, level ? json_incref(level) : json_true());
	}
	return out;
}

static void run_plan_case(void **state)
{
	const struct plan_case *row = *state;
	json_t *context = context_of(row->context);
	json_t *got, *rungs = json_array(), *rung;
	struct call_request request;
	struct plan plan;
	size_t i;

	read_request(row->request, row->dialed, &request);
	assert_true(plan_make(arena, context, &request, &plan));
	if (!plan.refused) {
		check_plan(&plan, &request);
		json_array_foreach (doc_of(plan.ladder), i, rung)
			json_array_append_new(rungs, flat(rung));
	}
	got = arena_json(arena,
			 json_pack("{s:o, s:b, s:b, s:b, s:b, s:b, s:s, s:s?, s:i, s:i, s:o, s:o}",
				   "codes", codes(doc_of(plan.warnings)), "locks",
				   plan.locks_presence, "device", plan.handled_by_device, "test",
				   plan.test, "custom", plan.custom, "refused", plan.refused,
				   "dial_string", plan.dial_string, "service_urn", plan.service_urn,
				   "ttl", (int)plan.ttl_seconds, "max_call",
				   (int)plan.max_call_seconds, "rungs", rungs, "trace",
				   steps(doc_of(plan.trace))));
	must_hold(got, row->want);
}

size_t add_test(struct CMUnitTest *tests, size_t n, const char *name, CMUnitTestFunction function,
		const void *state)
{
	tests[n] = (struct CMUnitTest){ name, function, begin_documents, end_documents,
					(void *)(uintptr_t)state };
	return n + 1;
}

size_t add_plan_cases(struct CMUnitTest *tests, size_t n, const struct plan_case *cases,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		n = add_test(tests, n, cases[i].name, run_plan_case, &cases[i]);
	return n;
}
