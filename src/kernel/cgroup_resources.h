/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* linux.resources -> a list of files and values, for each version. Pure conversion; cgroup_apply.c
 * writes the list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/cgroup.h"

struct err;
struct oci_resources;

enum {
	SETTING_TOLERATED = 1, /* if it cannot be written: a warning */
	SETTING_OR_NEXT =
		2, /* without the file, the next setting does; with it, the next one may fail */
	SETTING_IF_THERE = 4,    /* without the file: nothing is lost */
	SETTING_PAIR = 8,        /* if the kernel refuses it, the next one must be written first */
	SETTING_KEYED = 16,      /* the file has one line a key, the first word of the value */
	SETTING_BYTES = 32,      /* the kernel rounds to pages */
	SETTING_KEEP_QUOTA = 64, /* cpu.max: value is a period, the quota stays */
	SETTING_MINUS_LIMIT = 128, /* value is memory and swap: memory.max is to be subtracted */
	SETTING_CHECK_USAGE = 256, /* not below what the group uses */
	SETTING_UNIFIED = 512,     /* from linux.resources.unified */
	SETTING_VERIFY = 1024,     /* the kernel may take the value and do nothing: read it back */
};

struct cgroup_setting {
	const char *controller;
	bool v2; /* in the unified hierarchy */
	unsigned flags;
	char *file;
	char *value;
	char *at; /* JSON pointer */
};

struct cgroup_settings {
	struct cgroup_setting *v;
	size_t n, cap;
};

/* Which controllers a host, or a container's groups, has where. */
struct cgroup_kinds {
	size_t n;
	const char *v1[CGROUP_HIERS_MAX]; /* controllers of each version 1 hierarchy */
	bool v2;
	const char *v2_controllers; /* words of cgroup.controllers; NULL: taken to have all */
};

/* Converts r (may be NULL). What cannot be applied is an error, or a warning where nothing of the
 * confinement is lost. */
int cgroup_settings_make(const struct oci_resources *r, const struct cgroup_kinds *k,
                         struct cgroup_settings *s, struct err *e);
void cgroup_settings_free(struct cgroup_settings *s);

/* cpu.shares (2..262144) -> cpu.weight (1..10000); 1024 is 100. 0 stays 0. */
uint64_t cgroup_cpu_weight(uint64_t shares);
/* blkio.weight (10..1000) -> io.weight (1..10000). */
uint64_t cgroup_io_weight(uint64_t weight);

/* Writes all settings; undo is NULL for a new group. */
struct cgroup_undo;
int cgroup_settings_write(struct cgroup *cg, const struct cgroup_settings *s,
                          struct cgroup_undo *undo, struct err *e);
/* What an update has changed: the old values, to be put back. */
struct cgroup_undo {
	struct cgroup_undo_row {
		const struct cgroup_dir *dir;
		char *file, *old;
	} * v;
	size_t n, cap;
	char *devices_list; /* version 1: the file of that name; else NULL */
	char *unit_devices; /* what systemd had of devices; else NULL */
};
void cgroup_undo_run(struct cgroup_undo *u);
void cgroup_undo_free(struct cgroup_undo *u);
