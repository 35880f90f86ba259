/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/exe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"

#ifndef ST_RDONLY
#define ST_RDONLY 1
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

bool exe_is_read_only;

static const char self[] = "/proc/self/exe";

/* The kernel shows through which mount the program was started: a read-only one refuses every
 * write, whoever asks. A sealed memfd is on tmpfs and refuses too. */
static bool exe_is_protected(void)
{
	struct statfs fs;
	autofd fd = -1;

	if (statfs(self, &fs) < 0)
		return false;
	if (fs.f_flags & ST_RDONLY)
		return true;
	if (fs.f_type != TMPFS_MAGIC)
		return false;
	fd = open(self, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && (fcntl(fd, F_GET_SEALS) & SEALS) == SEALS;
}

static int exe_clone_mount(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autofd fd = sys_open_tree(AT_FDCWD, self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
		return -1;
	return take_fd(&fd);
}

static int exe_copy_sealed(void)
{
	autofd from = open(self, O_RDONLY | O_CLOEXEC);
	autofd fd = memfd_create("davit", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	struct stat st;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 there was no MFD_EXEC */
		fd = memfd_create("davit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (from < 0 || fd < 0 || fstat(from, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(fd, from, NULL, (size_t)left);

		if (n <= 0)
			return -1;
		left -= n;
	}
	if (fchmod(fd, 0500) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_EXEC) < 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -1;
	return take_fd(&fd);
}

int exe_protect(char *const *argv, struct err *e)
{
	if (exe_is_read_only || exe_is_protected())
		return 0;
	for (int way = 0; way < 2; way++) {
		autofd fd = way == 0 ? exe_clone_mount() : exe_copy_sealed();

		if (fd >= 0)
			sys_execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	}
	return fail(e, errno, "protect davit's own binary");
}
