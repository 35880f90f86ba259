/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The path module, each test with openat2(2) and with the walk. */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "tap.h"

static char top[] = "/tmp/davit-test-path-XXXXXX";
static int top_fd, root;
static struct err err;

static int file_make(int dir, const char *name, const char *text)
{
	autofd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text));
}

/* TOP/secret, TOP/outside/, TOP/root/...: the tree every test starts with. */
static bool tree_make(void)
{
	if (!mkdtemp(top))
		return false;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top_fd < 0 || file_make(top_fd, "secret", "secret") < 0 ||
	    mkdirat(top_fd, "outside", 0755) < 0 || mkdirat(top_fd, "root", 0755) < 0)
		return false;
	root = openat(top_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root >= 0 && mkdirat(root, "a", 0755) == 0 && mkdirat(root, "a/b", 0755) == 0 &&
	       mkdirat(root, "secret", 0755) == 0 && file_make(root, "a/file", "inside") == 0 &&
	       file_make(root, "file", "inside") == 0 && symlinkat("a", root, "to_a") == 0 &&
	       symlinkat("/a/b", root, "to_b") == 0 &&
	       symlinkat("../../../../file", root, "a/b/up") == 0 &&
	       symlinkat("../../secret", root, "a/out") == 0 &&
	       symlinkat("loop2", root, "loop1") == 0 && symlinkat("loop1", root, "loop2") == 0 &&
	       symlinkat("/", root, "to_root") == 0 && symlinkat("to_b/", root, "slash") == 0 &&
	       symlinkat("/made/by/link", root, "dangling") == 0;
}

