# Switchback. `make help` lists the targets.
#
# `make demo`, `make run` and `make test` install the packages they need first, and build in a make
# of their own afterwards: pkg-config can only be asked once it is there.

BUILD ?= build
SAN ?=
FUZZ_SECONDS ?= 20
SHORT ?= # asan and tsan: only the suites in which there is something for them

# One short line a step; V=1 shows the whole commands.
V ?=
say = $(if $(V),,@echo '  $(1)';)

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

# --- compiler and flags (SAN=address,undefined or SAN=thread: clang's sanitizers) ---------------

ifneq ($(SAN),)
CC := clang
else ifeq ($(origin CC),default)
CC := gcc
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wformat=2 -Wundef -Wvla -Wwrite-strings -Wcast-qual \
	-Wimplicit-fallthrough -Wnull-dereference $(if $(WERROR),-Werror)
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
	-fstack-clash-protection -fno-delete-null-pointer-checks -fno-strict-overflow -fPIE
ifneq ($(filter x86_64 i%86,$(shell uname -m)),)
HARDENING += -fcf-protection=full
endif
ifeq ($(findstring clang,$(CC)),)
HARDENING += -ftrivial-auto-var-init=zero # clang 14 wants a second, temporary flag for it
endif
ifneq ($(SAN),)
MODE := -O1 -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
LINK := -fsanitize=$(SAN)
else
MODE := -O2 $(HARDENING)
LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif

# Asked at the first compilation, once, and not before: `make help` needs no package.
LIBRARIES := libmicrohttpd jansson libpq uuid libcurl gnutls
pkg-config = $(or $(shell pkg-config $(1) $(LIBRARIES)),\
	$(error the libraries are missing: `make setup` installs them))
LIB_CFLAGS = $(eval LIB_CFLAGS := $(patsubst -I%,-isystem %,$(call pkg-config,--cflags)))$(LIB_CFLAGS)
LIB_LIBS = $(eval LIB_LIBS := $(call pkg-config,--libs))$(LIB_LIBS)

# -iquote and not -I: server/error.h must never stand in for a system header.
COMPILE = $(CC) -std=c17 -D_POSIX_C_SOURCE=200809L $(WARNINGS) -g $(MODE) -pthread \
	-iquote . -iquote server -iquote $(BUILD)/gen $(LIB_CFLAGS) $(CFLAGS)

# --- sources ------------------------------------------------------------------------------------

