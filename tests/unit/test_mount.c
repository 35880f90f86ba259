/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mount options and plans; nothing is mounted here. */
#include "kernel/mount.h"

#include <sched.h>
#include <string.h>

#include "arena.h"
#include "base/err.h"
#include "base/sys.h"
#include "kernel/dev.h"
#include "kernel/mount_target.h"
#include "kernel/rootfs.h"
#include "tap.h"

static struct arena arena;
static struct err err;

/* Parses a mount of type with one option list; at most 8. */
static int parse(struct mount_plan *out, const char *type, const char *source, int n,
                 const char *const options[])
{
	static struct oci_id_mapping own = {0, 100000, 65536};
	static const struct idmaps maps = {
		{&own, 1},
                {&own, 1}
        };
	const struct mount_parse p = {.bundle = "/bundle", .userns = true, .own_maps = &maps};
	char *copies[8];
	struct oci_mount m = {.destination = (char[]){"/d"},
	                      .type = arena_strdup(&arena, type),
	                      .source = arena_strdup(&arena, source),
	                      .options = copies,
	                      .n_options = (size_t)n};

	for (int i = 0; i < n; i++)
		copies[i] = arena_strdup(&arena, options[i]);
	err = (struct err){0};
	return mount_plan_parse(&m, 3, &p, &arena, out, &err);
}
#define PARSE(out, type, source, ...)                                                              \
	parse(out, type, source, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),    \
	      (const char *[]){__VA_ARGS__})

static void test_table_sorted(void)
{
	for (size_t i = 1; i < mount_options.n; i++)
		if (!ok(strcmp(mount_options.v[i - 1].name, mount_options.v[i].name) < 0))
			printf("# %s\n", mount_options.v[i].name);
}

/* Every option that config.md lists. */
static void test_table_complete(void)
{
	static const char *const words[] = {
		"async",        "atime",      "bind",        "defaults",       "dev",
		"diratime",     "dirsync",    "exec",        "iversion",       "lazytime",
		"loud",         "mand",       "noatime",     "nodev",          "nodiratime",
		"noexec",       "noiversion", "nolazytime",  "nomand",         "norelatime",
		"nosuid",       "private",    "ratime",      "nostrictatime",  "nosymfollow",
		"rbind",        "rdev",       "rdiratime",   "relatime",       "remount",
		"rexec",        "rnoatime",   "rnodiratime", "rnoexec",        "rnorelatime",
		"rnosuid",      "ro",         "rprivate",    "rnostrictatime", "rnosymfollow",
		"rrelatime",    "rro",        "rrw",         "rshared",        "rslave",
		"rstrictatime", "rsuid",      "rsymfollow",  "runbindable",    "rw",
		"shared",       "silent",     "slave",       "strictatime",    "suid",
		"symfollow",    "sync",       "tmpcopyup",   "unbindable",     "idmap",
		"ridmap"};
	int64_t value;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!ok(names_find(&mount_options, words[i], &value)))
			printf("# %s\n", words[i]);
}

static void test_flags_and_data(void)
{
	struct mount_plan m;

	is_int(PARSE(&m, "tmpfs", "tmpfs", "nosuid", "ro", "mode=755", "size=64k", "strictatime"),
	       0);
	is_int((long long)m.attr.set,
	       MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY | MOUNT_ATTR_STRICTATIME);
	is_int((long long)m.n_data, 2);
	is_str(m.data[0], "mode=755");
	is_str(m.data[1], "size=64k");
	is_int((long long)m.index, 3);
	is_int(m.flags, 0);
}

static void test_last_word_counts(void)
{
	struct mount_plan m;

	is_int(PARSE(&m, "bind", "/s", "ro", "rw", "noatime", "relatime", "nodev"), 0);
	is_int((long long)m.attr.set, MOUNT_ATTR_NODEV);
	is_int((long long)m.attr.clr, MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME);
	is_int(PARSE(&m, "bind", "/s", "relatime", "noatime", "sync", "async"), 0);
	is_int((long long)m.attr.set, MOUNT_ATTR_NOATIME);
	is_int((long long)m.attr.clr, MOUNT_ATTR__ATIME);
	is_int((long long)m.sb_set, 0);
	is_int((long long)m.sb_clr, MS_SYNCHRONOUS);
}

