/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System calls that the C library does not wrap, or wraps only in newer versions, and constants
 * newer than its headers (kernels up to 6.18). Every wrapper returns what syscall(2) returns: -1
 * with errno on failure. They do not fall back: that is for the one caller who knows how.
 *
 * <sys/mount.h> and <linux/mount.h> clash in some releases; include this file instead of both. */
#pragma once

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifndef MOUNT_ATTR_RDONLY
#include <linux/mount.h>
#endif

/* Numbers are the same on every architecture from 424 on (alpha, which adds 110, is not
 * supported). */
#ifndef __NR_pidfd_send_signal
#define __NR_pidfd_send_signal 424
#endif
#ifndef __NR_open_tree
#define __NR_open_tree  428
#define __NR_move_mount 429
#define __NR_fsopen     430
#define __NR_fsconfig   431
#define __NR_fsmount    432
#define __NR_fspick     433
#endif
#ifndef __NR_pidfd_open
#define __NR_pidfd_open 434
#endif
#ifndef __NR_clone3
#define __NR_clone3 435
#endif
#ifndef __NR_close_range
#define __NR_close_range 436
#endif
#ifndef __NR_openat2
#define __NR_openat2 437
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd 438
#endif
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif
#ifndef __NR_set_mempolicy_home_node
#define __NR_set_mempolicy_home_node 450
#endif
#ifndef __NR_statmount
#define __NR_statmount 457
#define __NR_listmount 458
#endif
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr 467
#endif

/* openat2(2) */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

/* clone3(2) */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* open_tree(2), move_mount(2), fsopen(2), mount_setattr(2) */
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x00000100
#endif
#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200 /* 6.5 */
#endif
#ifndef FSCONFIG_CMD_CREATE_EXCL
#define FSCONFIG_CMD_CREATE_EXCL 8 /* 6.6 */
#endif
#ifndef OPEN_TREE_NAMESPACE
#define OPEN_TREE_NAMESPACE 2 /* 7.0 */
#endif

/* seccomp(2) */
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* 5.19 */
#endif

/* memfd_create(2) */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 */
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* 6.3 */
#endif

/* statx(2) */
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U /* 5.8 */
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U /* 6.8 */
#endif

/* statmount(2), listmount(2), 6.8. Own names: the structs come with <linux/mount.h> some day. */
#define SYS_LSMT_ROOT           0xffffffffffffffffULL
#define SYS_STATMOUNT_SB_BASIC  0x00000001U
#define SYS_STATMOUNT_MNT_BASIC 0x00000002U
#define SYS_STATMOUNT_PROPAGATE 0x00000004U
#define SYS_STATMOUNT_MNT_ROOT  0x00000008U
#define SYS_STATMOUNT_MNT_POINT 0x00000010U
#define SYS_STATMOUNT_FS_TYPE   0x00000020U
#define SYS_STATMOUNT_MNT_NS_ID 0x00000040U
#define SYS_STATMOUNT_MNT_OPTS  0x00000080U

struct sys_mnt_id_req {
	uint32_t size, spare;
	uint64_t mnt_id;
	uint64_t param;
	uint64_t mnt_ns_id;
};

struct sys_statmount {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t mnt_ns_id;
	uint64_t spare[49];
	char str[]; /* the uint32_t text fields are offsets into it */
};

/* sched_setattr(2) */
struct sys_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

/* waitid(2), 5.4 */
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* keyctl(2) */
#define SYS_KEYCTL_JOIN_SESSION_KEYRING 1
#define SYS_KEYCTL_SETPERM              5
#define SYS_KEYCTL_DESCRIBE             6

/* ioprio_set(2) */
#define SYS_IOPRIO_WHO_PROCESS         1
#define SYS_IOPRIO_VALUE(class, level) (((class) << 13) | (level))

static inline int sys_openat2(int dir, const char *path, const struct open_how *how)
{
	return (int)syscall(__NR_openat2, dir, path, how, sizeof(*how));
}

static inline pid_t sys_clone3(const struct clone_args *args)
{
	return (pid_t)syscall(__NR_clone3, args, sizeof(*args));
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(__NR_open_tree, dir, path, flags);
}

/* 6.15: open_tree and mount_setattr in one call; the only way to idmap a mount once more */
static inline int sys_open_tree_attr(int dir, const char *path, unsigned flags,
                                     const struct mount_attr *attr)
{
	return (int)syscall(__NR_open_tree_attr, dir, path, flags, attr, sizeof(*attr));
}

static inline int sys_move_mount(int from, const char *from_path, int to, const char *to_path,
                                 unsigned flags)
{
	return (int)syscall(__NR_move_mount, from, from_path, to, to_path, flags);
}

static inline int sys_fsopen(const char *fs, unsigned flags)
{
	return (int)syscall(__NR_fsopen, fs, flags);
}

static inline int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(__NR_fsconfig, fd, cmd, key, value, aux);
}

static inline int sys_fsmount(int fd, unsigned flags, unsigned attr)
{
	return (int)syscall(__NR_fsmount, fd, flags, attr);
}

static inline int sys_fspick(int dir, const char *path, unsigned flags)
{
	return (int)syscall(__NR_fspick, dir, path, flags);
}

static inline int sys_mount_setattr(int dir, const char *path, unsigned flags,
                                    const struct mount_attr *attr)
{
	return (int)syscall(__NR_mount_setattr, dir, path, flags, attr, sizeof(*attr));
}

static inline int sys_statmount(const struct sys_mnt_id_req *req, struct sys_statmount *buf,
                                size_t size)
{
	return (int)syscall(__NR_statmount, req, buf, size, 0);
}

static inline ssize_t sys_listmount(const struct sys_mnt_id_req *req, uint64_t *ids, size_t n)
{
	return syscall(__NR_listmount, req, ids, n, 0);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(__NR_pivot_root, new_root, put_old);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(__NR_close_range, first, last, flags);
}

static inline int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(__NR_pidfd_open, pid, flags);
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(__NR_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)syscall(__NR_pidfd_getfd, pidfd, fd, 0);
}

static inline int sys_seccomp(unsigned op, unsigned flags, void *args)
{
	return (int)syscall(__NR_seccomp, op, flags, args);
}

static inline int sys_sched_setattr(pid_t pid, const struct sys_sched_attr *attr)
{
	return (int)syscall(__NR_sched_setattr, pid, attr, 0);
}

static inline int sys_ioprio_set(int which, int who, int value)
{
	return (int)syscall(__NR_ioprio_set, which, who, value);
}

static inline long sys_keyctl(int op, unsigned long a, unsigned long b, unsigned long c)
{
	return syscall(__NR_keyctl, op, a, b, c);
}

static inline int sys_set_mempolicy(int mode, const unsigned long *mask, unsigned long max_node)
{
	return (int)syscall(__NR_set_mempolicy, mode, mask, max_node);
}

static inline int sys_bpf(int cmd, void *attr, unsigned size)
{
	return (int)syscall(__NR_bpf, cmd, attr, size);
}

static inline int sys_execveat(int dir, const char *path, char *const *argv, char *const *envp,
                               int flags)
{
	return (int)syscall(__NR_execveat, dir, path, argv, envp, flags);
}

/* The raw call: its result starts with "(unreachable)" when the directory is outside the root,
 * which the library wrapper hides. Returns the length with the NUL. */
static inline ssize_t sys_getcwd(char *buf, size_t size)
{
	return syscall(__NR_getcwd, buf, size);
}