static void tree_remove(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", top, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* 0 if path opens the same inode as the host's name below the root, else the errno. */
static int resolves(const char *path, int flags, const char *want)
{
	autofd fd = path_try_open(root, path, flags);
	struct stat a, b;

	if (fd < 0)
		return errno;
	if (fstat(fd, &a) < 0 || fstatat(root, want, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return a.st_ino == b.st_ino && a.st_dev == b.st_dev ? 0 : -2;
}

static const struct {
	const char *path;
	int flags;
	const char *want;
	int result;
} cases[] = {
	{"a/file",               O_RDONLY,               "a/file", 0      },
	{"/a/file",              O_PATH,                 "a/file", 0      },
	{"//a/.//file",          O_PATH,                 "a/file", 0      },
	{"to_a/file",            O_RDONLY,               "a/file", 0      },
	{"to_b",		 O_PATH,                 "a/b",    0      },
	{"to_b",		 O_PATH | O_NOFOLLOW,    "to_b",   0      },
	{"to_b/",                O_PATH | O_NOFOLLOW,    "a/b",    0      },
	{"to_b",		 O_RDONLY | O_NOFOLLOW,  "",       ELOOP  },
	{"slash",                O_RDONLY,               "a/b",    0      },
	{"slash/up",             O_RDONLY,               "file",   0      },
	{"to_b/up",              O_PATH,                 "file",   0      },
	{"a/b/up/",              O_PATH,                 "",       ENOTDIR},
	{"a/out",                O_PATH,                 "secret", 0      },
	{"../../../secret",      O_PATH,                 "secret", 0      },
	{"a/../../file",         O_RDONLY,               "file",   0      },
	{"a/b/..",               O_PATH,                 "a",      0      },
	{"to_root",              O_PATH,                 ".",      0      },
	{"to_root/to_root/a/..", O_RDONLY,               ".",      0      },
	{"/",		    O_PATH,                 ".",      0      },
	{".",		    O_RDONLY | O_DIRECTORY, ".",      0      },
	{"..",		   O_RDONLY | O_DIRECTORY, ".",      0      },
	{"",		     O_PATH,                 "",       ENOENT },
	{"nope",		 O_PATH,                 "",       ENOENT },
	{"nope/x",               O_PATH,                 "",       ENOENT },
	{"file/",                O_PATH,                 "",       ENOTDIR},
	{"file/x",               O_PATH,                 "",       ENOTDIR},
	{"file/.",               O_PATH,                 "",       ENOTDIR},
	{"file/..",              O_PATH,                 "",       ENOTDIR},
	{"file",		 O_PATH | O_DIRECTORY,   "",       ENOTDIR},
	{"loop1",                O_PATH,                 "",       ELOOP  },
	{"loop1",                O_RDONLY,               "",       ELOOP  },
	{"loop1/x",              O_PATH,                 "",       ELOOP  },
	{"loop1",                O_PATH | O_NOFOLLOW,    "loop1",  0      },
	{"dangling",             O_PATH,                 "",       ENOENT },
};

static void check_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (!is_int(resolves(cases[i].path, cases[i].flags, cases[i].want),
		            cases[i].result))
			printf("# path \"%s\" flags %#o\n", cases[i].path,
			       (unsigned)cases[i].flags);
}

static void both(void (*check)(void))
{
	check();
	path_force_fallback(true);
	check();
	path_force_fallback(false);
}

static void test_resolve(void)
{
	both(check_cases);
}

static void check_limits(void)
{
	char path[5000];
	char name[16], to[16];

	memset(path, 'x', sizeof(path));
	path[256] = '\0';
	is_int(resolves(path, O_PATH, ""), ENAMETOOLONG);
	path[255] = '\0';
	is_int(resolves(path, O_PATH, ""), ENOENT);
	for (size_t i = 0; i < 4096; i++)
		path[i] = i % 2 ? '/' : '.';
	path[4096] = '\0';
	is_int(resolves(path, O_PATH, ""), ENAMETOOLONG);
	path[4095] = '\0';
	is_int(resolves(path, O_PATH, "."), 0);
	/* l41 -> l40 -> ... -> l1 -> file: 40 links are followed, 41 are not */
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(to, sizeof(to), i > 1 ? "l%d" : "file", i - 1);
		ok(symlinkat(to, root, name) == 0 || errno == EEXIST);
	}
	is_int(resolves("l40", O_PATH, "file"), 0);
	is_int(resolves("l41", O_PATH, ""), ELOOP);
}

static void test_limits(void)
{
	both(check_limits);
}

/* Links that a kernel jumps through are refused, plain ones on procfs are not. */
static void check_magic(void)
{
	autofd proc = open("/proc", O_PATH | O_CLOEXEC);
	autofd fd = path_try_open(proc, "self/stat", O_RDONLY);
	autofd mounts = path_try_open(proc, "mounts", O_RDONLY);

	ok(fd >= 0);
	ok(mounts >= 0);
	is_int(path_try_open(proc, "self/root/etc", O_PATH), -1);
	is_int(errno, ELOOP);
	is_int(path_try_open(proc, "self/fd/0", O_PATH), -1);
	is_int(errno, ELOOP);
	is_int(path_try_open(proc, "self/exe", O_RDONLY), -1);
	is_int(errno, ELOOP);
	ok(path_is_fs(proc, PROC_SUPER_MAGIC));
	ok(!path_is_fs(root, PROC_SUPER_MAGIC));
}

static void test_magic(void)
{
	both(check_magic);
}

static int beneath(const char *path, int flags)
{
	autofd fd = path_try_beneath(root, path, flags, 0600);

	return fd < 0 ? errno : 0;
}

static void check_beneath(void)
{
	autofd host = open("/", O_PATH | O_CLOEXEC);

	is_int(beneath("a/file", O_RDONLY), 0);
	is_int(beneath("a/../file", O_RDONLY), 0);
	is_int(beneath("/file", O_RDONLY), EXDEV);
	is_int(beneath("..", O_RDONLY), EXDEV);
	is_int(beneath("a/../../secret", O_RDONLY), EXDEV);
	is_int(beneath("to_a/file", O_RDONLY), ELOOP);
	is_int(beneath("to_a", O_PATH), ELOOP);
	is_int(beneath("dangling", O_WRONLY | O_CREAT), ELOOP);
	is_int(beneath("a/new/", O_WRONLY | O_CREAT), EISDIR);
	is_int(beneath("a/new", O_WRONLY | O_CREAT | O_EXCL), 0);
	is_int(beneath("a/new", O_WRONLY | O_CREAT | O_EXCL), EEXIST);
	is_int(unlinkat(root, "a/new", 0), 0);
	is_int(path_try_beneath(host, "proc/version", O_RDONLY, 0), -1);
	is_int(errno, EXDEV);
}

static void test_beneath(void)
{
	both(check_beneath);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void check_make(void)
{
	autofd dir = path_mkdirs(root, "new/one/two", 0711, &err);
	autofd again = path_mkdirs(root, "new/one/../one/two/", 0700, &err);
	autofd file = path_mkfile(root, "/new/x/y/file", 0640, &err);
	autofd linked = path_mkfile(root, "dangling", 0600, &err);
	autofd dir_of_link = path_mkdirs(root, "a/b/../../dangling/../sub", 0700, &err);

	ok(dir >= 0 && again >= 0 && file >= 0 && linked >= 0);
	is_int(mode_of("new/one"), S_IFDIR | 0711);
	is_int(mode_of("new/one/two"), S_IFDIR | 0711);
	is_int(mode_of("new/x/y"), S_IFDIR | 0755);
	is_int(mode_of("new/x/y/file"), S_IFREG | 0640);
	is_int(mode_of("made/by/link"), S_IFREG | 0600);
	is_int(dir_of_link, -1);
	is_int(err.errnum, ENOTDIR);
	is_int(path_mkdirs(root, "file/x", 0755, &err), -1);
	is_int(err.errnum, ENOTDIR);
	is_str(err.msg, "make directory \"file/x\" below the root");
	is_int(path_mkdirs(root, "loop1/x", 0755, &err), -1);
	is_int(err.errnum, ELOOP);
	is_int(path_mkfile(root, "new/z/", 0755, &err), -1);
	is_int(err.errnum, ENOENT);
	ok(faccessat(top_fd, "made", F_OK, 0) < 0);
	is_int(unlinkat(root, "new/x/y/file", 0), 0);
	unlinkat(root, "new/x/y", AT_REMOVEDIR);
	unlinkat(root, "new/x", AT_REMOVEDIR);
	unlinkat(root, "new/one/two", AT_REMOVEDIR);
	unlinkat(root, "new/one", AT_REMOVEDIR);
	unlinkat(root, "new", AT_REMOVEDIR);
	unlinkat(root, "made/by/link", 0);
	unlinkat(root, "made/by", AT_REMOVEDIR);
	is_int(unlinkat(root, "made", AT_REMOVEDIR), 0);
}

static void test_make(void)
{
	mode_t old = umask(0);

	both(check_make);
	umask(old);
}

static void test_parent(void)
{
	char name[256];
	autofd plain = path_parent(root, "/to_a/b//x//", false, name, &err);
	struct stat a, b;

	ok(plain >= 0);
	is_str(name, "x");
	ok(fstat(plain, &a) == 0 && fstatat(root, "a/b", &b, 0) == 0 && a.st_ino == b.st_ino);
	is_int(path_parent(root, "a/..", false, name, &err), -1);
	is_int(err.errnum, EINVAL);
	is_int(path_parent(root, "/", false, name, &err), -1);
	is_int(err.errnum, EINVAL);
	is_int(path_parent(root, "", false, name, &err), -1);
	is_int(err.errnum, EINVAL);
	is_int(path_parent(root, "none/x", false, name, &err), -1);
	is_int(err.errnum, ENOENT);
	is_int(path_mknod(root, "a/x", S_IFIFO | 0600, 0, &err), -1);
	is_int(path_mknod(root, "file", S_IFIFO | 0600, 0, &err), -1);
	is_int(err.errnum, EEXIST);
	is_int(path_symlink("to", root, "a/x", &err), -1);
}

/* Swaps names until it is killed: a directory with a link to the outside, and a directory with
 * its twin outside the root, so that ".." of it leads out. */
static void racer(void)
{
	for (;;) {
		syscall(SYS_renameat2, root, "swap", root, "swap_link", RENAME_EXCHANGE);
		syscall(SYS_renameat2, root, "deep/x", top_fd, "outside/x", RENAME_EXCHANGE);
	}
}

static bool is_secret(int fd)
{
	struct stat st, secret;

	return fstat(fd, &st) == 0 && fstatat(top_fd, "secret", &secret, 0) == 0 &&
	       st.st_ino == secret.st_ino;
}

static void race_run(double seconds, int *opened, int *leaked)
{
	static const char *const paths[] = {"swap/secret", "swap/../secret", "deep/x/../../secret",
	                                    "deep/x/../../../secret", "swap/x/../../secret"};
	struct timespec start, now;
	size_t n = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		autofd fd = path_try_open(root, paths[n++ % 5], O_PATH);
		autofd made = path_mkfile(root, "swap/../deep/x/../made", 0600, &err);

		*opened += fd >= 0 || made >= 0;
		if (fd >= 0 && is_secret(fd))
			++*leaked;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
	         seconds);
}

/* "secret" is a file outside and a directory inside: no race may open the file. */
static void test_race(void)
{
	int opened = 0, leaked = 0;
	pid_t pid;

	ok(mkdirat(root, "swap", 0755) == 0 && mkdirat(root, "swap/x", 0755) == 0);
	ok(mkdirat(root, "swap/secret", 0755) == 0);
	ok(symlinkat("..", root, "swap_link") == 0);
	ok(mkdirat(root, "deep", 0755) == 0 && mkdirat(root, "deep/x", 0755) == 0);
	ok(mkdirat(top_fd, "outside/x", 0755) == 0);
	pid = fork();
	if (pid == 0)
		racer();
	race_run(0.5, &opened, &leaked);
	path_force_fallback(true);
	race_run(0.5, &opened, &leaked);
	path_force_fallback(false);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("# %d opened\n", opened);
	ok(opened > 100);
	is_int(leaked, 0);
	ok(faccessat(top_fd, "made", F_OK, 0) < 0 &&
	   faccessat(top_fd, "outside/made", F_OK, 0) < 0);
}

int main(void)
{
	if (!tree_make()) {
		printf("Bail out! cannot make the test tree %s: %s\n", top, strerror(errno));
		return 1;
	}
	RUN(test_resolve);
	RUN(test_limits);
	RUN(test_magic);
	RUN(test_beneath);
	RUN(test_make);
	RUN(test_parent);
	RUN(test_race);
	tree_remove();
	return done();
}
