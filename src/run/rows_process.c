/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/timing.h"
#include "kernel/procfs.h"
#include "run/hooks.h"
#include "run/rows.h"
#include "run/steps.h"

#define PASSWD_MAX   (1u << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int row_traits(struct ctx *c, struct err *e)
{
	return traits_apply(&c->plan->process.traits, e);
}

int row_lsm(struct ctx *c, struct err *e)
{
	autofd proc = procfs_open(PROCFS_PID, e);

	return proc < 0 ? -1 : lsm_exec(&c->plan->process.lsm, proc, e);
}

int row_limits(struct ctx *c, struct err *e)
{
	return rlimits_apply(0, &c->plan->process.rlimits, e);
}

int row_identity(struct ctx *c, struct err *e)
{
	return creds_apply(&c->plan->process.creds, e);
}

/* ---- the working directory */

static int root_open(struct err *e)
{
	return fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, e);
}

/* Never by name: a magic link such as /proc/self/fd/N could lead out (CVE-2024-21626). */
static int cwd_enter(const char *cwd, bool make, struct err *e)
{
	autofd root = -1;
	autofd dir = -1;

	if (str_eq(cwd, "/")) /* as nearly always; no way leads out */
		return chdir("/") < 0 ? fail(e, errno, "enter working directory \"/\"") : 0;
	root = root_open(e);
	if (root < 0)
		return -1;
	dir = path_open(root, cwd, O_PATH | O_DIRECTORY, e);
	if (dir < 0 && e->errnum == ENOENT && make)
		dir = path_mkdirs(root, cwd, 0755, e);
	if (dir < 0)
		return -1;
	if (fchdir(dir) < 0)
		return fail(e, errno, "enter working directory \"%s\"", cwd);
	return 0;
}

static int cwd_check(struct err *e)
{
	char text[4096];
	long n = syscall(SYS_getcwd, text, sizeof text);

	if (n < 0 && errno == ERANGE)
		return 0;
	if (n < 0 || *text != '/')
		return fail(e, n < 0 ? errno : 0,
		            "the working directory is outside of the container");
	return 0;
}

/* First with privilege, since the user may not be allowed to search all of the way; a directory
 * that only the user may enter (on a network file system) is tried again after row identity. */
int row_cwd(struct ctx *c, struct err *e)
{
	const char *cwd = c->plan->process.process->cwd;

	if (cwd_enter(cwd, c->plan->op != OP_EXEC, e) < 0) {
		if (e->errnum != EACCES && e->errnum != EPERM)
			return fail_at(e, "/process/cwd");
		c->cwd_late = true;
		return 0;
	}
	return cwd_check(e);
}

/* ---- finding the program */

static const char *env_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

/* Engines tell "no such command" (127) and "may not be run" (126) by these words, in lower case. */
static int exec_missing(const char *name, int errnum, struct err *e)
{
	switch (errnum) {
	case ENOENT:
		fail(e, 0, "exec \"%s\": no such file or directory", name);
		break;
	case EACCES:
		fail(e, 0, "exec \"%s\": permission denied", name);
		break;
	case EISDIR:
		fail(e, 0, "exec \"%s\": is a directory: permission denied", name);
		break;
	case ENOTDIR:
		fail(e, 0, "exec \"%s\": not a directory", name);
		break;
	default:
		fail(e, errnum, "exec \"%s\"", name);
	}
	return fail_at(e, "/process/args/0");
}

/* 0 if path can be executed, else an errno. */
static int exec_probe(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	/* a filter that does not know faccessat2(2); the real user is the effective one by now */
	if (errno == EPERM && access(path, X_OK) == 0)
		return 0;
	return errno;
}

static int exec_search(struct ctx *c, const char *name, struct err *e)
{
	const char *list = env_get(c->envp, "PATH");
	int found = ENOENT;

	for (list = list ? list : DEFAULT_PATH; list;
	     list = strchr(list, ':') ? strchr(list, ':') + 1 : NULL) {
		size_t n = strcspn(list, ":");
		char *path = n ? arena_printf(&c->arena, "%.*s/%s", (int)n, list, name)
		               : arena_printf(&c->arena, "./%s", name);
		int errnum = exec_probe(path);

		if (errnum == 0) {
			c->exec_path = path;
			return 0;
		}
		if (errnum == EACCES)
			found = EACCES;
	}
	if (found == EACCES)
		return exec_missing(name, EACCES, e);
	fail(e, 0, "exec \"%s\": executable file not found in $PATH", name);
	return fail_at(e, "/process/args/0");
}

/* ---- HOME */

/* The home directory of uid in the text of passwd(5): NAME:PW:UID:GID:GECOS:HOME:SHELL. */
static char *passwd_home(char *text, uid_t uid, struct arena *a)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		char *field[7] = {NULL};
		uint64_t id;
		int n = 0;

		while (n < 7 && (field[n] = strsep(&line, ":")))
			n++;
		if (n >= 6 && str_to_u64(field[2], &id) == 0 && id == uid && *field[5] == '/')
			return arena_strdup(a, field[5]);
	}
	return NULL;
}

/* From the container's own file, read by hand: the C library would run the container's NSS modules
 * (CVE-2019-14271). Anything odd about the file means "/". */
