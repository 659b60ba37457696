/*
 * What each system does (the table of the field's systems), reproduced by policy alone: one row a
 * behaviour, under that system's preset. Leases, callbacks and the restoring of a presence happen in
 * SQL: of these the rows here show the policy that they go by.
 */
#include "plan_cases.h"

#define POLICY(level, preset, fields) \
	"'" level "': {'policy': {'id': 'of-" level "', 'preset': '" preset \
	"', 'fields': {" fields "}}}"
#define TEAMS POLICY("tenant", "teams_phone", "")
#define DYNAMICS POLICY("tenant", "dynamics_365", "")
#define ZOOM POLICY("tenant", "zoom_phone", "")
#define FIELDS(fields) \
	"'site': {'policy': {'id': 'of-site', 'preset': null, 'fields': {" fields "}}}"
#define DESK "{'type': 'safety_team', 'address': 'sip:desk@desk.example'}"
#define GROUP "{'type': 'sip_group', 'address': 'sip:group@desk.example'}"
#define TEAM_LEG(mode, at) \
	"{'target': 'safety_team', 'destination': " DESK ", 'mode': '" mode \
	"', 'start_after_seconds': " at "}"
#define GROUP_LEG(at) \
	"{'target': 'sip_group', 'destination': " GROUP ", 'start_after_seconds': " at "}"
#define PSAP_LEG(dial, at) "{'target': 'psap', 'dial': '" dial "', 'start_after_seconds': " at "}"
#define LEGS(legs) "'rungs': [{'types': {'native': {'route': {'legs': [" legs "]}}}}, {}]"
#define DECIDED(members) "'rungs': [{'types': {'native': {" members "}}}, {" members "}]"
#define RECIPIENT(channel, address, strings) \
	"{'id': 'r', 'channel': '" channel "', 'address': '" address \
	"', 'mode': 'notify', 'dial_strings': [" strings "]}"
#define TOLD(channel, address) \
	"{'channel': '" channel "', 'address': '" address "', 'mode': 'notify'}"
#define MAIL "'recipients': [" RECIPIENT("email", "desk@desk.example", "") "]"
#define EVERYTHING \
	"['hold', 'local_mute', 'remote_mute', 'transfer', 'start_recording', 'stop_recording'," \
	" 'add_participant', 'remove_participant']"
#define RULE(kind, pattern, more) \
	"'rules': [{'id': 'rule', 'name': 'its rule', 'kind': '" kind "', 'pattern': '" pattern \
	"'" more "}]"
#define ROLE(role, number) \
	"'" role "': {'number': '" number "', 'number_type': 'native', 'staffed_24x7': true," \
	" 'dedicated_to_safety': true, 'destination': {'type': '" role \
	"', 'address': 'sip:r@desk'}}"
#define FROM(region) \
	"'site': {'region': '" region "', 'address': " ADDRESS( \
		"site", region, "Road") "}," \
					" 'tenant': {'region': '" region \
					"', 'policy': {'id': 'p', 'preset': 'teams_phone'}}"

