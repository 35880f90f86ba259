#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The tree's own rules, in TAP: layers, lengths, banned calls, one path module, format, spelling.
# shellcheck disable=SC2086,SC2046,SC2317  # lists of file names, which have no blanks; calls through check
set -u
cd "$(dirname "$0")/.." || exit 1
n=0
bad=0

# check NAME COMMAND...: fails when the command prints anything.
check() {
	name=$1
	shift
	n=$((n + 1))
	found=$("$@" 2>&1)
	if [ -z "$found" ]; then
		echo "ok $n - $name"
	else
		bad=1
		echo "not ok $n - $name"
		echo "$found" | head -n 40 | sed 's/^/# /'
	fi
}

# check_tool PROGRAM COMMAND...: the same with the program's name, skipped where it is missing.
check_tool() {
	if command -v "$1" >/dev/null; then
		check "$@"
	else
		n=$((n + 1))
		echo "ok $n - $1 # SKIP $1 is not installed"
	fi
}

# files PATH... [TEST...]: sorted; what does not exist is left out.
files() {
	find "$@" -type f 2>/dev/null | sort
}

sources=$(files src libocispec -name '*.[ch]')
tests=$(files tests -name '*.[ch]')
pythons=$(files tests contrib -name '*.py')
scripts=$(files autogen.sh .ci tests contrib | xargs -r grep -lE '^#!/bin/(ba)?sh|^#!/usr/bin/env bash')

# code FILE...: FILE:LINE:TEXT without comments and the insides of strings.
code() {
	[ $# -eq 0 ] || awk '
	FNR == 1 { inside = 0 }
	{
		line = $0
		gsub(/\\\\|\\"/, "", line)
		gsub(/"[^"]*"/, "\"\"", line)
		if (inside) {
			if (!match(line, /\*\//)) next
			line = substr(line, RSTART + 2)
			inside = 0
		}
		gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", line)
		if (match(line, /\/\*/)) { line = substr(line, 1, RSTART - 1); inside = 1 }
		if (line ~ /[^ \t]/) print FILENAME ":" FNR ":" line
	}' "$@"
}

# calls NAME|NAME... FILE...: where one of the functions is called.
calls() {
	names=$1
	shift
	code "$@" | grep -E "(^|[^A-Za-z0-9_>.])($names)\("
}

licences() {
	for f in $sources $tests $scripts $pythons; do
		head -n 2 "$f" | grep -qE 'SPDX-License-Identifier: (GPL-2\.0|LGPL-2\.1)-or-later' || echo "$f"
	done
}

# cli > run > kernel > libocispec, base
layers() {
	for f in $sources; do
		case $f in
		src/cli/*) above='^$' ;;
		src/run/*) above='^cli/' ;;
		src/kernel/*) above='^(cli|run)/' ;;
		src/base/*) above='^(cli|run|kernel)/|^(davit|ocispec)\.h' ;;
		libocispec/*) above='^(cli|run|kernel)/|^davit\.h' ;;
		src/davit.h) above='/' ;;
		*) continue ;;
		esac
		sed -n 's/^#[ \t]*include "\([^"]*\)".*/\1/p' "$f" | grep -E "$above" | sed "s|^|$f includes |"
	done
}

long_files() {
	[ -z "$sources" ] || wc -l $sources | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }'
}

# Tables are no functions: their brace is on the line of the name.
long_functions() {
	[ -z "$sources" ] || awk '
		FNR == 1 { start = 0 }
		/^[a-z].*[a-z_0-9]\(/ && !/;$/ { name = $0 }
		/^\{$/ { start = FNR }
		/^\}$/ && start {
			if (FNR - start - 1 > 60) print FILENAME ":" start ": " FNR - start - 1 " lines: " name
			start = 0
		}' $sources
}

# Rows of tables may be longer.
long_lines() {
	for f in $sources $tests; do
		expand "$f" | awk -v f="$f" 'length($0) > 100 && !/^ *([{]|OCI_|offsetof|"9)/ { print f ":" FNR }'
	done
	awk 'length($0) > 120 { print FILENAME ":" FNR }' Makefile $scripts $pythons
}

# No bounds, a shell, memory from the stack; scanf brings 80 KiB of number parsing into a static program.
unsafe_calls() {
	calls 'v?sprintf|v?[fs]?scanf|stpcpy|str(cpy|cat|tok)|gets|ato(i|l|ll)|tmpnam|mktemp|system|popen|alloca' $sources
}

# The program is static and has one thread: none of these works there, or works well.
static_calls() {
	calls 'getpw[a-z_]*|getgr[^o(][a-z_]*|getaddrinfo|gethostby[a-z_]*|dlopen|setlocale|iconv_open|pthread_create' \
		$sources
}

library_calls() {
	calls 'v?printf|puts|putchar|perror|exit|errx?|warnx?' $(echo "$sources" | grep -v '^src/cli/')
	code $(echo "$sources" | grep -v '^src/cli/') | grep -E '[^a-z_](stdout|stderr)[^a-z_]'
}

# Paths inside a container go through base/path.h. Who uses the system calls directly, and why:
path_users() {
	cat <<'END'
src/base/path.c            is that module
src/base/walk.c            the fallback of that module
src/base/sys.h             the calls themselves
src/base/fd.c              files of the host by an absolute path
src/base/err.c             the log file, named by the caller
src/kernel/dev.c           owners of nodes, by the opened directory and a name without "/"
src/kernel/dev_nodes.c     the same, where no container is
src/kernel/mount_copyup.c  the same
src/kernel/cgroup_dir.c    the host's cgroup file systems
src/kernel/rdt.c           the host's resctrl
src/kernel/seccomp_cache.c davit's own directory of compiled filters
src/kernel/seccomp_file.c  the same
src/kernel/exe.c           the running program, through /proc/self/exe
src/kernel/ns.c            namespaces of the host, named by the configuration
src/run/exit.c             exit.json in the state directory
src/run/state.c            davit's own state directory
src/run/notify.c           davit's own state directory
src/run/rows_runtime.c     the pid file, named by the caller
src/run/spawn.c            /proc/self of a process that has not entered the container
END
}

path_calls() {
	calls '(sys_)?openat2?|open|creat|mkdir(at)?|mknod(at)?|symlink(at)?|l?chown|fchownat' \
		$(echo "$sources" | grep -vxF "$(path_users | cut -d ' ' -f 1)")
}

format() {
	for f in $sources $tests; do
		clang-format -n -Werror "$f" 2>&1 | grep -m 1 error
	done
}

spelling() {
	list=$(git -c safe.directory="$PWD" ls-files -co --exclude-standard | grep -v '^COPYING')
	if [ -n "$list" ]; then codespell $list; else echo "git knows no files"; fi
}

pages() {
	files man contrib -name '*.[1-8]' | xargs -r mandoc -T lint -W warning
}

check "every file names its licence" licences
check "includes point to the same layer or down" layers
check "no file has more than 600 lines" long_files
check "no function has more than 60 lines" long_functions
check "no line is over 100 columns, in scripts 120" long_lines
check "no unsafe calls" unsafe_calls
check "no calls that a static program cannot have" static_calls
check "only the command line prints and exits" library_calls
check "one path module" path_calls
check_tool clang-format format
check_tool shellcheck shellcheck $scripts
check_tool codespell spelling
check_tool mandoc pages
echo "1..$n"
exit $bad