static void test_joined_options(void)
{
	struct mount_plan m;

	is_int(PARSE(&m, "overlay", "o", "nosuid,lowerdir=/a\\,b,,upperdir=/c,ro",
	             "context=\"u:r:t:s0:c1,c2\""),
	       0);
	is_int((long long)m.n_data, 3);
	is_str(m.data[0], "lowerdir=/a\\,b");
	is_str(m.data[1], "upperdir=/c");
	is_str(m.data[2], "context=\"u:r:t:s0:c1,c2\"");
	is_int((long long)m.attr.set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY);
}

static void test_bind(void)
{
	struct mount_plan m;

	is_int(PARSE(&m, NULL, "rel/src", "rbind", "rro", "rslave", "mode=1"), 0);
	is_int(m.flags, MOUNT_BIND | MOUNT_REC);
	is_str(m.source, "/bundle/rel/src");
	is_str(m.type, "bind");
	is_int((long long)m.n_data, 0);
	is_int((long long)m.attr_rec.set, MOUNT_ATTR_RDONLY);
	is_int((long long)m.attr.set, 0);
	is_int((long long)m.propagation, MS_SLAVE);
	ok(m.propagation_rec);
	is_int(PARSE(&m, "bind", "/s", "private"), 0);
	is_int(m.flags, MOUNT_BIND);
	ok(!m.propagation_rec);
	is_int(PARSE(&m, "bind", "", "bind"), -1);
	is_str(err.at, "/mounts/3");
	is_int(PARSE(&m, "", "", "nosuid"), -1);
	is_str(err.at, "/mounts/3");
}

static void test_idmap(void)
{
	struct mount_plan m;

	is_int(PARSE(&m, "bind", "/s", "idmap"), 0);
	is_int(m.flags, MOUNT_BIND | MOUNT_IDMAP | MOUNT_IDMAP_OWN);
	is_int(PARSE(&m, "bind", "/s", "ridmap=uids=0-5-1;gids=@0-1-2", "rbind"), 0);
	is_int(m.flags, MOUNT_BIND | MOUNT_REC | MOUNT_IDMAP | MOUNT_IDMAP_REC);
	is_int((long long)m.idmap.uid.v[0].host_id, 5);
	is_int((long long)m.idmap.gid.v[0].host_id, 100001);
	is_int(PARSE(&m, "bind", "/s", "bind", "idmap=uids=0-5-x;gids=0-1-2"), -1);
	is_str(err.at, "/mounts/3/options/1");
	is_int(PARSE(&m, "tmpfs", "t", "idmap"), -1);
	ok(mount_source_wanted(&(struct mount_plan){.flags = MOUNT_BIND | MOUNT_IDMAP}, false));
	ok(mount_source_wanted(&(struct mount_plan){.flags = MOUNT_BIND}, true));
	ok(!mount_source_wanted(&(struct mount_plan){.flags = MOUNT_BIND}, false));
	ok(!mount_source_wanted(&(struct mount_plan){.flags = 0}, true));
}

static void test_idmap_needs_maps(void)
{
	char *option = (char[]){"idmap"};
	struct oci_id_mapping map = {0, 1, 1};
	struct oci_mount m = {.destination = (char[]){"/d"},
	                      .source = (char[]){"/s"},
	                      .type = (char[]){"bind"},
	                      .options = &option,
	                      .n_options = 1};
	const struct mount_parse p = {.bundle = "/"};
	struct mount_plan out;

	is_int(mount_plan_parse(&m, 0, &p, &arena, &out, &err), -1);
	m.uid_mappings = &map;
	m.n_uid_mappings = 1;
	is_int(mount_plan_parse(&m, 0, &p, &arena, &out, &err), -1);
	m.gid_mappings = &map;
	m.n_gid_mappings = 1;
	is_int(mount_plan_parse(&m, 0, &p, &arena, &out, &err), 0);
	is_int(out.flags, MOUNT_BIND | MOUNT_IDMAP);
}

static void test_propagation(void)
{
	is_int((long long)mount_propagation("rslave"), MS_SLAVE | MS_REC);
	is_int((long long)mount_propagation("unbindable"), MS_UNBINDABLE);
	is_int((long long)mount_propagation("ro"), 0);
	is_int((long long)mount_propagation("nonsense"), 0);
}

