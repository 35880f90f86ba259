/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device rules: linux.resources.devices in the listed order, then davit's defaults (nodes that
 * every container has, and mknod of any). Version 1 gets one write a rule, version 2 one eBPF
 * program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/cgroup.h"

struct bpf_insn;
struct err;
struct oci_device_cgroup;

enum {
	DEVICE_READ = 1,
	DEVICE_WRITE = 2,
	DEVICE_MKNOD = 4,
	DEVICE_ALL = 7
};

/* The last rule that matches decides, for each kind of access apart. */
struct cgroup_device_rule {
	bool allow;
	char type;            /* 'a', 'b' or 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;      /* DEVICE_* */
};

struct cgroup_device_rules {
	struct cgroup_device_rule *v;
	size_t n;
};

/* The configured rules in front of the defaults. Without any configured rule everything but the
 * defaults is denied. */
int cgroup_device_rules_make(const struct oci_device_cgroup *devices, size_t n,
                             struct cgroup_device_rules *r, struct err *e);
void cgroup_device_rules_free(struct cgroup_device_rules *r);

/* True if everything is allowed. */
bool cgroup_device_all_allowed(const struct cgroup_device_rules *r);
/* What the rules say; the reference that the other forms are tested against. */
bool cgroup_device_decide(const struct cgroup_device_rules *r, char type, int64_t major,
                          int64_t minor, unsigned access);

/* One write to devices.allow or devices.deny. */
struct cgroup_device_write {
	bool allow;
	char text[64];
};
/* The rules as writes for version 1. Its exceptions are a plain set: a rule that takes a part out
 * of an exception is an error. The caller frees *w. */
int cgroup_device_v1_writes(const struct cgroup_device_rules *r, struct cgroup_device_write **w,
                            size_t *n, struct err *e);

/* What the rules come to: a default and the exceptions from it, none of them empty. -1 if it cannot
 * be put so. The caller frees *ex. */
int cgroup_device_exceptions(const struct cgroup_device_rules *r, bool *allow,
                             struct cgroup_device_rule **ex, size_t *n);

/* The rules as a BPF_PROG_TYPE_CGROUP_DEVICE program; the caller frees. NULL: all is allowed, no
 * program is needed. */
struct bpf_insn *cgroup_device_program(const struct cgroup_device_rules *r, size_t *n);

/* Applies the rules to the container's group. An update replaces what was there before: on version
 * 2 at once or not at all, on version 1 a failure leaves some of both. */
int cgroup_device_apply(struct cgroup *cg, const struct cgroup_device_rules *r, bool update,
                        struct err *e);
/* Version 1: what devices.list says, to be put back as well as can be; NULL on version 2. The
 * caller frees. */
char *cgroup_device_list(struct cgroup *cg);
void cgroup_device_restore(struct cgroup *cg, const char *list);

/* Version 2: attaches the program, in place of the one that davit attached before. The state root
 * has notes of the programs that davit has loaded, for all containers with the same rules; root -1:
 * this container gets one of its own. */
int cgroup_bpf_attach(struct cgroup_dir *d, const struct cgroup_device_rules *r, bool update,
                      int root, struct err *e);
