/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unapplied.h"
#include "read.h"
#include "write.h"

#define RECORD_MAX  (16u << 20)
#define RECORD_PAGE 4096 /* few are larger */

const char *const davit_status_names[] = {"creating", "created", "running", "paused", "stopped"};

int state_id_check(const char *id, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+.-";
	size_t n = strlen(id);

	if (n == 0)
		return fail(e, 0, "the container id is empty");
	if (n > NAME_MAX)
		return fail(e, 0, "the container id is longer than %d bytes", NAME_MAX);
	if (strspn(id, allowed) != n || *id == '.' || *id == '-')
		return fail(e, 0,
		            "invalid container id \"%.64s\": letters, digits and _+.- are allowed, "
		            "and neither . nor - at the start",
		            id);
	return 0;
}

/* ---- the state root */

static bool is_real_root(void)
{
	const char *user, *dir;
	autofd fd = -1;
	char map[64];
	ssize_t n;

	if (geteuid() != 0)
		return false;
	/* Engines of users call us as root of their user namespace, with few variables or none. */
	user = getenv("USER");
	dir = getenv("XDG_RUNTIME_DIR");
	if (!dir || *dir != '/' || (user && strcmp(user, "root") == 0))
		return true;
	fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, map, sizeof map - 1);
	if (n <= 0)
		return true;
	map[n] = '\0';
	return strstr(map, "4294967295") != NULL;
}

char *davit_default_root(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (is_real_root())
		return xstrdup("/run/davit");
	if (dir && *dir == '/')
		return xasprintf("%s/davit", dir);
	return xasprintf("/run/user/%u/davit", geteuid());
}

static int root_make(const char *path, struct err *e)
{
	autofree char *copy = xstrdup(path);
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	bool pruned = xdg && str_starts(path, xdg) && geteuid() != 0;

	for (char *s = copy + 1;; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return fail(e, errno, "make state root \"%s\"", path);
		*s = c;
		if (c == '\0')
			break;
	}
	/* the sticky bit keeps the directory from being cleaned up as stale (XDG base directory
	 * specification) */
	if (pruned && chmod(path, 01700) < 0)
		return fail(e, errno, "set the mode of state root \"%s\"", path);
	return 0;
}

