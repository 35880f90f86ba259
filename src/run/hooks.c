/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "run/plan.h"

#define STDERR_TAIL 200

static int output_open(const struct hooks_run *h, const char *annotation, int *fd, struct err *e)
{
	const char *path = map_get(h->annotations, annotation);

	if (!path)
		return 0;
	*fd = fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0600, e);
	return *fd < 0 ? fail_prefix(e, "annotation %s", annotation) : 0;
}

static int hook_report(const struct oci_hook *hook, int status, const char *tail, struct err *e)
{
	const char *sep = *tail ? ": " : "";

	if (WIFSIGNALED(status))
		return fail(e, 0, "\"%s\" was killed by signal %d%s%s", hook->path,
		            WTERMSIG(status), sep, tail);
	if (WEXITSTATUS(status) != 0)
		return fail(e, 0, "\"%s\" ended with status %d%s%s", hook->path,
		            WEXITSTATUS(status), sep, tail);
	return 0;
}

static int hook_run(const struct hooks_run *h, const struct oci_hook *hook, struct err *e)
{
	char *const no_env[] = {NULL}, *const plain[] = {(char *)hook->path, NULL};
	autofd out = -1, err = -1;
	char tail[STDERR_TAIL] = "";
	int status = 0;
	struct proc_run r = {
		.path = hook->path,
		.argv = hook->n_args ? hook->args : plain,
		.envp = hook->n_env ? hook->env : no_env,
		.input = h->state,
		.input_len = h->state_len,
		.cwd = h->cwd,
		.stop_fd = h->stop_fd,
		.tied = h->tied,
		.timeout_ms =
			hook->has_timeout
				? (int)(hook->timeout > 2000000 ? 2000000000 : hook->timeout * 1000)
				: 0,
	};

	TRY(output_open(h, "run.oci.hooks.stdout", &out, e));
	TRY(output_open(h, "run.oci.hooks.stderr", &err, e));
	r.out_fd = out;
	r.err_fd = err;
	if (err < 0) {
		r.tail = tail;
		r.tail_size = sizeof tail;
	}
	if (proc_run(&r, &status, e) < 0) {
		if (e->errnum == ETIMEDOUT)
			return fail(e, 0, "\"%s\" did not end within %lld s", hook->path,
			            (long long)hook->timeout);
		if (e->errnum == EINTR)
			return fail(e, 0, "\"%s\" was killed, for davit got a signal to end",
			            hook->path);
		return -1;
	}
	for (char *c = tail; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return hook_report(hook, status, tail, e);
}

int hooks_run(const struct hooks_run *h, struct err *e)
{
	for (size_t i = 0; i < h->n; i++)
		if (hook_run(h, &h->hooks[i], e) < 0) {
			fail_prefix(e, "%s hook %zu", h->kind, i);
			return fail_at(e, "/hooks/%s/%zu", h->kind, i);
		}
	return 0;
}

void hooks_run_all(const struct hooks_run *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct err e = {0};

		if (hook_run(h, &h->hooks[i], &e) < 0) {
			char text[700];

			err_format(&e, text, sizeof text);
			log_warn("%s hook %zu: %s, ignoring", h->kind, i, text);
		}
	}
}
