#!/bin/sh
# Installs the Debian packages that are missing; says nothing and takes no time when none is.
#
#   packages.sh SET...        sets: build, run, test
#
# Needs root or sudo. With neither it prints the line to run and exits 1.
set -eu

build='gcc libc6-dev make pkg-config libmicrohttpd-dev libjansson-dev libpq-dev uuid-dev
	libcurl4-gnutls-dev libgnutls28-dev'
run='postgresql-15'
test='clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev ca-certificates'

# Node.js may well come from elsewhere than Debian: any that is new enough will do.
node_is_new_enough() {
	node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null
}
node_is_new_enough || run="$run nodejs"
command -v npm >/dev/null || test="$test npm"

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	run) wanted="$wanted $run" ;;
	test) wanted="$wanted $test" ;;
	*) echo "packages.sh: no set is called '$set'" >&2; exit 2 ;;
	esac
done

missing=
for package in $wanted; do
	case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

by_hand() {
	echo "These packages are missing, and installing them takes root. As root, run:" >&2
	echo "    apt-get update && $install" >&2
	exit 1
}

# --no-remove: never take away what somebody else installed on this machine.
install="apt-get install --yes --no-install-recommends --no-remove$missing"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif command -v sudo >/dev/null; then
	as_root=sudo
else
	by_hand
fi
# sudo is there, but may not be ours to use.
if [ -n "$as_root" ] && ! sudo -v 2>/dev/null; then
	by_hand
fi
echo "installing:$missing"

# Debian's postgresql-15 sets up a cluster of its own and starts it. This project only wants the
# programs: while they are installed, that is switched off, and afterwards all is as it was.
no_cluster=/etc/postgresql-common/createcluster.d/99-switchback.conf
case $missing in
*postgresql-15*)
	trap '$as_root rm -f "$no_cluster"' EXIT
	trap 'exit 130' INT TERM
	$as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | $as_root tee "$no_cluster" >/dev/null
	;;
esac

$as_root env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
# shellcheck disable=SC2086 # the line is a list of words
$as_root env DEBIAN_FRONTEND=noninteractive $install --quiet
