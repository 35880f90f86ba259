#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/deps.sh [build|demo|bench|engines|test]: checks for the programs and libraries needed and, as root on
# Debian and its like, installs those that are missing. Exit status 1: something essential is missing.
set -u
what=${1:-test}
missing='' wanted=''

# need TEST PACKAGE, want TEST PACKAGE: without the first nothing works; without the second, tests skip.
need() { eval "$1" >/dev/null 2>&1 || missing="$missing $2"; }
want() { eval "$1" >/dev/null 2>&1 || wanted="$wanted $2"; }

look() {
	missing='' wanted=''
	need 'command -v make' make
	need 'command -v cc || command -v gcc || command -v clang' gcc
	need 'command -v autoconf' autoconf
	need 'command -v pkg-config' pkg-config
	need 'pkg-config --exists yajl' libyajl-dev
	need 'pkg-config --exists libseccomp' libseccomp-dev
	need 'test -e /usr/include/stdlib.h' libc6-dev
	[ "$what" != build ] || return 0
	need 'command -v python3' python3
	# shellcheck disable=SC2016  # eval expands it
	want 'command -v busybox && ! ldd "$(command -v busybox)"' busybox-static
	[ "$what" = demo ] || want 'command -v strace' strace
	if [ "$what" = engines ]; then
		want 'command -v podman' podman
		want 'command -v conmon' conmon
		want 'command -v catatonit || test -e /usr/libexec/podman/catatonit' catatonit
		want 'command -v buildah' buildah
		want 'command -v containerd' containerd
		want 'command -v dockerd' docker.io
		want 'command -v newuidmap' uidmap
		want 'command -v script' bsdutils
		return 0
	fi
	[ "$what" = test ] || return 0
	want 'command -v git' git
	want 'command -v clang' clang
	# shellcheck disable=SC2016  # eval expands it
	want 'ls "$(clang -print-runtime-dir)" | grep -q fuzzer' libclang-rt-dev
	want 'command -v clang-format' clang-format
	want 'command -v clang-tidy' clang-tidy
	want 'command -v cppcheck' cppcheck
	want 'command -v codespell' codespell
	want 'command -v shellcheck' shellcheck
	want 'command -v newuidmap' uidmap
	want 'command -v ps' procps
	want 'command -v ip' iproute2
	want 'command -v mandoc' mandoc
}

look
[ -n "$missing$wanted" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "# installing:$missing$wanted"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp) || exit 1
	# The daemons of engines stay off: the tests start their own.
	off=
	[ "$what" != engines ] || [ -e /usr/sbin/policy-rc.d ] || off=/usr/sbin/policy-rc.d
	trap 'rm -f "$log" $off' EXIT
	[ -z "$off" ] || { printf '#!/bin/sh\nexit 101\n' >"$off" && chmod 755 "$off"; }
	apt-get -q update >"$log" 2>&1 </dev/null || tail -n 3 "$log"
	# One by one when together fails, so that one package that is not to be had stops no other.
	# shellcheck disable=SC2086  # a list of words
	apt-get -qy install --no-install-recommends $missing $wanted >"$log" 2>&1 </dev/null ||
		for p in $missing $wanted; do
			apt-get -qy install --no-install-recommends "$p" >"$log" 2>&1 </dev/null ||
				tail -n 2 "$log"
		done
	look
fi
[ -z "$wanted" ] || echo "# not found, so some tests will be skipped:$wanted"
[ -z "$missing" ] || { echo "$0: missing packages (Debian's names):$missing" >&2; exit 1; }
