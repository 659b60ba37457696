#!/bin/sh
# A private PostgreSQL: its own data, its own unix socket, no TCP port, nobody else's business.
#
#   postgres.sh start DIR [PID]   start it, made first if it is not there; prints nothing
#   postgres.sh url DIR [ROLE]    print its URL: as switchback (default), tests or postgres
#   postgres.sh stop DIR [PID]    stop it; the data stays, so that the next start is quick
#
# With a PID, several users share it: it stops when the last of the processes that started it
# has said stop or is gone. Without one, stop stops it.
#
# Roles: `switchback` owns the database of the same name and may create roles, as in production;
# `tests` may create databases too; `postgres` is the superuser. None needs a password: the socket
# is in a directory that only its owner (and root) can enter.
#
# Layout of DIR: data (or a link to it), socket (or a link), users/PID, lock.
set -eu

fail() {
	echo "postgres.sh: $*" >&2
	exit 1
}

usage='usage: postgres.sh start|stop DIR [PID] | url DIR [switchback|tests|postgres]'
[ $# -ge 2 ] || fail "$usage"
action=$1
dir=$2
third=${3:-}

# PostgreSQL refuses to run as root, so root hands it to the user that Debian made for it.
if [ "$(id -u)" -eq 0 ]; then
	owner=postgres
	as_owner() { runuser -u postgres -- "$@"; }
else
	owner=$(id -un)
	as_owner() { "$@"; }
fi

programs=
find_programs() {
	for candidate in "${PGBIN:-}" /usr/lib/postgresql/15/bin \
		"$(pg_config --bindir 2>/dev/null)"; do
		if [ -x "$candidate/initdb" ]; then
			programs=$candidate
			return
		fi
	done
	fail 'no PostgreSQL server found (looked for initdb): make setup installs it'
}

# running - is the server of this data directory up? By the pid it noted, and only if that process
# works in this directory: after a crash the pid may belong to somebody else.
running() {
	pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "$dir/data")" ]
}

# own_place NAME LIMIT - makes DIR/NAME for the owner alone. Where the owner cannot reach DIR (a
# clone in root's home), or the path is longer than LIMIT, DIR/NAME is a link to a place elsewhere.
own_place() {
	place=$dir/$1
	if [ -d "$place/" ]; then
		return
	fi
	rm -f "$place" # a link to what is gone
	if as_owner test -x "$dir" && [ "${#place}" -le "$2" ]; then
		mkdir -m 700 "$place"
		[ "$(id -u)" -ne 0 ] || chown "$owner" "$place"
	else
		ln -s "$(as_owner mktemp -d "$3/switchback-$1.XXXXXX")" "$place"
	fi
}

halt() {
	as_owner "$programs/pg_ctl" stop --silent --mode=fast --wait --timeout=60 \
		--pgdata="$(readlink -f "$dir/data")"
}

# A cluster whose making was interrupted is made again; this file is the last thing made.
ready() {
	[ -f "$dir/data/switchback-ready" ]
}

create() {
	if running; then
		halt
	fi
	own_place data 4000 /var/tmp
	place=$(readlink -f "$dir/data")
	if [ -n "$(as_owner ls -A "$place")" ]; then
		as_owner find "$place" -mindepth 1 -delete
	fi
	as_owner "$programs/initdb" --pgdata="$place" --username=postgres --auth=trust \
		--encoding=UTF8 --locale=C.UTF-8 >/dev/null
	# Durable as in production: fsync, synchronous_commit and full_page_writes stay on.
	as_owner tee -a "$place/postgresql.conf" >/dev/null <<-'CONF'
		listen_addresses = ''
		unix_socket_permissions = 0700
		max_connections = 300
		shared_buffers = 128MB
		timezone = 'UTC'
		log_timezone = 'UTC'
		logging_collector = off
		log_line_prefix = '%m [%p] %u@%d '
	CONF
}

# The socket's path must stay below 108 bytes, and ends in /.s.PGSQL.5432.
launch() {
	own_place socket 90 /tmp
	place=$(readlink -f "$dir/data")
	# Not our standard output: whoever reads it would wait for the server to end.
	if ! as_owner "$programs/pg_ctl" start --silent --wait --timeout=60 --pgdata="$place" \
		--log="$place/server.log" -o "-k '$(readlink -f "$dir/socket")'" </dev/null >&2; then
		as_owner tail -n 20 "$place/server.log" >&2
		fail "PostgreSQL did not start"
	fi
}

sql() {
	as_owner "$programs/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
		--dbname="$(url postgres "$1")"
}

fill() {
	sql postgres <<-'SQL'
		CREATE ROLE switchback LOGIN CREATEROLE;
		CREATE ROLE tests LOGIN CREATEROLE CREATEDB;
		CREATE DATABASE switchback OWNER switchback;
	SQL
	as_owner touch "$(readlink -f "$dir/data")/switchback-ready"
}

# url ROLE DATABASE
url() {
	socket=$(readlink -f "$dir/socket" | sed 's/%/%25/g; s/ /%20/g; s/&/%26/g; s/#/%23/g; s/+/%2B/g')
	echo "postgresql:///$2?host=$socket&user=$1"
}

others_use_it() {
	for user in "$dir"/users/*; do
		[ -e "$user" ] || continue
		if [ -n "$(readlink "/proc/${user##*/}/cwd")" ]; then # gone or a zombie: no cwd
			return 0
		fi
		rm -f "$user"
	done
	return 1
}

case $action in
url)
	[ -d "$dir/socket/" ] || fail "nothing was started in $dir"
	dir=$(readlink -f "$dir")
	case ${third:=switchback} in
	switchback) url switchback switchback ;;
	tests | postgres) url "$third" postgres ;;
	*) fail "$usage" ;;
	esac
	exit
	;;
start) mkdir -p "$dir/users" ;;
stop) [ -d "$dir/users" ] || exit 0 ;;
*) fail "$usage" ;;
esac

dir=$(readlink -f "$dir")
find_programs
cd / # the server must not hold on to, nor need to reach, where we happen to be
exec 9>"$dir/lock"
flock 9 # one start or stop at a time; closed for the server below (9>&-)

if [ "$action" = start ]; then
	ready || create 9>&-
	running || launch 9>&-
	ready || fill 9>&-
	if [ -n "$third" ]; then
		: >"$dir/users/$third"
	fi
else
	if [ -n "$third" ]; then
		rm -f "$dir/users/$third"
		if others_use_it; then
			exit 0
		fi
	else
		rm -f "$dir"/users/*
	fi
	if running; then
		halt 9>&-
	fi
	if [ -L "$dir/socket" ]; then # nothing stays in /tmp
		as_owner rmdir "$(readlink -f "$dir/socket")"
		rm "$dir/socket"
	fi
fi
