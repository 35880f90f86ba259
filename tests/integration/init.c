/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe: a static program that the integration tests run inside a container.
 *
 * It prints facts as "key=value" lines, one write(2) a line, and needs no shell, no library and,
 * for most of it, no /proc. Several commands run in a row when separated by "+":
 *
 *	init status + stat /dev/null + exit 3
 *
 * A command that fails prints its errno by name and goes on: a test decides what is right.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mman.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[8192];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line) - 1)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	for (char *p = line; n > 0;) {
		ssize_t done = write(1, p, n);
		if (done <= 0)
			break;
		p += done;
		n -= done;
	}
}

static const char *errname(int e)
{
	const char *s = e ? strerrorname_np(e) : "ok";
	return s ? s : "unknown";
}

static const char *result(long rc)
{
	return rc < 0 ? errname(errno) : "ok";
}

/* ---- facts ---- */

static void print_caps(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};
	uint64_t bounding = 0, ambient = 0;

	if (syscall(SYS_capget, &head, data) < 0)
		say("capget=%s", errname(errno));
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			bounding |= 1ULL << cap;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			ambient |= 1ULL << cap;
	}
	say("cap_eff=%016llx",
	    (unsigned long long)data[0].effective | (unsigned long long)data[1].effective << 32);
	say("cap_prm=%016llx",
	    (unsigned long long)data[0].permitted | (unsigned long long)data[1].permitted << 32);
	say("cap_inh=%016llx", (unsigned long long)data[0].inheritable |
	                               (unsigned long long)data[1].inheritable << 32);
	say("cap_bnd=%016llx", (unsigned long long)bounding);
	say("cap_amb=%016llx", (unsigned long long)ambient);
}

static void print_signals(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} act;
	uint64_t ignored = 0, blocked = 0;

	for (int sig = 1; sig <= 64; sig++) {
		memset(&act, 0, sizeof(act));
		if (syscall(SYS_rt_sigaction, sig, NULL, &act, 8) == 0 &&
		    act.handler == (void *)SIG_IGN)
			ignored |= 1ULL << (sig - 1);
	}
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	say("sigign=%016llx", (unsigned long long)ignored);
	say("sigblk=%016llx", (unsigned long long)blocked);
}

