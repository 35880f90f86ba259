/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "deny.h"
#include "tap.h"

static struct err err;
static char dir[] = "/tmp/davit-test-fd-XXXXXX";

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

static void test_owner(void)
{
	int number, taken;

	{
		autofd fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		number = fd;
		ok(is_open(number));
		errno = 77;
	}
	is_int(errno, 77);
	ok(!is_open(number));
	{
		autofd fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		taken = take_fd(&fd);
		is_int(fd, -1);
	}
	ok(is_open(taken));
	close(taken);
}

static void check_size(size_t size, size_t max)
{
	autofd fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	autofree char *data = xmalloc(size + 1);
	autofree char *got = NULL;
	size_t len = 0;

	memset(data, 'q', size);
	data[size] = '\0';
	is_int(fd_write_all(fd, data, size), 0);
	lseek(fd, 0, SEEK_SET);
	got = fd_read_all(fd, max, &len, &err);
	if (size > max) {
		ok(got == NULL);
		is_int(err.errnum, EFBIG);
	} else {
		ok(got != NULL && len == size);
		is_str(got, data);
	}
}

static void test_read(void)
{
	static const size_t sizes[] = {0, 1, 100, 16383, 16384, 16385, 50000, 100000};
	static const size_t maxima[] = {0, 1, 100, 16383, 16384, 50000, 1 << 20};

	for (size_t s = 0; s < COUNT(sizes); s++)
		for (size_t m = 0; m < COUNT(maxima); m++)
			check_size(sizes[s], maxima[m]);
}

static void test_files(void)
{
	autofd at = open(dir, O_PATH | O_CLOEXEC);
	autofd fd = fd_open(at, "file", O_WRONLY | O_CREAT | O_EXCL, 0600, &err);
	autofree char *text = NULL;

	ok(is_cloexec(fd));
	is_int(file_put(at, "file", "value", &err), 0);
	text = file_read(at, "file", 100, NULL, &err);
	is_str(text, "value");
	is_int(file_put(at, "none", "value", &err), -1);
	is_int(err.errnum, ENOENT);
	is_str(err.msg, "write \"value\" to \"none\"");
	is_int(file_try_put(at, "none", "value"), -1);
	is_int(errno, ENOENT);
	ok(file_read(at, "none", 100, NULL, &err) == NULL);
	is_str(err.msg, "open \"none\"");
	is_int(fd_try_open(at, "none", O_RDONLY), -1);
	is_int(errno, ENOENT);
	ok(file_read(at, "file", 3, NULL, &err) == NULL);
	is_str(err.msg, "read \"file\" of at most 3 bytes");
	unlinkat(at, "file", 0);
}

static void test_pass(void)
{
	int pair[2], sent[2] = {0, 1}, got[4] = {-1, -1, -1, -1};
	char text[16] = "";
	size_t n = 99;

	is_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	is_int(fd_send(pair[0], "hello", 6, sent, 2), 0);
	is_int(fd_recv(pair[1], text, sizeof(text), got, 4, &n), 6);
	is_int((long long)n, 2);
	is_str(text, "hello");
	ok(is_cloexec(got[0]) && is_cloexec(got[1]));
	close(got[0]);
	close(got[1]);
	is_int(fd_send(pair[0], "none", 5, NULL, 0), 0);
	is_int(fd_recv(pair[1], text, sizeof(text), got, 4, &n), 5);
	is_int((long long)n, 0);
	close(pair[0]);
	is_int(fd_recv(pair[1], text, sizeof(text), got, 4, &n), 0);
	is_int(fd_send(pair[1], "x", 1, NULL, 0), -1); /* no SIGPIPE */
	is_int(errno, EPIPE);
	close(pair[1]);
}

/* More descriptors or bytes than expected are an error, and nothing leaks. */
static void test_pass_too_much(void)
{
	int pair[2], sent[FD_MSG_MAX], got[FD_MSG_MAX], lowest;
	char text[4];
	size_t n;

	for (int i = 0; i < FD_MSG_MAX; i++)
		sent[i] = 0;
	is_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	lowest = fcntl(0, F_DUPFD, 3);
	close(lowest);
	is_int(fd_send(pair[0], "x", 1, sent, FD_MSG_MAX), 0);
	is_int(fd_recv(pair[1], text, sizeof(text), got, FD_MSG_MAX - 1, &n), -1);
	is_int(errno, EMSGSIZE);
	is_int(fd_send(pair[0], "12345", 5, sent, 1), 0);
	is_int(fd_recv(pair[1], text, sizeof(text), got, 1, &n), -1);
	is_int(errno, EMSGSIZE);
	is_int(fd_send(pair[0], "x", 1, sent, FD_MSG_MAX), 0);
	is_int(fd_recv(pair[1], text, sizeof(text), got, FD_MSG_MAX, &n), 1);
	is_int((long long)n, FD_MSG_MAX);
	for (size_t i = 0; i < n; i++)
		close(got[i]);
	is_int(fd_send(pair[0], "x", 1, sent, FD_MSG_MAX + 1), -1);
	is_int(fcntl(0, F_DUPFD, 3), lowest);
	close(lowest);
	close(pair[0]);
	close(pair[1]);
}

