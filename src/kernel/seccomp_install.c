/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Putting a program into effect, and getting its listener to the agent. */
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/seccomp.h"
#include "write.h"

/* How often init looks for the runtime's answer: about 20 s at 40 ns a look. */
#define LOOKS_MAX 500000000L

/* Some flags make sense only with, and one only without, a listener. */
static unsigned install_flags(const struct seccomp_program *p)
{
	/* there is one thread, so TSYNC, which excludes a listener, changes nothing */
	if (p->notify)
		return (p->flags & ~SECCOMP_FILTER_FLAG_TSYNC) | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return p->flags & ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
}

int seccomp_install(const struct seccomp_program *p, struct err *e)
{
	struct sock_fprog program = {.len = (unsigned short)p->n, .filter = p->insns};
	int rc = sys_seccomp(SECCOMP_SET_MODE_FILTER, install_flags(p), &program);

	if (rc >= 0 && p->notify)
		return rc;
	if (rc == 0)
		return 0;
	fail(e, rc < 0 ? errno : ESRCH, "load the seccomp filter of %zu instructions", p->n);
	if (e->errnum == EACCES)
		fail_hint(e, "set noNewPrivileges, or give davit CAP_SYS_ADMIN");
	else if (e->errnum == EINVAL && p->flags != 0)
		fail_hint(e, "this kernel may not know a flag of /linux/seccomp/flags");
	else if (e->errnum == EBUSY)
		fail_hint(
			e,
			"davit itself runs under a filter with a listener; there can be only one");
	return -1;
}

/* ---- From init to the runtime */

struct seccomp_mail *seccomp_mail_new(struct err *e)
{
	void *page = mmap(NULL, sizeof(struct seccomp_mail), PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		fail(e, errno, "map a page to share with the container's init");
		return NULL;
	}
	return page;
}

int seccomp_install_posted(const struct seccomp_program *p, struct seccomp_mail *mail,
                           struct err *e)
{
	int listener = seccomp_install(p, e);

	__atomic_store_n(&mail->state, listener < 0 ? -e->errnum : listener + 1, __ATOMIC_SEQ_CST);
	if (listener < 0)
		return -1;
	/* No sleep: that is a system call, which the filter may stop until the agent answers. */
	for (long looks = 0; __atomic_load_n(&mail->taken, __ATOMIC_SEQ_CST) == 0; looks++) {
		if (looks == LOOKS_MAX)
			return fail(e, ETIMEDOUT,
			            "wait for the runtime to take the seccomp listener");
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
	}
	return listener;
}

/* Waits for the post; its content, or 0 with e filled. */
static int mail_wait(struct seccomp_mail *mail, int init_pidfd, int timeout_ms, struct err *e)
{
	struct pollfd end = {.fd = init_pidfd, .events = POLLIN};
	int64_t deadline = clock_ms() + timeout_ms;
	int state;

	while ((state = __atomic_load_n(&mail->state, __ATOMIC_SEQ_CST)) == 0) {
		if (poll(&end, 1, 1) > 0) {
			fail(e, 0,
			     "the container's init ended before it loaded the seccomp filter");
			return 0;
		}
		if (clock_ms() > deadline) {
			fail(e, ETIMEDOUT,
			     "wait for the container's init to load the seccomp filter");
			return 0;
		}
	}
	return state;
}

int seccomp_listener_take(struct seccomp_mail *mail, int init_pidfd, int timeout_ms, struct err *e)
{
	int state = mail_wait(mail, init_pidfd, timeout_ms, e);
	int listener = -1;

	if (state < 0)
		fail(e, -state, "load the seccomp filter");
	else if (state > 0) {
		listener = sys_pidfd_getfd(init_pidfd, state - 1);
		if (listener < 0)
			fail(e, errno, "get the seccomp listener from the container's init");
	}
	/* or given up: the caller ends init then, which must not look on in vain till it is */
	__atomic_store_n(&mail->taken, 1, __ATOMIC_SEQ_CST);
	return listener;
}

/* ---- From the runtime to the agent */

int seccomp_notify_send(const char *path, int listener, const char *oci_version, pid_t pid,
                        const char *metadata, const char *state, struct err *e)
{
	struct arena arena = {0};
	autostr text = {0};
	autofd sock = unix_connect(path, e);
	int rc;

	if (sock < 0)
		return fail_at(e, "/linux/seccomp/listenerPath");
	str_addf(&text, "{\"ociVersion\":%s,\"fds\":[\"seccompFd\"],\"pid\":%d,",
	         oci_quote(oci_version, &arena), (int)pid);
	if (metadata != NULL && *metadata != '\0')
		str_addf(&text, "\"metadata\":%s,", oci_quote(metadata, &arena));
	str_addf(&text, "\"state\":%s}", state);
	arena_free(&arena);
	rc = fd_send(sock, text.s, text.len, &listener, 1);
	if (rc == 0)
		return 0;
	fail(e, errno, "send the seccomp listener to \"%s\"", path);
	return fail_at(e, "/linux/seccomp/listenerPath");
}
