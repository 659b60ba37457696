#!/bin/sh
# clang-tidy over every source file, with the checks of .clang-tidy. Prints what it finds; exit 1 then.
set -eu
cd "$(dirname "$0")/../.."
make --no-print-directory BUILD=build build/gen/migrations.inc
includes=$(pkg-config --cflags libmicrohttpd jansson libpq uuid libcurl gnutls | sed 's/-I/-isystem /g')
# Standard error only counts suppressed warnings.
# shellcheck disable=SC2086 # a list of words
find server api -name '*.c' | sort | xargs -P "$(nproc)" -I{} clang-tidy --quiet {} -- \
	-std=c17 -D_POSIX_C_SOURCE=200809L -iquote . -iquote server -iquote build/gen $includes 2>/dev/null
