/* server/outbound.c: where webhooks may go, by address and by URL. Nothing is sent. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "outbound.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct config strict; /* https only, no private range */

/* First and last of each IPv4 range that is not globally reachable. */
static const char *const denied4[] = {
	"0.0.0.0",	"0.255.255.255",		      /* this network */
	"10.0.0.0",	"10.255.255.255",		      /* private */
	"100.64.0.0",	"100.127.255.255",		      /* carrier-grade NAT */
	"127.0.0.0",	"127.0.0.1",	   "127.255.255.255", /* loopback */
	"169.254.0.0",	"169.254.169.254", "169.254.255.255", /* link-local; metadata */
	"172.16.0.0",	"172.31.255.255",		      /* private */
	"192.0.0.0",	"192.0.0.255",			      /* protocol assignments */
	"192.0.2.0",	"192.0.2.255",			      /* documentation */
	"192.88.99.0",	"192.88.99.255",		      /* 6to4 relays */
	"192.168.0.0",	"192.168.255.255",		      /* private */
	"198.18.0.0",	"198.19.255.255",		      /* benchmarks */
	"198.51.100.0", "198.51.100.255",		      /* documentation */
	"203.0.113.0",	"203.0.113.255",		      /* documentation */
	"224.0.0.0",	"239.255.255.255",		      /* multicast */
	"240.0.0.0",	"255.255.255.254", "255.255.255.255", /* reserved, broadcast */
};

/* Public ones, and the neighbours of those ranges. */
static const char *const public4[] = {
	"1.0.0.0",	  "1.1.1.1",	     "8.8.8.8",		"9.255.255.255",
	"11.0.0.0",	  "100.63.255.255",  "100.128.0.0",	"126.255.255.255",
	"128.0.0.0",	  "169.253.255.255", "169.255.0.0",	"172.15.255.255",
	"172.32.0.0",	  "191.255.255.255", "192.0.1.0",	"192.0.3.0",
	"192.88.98.255",  "192.88.100.0",    "192.167.255.255", "192.169.0.0",
	"198.17.255.255", "198.20.0.0",	     "198.51.99.255",	"198.51.101.0",
	"203.0.112.255",  "203.0.114.0",     "223.255.255.255",
};

static const char *const denied6[] = {
	"::",	      "::1",
	"::7f00:1",   "::8.8.8.8",		  /* once compatible */
	"0:ffff::",   "64:ff9b:1::808:808",	  /* NAT64 of a site */
	"100::",      "100::ffff:ffff:ffff:ffff", /* discarded */
	"2001::",     "2001:0:808:808::1",	  /* Teredo */
	"2001:2::1",  "2001:1ff:ffff::",
	"2001:db8::", "2001:db8:ffff::1", /* documentation */
	"3fff::1",    "3fff:fff::",
	"5f00::1",    "fc00::",
	"fd00::1",    "fdff:ffff::1", /* unique local */
	"fe80::1",    "febf::1",
	"fec0::1",    "feff::1", /* link- and site-local */
	"ff00::",     "ff02::1",
	"ff0e::1",    "ffff:ffff::", /* multicast */
};

static const char *const public6[] = {
	"2001:200::1",	"2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1",
	"2400::1",	"2606:4700::1",		"2a00::1",	    "3ffe:ffff::1",
	"3fff:1000::1",
};

static size_t parse(const char *text, uint8_t address[16])
{
	const int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, address) != 1)
		fail_msg("%s is no address", text);
	return family == AF_INET6 ? 16 : 4;
}

static void assert_allowed(const struct config *config, const char *text, bool allowed)
{
	uint8_t address[16];
	const size_t length = parse(text, address);

	if (outbound_allowed(config, address, length) != allowed)
		fail_msg("%s is %s", text, allowed ? "refused" : "allowed");
}

/* The forms in which IPv6 carries an IPv4 address. */
static void assert_embedded(const struct config *config, const char *text, bool allowed)
{
	char form[64];
	uint8_t v4[16];

	parse(text, v4);
	snprintf(form, sizeof(form), "::ffff:%s", text);
	assert_allowed(config, form, allowed);
	snprintf(form, sizeof(form), "64:ff9b::%s", text);
	assert_allowed(config, form, allowed);
	snprintf(form, sizeof(form), "2002:%02x%02x:%02x%02x::1", v4[0], v4[1], v4[2], v4[3]);
	assert_allowed(config, form, allowed);
}

static void ipv4(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(denied4); i++)
		assert_allowed(&strict, denied4[i], false);
	for (size_t i = 0; i < LENGTH(public4); i++)
		assert_allowed(&strict, public4[i], true);
}

static void ipv6(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(denied6); i++)
		assert_allowed(&strict, denied6[i], false);
	for (size_t i = 0; i < LENGTH(public6); i++)
		assert_allowed(&strict, public6[i], true);
}

static void ipv4_inside_of_ipv6(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(denied4); i++)
		assert_embedded(&strict, denied4[i], false);
	for (size_t i = 0; i < LENGTH(public4); i++)
		assert_embedded(&strict, public4[i], true);
}