static int cmd_status(char **arg)
{
	uid_t ru, eu, su;
	gid_t rg, eg, sg, groups[1024];
	char list[8192] = "";

	(void)arg;
	getresuid(&ru, &eu, &su);
	getresgid(&rg, &eg, &sg);
	say("uid=%u", ru);
	say("euid=%u", eu);
	say("suid=%u", su);
	say("gid=%u", rg);
	say("egid=%u", eg);
	say("sgid=%u", sg);
	int n = getgroups(1024, groups);
	for (int i = 0, len = 0; i < n; i++)
		len += snprintf(list + len, sizeof(list) - len, "%s%u", i ? "," : "", groups[i]);
	say("groups=%s", list);
	mode_t mask = umask(0);
	umask(mask);
	say("umask=%04o", mask);
	print_caps();
	print_signals();
	say("nnp=%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	say("seccomp=%d", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	say("dumpable=%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	say("subreaper=%d", ({
		    int v = 0;
		    prctl(PR_GET_CHILD_SUBREAPER, &v, 0, 0, 0);
		    v;
	    }));
	say("pdeathsig=%d", ({
		    int v = 0;
		    prctl(PR_GET_PDEATHSIG, &v, 0, 0, 0);
		    v;
	    }));
	say("securebits=%d", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	char comm[32] = "";
	prctl(PR_GET_NAME, comm, 0, 0, 0);
	say("comm=%s", comm);
	long rc = syscall(SYS_getcwd, buffer, sizeof(buffer));
	say("cwd=%s", rc < 0 ? errname(errno) : buffer);
	say("pid=%d", getpid());
	say("ppid=%d", getppid());
	say("sid=%d", getsid(0));
	say("pgid=%d", getpgid(0));
	return 0;
}

/* Prints each line of a file as key=line; returns without a word when it is absent. */
static int print_lines(const char *key, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (!f) {
		say("%s_error=%s", key, errname(errno));
		return 0;
	}
	for (ssize_t n; (n = getline(&line, &cap, f)) > 0;) {
		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		say("%s=%s", key, line);
	}
	free(line);
	fclose(f);
	return 0;
}

static int cmd_mounts(char **arg)
{
	(void)arg;
	return print_lines("mount", "/proc/self/mountinfo");
}

static int cmd_cgroup(char **arg)
{
	(void)arg;
	return print_lines("cgroup", "/proc/self/cgroup");
}

static int cmd_oom(char **arg)
{
	(void)arg;
	return print_lines("oom_score_adj", "/proc/self/oom_score_adj");
}

extern char **environ;

static int cmd_env(char **arg)
{
	(void)arg;
	for (char **e = environ; *e; e++)
		say("env=%s", *e);
	return 0;
}

static int cmd_echo(char **arg)
{
	for (; *arg; arg++)
		say("arg=%s", *arg);
	return 0;
}

static int cmd_fds(char **arg)
{
	char link[64], target[4096];

	(void)arg;
	for (int fd = 0; fd < 4096; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags < 0)
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		say("fd=%d %s", fd, n < 0 ? "?" : target);
	}
	return 0;
}

static int cmd_ns(char **arg)
{
	static const char *names[] = {"cgroup", "ipc",  "mnt", "net", "pid",
	                              "time",   "user", "uts", NULL};
	char link[64], target[256];

	(void)arg;
	for (const char **n = names; *n; n++) {
		snprintf(link, sizeof(link), "/proc/self/ns/%s", *n);
		ssize_t len = readlink(link, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = 0;
		say("ns_%s=%s", *n, target);
	}
	return 0;
}

static int cmd_rlimits(char **arg)
{
	static const struct {
		const char *name;
		int what;
	} limits[] = {
		{"AS",         RLIMIT_AS        },
		{"CORE",       RLIMIT_CORE      },
		{"CPU",        RLIMIT_CPU       },
		{"DATA",       RLIMIT_DATA      },
		{"FSIZE",      RLIMIT_FSIZE     },
		{"LOCKS",      RLIMIT_LOCKS     },
		{"MEMLOCK",    RLIMIT_MEMLOCK   },
		{"MSGQUEUE",   RLIMIT_MSGQUEUE  },
		{"NICE",       RLIMIT_NICE      },
		{"NOFILE",     RLIMIT_NOFILE    },
		{"NPROC",      RLIMIT_NPROC     },
		{"RSS",        RLIMIT_RSS       },
		{"RTPRIO",     RLIMIT_RTPRIO    },
		{"RTTIME",     RLIMIT_RTTIME    },
		{"SIGPENDING", RLIMIT_SIGPENDING},
		{"STACK",      RLIMIT_STACK     }
        };

	(void)arg;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit r;
		if (getrlimit(limits[i].what, &r) == 0)
			say("rlimit_%s=%lld %lld", limits[i].name, (long long)r.rlim_cur,
			    (long long)r.rlim_max);
	}
	return 0;
}

static int cmd_uts(char **arg)
{
	struct utsname u;

	(void)arg;
	uname(&u);
	say("hostname=%s", u.nodename);
	say("domainname=%s", u.domainname);
	say("machine=%s", u.machine);
	return 0;
}

static int cmd_sched(char **arg)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t util_min, util_max;
	} a = {0};

	(void)arg;
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0) {
		say("sched_error=%s", errname(errno));
		return 0;
	}
	say("sched_policy=%u", a.policy);
	say("sched_flags=%llu", (unsigned long long)a.flags);
	say("sched_nice=%d", a.nice);
	say("sched_priority=%u", a.priority);
	say("sched_runtime=%llu", (unsigned long long)a.runtime);
	say("sched_deadline=%llu", (unsigned long long)a.deadline);
	say("sched_period=%llu", (unsigned long long)a.period);
	return 0;
}

static int cmd_ioprio(char **arg)
{
	long v = syscall(SYS_ioprio_get, 1, 0);

	(void)arg;
	say("ioprio_class=%ld", v >> 13);
	say("ioprio_data=%ld", v & 0x1fff);
	return 0;
}

