/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System call filters: a profile of config.json becomes one classic BPF program.
 *
 * The compiler is our own (seccomp_compile.c, seccomp_bpf.c): libseccomp serves for the names of
 * system calls only. Where the two differ on purpose (see seccomp_compile.h) the reason is there.
 *
 * Order of use. In the runtime: seccomp_prepare (or seccomp_decode), then seccomp_save for later
 * `exec`s. In init: seccomp_install, with no_new_privs as the last thing before execve(2), else
 * while CAP_SYS_ADMIN is still there. A profile with SCMP_ACT_NOTIFY needs the mailbox at the
 * end. seccomp(2), config-linux.md "Seccomp". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct oci_seccomp;
struct sock_filter;

struct seccomp_program {
	struct sock_filter *insns; /* n of them, from malloc: seccomp_free */
	size_t n;
	unsigned flags; /* SECCOMP_FILTER_FLAG_*, without NEW_LISTENER */
	bool notify;    /* some action is SECCOMP_RET_USER_NOTIF: loading gives a listener */
};

void seccomp_free(struct seccomp_program *p);
#define autoseccomp __attribute__((cleanup(seccomp_free))) struct seccomp_program

enum seccomp_options {
	SECCOMP_FAIL_UNKNOWN =
		1, /* a name nobody knows is an error (run.oci.seccomp_fail_unknown_syscall) */
};

/* The program for profile, from the cache when it holds it, also kept as file name of directory dir
 * (-1: nowhere) for seccomp_restore. cache is the directory from seccomp_cache_open, or -1. The
 * cache never makes this fail: what is wrong with it is logged for debugging and the profile is
 * compiled. Errors point into /linux/seccomp. */
int seccomp_prepare(const struct oci_seccomp *profile, unsigned options, int cache, int dir,
                    const char *name, struct seccomp_program *out, struct err *e);

/* Opens (makes, mode 0700) directory name below parent, which is owned by us: the state root. Pick
 * a name no container can have. -1 with errno: go on without a cache. */
int seccomp_cache_open(int parent, const char *name);

/* A raw filter in base64 (run.oci.seccomp_bpf_data); profile (may be NULL) gives the flags. */
int seccomp_decode(const char *base64, const struct oci_seccomp *profile,
                   struct seccomp_program *out, struct err *e);

/* Writes the program as a new file of directory dir, replacing an older one; and reads it back,
 * refusing files that are not ours or not whole. */
int seccomp_save(int dir, const char *name, const struct seccomp_program *p, struct err *e);
int seccomp_restore(int dir, const char *name, struct seccomp_program *out, struct err *e);

/* The program as bytes, for a message to another process (at most SECCOMP_BYTES_MAX): the same
 * format as the file. The caller frees; _from_bytes verifies. */
#define SECCOMP_BYTES_MAX (4096 * 8 + 64)
void *seccomp_to_bytes(const struct seccomp_program *p, size_t *len);
int seccomp_from_bytes(const void *data, size_t len, struct seccomp_program *out, struct err *e);

/* Installs the filter in the calling process (single-threaded).
 * Needs: no_new_privs, or CAP_SYS_ADMIN in its user namespace. Returns the listener's descriptor
 * if p->notify, else 0; -1 on error. After it the caller must use only what the profile allows. */
int seccomp_install(const struct seccomp_program *p, struct err *e);

/* ---- The listener (p->notify).
 *
 * Every system call of init may be notified from the moment the filter is on, sendmsg(2) and
 * write(2) too, so init cannot hand the descriptor over by a call: the runtime fetches it with
 * pidfd_getfd(2). Where that is missing a second process with init's descriptors, but without the
 * filter, sends it. They meet in one page of shared memory made before the clone. In create this
 * means that a filter that notifies is loaded before the wait for `start` (as runc does it). */
struct seccomp_mail {
	int state;   /* 0: not loaded; descriptor + 1: loaded; < 0: -errno of the load */
	int taken;   /* 1: the runtime has its copy (or gave up) */
	int post[2]; /* without pidfd_getfd(2): from init's helper to the runtime; else -1 */
};

/* One shared page, zeroed; NULL with e filled. Unmap with munmap(mail, sizeof *mail) or exit. */
struct seccomp_mail *seccomp_mail_new(struct err *e);

/* init: seccomp_install, then posts the outcome and waits without a system call until the runtime
 * has taken the listener (about 20 s at most). The listener stays open, close-on-exec. */
int seccomp_install_posted(const struct seccomp_program *p, struct seccomp_mail *mail,
                           struct err *e);

/* runtime: waits for the post (timeout_ms; fails at once when init is gone) and returns its own
 * copy of the listener; releases init. If init's load failed, e tells why. */
int seccomp_listener_take(struct seccomp_mail *mail, int init_pidfd, int timeout_ms, struct err *e);

/* runtime: sends the container process state and the listener to the agent's socket. state is the
 * JSON object of runtime.md "State" (status "creating" for create, "running" for exec), pid the
 * process that has the filter, metadata may be NULL. path: profile->listener_path or the annotation
 * run.oci.seccomp.receiver. The caller still owns listener (close it afterwards). */
int seccomp_notify_send(const char *path, int listener, const char *oci_version, pid_t pid,
                        const char *metadata, const char *state, struct err *e);
