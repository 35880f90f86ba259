/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"

#define PASSED_MAX 4096 /* descriptors; more is a mistake */

void fd_close_at(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void dir_close_at(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	*dir = NULL;
	errno = saved;
}

int fd_open(int dir, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = openat(dir, path, flags | O_CLOEXEC | O_NOCTTY, mode);

	return fd < 0 ? fail(e, errno, "open \"%s\"", path) : fd;
}

int fd_try_open(int dir, const char *path, int flags)
{
	return openat(dir, path, flags | O_CLOEXEC | O_NOCTTY);
}

/* Reads up to max bytes, growing; NULL with errno, EFBIG when there is more. */
static char *fd_slurp(int fd, size_t max, size_t *len)
{
	/* big enough for a kernel file or a config.json at once; untouched pages cost nothing */
	size_t cap = max < 16384 ? max + 1 : 16384, used = 0;
	char *text = xmalloc(cap + 1);

	for (;;) {
		ssize_t n = read(fd, text + used, cap - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		used += (size_t)n;
		if (used > max) {
			errno = EFBIG;
			break;
		}
		if (n == 0) {
			text[used] = '\0';
			*len = used;
			return text;
		}
		if (used == cap) {
			cap = cap < max / 2 ? cap * 2 : max + 1;
			text = xrealloc(text, cap + 1, 1);
		}
	}
	free(text);
	return NULL;
}

static char *fd_slurp_named(int fd, const char *path, size_t max, size_t *len, struct err *e)
{
	size_t ignored;
	char *text = fd_slurp(fd, max, len ? len : &ignored);

	if (text)
		return text;
	if (errno == EFBIG)
		fail(e, EFBIG, "read \"%s\" of at most %zu bytes", path, max);
	else
		fail(e, errno, "read \"%s\"", path);
	return NULL;
}

char *fd_read_all(int fd, size_t max, size_t *len, struct err *e)
{
	char name[32];

	snprintf(name, sizeof(name), "descriptor %d", fd);
	return fd_slurp_named(fd, name, max, len, e);
}

char *file_read(int dir, const char *path, size_t max, size_t *len, struct err *e)
{
	autofd fd = fd_open(dir, path, O_RDONLY, 0, e);

	return fd < 0 ? NULL : fd_slurp_named(fd, path, max, len, e);
}

int dir_each(int dir, void (*fn)(const char *name, unsigned char type, void *arg), void *arg)
{
	_Alignas(struct dirent64) char buf[4096];
	ssize_t n;

	while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *de = (const void *)(buf + at);

			if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
				fn(de->d_name, de->d_type, arg);
			at += de->d_reclen;
		}
	}
	return n < 0 ? -1 : 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_try_put(int dir, const char *path, const char *text)
{
	autofd fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -1;
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if ((size_t)n != len) {
		errno = EIO;
		return -1;
	}
	return 0;
}

int file_put(int dir, const char *path, const char *text, struct err *e)
{
	if (file_try_put(dir, path, text) < 0)
		return fail(e, errno, "write \"%.128s\" to \"%s\"", text, path);
	return 0;
}

union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(FD_MSG_MAX * sizeof(int))];
};

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union fd_control control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > FD_MSG_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		                                 .cmsg_type = SCM_RIGHTS,
		                                 .cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	/* a stream may take a part only; the descriptors went with the first byte */
	do {
		ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	} while (iov.iov_len > 0);
	return 0;
}

/* Moves the received descriptors to fds; those beyond max are closed. Returns how many came. */
static size_t fd_take_control(struct msghdr *msg, int *fds, size_t max)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < got; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < max)
				fds[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t fd_recv(int sock, void *data, size_t size, int *fds, size_t max_fds, size_t *n_fds)
{
	union fd_control control;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.buf,
	                     .msg_controllen = sizeof(control.buf)};
	size_t came;
	ssize_t n;

	*n_fds = 0;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	came = fd_take_control(&msg, fds, max_fds);
	if (came > max_fds || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < came && i < max_fds; i++)
			fd_close_at(&fds[i]);
		errno = EMSGSIZE;
		return -1;
	}
	*n_fds = came;
	return n;
}

/* Connects through the descriptor of the socket's inode when the path does not fit an address. */
static int unix_address(const char *path, struct sockaddr_un *addr, int *inode)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path) + 1);
		return 0;
	}
	*inode = open(path, O_PATH | O_CLOEXEC);
	if (*inode < 0)
		return -1;
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d", *inode);
	return 0;
}

