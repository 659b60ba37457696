#!/bin/bash
# Runs the tests, and closes with one line for all of them: "N passed, N failed".
#
#   run.sh [STEP...]     lint unit contract api coverage bench fuzz; without: make test's, the first five
#
# BUILD=build/asan SAN=address,undefined runs them against another build. SWITCHBACK_DATABASE_URL is
# used instead of a private PostgreSQL where it is set: tests make databases of their own in it.
#
# What the tests in Node.js are given:
#   SWITCHBACK_BIN                  the binary
#   SWITCHBACK_TEST_ADMIN_URL       a role that may create databases and roles, but is no superuser
#   SWITCHBACK_TEST_SUPERUSER_URL   a superuser (private PostgreSQL only, else unset)
#   SWITCHBACK_TEST_POSTGRES        directory of the private PostgreSQL, for tests/setup/postgres.sh
#   SWITCHBACK_TEST_COVERAGE        file to which each request that was seen is appended
# and what may be set by hand: SWITCHBACK_TEST_SEED and SWITCHBACK_TEST_RUNS of the property tests.
set -u
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL # of a make that called us: ours has its own jobs

BUILD=${BUILD:-build}
SAN=${SAN:-}
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
STEP_SECONDS=${STEP_SECONDS:-900} # a step that hangs is ended, with all it started

export SWITCHBACK_BIN=$PWD/$BUILD/switchback
export SWITCHBACK_TEST_COVERAGE=$PWD/$BUILD/coverage.ndjson
POSTGRES=.run/test-postgres

passed=0
failed=0
step= # the step's process group, while it runs

# shellcheck disable=SC2317 # called by the traps
leave() {
	trap '' INT TERM HUP
	end_group
	if [ -z "${SWITCHBACK_DATABASE_URL:-}" ]; then
		tests/setup/postgres.sh stop $POSTGRES $$
	fi
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

# Ends what a step left behind: nothing, as a rule.
end_group() {
	[ -n "$step" ] || return 0
	if kill -TERM -- "-$step" 2>/dev/null; then
		sleep 0.5
		kill -KILL -- "-$step" 2>/dev/null
	fi
	step=
}

# in_group COMMAND...: in a process group of its own (that is what timeout makes), so that nothing
# it started can outlive it; in the background, so that Ctrl-C reaches us at once.
in_group() {
	timeout --kill-after=10 "$STEP_SECONDS" "$@" </dev/null &
	step=$!
	wait "$step"
	local how=$?
	[ $how -ne 124 ] || echo "it was ended after $STEP_SECONDS seconds: $*"
	end_group
	return $how
}

count() { # PASSED FAILED
	passed=$((passed + $1))
	failed=$((failed + $2))
}

heading() { printf '\n== %s\n' "$*"; }

build() {
	make --no-print-directory -j"$(nproc)" BUILD="$BUILD" SAN="$SAN" "$@" || {
		echo 'the build failed'
		count 0 1
		return 1
	}
}

# The npm packages of the tests, installed again only when the lock file changed.
packages() {
	[ -f tests/package-lock.json ] || return 0
	local sum mark=tests/node_modules/.installed-from
	sum=$(sha256sum tests/package-lock.json)
	[ "$sum" != "$(cat $mark 2>/dev/null)" ] || return 0
	heading 'npm ci'
	if npm ci --prefix tests --ignore-scripts --no-audit --no-fund; then
		echo "$sum" >$mark
	else
		count 0 1
		return 1
	fi
}

# Starts the private PostgreSQL when the first step needs it.
database() {
	[ -z "${SWITCHBACK_TEST_ADMIN_URL:-}" ] || return 0
	if [ -n "${SWITCHBACK_DATABASE_URL:-}" ]; then
		export SWITCHBACK_TEST_ADMIN_URL=$SWITCHBACK_DATABASE_URL
		return
	fi
	tests/setup/postgres.sh start $POSTGRES $$ || exit 1
	SWITCHBACK_TEST_ADMIN_URL=$(tests/setup/postgres.sh url $POSTGRES tests) || exit 1
	SWITCHBACK_TEST_SUPERUSER_URL=$(tests/setup/postgres.sh url $POSTGRES postgres) || exit 1
	SWITCHBACK_TEST_POSTGRES=$PWD/$POSTGRES
	export SWITCHBACK_TEST_ADMIN_URL SWITCHBACK_TEST_SUPERUSER_URL SWITCHBACK_TEST_POSTGRES
}

# What the sanitizers find in the service is in files, whoever started it; they count at the end.
sanitizers() {
	[ -n "$SAN" ] || return 0
	mkdir -p "$BUILD"
	rm -f "$BUILD"/report.*
	export ASAN_OPTIONS=log_path=$PWD/$BUILD/report:abort_on_error=0:detect_stack_use_after_return=1
	export UBSAN_OPTIONS=log_path=$PWD/$BUILD/report:print_stacktrace=1
	# The libraries are not instrumented: what happens only inside of them is not ours to judge.
	export TSAN_OPTIONS=log_path=$PWD/$BUILD/report:ignore_noninstrumented_modules=1:second_deadlock_stack=1
	if [ -f tests/tsan.supp ]; then
		TSAN_OPTIONS=$TSAN_OPTIONS:suppressions=$PWD/tests/tsan.supp
	fi
	# ThreadSanitizer of clang 14 cannot live with as much address randomisation as newer kernels do.
	if [ "$SAN" = thread ] && setarch -R true 2>/dev/null; then
		fixed_addresses='setarch -R'
	fi
}
fixed_addresses=

sanitizer_reports() {
	local report
	for report in "$BUILD"/report.*; do
		[ -e "$report" ] || continue
		heading "found by the sanitizer: $report"
		head -n 60 "$report"
		count 0 1
	done
}

# --- the steps ------------------------------------------------------------------------------------

lint() {
	heading 'lint'
	packages
	if in_group tests/lint/lint.sh; then count 1 0; else count 0 1; fi
}

# Adds up cmocka's "[  PASSED  ] 3 test(s)." and "[  FAILED  ] 1 test(s), listed below:".
unit() {
	heading 'unit tests'
	build units || return
	local program log how good bad
	for program in "$BUILD"/unit/test_*; do
		case $program in *[*]* | *.d | *.o) continue ;; esac
		log=$BUILD/${program##*/}.log
		# shellcheck disable=SC2086 # nothing, or a command with its option
		in_group $fixed_addresses "$program" >"$log" 2>&1
		how=$?
		good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
		bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
		if [ $how -ne 0 ] && [ "$bad" -eq 0 ]; then
			bad=1 # it ended before it could say so
		fi
		echo "${program##*/}: $good passed, $bad failed"
		if [ "$bad" -ne 0 ]; then
			grep -vE '^\[( RUN  |       OK |=)' "$log"
		fi
		count "$good" "$bad"
	done
}

# With SHORT=1 (.ci/run) a sanitizer sees the suites in which there is something for it: threads and
# what they share; or memory, of all that is parsed, decided and rendered.
short_form() {
	local threads='auth|call|callback|idempotency|lease_race|load|notifications|ordinary_lane|presence|resilience'
	local shapes='api_keys|audit|auth|carrier_routes|concurrency|config|idempotency_routes|lost_commit|numbers'
	case ${SHORT:+$SAN} in
	'') cat ;;
	thread) grep -E "/($threads|user_batch|webhook|webhook_isolation)\.test" ;;
	*) grep -vE "/($shapes|numbers_race|paging|policies|process|readiness_all|recipients|rls|sites|tenants|walls|webhook_backlog|webhook_crash)\.test" ;;
	esac
}

