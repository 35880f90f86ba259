/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Storing, caching and installing programs. */
#include "kernel/seccomp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"
#include "child.h"
#include "kernel/blake2b.h"
#include "kernel/seccomp_compile.h"
#include "ocispec.h"
#include "seccomp_profile.h"
#include "tap.h"

#define S(literal) ((char[]){literal}) /* the config holds no const strings */

static char top[] = "/tmp/davit-test-seccomp-XXXXXX";
static int dir;

static void dir_make(void)
{
	ok(mkdtemp(top) != NULL);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int dir_empty(int at, bool count_only)
{
	autodir *d = fdopendir(openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		n += entry->d_name[0] != '.';
		if (!count_only && entry->d_name[0] != '.')
			unlinkat(at, entry->d_name, 0);
	}
	return n;
}

static bool same(const struct seccomp_program *a, const struct seccomp_program *b)
{
	return a->n == b->n && a->flags == b->flags && a->notify == b->notify &&
	       memcmp(a->insns, b->insns, a->n * sizeof(*a->insns)) == 0;
}

/* The digest of n bytes of text, added in pieces; its first four bytes as a number. */
static uint32_t digest_of(const char *text, size_t n, size_t piece)
{
	uint8_t digest[BLAKE2B_SIZE];
	struct blake2b b;

	blake2b_begin(&b);
	for (size_t at = 0; at < n; at += piece)
		blake2b_add(&b, text + at, piece < n - at ? piece : n - at);
	blake2b_end(&b, digest);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
	       digest[3];
}

static void test_blake2b(void)
{
	/* what Python's hashlib says */
	static const uint8_t abc[BLAKE2B_SIZE] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
	                                          0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
	                                          0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
	                                          0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
	static char million[1000000], all[256];
	uint8_t digest[BLAKE2B_SIZE];
	struct blake2b b;

	blake2b_begin(&b);
	blake2b_add(&b, "abc", 3);
	blake2b_end(&b, digest);
	ok(memcmp(digest, abc, sizeof(abc)) == 0);

	memset(million, 'a', sizeof(million));
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	is_int(digest_of("", 0, 1), 0x0e5751c0);
	is_int(digest_of(million, sizeof(million), 10), 0x0741850f);
	for (size_t piece = 1; piece <= sizeof(all); piece++) {
		is_int(digest_of(all, sizeof(all), piece), 0x39a7eb9f);
		is_int(digest_of("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		                 128, piece),
		       0x164ffb70);
	}
}

static void test_files(void)
{
	struct oci_seccomp *p = profile_big();
	struct seccomp_program one, two;
	struct err e = {0};
	char byte;

	is_int(seccomp_prepare(p, 0, -1, -1, NULL, &one, &e), 0);
	one.flags = SECCOMP_FILTER_FLAG_LOG;
	is_int(seccomp_save(dir, "f", &one, &e), 0);
	is_int(seccomp_save(dir, "f", &one, &e), 0);
	is_int(seccomp_restore(dir, "f", &two, &e), 0);
	ok(same(&one, &two));
	seccomp_free(&two);

	/* every bit counts, and so does the length */
	autofd fd = openat(dir, "f", O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	for (off_t at = 0; at < size; at += 7) {
		ok(pread(fd, &byte, 1, at) == 1);
		byte ^= 4;
		ok(pwrite(fd, &byte, 1, at) == 1);
		if (!is_int(seccomp_restore(dir, "f", &two, &e), -1))
			seccomp_free(&two);
		byte ^= 4;
		ok(pwrite(fd, &byte, 1, at) == 1);
	}
	ok(ftruncate(fd, size - 8) == 0);
	is_int(seccomp_restore(dir, "f", &two, &e), -1);
	ok(ftruncate(fd, 0) == 0);
	is_int(seccomp_restore(dir, "f", &two, &e), -1);

	/* what is not a private file of ours */
	is_int(seccomp_save(dir, "f", &one, &e), 0);
	ok(fchmodat(dir, "f", 0620, 0) == 0);
	is_int(seccomp_restore(dir, "f", &two, &e), -1);
	ok(fchmodat(dir, "f", 0600, 0) == 0);
	ok(linkat(dir, "f", dir, "g", 0) == 0); /* as many containers share one */
	is_int(seccomp_restore(dir, "g", &two, &e), 0);
	ok(same(&one, &two));
	seccomp_free(&two);
	if (geteuid() == 0) {
		ok(fchownat(dir, "f", 1, 1, 0) == 0);
		is_int(seccomp_restore(dir, "f", &two, &e), -1);
	}
	ok(unlinkat(dir, "g", 0) == 0 && symlinkat("f", dir, "g") == 0);
	is_int(seccomp_restore(dir, "g", &two, &e), -1);
	ok(unlinkat(dir, "g", 0) == 0 && mkfifoat(dir, "g", 0600) == 0);
	is_int(seccomp_restore(dir, "g", &two, &e), -1);
	is_int(seccomp_restore(dir, "../etc/passwd", &two, &e), -1);
	dir_empty(dir, false);
	seccomp_free(&one);
	profile_free(p);
}

static void test_decode(void)
{
	/* ret ALLOW; with a notify return before it */
	static const char *const bad[] = {"",  "BgAAAAAA/3", "BgAAAAAA_38=",     "BgAAAAAA",
	                                  "=", "====",       "BgAAAAAA/38=BgAA", "BgAAAAAA/38 ",
	                                  "A", "BgAAAAAA/3="};
	struct oci_seccomp p = {0};
	struct seccomp_program out;
	struct err e = {0};

	is_int(seccomp_decode("BgAAAAAA/38=", &p, &out, &e), 0);
	ok(out.n == 1 && out.insns[0].code == 6 && out.insns[0].k == SECCOMP_RET_ALLOW &&
	   !out.notify);
	seccomp_free(&out);
	is_int(seccomp_decode("BgAAAAAAwH8GAAAAAAD/fw==", NULL, &out, &e), 0);
	ok(out.n == 2 && out.notify);
	seccomp_free(&out);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (!is_int(seccomp_decode(bad[i], NULL, &out, &e), -1))
			printf("# \"%s\"\n", bad[i]);
}

static ino_t inode(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* What is kept for exec: shared with the cache, and there when the cache is not. */
static void test_kept(void)
{
	struct oci_seccomp *p = profile_big();
	struct seccomp_program one, two;
	struct err e = {0};
	autofd cache = seccomp_cache_open(dir, "cache");

	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"a", "b", "c"};

		is_int(seccomp_prepare(p, 0, i < 2 ? cache : -1, dir, names[i], &one, &e), 0);
		is_int(seccomp_restore(dir, names[i], &two, &e), 0);
		ok(same(&one, &two));
		seccomp_free(&one);
		seccomp_free(&two);
	}
	ok(inode(dir, "a") && inode(dir, "a") == inode(dir, "b"));
	ok(inode(dir, "c") != inode(dir, "a"));
	/* a damaged file in the cache is replaced, not written to */
	autofd fd = openat(dir, "a", O_WRONLY | O_CLOEXEC);

	ok(pwrite(fd, "x", 1, 60) == 1);
	is_int(seccomp_restore(dir, "b", &two, &e), -1);
	is_int(seccomp_prepare(p, 0, cache, dir, "d", &one, &e), 0);
	seccomp_free(&one);
	ok(inode(dir, "d") != inode(dir, "a"));
	is_int(seccomp_restore(dir, "d", &two, &e), 0);
	seccomp_free(&two);
	/* gone from the cache, it still is the container's */
	dir_empty(cache, false);
	is_int(seccomp_restore(dir, "d", &two, &e), 0);
	seccomp_free(&two);
	ok(unlinkat(dir, "cache", AT_REMOVEDIR) == 0);
	dir_empty(dir, false);
	profile_free(p);
}

static void test_cache(void)
{
	struct oci_seccomp *p = profile_big();
	struct seccomp_program one, two;
	struct err e = {0};
	autofd cache = seccomp_cache_open(dir, "cache");

	ok(cache >= 0);
	is_int(seccomp_prepare(p, 0, cache, -1, NULL, &one, &e), 0);
	is_int(dir_empty(cache, true), 1);
	is_int(seccomp_prepare(p, 0, cache, -1, NULL, &two, &e), 0);
	ok(same(&one, &two));
	seccomp_free(&two);
	/* the errno of a rule is part of the key, and of the default; so is the order of names */
	p->syscalls[1].errno_ret++;
	is_int(seccomp_prepare(p, 0, cache, -1, NULL, &two, &e), 0);
	ok(!same(&one, &two));
	is_int(dir_empty(cache, true), 2);
	seccomp_free(&two);
	p->default_errno_ret = 13;
	is_int(seccomp_prepare(p, SECCOMP_FAIL_UNKNOWN, -1, -1, NULL, &two, &e), -1);
	for (int i = 0; i < 100; i++) {
		p->default_errno_ret = (uint32_t)(100 + i);
		is_int(seccomp_prepare(p, 0, cache, -1, NULL, &two, &e), 0);
		seccomp_free(&two);
	}
	ok(dir_empty(cache, true) <= 64);

	/* a directory of others is not used */
	ok(fchmod(cache, 0755) == 0);
	is_int(seccomp_cache_open(dir, "cache"), -1);
	is_int(errno, EPERM);
	ok(symlinkat("cache", dir, "link") == 0);
	is_int(seccomp_cache_open(dir, "link"), -1);
	dir_empty(cache, false);
	ok(unlinkat(dir, "cache", AT_REMOVEDIR) == 0 && unlinkat(dir, "link", 0) == 0);
	seccomp_free(&one);
	profile_free(p);
}

/* getppid(2) gives ENOANO, getpid(2) is refused as well, all else is allowed */
static int install(void)
{
	char *names[] = {S("getppid")};
	struct oci_syscall s = {.names = names,
	                        .n_names = 1,
	                        .action = S("SCMP_ACT_ERRNO"),
	                        .errno_ret = ENOANO,
	                        .has_errno_ret = true};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ALLOW"), .syscalls = &s, .n_syscalls = 1};
	struct seccomp_program program;
	struct err e = {0};

	if (seccomp_prepare(&p, 0, -1, -1, NULL, &program, &e) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	program.flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	if (seccomp_install(&program, &e) != 0)
		return 2;
	if (syscall(__NR_getppid) != -1 || errno != ENOANO)
		return 3;
	return syscall(__NR_getpid) <= 0;
}

/* Everything but what this function needs is killed: nothing else may be called after the load. */
static int install_strict(void)
{
	char *names[] = {S("exit_group")};
	struct oci_syscall s = {.names = names, .n_names = 1, .action = S("SCMP_ACT_ALLOW")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_KILL_PROCESS"), .syscalls = &s, .n_syscalls = 1};
	struct seccomp_program program;
	struct err e = {0};

	if (seccomp_prepare(&p, 0, -1, -1, NULL, &program, &e) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	return (int)syscall(__NR_exit_group, seccomp_install(&program, &e) != 0);
}

static int install_bad(void)
{
	struct sock_filter nothing = {0};
	struct seccomp_program program = {.insns = &nothing, .n = 1};
	struct err e = {0};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return seccomp_install(&program, &e) != -1 || e.errnum != EINVAL;
}

static void test_install(void)
{
	is_int(in_child(install), 0);
	is_int(in_child(install_strict), 0);
	is_int(in_child(install_bad), 0);
}

/* The container's side: sendmsg(2) and all else is notified but what it takes to come here. */
static int notified(const struct seccomp_program *program, struct seccomp_mail *mail)
{
	struct err e = {0};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (seccomp_install_posted(program, mail, &e) < 0)
		return 1;
	return syscall(__NR_getppid) != 4321;
}

/* Reads the one message of an agent's connection. */
static int agent_read(int server, char *text, size_t size)
{
	int fds[2];
	size_t n_fds = 0;
	autofd sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n = fd_recv(sock, text, size - 1, fds, 2, &n_fds);

	text[n > 0 ? n : 0] = '\0';
	return n_fds == 1 ? fds[0] : -1;
}

static void agent_answer(int listener)
{
	struct seccomp_notif *request = xcalloc(1, 512);
	struct seccomp_notif_resp *response = xcalloc(1, 512);

	ok(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) == 0);
	is_int(request->data.nr, __NR_getppid);
	response->id = request->id;
	response->val = 4321;
	ok(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, response) == 0);
	free(request);
	free(response);
}

static int agent_listen(struct sockaddr_un *address)
{
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/agent", top);
	ok(bind(server, (struct sockaddr *)address, sizeof(*address)) == 0 &&
	   listen(server, 1) == 0);
	return server;
}

static void test_notify(void)
{
	char *names[] = {S("getppid"), S("sendmsg"), S("write"), S("futex")}, text[512];
	struct oci_syscall s = {.names = names, .n_names = 4, .action = S("SCMP_ACT_NOTIFY")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ALLOW"), .syscalls = &s, .n_syscalls = 1};
	struct sockaddr_un address = {0};
	struct seccomp_program program;
	struct seccomp_mail *mail;
	struct err e = {0};
	int status;

	is_int(seccomp_prepare(&p, 0, -1, -1, NULL, &program, &e), 0);
	ok(program.notify);
	mail = seccomp_mail_new(&e);
	pid_t pid = fork();

	if (pid == 0)
		_exit(notified(&program, mail));
	autofd pidfd = sys_pidfd_open(pid, 0);
	autofd server = agent_listen(&address);
	autofd listener = seccomp_listener_take(mail, pidfd, 5000, &e);

	if (listener < 0)
		printf("# %s %d\n", e.msg, e.errnum);
	ok(listener >= 0);
	is_int(seccomp_notify_send(address.sun_path, listener, "1.3.0", 77, "a\"b",
	                           "{\"id\":\"x\"}", &e),
	       0);
	autofd agent = agent_read(server, text, sizeof(text));

	is_str(text, "{\"ociVersion\":\"1.3.0\",\"fds\":[\"seccompFd\"],\"pid\":77,"
	             "\"metadata\":\"a\\\"b\",\"state\":{\"id\":\"x\"}}");
	ok(agent >= 0);
	agent_answer(agent);
	waitpid(pid, &status, 0);
	is_int(status, 0);
	is_int(seccomp_notify_send("/nonexistent/agent", listener, "1", 1, NULL, "{}", &e), -1);
	is_str(e.at, "/linux/seccomp/listenerPath");
	unlink(address.sun_path);
	seccomp_free(&program);
	munmap(mail, sizeof(*mail));
}

static void test_notify_failures(void)
{
	struct seccomp_mail *mail;
	struct err e = {0};
	int status;

	mail = seccomp_mail_new(&e);
	mail->state = -EACCES;
	is_int(seccomp_listener_take(mail, -1, 100, &e), -1);
	is_int(e.errnum, EACCES);
	is_int(mail->taken, 1);
	mail->state = 0;
	is_int(seccomp_listener_take(mail, -1, 20, &e), -1);
	is_int(e.errnum, ETIMEDOUT);
	autofd pidfd = -1;
	/* as the runtime gets it, which is older than pidfd_open(2) */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, 0);

	if (pid == 0)
		_exit(0);
	is_int(seccomp_listener_take(mail, pidfd, 5000, &e), -1);
	is_int(e.errnum, 0);
	waitpid(pid, &status, 0);
	munmap(mail, sizeof(*mail));
}

int main(void)
{
	dir_make();
	RUN(test_blake2b);
	RUN(test_files);
	RUN(test_decode);
	RUN(test_kept);
	RUN(test_cache);
	RUN(test_install);
	RUN(test_notify);
	RUN(test_notify_failures);
	fd_close_at(&dir);
	rmdir(top);
	return done();
}
