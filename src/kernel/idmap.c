/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

/* 4294967295 is (uid_t)-1, which no range may contain. */
static bool range_valid(uint32_t first, uint32_t size)
{
	return size > 0 && (uint64_t)first + size <= UINT32_MAX;
}

static bool ranges_overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

int idmap_check(const struct idmap *map, const char *pointer, struct err *e)
{
	if (!pointer)
		pointer = "";
	if (map->n > IDMAP_RANGES_MAX) {
		fail(e, 0, "%zu id ranges, the kernel takes %d", map->n, IDMAP_RANGES_MAX);
		return *pointer ? fail_at(e, "%s", pointer) : -1;
	}
	for (size_t i = 0; i < map->n; i++) {
		const struct oci_id_mapping *r = &map->v[i];

		if (!range_valid(r->container_id, r->size) || !range_valid(r->host_id, r->size)) {
			fail(e, 0, "id range %u %u %u is empty or too large", r->container_id,
			     r->host_id, r->size);
			return *pointer ? fail_at(e, "%s/%zu", pointer, i) : -1;
		}
		for (size_t j = 0; j < i; j++) {
			const struct oci_id_mapping *s = &map->v[j];

			if (!ranges_overlap(r->container_id, r->size, s->container_id, s->size) &&
			    !ranges_overlap(r->host_id, r->size, s->host_id, s->size))
				continue;
			fail(e, 0, "id range %u %u %u overlaps %u %u %u", r->container_id,
			     r->host_id, r->size, s->container_id, s->host_id, s->size);
			return *pointer ? fail_at(e, "%s/%zu", pointer, i) : -1;
		}
	}
	return 0;
}

bool idmap_to_host(const struct idmap *map, uint32_t inside, uint32_t *host)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct oci_id_mapping *r = &map->v[i];

		if (inside >= r->container_id && inside - r->container_id < r->size) {
			*host = r->host_id + (inside - r->container_id);
			return true;
		}
	}
	return false;
}

bool idmap_to_inside(const struct idmap *map, uint32_t host, uint32_t *inside)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct oci_id_mapping *r = &map->v[i];

		if (host >= r->host_id && host - r->host_id < r->size) {
			*inside = r->container_id + (host - r->host_id);
			return true;
		}
	}
	return false;
}

/* --- the value of the option idmap= --- */

struct ranges {
	struct oci_id_mapping *v;
	size_t n;
};

static void ranges_add(struct ranges *l, struct arena *a, uint32_t fs, uint32_t host, uint32_t size)
{
	l->v = arena_grow(a, l->v, l->n * sizeof(*l->v), (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct oci_id_mapping){.container_id = fs, .host_id = host, .size = size};
}

/* A decimal number that fits in 32 bits, at *s; *s moves behind it. */
static bool number_read(const char **s, uint32_t *value)
{
	uint64_t v = 0;
	const char *start = *s;

	for (; **s >= '0' && **s <= '9'; (*s)++) {
		v = v * 10 + (uint64_t)(**s - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)v;
	return *s > start;
}

/* The part of a range of container ids that lies in one range of the container's map. */
static bool range_translate(const struct idmap *map, uint32_t inside, uint32_t *host,
                            uint32_t *left)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct oci_id_mapping *r = &map->v[i];

		if (inside >= r->container_id && inside - r->container_id < r->size) {
			*host = r->host_id + (inside - r->container_id);
			*left = r->size - (inside - r->container_id);
			return true;
		}
	}
	return false;
}

static int ranges_add_relative(struct ranges *l, const struct idmap *map, struct arena *a,
                               struct oci_id_mapping r, struct err *e)
{
	while (r.size > 0) {
		uint32_t host, left, n;

		if (l->n >= IDMAP_RANGES_MAX)
			return fail(e, 0, "more than %d id ranges", IDMAP_RANGES_MAX);
		if (!range_translate(map, r.host_id, &host, &left))
			return fail(e, 0, "id %u is not mapped in the container", r.host_id);
		n = left < r.size ? left : r.size;
		ranges_add(l, a, r.container_id, host, n);
		r.container_id += n;
		r.host_id += n;
		r.size -= n;
	}
	return 0;
}

