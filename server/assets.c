#include "assets.h"

#include <pthread.h>
#include <stdint.h>

/* The assembler reads the file, from the directory of the project; it also knows the length, which
   C could only learn by subtracting addresses of two objects. */
#define EMBED(symbol, path) \
	__asm__(".pushsection .rodata\n" \
		".balign 8\n" #symbol "_length:\n" \
		".quad " #symbol "_end - " #symbol "_data\n" #symbol "_data:\n" \
		".incbin \"" path "\"\n" #symbol "_end:\n" \
		".byte 0\n" \
		".balign 8\n" \
		".popsection\n"); \
	extern const uint64_t symbol##_length __attribute__((visibility("hidden"))); \
	extern const char symbol##_data[] __attribute__((visibility("hidden")))

EMBED(asset_openapi_yaml, "openapi.yaml");

#define MIGRATION(number, name, path) EMBED(asset_migration_##number, path);
#include "migrations.inc"
#undef MIGRATION

#define MIGRATION(number, name, path) { number, name, asset_migration_##number##_data, 0 },
static struct migration migrations[] = {
#include "migrations.inc"
	{ 0, NULL, NULL, 0 },
};
#undef MIGRATION

static void fill_lengths(void)
{
	size_t i = 0;

#define MIGRATION(number, name, path) migrations[i++].length = asset_migration_##number##_length;
#include "migrations.inc"
#undef MIGRATION
	(void)i;
}

struct asset asset_openapi(void)
{
	return (struct asset){ asset_openapi_yaml_data, asset_openapi_yaml_length };
}

size_t asset_migrations(const struct migration **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, fill_lengths);
	*out = migrations;
	return sizeof(migrations) / sizeof(migrations[0]) - 1;
}