int unix_connect_within(const char *path, int ms, struct err *e)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct sockaddr_un addr;
	autofd inode = -1;
	autofd sock = -1;

	if (!*path) /* would autobind or name the abstract space */
		return fail(e, EINVAL, "connect to socket \"\"");
	if (unix_address(path, &addr, &inode) < 0)
		return fail(e, errno, "open socket \"%s\"", path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return fail(e, errno, "make a socket");
	/* connect(2) blocks while the backlog is full; this cannot fail */
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return fail(e, errno == EAGAIN ? ETIMEDOUT : errno, "connect to socket \"%s\"",
		            path);
	return take_fd(&sock);
}

int unix_connect(const char *path, struct err *e)
{
	return unix_connect_within(path, 10000, e);
}

static void fd_mark(int fd, bool close_it)
{
	if (close_it)
		close(fd);
	else
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* EBADF: not open */
}

/* The list in /proc/self/fd; -1 if that is not to be had. What is mounted on /proc may not be a
 * procfs at all, hence the check. */
static int fd_range_listed(int first, bool close_it)
{
	autofd fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autodir *dir = NULL;
	struct dirent *entry;
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return -1;
	dir = fdopendir(fd);
	if (!dir)
		return -1;
	(void)take_fd(&fd); /* dir owns it */
	while ((entry = readdir(dir))) {
		uint64_t n;

		if (str_to_u64(entry->d_name, &n) < 0 || n < (uint64_t)first ||
		    n == (uint64_t)dirfd(dir))
			continue;
		fd_mark((int)n, close_it);
	}
	return 0;
}

/* Without close_range(2) (5.9; its flag 5.11). */
static int fd_range_fallback(int first, bool close_it, struct err *e)
{
	struct rlimit limit;

	if (fd_range_listed(first, close_it) == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return fail(e, errno, "read the limit of open files");
	if (limit.rlim_max > 1 << 20) /* the default of fs.nr_open */
		limit.rlim_max = 1 << 20;
	for (int fd = first; fd < (int)limit.rlim_max; fd++)
		fd_mark(fd, close_it);
	return 0;
}

static int fd_range(int first, bool close_it, struct err *e)
{
	if (sys_close_range((unsigned)first, ~0U, close_it ? 0 : CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
		return fail(e, errno, "close the descriptors from %d on", first);
	return fd_range_fallback(first, close_it, e);
}

int fd_cloexec_from(int first, struct err *e)
{
	return fd_range(first, false, e);
}

int fd_close_from(int first, struct err *e)
{
	return fd_range(first, true, e);
}

int fd_close_between(int first, int last, struct err *e)
{
	if (last < first || sys_close_range((unsigned)first, (unsigned)last, 0) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
		return fail(e, errno, "close the descriptors from %d to %d", first, last);
	for (int fd = first; fd <= last; fd++)
		close(fd);
	return 0;
}

int fd_fill_stdio(bool shared, struct err *e)
{
	struct pollfd all[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};

	/* one call says that nothing is missing, as nearly always */
	if (poll(all, COUNT(all), 0) >= 0 &&
	    !((all[0].revents | all[1].revents | all[2].revents) & POLLNVAL))
		return 0;
	for (int fd = 0; fd <= 2; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* the lowest free number, thus fd; stays open over exec on purpose */
		got = open("/dev/null", (fd == 1 && !shared ? O_RDONLY : O_RDWR) | O_NOCTTY);
		if (got < 0)
			return fail(e, errno, "open \"/dev/null\" as descriptor %d", fd);
	}
	return 0;
}

int fd_passed(unsigned preserve, unsigned *listen, struct err *e)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t n = 0;

	if (text && *text && (str_to_u64(text, &n) < 0 || n > PASSED_MAX))
		return fail(e, 0, "LISTEN_FDS \"%.32s\" is not a number of descriptors", text);
	*listen = (unsigned)n;
	n += preserve;
	if (n > PASSED_MAX)
		return fail(e, 0, "%llu descriptors are too many to preserve",
		            (unsigned long long)n);
	for (int fd = 3; fd < 3 + (int)n; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return fail(e, 0, "descriptor %d is to be preserved, but it is not open",
			            fd);
	return (int)n;
}
