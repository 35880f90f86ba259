/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/term.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "tap.h"

static struct err err;
static int root = -1;

struct pair {
	int master, pty;
};

static struct pair pair_open(unsigned rows, unsigned columns)
{
	struct pair p = {-1, -1};

	p.pty = term_open(root, rows, columns, getuid(), &p.master, &err);
	if (!ok(p.pty >= 0))
		printf("# %s: %s\n", err.msg, strerror(err.errnum));
	return p;
}

static void pair_close(struct pair *p)
{
	fd_close_at(&p->master);
	fd_close_at(&p->pty);
}

static void test_open(void)
{
	struct pair t = pair_open(24, 80);
	struct winsize size;
	char text[8] = "";
	int unused;

	ok(path_is_fs(t.pty, DEVPTS_SUPER_MAGIC));
	is_int(fcntl(t.master, F_GETFD), FD_CLOEXEC);
	is_int(fcntl(t.pty, F_GETFD), FD_CLOEXEC);
	is_int(fcntl(t.master, F_GETFL) & O_NONBLOCK, 0);
	is_int(ioctl(t.pty, TIOCGWINSZ, &size), 0);
	is_int(size.ws_row, 24);
	is_int(size.ws_col, 80);
	is_int(write(t.master, "hi\n", 3), 3);
	is_int(read(t.pty, text, sizeof(text)), 3);
	is_str(text, "hi\n");
	pair_close(&t);
	is_int(term_open(root, 1, 70000, getuid(), &unused, &err), -1);
	is_int(err.errnum, ERANGE);
}

static int fake(int dir)
{
	int master;

	return term_open(dir, 0, 0, 0, &master, &err) == -1 ? err.errnum : 0;
}

/* What a container may have put where its ptmx should be. */
static void test_open_fakes(void)
{
	char top[] = "/tmp/davit-test-term-XXXXXX";
	autofd dir = mkdtemp(top) ? open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	is_int(mkdirat(dir, "dev", 0755), 0);
	is_int(fake(dir), ENOENT);
	is_str(err.hint, "a terminal needs a mount of type devpts on /dev/pts");
	is_int(symlinkat("/../../dev/ptmx2", dir, "dev/ptmx"), 0);
	is_int(fake(dir), ENOENT);
	unlinkat(dir, "dev/ptmx", 0);
	is_int(symlinkat("/dev/ptmx", dir, "dev/ptmx"), 0); /* resolved below dir: a loop */
	is_int(fake(dir), ELOOP);
	unlinkat(dir, "dev/ptmx", 0);
	is_int(mkfifoat(dir, "dev/ptmx", 0600), 0);
	is_int(fake(dir), ENODEV);
	unlinkat(dir, "dev/ptmx", 0);
	if (mknodat(dir, "dev/ptmx", S_IFCHR | 0600, 0x103) == 0) {
		is_int(fake(dir), ENODEV);
		unlinkat(dir, "dev/ptmx", 0);
	}
	unlinkat(dir, "dev", AT_REMOVEDIR);
	rmdir(top);
}

static void test_send(void)
{
	struct pair t = pair_open(0, 0);
	int pair[2], fd = -1;
	char name[64] = "";
	struct stat st;
	size_t n = 0;

	ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	is_int(term_send(pair[0], t.master, &err), 0);
	ok(fd_recv(pair[1], name, sizeof(name), &fd, 1, &n) > 0);
	ok(str_starts(name, "/dev/pts/"));
	ok(stat(name, &st) == 0 && S_ISCHR(st.st_mode));
	is_int((long long)n, 1);
	is_int(write(fd, "x\n", 2), 2);
	is_int(read(t.pty, name, sizeof(name)), 2);
	close(pair[1]);
	close(fd);
	is_int(term_send(pair[0], t.master, &err), -1);
	is_int(err.errnum, EPIPE);
	close(pair[0]);
	pair_close(&t);
}