static void test_destinations(void)
{
	ok(mount_dest_is("proc", "/proc"));
	ok(mount_dest_is("//./proc/.", "/proc"));
	ok(!mount_dest_is("/proc2", "/proc"));
	ok(!mount_dest_is("/proc/x", "/proc"));
	ok(mount_dest_contains("/dev", "/dev/shm"));
	ok(mount_dest_contains("/", "/dev"));
	ok(!mount_dest_contains("/dev", "/device"));
	ok(!mount_dest_contains("/dev/shm", "/dev"));
}

/* --- the plan of the root --- */

static int plan(struct oci_config *c, int own_ns, struct rootfs_plan *out)
{
	const struct rootfs_request q = {.bundle = "/b", .own_ns = own_ns, .new_ns = own_ns};

	err = (struct err){0};
	return rootfs_plan_make(c, &q, &arena, out, &err);
}

static void test_plan(void)
{
	struct oci_root root = {.path = (char[]){"r"}, .readonly = true};
	struct oci_mount mount = {.destination = (char[]){"dev/"},
	                          .type = (char[]){"bind"},
	                          .source = (char[]){"/dev"}};
	struct oci_linux lnx = {.rootfs_propagation = (char[]){"rshared"}};
	struct oci_config c = {.root = &root, .mounts = &mount, .n_mounts = 1, .linux = &lnx};
	char *masked[] = {(char[]){"relative"}};
	struct rootfs_plan p;

	is_int(plan(&c, CLONE_NEWNS | CLONE_NEWUSER, &p), 0);
	is_str(p.path, "/b/r");
	ok(p.readonly && p.userns && p.dev_skip);
	is_int((long long)p.propagation, MS_SHARED | MS_REC);
	is_int(plan(&c, CLONE_NEWPID, &p), -1);
	is_str(err.at, "/root/readonly");
	root.readonly = false;
	is_int(plan(&c, CLONE_NEWPID, &p), -1);
	is_str(err.at, "/linux/rootfsPropagation");
	lnx.rootfs_propagation = NULL;
	is_int(plan(&c, CLONE_NEWPID, &p), 0);
	is_int((long long)p.n_mounts, 0);
	lnx.rootfs_propagation = (char[]){"ro"};
	is_int(plan(&c, CLONE_NEWNS, &p), -1);
	is_str(err.at, "/linux/rootfsPropagation");
	lnx.rootfs_propagation = NULL;
	lnx.masked_paths = masked;
	lnx.n_masked_paths = 1;
	is_int(plan(&c, CLONE_NEWNS, &p), -1);
	is_str(err.at, "/linux/maskedPaths/0");
	c.root = NULL;
	is_int(plan(&c, CLONE_NEWNS, &p), -1);
	is_str(err.at, "/root");
}

static void test_devices(void)
{
	struct oci_device d = {.path = (char[]){"/dev/x"},
	                       .type = (char[]){"c"},
	                       .major = 1,
	                       .minor = 3,
	                       .has_major = true,
	                       .has_minor = true};

	is_int(dev_check(&d, 2, &err), 0);
	d.has_file_mode = true;
	d.file_mode = 020666; /* some engines leave the type in */
	is_int(dev_check(&d, 2, &err), 0);
	d.file_mode = 060666;
	is_int(dev_check(&d, 2, &err), -1);
	is_str(err.at, "/linux/devices/2/fileMode");
	d.has_file_mode = false;
	d.has_minor = false;
	err.at[0] = '\0';
	is_int(dev_check(&d, 2, &err), -1);
	d.type = (char[]){"p"};
	is_int(dev_check(&d, 2, &err), 0);
	d.type = (char[]){"x"};
	is_int(dev_check(&d, 2, &err), -1);
	d.type = (char[]){"c"};
	d.has_minor = true;
	d.minor = 1 << 20;
	is_int(dev_check(&d, 2, &err), -1);
	d.minor = 1;
	d.path = (char[]){"dev/x"};
	is_int(dev_check(&d, 2, &err), -1);
}

int main(void)
{
	RUN(test_table_sorted);
	RUN(test_table_complete);
	RUN(test_flags_and_data);
	RUN(test_last_word_counts);
	RUN(test_joined_options);
	RUN(test_bind);
	RUN(test_idmap);
	RUN(test_idmap_needs_maps);
	RUN(test_propagation);
	RUN(test_destinations);
	RUN(test_plan);
	RUN(test_devices);
	arena_free(&arena);
	return done();
}