# node_tests NAME: tests/NAME/*.test.mjs, all in one run of Node's test runner.
node_tests() {
	local name=$1 tap=$BUILD/$1.tap files how good bad
	mapfile -t files < <(printf '%s\n' tests/"$name"/*.test.mjs | short_form)
	heading "$name tests"
	if [ ! -e "${files[0]}" ]; then
		echo 'there are none yet'
		return
	fi
	build all && packages || return
	database
	# shellcheck disable=SC2086 # nothing, or a command with its option
	in_group $fixed_addresses node --no-warnings --test \
		--test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=tap --test-reporter-destination="$tap" "${files[@]}"
	how=$?
	good=$(awk '/^# pass / { n = $3 } END { print n + 0 }' "$tap")
	bad=$(awk '/^# (fail|cancelled) / { n += $3 } END { print n + 0 }' "$tap")
	if [ $how -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	count "$good" "$bad"
}
contract() { node_tests contract; }
api() { node_tests api; }

# Every operation of openapi.yaml and every answer it documents was seen by the tests before.
coverage() {
	[ -f tests/contract/coverage.mjs ] || return
	heading 'coverage of openapi.yaml'
	if in_group node --no-warnings tests/contract/coverage.mjs; then count 1 0; else count 0 1; fi
}

bench() {
	heading 'benchmark'
	build all benches && packages || return
	if in_group "$BUILD/bench/decision"; then count 1 0; else count 0 1; fi
	database
	if in_group node --no-warnings tests/bench/bench.mjs; then count 1 0; else count 0 1; fi
}

# Each fuzzer goes on from the inputs it found before (build/fuzz/corpus) and the committed ones.
fuzz() {
	heading "fuzzers, $FUZZ_SECONDS seconds each"
	BUILD=build/fuzz
	SAN=fuzzer-no-link,address,undefined
	build fuzzers || return
	local program name corpus
	for program in "$BUILD"/fuzz/fuzz_*; do
		[ -x "$program" ] || continue
		name=${program##*/}
		corpus=$BUILD/corpus/$name
		mkdir -p "$corpus"
		set -- "$corpus"
		[ ! -d "tests/fuzz/corpus/${name#fuzz_}" ] || set -- "$corpus" "tests/fuzz/corpus/${name#fuzz_}"
		if in_group "$program" -max_total_time="$FUZZ_SECONDS" -timeout=5 -rss_limit_mb=2048 \
			-artifact_prefix="$BUILD/$name-" "$@" >"$BUILD/$name.log" 2>&1; then
			echo "$name: nothing found; $(tail -n 1 "$BUILD/$name.log")"
			count 1 0
		else
			tail -n 60 "$BUILD/$name.log"
			count 0 1
		fi
	done
}

if [ $# -eq 0 ]; then
	set -- lint unit contract api coverage
fi
mkdir -p "$BUILD"
: >"$SWITCHBACK_TEST_COVERAGE"
sanitizers
for name in "$@"; do
	case $name in
	lint | unit | contract | api | coverage | bench | fuzz) $name ;;
	*) echo "run.sh: no step is called '$name'" >&2; exit 2 ;;
	esac
done
sanitizer_reports

printf '\n%d passed, %d failed\n' $passed $failed
# Nothing failed because nothing ran is no success.
[ $failed -eq 0 ] && [ $passed -gt 0 ]