/* ---- the relay: a process with its own "caller's" terminal or pipes, and a shell inside */

/* What main() of a foreground container does; the exit status is the shell's. */
static int relay_main(const char *script)
{
	struct term_relay relay = TERM_RELAY_NONE;
	struct pair t = pair_open(9, 8);
	int signals, status = 0, sig;
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	pid = fork();
	if (pid == 0) {
		sigemptyset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		/* ignored in what a shell runs in the background; sh could not trap it then */
		signal(SIGINT, SIG_DFL);
		if (setsid() < 0 || term_adopt(t.pty, &err) < 0)
			_exit(98);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(97);
	}
	fd_close_at(&t.pty);
	if (term_relay_begin(&relay, t.master, signals, &err) < 0)
		return 96;
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (term_relay_step(&relay, &sig, &err) < 0)
			return 95;
	term_relay_end(&relay);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 94;
}

static pid_t relay_start(int in, int out, bool terminal, const char *script)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (terminal && (setsid() < 0 || ioctl(in, TIOCSCTTY, 0) < 0))
			_exit(93);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in, 0);
		dup2(out, 1);
		/* the parent's ends of the pipes among them */
		if (fd_close_from(3, &err) < 0)
			_exit(92);
		root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		_exit(relay_main(script));
	}
	return pid;
}