static const struct plan_case teams[] = {
	{ "teams_phone: primary calling presents the user's own number",
	  "{" TEAMS ", 'user': {" OWN("native", "null") "}}", "{}", "911",
	  "{'rungs': [{'source': 'user_number', 'number': '+14255550142'}],"
	  " 'trace': {'calling: primary': 'tenant'}}" },
	{ "teams_phone: shared calling takes a number of the emergency list", "{" TEAMS "}", "{}",
	  "911", "{'rungs': [{'source': 'pool_lease', 'pools': ['p1']}, {}]}" },
	{ "teams_phone: shared calling, no list: the resource account's number",
	  "{" TEAMS ", 'site': {'pools': []}}", "{}", "911",
	  "{'rungs': [{'source': 'resource_account', 'number': '+14255550199'}]}" },
	{ "teams_phone: the lease lasts 60 minutes", "{" TEAMS "}", "{}", "911", "{'ttl': 3600}" },
	{ "teams_phone: Teams presents the number, ours is a prediction", "{" TEAMS "}", "{}",
	  "911", "{'trace': {'caller_id: prediction': 'tenant'}}" },
	{ "teams_phone: what Teams says that it presents is the caller ID", "{" TEAMS "}",
	  "{'presented_number': '+14255550123'}", "911",
	  "{'rungs': [{'source': 'platform', 'number': '+14255550123', 'number_type': null,"
	  " 'pools': ['p1'], 'warnings': []}], 'trace': {'caller_id: platform': 'tenant'}}" },
	{ "teams_phone: Teams presents the number that we would: it is the user's own",
	  "{" TEAMS ", 'user': {" OWN("native", "null") "}}",
	  "{'presented_number': '+14255550142'}", "911",
	  "{'rungs': [{'source': 'user_number', 'number': '+14255550142'}]}" },
	{ "teams_phone: a call on behalf of a resource account goes by the user's policies",
	  "{" TEAMS ", 'user': {'policy': {'id': 'of-user', 'preset': null, 'fields': {"
	  "'lease_ttl_seconds': 600}}}}",
	  "{'on_behalf_of': 'sip:main@desk.example'}", "911",
	  "{'codes': [], 'ttl': 600, 'trace': {'request: on_behalf_of': true,"
	  " 'policy: lease_ttl_seconds = 600': 'user'}}" },
	{ "teams_phone: eight operations are blocked during the call", "{" TEAMS "}", "{}", "911",
	  "{" DECIDED("'restrictions': {'blocked_operations': " EVERYTHING
		      ", 'record': false}") "}" },
	{ "teams_phone: the presence is set", "{" TEAMS "}", "{}", "911",
	  "{'locks': true, 'trace': {'presence: locked': 'tenant'}}" },
	{ "teams_phone: the security desk is notified", "{" TEAMS ", " MAIL "}", "{}", "911",
	  "{" DECIDED("'notifications': [" TOLD("email", "desk@desk.example") "]") "}" },
	{ "teams_phone: the security desk joins muted",
	  "{" POLICY("tenant", "teams_phone", "'notify_mode': 'listen', 'safety_team': " DESK) "}",
	  "{}", "911", "{" LEGS(PSAP_LEG("911", "0") ", " TEAM_LEG("listen", "0")) "}" },
	{ "teams_phone: the security desk joins unmuted",
	  "{" POLICY("tenant", "teams_phone", "'notify_mode': 'speak', 'safety_team': " DESK) "}",
	  "{}", "911", "{" LEGS(PSAP_LEG("911", "0") ", " TEAM_LEG("speak", "0")) "}" },
	{ "teams_phone: the security desk is notified of the dial strings that it lists",
	  "{" TEAMS ", 'recipients': [" RECIPIENT("email", "a@desk", "'112'") ", " RECIPIENT(
		  "email", "b@desk", "'911', '9911'") "]}",
	  "{}", "911", "{" DECIDED("'notifications': [" TOLD("email", "b@desk") "]") "}" },
	{ "teams_phone: dial masks stand for the emergency number",
	  "{" TEAMS ", 'extension': true, " RULE("mask", "9911", ", 'translation': '911'") "}",
	  "{}", "9911",
	  "{'codes': [], 'dial_string': '911', " LEGS(
		  PSAP_LEG("911", "0")) ","
					" 'trace': {'mask: 911': true}}" },
	{ "teams_phone: dial strings have a route of their own",
	  "{'tenant\': {'policy': {'id': 'p', 'preset': 'teams_phone'}, 'safety_team': " DESK
	  "}, " RULE("override", "112", ", 'route': 'psap_and_team', 'max_hold_seconds': 20") "}",
	  "{}", "112",
	  "{" LEGS(PSAP_LEG("911", "0") ", " TEAM_LEG(
		  "speak",
		  "0")) ","
			" 'trace': {'override: 112': true, 'route: psap_and_team': true}}" },
	{ "teams_phone: a gateway takes the emergency number",
	  "{" TEAMS ", 'carrier_routes': [{'id': 'c', 'pattern': '911', 'trunk': 'sbc1',"
	  " 'confirmed': true}]}",
	  "{}", "911",
	  "{'rungs': [{}, {'route': {'legs': [{'via': 'byoc', 'trunk': 'sbc1', 'alternates': ["
	  "{'via': 'native', 'trunk': null}]}]}}]}" },
	{ "teams_phone: the static address that the user gave", "{" TEAMS "}",
	  "{'location': {'region': 'US', 'city': 'C', 'street': 'Desk'}}", "911",
	  "{" DECIDED("'location': {'source': 'caller', 'conveyed_by': 'pidf_lo'}") "}" },
	{ "teams_phone: the registered address", "{" TEAMS "}", "{}", "911",
	  "{" DECIDED("'location': {'source': 'site', 'address': {'street': 'Main St'}}") "}" },
	{ "teams_phone: the Teams client goes through the switch", "{" TEAMS "}",
	  "{'endpoint': {'type': 'teams_client', 'address': 'sip:a@desk'}}", "911",
	  "{'device': false, " DECIDED("'route': {'handled_by': 'switch'}") "}" },
	{ "teams_phone: a custom CCaaS client goes through the switch", "{" TEAMS "}",
	  "{'endpoint': {'type': 'ccaas_client', 'address': 'sip:a@desk'}}", "911",
	  "{'device': false, " DECIDED("'route': {'handled_by': 'switch'}") "}" },
	{ "teams_phone: 933 says caller ID, address and whether it would be routed", "{" TEAMS "}",
	  "{}", "933",
	  "{'test': true, 'service_urn': 'urn:service:test.sos', 'ttl': 300, 'rungs': ["
	  "{'source': 'pool_lease', 'test': true, 'types': {'native': {'route': {'legs': ["
	  "{'target': 'test', 'dial': '933', 'via': 'native'}]}, 'announcement': {'language': 'en',"
	  " 'play_to': 'caller', 'text': 'This is a test call. The callback number is {number}."
	  " The address is Main St 1, C. An emergency call would reach emergency services.'}}}},"
	  " {'source': 'none', 'number': null, 'announcement': {'text': 'This is a test call."
	  " No callback number is presented. The address is Main St 1, C. An emergency call would"
	  " reach emergency services.'}}]}" },
	{ "teams_phone: 933 says that no PSAP would be reached",
	  "{" POLICY("tenant", "teams_phone", "'psap_enabled': false") "}", "{}", "933",
	  "{'codes': ['psap_not_reached'], 'rungs': [{}, {'announcement': {'text': 'This is a test"
	  " call. No callback number is presented. The address is Main St 1, C. An emergency call"
	  " would not reach emergency services.'}, 'route': {'legs': [{'target': 'test'}]}}]}" },
	{ "teams_phone: 933 wakes nobody but who lists it",
	  "{" TEAMS ", 'recipients': [" RECIPIENT("email", "a@desk", "") ", " RECIPIENT(
		  "email", "b@desk", "'933'") "]}",
	  "{}", "933", "{" DECIDED("'notifications': [" TOLD("email", "b@desk") "]") "}" },
	{ "teams_phone: every country: 112 in Germany", "{" FROM("DE") "}", "{}", "112",
	  "{" LEGS(PSAP_LEG("112", "0")) "}" },
	{ "teams_phone: every country: 000 in Australia", "{" FROM("AU") "}", "{}", "112",
	  "{'refused': false, " LEGS(PSAP_LEG("000", "0")) "}" },
};

