/* server/outbound_guard.c and outbound_check_url: which addresses and URLs may be called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "outbound.h"
#include "outbound_guard.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct config with_cidrs(const char *const *cidrs)
{
	struct config config = { .webhook_allow_http = true };

	for (; *cidrs != NULL; cidrs++) {
		struct cidr *c = &config.webhook_allow_cidrs[config.n_webhook_allow_cidrs++];
		char address[64];

		assert_int_equal(sscanf(*cidrs, "%63[^/]/%u", address, &c->bits), 2);
		c->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
		assert_int_equal(inet_pton(c->family, address, c->address), 1);
	}
	return config;
}

static bool allowed(const struct config *config, const char *text)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, text, address) == 1)
		return outbound_allowed(config, address, 4);
	assert_int_equal(inet_pton(AF_INET6, text, address), 1);
	return outbound_allowed(config, address, 16);
}

static const char *const denied[] = {
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.0",
	"10.255.255.255",
	"100.64.0.0",
	"100.127.255.255",
	"127.0.0.1",
	"127.255.255.255",
	"169.254.169.254",
	"172.16.0.0",
	"172.31.255.255",
	"192.0.0.8",
	"192.0.2.1",
	"192.88.99.1",
	"192.168.0.1",
	"192.168.255.255",
	"198.18.0.0",
	"198.19.255.255",
	"198.51.100.7",
	"203.0.113.7",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"::1",
	"::7f00:1",
	"::ffff:127.0.0.1",
	"::ffff:10.1.2.3",
	"::ffff:169.254.169.254",
	"::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1",
	"64:ff9b::169.254.169.254",
	"64:ff9b:1::1",
	"100::1",
	"2001::1",
	"2001:1ff:ffff::1",
	"2001:10::1",
	"2001:db8::1",
	"2002:7f00:1::1",
	"2002:a9fe:a9fe::1",
	"3fff::1",
	"3fff:fff::1",
	"4000::1",
	"5f00::1",
	"fc00::1",
	"fd12:3456::1",
	"fe80::1",
	"febf::1",
	"fec0::1",
	"ff02::1",
};
static const char *const global[] = {
	"1.1.1.1",	   "9.255.255.255",   "11.0.0.0",
	"100.63.255.255",  "100.128.0.0",     "126.255.255.255",
	"128.0.0.0",	   "169.253.255.255", "172.15.255.255",
	"172.32.0.0",	   "192.0.1.0",	      "192.167.255.255",
	"192.169.0.0",	   "198.17.255.255",  "198.20.0.0",
	"223.255.255.255", "::ffff:1.1.1.1",  "64:ff9b::101:101",
	"2002:101:101::1", "2001:200::1",     "2606:4700:4700::1111",
	"2a00:1450::1",	   "3ffe::1",
};

static void only_global_addresses(void **state)
{
	const struct config none = { 0 };

	(void)state;
	for (size_t i = 0; i < LENGTH(denied); i++)
		if (allowed(&none, denied[i]))
			fail_msg("%s is allowed", denied[i]);
	for (size_t i = 0; i < LENGTH(global); i++)
		if (!allowed(&none, global[i]))
			fail_msg("%s is not allowed", global[i]);
	assert_false(outbound_allowed(&none, (const uint8_t *)"\1\1\1\1\1", 5));
}

static void what_the_settings_allow(void **state)
{
	static const char *const cidrs[] = { "10.1.0.0/17", "127.0.0.1/32", "fd00:1::/33",
					     "::1/128", NULL };
	static const char *const inside[] = { "10.1.0.1",	   "10.1.127.255",
					      "127.0.0.1",	   "::ffff:10.1.0.1",
					      "64:ff9b::10.1.0.1", "2002:0a01:0001::1",
					      "fd00:1:7fff::1",	   "::1" };
	static const char *const outside[] = {
		"10.1.128.0",	  "10.0.255.255", "127.0.0.2", "::ffff:127.0.0.2",
		"fd00:1:8000::1", "fd00:2::1",	  "::2",       "::"
	};
	static const char *const anything[] = { "0.0.0.0/0", "::/0", NULL };
	const struct config config = with_cidrs(cidrs), open = with_cidrs(anything);

	(void)state;
	for (size_t i = 0; i < LENGTH(inside); i++)
		assert_true(allowed(&config, inside[i]));
	for (size_t i = 0; i < LENGTH(outside); i++) {
		assert_false(allowed(&config, outside[i]));
		assert_true(allowed(&open, outside[i]));
	}
}

static void urls(void **state)
{
	static const char *const good[] = {
		"https://example.com",
		"https://example.com/a?b=c",
		"https://EXAMPLE.com:8443/",
		"https://1.1.1.1/",
		"https://[2606:4700:4700::1111]:444/x",
		"HTTPS://example.com/",
		"https://10.1.2.3/",
	};
	static const char *const bad[] = {
		"",
		"example.com",
		"//example.com/",
		"/path",
		"http://example.com/",
		"ftp://example.com/",
		"file:///etc/passwd",
		"gopher://example.com/",
		"https://",
		"https:///",
		"https://user@example.com/",
		"https://u:p@example.com/",
		"https://@example.com/",
		"https://:@example.com/",
		"https://example.com/#",
		"https://example.com/#x",
		"https://127.0.0.1/",
		"https://127.1/",
		"https://2130706433/",
		"https://0x7f000001/",
		"https://017700000001/",
		"https://[::1]/",
		"https://[::ffff:127.0.0.1]/",
		"https://[fe80::1%25eth0]/",
		"https://[fe80::1]/",
		"https://10.2.2.3/",
		"https://0/",
		"https://example.com:99999/",
		"https://exa mple.com/",
		"https://example.com/\r\nX: y",
		"javascript:alert(1)",
		"https://169.254.169.254/latest/meta-data/",
	};
	static const char *const cidrs[] = { "10.1.0.0/16", NULL };
	struct config config = with_cidrs(cidrs);

	(void)state;
	config.webhook_allow_http = false;
	for (size_t i = 0; i < LENGTH(good); i++)
		if (outbound_check_url(&config, good[i]) != NULL)
			fail_msg("%s: %s", good[i], outbound_check_url(&config, good[i]));
	for (size_t i = 0; i < LENGTH(bad); i++)
		if (outbound_check_url(&config, bad[i]) == NULL)
			fail_msg("%s may be called", bad[i]);
	config.webhook_allow_http = true;
	assert_null(outbound_check_url(&config, "http://example.com/"));
	assert_non_null(outbound_check_url(&config, "ftp://example.com/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_global_addresses),
		cmocka_unit_test(what_the_settings_allow),
		cmocka_unit_test(urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
