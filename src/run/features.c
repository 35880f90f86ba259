/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The features document, made from the tables that the code itself looks words up in. It tells what
 * davit knows, not what this host can do: nothing is looked at. features.md, features-linux.md. */
#include "davit.h"

#include "arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/str.h"
#include "commit.h"
#include "kernel/cgroup.h"
#include "kernel/mount.h"
#include "ocispec.h"
#include "write.h"

#include <seccomp.h>

#ifdef HAVE_SYSTEMD
#define WITH_SYSTEMD true
#else
#define WITH_SYSTEMD false
#endif
#ifdef HAVE_APPARMOR
#define WITH_APPARMOR true
#else
#define WITH_APPARMOR false
#endif
#ifdef HAVE_SELINUX
#define WITH_SELINUX true
#else
#define WITH_SELINUX false
#endif

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

static const char *const hook_names[] = {
	"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
};

/* Annotations that can change what the runtime does; some are for handlers that davit has not (they
 * are refused there or without effect), yet an engine must keep them from untrusted users alike.
 * Those of the cgroup module are added. A dot at the end stands for a prefix. */
static const char *const unsafe_annotations[] = {
	"io.kubernetes.cri.container-type",
	"krun.",
	"module.wasm.image/variant",
	"org.criu.config",
	"org.systemd.property.",
	"run.oci.",
};

/* Name, value, name, value ... */
static const char *const annotations[] = {
	"io.github.seccomp.libseccomp.version",
	TEXT(SCMP_VER_MAJOR) "." TEXT(SCMP_VER_MINOR) "." TEXT(SCMP_VER_MICRO),
	"org.davit.commit",
	DAVIT_COMMIT,
	"org.davit.version",
	PACKAGE_VERSION,
	/* the name that engines ask for, whoever the runtime is */
	"org.opencontainers.runc.checkpoint.enabled",
	"false",
};

static char **words(struct arena *a, const char *const *list, size_t n, size_t *count)
{
	char **v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = arena_strdup(a, list[i]);
	*count = n;
	return v;
}

static char **table_words(struct arena *a, const struct names *t, size_t *count)
{
	char **v = arena_array(a, t->n + 1, sizeof(*v));

	for (size_t i = 0; i < t->n; i++)
		v[i] = arena_strdup(a, t->v[i].name);
	*count = t->n;
	return v;
}

static struct oci_features_enabled *enabled(struct arena *a, bool value)
{
	struct oci_features_enabled *f = arena_new(a, struct oci_features_enabled);

	*f = (struct oci_features_enabled){.enabled = value, .has_enabled = true};
	return f;
}

static struct oci_features_cgroup *features_cgroup(struct arena *a)
{
	struct oci_features_cgroup *f = arena_new(a, struct oci_features_cgroup);

	f->has_v1 = f->has_v2 = f->has_rdma = f->has_systemd = f->has_systemd_user = true;
	f->v1 = f->v2 = f->rdma = true;
	f->systemd = f->systemd_user = WITH_SYSTEMD;
	return f;
}

static struct oci_features_seccomp *features_seccomp(struct arena *a)
{
	struct oci_features_seccomp *f = arena_new(a, struct oci_features_seccomp);

	f->enabled = f->has_enabled = true;
	f->actions = table_words(a, &names_seccomp_actions, &f->n_actions);
	f->operators = table_words(a, &names_seccomp_operators, &f->n_operators);
	f->archs = table_words(a, &names_seccomp_archs, &f->n_archs);
	f->known_flags = table_words(a, &names_seccomp_flags, &f->n_known_flags);
	/* The filters are loaded by ourselves: no library can lack a flag. */
	f->supported_flags = table_words(a, &names_seccomp_flags, &f->n_supported_flags);
	return f;
}

static struct oci_features_linux *features_linux(struct arena *a)
{
	struct oci_features_linux *f = arena_new(a, struct oci_features_linux);

	f->namespaces = table_words(a, &names_namespaces, &f->n_namespaces);
	f->capabilities = table_words(a, &names_capabilities, &f->n_capabilities);
	f->cgroup = features_cgroup(a);
	f->seccomp = features_seccomp(a);
	f->apparmor = enabled(a, WITH_APPARMOR);
	f->selinux = enabled(a, WITH_SELINUX);
	f->memory_policy = arena_new(a, struct oci_features_memory_policy);
	f->memory_policy->modes = table_words(a, &names_mempolicy, &f->memory_policy->n_modes);
	f->memory_policy->flags =
		table_words(a, &names_mempolicy_flags, &f->memory_policy->n_flags);
	f->intel_rdt = arena_new(a, struct oci_features_intel_rdt);
	f->intel_rdt->enabled = f->intel_rdt->has_enabled = true;
	f->intel_rdt->schemata = f->intel_rdt->has_schemata = true;
	f->intel_rdt->monitoring = f->intel_rdt->has_monitoring = true;
	f->mount_extensions = arena_new(a, struct oci_features_mount_extensions);
	f->mount_extensions->idmap = enabled(a, true);
	f->net_devices = enabled(a, true);
	return f;
}

static bool unsafe_has(const char *annotation)
{
	for (size_t i = 0; i < COUNT(unsafe_annotations); i++) {
		const char *known = unsafe_annotations[i];
		bool prefix = known[strlen(known) - 1] == '.';

		if (prefix ? str_starts(annotation, known) : str_eq(annotation, known))
			return true;
	}
	return false;
}

static void features_unsafe(struct oci_features *f, struct arena *a)
{
	size_t n = 0, known = COUNT(unsafe_annotations);
	char **v;

	while (cgroup_annotations[n])
		n++;
	v = arena_array(a, known + n + 1, sizeof(*v));
	for (size_t i = 0; i < known; i++)
		v[i] = arena_strdup(a, unsafe_annotations[i]);
	for (size_t i = 0; i < n; i++)
		if (!unsafe_has(cgroup_annotations[i]))
			v[known++] = arena_strdup(a, cgroup_annotations[i]);
	f->potentially_unsafe_config_annotations = v;
	f->n_potentially_unsafe_config_annotations = known;
}

static void features_annotations(struct oci_features *f, struct arena *a)
{
	size_t n = COUNT(annotations) / 2;

	f->annotations.n = n;
	f->annotations.keys = arena_array(a, n, sizeof(char *));
	f->annotations.values = arena_array(a, n, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		f->annotations.keys[i] = arena_strdup(a, annotations[2 * i]);
		f->annotations.values[i] = arena_strdup(a, annotations[2 * i + 1]);
	}
}

int davit_features(char **json, struct err *e)
{
	struct arena a = {0};
	struct oci_features f = {0};

	(void)e;
	f.oci_version_min = arena_strdup(&a, "1.0.0");
	f.oci_version_max = arena_strdup(&a, DAVIT_SPEC_VERSION);
	f.hooks = words(&a, hook_names, COUNT(hook_names), &f.n_hooks);
	f.mount_options = table_words(&a, &mount_options, &f.n_mount_options);
	features_annotations(&f, &a);
	features_unsafe(&f, &a);
	f.linux = features_linux(&a);
	*json = xstrdup(oci_write(&ocispec_schema, OCI_FEATURES, &f, OCI_WRITE_PRETTY, &a, NULL));
	arena_free(&a);
	return 0;
}
