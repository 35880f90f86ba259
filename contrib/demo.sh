#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Shows davit at work on two containers made from busybox. Run by "make demo"; DAVIT is the program.
# Leaves nothing behind; the exit status is not 0 when any step fails.
set -eu
davit=$(realpath "${DAVIT:-build/davit}")
busybox=$(command -v busybox) || { echo "demo: busybox is missing (Debian: busybox-static)" >&2; exit 1; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/davit-demo.XXXXXX")
run() { "$davit" --root "$tmp/state" "$@"; }

cleanup() {
	status=$?
	trap - EXIT
	run delete --force davit-demo-1 >/dev/null 2>&1 || :
	run delete --force davit-demo-2 >/dev/null 2>&1 || :
	rm -rf "$tmp"
	[ $status = 0 ] || echo "demo: FAILED" >&2
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

bold='' blue='' off=''
if [ -t 1 ]; then
	bold=$(printf '\033[1m') blue=$(printf '\033[1;34m') off=$(printf '\033[0m')
fi

# Shows a davit command and runs it.
show() {
	echo "$bold\$ davit $*$off"
	run "$@"
}

title() { printf '\n%s== %s%s\n' "$blue" "$1" "$off"; }

# make_bundle DIRECTORY: a root filesystem and a config.json that runs the script on stdin.
make_bundle() {
	mkdir -p "$1/rootfs/bin" "$1/rootfs/etc" "$1/rootfs/proc" "$1/rootfs/sys" "$1/rootfs/dev" \
		"$1/rootfs/tmp" "$1/rootfs/run"
	cp "$busybox" "$1/rootfs/bin/busybox"
	for applet in $("$busybox" --list); do
		[ -e "$1/rootfs/bin/$applet" ] || ln -s busybox "$1/rootfs/bin/$applet"
	done
	cat >"$1/rootfs/bin/demo"
	echo 'root:x:0:0:root:/:/bin/sh' >"$1/rootfs/etc/passwd"
	echo 'root:x:0:' >"$1/rootfs/etc/group"
	rootless=
	[ "$(id -u)" = 0 ] || rootless=--rootless
	# shellcheck disable=SC2086  # nothing or one word
	run spec $rootless --bundle "$1"
	python3 - "$1/config.json" <<'END'
import json, sys

path = sys.argv[1]
with open(path) as f:
    config = json.load(f)
config["hostname"] = "davit-demo"
config["process"]["terminal"] = False
config["process"]["args"] = ["/bin/sh", "/bin/demo"]
config["process"]["noNewPrivileges"] = True
config["linux"]["seccomp"] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["unshare", "mount", "ptrace", "keyctl"],
                  "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
}
with open(path, "w") as f:
    json.dump(config, f, indent=4)
END
}

title "davit"
run --version

title "1. run: a container that looks around"
make_bundle "$tmp/one" <<'END'
section() { echo; echo "-- $1"; }
section "host name"
hostname
section "processes"
ps
section "mounts"
mount
section "ids"
id
section "user and group maps"
cat /proc/self/uid_map /proc/self/gid_map
section "capabilities"
grep ^Cap /proc/self/status
section "no new privileges, seccomp (2: a filter)"
grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status
section "a forbidden system call"
unshare -m true 2>&1 && exit 1
echo "(refused, as it should be)"
section "cgroup"
cat /proc/self/cgroup
[ "$(hostname)" = davit-demo ] && [ $$ = 1 ] && grep -q "^Seccomp:.2" /proc/self/status
END
cd "$tmp"
show run --bundle one davit-demo-1

title "2. create, start, exec, kill, delete: step by step"
make_bundle "$tmp/two" <<'END'
trap "echo the container says goodbye; exit 7" TERM
echo the container says hello
while :; do
	sleep 1 &
	wait $!
done
END
show create --bundle two davit-demo-2
show state davit-demo-2
show start davit-demo-2
show list
show exec davit-demo-2 /bin/sh -c 'echo hello from exec as pid $$; ps'
show ps davit-demo-2
show kill davit-demo-2 TERM
i=0
until run state davit-demo-2 | grep -q '"stopped"'; do
	i=$((i + 1))
	[ $i -lt 50 ] || { echo "demo: the container does not stop" >&2; exit 1; }
	sleep 0.1
done
show state davit-demo-2
show delete davit-demo-2
if run state davit-demo-2 2>"$tmp/error"; then
	echo "demo: deleted, but still there" >&2
	exit 1
fi
printf 'and gone: '
cat "$tmp/error"
echo
echo "demo: all steps worked"
