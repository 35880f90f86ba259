/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* User namespaces that hold a map for mount_setattr(MOUNT_ATTR_IDMAP): a child is cloned into
 * a new one, its maps are written, the namespace is opened, and the child goes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "kernel/idmap.h"

static bool map_equal(const struct idmap *a, const struct idmap *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static int userns_new(const struct idmaps *maps, struct err *e)
{
	autopid child = proc_fork(CLONE_NEWUSER, -1, NULL);
	char path[64];

	if (child < 0) {
		child = 0;
		return fail(e, errno, "make a user namespace for an idmapped mount");
	}
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause(); /* until the parent kills it */
	}
	TRY(idmap_write(child, maps, e));
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
	return fd_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, e);
}

int idmap_userns_fd(struct idmap_cache *cache, const struct idmaps *maps, struct err *e)
{
	int fd;

	for (size_t i = 0; i < cache->n; i++)
		if (map_equal(&cache->v[i].maps.uid, &maps->uid) &&
		    map_equal(&cache->v[i].maps.gid, &maps->gid))
			return cache->v[i].fd;
	if (cache->n == IDMAP_CACHE_MAX)
		return fail(e, 0, "more than %d different maps of idmapped mounts",
		            IDMAP_CACHE_MAX);
	fd = userns_new(maps, e);
	if (fd < 0)
		return -1;
	cache->v[cache->n].maps = *maps;
	cache->v[cache->n++].fd = fd;
	return fd;
}

void idmap_cache_close(struct idmap_cache *cache)
{
	for (size_t i = 0; i < cache->n; i++)
		fd_close_at(&cache->v[i].fd);
	cache->n = 0;
}
