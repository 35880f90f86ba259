/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A config.json to start from: a shell in a terminal, few privileges, its own namespaces. */
#include "davit.h"

#include "arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "ocispec.h"
#include "write.h"

#include <string.h>
#include <unistd.h>

struct spec_mount {
	const char *destination, *type, *source;
	const char *options;  /* separated by commas */
	bool root;            /* not for a rootless container */
	const char *rootless; /* options there; NULL: the same */
};

#define MOUNT(...)                                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
static const struct spec_mount spec_mounts[] = {
	MOUNT("/proc", "proc", "proc", "", false, NULL),
	MOUNT("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k", false, NULL),
	/* group 5 has no id of the caller */
	MOUNT("/dev/pts", "devpts", "devpts",
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5", false,
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"),
	MOUNT("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k", false, NULL),
	MOUNT("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev", false, NULL),
	MOUNT("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro", true, NULL),
	MOUNT("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro", true, NULL),
};

/* sysfs belongs to the user namespace that owns the network: a rootless container with the host's
 * network can but bind it, and the cgroup file systems come along: "rro" is for them. */
static const struct spec_mount spec_sys_rootless =
	MOUNT("/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,ro,rro", false, NULL);

static const char *const spec_caps[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};

/* Kernel interfaces that are not part of any namespace and tell about, or act on, the host
 * (CVE-2017-16539, CVE-2018-10892, CVE-2015-3630). */
static const char *const spec_masked[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
};
static const char *const spec_readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* One directory for each processor; how hot it is tells what others compute. */
#define SPEC_THERMAL "/sys/devices/system/cpu/cpu%ld/thermal_throttle"

static char **words(struct arena *a, const char *const *list, size_t n, size_t *count)
{
	char **v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = arena_strdup(a, list[i]);
	*count = n;
	return v;
}

static char **words_split(struct arena *a, const char *list, size_t *count)
{
	char **v = arena_array(a, strlen(list) + 1, sizeof(*v));
	char *rest = arena_strdup(a, list), *word;

	*count = 0;
	while ((word = strsep(&rest, ",")))
		if (*word)
			v[(*count)++] = word;
	return v;
}

static struct oci_process *spec_process(struct arena *a)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"TERM=xterm",
	};
	struct oci_process *p = arena_new(a, struct oci_process);
	struct oci_capabilities *c = arena_new(a, struct oci_capabilities);
	size_t n = COUNT(spec_caps);

	p->terminal = true;
	p->user = arena_new(a, struct oci_user);
	p->args = words_split(a, "sh", &p->n_args);
	p->env = words(a, env, COUNT(env), &p->n_env);
	p->cwd = arena_strdup(a, "/");
	/* Nothing inheritable or ambient: such sets outlive a change of user (CVE-2022-29162). */
	c->bounding = words(a, spec_caps, n, &c->n_bounding);
	c->effective = words(a, spec_caps, n, &c->n_effective);
	c->permitted = words(a, spec_caps, n, &c->n_permitted);
	p->capabilities = c;
	p->rlimits = arena_new(a, struct oci_rlimit);
	p->n_rlimits = 1;
	p->rlimits[0].type = arena_strdup(a, "RLIMIT_NOFILE");
	p->rlimits[0].hard = p->rlimits[0].soft = 1024;
	p->no_new_privileges = true;
	return p;
}

static void mount_add(struct oci_config *c, const struct spec_mount *m, bool rootless,
                      struct arena *a)
{
	struct oci_mount *out = &c->mounts[c->n_mounts++];
	const char *options = rootless && m->rootless ? m->rootless : m->options;

	out->destination = arena_strdup(a, m->destination);
	out->type = arena_strdup(a, m->type);
	out->source = arena_strdup(a, m->source);
	if (*options)
		out->options = words_split(a, options, &out->n_options);
}

static void spec_add_mounts(struct oci_config *c, bool rootless, struct arena *a)
{
	c->mounts = arena_array(a, COUNT(spec_mounts) + 1, sizeof(*c->mounts));
	for (size_t i = 0; i < COUNT(spec_mounts); i++)
		if (!rootless || !spec_mounts[i].root)
			mount_add(c, &spec_mounts[i], rootless, a);
	if (rootless)
		mount_add(c, &spec_sys_rootless, rootless, a);
}

/* Maps the caller to root. */
static struct oci_id_mapping *spec_mapping(uint32_t host, size_t *n, struct arena *a)
{
	struct oci_id_mapping *m = arena_new(a, struct oci_id_mapping);

	*m = (struct oci_id_mapping){.container_id = 0, .host_id = host, .size = 1};
	*n = 1;
	return m;
}

static void spec_namespaces(struct oci_linux *l, bool rootless, struct arena *a)
{
	/* The network stays the host's for a rootless caller: nobody would set up a new one. */
	static const char *const own[] = {"pid", "network", "ipc", "uts", "mount", "cgroup"};
	static const char *const own_rootless[] = {"pid", "ipc", "uts", "mount", "cgroup", "user"};
	const char *const *types = rootless ? own_rootless : own;
	size_t n = rootless ? COUNT(own_rootless) : COUNT(own);

	l->namespaces = arena_array(a, n, sizeof(*l->namespaces));
	l->n_namespaces = n;
	for (size_t i = 0; i < n; i++)
		l->namespaces[i].type = arena_strdup(a, types[i]);
}

static void spec_paths(struct oci_linux *l, struct arena *a)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	size_t n = COUNT(spec_masked);

	l->masked_paths = arena_array(a, n + (size_t)(cpus > 0 ? cpus : 0), sizeof(char *));
	for (size_t i = 0; i < n; i++)
		l->masked_paths[i] = arena_strdup(a, spec_masked[i]);
	for (long i = 0; i < cpus; i++) {
		char *path = arena_printf(a, SPEC_THERMAL, i);

		if (access(path, F_OK) == 0)
			l->masked_paths[n++] = path;
	}
	l->n_masked_paths = n;
	l->readonly_paths = words(a, spec_readonly, COUNT(spec_readonly), &l->n_readonly_paths);
}

static struct oci_linux *spec_linux(bool rootless, struct arena *a)
{
	struct oci_linux *l = arena_new(a, struct oci_linux);

	spec_namespaces(l, rootless, a);
	spec_paths(l, a);
	if (rootless) {
		l->uid_mappings = spec_mapping(geteuid(), &l->n_uid_mappings, a);
		l->gid_mappings = spec_mapping(getegid(), &l->n_gid_mappings, a);
		return l;
	}
	l->resources = arena_new(a, struct oci_resources);
	l->resources->devices = arena_new(a, struct oci_device_cgroup);
	l->resources->devices[0].access = arena_strdup(a, "rwm");
	l->resources->n_devices = 1;
	return l;
}

int davit_spec(bool rootless, char **json, struct err *e)
{
	struct oci_config c = {0};
	struct arena a = {0};

	(void)e;
	c.oci_version = arena_strdup(&a, DAVIT_SPEC_VERSION);
	c.process = spec_process(&a);
	c.root = arena_new(&a, struct oci_root);
	c.root->path = arena_strdup(&a, "rootfs");
	c.root->readonly = true;
	c.hostname = arena_strdup(&a, "davit");
	spec_add_mounts(&c, rootless, &a);
	c.linux = spec_linux(rootless, &a);
	*json = xstrdup(oci_write(&ocispec_schema, OCI_CONFIG, &c, OCI_WRITE_PRETTY, &a, NULL));
	arena_free(&a);
	return 0;
}
