/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/exit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_stats.h"
#include "read.h"
#include "run/container.h"
#include "write.h"

#define EXIT_FILE "exit.json"
#define EXIT_MAX  4096

/* ---- how init ended */

/* struct pidfd_info of <linux/pidfd.h>, in its first size; headers before Linux 6.13 lack it. */
struct pidfd_details {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define DETAILS_GET  _IOWR(0xFF, 11, struct pidfd_details)
#define DETAILS_EXIT (1u << 3) /* since Linux 6.15, once the process has been reaped */

/* Field 52 of /proc/PID/stat. Without the right to trace the process it reads as 0, so ask first
 * for something that takes the same right. */
static bool zombie_status(const struct proc_id *id, int *wait_status)
{
	char path[48], text[1024], state;
	const char *last;
	uint64_t start, code;
	ssize_t n;
	autofd fd = -1;

	snprintf(path, sizeof path, "/proc/%d/ns/user", id->pid);
	if (readlink(path, text, sizeof text) < 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/stat", id->pid);
	fd = fd_try_open(AT_FDCWD, path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0 || proc_stat_parse(text, (size_t)n, &state, &start) < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	last = strrchr(text, ' ');
	if (state != 'Z' || start != id->start || !last || str_to_u64(last + 1, &code) < 0)
		return false;
	*wait_status = (int)code;
	return true;
}

bool exit_wait_status(int pidfd, const struct proc_id *id, int *wait_status)
{
	struct pidfd_details d = {.mask = DETAILS_EXIT};

	if (pidfd >= 0 && ioctl(pidfd, DETAILS_GET, &d) == 0 && (d.mask & DETAILS_EXIT)) {
		*wait_status = d.exit_code;
		return true;
	}
	return id->pid > 0 && zombie_status(id, wait_status);
}

/* ---- the record */

struct rec_exit *exit_gather(struct cgroup *cg, const struct proc_id *init, const int *wait_status,
                             struct arena *a)
{
	struct rec_exit *x = arena_new(a, struct rec_exit);
	struct cgroup_exit g = {0};
	int killed = SIGKILL;

	if (cg->n)
		cgroup_exit_read(cg, init, &g);
	if (!wait_status && g.init_oom_killed)
		wait_status = &killed;
	if (!wait_status && !g.has_oom_kills && !g.has_memory_peak && !g.has_cpu &&
	    !g.has_pids_peak)
		return NULL;
	x->recorded = clock_rfc3339(arena_alloc(a, CLOCK_TEXT), CLOCK_TEXT);
	if (wait_status && WIFSIGNALED(*wait_status)) {
		x->has_signal = true;
		x->signal = WTERMSIG(*wait_status);
	} else if (wait_status) {
		x->has_exit_code = true;
		x->exit_code = WEXITSTATUS(*wait_status);
	}
	x->has_oom_kills = g.has_oom_kills;
	x->oom_kills = g.oom_kills;
	x->oom_killed = g.oom_kills > 0 && x->has_signal && x->signal == SIGKILL;
	x->has_memory_peak = g.has_memory_peak;
	x->memory_peak = g.memory_peak;
	x->has_cpu_time = g.has_cpu;
	x->cpu_time = g.cpu_ns;
	x->has_pids_peak = g.has_pids_peak;
	x->pids_peak = g.pids_peak;
	return x;
}

static char *exit_text(const struct rec_exit *x, unsigned flags, struct arena *a, size_t *len)
{
	return oci_write(&record_schema, REC_EXIT, x, flags, a, len);
}

/* Written under another name first: a reader sees all of it or nothing. */
void exit_keep(int dir, const struct rec_exit *x)
{
	struct arena a = {0};
	char name[32];
	size_t len;
	const char *text = exit_text(x, OCI_WRITE_COMPACT, &a, &len);
	autofd fd = -1;

	snprintf(name, sizeof name, "exit.%d", getpid());
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, text, len) < 0 ||
	    (linkat(dir, name, dir, EXIT_FILE, 0) < 0 && errno != EEXIST))
		log_debug("the exit record is not kept: %s", strerror(errno));
	if (fd >= 0)
		(void)unlinkat(dir, name, 0);
	log_debug("exit record: %s", text);
	arena_free(&a);
}

static struct rec_exit *exit_read(int dir, struct arena *a)
{
	autofd fd = openat(dir, EXIT_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct rec_exit *x = arena_new(a, struct rec_exit);
	autofree char *text = NULL;
	struct oci_error oe;
	struct err ignored;
	size_t len;

	if (fd < 0)
		return NULL;
	text = fd_read_all(fd, EXIT_MAX, &len, &ignored);
	if (!text || oci_read(&record_schema, REC_EXIT, text, len, a, x, &oe) < 0)
		return NULL;
	return x;
}

#define NUMBER(member)                                                                             \
	{                                                                                          \
		offsetof(struct rec_exit, has_##member), offsetof(struct rec_exit, member)         \
	}
static const struct {
	size_t has, value;
} exit_numbers[] = {NUMBER(oom_kills), NUMBER(memory_peak), NUMBER(cpu_time), NUMBER(pids_peak)};
#undef NUMBER

/* What went with the groups between the two looks. */
static void exit_fill(struct rec_exit *x, const struct rec_exit *before)
{
	char *to = (char *)x;
	const char *from = (const char *)before;

	for (size_t i = 0; i < COUNT(exit_numbers); i++) {
		size_t has = exit_numbers[i].has, value = exit_numbers[i].value;

		if (to[has] || !from[has])
			continue;
		to[has] = true;
		memcpy(to + value, from + value, sizeof(uint64_t));
	}
}

struct rec_exit *exit_of(struct container *k, const struct rec_exit *before)
{
	struct rec_exit *x = exit_read(k->dir, &k->arena);
	autocgroup cg = CGROUP_INIT;
	struct err ignored;
	int status;
	bool known;

	if (x || !k->rec || k->init.pid <= 0)
		return x;
	if (k->pidfd >= 0 && proc_wait_gone(k->pidfd, 0) != 1)
		return NULL;
	if (container_cgroup(k, &cg, &ignored) < 0)
		return NULL;
	known = exit_wait_status(k->pidfd, &k->init, &status);
	x = exit_gather(&cg, &k->init, known ? &status : NULL, &k->arena);
	if (!x && before) {
		x = arena_new(&k->arena, struct rec_exit);
		x->recorded = before->recorded;
	}
	if (x && before)
		exit_fill(x, before);
	if (x)
		exit_keep(k->dir, x);
	return x;
}

/* ---- --exit-record */

int exit_file_open(const char *path, struct err *e)
{
	return fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600, e);
}

int exit_file_write(int fd, const struct rec_exit *x, struct err *e)
{
	struct arena a = {0};
	size_t len = 3;
	const char *text =
		x ? exit_text(x, OCI_WRITE_PRETTY | OCI_WRITE_NEWLINE, &a, &len) : "{}\n";
	int r = fd_write_all(fd, text, len) < 0 ? fail(e, errno, "write the exit record") : 0;

	arena_free(&a);
	return r;
}
