/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/path.h"
#include "base/unapplied.h"
#include "ocispec.h"

int rlimits_make(const struct oci_rlimit *rlimits, size_t n, struct rlimits_plan *plan,
                 struct err *e)
{
	memset(plan, 0, sizeof(*plan));
	for (size_t i = 0; i < n; i++) {
		int64_t resource;

		if (!names_find(&names_rlimits, rlimits[i].type, &resource)) {
			fail(e, 0, "unknown resource limit \"%.64s\"", rlimits[i].type);
			return fail_at(e, "/process/rlimits/%zu/type", i);
		}
		for (size_t k = 0; k < plan->n; k++) {
			if (plan->v[k].resource != (int)resource)
				continue;
			fail(e, 0, "%s is given twice", rlimits[i].type);
			return fail_at(e, "/process/rlimits/%zu", i);
		}
		if (rlimits[i].soft > rlimits[i].hard) {
			fail(e, 0, "%s: soft limit %llu is above hard limit %llu", rlimits[i].type,
			     (unsigned long long)rlimits[i].soft,
			     (unsigned long long)rlimits[i].hard);
			return fail_at(e, "/process/rlimits/%zu/soft", i);
		}
		/* no duplicates: there are fewer resources than rows */
		plan->v[plan->n].resource = (int)resource;
		plan->v[plan->n].soft = rlimits[i].soft;
		plan->v[plan->n++].hard = rlimits[i].hard;
	}
	return 0;
}

static int rlimit_fail(struct err *e, int errnum, size_t i, const struct rlimits_plan *plan)
{
	const char *name = names_of(&names_rlimits, plan->v[i].resource);

	fail(e, errnum, "set %s to %llu:%llu", name ? name : "resource limit",
	     (unsigned long long)plan->v[i].soft, (unsigned long long)plan->v[i].hard);
	if (errnum == EPERM)
		fail_hint(e,
		          "only CAP_SYS_RESOURCE on the host raises a hard limit: lower the value");
	return fail_at(e, "/process/rlimits/%zu", i);
}

int rlimits_apply(pid_t pid, const struct rlimits_plan *plan, struct err *e)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct rlimit64 value = {.rlim_cur = plan->v[i].soft, .rlim_max = plan->v[i].hard};

		if (prlimit64(pid, (enum __rlimit_resource)plan->v[i].resource, &value, NULL) < 0)
			return rlimit_fail(e, errno, i, plan);
	}
	return 0;
}

/* The value the file holds; one that no process has if it cannot be read. */
static long oom_score_read(int fd)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -100000;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

int oom_score_apply(int proc, pid_t pid, int value, bool rootless, struct err *e)
{
	char path[48], text[16];
	int n = snprintf(text, sizeof(text), "%d", value);

	if (value < -1000 || value > 1000) {
		fail(e, 0, "OOM score adjustment %d is not in -1000 ... 1000", value);
		return fail_at(e, "/process/oomScoreAdj");
	}
	snprintf(path, sizeof(path), "%d/oom_score_adj", (int)pid);
	autofd fd = path_beneath(proc, path, O_RDWR, 0, e);

	if (fd < 0)
		return fail_at(e, "/process/oomScoreAdj");
	if (write(fd, text, (size_t)n) == n)
		return 0;
	int errnum = errno;

	if ((errnum == EACCES || errnum == EPERM) && oom_score_read(fd) == value)
		return 0;
	if ((errnum == EACCES || errnum == EPERM) && rootless) {
		unapplied_note("OOM score adjustment %d needs privilege on the host", value);
		return 0;
	}
	fail(e, errnum, "write %d to oom_score_adj of process %d", value, (int)pid);
	if (errnum == EACCES)
		fail_hint(e, "only CAP_SYS_RESOURCE on the host lowers it: give davit that, or a "
		             "higher value");
	return fail_at(e, "/process/oomScoreAdj");
}
