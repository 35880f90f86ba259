/* SPDX-License-Identifier: GPL-2.0-or-later */
/* floor: the system calls that one container of config.json (beside this file)
 * needs, and nothing else.  It parses no JSON, keeps no state, loads a ready
 * seccomp program from a file: no runtime can be expected below it.
 *
 *   floor ROOTFS [-s PROGRAM.bpf] COMMAND [ARG...]
 *
 * New pid, mount, network, ipc, uts and cgroup namespaces; one cgroup per
 * hierarchy with device rules and pids limit; proc, dev, devpts, sysfs, cgroup,
 * mqueue, shm; six device nodes, five links; masked and read-only paths; pivot;
 * 14 capabilities; filter; exec; wait; cgroups removed.  On pure v2 it attaches
 * no device program, which makes it a little too good there. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(x)                                                                                     \
	do {                                                                                       \
		if ((x) < 0) {                                                                     \
			perror(#x);                                                                \
			exit(125);                                                                 \
		}                                                                                  \
	} while (0)
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define NONE     (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const char *v1[] = {"blkio",   "cpu",     "cpuacct", "cpuset", "devices",
                           "freezer", "hugetlb", "memory",  "pids",   "systemd"};
static char group[64];

static void put(const char *dir, const char *file, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	TRY(fd);
	TRY(write(fd, text, strlen(text)));
	close(fd);
}

static void node(const char *path, int major, int minor)
{
	TRY(mknod(path, S_IFCHR | 0666, makedev(major, minor)));
}

static void cgroup_make(int v2, const char *pid)
{
	static const char *rules[] = {"c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
	                              "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
	                              "c 5:2 rwm", "c 136:* rwm"};
	char dir[128];
	if (v2) {
		snprintf(dir, sizeof dir, "/sys/fs/cgroup%s", group);
		TRY(mkdir(dir, 0755));
		if (access("/sys/fs/cgroup/cgroup.subtree_control", R_OK) == 0) {
			char max[160];
			snprintf(max, sizeof max, "%s/pids.max", dir);
			if (access(max, F_OK) == 0)
				put(dir, "pids.max", "2048");
		}
		put(dir, "cgroup.procs", pid);
		return;
	}
	for (size_t i = 0; i < COUNT(v1); i++) {
		snprintf(dir, sizeof dir, "/sys/fs/cgroup/%s%s", v1[i], group);
		if (mkdir(dir, 0755) < 0)
			continue;
		if (!strcmp(v1[i], "cpuset")) {
			put(dir, "cpuset.cpus", "0");
			put(dir, "cpuset.mems", "0");
		} else if (!strcmp(v1[i], "pids")) {
			put(dir, "pids.max", "2048");
		} else if (!strcmp(v1[i], "devices")) {
			put(dir, "devices.deny", "a");
			for (size_t j = 0; j < COUNT(rules); j++)
				put(dir, "devices.allow", rules[j]);
		}
		put(dir, "cgroup.procs", pid);
	}
}

static void cgroup_remove(int v2)
{
	char dir[128];
	for (size_t i = 0; i < (v2 ? 1 : COUNT(v1)); i++) {
		snprintf(dir, sizeof dir, "/sys/fs/cgroup%s%s%s", v2 ? "" : "/", v2 ? "" : v1[i],
		         group);
		rmdir(dir);
	}
}

static void cgroup_mount(int v2)
{
	if (v2) {
		TRY(mount("cgroup", "sys/fs/cgroup", "cgroup2", NONE | MS_RDONLY, NULL));
		return;
	}
	TRY(mount("tmpfs", "sys/fs/cgroup", "tmpfs", NONE, "mode=755"));
	for (size_t i = 0; i < COUNT(v1); i++) {
		char at[64], host[64];
		snprintf(host, sizeof host, "/sys/fs/cgroup/%s", v1[i]);
		if (access(host, F_OK) < 0)
			continue;
		snprintf(at, sizeof at, "sys/fs/cgroup/%s", v1[i]);
		TRY(mkdir(at, 0755));
		TRY(mount("cgroup", at, "cgroup", NONE | MS_RDONLY,
		          strcmp(v1[i], "systemd") ? v1[i] : "none,name=systemd"));
	}
	TRY(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | NONE | MS_RDONLY, NULL));
}

static void container(const char *root, int go, int v2, struct sock_fprog *prog, char **argv)
{
	static const char *ro[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	                           "/proc/sysrq-trigger"};
	static const char *mask[] = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
	                             "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
	                             "/proc/timer_stats", "/proc/sched_debug",   "/proc/scsi",
	                             "/sys/firmware"};
	static const int caps[] = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31};
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct set[2] = {{0}};
	char c;

	TRY(setsid());
	TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	TRY(mount(root, root, NULL, MS_BIND | MS_REC, NULL));
	TRY(chdir(root));
	TRY(mount("proc", "proc", "proc", NONE, NULL));
	TRY(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
	TRY(mkdir("dev/pts", 0755));
	TRY(mkdir("dev/shm", 0755));
	TRY(mkdir("dev/mqueue", 0755));
	TRY(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
	          "newinstance,ptmxmode=0666,mode=0620,gid=5"));
	TRY(mount("sysfs", "sys", "sysfs", NONE | MS_RDONLY, NULL));
	TRY(mount("mqueue", "dev/mqueue", "mqueue", NONE, NULL));
	TRY(mount("shm", "dev/shm", "tmpfs", NONE, "mode=1777,size=64000k"));
	umask(0);
	node("dev/null", 1, 3);
	node("dev/zero", 1, 5);
	node("dev/full", 1, 7);
	node("dev/random", 1, 8);
	node("dev/urandom", 1, 9);
	node("dev/tty", 5, 0);
	umask(022);
	TRY(symlink("/proc/self/fd", "dev/fd"));
	TRY(symlink("/proc/self/fd/0", "dev/stdin"));
	TRY(symlink("/proc/self/fd/1", "dev/stdout"));
	TRY(symlink("/proc/self/fd/2", "dev/stderr"));
	TRY(symlink("pts/ptmx", "dev/ptmx"));
	TRY(read(go, &c, 1)); /* the parent has put us into the cgroup */
	TRY(unshare(CLONE_NEWCGROUP));
	cgroup_mount(v2);
	TRY(syscall(SYS_pivot_root, ".", "."));
	TRY(umount2(".", MNT_DETACH));
	TRY(chdir("/"));
	for (size_t i = 0; i < COUNT(ro); i++)
		if (mount(ro[i], ro[i], NULL, MS_BIND | MS_REC, NULL) == 0)
			TRY(mount(NULL, ro[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | NONE,
			          NULL));
	for (size_t i = 0; i < COUNT(mask); i++) {
		struct stat st;
		if (stat(mask[i], &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			TRY(mount("tmpfs", mask[i], "tmpfs", MS_RDONLY, "size=0k"));
		else
			TRY(mount("/dev/null", mask[i], NULL, MS_BIND, NULL));
	}
	TRY(sethostname("floor", 5));
	if (prog->len)
		TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog));
	for (size_t i = 0; i < COUNT(caps); i++)
		set[0].permitted |= 1u << caps[i];
	set[0].effective = set[0].permitted;
	for (int i = 0; i < 41; i++)
		if (i > 31 || !(set[0].permitted & 1u << i))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	TRY(syscall(SYS_capset, &head, set));
	TRY(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC));
	execve(argv[0], argv, (char *[]){"PATH=/bin", NULL});
	perror(argv[0]);
	exit(127);
}

int main(int argc, char **argv)
{
	struct sock_fprog prog = {0};
	int at = 2, status, pipefd[2];
	if (argc > 4 && !strcmp(argv[2], "-s")) {
		struct stat st;
		int fd = open(argv[3], O_RDONLY | O_CLOEXEC);
		TRY(fd);
		TRY(fstat(fd, &st));
		prog.filter = malloc(st.st_size);
		prog.len = st.st_size / sizeof *prog.filter;
		TRY(read(fd, prog.filter, st.st_size));
		close(fd);
		at = 4;
	}
	if (argc <= at)
		return 125;
	int v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	const char *base = getenv("FLOOR_GROUP");
	snprintf(group, sizeof group, "/%s-%d", base ? base : "floor", getpid());
	TRY(pipe2(pipefd, O_CLOEXEC));
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof args);
	TRY(pid);
	if (pid == 0)
		container(argv[1], pipefd[0], v2, &prog, argv + at);
	char text[16];
	snprintf(text, sizeof text, "%d", pid);
	cgroup_make(v2, text);
	TRY(write(pipefd[1], "x", 1));
	TRY(waitpid(pid, &status, 0));
	cgroup_remove(v2);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