/* A range that the settings allow, in whatever form, and nothing beside it. */
static void allowed_by_settings(void **state)
{
	static const struct config config = {
		.webhook_allow_cidrs = { { AF_INET, { 127 }, 8 },
					 { AF_INET, { 10, 1, 2, 0 }, 23 },
					 { AF_INET, { 169, 254, 169, 254 }, 32 },
					 { AF_INET6, { 0xfd, 0x12 }, 16 },
					 { AF_INET6, { [15] = 1 }, 128 } },
		.n_webhook_allow_cidrs = 5
	};
	static const char *const yes[] = { "127.0.0.1",	 "127.255.0.1",	    "10.1.2.0",
					   "10.1.3.255", "169.254.169.254", "8.8.8.8" };
	static const char *const no[] = { "10.1.1.255", "10.1.4.0", "169.254.169.253",
					  "169.254.169.255", "192.168.0.1" };

	(void)state;
	for (size_t i = 0; i < LENGTH(yes); i++) {
		assert_allowed(&config, yes[i], true);
		assert_embedded(&config, yes[i], true);
	}
	for (size_t i = 0; i < LENGTH(no); i++) {
		assert_allowed(&config, no[i], false);
		assert_embedded(&config, no[i], false);
	}
	assert_allowed(&config, "fd12::1", true);
	assert_allowed(&config, "fd13::1", false);
	assert_allowed(&config, "::1", true);
	assert_allowed(&config, "::2", false);
}

static void assert_url(const struct config *config, const char *url, const char *why)
{
	const char *got = outbound_check_url(config, url);

	if (!why != !got || (why && !strstr(got, why)))
		fail_msg("%s: %s, not %s", url, got ? got : "allowed", why ? why : "allowed");
}

static void urls(void **state)
{
	static const struct {
		const char *url, *why; /* NULL: allowed */
	} table[] = {
		{ "https://hooks.example/switchback", NULL },
		{ "HTTPS://Hooks.Example/switchback", NULL },
		{ "https://hooks.example:8443/a?b=c&d=%20", NULL },
		{ "https://8.8.8.8/", NULL },
		{ "https://[2606:4700::1]:443/", NULL },
		{ "https://[::ffff:8.8.8.8]/", NULL },
		/* schemes */
		{ "http://hooks.example/", "https" },
		{ "ftp://hooks.example/", "https" },
		{ "file:///etc/passwd", "https" },
		{ "gopher://hooks.example/", "https" },
		{ "dict://hooks.example/", "https" },
		{ "javascript:alert(1)", "" },
		{ "hooks.example/switchback", "" },
		{ "//hooks.example/", "" },
		{ "", "" },
		{ "https://", "" },
		{ "https://hooks example/", "" },
		/* userinfo and fragment */
		{ "https://user@hooks.example/", "user" },
		{ "https://user:secret@hooks.example/", "user" },
		{ "https://:secret@hooks.example/", "user" },
		{ "https://hooks.example@127.0.0.1/", "user" },
		{ "https://hooks.example/#part", "fragment" },
		/* addresses that are not globally reachable, however they are written */
		{ "https://127.0.0.1/", "globally" },
		{ "https://127.1/", "globally" },
		{ "https://2130706433/", "globally" },
		{ "https://0x7f000001/", "globally" },
		{ "https://0177.0.0.1/", "globally" },
		{ "https://10.0.0.1:8443/", "globally" },
		{ "https://100.64.0.1/", "globally" },
		{ "https://169.254.169.254/latest/meta-data/", "globally" },
		{ "https://192.168.1.1/", "globally" },
		{ "https://224.0.0.1/", "globally" },
		{ "https://203.0.113.7/", "globally" },
		{ "https://0.0.0.0/", "globally" },
		{ "https://[::1]/", "globally" },
		{ "https://[::]/", "globally" },
		{ "https://[fd00::1]/", "globally" },
		{ "https://[fe80::1]/", "globally" },
		{ "https://[fe80::1%25eth0]/", "globally" },
		{ "https://[ff02::1]/", "globally" },
		{ "https://[2001:db8::1]/", "globally" },
		{ "https://[::ffff:127.0.0.1]/", "globally" },
		{ "https://[64:ff9b::10.0.0.1]/", "globally" },
		{ "https://[2002:7f00:1::1]/", "globally" },
		{ "https://[nonsense]/", "" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(table); i++)
		assert_url(&strict, table[i].url, table[i].why);
}

static void urls_that_settings_allow(void **state)
{
	static const struct config config = { .webhook_allow_http = true,
					      .webhook_allow_cidrs = { { AF_INET, { 127 }, 8 } },
					      .n_webhook_allow_cidrs = 1 };

	(void)state;
	assert_url(&config, "http://hooks.example/", NULL);
	assert_url(&config, "http://127.0.0.1:8080/hook", NULL);
	assert_url(&config, "https://127.0.0.1/", NULL);
	assert_url(&config, "https://[::ffff:127.0.0.1]/", NULL);
	assert_url(&config, "http://10.0.0.1/", "globally");
	assert_url(&config, "http://[::1]/", "globally");
	assert_url(&config, "ftp://127.0.0.1/", "https");
	assert_url(&config, "http://user@127.0.0.1/", "user");
	assert_url(&config, "http://127.0.0.1/#part", "fragment");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(ipv4_inside_of_ipv6),
		cmocka_unit_test(allowed_by_settings),
		cmocka_unit_test(urls),
		cmocka_unit_test(urls_that_settings_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
