/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mounts are built from: detached trees by the calls of Linux 5.2 and later
 * (mount_tree.c), and the same results by mount(2) where those are missing (mount_old.c).
 * Private to the mount code. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct mount_plan;
struct rootfs;

/* A file system to be mounted. */
struct fs_request {
	const struct mount_plan *m; /* data, superblock flags; dest for messages */
	const char *type, *source;
	const char *label_option, *label; /* SELinux; label NULL: none */
	unsigned mode;                    /* of the root directory, with has_mode */
	bool has_mode;
	bool sb_readonly; /* the superblock too */
	bool no_ids;      /* leave out uid= and gid= */
	uint64_t attr;    /* MOUNT_ATTR_* to set */
};

/* A change of mount attributes; nothing when all is zero and userns is -1. */
struct tree_change {
	uint64_t set, clr;         /* MOUNT_ATTR_* */
	unsigned long propagation; /* MS_SHARED ..., or 0 */
	int userns;                /* for MOUNT_ATTR_IDMAP, or -1 */
	bool rec;                  /* the mounts below as well */
};
#define TREE_CHANGE_NONE                                                                           \
	{                                                                                          \
		.userns = -1                                                                       \
	}

/* True for the errors that a missing or filtered system call gives. */
bool tree_errno_missing(int errnum);
bool tree_change_none(const struct tree_change *c);

/* A new mount of the request, detached. On failure e->errnum is the cause. */
int tree_fs(const struct fs_request *q, struct err *e);
/* A detached clone; flags: AT_RECURSIVE, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. -1 with errno. */
int tree_clone(int dir, const char *path, unsigned flags);
/* The same with a change applied to it, in one call where the kernel can (6.15). */
int tree_clone_changed(int dir, const char *path, unsigned flags, const struct tree_change *c);
/* -1 with errno. Works for attached mounts as well. */
int tree_set(int tree, const struct tree_change *c);
/* After a failure that the label may be the cause of: adds that as a hint. -1. */
int tree_label_hint(const struct fs_request *q, struct err *e);
/* Moves the tree onto the target; -1 with errno. */
int tree_attach(int tree, int target);
/* EINVAL is said of much by calls that move mounts: makes errno ENOTDIR where a directory and a
 * file met. */
void tree_attach_errno(int tree, int target);

/* Where mount(2) makes mounts ready: a directory or file in a file system of its own, which lies
 * over the container's root meanwhile, so that nobody but init can reach it. What is mounted on it
 * gets its flags there and is then moved onto the destination, as a detached tree is: no name below
 * the root is resolved twice. While a stage is open the root cannot be opened by name. */
struct old_stage {
	int dir;   /* the file system of the stage */
	int point; /* where to mount */
};
#define OLD_STAGE_NONE                                                                             \
	{                                                                                          \
		.dir = -1, .point = -1                                                             \
	}
#define autostage __attribute__((cleanup(old_stage_close))) struct old_stage
int old_stage_open(const struct rootfs *r, bool dir, struct old_stage *s); /* -1 with errno */
/* The mount that was made on the stage's point; -1 with errno. */
int old_stage_top(const struct old_stage *s);
/* Takes it away when the mount has left it; -1 with errno. */
int old_stage_end(struct old_stage *s);
/* The same after a failure: what is still on the stage goes with it. */
void old_stage_close(struct old_stage *s);
/* Moves a mount from the stage onto the target; -1 with errno. */
int old_move(int mount, int target);

/* By mount(2), on the file of an O_PATH descriptor; the source of a bind mount is another. -1 with
 * errno. */
int old_fs(const struct fs_request *q, int target);
int old_bind(int source, int target, bool rec);
/* Changes an attached mount, whose descriptor this must be, and reads the flags back. An idmapping
 * is refused (EOPNOTSUPP): mount(2) cannot do it. -1 with errno. */
int old_set(int mount, const struct tree_change *c);
/* Sets and clears the attributes of all mounts below an attached one, one by one. Needs a procfs of
 * this process's pid namespace. -1 with errno: EOPNOTSUPP if one is covered by another mount. */
int walk_set(int mount, const struct tree_change *c);
/* Reads the flags of a mount back: -1 with EOPNOTSUPP if one of attr is not set. */
int old_verify(int mount, uint64_t attr);
/* Changes the superblock (remount). -1 with errno. */
int old_reconfigure(const struct mount_plan *m, int mount);
/* The same by fspick(2), with old_reconfigure as the fallback. */
int tree_reconfigure(const struct mount_plan *m, int mount, struct err *e);
/* Makes a superblock writable that is what keeps the mount from it; nothing if it is not. */
int tree_make_writable(const struct mount_plan *m, int mount, struct err *e);
int old_make_writable(int mount);
