/*
 * How long a decision takes, and how much of the arena: a usual call of a user without a number, with
 * policies at two levels, a pool, a resource account, dial rules, a carrier route and recipients; then
 * a test call, which has an announcement. Prints, and asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/emergency/plan.h"

#define ROUNDS 7
#define DECISIONS 20000

static const char context_text[] =
	"{\"tenant\": {\"id\": \"t\", \"config_version\": 1, \"region\": \"US\", \"language\": \"en\","
	"  \"policy_order\": \"user_first\", \"safety_team\": {\"type\": \"safety_team\","
	"  \"address\": \"sip:desk@example\"}, \"fallback\": null,"
	"  \"policy\": {\"id\": \"01981f6a-3c01-7a10-8f00-000000000001\", \"preset\": \"teams_phone\","
	"   \"fields\": {\"calling\": null, \"caller_id\": null, \"route\": \"psap_and_team\"}}},"
	" \"user\": {\"id\": \"u\", \"version\": 1, \"external_id\": \"agent-42\", \"active\": true,"
	"  \"remote\": false, \"outbound_enabled\": true, \"endpoints\": [], \"number\": null,"
	"  \"address\": null, \"policy\": null},"
	" \"site\": {\"id\": \"s\", \"region\": \"US\", \"named\": false, \"safety_team\": null,"
	"  \"fallback\": null, \"policy\": {\"id\": \"01981f6a-3c01-7a10-8f00-000000000002\","
	"   \"preset\": null, \"fields\": {\"notify_mode\": \"listen\"}},"
	"  \"resource_account\": {\"number\": \"+14255550199\", \"number_type\": \"native\"},"
	"  \"address\": {\"address_id\": \"01981f6a-3c01-7a10-8f00-000000000003\", \"region\": \"US\","
	"   \"admin_area\": \"WA\", \"city\": \"Redmond\", \"postal_code\": \"98052\","
	"   \"street\": \"Main St\", \"house_number\": \"1\", \"floor\": \"3\", \"room\": null,"
	"   \"name\": null, \"latitude\": 47.6, \"longitude\": -122.1, \"uncertainty_m\": null,"
	"   \"method\": null, \"detected_at\": null},"
	"  \"pools\": [{\"id\": \"01981f6a-3c01-7a10-8f00-000000000004\", \"number_type\": \"native\","
	"   \"region\": \"US\", \"numbers\": 5, \"low_water\": 1}]},"
	" \"address\": null, \"extension\": false, \"carriers\": [\"native\"],"
	" \"carrier_routes\": [{\"id\": \"c\", \"pattern\": \"44xx\", \"trunk\": \"sbc1\"}],"
	" \"rules\": [{\"id\": \"r1\", \"name\": \"outside line\", \"pattern\": \"9911\","
	"   \"kind\": \"mask\", \"translation\": \"911\"}, {\"id\": \"r2\", \"name\": \"reception\","
	"   \"pattern\": \"71xx\", \"kind\": \"custom\", \"route\": \"team_only\"}],"
	" \"recipients\": [{\"channel\": \"email\", \"address\": \"desk@example\", \"mode\": \"notify\","
	"   \"dial_strings\": []}, {\"channel\": \"webhook\", \"address\": \"https://desk.example/\","
	"   \"mode\": \"notify\", \"dial_strings\": [\"911\"]}]}";

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* whatever else the machine does */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, const json_t *context, const char *dialed)
{
	const struct call_request request = { .user_ref = "u",
					      .dialed = dialed,
					      .origin = "planned" };
	struct arena *arena = arena_new();
	double took[ROUNDS];
	size_t bytes = 0;
	struct plan plan;

	for (int round = 0; round < ROUNDS; round++) {
		const double from = now();

		for (int i = 0; i < DECISIONS; i++) {
			arena_reset(arena);
			if (!plan_make(arena, context, &request, &plan) || plan.refused)
				exit(1);
			bytes = arena_used(arena);
		}
		took[round] = (now() - from) / DECISIONS;
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	printf("  %-28s %7.0f ns a decision (%.0f-%.0f), %zu bytes of the arena\n", name,
	       took[ROUNDS / 2], took[0], took[ROUNDS - 1], bytes);
	arena_free(arena);
}

int main(void)
{
	json_t *context = json_loads(context_text, 0, NULL);

	if (context == NULL)
		return 1;
	printf("the decision alone (median of %d rounds, fastest-slowest):\n", ROUNDS);
	measure("an emergency call", context, "911");
	measure("by a mask", context, "9911");
	measure("a test call", context, "933");
	json_decref(context);
	return 0;
}
