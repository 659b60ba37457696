#include "outbound_guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "outbound.h"

/* IANA's special-purpose registries: what is not globally reachable. */
static const struct {
	uint8_t address[4];
	unsigned bits;
} not_global_4[] = {
	{ { 0, 0, 0, 0 }, 8 },	     /* this network */
	{ { 10, 0, 0, 0 }, 8 },	     /* private */
	{ { 100, 64, 0, 0 }, 10 },   /* carrier-grade NAT */
	{ { 127, 0, 0, 0 }, 8 },     /* loopback */
	{ { 169, 254, 0, 0 }, 16 },  /* link-local: metadata services of clouds */
	{ { 172, 16, 0, 0 }, 12 },   /* private */
	{ { 192, 0, 0, 0 }, 24 },    /* protocol assignments */
	{ { 192, 0, 2, 0 }, 24 },    /* documentation */
	{ { 192, 88, 99, 0 }, 24 },  /* 6to4 relays, gone */
	{ { 192, 168, 0, 0 }, 16 },  /* private */
	{ { 198, 18, 0, 0 }, 15 },   /* benchmarks */
	{ { 198, 51, 100, 0 }, 24 }, /* documentation */
	{ { 203, 0, 113, 0 }, 24 },  /* documentation */
	{ { 224, 0, 0, 0 }, 3 },     /* multicast, reserved, broadcast */
};

/* Global unicast is 2000::/3, without these. All else is refused with what is outside of it:
   unspecified, loopback, ULA, link-local, multicast, the local NAT64 prefix, segment routing. */
static const struct {
	uint8_t address[4];
	unsigned bits;
} not_global_6[] = {
	{ { 0x20, 0x01, 0x00, 0x00 }, 23 }, /* protocol assignments, Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
	{ { 0x3f, 0xff, 0x00, 0x00 }, 20 }, /* documentation */
};

static bool in_range(const uint8_t *address, const uint8_t *range, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(address, range, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ range[whole]) >> (8 - rest)) == 0;
}

static bool in_settings(const struct config *config, int family, const uint8_t *address)
{
	for (size_t i = 0; i < config->n_webhook_allow_cidrs; i++) {
		const struct cidr *c = &config->webhook_allow_cidrs[i];

		if (c->family == family && in_range(address, c->address, c->bits))
			return true;
	}
	return false;
}

static bool allowed_4(const struct config *config, const uint8_t address[static 4])
{
	bool global = true;

	for (size_t i = 0; i < sizeof(not_global_4) / sizeof(not_global_4[0]); i++)
		if (in_range(address, not_global_4[i].address, not_global_4[i].bits))
			global = false;
	return global || in_settings(config, AF_INET, address);
}

/* The IPv4 address to which packets for this one go; NULL: it is IPv6 for good. */
static const uint8_t *unwrap(const uint8_t address[static 16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t six_to_four[2] = { 0x20, 0x02 };

	if (in_range(address, mapped, 96) || in_range(address, nat64, 96))
		return address + 12;
	if (in_range(address, six_to_four, 16))
		return address + 2;
	return NULL;
}

bool outbound_allowed(const struct config *config, const uint8_t *address, size_t length)
{
	const uint8_t *inner;

	if (length == 4)
		return allowed_4(config, address);
	if (length != 16)
		return false;
	if (in_settings(config, AF_INET6, address))
		return true;
	inner = unwrap(address);
	if (inner != NULL)
		return allowed_4(config, inner);
	if ((address[0] & 0xe0) != 0x20)
		return false;
	for (size_t i = 0; i < sizeof(not_global_6) / sizeof(not_global_6[0]); i++)
		if (in_range(address, not_global_6[i].address, not_global_6[i].bits))
			return false;
	return true;
}

bool outbound_text_allowed(const struct config *config, const char *text, bool *literal)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t address[16];
	size_t n;

	text += *text == '[';
	n = strcspn(text, "]%");
	*literal = true;
	if (n < sizeof(copy)) {
		memcpy(copy, text, n);
		copy[n] = '\0';
		if (inet_pton(AF_INET, copy, address) == 1)
			return outbound_allowed(config, address, 4);
		if (inet_pton(AF_INET6, copy, address) == 1)
			return outbound_allowed(config, address, 16);
	}
	*literal = false;
	return false;
}