static int relay_status(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Reads until text was seen or 20 s passed: the machine may be a busy one. */
static bool sees(int fd, struct str *got, const char *text)
{
	int64_t deadline = clock_ms() + 20000;

	while (!got->s || !strstr(got->s, text)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int left = (int)(deadline - clock_ms());
		char part[4096];
		ssize_t n;

		if (left <= 0 || poll(&p, 1, left) <= 0)
			return false;
		n = read(fd, part, sizeof(part));
		if (n <= 0)
			return false;
		str_addn(got, part, (size_t)n);
	}
	return true;
}

static void test_relay_terminal(void)
{
	struct pair caller = pair_open(33, 77);
	struct termios before, during, after;
	struct winsize smaller = {.ws_row = 11, .ws_col = 22};
	autostr got = {0};
	pid_t pid;

	tcgetattr(caller.master, &before);
	pid = relay_start(caller.pty, caller.pty, true,
	                  "stty size; read a; echo got-$a; trap 'stty size; exit 7' WINCH; "
	                  "echo ready; while :; do sleep 0.01; done");
	ok(sees(caller.master, &got, "33 77\r\n"));
	is_int(write(caller.master, "word\r", 5), 5);
	ok(sees(caller.master, &got, "got-word\r\n"));
	ok(sees(caller.master, &got, "ready"));
	tcgetattr(caller.master, &during);
	ok(!(during.c_lflag & (ICANON | ECHO | ISIG)));
	is_int(ioctl(caller.master, TIOCSWINSZ, &smaller), 0);
	ok(sees(caller.master, &got, "11 22\r\n"));
	is_int(relay_status(pid), 7);
	tcgetattr(caller.master, &after);
	ok(before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag &&
	   before.c_lflag == after.c_lflag && before.c_cflag == after.c_cflag);
	ok(memcmp(before.c_cc, after.c_cc, sizeof(before.c_cc)) == 0);
	pair_close(&caller);
}

/* The interrupt character goes to the payload, not to the relay. */
static void test_relay_interrupt(void)
{
	struct pair caller = pair_open(0, 0);
	autostr got = {0};
	pid_t pid;

	pid = relay_start(
		caller.pty, caller.pty, true,
		"trap 'echo int; exit 5' INT; stty size; echo ready; while :; do sleep 0.01; done");
	ok(sees(caller.master, &got, "ready"));
	ok(got.s && strstr(got.s, "9 8\r\n")); /* the caller's has no size to copy */
	is_int(write(caller.master, "\003", 1), 1);
	ok(sees(caller.master, &got, "int\r\n"));
	is_int(relay_status(pid), 5);
	pair_close(&caller);
}

/* stdin and stdout are pipes; the end of stdin ends cat(1), with and without a last newline. */
static void check_pipes(const char *input, const char *want)
{
	int in[2], out[2];
	autostr got = {0};
	pid_t pid;

	ok(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	pid = relay_start(in[0], out[1], false, "stty -echo; cat; echo end; exit 3");
	usleep(50000);
	ok(fd_write_all(in[1], input, strlen(input)) == 0);
	close(in[1]);
	close(out[1]);
	ok(sees(out[0], &got, "end\r\n"));
	ok(got.s && strstr(got.s, want) != NULL);
	is_int(relay_status(pid), 3);
	close(in[0]);
	close(out[0]);
}

static void test_relay_pipes(void)
{
	check_pipes("line\n", "line\r\nend\r\n");
	check_pipes("part", "partend\r\n");
	check_pipes("", "end\r\n");
}

/* All output arrives, in order, though it is written right before the end and read slowly. */
static void test_relay_flood(void)
{
	int out[2];
	autofd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autostr got = {0};
	const char *at;
	pid_t pid;

	ok(pipe2(out, O_CLOEXEC) == 0);
	pid = relay_start(null, out[1], false, "seq 1 40000; exit 2");
	close(out[1]);
	usleep(200000); /* every buffer is full by now */
	ok(sees(out[0], &got, "\n40000\r\n"));
	is_int(relay_status(pid), 2);
	at = got.s;
	for (int i = 1; at && i <= 40000; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d\r\n", i);
		at = str_starts(at, line) ? at + strlen(line) : NULL;
	}
	ok(at != NULL);
	close(out[0]);
}

/* Nobody reads: the relay neither spins nor grows nor waits for ever. */
static void test_relay_stalled(void)
{
	int out[2];
	autofd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rusage before, after;
	int64_t start = clock_ms();
	pid_t pid;

	getrusage(RUSAGE_CHILDREN, &before);
	ok(pipe2(out, O_CLOEXEC) == 0);
	ok(fcntl(out[1], F_SETPIPE_SZ, 4096) >= 4096);
	pid = relay_start(null, out[1], false, "(seq 1 100000 &) ; sleep 0.3; exit 4");
	is_int(relay_status(pid), 4);
	ok(clock_ms() - start < 4000);
	getrusage(RUSAGE_CHILDREN, &after);
	ok((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
	           before.ru_utime.tv_usec <
	   1000000);
	close(out[0]);
	close(out[1]);
}

/* A payload that lets go of its terminal and comes back. */
static void test_relay_reopen(void)
{
	int out[2];
	autofd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autostr got = {0};
	pid_t pid;

	ok(pipe2(out, O_CLOEXEC) == 0);
	pid = relay_start(null, out[1], false,
	                  "t=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.2; "
	                  "exec >$t; echo back; sleep 0.3; exit 6");
	close(out[1]);
	ok(sees(out[0], &got, "back\r\n"));
	is_int(relay_status(pid), 6);
	close(out[0]);
}

/* The reader goes away: the payload lives on. */
static void test_relay_no_reader(void)
{
	int out[2];
	autofd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	ok(pipe2(out, O_CLOEXEC) == 0);
	close(out[0]);
	pid = relay_start(null, out[1], false, "seq 1 20000; exit 8");
	close(out[1]);
	is_int(relay_status(pid), 8);
}

int main(void)
{
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	alarm(150); /* whatever hangs, hangs not for ever */
	RUN(test_open);
	RUN(test_open_fakes);
	RUN(test_send);
	RUN(test_relay_terminal);
	RUN(test_relay_interrupt);
	RUN(test_relay_pipes);
	RUN(test_relay_flood);
	RUN(test_relay_stalled);
	RUN(test_relay_reopen);
	RUN(test_relay_no_reader);
	return done();
}
