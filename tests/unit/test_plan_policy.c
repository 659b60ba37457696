/*
 * api/emergency/plan.c under policies, dial rules, carrier routes and recipients: what each of them
 * changes, and what is done where they contradict each other or name what is not there. What they do
 * together for one system is in test_systems.c.
 */
#include "plan_cases.h"

#define POLICY(fields) "'policy': {'id': 'of-site', 'preset': null, 'fields': {" fields "}}"
#define SITE_SAYS(fields) "'site': {" POLICY(fields) "}"
#define DESK "{'type': 'safety_team', 'address': 'sip:desk@desk.example'}"
#define GROUP "{'type': 'sip_group', 'address': 'sip:group@desk.example'}"
#define LEGS(legs) "'rungs': [{'types': {'native': {'route': {'legs': [" legs "]}}}}, {}]"
#define TRUNK(name, pattern, site) \
	"{'id': 'c', 'trunk': '" name "', 'pattern': '" pattern "', 'site_level': " site "}"
#define GERMAN \
	"'tenant': {'region': 'DE'}, 'site': {'region': 'DE', 'address': " ADDRESS("site", "DE", \
										   "Am Platz") "}"

static const struct plan_case rows[] = {
	/* who chooses the caller ID */
	{ "primary without a number: the ladder, and caller_id_fallback",
	  "{" SITE_SAYS("'calling': 'primary'") "}", "{}", "911",
	  "{'rungs': [{'source': 'pool_lease', 'types': {'native': {'warnings': ['caller_id_fallback']}}},"
	  " {'source': 'resource_account', 'warnings': ['caller_id_fallback', 'pool_empty']}]}" },
	{ "shared without a pool: the user's own number",
	  "{'user': {" OWN("native",
			   "null") "}, 'site': {'pools': [], " POLICY("'calling': 'shared'") "}}",
	  "{}", "911", "{'rungs': [{'source': 'user_number', 'warnings': ['no_pool']}]}" },
	{ "shared from a used-up pool: the user's own number",
	  "{'user': {" OWN("native", "null") "}, " SITE_SAYS("'calling': 'shared'") "}", "{}",
	  "911",
	  "{'rungs': [{'source': 'pool_lease'}, {'source': 'user_number',"
	  " 'warnings': ['pool_empty']}]}" },
	{ "the resource account by choice", "{" SITE_SAYS("'caller_id': 'resource_account'") "}",
	  "{}", "911", "{'codes': [], 'rungs': [{'source': 'resource_account', 'warnings': []}]}" },
	{ "a receptionist by choice who is missing: the pool, and caller_id_fallback",
	  "{" SITE_SAYS("'caller_id': 'receptionist'") "}", "{}", "911",
	  "{'rungs': [{'source': 'pool_lease', 'types': {'native': {'warnings': ['caller_id_fallback']}}},"
	  " {'source': 'resource_account', 'warnings': ['caller_id_fallback', 'pool_empty']}]}" },
	{ "a call queue by choice that is missing, and nothing else is there",
	  "{'site': {'pools': [], 'resource_account': null, " POLICY(
		  "'caller_id': 'call_queue'") "}}",
	  "{}", "911",
	  "{'rungs': [{'source': 'none', 'warnings': ['caller_id_fallback', 'no_pool', 'no_caller_id']}]}" },
	{ "a resource account by choice that is missing is said once",
	  "{'site': {'pools': [], 'resource_account': null, 'fallback': " PHONE(
		  "+14255550177") ", " POLICY("'caller_id': 'resource_account'") "}}",
	  "{}", "911",
	  "{'rungs': [{'source': 'fallback', 'warnings': ['caller_id_fallback', 'no_pool']}]}" },
	{ "auto: a guest shares, also where the policy of the site says primary",
	  "{'user': null, " SITE_SAYS("'calling': 'primary'") "}", "{}", "911",
	  "{'codes': ['unknown_user'], 'rungs': [{'source': 'pool_lease'}, {}]}" },
	{ "a presented number that Switchback chooses is not the platform's", "{}",
	  "{'presented_number': '+14255550123'}", "911",
	  "{'rungs': [{'source': 'pool_lease'}, {'source': 'resource_account'}]}" },
	{ "an observed call presents what the request says", "{}",
	  "{'origin': 'observed', 'presented_number': '+14255550123'}", "911",
	  "{'rungs': [{'source': 'platform', 'number': '+14255550123', 'pools': ['p1'],"
	  " 'route': {'legs': []}}]}" },
	{ "an observed call that presents the resource account's number is that",
	  "{'site': {'pools': []}}", "{'origin': 'observed', 'presented_number': '+14255550199'}",
	  "911", "{'rungs': [{'source': 'resource_account', 'number': '+14255550199'}]}" },
	{ "a platform's number where there is none of ours",
	  "{'site': {'pools': [], 'resource_account': null, " POLICY(
		  "'caller_id_control': 'platform'") "}}",
	  "{'presented_number': '+14255550123'}", "911",
	  "{'rungs': [{'source': 'platform', 'pools': null, 'warnings': []}]}" },
	/* routes */
	{ "a team that is missing leaves the PSAP, at once",
	  "{" SITE_SAYS("'route': 'team_then_psap', 'max_hold_seconds': 30") "}", "{}", "911",
	  "{'codes': ['fallback_missing'], " LEGS(
		  "{'target': 'psap', 'start_after_seconds': 0}") "}" },
	{ "the team first, then the PSAP",
	  "{'tenant': {'safety_team': " DESK
	  "}, " SITE_SAYS("'route': 'team_then_psap', 'max_hold_seconds': 30") "}",
	  "{}", "911",
	  "{'codes': [], " LEGS("{'target': 'safety_team', 'start_after_seconds': 0},"
				" {'target': 'psap', 'start_after_seconds': 30}") "}" },
	{ "team_only without a team: the PSAP, for nobody's call goes nowhere",
	  "{" SITE_SAYS("'route': 'team_only'") "}", "{}", "911",
	  "{'codes': ['fallback_missing'], " LEGS("{'target': 'psap', 'dial': '911'}") "}" },
	{ "team_only without a team, PSAP switched off: no leg, and both warnings",
	  "{" SITE_SAYS("'route': 'team_only', 'psap_enabled': false") "}", "{}", "911",
	  "{'codes': ['fallback_missing', 'psap_not_reached'], " LEGS("") "}" },
	{ "sip_group_only without a group: the PSAP",
	  "{" SITE_SAYS("'route': 'sip_group_only'") "}", "{}", "911",
	  "{'codes': ['fallback_missing'], " LEGS("{'target': 'psap'}") "}" },
	{ "sip_group_only of an emergency call is not silent",
	  "{" SITE_SAYS("'route': 'sip_group_only', 'sip_group': " GROUP) "}", "{}", "911",
	  "{'codes': ['psap_not_reached'], " LEGS("{'target': 'sip_group'}") "}" },
	{ "team_then_sip_group without a team: the group at once",
	  "{" SITE_SAYS("'route': 'team_then_sip_group', 'sip_group': " GROUP) "}", "{}", "911",
	  "{'codes': ['fallback_missing', 'psap_not_reached'],"
	  " " LEGS("{'target': 'sip_group', 'start_after_seconds': 0}") "}" },
	{ "psap_and_team with the PSAP switched off is the team's alone",
	  "{'tenant': {'safety_team': " DESK
	  "}, " SITE_SAYS("'route': 'psap_and_team', 'psap_enabled': false") "}",
	  "{}", "911", "{'codes': ['psap_not_reached'], " LEGS("{'target': 'safety_team'}") "}" },
	{ "the policy's team before the site's, the site's before the tenant's",
	  "{'tenant': {'safety_team': {'type': 'safety_team', 'address': 'tenant'}}, 'site': {"
	  "'safety_team': {'type': 'safety_team', 'address': 'site'}, " POLICY(
		  "'route': 'team_only'") "}}",
	  "{}", "911",
	  "{" LEGS("{'target': 'safety_team', 'destination': {'address': 'site'}}") "}" },
	{ "a team joins where the mode says so, whatever the route",
	  "{'tenant': {'safety_team': " DESK "}, " SITE_SAYS(
		  "'notify_mode': 'listen', 'route': 'sip_group_only', 'sip_group': " GROUP) "}",
	  "{}", "911",
	  "{" LEGS("{'target': 'safety_team', 'mode': 'listen'}, {'target': 'sip_group'}") "}" },
	{ "no team to join: the call goes out all the same",
	  "{" SITE_SAYS("'notify_mode': 'speak'") "}", "{}", "911",
	  "{'codes': [], " LEGS(
		  "{'target': 'psap'}") ","
					" 'trace': {'route: no_team_to_join': 'site'}}" },
	{ "a dial rule that tells nobody has no team join either",
	  "{'tenant': {'safety_team': " DESK "}, " SITE_SAYS(
		  "'notify_mode': 'speak'") ", 'rules': ["
					    "{'id': 'r', 'kind': 'override', 'pattern': '911', 'notify': false}],"
					    " 'recipients': [{'channel': 'email', 'address': 'a@b', 'mode': 'notify'}]}",
	  "{}", "911",
	  "{'rungs': [{}, {'notifications': [], 'route': {'legs': [{'target': 'psap'}]}}]}" },
	{ "a custom number without a translation goes on to the region's number",
	  "{'tenant': {'safety_team': " DESK "}, 'rules': [{'id': 'r', 'kind': 'custom',"
	  " 'pattern': '7100', 'route': 'team_then_psap'}]}",
	  "{}", "7100",
	  "{'custom': true, " LEGS(
		  "{'target': 'safety_team'}, {'target': 'psap', 'dial': '911'}") "}" },
	{ "where no region is known a custom number goes on to 112",
	  "{'site': null, 'tenant': {'region': 'AQ', 'safety_team': " DESK
	  "}, 'rules': [{'id': 'r',"
	  " 'kind': 'custom', 'pattern': '7100', 'route': 'team_then_psap'}]}",
	  "{}", "7100",
	  "{'rungs': [{'route': {'legs': [{'target': 'safety_team'}, {'dial': '112'}]}}]}" },
	{ "a custom number's team alone is meant to be",
	  "{'tenant': {'safety_team': " DESK "}, 'rules': ["
	  "{'id': 'r', 'kind': 'custom', 'pattern': '7100', 'route': 'team_only'}]}",
	  "{}", "7100", "{'codes': []}" },
	{ "a custom number that has no leg left is not silent",
	  "{" SITE_SAYS(
		  "'psap_enabled': false, 'route': 'team_only'") ", 'rules': [{'id': 'r',"
								 " 'kind': 'custom', 'pattern': '7100'}]}",
	  "{}", "7100", "{'codes': ['fallback_missing', 'psap_not_reached'], " LEGS("") "}" },
	{ "whose team is told in the trace",
	  "{'tenant': {'safety_team': " DESK "}, " SITE_SAYS("'route': 'psap_and_team'") "}", "{}",
	  "911", "{'trace': {'safety_team: tenant': true, 'legs: called': true}}" },
	{ "a custom number whose PSAP is switched off is not silent",
	  "{" SITE_SAYS(
		  "'psap_enabled': false") ", 'rules': [{'id': 'r', 'kind': 'custom',"
					   " 'pattern': '7100', 'translation': '+14255550150'}]}",
	  "{}", "7100", "{'codes': ['psap_not_reached'], " LEGS("") "}" },
	{ "what a route of the dial rule does not say is the policy's",
	  "{'tenant': {'safety_team': " DESK "}, " SITE_SAYS(
		  "'max_hold_seconds': 12") ", 'rules': ["
					    "{'id': 'r', 'kind': 'override', 'pattern': '911', 'route': 'team_then_psap'}]}",
	  "{}", "911",
	  "{" LEGS(
		  "{'target': 'safety_team'}, {'target': 'psap', 'start_after_seconds': 12}") ","
											      " 'trace': {'policy: max_hold_seconds = 12': 'site'}}" },
	/* trunks */
	{ "the site's trunk before the tenant's, then the more literal, then the older",
	  "{'carrier_routes': [" TRUNK("t1", "9xx", "false") ", " TRUNK("t2", "911", "false") ", " TRUNK(
		  "s1", ".*",
		  "true") ", " TRUNK("t3", "91x",
				     "false") ", " TRUNK("t4", "9xx",
							 "false") ", " TRUNK("t5", "112",
									     "false") "]}",
	  "{}", "911",
	  "{'rungs': [{}, {'route': {'legs': [{'via': 'byoc', 'trunk': 's1', 'alternates': ["
	  "{'trunk': 't2'}, {'trunk': 't3'}, {'trunk': 't1'}, {'trunk': 't4'}, {'via': 'native'}]}]}}]}" },
	{ "a catch-all is behind whatever says more",
	  "{'carrier_routes': [" TRUNK("all", ".*", "false") ", " TRUNK("t1", "9xx", "false") "]}",
	  "{}", "911",
	  "{'rungs': [{}, {'route': {'legs': [{'trunk': 't1', 'alternates': [{'trunk': 'all'}, {}]}]}}]}" },
	{ "a trunk is chosen for what is dialled there, not for what the agent dialled",
	  "{'carrier_routes': [" TRUNK("t1", "112", "false") "]}", "{}", "112",
	  "{'rungs': [{}, {'route': {'legs': [{'via': 'native', 'dial': '911', 'alternates': []}]}}]}" },
	{ "a trunk alone is a carrier",
	  "{'carriers': [], 'carrier_routes': [" TRUNK("t1", ".*", "false") "]}", "{}", "911",
	  "{'codes': [], 'rungs': [{}, {'warnings': ['pool_empty', 'caller_id_not_on_carrier'],"
	  " 'route': {'legs': [{'trunk': 't1', 'alternates': []}]}}]}" },
	{ "a byoc number by a trunk is on its carrier",
	  "{'user': {" OWN("byoc", "null") "}, 'carrier_routes': [" TRUNK("t1", ".*", "false") "]}",
	  "{}", "911", "{'rungs': [{'warnings': []}]}" },
	/* tests */
	{ "a test of a route to the team alone says that no PSAP would be reached, and wakes no team",
	  "{'tenant': {'safety_team': " DESK "}, " SITE_SAYS("'route': 'team_only'") "}", "{}",
	  "933",
	  "{'test': true, 'codes': ['psap_not_reached'], " LEGS(
		  "{'target': 'test', 'dial': '933'}") ","
						       " 'trace': {'route: test': true}}" },
	{ "a test goes by the override of the region's emergency number",
	  "{'tenant': {'safety_team': " DESK "}, 'rules': [{'id': 'r', 'kind': 'override',"
	  " 'pattern': '911', 'route': 'team_only'}]}",
	  "{}", "933", "{'codes': ['psap_not_reached']}" },
	{ "a test of a user with a number of their own presents it",
	  "{'user': {" OWN("native", "null") "}}", "{}", "933",
	  "{'ttl': 300, 'rungs': [{'source': 'user_number', 'announcement': {'text': 'This is a test"
	  " call. The callback number is {number}. The address is Main St 1, C. An emergency call"
	  " would reach emergency services.'}}]}" },
	{ "an announcement in the tenant's language, without an address",
	  "{'tenant': {'language': 'de-AT'}, 'site': {'address': null}, 'carriers': []}", "{}",
	  "933",
	  "{'rungs': [{}, {'notice': {'language': 'de'}, 'announcement': {'language': 'de', 'text':"
	  " 'Dies ist ein Testanruf. Es wird keine Rückrufnummer übermittelt. Es ist keine Adresse"
	  " bekannt. Ein Notruf würde die Notrufzentrale nicht erreichen.'}}]}" },
	{ "what XML takes for its own is escaped", "{'site': {'pools': []}}",
	  "{'location': {'region': 'US', 'city': 'R&D <1>', 'name': '\\\"Q\\\"'}}", "933",
	  "{'rungs': [{'announcement': {'ssml': '<speak version=\\\"1.1\\\""
	  " xmlns=\\\"http://www.w3.org/2001/10/synthesis\\\" xml:lang=\\\"en\\\">"
	  "<s>This is a test call.</s><s>The callback number is"
	  " <say-as interpret-as=\\\"telephone\\\">{number}</say-as>.</s>"
	  "<s>The address is &quot;Q&quot;, R&amp;D &lt;1&gt;.</s>"
	  "<s>An emergency call would reach emergency services.</s></speak>'}}]}" },
	{ "a test.sos URN where no test number is known", "{" GERMAN "}", "{}",
	  "urn:service:test.sos",
	  "{'test': true, 'dial_string': 'urn:service:test.sos', " LEGS(
		  "{'dial': 'urn:service:test.sos'}") "}" },
	/* presence */
	{ "a device's call locks the presence where a policy asks for it",
	  "{" SITE_SAYS("'presence_lock': true") "}", "{'endpoint': {'type': 'mobile'}}", "911",
	  "{'device': true, 'locks': true, 'trace': {'presence: locked': 'site'}}" },
	{ "no policy asks: the device's call leaves it", "{}", "{'endpoint': {'type': 'mobile'}}",
	  "911", "{'locks': false, 'trace': {'presence: left': 'built_in'}}" },
	/* what was dialled, and who is told */
	{ "what is refused has a trace", "{}", "{}", "988",
	  "{'refused': true, 'dial_string': '988', 'trace': {'dial: not_an_emergency_number': true}}" },
	{ "an asserted number has no service", "{}", "{'assert_emergency': true}", "5550",
	  "{'service_urn': null, 'dial_string': '5550'}" },
	{ "an emergency number's service", "{}", "{}", "911",
	  "{'service_urn': 'urn:service:sos'}" },
	{ "who lists what was dialled is told, before the prefix was taken off, too",
	  "{'recipients': [{'channel': 'email', 'address': 'a@b', 'mode': 'listen',"
	  " 'dial_strings': ['9911']}]}",
	  "{}", "9-911",
	  "{'rungs': [{}, {'notifications': [{'channel': 'email', 'address': 'a@b', 'mode': 'listen'}]}]}" },
	{ "we tell ourselves who is no phone, by id; what is answered tells no id",
	  "{'recipients': [{'id': 'i1', 'channel': 'email', 'address': 'a@b', 'mode': 'notify'},"
	  " {'id': 'i2', 'channel': 'phone', 'address': '+1', 'mode': 'speak'},"
	  " {'id': 'i3', 'channel': 'webhook', 'address': 'https://c', 'mode': 'notify', 'dial_strings': ['112']},"
	  " {'id': 'i4', 'channel': 'webhook', 'address': 'https://d', 'mode': 'notify'}]}",
	  "{}", "911",
	  "{'rungs': [{}, {'notifications': [{'channel': 'email', 'address': 'a@b', 'mode': 'notify'},"
	  " {'channel': 'phone', 'address': '+1', 'mode': 'speak'},"
	  " {'channel': 'webhook', 'address': 'https://d', 'mode': 'notify'}],"
	  " 'recipients': [{'id': 'i1', 'channel': 'email'}, {'id': 'i4', 'channel': 'webhook'}]}]}" },
	{ "a policy that tells nobody tells none of them",
	  "{'tenant': {'policy': {'id': 'p', 'fields': {'notify_mode': 'none'}}},"
	  " 'recipients': [{'id': 'i1', 'channel': 'email', 'address': 'a@b', 'mode': 'notify'}]}",
	  "{}", "911", "{'rungs': [{}, {'notifications': [], 'recipients': []}]}" },
	{ "which policy won: the site's, as the tenant has it that way",
	  "{'tenant': {'policy_order': 'site_first'}, 'user': {'policy': {'id': 'u', 'fields': {"
	  "'route': 'team_only'}}}, " SITE_SAYS("'route': 'psap_only'") "}",
	  "{}", "911",
	  "{'codes': [], 'trace': {'policy_order: site_first': true,"
	  " 'policy: route = psap_only': 'site'}}" },
	{ "max_call_seconds is the policy's", "{" SITE_SAYS("'max_call_seconds': 90") "}", "{}",
	  "911", "{'max_call': 90}" },
	{ "operations that are not blocked",
	  "{" SITE_SAYS("'blocked_operations': ['transfer', 'hold'],"
			" 'visible_controls': [], 'block_incoming': false,"
			" 'record': true, 'history': false") "}",
	  "{}", "911",
	  "{'rungs': [{}, {'restrictions': {'blocked_operations': ['hold', 'transfer'],"
	  " 'visible_controls': [], 'incoming_calls': 'allowed', 'record': true, 'history': false}}]}" },
};

static struct CMUnitTest tests[LENGTH(rows)];

int main(void)
{
	(void)add_plan_cases(tests, 0, rows, LENGTH(rows));
	return cmocka_run_group_tests_name("plan_policy", tests, NULL, NULL);
}
