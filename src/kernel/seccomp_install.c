/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Putting a program into effect, and getting its listener to the agent. */
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
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
	struct seccomp_mail *mail = page;

	mail->post[0] = mail->post[1] = -1;
	/* without pidfd_getfd(2) (5.6), or below a filter that does not know it */
	if (sys_pidfd_getfd(-1, 0) < 0 && errno != EBADF &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, mail->post) < 0) {
		fail(e, errno, "make a socket for the seccomp listener");
		munmap(page, sizeof(*mail));
		return NULL;
	}
	return mail;
}

/* A process that has init's descriptors, but not its filter: it sends the listener. */
static _Noreturn void postman(const struct seccomp_mail *mail)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int state;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((state = __atomic_load_n(&mail->state, __ATOMIC_SEQ_CST)) == 0)
		nanosleep(&pause, NULL);
	if (state > 0) {
		int listener = state - 1;

		(void)fd_send(mail->post[1], "l", 1, &listener, 1); /* the runtime stops waiting */
	}
	_exit(0);
}

/* Nobody has to reap it: execve(2) clears the flag. */
static int postman_start(const struct seccomp_mail *mail, struct err *e)
{
	const struct sigaction no_zombies = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	pid_t pid;

	if (mail->post[1] < 0)
		return 0;
	if (sigaction(SIGCHLD, &no_zombies, NULL) < 0)
		return fail(e, errno, "prepare a process for the seccomp listener");
	pid = proc_fork(CLONE_FILES, -1, NULL);
	if (pid == 0)
		postman(mail);
	return pid < 0 ? fail(e, errno, "start a process for the seccomp listener") : 0;
}

int seccomp_install_posted(const struct seccomp_program *p, struct seccomp_mail *mail,
                           struct err *e)
{
	int listener = postman_start(mail, e) < 0 ? -1 : seccomp_install(p, e);

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

static int post_receive(int sock, int timeout_ms)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int listener = -1;
	size_t n_fds = 0;
	char text[4];

	if (poll(&p, 1, timeout_ms) <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (fd_recv(sock, text, sizeof(text), &listener, 1, &n_fds) <= 0 || n_fds != 1)
		return -1;
	return listener;
}

int seccomp_listener_take(struct seccomp_mail *mail, int init_pidfd, int timeout_ms, struct err *e)
{
	int state = mail_wait(mail, init_pidfd, timeout_ms, e);
	int listener = -1;

	if (state < 0)
		fail(e, -state, "load the seccomp filter");
	else if (state > 0) {
		listener = mail->post[0] >= 0 ? post_receive(mail->post[0], timeout_ms)
		                              : sys_pidfd_getfd(init_pidfd, state - 1);
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
