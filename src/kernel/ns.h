/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Namespaces: new, joined by path, or the runtime's own; what belongs to the uts and time
 * namespace; sysctls, which are confined to the namespaces that the container owns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ocispec.h"

struct err;

/* The order is the one in which namespaces are joined: the mount namespace last, since paths
 * change with it, and the user namespace apart (see ns_join). */
enum ns_kind {
	NS_USER,
	NS_PID,
	NS_NET,
	NS_IPC,
	NS_UTS,
	NS_CGROUP,
	NS_TIME,
	NS_MNT,
	NS_COUNT
};

/* Whether the caller's user namespace is known to be another one than that of the boot. */
bool ns_user_is_other(void);

struct ns_type {
	const char *name; /* the specification's word: "network" */
	const char *proc; /* the name below /proc/PID/ns: "net" */
	int flag;         /* CLONE_NEW* */
};
extern const struct ns_type ns_types[NS_COUNT];

/* What a container's namespaces are to be. Pure data, made by ns_plan_make(). */
struct ns_plan {
	int new_flags;                             /* CLONE_NEW* of those to be made */
	int join_flags;                            /* CLONE_NEW* of those to be joined */
	const char *path[NS_COUNT];                /* of those to be joined */
	size_t index[NS_COUNT];                    /* in /linux/namespaces, for messages */
	const struct oci_time_offset_map *offsets; /* NULL if there are none */
	bool stage; /* init cannot be cloned straight into them: see run/spawn.c */
};

/* Checks /linux/namespaces: unknown types, duplicates, offsets without a new time namespace. */
int ns_plan_make(const struct oci_linux *linux_, struct ns_plan *out, struct err *e);

/* Those of the new ones that init makes by itself, once it is root of the new user namespace: the
 * file system of an ipc namespace's message queues belongs to whoever made it. */
int ns_late_flags(const struct ns_plan *plan);

/* Opens the namespaces to be joined, in the runtime's mount namespace, and checks that each has
 * the type asked for (ioctl_ns(2)). fds[kind] is -1 for the others; the caller closes.
 * A user namespace that is the runtime's own is dropped: joining it again is an error to the
 * kernel (setns(2), EINVAL). */
int ns_open(const struct ns_plan *plan, int fds[NS_COUNT], struct err *e);

/* Joins the opened namespaces. Those that need privilege in the joined user namespace are tried
 * again after it. A joined pid or time namespace holds for children only. */
int ns_join(const struct ns_plan *plan, const int fds[NS_COUNT], struct err *e);

/* unshare(2) with flags. Messages name the namespaces. */
int ns_unshare(int flags, struct err *e);

/* Joins what flags name of a process by its pidfd (setns(2), Linux 5.8), or one by one below
 * /proc/PID/ns on older kernels. */
int ns_join_process(int pidfd, pid_t pid, int flags, struct err *e);

/* Names of the namespaces in flags, "pid network", for messages; text is truncated to size. */
const char *ns_flags_text(int flags, char *text, size_t size);

/* Opens /proc/self/timens_offsets: before any change of ids or namespaces, after which the file may
 * be that of the host's root. The kernel asks of who opened it whether it may set the offsets. */
int ns_time_open(struct err *e);
/* Writes there, when the time namespace is made and no process is in it yet. */
int ns_time_offsets(int fd, const struct oci_time_offset_map *o, struct err *e);

int ns_hostname(const char *hostname, const char *domainname, struct err *e);

/* Checks each key of /linux/sysctl against the container's own namespaces (pure).
 * own_flags: CLONE_NEW* of namespaces that are not the host's. */
int ns_sysctl_check(const struct oci_map *sysctl, int own_flags, bool has_hostname, struct err *e);
/* Sets them below sys/ of the procfs handle proc. Runs in init. */
int ns_sysctl_apply(const struct oci_map *sysctl, int proc, struct err *e);