static void check_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	autofd server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autofd client = -1;
	char name[128], moved[300];

	snprintf(name, sizeof(name), "%s/socket", dir);
	memcpy(addr.sun_path, name, strlen(name) + 1);
	is_int(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
	is_int(listen(server, 1), 0);
	snprintf(moved, sizeof(moved), "%s/%s", dir, path);
	is_int(rename(name, moved), 0);
	client = unix_connect(moved, &err);
	ok(client >= 0 && is_cloexec(client));
	unlink(moved);
}

static void test_connect(void)
{
	char name[201];

	memset(name, 'n', 200);
	name[200] = '\0';
	check_connect("short");
	check_connect(name);
	is_int(unix_connect("", &err), -1);
	is_int(unix_connect("/nonexistent/socket", &err), -1);
	is_int(err.errnum, ENOENT);
	is_str(err.msg, "connect to socket \"/nonexistent/socket\"");
}

static bool check_ranges(void)
{
	int a = fcntl(0, F_DUPFD, 50), b = fcntl(0, F_DUPFD, 70), c = fcntl(0, F_DUPFD, 60);

	if (fd_cloexec_from(60, &err) < 0 || is_cloexec(a) || !is_cloexec(b) || !is_cloexec(c))
		return false;
	return fd_close_from(60, &err) == 0 && is_open(a) && !is_open(b) && !is_open(c);
}

static void test_ranges(void)
{
	ok(deny_run(-1, 0, check_ranges));
	ok(deny_run(__NR_close_range, ENOSYS, check_ranges));
	ok(deny_run(__NR_close_range, EPERM, check_ranges));
}

static bool check_ranges_without_proc(void)
{
	return deny_syscall(__NR_close_range, ENOSYS) && check_ranges();
}

static void test_ranges_without_proc(void)
{
	ok(deny_run(__NR_fstatfs, ENOSYS, check_ranges_without_proc));
}

static bool check_stdio(void)
{
	struct stat st;

	close(0);
	close(2);
	if (fd_fill_stdio(false, &err) < 0 || write(2, "", 1) != 1)
		return false;
	close(1);
	if (fd_fill_stdio(false, &err) < 0 || write(1, "", 1) != -1 || errno != EBADF)
		return false;
	close(1);
	if (fd_fill_stdio(true, &err) < 0 || write(1, "", 1) != 1)
		return false;
	return fstat(0, &st) == 0 && st.st_rdev == 0x103 && fstat(2, &st) == 0 &&
	       st.st_rdev == 0x103 && !is_cloexec(0) && !is_open(3);
}

static void test_stdio(void)
{
	for (int fd = 3; fd < 10; fd++)
		close(fd);
	ok(deny_run(-1, 0, check_stdio));
}

/* In a child: it closes descriptors and sets the environment. */
static bool check_passed(void)
{
	unsigned listen;

	if (fd_close_from(3, &err) < 0 || dup2(0, 3) < 0 || dup2(0, 4) < 0 || dup2(0, 5) < 0)
		return false;
	unsetenv("LISTEN_FDS");
	if (fd_passed(0, &listen, &err) != 0 || fd_passed(3, &listen, &err) != 3 || listen != 0 ||
	    fd_passed(4, &listen, &err) != -1 || fd_passed(4097, &listen, &err) != -1)
		return false;
	setenv("LISTEN_FDS", "2", 1);
	if (fd_passed(1, &listen, &err) != 3 || listen != 2 || fd_passed(2, &listen, &err) != -1)
		return false;
	setenv("LISTEN_FDS", "", 1);
	if (fd_passed(1, &listen, &err) != 1 || listen != 0)
		return false;
	setenv("LISTEN_FDS", "two", 1);
	return fd_passed(0, &listen, &err) == -1;
}

static void test_passed(void)
{
	ok(deny_run(-1, 0, check_passed));
}

struct entries {
	unsigned dirs, others;
	bool dots;
};

static void entry_count(const char *name, unsigned char type, void *arg)
{
	struct entries *n = arg;

	n->dirs += type == DT_DIR;
	n->others += type != DT_DIR;
	n->dots |= str_eq(name, ".") || str_eq(name, "..");
}

static void test_each(void)
{
	autofd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct entries n = {0}, none = {0};
	char name[64];

	for (int i = 0; i < 300; i++) { /* more than fit into one call */
		snprintf(name, sizeof(name), "each-with-a-rather-long-name-%d", i);
		(void)mkdirat(fd, name, 0700);
	}
	is_int(dir_each(fd, entry_count, &n), 0);
	is_int(n.dirs, 300);
	ok(!n.dots);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "each-with-a-rather-long-name-%d", i);
		(void)unlinkat(fd, name, AT_REMOVEDIR);
	}
	is_int(dir_each(fd, entry_count, &none), 0); /* the end was reached */
	is_int(none.dirs + none.others, 0);
	fd_close_at(&fd);
	is_int(dir_each(fd, entry_count, &none), -1);
	is_int(errno, EBADF);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	RUN(test_owner);
	RUN(test_read);
	RUN(test_files);
	RUN(test_each);
	RUN(test_pass);
	RUN(test_pass_too_much);
	RUN(test_connect);
	RUN(test_ranges);
	RUN(test_ranges_without_proc);
	RUN(test_stdio);
	RUN(test_passed);
	rmdir(dir);
	return done();
}
