/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "kernel/ns.h"

/* Keys that belong to a namespace; a key that ends in a dot is a prefix. Everything else is the
 * host's and would reach beyond the container (CVE-2022-0811). */
static const struct sysctl_owner {
	const char *key;
	int flag;
} sysctl_owners[] = {
	{"fs.mqueue.",             CLONE_NEWIPC },
	{"kernel.domainname",      CLONE_NEWUTS },
	{"kernel.hostname",        CLONE_NEWUTS },
	{"kernel.msg_next_id",     CLONE_NEWIPC },
	{"kernel.msgmax",          CLONE_NEWIPC },
	{"kernel.msgmnb",          CLONE_NEWIPC },
	{"kernel.msgmni",          CLONE_NEWIPC },
	{"kernel.auto_msgmni",     CLONE_NEWIPC },
	{"kernel.sem",             CLONE_NEWIPC },
	{"kernel.sem_next_id",     CLONE_NEWIPC },
	{"kernel.shmall",          CLONE_NEWIPC },
	{"kernel.shmmax",          CLONE_NEWIPC },
	{"kernel.shmmni",          CLONE_NEWIPC },
	{"kernel.shm_next_id",     CLONE_NEWIPC },
	{"kernel.shm_rmid_forced", CLONE_NEWIPC },
	{"net.",		   CLONE_NEWNET },
	{"user.",		  CLONE_NEWUSER},
};

static bool sysctl_matches(const char *key, const char *pattern)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '.' ? strncmp(key, pattern, n) == 0 : strcmp(key, pattern) == 0;
}

/* net.ipv4.conf.eth0/1.forwarding: a slash stands for a dot in a name, as in sysctl(8). A key with
 * a slash before any dot uses slashes as separators. The path must name a file below sys/. */
static int sysctl_path(const char *key, struct str *path)
{
	const char *dot = strchr(key, '.'), *slash = strchr(key, '/');
	bool slashes = slash && (!dot || slash < dot);

	str_add(path, "sys/");
	for (const char *c = key; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("._-/:@", *c))
			return -1;
		str_addc(path, slashes ? *c : *c == '.' ? '/' : *c == '/' ? '.' : *c);
	}
	if (strstr(path->s, "/../") || strstr(path->s, "//") || strstr(path->s, "/./"))
		return -1;
	return path->s[path->len - 1] == '/' || path->len < 6 ? -1 : 0;
}

static int sysctl_check_one(const char *key, int own_flags, bool has_hostname, struct err *e)
{
	autostr path = {0};
	autofree char *dotted = NULL;

	if (sysctl_path(key, &path) < 0 || strstr(path.s, "/.."))
		return fail(e, 0, "sysctl \"%s\": not a valid key", key);
	dotted = xstrdup(path.s + 4);
	for (char *c = dotted; *c; c++)
		if (*c == '/')
			*c = '.';
	for (size_t i = 0; i < COUNT(sysctl_owners); i++) {
		char text[32];

		if (!sysctl_matches(dotted, sysctl_owners[i].key))
			continue;
		if (!(own_flags & sysctl_owners[i].flag))
			return fail(e, 0,
			            "sysctl \"%s\" needs a %s namespace of the container's own",
			            key, ns_flags_text(sysctl_owners[i].flag, text, sizeof text));
		if (has_hostname && strcmp(dotted, "kernel.hostname") == 0)
			return fail(e, 0, "sysctl \"%s\" contradicts /hostname", key);
		return 0;
	}
	return fail(e, 0, "sysctl \"%s\" is not confined to a namespace and would change the host",
	            key);
}

int ns_sysctl_check(const struct oci_map *sysctl, int own_flags, bool has_hostname, struct err *e)
{
	for (size_t i = 0; i < sysctl->n; i++)
		if (sysctl_check_one(sysctl->keys[i], own_flags, has_hostname, e) < 0)
			return fail_at(e, "/linux/sysctl/%s", sysctl->keys[i]);
	return 0;
}

int ns_sysctl_apply(const struct oci_map *sysctl, int proc, struct err *e)
{
	for (size_t i = 0; i < sysctl->n; i++) {
		const char *key = sysctl->keys[i], *value = sysctl->values[i];
		autostr path = {0};
		autofd fd = -1;

		(void)sysctl_path(key, &path); /* checked when the plan was made */
		fd = path_try_beneath(proc, path.s, O_WRONLY, 0);
		if (fd < 0)
			fail(e, errno, "open sysctl \"%s\"", key);
		else if (fd_write_all(fd, value, strlen(value)) < 0)
			fail(e, errno, "set sysctl \"%s\" to \"%s\"", key, value);
		else
			continue;
		return fail_at(e, "/linux/sysctl/%s", key);
	}
	return 0;
}
