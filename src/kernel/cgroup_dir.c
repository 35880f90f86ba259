/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

#define MKDIR_TRIES 32

int cgroup_dir_open(const struct cgroup_dir *d, const char *file, int flags)
{
	size_t n, m;
	char path[PATH_MAX];

	if (d->fd >= 0)
		return openat(d->fd, file, flags | O_CLOEXEC | O_NOFOLLOW);
	n = strlen(d->path);
	m = strlen(file);
	if (n + m + 2 > sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, d->path, n);
	path[n] = '/';
	memcpy(path + n + 1, file, m + 1);
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW);
}

int cgroup_dir_fd(struct cgroup_dir *d)
{
	if (d->fd < 0)
		d->fd = open(d->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d->fd;
}

int cgroup_dir_make(const struct cgroup_dir *d)
{
	autofree char *path = xstrdup(d->path);

	for (int i = 0; i < MKDIR_TRIES; i++) {
		if (mkdir(path, 0755) == 0)
			return 0;
		if (errno != ENOENT)
			return -1;
		for (char *p = strchr(path + d->mount_len + 1, '/'); p; p = strchr(p + 1, '/')) {
			int rc;

			*p = '\0';
			rc = mkdir(path, 0755);
			*p = '/';
			if (rc < 0 && errno != EEXIST)
				return -1;
		}
	}
	return -1;
}

unsigned short cgroup_dir_missing(const struct cgroup_dir *d)
{
	autofree char *path = xstrdup(d->path);
	unsigned short n = 0, total = 0;
	char *end = path + d->mount_len;

	for (char *p = end; *p; p++)
		total += *p == '/';
	/* From the top: the first container below a parent needs one look only. */
	for (unsigned short i = 1; i <= total; i++) {
		char *next = strchr(end + 1, '/');

		if (next)
			*next = '\0';
		if (access(path, F_OK) < 0 && errno == ENOENT) {
			n = (unsigned short)(total - i + 1);
			break;
		}
		if (!next)
			break;
		*next = '/';
		end = next;
	}
	return n;
}

int cgroup_dir_chown(const struct cgroup_dir *d, const char *file, uid_t uid, gid_t gid)
{
	autofd fd = cgroup_dir_open(d, file, O_PATH);

	return fd < 0 ? -1 : fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}

ssize_t cgroup_dir_read(const struct cgroup_dir *d, const char *file, char *buf, size_t size)
{
	autofd fd = cgroup_dir_open(d, file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = read(fd, buf, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

char *cgroup_dir_slurp(const struct cgroup_dir *d, const char *file)
{
	autofd fd = cgroup_dir_open(d, file, O_RDONLY);
	autostr text = {0};

	if (fd < 0)
		return NULL;
	for (;;) {
		char buf[4096];
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		if (n == 0 || text.len > (16u << 20))
			return str_steal(&text);
		str_addn(&text, buf, (size_t)n);
	}
}

int cgroup_dir_write(const struct cgroup_dir *d, const char *file, const char *text)
{
	autofd fd = cgroup_dir_open(d, file, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	if (!text[0])
		text = "\n"; /* the kernel does not see a write of nothing */
	do
		n = write(fd, text, strlen(text));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int cgroup_dir_u64(const struct cgroup_dir *d, const char *file, uint64_t *value)
{
	char buf[64];

	if (cgroup_dir_read(d, file, buf, sizeof(buf)) < 0)
		return -1;
	if (str_eq(buf, "max") || str_eq(buf, "-1")) {
		*value = UINT64_MAX;
		return 0;
	}
	if (str_to_u64(buf, value) < 0) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

bool cgroup_text_u64(const char *text, const char *key, uint64_t *value)
{
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		uint64_t v = 0;

		if (strncmp(p, key, n) != 0 || p[n] != ' ')
			continue;
		for (p += n + 1; *p >= '0' && *p <= '9'; p++)
			if (__builtin_mul_overflow(v, 10, &v) ||
			    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
				return false;
		*value = v;
		return true;
	}
	return false;
}

const char *cgroup_dir_name(const struct cgroup_dir *d)
{
	return d->path + d->mount_len;
}

struct cgroup_dir *cgroup_dir_v2(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->v[i].v2)
			return &cg->v[i];
	return NULL;
}

struct cgroup_dir *cgroup_dir_of(struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->n; i++)
		if (!cg->v[i].v2 && cgroup_list_has(cg->v[i].controllers, controller))
			return &cg->v[i];
	return cgroup_dir_v2(cg);
}

struct cgroup_dir *cgroup_dir_main(struct cgroup *cg)
{
	static const char *const order[] = {"freezer", "devices", "name=systemd", "pids"};
	struct cgroup_dir *d = cgroup_dir_v2(cg);

	for (size_t k = 0; k < COUNT(order) && !d; k++)
		d = cgroup_dir_of(cg, order[k]);
	return d || !cg->n ? d : &cg->v[0];
}

int cgroup_ms_left(int64_t deadline)
{
	int64_t left = deadline - clock_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void cgroup_wait_event(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLPRI};

	(void)poll(&p, 1, ms); /* the caller looks again, whatever woke it */
}
