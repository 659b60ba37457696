/* What is said of each kind of finding, and how it is mended. See findings.h. */
#include "findings.h"

#define ERROR true
#define WARNING false

const struct finding_info finding_info[FINDING_KINDS] = {
	[FINDING_NO_CALLER_ID] = { "no_caller_id", ERROR,
				   "Give the user a number, or the site a pool with numbers, a resource account or a"
				   " fallback that is a phone number.",
				   "no_caller_id", NULL },
	[FINDING_CALLER_ID_MISSING] = { "no_caller_id", WARNING,
					"Add what the policy's fields calling and caller_id ask for, or change them.",
					"caller_id_fallback", NULL },
	[FINDING_POOL_EMPTY] = { "pool_empty", ERROR,
				 "Make a pool for the site and add active numbers to it, or give the user a number.",
				 "pool_empty", NULL },
	[FINDING_POOL_SMALL] = { "pool_small", WARNING,
				 "Add numbers to the pools of the site, or give users numbers of their own.",
				 NULL, NULL },
	[FINDING_POOL_MIXED_TYPES] = { "pool_mixed_types", WARNING,
				       "Keep to one number type in all pools of the site.", NULL,
				       "The pools of the site have numbers of different types: the carrier and what the"
				       " PSAP sees of the location change from call to call." },
	[FINDING_REGION_MISMATCH] = { "region_mismatch", ERROR,
				      "Use numbers of the region where the user is, or correct the user's address or"
				      " site.",
				      NULL, NULL },
	[FINDING_NO_ADDRESS] = { "no_address", ERROR,
				 "Give the user an address (address_id), or report the location at every login.",
				 "no_address", NULL },
	[FINDING_ADDRESS_STALE] = { "address_stale", WARNING,
				    "Have the address validated and set its validated_at.", NULL,
				    "The address that the PSAP gets was not validated within the last 12 months." },
	[FINDING_ADDRESS_DIFFERS] = { "address_stale", WARNING,
				      "Give the user a number of their own whose address of record is where the user is,"
				      " or correct the address that is out of date.",
				      "location_differs", NULL },
	[FINDING_REMOTE_USER_ON_POOL] = { "remote_user_on_pool", ERROR,
					  "Give the user a number of their own, with the user's address as its address of"
					  " record.",
					  "remote_user_on_pool", NULL },
	[FINDING_NO_EMERGENCY_CARRIER] = { "no_emergency_carrier", ERROR,
					   "Add a carrier route that matches the emergency number, or register a native or"
					   " operator_connect number.",
					   "no_emergency_carrier", NULL },
	[FINDING_BYOC_NOT_CONFIRMED] = { "byoc_not_confirmed", WARNING,
					 "Have the carrier confirm it, and set emergency_confirmed_at of the carrier route.",
					 NULL, NULL },
	[FINDING_NOT_ON_CARRIER] = { "byoc_not_confirmed", WARNING,
				     "Present a number of the carrier that takes the call, or add a carrier route for the"
				     " carrier of the number.",
				     "caller_id_not_on_carrier", NULL },
	[FINDING_FALLBACK_MISSING] = { "fallback_missing", ERROR,
				       "Name what is missing: the safety team of the policy, site or tenant, the SIP group"
				       " of the policy or dial rule, or the fallback of the site or tenant.",
				       "fallback_missing", NULL },
	[FINDING_ANSWERING_POINT_NOT_STAFFED] = { "answering_point_not_staffed", WARNING,
						  "Have it staffed at all hours and set staffed_24x7, or let callbacks go elsewhere.",
						  NULL, NULL },
	[FINDING_ANSWERING_POINT_NOT_DEDICATED] = { "answering_point_not_dedicated", WARNING,
						    "Reserve it for safety and set dedicated_to_safety, or let callbacks go elsewhere.",
						    NULL, NULL },
	[FINDING_TEAM_NOT_STAFFED] = { "team_not_staffed", WARNING,
				       "Have the team staffed at all hours and set staffed_24x7 of its destination.",
				       NULL,
				       "The call goes to a safety team that is not said to be staffed at all hours." },
	[FINDING_PSAP_DISABLED] = { "psap_disabled", ERROR,
				    "Set psap_enabled of the policy to true or null, or wait until"
				    " psap_disabled_until.",
				    NULL, NULL },
	[FINDING_PSAP_DELAYED] = { "psap_delayed", WARNING,
				   "Choose a route that calls the PSAP at once, such as psap_and_team, or shorten"
				   " max_hold_seconds.",
				   NULL, NULL },
	[FINDING_PSAP_NOT_REACHED] = { "psap_not_reached", ERROR,
				       "Choose a route that has the PSAP in it, and keep psap_enabled true.",
				       "psap_not_reached", NULL },
	[FINDING_OUTBOUND_DISABLED] = { "outbound_disabled", ERROR,
					"Set outbound_enabled of the user to true.",
					"outbound_disabled", NULL },
	[FINDING_LICENSE_MISSING] = { "license_missing", ERROR,
				      "Assign the licence, and set provisioning.teams_phone_license of the user.",
				      NULL, "The user has no Teams Phone licence." },
	[FINDING_ENTERPRISE_VOICE_OFF] = { "enterprise_voice_off", ERROR,
					   "Enable it, and set provisioning.enterprise_voice of the user.",
					   NULL, "Enterprise Voice is not enabled for the user." },
	[FINDING_CAPACITY_PROFILE_MISSING] = { "capacity_profile_missing", ERROR,
					       "Assign a capacity profile with an outbound voice profile, and set"
					       " provisioning.capacity_profile and outbound_profile of the user.",
					       NULL,
					       "The user has no capacity profile with an outbound voice profile." },
	[FINDING_BROWSER_LOCATION_REGION] = { "browser_location_region", ERROR,
					      "Place emergency calls from the United States or Puerto Rico, with the browser's"
					      " location on, or use another system there.",
					      NULL,
					      "The browser's location is outside the United States and Puerto Rico, where the"
					      " system places no emergency calls." },
	[FINDING_BROWSER_ELSEWHERE] = { "browser_location_region", WARNING,
					"Correct the location of the browser, or the user's address or site.",
					NULL, NULL },
	[FINDING_RESOURCE_ACCOUNT_UNLICENSED] = { "resource_account_unlicensed", ERROR,
						  "Assign the licence, and set licensed of the site's resource account.",
						  NULL,
						  "The site's resource account has no licence." },
	[FINDING_NO_WEBHOOK_FOR_PRESENCE] = { "no_webhook_for_presence", WARNING,
					      "Make a webhook endpoint for presence.do_not_disturb and presence.restored, or"
					      " enable it again.",
					      NULL,
					      "No enabled webhook endpoint gets presence.do_not_disturb and presence.restored:"
					      " nobody learns who is in an emergency call." },
	[FINDING_GUEST_CALLS_SEEN] = { "guest_calls_seen", WARNING,
				       "Create the users, with the references of those calls as their external_id.",
				       NULL, NULL },
};

bool findings_ready(const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (finding_info[f->of[i].kind].error)
			return false;
	return true;
}

void findings_write(struct json_text *t, const struct findings *f)
{
	json_text_bool(t, "ready", findings_ready(f));
	json_text_open(t, "findings", '[');
	for (size_t i = 0; i < f->n; i++) {
		const enum finding_kind kind = f->of[i].kind;

		json_text_open(t, NULL, '{');
		json_text_string(t, "code", finding_info[kind].code);
		json_text_string(t, "severity", finding_info[kind].error ? "error" : "warning");
		json_text_string(t, "detail", f->of[i].detail);
		json_text_string(t, "fix", finding_info[kind].fix);
		json_text_close(t, '}');
	}
	json_text_close(t, ']');
}