static int cmd_affinity(char **arg)
{
	cpu_set_t set;
	char list[4096] = "";

	(void)arg;
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0, len = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			len += snprintf(list + len, sizeof(list) - len, "%s%d", len ? "," : "", i);
	say("affinity=%s", list);
	return 0;
}

static int cmd_personality(char **arg)
{
	(void)arg;
	say("personality=%#x", personality(0xffffffff));
	return 0;
}

/* The policy with its flags, and the nodes as a list. */
static int cmd_mempolicy(char **arg)
{
	unsigned long nodes[16] = {0};
	char list[256] = "";
	int mode = -1, len = 0;
	long rc = syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof(nodes), NULL, 0);

	(void)arg;
	for (int i = 0; rc == 0 && i < (int)(8 * sizeof(nodes)); i++)
		if (nodes[i / 64] >> (i % 64) & 1)
			len += snprintf(list + len, sizeof(list) - len, "%s%d", len ? "," : "", i);
	say("mempolicy=%s", result(rc));
	say("mempolicy_mode=%#x", mode);
	say("mempolicy_nodes=%s", list);
	return 0;
}

static int cmd_clock(char **arg)
{
	struct timespec m, b;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_BOOTTIME, &b);
	say("monotonic=%lld", (long long)m.tv_sec);
	say("boottime=%lld", (long long)b.tv_sec);
	return 0;
}

static int cmd_tty(char **arg)
{
	(void)arg;
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		char name[256];
		fstat(fd, &st);
		int rc = isatty(fd) ? ttyname_r(fd, name, sizeof(name)) : -1;
		say("tty%d=%d %u:%u %s", fd, isatty(fd), major(st.st_rdev), minor(st.st_rdev),
		    rc == 0 ? name : "-");
		say("tty%d_uid=%u", fd, st.st_uid);
	}
	struct winsize w = {0};
	if (ioctl(0, TIOCGWINSZ, &w) == 0)
		say("winsize=%dx%d", w.ws_col, w.ws_row);
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	say("ctty=%s", fd < 0 ? errname(errno) : "ok");
	if (fd >= 0)
		close(fd);
	say("tcpgrp=%d", tcgetpgrp(0));
	return 0;
}

/* ---- files ---- */

static const char *type_name(mode_t m)
{
	switch (m & S_IFMT) {
	case S_IFREG:
		return "reg";
	case S_IFDIR:
		return "dir";
	case S_IFCHR:
		return "chr";
	case S_IFBLK:
		return "blk";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "sock";
	case S_IFLNK:
		return "lnk";
	}
	return "?";
}

static int cmd_stat(char **arg)
{
	for (; *arg; arg++) {
		struct stat st;
		char target[4096] = "";
		if (lstat(*arg, &st) < 0) {
			say("stat:%s=%s", *arg, errname(errno));
			continue;
		}
		if (S_ISLNK(st.st_mode)) {
			ssize_t n = readlink(*arg, target, sizeof(target) - 1);
			target[n < 0 ? 0 : n] = 0;
		}
		say("stat:%s=type=%s mode=%04o uid=%u gid=%u rdev=%u:%u size=%lld ino=%llu "
		    "dev=%u:%u target=%s",
		    *arg, type_name(st.st_mode), st.st_mode & 07777, st.st_uid, st.st_gid,
		    major(st.st_rdev), minor(st.st_rdev), (long long)st.st_size,
		    (unsigned long long)st.st_ino, major(st.st_dev), minor(st.st_dev), target);
	}
	return 0;
}

static int cmd_statfs(char **arg)
{
	for (; *arg; arg++) {
		struct statfs s;
		if (statfs(*arg, &s) < 0)
			say("statfs:%s=%s", *arg, errname(errno));
		else
			say("statfs:%s=type=%#lx flags=%#lx size=%llu files=%llu", *arg,
			    (unsigned long)s.f_type, (unsigned long)s.f_flags,
			    (unsigned long long)s.f_blocks * s.f_bsize,
			    (unsigned long long)s.f_files);
	}
	return 0;
}