static const struct plan_case dynamics[] = {
	{ "dynamics_365: a temporary number replaces the caller ID, one's own too",
	  "{" DYNAMICS ", 'user': {" OWN("native", "null") "}}", "{}", "911",
	  "{'rungs': [{'source': 'pool_lease'}, {'source': 'user_number',"
	  " 'warnings': ['pool_empty']}], 'trace': {'calling: shared': 'tenant'}}" },
	{ "dynamics_365: the lease lasts 60 minutes", "{" DYNAMICS "}", "{}", "911",
	  "{'ttl': 3600}" },
	{ "dynamics_365: a calling-plan number goes out by direct offer", "{" DYNAMICS "}", "{}",
	  "911", "{'rungs': [{}, {'route': {'legs': [{'via': 'native', 'alternates': []}]}}]}" },
	{ "dynamics_365: direct routing goes by direct offer where no rule takes the number",
	  "{" DYNAMICS ", 'site': {'pools': [" POOL(
		  "p1", "byoc",
		  "1") "]}, 'carrier_routes': ["
		       "{'id': 'c', 'pattern': '1xxxxxxxxxx', 'trunk': 'sbc1', 'confirmed': false}]}",
	  "{}", "911",
	  "{'rungs': [{'types': {'byoc': {'warnings': ['caller_id_not_on_carrier'], 'route': {'legs': ["
	  "{'via': 'native', 'trunk': null, 'alternates': []}]}}}}, {}]}" },
	{ "dynamics_365: a direct-routing rule for the emergency number takes it away",
	  "{" DYNAMICS ", 'carrier_routes': [{'id': 'c', 'pattern': '.*', 'trunk': 'sbc1'}]}", "{}",
	  "911",
	  "{'rungs': [{'types': {'native': {'warnings': ['caller_id_not_on_carrier'], 'route': {'legs':"
	  " [{'via': 'byoc', 'trunk': 'sbc1', 'alternates': [{'via': 'native'}]}]}}}}, {}],"
	  " 'trace': {'carrier: byoc': true}}" },
	{ "dynamics_365: direct routing without a direct-offer number reaches no carrier",
	  "{" DYNAMICS ", 'carriers': []}", "{}", "911",
	  "{'codes': ['no_emergency_carrier'], 'rungs': [{}, {'route': {'legs': [{'via': null}]}}]}" },
	{ "dynamics_365: the platform decides", "{" DYNAMICS "}", "{}", "911",
	  "{'trace': {'policy: caller_id_control = platform': 'tenant'}}" },
	{ "dynamics_365: nothing but device settings and End call is shown", "{" DYNAMICS "}", "{}",
	  "911",
	  "{" DECIDED("'restrictions': {'blocked_operations': " EVERYTHING
		      ", 'visible_controls': ['device_settings', 'end_call']}") "}" },
	{ "dynamics_365: the call is not recorded", "{" DYNAMICS "}", "{}", "911",
	  "{" DECIDED("'restrictions': {'record': false}") "}" },
	{ "dynamics_365: the call is kept out of history", "{" DYNAMICS "}", "{}", "911",
	  "{" DECIDED(
		  "'restrictions': {'history': false}") ","
							" 'trace': {'policy: history = false': 'tenant'}}" },
	{ "dynamics_365: incoming calls are blocked", "{" DYNAMICS "}", "{}", "911",
	  "{" DECIDED("'restrictions': {'incoming_calls': 'blocked'}") "}" },
	{ "dynamics_365: Do Not Disturb whatever it was", "{" DYNAMICS "}",
	  "{'presence': {'availability': 'away'}}", "911",
	  "{'locks': true, 'trace': {'policy: presence_value = do_not_disturb': 'tenant'}}" },
	{ "dynamics_365: it knows no notification; who is configured all the same is told",
	  "{" DYNAMICS ", " MAIL "}", "{}", "911",
	  "{" DECIDED("'notifications': [" TOLD("email", "desk@desk.example") "]") "}" },
	{ "dynamics_365: notification can be switched off",
	  "{" POLICY("tenant", "dynamics_365", "'notify_mode': 'none'") ", " MAIL "}", "{}", "911",
	  "{" DECIDED("'notifications': []") "}" },
	{ "dynamics_365: the agent workspace goes through the switch", "{" DYNAMICS "}",
	  "{'endpoint': {'type': 'ccaas_client', 'address': 'agent'}}", "911",
	  "{'device': false, 'locks': true}" },
	{ "dynamics_365: the bot that answers a test number tells the callback number",
	  "{" DYNAMICS ", 'site': {" ACCOUNT
	  ", 'pools': []}, " RULE("test", "4911", ", 'translation': '+14255550111'") "}",
	  "{}", "4911",
	  "{'test': true, 'rungs': [{'source': 'resource_account', 'route': {'legs': ["
	  "{'target': 'test', 'dial': '+14255550111'}]}, 'announcement': {'ssml':"
	  " '<speak version=\\\"1.1\\\" xmlns=\\\"http://www.w3.org/2001/10/synthesis\\\""
	  " xml:lang=\\\"en\\\"><s>This is a test call.</s><s>The callback number is"
	  " <say-as interpret-as=\\\"telephone\\\">{number}</say-as>.</s><s>The address is Main St 1,"
	  " C.</s><s>An emergency call would reach emergency services.</s></speak>'}}]}" },
	{ "dynamics_365: United States, 911", "{" DYNAMICS "}", "{}", "911",
	  "{" LEGS(PSAP_LEG("911", "0")) "}" },
	{ "dynamics_365: Puerto Rico, 911",
	  "{" DYNAMICS ", 'site': {'region': 'PR', 'address': " ADDRESS("site", "PR", "Calle") "}}",
	  "{}", "911",
	  "{'rungs': [{'types': {'native': {'location': {'conveyed_by': 'pidf_lo'},"
	  " 'route': {'legs': [{'dial': '911'}]}}}}, {}]}" },
	{ "dynamics_365: the browser's location is sent with the call", "{" DYNAMICS "}",
	  "{'location': {'latitude': 47.5, 'longitude': -122.5, 'method': 'browser'}}", "911",
	  "{" DECIDED("'location': {'source': 'caller', 'conveyed_by': 'pidf_lo'}") "}" },
};