static const char *home_find(struct ctx *c)
{
	struct err ignored;
	struct stat st;
	autofd root = root_open(&ignored);
	autofd fd =
		root < 0 ? -1 : path_try_open(root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	autofree char *text = NULL;
	const char *home = NULL;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= PASSWD_MAX)
		text = fd_read_all(fd, PASSWD_MAX, NULL, &ignored);
	if (text)
		home = passwd_home(text, c->plan->process.creds.uid, &c->arena);
	return home ? home : "/";
}

static void env_complete(struct ctx *c)
{
	size_t n = 0;

	c->envp = c->plan->process.envp;
	if (!c->plan->process.needs_home)
		return;
	while (c->envp[n])
		n++;
	c->envp[n] = arena_printf(&c->arena, "HOME=%s", home_find(c)); /* plan_env left room */
}

int row_exec_resolve(struct ctx *c, struct err *e)
{
	const struct oci_process *p = c->plan->process.process;
	int errnum;

	if (c->cwd_late) {
		if (cwd_enter(p->cwd, false, e) < 0)
			return fail_at(e, "/process/cwd");
		TRY(cwd_check(e));
	}
	env_complete(c);
	if (!strchr(p->args[0], '/'))
		return exec_search(c, p->args[0], e);
	errnum = exec_probe(p->args[0]);
	if (errnum)
		return exec_missing(p->args[0], errnum, e);
	c->exec_path = p->args[0];
	return 0;
}

/* Not only close-on-exec: execve(2) looks its path up before it closes, and /proc/self/fd/N of a
 * directory would lead out of the container (CVE-2024-21626). Two or three sockets stay. */
int row_fds_seal(struct ctx *c, struct err *e)
{
	int kept[] = {c->chan, c->start_sock, c->mail ? c->mail->post[1] : -1};
	int first = 3 + (int)c->plan->process.keep_fds;

	for (;;) { /* the lowest that is kept and not behind us */
		int next = INT_MAX;

		for (size_t i = 0; i < COUNT(kept); i++)
			if (kept[i] >= first && kept[i] < next)
				next = kept[i];
		if (next == INT_MAX)
			break;
		TRY(fd_close_between(first, next - 1, e));
		first = next + 1;
	}
	TRY(fd_close_from(first, e));
	c->rootfs = (struct rootfs)ROOTFS_INIT; /* nothing of it is open any more */
	return 0;
}

/* ---- the hand-over */

int row_wait_start(struct ctx *c, struct err *e)
{
	char go = 0;

	fd_close_at(&c->chan); /* create has ended */
	do {
		fd_close_at(&c->chan);
		c->chan = accept4(c->start_sock, NULL, NULL, SOCK_CLOEXEC);
		if (c->chan < 0 && errno != EINTR && errno != ECONNABORTED)
			return fail(e, errno, "wait for start");
		/* `state` only knocks: its connection ends without a byte */
	} while (c->chan < 0 || recv(c->chan, &go, 1, 0) != 1);
	fd_close_at(&c->start_sock);
	if (!c->plan->process.process) {
		fail(e, 0, "the container has no process to start");
		return fail_at(e, "/process");
	}
	return 0;
}

int row_seccomp_early(struct ctx *c, struct err *e)
{
	if (c->seccomp.notify) {
		timing_stop();
		TRY(seccomp_install_posted(&c->seccomp, c->mail, e));
	} else {
		TRY(seccomp_install(&c->seccomp, e));
	}
	c->filtered = true;
	return 0;
}

int row_seccomp_late(struct ctx *c, struct err *e)
{
	timing_stop();
	TRY(seccomp_install(&c->seccomp, e));
	c->filtered = true;
	return 0;
}

int row_hooks_start_container(struct ctx *c, struct err *e)
{
	struct hooks_run r = {
		.kind = "startContainer",
		.hooks = c->plan->hooks->start_container,
		.n = c->plan->hooks->n_start_container,
		.annotations = NULL, /* output files are the host's */
	};

	if (c->plan->seccomp_notify)
		(void)signal(SIGCHLD, SIG_DFL); /* hooks are waited for: see seccomp_install.c */
	r.state = state_oci_json(c->plan->record, getpid(), "created", &c->arena, &r.state_len);
	return hooks_run(&r, e);
}

int row_exec(struct ctx *c, struct err *e)
{
	const struct oci_process *p = c->plan->process.process;
	int errnum;

	if (!p) {
		fail(e, 0, "the container has no process to start");
		return fail_at(e, "/process");
	}
	execve(c->exec_path, p->args, c->envp);
	errnum = errno;
	exec_missing(p->args[0], errnum, e);
	if (errnum == ENOENT)
		fail_hint(
			e,
			"the file is there: its interpreter or loader is missing in the container");
	else if (errnum == ENOEXEC) {
		fail(e, 0, "exec \"%s\": exec format error", p->args[0]);
		fail_at(e, "/process/args/0");
		fail_hint(e, "a script needs a #! line, a program this machine's architecture");
	} else if ((errnum == EACCES || errnum == EPERM) && c->plan->process.lsm.selinux)
		fail_hint(e, "see whether the SELinux policy lets davit run it as \"%s\"%s",
		          c->plan->process.lsm.selinux,
		          p->no_new_privileges ? " with noNewPrivileges" : "");
	return -1;
}