C_DIRS := server api api/emergency tests/unit tests/fuzz tests/bench
SOURCES := $(sort $(wildcard server/*.c api/*.c api/emergency/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
PARTS := $(filter-out $(BUILD)/server/main.o,$(OBJECTS))
MIGRATIONS := $(sort $(wildcard migrations/[0-9]*.sql))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,\
	$(filter-out tests/unit/test_%,$(sort $(wildcard tests/unit/*.c))))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all objects units benches fuzzers FORCE
all: $(BUILD)/switchback
objects: $(OBJECTS) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c tests/fuzz/*.c tests/bench/*.c))
units: $(UNIT)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

$(BUILD)/switchback: $(BUILD)/server/main.o $(BUILD)/libswitchback.a
	$(call say,link $@)$(CC) -pthread $(LINK) -o $@ $^ $(LIB_LIBS) $(LDFLAGS)

# Everything but main(): what the unit tests and fuzzers link with.
$(BUILD)/libswitchback.a: $(PARTS) $(BUILD)/parts
	$(call say,pack $@)rm -f $@ && ar rcs $@ $(PARTS)

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/gen/migrations.inc
	@mkdir -p $(@D)
	$(call say,compile $<)$(COMPILE) -MMD -MP -c -o $@ $<

$(UNIT): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_SUPPORT) $(BUILD)/libswitchback.a
	@mkdir -p $(@D)
	$(call say,link $@)$(CC) -pthread $(LINK) -o $@ $^ $(LIB_LIBS) -lcmocka -lm $(LDFLAGS)

$(BENCHES): $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libswitchback.a
	@mkdir -p $(@D)
	$(call say,link $@)$(CC) -pthread $(LINK) -o $@ $^ $(LIB_LIBS) $(LDFLAGS)

$(FUZZERS): LINK = -fsanitize=fuzzer,address,undefined
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libswitchback.a
	@mkdir -p $(@D)
	$(call say,link $@)$(CC) -pthread $(LINK) -o $@ $^ $(LIB_LIBS) $(LDFLAGS)

# The binary carries these files (.incbin), which -MMD does not see.
$(BUILD)/server/assets.o: openapi.yaml $(MIGRATIONS) $(BUILD)/gen/migrations.inc

# Three generated files, written only when their content changes: the list of migrations, the
# members of the library, and the flags (with other flags everything is compiled again).
keep = mkdir -p $(@D) && cat >$@.new && { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }

$(BUILD)/gen/migrations.inc: FORCE
	@printf '%s\n' $(MIGRATIONS) | sed -n \
	's|^migrations/\(0*\([0-9][0-9]*\)[^/]*\)\.sql$$|MIGRATION(\2, "\1", "&")|p' | { $(keep); }
$(BUILD)/parts: FORCE
	@printf '%s\n' $(PARTS) | { $(keep); }
$(BUILD)/flags: FORCE
	@printf '%s\n' '$(COMPILE)' | { $(keep); }

-include $(OBJECTS:.o=.d) $(wildcard $(BUILD)/tests/unit/*.d $(BUILD)/tests/fuzz/*.d $(BUILD)/tests/bench/*.d)

# --- what a person types ------------------------------------------------------------------------

TYPED := setup demo run test lint unit contract api bench fuzz asan tsan tidy format clean help
.PHONY: $(TYPED)
ifneq ($(filter $(TYPED),$(MAKECMDGOALS)),)
.NOTPARALLEL: # `make asan tsan` is one after the other; the builds inside are parallel
endif

PACKAGES := @tests/setup/packages.sh
STEPS := BUILD=$(BUILD) SAN=$(SAN) tests/run.sh

setup:
	$(PACKAGES) build run test
demo run:
	$(PACKAGES) build run
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	@exec node --no-warnings tests/demo/demo.mjs $@
test:
	$(PACKAGES) build run test
	@$(STEPS)
lint unit contract api bench:
	$(PACKAGES) build run test
	@$(STEPS) $@
fuzz:
	$(PACKAGES) build test
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(STEPS) fuzz
asan:
	$(PACKAGES) build run test
	@$(MAKE) --no-print-directory BUILD=build/asan SAN=address,undefined SHORT=$(SHORT) sanitized
tsan:
	$(PACKAGES) build run test
	@$(MAKE) --no-print-directory BUILD=build/tsan SAN=thread SHORT=$(SHORT) sanitized
.PHONY: sanitized
sanitized: # fewer arbitrary bodies: a sanitizer finds what it finds in the first of a kind
	@SWITCHBACK_TEST_RUNS=10 SHORT=$(SHORT) $(STEPS) unit api
tidy:
	$(PACKAGES) build test
	@tests/lint/tidy.sh && echo 'clang-tidy: nothing found'
format:
	$(PACKAGES) test
	clang-format -i $(filter-out %_table.h,$(wildcard $(C_DIRS:=/*.[ch])))
clean:
	rm -rf build
help:
	@echo 'make          build/switchback'
	@echo 'make demo     set everything up, play one emergency call, print it, stop'
	@echo 'make run      set everything up and keep serving, with a demo tenant, until Ctrl-C'
	@echo 'make test     set everything up and run every test'
	@echo 'make lint unit contract api          single parts of make test'
	@echo 'make asan tsan fuzz bench            sanitizers, fuzzers (FUZZ_SECONDS=20), benchmark'
	@echo 'make tidy     clang-tidy alone (make lint runs it too)'
	@echo 'make format   clang-format in place'
	@echo 'make setup    install the packages that all of these need'
	@echo 'make clean    remove build/ (the private PostgreSQL of demo, run and test is in .run/)'
	@echo 'SWITCHBACK_DATABASE_URL=postgresql://... uses that PostgreSQL instead of a private one.'