static int cmd_ls(char **arg)
{
	for (; *arg; arg++) {
		DIR *d = opendir(*arg);
		if (!d) {
			say("ls:%s_error=%s", *arg, errname(errno));
			continue;
		}
		int n = 0;
		for (struct dirent *e; (e = readdir(d));) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			say("ls:%s=%s", *arg, e->d_name);
			n++;
		}
		say("ls_count:%s=%d", *arg, n);
		closedir(d);
	}
	return 0;
}

static int cmd_read(char **arg)
{
	for (; *arg; arg++) {
		int fd = open(*arg, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		ssize_t n = fd < 0 ? -1 : read(fd, buffer, 4000);
		if (n < 0) {
			say("read_error:%s=%s", *arg, errname(errno));
		} else {
			while (n > 0 && buffer[n - 1] == '\n')
				n--;
			buffer[n] = 0;
			for (ssize_t i = 0; i < n; i++)
				if (buffer[i] == '\n')
					buffer[i] = '|';
			say("read:%s=%s", *arg, buffer);
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int cmd_lines(char **arg)
{
	return arg[0] ? print_lines("line", arg[0]) : 2;
}

/* open PATH r|w|rw|c ... : only whether it can be opened */
static int cmd_open(char **arg)
{
	for (; arg[0] && arg[1]; arg += 2) {
		int flags = strcmp(arg[1], "r") == 0    ? O_RDONLY
		            : strcmp(arg[1], "w") == 0  ? O_WRONLY
		            : strcmp(arg[1], "rw") == 0 ? O_RDWR
		                                        : O_WRONLY | O_CREAT;
		int fd = open(arg[0], flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
		say("open:%s=%s", arg[0], result(fd));
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int write_file(const char *path, const char *text, int flags)
{
	int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	int e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

static int cmd_write(char **arg)
{
	if (!arg[0] || !arg[1])
		return 2;
	say("write:%s=%s", arg[0], result(write_file(arg[0], arg[1], O_CREAT | O_TRUNC)));
	return 0;
}

static int cmd_poke(char **arg)
{
	if (!arg[0] || !arg[1])
		return 2;
	say("poke:%s=%s", arg[0], result(write_file(arg[0], arg[1], 0)));
	return 0;
}

static int cmd_mkdir(char **arg)
{
	for (; *arg; arg++)
		say("mkdir:%s=%s", *arg, result(mkdir(*arg, 0755)));
	return 0;
}

static int cmd_unlink(char **arg)
{
	for (; *arg; arg++)
		say("unlink:%s=%s", *arg, result(unlink(*arg)));
	return 0;
}

static int cmd_chown(char **arg)
{
	if (!arg[0] || !arg[1])
		return 2;
	say("chown:%s=%s", arg[0], result(lchown(arg[0], atoi(arg[1]), -1)));
	return 0;
}

/* mknod PATH c|b|p|f MAJOR MINOR */
static int cmd_mknod(char **arg)
{
	if (!arg[0] || !arg[1] || !arg[2] || !arg[3])
		return 2;
	mode_t type = *arg[1] == 'c'   ? S_IFCHR
	              : *arg[1] == 'b' ? S_IFBLK
	              : *arg[1] == 'p' ? S_IFIFO
	                               : S_IFREG;
	int rc = mknod(arg[0], type | 0666, makedev(atoi(arg[2]), atoi(arg[3])));
	say("mknod:%s=%s", arg[0], result(rc));
	return 0;
}

static int cmd_mount(char **arg)
{
	if (!arg[0] || !arg[1] || !arg[2])
		return 2;
	say("mount:%s=%s", arg[1],
	    result(mount(arg[0], arg[1], arg[2], strcmp(arg[2], "bind") == 0 ? MS_BIND : 0, NULL)));
	return 0;
}

static int cmd_umount(char **arg)
{
	for (; *arg; arg++)
		say("umount:%s=%s", *arg, result(umount2(*arg, MNT_DETACH)));
	return 0;
}

static int cmd_cat(char **arg)
{
	(void)arg;
	for (ssize_t n; (n = read(0, buffer, sizeof(buffer))) > 0;)
		if (write(1, buffer, n) != n)
			return 1;
	return 0;
}

/* readfd N: what can be read from an inherited descriptor */
static int cmd_readfd(char **arg)
{
	for (; *arg; arg++) {
		ssize_t n = read(atoi(*arg), buffer, 200);
		buffer[n < 0 ? 0 : n] = 0;
		if (n > 0 && buffer[n - 1] == '\n')
			buffer[n - 1] = 0;
		say("readfd:%s=%s", *arg, n < 0 ? errname(errno) : buffer);
	}
	return 0;
}

/* ---- processes and signals ---- */

static int cmd_true(char **arg)
{
	(void)arg;
	return 0;
}

static int cmd_exit(char **arg)
{
	exit(arg[0] ? atoi(arg[0]) : 0);
}

static int cmd_sleep(char **arg)
{
	double s = arg[0] ? atof(arg[0]) : 1;
	struct timespec t = {(time_t)s, (long)((s - (time_t)s) * 1e9)};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return 0;
}

/* die SIG: be killed by a signal, also as pid 1 (which ignores those it sends itself) */
static int cmd_die(char **arg)
{
	int sig = arg[0] ? atoi(arg[0]) : SIGKILL;

	signal(sig, SIG_DFL);
	kill(getpid(), sig);
	if (sig == SIGSEGV) {
		volatile int *nowhere = NULL;
		*nowhere = 1;
	}
	return 99;
}

static void on_signal(int sig)
{
	char line[] = "signal=00\n";

	line[7] = '0' + sig / 10;
	line[8] = '0' + sig % 10;
	if (write(1, line, sizeof(line) - 1) < 0)
		_exit(90);
	if (sig == SIGWINCH) {
		struct winsize w = {0};
		if (ioctl(0, TIOCGWINSZ, &w) == 0)
			say("winsize=%dx%d", w.ws_col, w.ws_row);
	}
	if (sig == SIGTERM)
		_exit(0);
}

/* Reports every signal; SIGTERM ends it with status 0. */
static int cmd_pause(char **arg)
{
	(void)arg;
	for (int sig = 1; sig <= 64; sig++) {
		struct sigaction act = {.sa_handler = on_signal};
		if (sig != SIGCHLD && sig != SIGSEGV && sig != SIGURG)
			sigaction(sig, &act, NULL);
	}
	say("ready=1");
	for (;;)
		pause();
	return 0;
}

/* Like pause, but nothing except SIGKILL ends it. */
static int cmd_stubborn(char **arg)
{
	(void)arg;
	for (int sig = 1; sig <= 64; sig++)
		signal(sig, SIG_IGN);
	say("ready=1");
	for (;;)
		pause();
	return 0;
}

/* daemon SECONDS: leave a background process behind and go on */
static int cmd_daemon(char **arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		cmd_sleep(arg);
		_exit(0);
	}
	say("daemon=%d", pid);
	return 0;
}

static int cmd_hog(char **arg)
{
	size_t n = (size_t)(arg[0] ? atoi(arg[0]) : 1) << 20;
	char *p = malloc(n);

	if (!p) {
		say("hog=%s", errname(errno));
		return 1;
	}
	for (size_t i = 0; i < n; i += 4096)
		((volatile char *)p)[i] = 1;
	say("hog=ok");
	return 0;
}

/* forks N: how many of N sleeping children can be made */
static int cmd_forks(char **arg)
{
	int want = arg[0] ? atoi(arg[0]) : 1, made = 0, e = 0;
	pid_t pids[1024];

	for (; made < want && made < 1024; made++) {
		pids[made] = fork();
		if (pids[made] == 0) {
			pause();
			_exit(0);
		}
		if (pids[made] < 0) {
			e = errno;
			break;
		}
	}
	say("forks=%d", made);
	say("forks_errno=%s", errname(e));
	for (int i = 0; i < made; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return 0;
}

/* huge N: maps N huge pages of 2 MB and touches them */
static int cmd_huge(char **arg)
{
	size_t page = 2u << 20, n = (size_t)(arg[0] ? atoi(arg[0]) : 1) * page;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT);
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED) {
		say("huge=%s", errname(errno));
		return 1;
	}
	for (size_t i = 0; i < n; i += page)
		((volatile char *)p)[i] = 1;
	say("huge=ok");
	munmap(p, n);
	return 0;
}

/* direct FILE KB: writes so much past the page cache, 64 KB at a time, and says how long it took */
static int cmd_direct(char **arg)
{
	size_t step = 64 << 10, kb = (size_t)(arg[0] && arg[1] ? atoi(arg[1]) : 64);
	int fd = open(arg[0] ? arg[0] : "/tmp/direct", O_WRONLY | O_CREAT | O_DIRECT, 0600);
	struct timespec a, b;
	void *p;

	if (fd < 0 || posix_memalign(&p, 4096, step) != 0) {
		say("direct=%s", errname(errno));
		return 1;
	}
	memset(p, 1, step);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t done = 0; done < kb << 10; done += step)
		if (pwrite(fd, p, step, (off_t)done) != (ssize_t)step) {
			say("direct=%s", errname(errno));
			return 1;
		}
	clock_gettime(CLOCK_MONOTONIC, &b);
	say("direct=ok");
	say("direct_ms=%ld", (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
	return 0;
}

/* cpu N: moves to that CPU */
static int cmd_cpu(char **arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(arg[0] ? atoi(arg[0]) : 0, &set);
	say("cpu=%s", sched_setaffinity(0, sizeof(set), &set) < 0 ? errname(errno) : "ok");
	return 0;
}

static int cmd_spin(char **arg)
{
	struct timespec t;
	double end = arg[0] ? atof(arg[0]) : 1, used;

	do {
		for (volatile int i = 0; i < 100000; i++)
			;
		clock_gettime(CLOCK_MONOTONIC, &t);
		static double start;
		double now = t.tv_sec + t.tv_nsec / 1e9;
		if (start == 0)
			start = now;
		used = now - start;
	} while (used < end);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	say("cpu_ms=%ld", (long)(t.tv_sec * 1000 + t.tv_nsec / 1000000));
	return 0;
}

/* wait PATH: until the file exists, 30 s at most */
static int cmd_wait(char **arg)
{
	struct timespec t = {0, 10000000};

	for (int i = 0; arg[0] && i < 3000; i++) {
		if (access(arg[0], F_OK) == 0)
			return 0;
		nanosleep(&t, NULL);
	}
	say("wait=timeout");
	return 1;
}

static int cmd_exec(char **arg)
{
	execv(arg[0], arg);
	say("exec=%s", errname(errno));
	return 1;
}

/* ---- kernel interfaces ---- */

static const struct {
	const char *name;
	long nr;
} calls[] = {
	{"getcwd",      SYS_getcwd     },
	{"getpid",      SYS_getpid     },
	{"getppid",     SYS_getppid    },
	{"getuid",      SYS_getuid     },
	{"getpriority", SYS_getpriority},
	{"setns",       SYS_setns      },
	{"unshare",     SYS_unshare    },
	{"sethostname", SYS_sethostname},
	{"sync",        SYS_sync       },
	{"personality", SYS_personality},
	{"mkdirat",     SYS_mkdirat    },
	{"uname",       SYS_uname      },
	{"umask",       SYS_umask      },
	{"ioctl",       SYS_ioctl      },
	{"socket",      SYS_socket     },
	{"kill",        SYS_kill       },
	{"sched_yield", SYS_sched_yield},
	{"getpgid",     SYS_getpgid    },
	{"getsid",      SYS_getsid     },
	{"prctl",       SYS_prctl      },
	{"keyctl",      SYS_keyctl     },
	{"openat2",     437            },
};

/* syscall NAME|NUMBER [ARG...]: numbers only; prints the errno or the value */
static int cmd_syscall(char **arg)
{
	long nr = -1, a[6] = {0};

	if (!arg[0])
		return 2;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(arg[0], calls[i].name) == 0)
			nr = calls[i].nr;
	if (nr < 0)
		nr = strtol(arg[0], NULL, 0);
	for (int i = 0; i < 6 && arg[i + 1]; i++)
		a[i] = (long)strtoull(arg[i + 1], NULL, 0);
	long rc = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	say("syscall:%s=%s", arg[0], result(rc));
	say("syscall_ret:%s=%ld", arg[0], rc);
	return 0;
}

/* sys32: getpid through the 32-bit entry, to test filters of other architectures */
static int cmd_sys32(char **arg)
{
	(void)arg;
#ifdef __x86_64__
	long rc;
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	say("sys32=%ld", rc);
#else
	say("sys32=unsupported");
#endif
	return 0;
}

/* tiocsti: push a byte into the terminal's input queue */
static int cmd_tiocsti(char **arg)
{
	char c = arg[0] ? *arg[0] : 'x';

	say("tiocsti=%s", result(ioctl(0, TIOCSTI, &c)));
	return 0;
}

/* keyring [DESC]: the session keyring, and whether a user key can be found and read */
static int cmd_keyring(char **arg)
{
	long ring = syscall(SYS_keyctl, 0, -3, 0);

	if (ring < 0) {
		say("keyring=%s", errname(errno));
		return 0;
	}
	say("keyring=%ld", ring);
	long n = syscall(SYS_keyctl, 6, ring, buffer, sizeof(buffer) - 1);
	buffer[n < 0 ? 0 : n] = 0;
	say("keyring_desc=%s", n < 0 ? errname(errno) : buffer);
	if (!arg[0])
		return 0;
	long key = syscall(SYS_keyctl, 10, -3, "user", arg[0], 0);
	say("key_search=%s", result(key));
	if (arg[1]) {
		n = syscall(SYS_keyctl, 11, strtol(arg[1], NULL, 10), buffer, sizeof(buffer));
		say("key_read=%s", result(n));
	}
	return 0;
}

/* notify TEXT: send a datagram to NOTIFY_SOCKET */
static int cmd_notify(char **arg)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path || !arg[0]) {
		say("notify=unset");
		return 0;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t rc = sendto(fd, arg[0], strlen(arg[0]), 0, (struct sockaddr *)&addr, sizeof(addr));
	say("notify=%s", result(rc));
	close(fd);
	return 0;
}

static int cmd_getenv(char **arg)
{
	for (; *arg; arg++) {
		const char *v = getenv(*arg);
		say("getenv:%s=%s", *arg, v ? v : "(unset)");
	}
	return 0;
}

/* procspy SECONDS: as a container's root, look for paths of others in /proc */
static int cmd_procspy(char **arg)
{
	static const char *links[] = {"cwd", "root", "exe", NULL};
	char path[300], target[4096];
	struct timespec now, start;
	double limit = arg[0] ? atof(arg[0]) : 1;

	clock_gettime(CLOCK_MONOTONIC, &start);
	say("ready=1");
	do {
		for (int pid = 2; pid < 400; pid++) {
			for (const char **l = links; *l; l++) {
				snprintf(path, sizeof(path), "/proc/%d/%s", pid, *l);
				ssize_t n = readlink(path, target, sizeof(target) - 1);
				if (n <= 0)
					continue;
				target[n] = 0;
				if (strcmp(target, "/") != 0 && strcmp(target, "/init") != 0)
					say("spy=%s -> %s", path, target);
			}
			for (int fd = 3; fd < 40; fd++) {
				struct stat st;
				snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
				ssize_t n = readlink(path, target, sizeof(target) - 1);
				if (n <= 0)
					continue;
				target[n] = 0;
				if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
					say("spydir=%s -> %s", path, target);
			}
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < limit);
	say("spied=1");
	return 0;
}

/* exespy SECONDS: try to get a writable descriptor of any foreign /proc/PID/exe */
static int cmd_exespy(char **arg)
{
	char path[64];
	struct timespec now, start;
	double limit = arg[0] ? atof(arg[0]) : 1;
	struct stat own, st;

	stat("/proc/self/exe", &own);
	clock_gettime(CLOCK_MONOTONIC, &start);
	say("ready=1");
	do {
		for (int pid = 2; pid < 400; pid++) {
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			fstat(fd, &st);
			if (st.st_ino != own.st_ino || st.st_dev != own.st_dev) {
				snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
				int w = open(path, O_WRONLY | O_CLOEXEC);
				/* its seals keep a memfd from being written to */
				int sealed = w >= 0 && fcntl(w, F_GET_SEALS) > 0;
				say("exe=%llu %s", (unsigned long long)st.st_ino,
				    w < 0    ? errname(errno)
				    : sealed ? "sealed"
				             : "WRITABLE");
				if (w >= 0)
					close(w);
			}
			close(fd);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < limit);
	say("spied=1");
	return 0;
}

/* hydra N: N processes that each make a successor and end, for ever */
static int cmd_hydra(char **arg)
{
	signal(SIGCHLD, SIG_IGN); /* no zombies */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (int n = arg[0] ? atoi(arg[0]) : 1; n > 0; n--)
		if (fork() == 0)
			for (;;) {
				pid_t pid = fork();
				if (pid > 0)
					_exit(0);
				if (pid < 0)
					usleep(1000);
			}
	say("ready=1");
	for (;;)
		pause();
}

static const struct {
	const char *name;
	int (*run)(char **arg);
} commands[] = {
	{"affinity",    cmd_affinity   },
	{"cat",         cmd_cat        },
	{"cgroup",      cmd_cgroup     },
	{"chown",       cmd_chown      },
	{"clock",       cmd_clock      },
	{"cpu",         cmd_cpu        },
	{"daemon",      cmd_daemon     },
	{"die",         cmd_die        },
	{"direct",      cmd_direct     },
	{"echo",        cmd_echo       },
	{"env",         cmd_env        },
	{"exec",        cmd_exec       },
	{"exespy",      cmd_exespy     },
	{"exit",        cmd_exit       },
	{"fds",         cmd_fds        },
	{"forks",       cmd_forks      },
	{"getenv",      cmd_getenv     },
	{"hog",         cmd_hog        },
	{"huge",        cmd_huge       },
	{"hydra",       cmd_hydra      },
	{"ioprio",      cmd_ioprio     },
	{"keyring",     cmd_keyring    },
	{"lines",       cmd_lines      },
	{"ls",          cmd_ls         },
	{"mempolicy",   cmd_mempolicy  },
	{"mkdir",       cmd_mkdir      },
	{"mknod",       cmd_mknod      },
	{"mount",       cmd_mount      },
	{"mounts",      cmd_mounts     },
	{"notify",      cmd_notify     },
	{"ns",          cmd_ns         },
	{"oom",         cmd_oom        },
	{"open",        cmd_open       },
	{"pause",       cmd_pause      },
	{"personality", cmd_personality},
	{"poke",        cmd_poke       },
	{"procspy",     cmd_procspy    },
	{"read",        cmd_read       },
	{"readfd",      cmd_readfd     },
	{"rlimits",     cmd_rlimits    },
	{"sched",       cmd_sched      },
	{"sleep",       cmd_sleep      },
	{"spin",        cmd_spin       },
	{"stat",        cmd_stat       },
	{"statfs",      cmd_statfs     },
	{"status",      cmd_status     },
	{"stubborn",    cmd_stubborn   },
	{"sys32",       cmd_sys32      },
	{"syscall",     cmd_syscall    },
	{"tiocsti",     cmd_tiocsti    },
	{"true",        cmd_true       },
	{"tty",         cmd_tty        },
	{"umount",      cmd_umount     },
	{"unlink",      cmd_unlink     },
	{"uts",         cmd_uts        },
	{"wait",        cmd_wait       },
	{"write",       cmd_write      },
};

int main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		char **arg = argv + i;
		while (i < argc && strcmp(argv[i], "+") != 0)
			i++;
		argv[i] = NULL;
		int known = 0;
		for (size_t c = 0; arg[0] && c < sizeof(commands) / sizeof(*commands); c++)
			if (strcmp(arg[0], commands[c].name) == 0) {
				known = 1;
				rc = commands[c].run(arg + 1);
			}
		if (!known) {
			say("unknown=%s", arg[0] ? arg[0] : "");
			return 98;
		}
	}
	return rc;
}
