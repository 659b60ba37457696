#!/bin/bash
# The rules that make any line of the project findable (the house of the architecture), and the ones
# that keep it sound. Each rule prints what breaks it; the last line counts. Exit 1: a rule is broken.
# shellcheck disable=SC2046 # file names hold no spaces, so lists of them are split
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C

FILE_LINES=500
FUNCTION_LINES_WARN=60
FUNCTION_LINES=80

mapfile -t FILES < <(find . \( -name .git -o -name build -o -name .run -o -name node_modules \) -prune \
	-o -type f -print | sed 's|^\./||' | sort)
# pick PATTERN: the files whose path matches
pick() { printf '%s\n' "${FILES[@]}" | grep -E "$1"; }

# What a person writes in C: the generated tables are checked by their generators.
mapfile -t C < <(pick '^(server|api|tests)/.*\.[ch]$' | grep -v '_table\.h$')
mapfile -t SERVICE < <(printf '%s\n' "${C[@]}" | grep -E '^(server|api)/')
mapfile -t FIELD < <(printf '%s\n' "${C[@]}" | grep '^api/emergency/')
mapfile -t SCRIPTS < <(pick '\.m?js$')
mapfile -t SHELL_FILES < <(pick '(\.sh|^\.ci/run)$')

broken=0
# rule WORDS COMMAND...: the command prints what breaks the rule, and nothing else.
rule() {
	local words=$1 found
	shift
	found=$("$@" 2>&1)
	if [ -z "$found" ]; then
		echo "ok    $words"
	else
		echo "WRONG $words"
		printf '%s\n' "$found" | head -n 40 | sed 's/^/      /'
		broken=$((broken + 1))
	fi
}

# grep that finds nothing in no files, instead of waiting for standard input
search() { grep -nHE "$@" /dev/null; }

# --- one library, one file ------------------------------------------------------------------------

# only HEADER WHERE: lists includes of HEADER in files that WHERE does not match
only() {
	search "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$1" "${SERVICE[@]}" | grep -vE "^($2):"
}

house() {
	only 'microhttpd\.h' 'server/loop\.c'
	only 'libpq' 'server/db(_[a-z]+)?\.c|server/db_internal\.h'
	only 'db_internal\.h' 'server/db(_[a-z]+)?\.c'
	only 'curl/' 'server/outbound(_[a-z]+)?\.c'
	only 'gnutls/' 'server/crypto\.c'
	only 'uuid(/uuid)?\.h' 'server/ids\.c'
	only 'jansson\.h' '(server|api|api/emergency)/[a-z_]+\.[ch]'
	only '(api/|emergency/)' '(api/.*|server/main\.c)'
}

pure() {
	search '#[[:space:]]*include.*(libpq|microhttpd|[</"](db(_[a-z]+)?|loop|lane|dispatch)\.h|<(sys/)?(time|socket|epoll)\.h)' \
		"${FIELD[@]}"
	search '\<(time|clock|clock_gettime|gettimeofday|getenv|fopen|open|socket)[[:space:]]*\(' "${FIELD[@]}"
}

# The server knows a prepared statement by its name: two of one name are an error on the first
# connection that meets both.
statement_names() {
	perl -0777 -ne 'print "$1\n" while /(?:struct db_stmt\s+\w+\s*=\s*\{|\.\w+\s*=\s*\{)\s*"(\w+)",\s*(?:\w+\("?|"[A-Z])/g' \
		"${SERVICE[@]}" | sort | uniq -d | sed 's/^/two statements are called /'
}

# --- size -----------------------------------------------------------------------------------------

long_files() {
	wc -l "${C[@]}" /dev/null | awk -v most=$FILE_LINES \
		'$2 != "total" && $1 > most { print $2 ": " $1 " lines, at most " most }'
}

# A function begins and ends with a brace in the first column (Linux braces): its body is between.
functions_over() {
	awk -v most="$1" 'FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ && start { if (FNR - start - 1 > most)
			print FILENAME ":" start ": " FNR - start - 1 " lines, at most " most
			start = 0 }' "${C[@]}" /dev/null
}

# --- soundness ------------------------------------------------------------------------------------

# Unbounded, not thread-safe, blind to errors, or a shell.
banned() {
	search '\<(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|system|popen|rand|srand|tmpnam|gmtime|localtime|ctime)[[:space:]]*\(' \
		"${SERVICE[@]}"
}

unfinished() {
	search '\<(TODO|FIXME|XXX)\>' $(pick '\.([ch]|sql|m?js|sh|yaml)$|Makefile$|Dockerfile$' | grep -v '^tests/lint/lint\.sh$')
}

# A test that is skipped or run alone hides the others.
focused() {
	search '\<(it|test|describe)\.(skip|only|todo)\>' $(pick '^tests/.*\.mjs$')
}

trailing_space() {
	search '[[:space:]]+$' $(pick '\.([ch]|sql|m?js|sh|yaml|json)$|Makefile$|Dockerfile$|^\.ci/|^\.clang|^LICENSE$|^NOTICE$')
}

migration_numbers() {
	pick '^migrations/' | grep -vE '^migrations/[0-9]{4}_[a-z0-9_]+\.sql$'
	pick '^migrations/' | awk '{ number = substr($0, 12, 4) + 0
		if (number != ++due) { print $0 ": number " due " is due"; exit } }'
}

# How many places a file has that clang-format would write in another way
format() {
	local file
	for file in "${C[@]}"; do
		clang-format "$file" | diff "$file" - | grep -c '^[0-9]' | sed "/^0\$/d; s|.*|$file: & places|"
	done
}

# builds CC: compiles everything, tests too, with every warning an error
builds() {
	local log
	log=$(make --no-print-directory --keep-going -j"$(nproc)" --output-sync \
		BUILD="build/lint/$1" CC="$1" SAN= WERROR=1 objects 2>&1) ||
		printf '%s\n' "$log" | grep -vE '^  compile |^make: \*\*\* Waiting'
}

scripts() {
	local file
	for file in "${SCRIPTS[@]}"; do node --check "$file"; done
	for file in "${SHELL_FILES[@]}"; do
		case $(head -n 1 "$file") in
		*bash) bash -n "$file" ;;
		*) sh -n "$file" ;;
		esac
		[ -x "$file" ] || echo "$file is not executable"
	done
}

# The table of emergency numbers is the one that its generator writes.
dial_table() {
	local log
	[ -f tests/tools/dial-table.mjs ] || return
	log=$(node tests/tools/dial-table.mjs --check 2>&1) || printf '%s\n' "${log:-it differs: run node tests/tools/dial-table.mjs}"
}

rule 'one library, one file; api/ includes server/, never the reverse' house
rule 'api/emergency/ does no I/O and reads no clock' pure
rule "files of at most $FILE_LINES lines" long_files
rule "functions of at most $FUNCTION_LINES lines" functions_over $FUNCTION_LINES
rule 'no function that is banned' banned
rule 'no two statements of one name' statement_names
rule 'nothing left unfinished' unfinished
rule 'no test skipped or run alone' focused
rule 'no space at the end of a line' trailing_space
rule 'migrations are numbered one by one' migration_numbers
rule 'clang-format (make format)' format
rule 'gcc has no warning' builds gcc
rule 'clang has no warning' builds clang
rule 'clang-tidy finds nothing' tests/lint/tidy.sh
rule 'scripts parse, and can be run' scripts
rule 'the table of emergency numbers is up to date' dial_table
functions_over $FUNCTION_LINES_WARN | sed 's/^/note  /'

if [ $broken -gt 0 ]; then
	echo "lint: $broken rules broken"
	exit 1
fi
echo 'lint: every rule is kept'