/* One list, "@0-1000-1#1-3000-10", up to ';' or the end. */
static int ranges_parse(const char **s, const struct idmap *own, struct arena *a, struct idmap *out,
                        struct err *e)
{
	struct ranges l = {0};
	bool more = true;

	while (more) {
		struct oci_id_mapping r;
		bool relative = **s == '@';

		if (relative)
			(*s)++;
		if (!number_read(s, &r.container_id) || *(*s)++ != '-' ||
		    !number_read(s, &r.host_id) || *(*s)++ != '-' || !number_read(s, &r.size) ||
		    !range_valid(r.container_id, r.size) || !range_valid(r.host_id, r.size))
			return fail(e, 0, "an id range is wrong; wanted FIRST-HOST-SIZE");
		if (l.n >= IDMAP_RANGES_MAX)
			return fail(e, 0, "more than %d id ranges", IDMAP_RANGES_MAX);
		if (relative && (!own || !own->n))
			return fail(e, 0,
			            "an id range is relative, and the container has no id map");
		if (relative)
			TRY(ranges_add_relative(&l, own, a, r, e));
		else
			ranges_add(&l, a, r.container_id, r.host_id, r.size);
		more = **s == '#';
		if (more)
			(*s)++;
	}
	*out = (struct idmap){l.v, l.n};
	return 0;
}

int idmap_parse(const char *text, const struct idmaps *container, struct arena *a,
                struct idmaps *out, struct err *e)
{
	const char *s = text;

	*out = (struct idmaps){0};
	while (*s) {
		bool uids = str_starts(s, "uids=");
		struct idmap *map = uids ? &out->uid : &out->gid;
		const struct idmap *own = NULL;

		if (!uids && !str_starts(s, "gids="))
			return fail(e, 0, "idmap \"%s\": wanted uids= or gids=", text);
		if (map->n)
			return fail(e, 0, "idmap \"%s\": ids are given twice", text);
		if (container)
			own = uids ? &container->uid : &container->gid;
		s += strlen("uids=");
		if (ranges_parse(&s, own, a, map, e) < 0)
			return fail_prefix(e, "idmap \"%s\"", text);
		if (*s && *s != ';')
			return fail(e, 0, "idmap \"%s\": \"%s\" is not understood", text, s);
		if (*s)
			s++;
	}
	if (!out->uid.n || !out->gid.n)
		return fail(e, 0, "idmap \"%s\": both uids= and gids= are needed", text);
	return 0;
}

/* --- writing maps --- */

static void idmap_text(const struct idmap *map, struct str *s)
{
	for (size_t i = 0; i < map->n; i++)
		str_addf(s, "%u %u %u\n", map->v[i].container_id, map->v[i].host_id,
		         map->v[i].size);
}

/* One map, written by ourselves; -1 with errno. */
static int idmap_put(pid_t pid, const char *file, const struct idmap *map)
{
	autostr text = {0};
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	idmap_text(map, &text);
	return file_try_put(AT_FDCWD, path, text.s ? text.s : "");
}