/* A custom number of Zoom's: pattern, and one of five paths. */
#define PATH(route, more) \
	"'tenant': {'policy': {'id': 'p', 'preset': 'zoom_phone'}, 'safety_team': " DESK \
	"}, " RULE("custom", "71xx", ", 'route': '" route "'" more)

static const struct plan_case zoom[] = {
	{ "zoom_phone: a user's own number is presented",
	  "{" ZOOM ", 'user': {" OWN("native", "null") "}}", "{}", "911",
	  "{'rungs': [{'source': 'user_number'}]}" },
	{ "zoom_phone: extension-only users present a pool's number", "{" ZOOM "}", "{}", "911",
	  "{'rungs': [{'source': 'pool_lease'}, {}]}" },
	{ "zoom_phone: extension-only users present the receptionist's number",
	  "{" ZOOM
	  ", 'site': {'policy': {'id': 's', 'fields': {'caller_id': 'receptionist'}}, " ROLE(
		  "receptionist", "+14255550160") "}}",
	  "{}", "911",
	  "{'codes': [], 'rungs': [{'source': 'receptionist', 'number': '+14255550160',"
	  " 'number_type': 'native', 'warnings': []}], 'trace': {'policy: caller_id = receptionist': 'site'}}" },
	{ "zoom_phone: extension-only users present the call queue's number",
	  "{" ZOOM ", 'site': {'policy': {'id': 's', 'fields': {'caller_id': 'call_queue'}}, " ROLE(
		  "call_queue", "+14255550161") "}}",
	  "{}", "911", "{'rungs': [{'source': 'call_queue', 'number': '+14255550161'}]}" },
	{ "zoom_phone: the lease lasts about two hours", "{" ZOOM "}", "{}", "911",
	  "{'ttl': 7200}" },
	{ "zoom_phone: the platform decides", "{" ZOOM "}", "{}", "911",
	  "{'trace': {'policy: caller_id_control = platform': 'tenant'}}" },
	{ "zoom_phone: the safety team's queue may receive, record and monitor",
	  "{" POLICY("tenant", "zoom_phone",
		     "'route': 'psap_and_team', 'notify_mode': 'listen', 'safety_team':"
		     " {'type': 'call_queue', 'address': 'sip:q@desk'}") "}",
	  "{}", "911",
	  "{" LEGS(PSAP_LEG("911",
			    "0") ", {'target': 'safety_team', 'record': true, 'mode': 'listen',"
				 " 'destination': {'type': 'call_queue'}}") "}" },
	{ "zoom_phone: the presence is left", "{" ZOOM "}", "{}", "911",
	  "{'locks': false, 'trace': {'presence: left': 'tenant'}}" },
	{ "zoom_phone: the safety team is told by email", "{" ZOOM ", " MAIL "}", "{}", "911",
	  "{" DECIDED("'notifications': [" TOLD("email", "desk@desk.example") "]") "}" },
	{ "zoom_phone: to the PSAP", "{" ZOOM ", " FIELDS("'route': 'psap_only'") "}", "{}", "911",
	  "{" LEGS(PSAP_LEG("911", "0")) "}" },
	{ "zoom_phone: to the internal safety team",
	  "{" ZOOM ", " FIELDS("'route': 'team_only', 'safety_team': " DESK) "}", "{}", "911",
	  "{'codes': ['psap_not_reached'], " LEGS(TEAM_LEG("speak", "0")) "}" },
	{ "zoom_phone: to both in parallel",
	  "{" ZOOM ", " FIELDS("'route': 'psap_and_team', 'safety_team': " DESK) "}", "{}", "911",
	  "{" LEGS(PSAP_LEG("911", "0") ", " TEAM_LEG("speak", "0")) "}" },
	{ "zoom_phone: the route is set at the account",
	  "{" POLICY("tenant", "zoom_phone", "'route': 'psap_and_team'") "}", "{}", "911",
	  "{'trace': {'policy: route = psap_and_team': 'tenant'}}" },
	{ "zoom_phone: the route is set at the site",
	  "{" ZOOM ", " FIELDS("'route': 'psap_and_team'") "}", "{}", "911",
	  "{'trace': {'policy: route = psap_and_team': 'site'}}" },
	{ "zoom_phone: the route is set at the extension",
	  "{" ZOOM
	  ", " FIELDS("'route': 'team_only'") ", 'user': {'policy': {'id': 'u', 'fields': {"
					      "'route': 'psap_and_team'}}}}",
	  "{}", "911", "{'trace': {'policy: route = psap_and_team': 'user'}}" },
	{ "zoom_phone: PSAP routing is switched off for tests",
	  "{" ZOOM
	  ", " FIELDS("'psap_enabled': false, 'psap_disabled_until': '2026-03-02T16:00:00Z'") "}",
	  "{}", "911",
	  "{'codes': ['psap_not_reached'], " LEGS(
		  "") ","
		      " 'trace': {'policy: psap_enabled = false': 'site', 'route: psap_not_reached': true}}" },
	/* custom emergency numbers */
	{ "zoom_phone: a custom number is an internal extension",
	  "{" PATH("team_only", "") ", 'extension': true}", "{}", "7100",
	  "{'codes': [], 'custom': true, 'dial_string': '7100', 'service_urn': null, " LEGS(
		  TEAM_LEG("speak", "0")) "}" },
	{ "zoom_phone: a custom number is a PSTN number",
	  "{" ZOOM ", " RULE("custom", "+14255550133", ", 'translation': '+14255550133'") "}", "{}",
	  "tel:+1-425-555-0133", "{'custom': true, " LEGS(PSAP_LEG("+14255550133", "0")) "}" },
	{ "zoom_phone: a number translation is dialled to the PSTN",
	  "{" PATH("psap_only", ", 'translation': '+142555501xx'") "}", "{}", "7133",
	  "{'codes': [], " LEGS(PSAP_LEG("+14255550133", "0")) "}" },
	{ "zoom_phone: custom path 1: team, then the PSAP after the max holding time",
	  "{" PATH("team_then_psap", ", 'max_hold_seconds': 30") "}", "{}", "7100",
	  "{'codes': [], " LEGS(TEAM_LEG("speak", "0") ", " PSAP_LEG("911", "30")) "}" },
	{ "zoom_phone: custom path 2: PSAP only",
	  "{" PATH("psap_only", ", 'translation': '+14255550150'") "}", "{}", "7100",
	  "{" LEGS(PSAP_LEG("+14255550150", "0")) "}" },
	{ "zoom_phone: custom path 3: team only", "{" PATH("team_only", "") "}", "{}", "7100",
	  "{'codes': [], " LEGS(TEAM_LEG("speak", "0")) "}" },
	{ "zoom_phone: custom path 4: SIP group only",
	  "{" PATH("sip_group_only", ", 'sip_group': " GROUP) "}", "{}", "7100",
	  "{'codes': [], " LEGS(GROUP_LEG("0")) "}" },
	{ "zoom_phone: custom path 5: team, then the SIP group after 8 seconds",
	  "{" PATH("team_then_sip_group", ", 'sip_group': " GROUP) "}", "{}", "7100",
	  "{'codes': [], " LEGS(TEAM_LEG("speak", "0") ", " GROUP_LEG("8")) "}" },
	{ "zoom_phone: a public service number is no custom one",
	  "{" ZOOM ", " RULE("custom", "911", ", 'route': 'team_only'") "}", "{}", "911",
	  "{'custom': false, " LEGS(PSAP_LEG("911", "0")) "}" },
	/* location */
	{ "zoom_phone: US, native: the caller's address is sent, whatever the caller ID",
	  "{" ZOOM ", 'user': {" OWN("native", ADDRESS("record", "US", "Record St")) "}}",
	  "{'location': {'region': 'US', 'city': 'C', 'street': 'Desk'}}", "911",
	  "{'rungs': [{'location': {'source': 'caller', 'conveyed_by': 'pidf_lo',"
	  " 'address': {'street': 'Desk'}}}]}" },
	{ "zoom_phone: CA, native: the caller's address is sent",
	  "{" ZOOM ", 'site': {'region': 'CA', 'address': " ADDRESS("site", "CA", "King St") "}}",
	  "{'location': {'region': 'CA', 'city': 'C', 'street': 'Desk'}}", "911",
	  "{" DECIDED("'location': {'source': 'caller', 'conveyed_by': 'pidf_lo'}") "}" },
	{ "zoom_phone: elsewhere the PSAP looks up the address of record",
	  "{" ZOOM ", 'site': {'region': 'GB', 'address': " ADDRESS(
		  "site", "GB", "Mall") "},"
					" 'user': {" OWN("native",
							 ADDRESS("record", "GB", "Strand")) "}}",
	  "{'location': {'region': 'GB', 'city': 'C', 'street': 'Desk'}}", "999",
	  "{'rungs': [{'warnings': ['location_differs'], 'location': {'source': 'number',"
	  " 'conveyed_by': 'caller_id', 'address': {'street': 'Strand'},"
	  " 'caller_address': {'street': 'Desk'}}}]}" },
	{ "zoom_phone: BYOC: the PSAP looks up the address of record",
	  "{" ZOOM ", 'user': {" OWN("byoc", ADDRESS("record", "US", "Record St")) "}}", "{}",
	  "911",
	  "{'rungs': [{'location': {'conveyed_by': 'caller_id', 'address': {'street': 'Record St'}}}]}" },
	{ "zoom_phone: elsewhere a remote user on the pool cannot be located",
	  "{" ZOOM ", 'site': {'region': 'GB', 'address': " ADDRESS(
		  "site", "GB", "Mall") "},"
					" 'user': {'remote': true, 'address': " ADDRESS(
						"home", "GB", "Home") "}}",
	  "{}", "999",
	  "{'rungs': [{'types': {'native': {'warnings': ['location_differs', 'remote_user_on_pool'],"
	  " 'location': {'address': {'street': 'Mall'}}}}}, {}]}" },
	{ "zoom_phone: a remote user with a number of their own is located by it",
	  "{" ZOOM ", 'site': {'region': 'GB', 'address': " ADDRESS(
		  "site", "GB",
		  "Mall") "},"
			  " 'user': {'remote': true, 'address': " ADDRESS(
				  "home", "GB",
				  "Home") ", " OWN("native", ADDRESS("home", "GB", "Home")) "}}",
	  "{}", "999",
	  "{'rungs': [{'warnings': [], 'location': {'source': 'number', 'address': {'street': 'Home'}}}]}" },
	{ "zoom_phone: US, native: a remote user on the pool is located",
	  "{" ZOOM ", 'user': {'remote': true}}",
	  "{'location': {'region': 'US', 'city': 'C', 'street': 'Desk'}}", "911",
	  "{'rungs': [{'types': {'native': {'warnings': []}}}, {}]}" },
	/* endpoints and mobiles */
	{ "zoom_phone: desktop apps go through the switch", "{" ZOOM "}",
	  "{'endpoint': {'type': 'desktop_client'}}", "911", "{'device': false}" },
	{ "zoom_phone: iPadOS goes through the switch", "{" ZOOM "}",
	  "{'endpoint': {'type': 'tablet'}}", "911", "{'device': false}" },
	{ "zoom_phone: IP phones, rooms and common area phones go through the switch", "{" ZOOM "}",
	  "{'endpoint': {'type': 'desk_phone'}}", "911", "{'device': false}" },
	{ "zoom_phone: VDI goes through the switch", "{" ZOOM "}",
	  "{'endpoint': {'type': 'vdi_client'}}", "911", "{'device': false}" },
	{ "zoom_phone: a mobile's own carrier takes the call, only the notification is sent",
	  "{" ZOOM ", " MAIL "}", "{'endpoint': {'type': 'mobile', 'cellular': true}}", "911",
	  "{'device': true, 'locks': false, 'rungs': [{'source': 'none', 'route': {"
	  "'handled_by': 'device', 'legs': []}, 'notifications': [" TOLD(
		  "email", "desk@desk.example") "]}]}" },
	{ "zoom_phone: a Wi-Fi-only mobile is handled normally", "{" ZOOM "}",
	  "{'endpoint': {'type': 'mobile', 'cellular': false}}", "911",
	  "{'device': false, 'rungs': [{'source': 'pool_lease'}, {}]}" },
	{ "zoom_phone: the country of the site: its own emergency number",
	  "{'tenant\': {'policy': {'id': 'p', 'preset': 'zoom_phone'}, 'region': 'US'},"
	  " 'site': {'region': 'GB', 'address': " ADDRESS("site", "GB", "Mall") "}}",
	  "{}", "999", "{" LEGS(PSAP_LEG("999", "0")) "}" },
};

static struct CMUnitTest tests[LENGTH(teams) + LENGTH(dynamics) + LENGTH(zoom)];

int main(void)
{
	size_t n = add_plan_cases(tests, 0, teams, LENGTH(teams));

	n = add_plan_cases(tests, n, dynamics, LENGTH(dynamics));
	(void)add_plan_cases(tests, n, zoom, LENGTH(zoom));
	return cmocka_run_group_tests_name("systems", tests, NULL, NULL);
}
