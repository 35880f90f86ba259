/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* User and group id maps (user_namespaces(7)): checks, look-ups, writing them for a process, and
 * user namespaces that exist only to carry a map for an idmapped mount (mount_setattr(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ocispec.h"

struct arena;
struct err;

/* One map; ids of the container on the left (container_id), of the parent on the right (host_id).
 * n is 0 when there is none. */
struct idmap {
	const struct oci_id_mapping *v;
	size_t n;
};

struct idmaps {
	struct idmap uid, gid;
};

/* The kernel takes at most this many ranges (user_namespaces(7)). */
#define IDMAP_RANGES_MAX 340

/* Checks each range (size > 0, no overflow, not the id -1) and that no two overlap on either
 * side. pointer is the JSON pointer of the array, "/linux/uidMappings". Pure. */
int idmap_check(const struct idmap *map, const char *pointer, struct err *e);

/* Look-ups; false if the id is not mapped. */
bool idmap_to_host(const struct idmap *map, uint32_t inside, uint32_t *host);
bool idmap_to_inside(const struct idmap *map, uint32_t host, uint32_t *inside);

/* Parses the value of the mount option idmap=: "uids=FS-HOST-SIZE[#...];gids=FS-HOST-SIZE[#...]".
 * "@" before a range says that HOST is an id of the container: it is taken through container's
 * maps (NULL: an error), and split where it spans several of their ranges. */
int idmap_parse(const char *text, const struct idmaps *container, struct arena *a,
                struct idmaps *out, struct err *e);

/* Writes the maps of a process that is in a new user namespace. Runs in the runtime. A caller
 * without privilege that maps more than its own ids runs newuidmap(1) and newgidmap(1); one that
 * maps only its own gid without them first denies setgroups(2), as the kernel demands. */
int idmap_write(pid_t pid, const struct idmaps *maps, struct err *e);

/* Runs in: init, as soon as the maps are written. Needs: nothing but the namespace.
 * Leaves: real, effective, saved and file system ids 0 of the namespace, no extra groups; where 0
 * is not mapped, the first mapped id (files could not be made otherwise), all capabilities kept.
 * Must not: run before idmap_write. maps NULL: a joined namespace, whose maps are not known.
 * keep_groups: the caller's groups stay (annotation run.oci.keep_original_groups). */
int idmap_adopt(const struct idmaps *maps, bool keep_groups, struct err *e);

/* User namespaces for idmapped mounts, one for equal maps. Starts as {0}. */
#define IDMAP_CACHE_MAX 16
struct idmap_cache {
	struct {
		struct idmaps maps;
		int fd;
	} v[IDMAP_CACHE_MAX];
	size_t n;
};
/* A descriptor of a user namespace that has these maps; the cache owns it. The maps must live as
 * long as the cache. Needs CAP_SYS_ADMIN; runs in the runtime. */
int idmap_userns_fd(struct idmap_cache *cache, const struct idmaps *maps, struct err *e);
void idmap_cache_close(struct idmap_cache *cache);