/* newuidmap(1) or newgidmap(1): setuid helpers that know the ranges given to the user. */
static int idmap_run_helper(pid_t pid, const char *program, const struct idmap *map, struct err *e)
{
	static const char *const dirs[] = {"/usr/bin/", "/bin/", "/usr/local/bin/",
	                                   "/run/wrappers/bin/"};
	char path[64], tail[200] = "";
	autostrv argv = {0};
	struct proc_run run = {.path = path,
	                       .out_fd = -1,
	                       .err_fd = -1,
	                       .timeout_ms = 10000,
	                       .tail = tail,
	                       .tail_size = sizeof(tail)};
	size_t i = 0;
	int status;

	do
		(void)snprintf(path, sizeof(path), "%s%s", dirs[i], program);
	while (access(path, X_OK) < 0 && ++i < COUNT(dirs));
	if (i == COUNT(dirs)) {
		fail(e, 0, "%s is not installed, and %zu id ranges cannot be mapped without it",
		     program, map->n);
		return fail_hint(e, "install the package uidmap (shadow-utils)");
	}
	strv_add(&argv, program);
	strv_addf(&argv, "%d", (int)pid);
	for (i = 0; i < map->n; i++) {
		strv_addf(&argv, "%u", map->v[i].container_id);
		strv_addf(&argv, "%u", map->v[i].host_id);
		strv_addf(&argv, "%u", map->v[i].size);
	}
	run.argv = argv.v;
	TRY(proc_run(&run, &status, e));
	if (status == 0)
		return 0;
	tail[strcspn(tail, "\n")] = '\0';
	fail(e, 0, "%s failed with status %d: %s", program,
	     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), tail);
	return fail_hint(e, "check the ranges of the user in /etc/subuid and /etc/subgid");
}

static bool map_is_single(const struct idmap *map, uint32_t id)
{
	return map->n == 1 && map->v[0].size == 1 && map->v[0].host_id == id;
}

static int idmap_deny_setgroups(pid_t pid, struct err *e)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	return file_put(AT_FDCWD, path, "deny", e);
}

static int idmap_write_one(pid_t pid, const char *file, const char *program,
                           const struct idmap *map, uint32_t own_id, struct err *e)
{
	int errnum;

	if (map->n == 0)
		return 0;
	if (idmap_put(pid, file, map) == 0)
		return 0;
	errnum = errno;
	/* The kernel says EPERM to who lacks the privilege over these ids. */
	if (errnum == EPERM && !map_is_single(map, own_id) && geteuid() != 0)
		return idmap_run_helper(pid, program, map, e);
	fail(e, errnum, "%s of process %d", file, (int)pid);
	if (errnum == EINVAL)
		return fail_hint(e,
		                 "the ids on the host side must be mapped where the runtime runs");
	return -1;
}

int idmap_write(pid_t pid, const struct idmaps *maps, struct err *e)
{
	gid_t gid = getegid();

	if (idmap_write_one(pid, "uid_map", "newuidmap", &maps->uid, geteuid(), e) < 0)
		return fail_at(e, "/linux/uidMappings");
	/* user_namespaces(7): without CAP_SETGID above, only after setgroups is denied. */
	if (geteuid() != 0 && map_is_single(&maps->gid, gid))
		TRY(idmap_deny_setgroups(pid, e));
	if (idmap_write_one(pid, "gid_map", "newgidmap", &maps->gid, gid, e) < 0)
		return fail_at(e, "/linux/gidMappings");
	return 0;
}

/* Id 0 if the map has it, else its first id: an inode cannot be made by an id that is not
 * mapped (EOVERFLOW). Neither loses a capability: no id of the process was 0 of this namespace
 * before. */
static uint32_t idmap_first(const struct idmap *map)
{
	uint32_t host;

	if (map->n == 0 || idmap_to_host(map, 0, &host))
		return 0;
	return map->v[0].container_id;
}

int idmap_adopt(const struct idmaps *maps, bool keep_groups, struct err *e)
{
	uid_t uid = maps ? idmap_first(&maps->uid) : 0;
	gid_t gid = maps ? idmap_first(&maps->gid) : 0;

	/* EPERM: setgroups is denied in this namespace. The groups go with the ids then. */
	if (!keep_groups && setgroups(0, NULL) < 0 && errno != EPERM)
		return fail(e, errno, "drop the groups of the caller");
	if (setresgid(gid, gid, gid) < 0 && (maps || errno != EINVAL))
		return fail(e, errno, "become group %u of the user namespace", gid);
	if (setresuid(uid, uid, uid) < 0 && (maps || errno != EINVAL))
		return fail(e, errno, "become user %u of the user namespace", uid);
	return 0;
}