int state_root_open(const struct davit_context *c, bool make, struct err *e)
{
	autofree char *standard = c->root ? NULL : davit_default_root();
	const char *path = c->root ? c->root : standard;
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	autofd fd = -1;
	struct stat st;

	if (*path == '\0' || strspn(path, "/") == strlen(path))
		return fail(e, 0, "\"%s\" cannot be the state root", path);
	fd = fd_try_open(AT_FDCWD, path, flags);
	if (fd < 0 && errno == ENOENT && make) {
		if (root_make(path, e) < 0)
			return c->root ? -1
			               : fail_hint(e, "set XDG_RUNTIME_DIR to a directory of "
			                              "yours, or give one with --root");
		fd = fd_try_open(AT_FDCWD, path, flags);
	}
	if (fd < 0) {
		fail(e, errno, "open state root \"%s\"", path);
		e->errnum = errno;
		return -1;
	}
	if (fstat(fd, &st) < 0)
		return fail(e, errno, "state root \"%s\"", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fail(e, 0, "state root \"%s\" belongs to user %u", path, st.st_uid);
	if ((st.st_mode & 0022) && !(st.st_mode & S_ISVTX))
		return fail(e, 0, "state root \"%s\" can be written by others (mode %04o)", path,
		            st.st_mode & 07777);
	return take_fd(&fd);
}

/* ---- writing */

/* True if no resource of the container can exist: the record, which comes before all of them, was
 * not written, or was removed, which comes after. */
static bool is_unmade(int dir, size_t record_len)
{
	struct stat st;

	return record_len == 0 && fstatat(dir, "init", &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/* The same of a directory that was found; what may be in it is removed. -1 with errno, EEXIST if
 * there is a container. */
static int unmade_clear(int dir)
{
	struct stat st = {0};
	bool recorded = fstatat(dir, "state.json", &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (!recorded && errno != ENOENT)
		return -1;
	errno = EEXIST; /* what a successful look leaves */
	if ((recorded && !S_ISREG(st.st_mode)) || !is_unmade(dir, (size_t)st.st_size))
		return -1;
	return recorded ? unlinkat(dir, "state.json", 0) : 0;
}

static int state_dir_lock(int root, const char *id, bool made, struct err *e)
{
	autofd dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool locked = dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0;
	struct stat st;

	if (locked) {
		bool known = fstat(dir, &st) == 0;

		if (known && st.st_nlink > 0)
			return take_fd(&dir);
		if (known) {
			fd_close_at(&dir);
			errno = ENOENT;
		}
	}
	if (dir < 0 && errno == ENOENT)
		return fail(e, 0, "container \"%s\" is gone: it was deleted while it was made", id);
	if (dir < 0 ? errno == ENOTDIR || errno == ELOOP : !locked && errno == EWOULDBLOCK)
		return fail(e, 0, "container \"%s\" already exists", id);
	fail(e, errno, "lock the state directory of \"%s\"", id);
	if (made)
		unlinkat(root, id, AT_REMOVEDIR);
	return -1;
}

int state_reserve(int root, const char *id, struct err *e)
{
	bool made = mkdirat(root, id, 0700) == 0;
	autofd dir = -1;

	if (!made && errno != EEXIST)
		return fail(e, errno, "make the state directory of \"%s\"", id);
	dir = state_dir_lock(root, id, made, e);
	if (dir < 0)
		return -1;
	/* somebody else may have taken over an unlocked new directory, or removed it */
	if (unmade_clear(dir) == 0)
		return take_fd(&dir);
	if (errno == EEXIST)
		return fail(e, 0, "container \"%s\" already exists", id);
	fail(e, errno, "look at the state directory of \"%s\"", id);
	if (made)
		unlinkat(root, id, AT_REMOVEDIR);
	return -1;
}

/* The length of the part of the record that `state` and `list` need, without the last bracket: the
 * record begins with it. */
static size_t record_head_len(const struct rec_record *rec, struct arena *a)
{
	const struct rec_record head = {
		.format = rec->format,
		.id = rec->id,
		.oci_version = rec->oci_version,
		.bundle = rec->bundle,
		.rootfs = rec->rootfs,
		.created = rec->created,
		.owner = rec->owner,
		.boot_id = rec->boot_id,
		.freezer = rec->freezer,
		.annotations = rec->annotations,
		.not_applied = rec->not_applied,
		.n_not_applied = rec->n_not_applied,
	};
	size_t len;

	(void)oci_write(&record_schema, REC_RECORD, &head, OCI_WRITE_COMPACT, a, &len);
	return len - 1;
}

/* Two lines: see record_head. No string has a line feed, for JSON writes it in another way. */
int state_write(int dir, const struct rec_record *rec, struct err *e)
{
	struct arena a = {0};
	size_t head = record_head_len(rec, &a), len;
	char *text = oci_write(&record_schema, REC_RECORD, rec, OCI_WRITE_COMPACT, &a, &len);
	char feed[] = "\n";
	struct iovec lines[] = {
		{.iov_base = text,        .iov_len = head      },
		{.iov_base = feed,        .iov_len = 1         },
		{.iov_base = text + head, .iov_len = len - head},
		{.iov_base = feed,        .iov_len = 1         }
        };
	autofd fd = openat(dir, "state.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	                   0600);
	ssize_t n = fd < 0 ? -1 : writev(fd, lines, COUNT(lines));
	int r = 0;

	if (n != (ssize_t)len + 2) /* a write that ends early has met the end of the space */
		r = fail(e, n < 0 ? errno : ENOSPC, "write the state of \"%s\"", rec->id);
	arena_free(&a);
	return r;
}

#define NOTES     "notApplied"
#define NOTES_MAX 65536

int state_notes_write(int dir, size_t from, struct err *e)
{
	char *const *notes;
	autostr text = {0};
	autofd fd = -1;
	size_t n;

	notes = unapplied_list(&n);
	for (size_t i = from; i < n; i++)
		str_addf(&text, "%s\n", notes[i]);
	if (!text.s)
		return 0;
	fd = openat(dir, NOTES, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, text.s, text.len) < 0)
		return fail(e, errno, "write what could not be applied");
	return 0;
}

void state_notes_read(struct container *k)
{
	autofd fd = openat(k->dir, NOTES, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct err ignored;
	autofree char *text = fd < 0 ? NULL : fd_read_all(fd, NOTES_MAX, NULL, &ignored);
	char *rest = text, *line;
	size_t n = k->rec->n_not_applied, max = n + 1;
	char **v;

	if (!text)
		return;
	for (const char *c = text; *c; c++)
		max += *c == '\n';
	v = arena_array(&k->arena, max, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = k->rec->not_applied[i];
	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			v[n++] = arena_strdup(&k->arena, line);
	k->rec->not_applied = v;
	k->rec->n_not_applied = n;
}

int state_set_init(int dir, const struct proc_id *init, struct err *e)
{
	char text[48];

	snprintf(text, sizeof text, "%d %llu", init->pid, (unsigned long long)init->start);
	if (symlinkat(text, dir, "init") < 0)
		return fail(e, errno, "write the pid to the state directory");
	return 0;
}

static const char *const state_files[] = {"start", "init", "seccomp", "exit.json", "state.json"};

/* What a future version or a handler may have put there. */
static void state_remove_others(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autodir *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *f;

	if (!d)
		return;
	while ((f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0 &&
		    unlinkat(dir, f->d_name, 0) < 0)
			(void)unlinkat(dir, f->d_name, AT_REMOVEDIR); /* rmdir tells */
}

int state_remove(int root, const char *id, int dir, struct err *e)
{
	for (size_t i = 0; i < COUNT(state_files); i++)
		if (unlinkat(dir, state_files[i], 0) < 0 && errno != ENOENT)
			break; /* rmdir tells */
	if (unlinkat(root, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	(void)unlinkat(dir, "notify/notify.sock", 0); /* rmdir tells */
	state_remove_others(dir);
	if (unlinkat(root, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail(e, errno, "remove the state directory of \"%s\"", id);
	return 0;
}

/* ---- reading */

static int lock_wait(int dir, const char *id, struct err *e)
{
	int64_t end = clock_ms() + STATE_LOCK_MS;
	useconds_t pause = 1000;
	struct stat st;

	while (flock(dir, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(e, errno, "lock the state directory of \"%s\"", id);
		if (clock_ms() >= end)
			return fail(e, 0,
			            "container \"%s\" is busy: another command has held its lock "
			            "for %d s",
			            id, STATE_LOCK_MS / 1000);
		usleep(pause);
		pause = pause < 50000 ? pause * 2 : pause;
	}
	if (fstat(dir, &st) == 0 && st.st_nlink == 0)
		return fail(e, 0, "container \"%s\" does not exist", id);
	return 0;
}

/* Makes the first line of a record an object of its own, and returns its length; 0 if the record is
 * not two whole lines: cut short, or none of ours. */
static size_t record_head(char *text, size_t len)
{
	char *end = memchr(text, '\n', len), *next = end ? end + 1 : NULL;

	if (!end || memchr(next, '\n', len - (size_t)(next - text)) != text + len - 1 || len < 2 ||
	    text[len - 2] != '}')
		return 0;
	*end = '}';
	return (size_t)(next - text);
}

static int record_parse(struct container *k, const char *text, size_t len, struct err *e)
{
	struct rec_record *rec = arena_new(&k->arena, struct rec_record);
	struct oci_error oe;

	if (oci_read(&record_schema, REC_RECORD, text, len, &k->arena, rec, &oe) < 0) {
		fail(e, 0, "the state of \"%s\" is damaged: state.json:%u:%u: %s", k->id, oe.line,
		     oe.column, oe.msg);
		return fail_hint(e, "davit delete --force %s removes it", k->id);
	}
	if (rec->format != 1)
		return fail(e, 0,
		            "the state of \"%s\" has format %u, which this davit does not know",
		            k->id, rec->format);
	k->rec = rec;
	return 0;
}

static int record_open(struct container *k, struct err *e)
{
	int fd = openat(k->dir, "state.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	k->unmade = errno == ENOENT && is_unmade(k->dir, 0);
	return k->unmade ? fail(e, 0, "container \"%s\" does not exist", k->id)
	                 : fail(e, errno, "open the state of \"%s\"", k->id);
}

static int record_read(struct container *k, struct err *e)
{
	size_t len = 0;
	autofd fd = record_open(k, e);
	autofree char *text = fd < 0 ? NULL : fd_read_all(fd, RECORD_MAX, &len, e);

	if (!text)
		return -1;
	k->unmade = is_unmade(k->dir, len);
	if (k->unmade)
		return fail(e, 0, "container \"%s\" does not exist", k->id);
	return record_parse(k, text, len, e);
}

/* The first line alone. Where that is not to be had in one read, the whole. */
static int record_read_head(struct container *k, struct err *e)
{
	autofd fd = record_open(k, e);
	char text[RECORD_PAGE];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	size_t len = n > 0 ? record_head(text, (size_t)n) : 0;

	if (fd < 0)
		return -1;
	return len ? record_parse(k, text, len, e) : record_read(k, e);
}

/* The link "init": 1 when it names a process, 0 when there is none. */
static int init_parse(struct container *k, struct err *e)
{
	uint64_t pid, start;
	char text[64], *space;
	ssize_t n = readlinkat(k->dir, "init", text, sizeof text - 1);

	if (n < 0 && errno != ENOENT && errno != EINVAL)
		return fail(e, errno, "read who init of \"%s\" is", k->id);
	if (n < 0)
		return 0;
	text[n] = '\0';
	space = strchr(text, ' ');
	if (!space)
		return 0;
	*space = '\0';
	if (str_to_u64(text, &pid) < 0 || str_to_u64(space + 1, &start) < 0 || pid == 0 ||
	    pid > INT_MAX)
		return 0;
	k->init = (struct proc_id){(pid_t)pid, start};
	return 1;
}

/* Whether init is of this boot: after one the same pid and start time may be a stranger's. Without
 * a record the age of the link tells. */
static int boot_is_same(const struct container *k, struct err *e)
{
	struct timespec up, now;
	char boot[37];
	struct stat st;

	if (k->rec) {
		TRY(proc_boot_id(boot, e));
		return strcmp(boot, k->rec->boot_id) == 0;
	}
	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(k->dir, "init", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ctim.tv_sec > now.tv_sec - up.tv_sec;
}

static int init_read(struct container *k, unsigned flags, struct err *e)
{
	int r = init_parse(k, e);

	if (r > 0)
		r = boot_is_same(k, e);
	if (r <= 0)
		return r;
	/* an init that cannot be looked at must not count as one that has ended */
	if (flags & STATE_LOOK) {
		r = proc_is_alive(&k->init);
		k->alive = r > 0;
		return r < 0 ? fail(e, errno, "look at init of \"%s\", process %d", k->id,
		                    k->init.pid)
		             : 0;
	}
	k->pidfd = proc_open(&k->init);
	if (k->pidfd < 0 && errno != ESRCH)
		return fail(e, errno, "open init of \"%s\", process %d", k->id, k->init.pid);
	k->alive = k->pidfd >= 0;
	return 0;
}

int container_open_in(int root, const char *id, unsigned flags, struct container *out,
                      struct err *e)
{
	autocontainer k = CONTAINER_NONE;

	TRY(state_id_check(id, e));
	k.id = xstrdup(id);
	k.dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (k.dir < 0) {
		if (errno == ENOENT)
			return fail(e, 0, "container \"%s\" does not exist", id);
		return fail(e, errno, "open the state directory of \"%s\"", id);
	}
	if (flags & STATE_LOCK)
		TRY(lock_wait(k.dir, id, e));
	if ((flags & STATE_HEAD ? record_read_head(&k, e) : record_read(&k, e)) < 0 &&
	    !(flags & STATE_BROKEN) && !(k.unmade && flags & STATE_UNMADE))
		return -1;
	TRY(init_read(&k, flags, e));
	if (flags & STATE_HEAD && !k.alive && k.rec) /* how it ended is looked for in its groups */
		TRY(record_read(&k, e));
	*out = k;
	k = (struct container)CONTAINER_NONE;
	return 0;
}

int container_open(const struct davit_context *c, const char *id, unsigned flags,
                   struct container *out, struct err *e)
{
	autofd root = -1;

	TRY(state_id_check(id, e));
	root = state_root_open(c, false, e);
	if (root < 0)
		return e->errnum == ENOENT ? fail(e, 0, "container \"%s\" does not exist", id) : -1;
	TRY(container_open_in(root, id, flags, out, e));
	out->root = take_fd(&root);
	return 0;
}

void container_close(struct container *k)
{
	free(k->id);
	fd_close_at(&k->root);
	fd_close_at(&k->dir);
	fd_close_at(&k->pidfd);
	arena_free(&k->arena);
	*k = (struct container)CONTAINER_NONE;
}

enum davit_status container_status(const struct container *k)
{
	autofd sock = -1;
	struct stat st;

	if (k->init.pid == 0)
		return flock(k->dir, LOCK_EX | LOCK_NB) < 0 ? DAVIT_CREATING : DAVIT_STOPPED;
	if (!k->alive)
		return DAVIT_STOPPED;
	if (fstatat(k->dir, "start", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DAVIT_RUNNING;
	if ((st.st_mode & 07777) != START_PUBLISHED)
		return DAVIT_CREATING;
	sock = state_start_connect(k->dir);
	return sock >= 0 || errno == EAGAIN ? DAVIT_CREATED : DAVIT_RUNNING;
}
