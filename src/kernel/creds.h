/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The credentials of the container's process: ids, groups, capability sets, no_new_privs.
 * One plan, one function to apply it: init and exec share both. credentials(7), capabilities(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct oci_capabilities;
struct oci_process;

enum creds_set {
	CREDS_BOUNDING,
	CREDS_EFFECTIVE,
	CREDS_INHERITABLE,
	CREDS_PERMITTED,
	CREDS_AMBIENT,
	CREDS_SETS
};

struct creds_plan {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* points into the config */
	size_t n_groups;
	uint64_t caps[CREDS_SETS]; /* bit n: capability n */
	mode_t umask;
	bool has_umask;
	bool keep_groups;      /* run.oci.keep_original_groups: no setgroups(2) */
	bool setgroups_denied; /* "deny" is in /proc/self/setgroups: there is nothing to call */
	bool no_new_privs;
};

enum creds_flags {
	CREDS_KEEP_GROUPS = 1,
	CREDS_SETGROUPS_DENIED = 2, /* an error if additionalGids are asked for */
};

/* Pure. Absent capabilities are none, the bounding set included. Unknown names, and capabilities
 * no set grants (inheritable outside of bounding, effective outside of permitted, ambient outside
 * of permitted or inheritable), are left out with a warning, as config.md wants. A NULL user is
 * 0:0. */
int creds_make(const struct oci_process *process, unsigned flags, struct creds_plan *plan,
               struct err *e);

/* Parses one set of names ("CAP_CHOWN", any case, "CAP_" may be missing) into bits; also for
 * `exec --cap`. */
uint64_t caps_parse(char *const *names, size_t n, const char *set);
/* Whether there is a capability of that name; its number. */
bool cap_find(const char *name, int *cap);

/* Becomes what the plan says and reads the capability sets back.
 * Order: bounding, groups, gid, uid, permitted + effective + inheritable, ambient, no_new_privs.
 * Capabilities the caller does not hold itself are dropped with a warning.
 * Runs in: init and exec's process, inside its namespaces, after everything that needs privilege.
 * Must not: be followed by anything privileged.
 * Leaves: a non-dumpable process; the umask, if one is asked for. */
int creds_apply(const struct creds_plan *plan, struct err *e);

/* Makes the process opaque to ptrace(2) and /proc/PID/{fd,mem,root} of others: before the first
 * setns(2) into a container, and kept until execve(2). */
int creds_hide(struct err *e);
