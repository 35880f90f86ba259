/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the conversions of linux.resources share. Private to cgroup_resources*.c. */
#pragma once

#include "kernel/cgroup_resources.h"

struct oci_resources_block_io;

#define SETTINGS_ROOT "/linux/resources"

/* Which hierarchy a controller is in. */
enum where {
	NOWHERE,
	IN_V1,
	IN_V2,
};

/* v1 and v2 are the names of the controller in each version; NULL: it is not in that one. */
enum where cgroup_where(const struct cgroup_kinds *k, const char *v1, const char *v2);

/* Errors: the host has no such controller; version 2 has no such property, without which the
 * container would be less confined. at is the JSON pointer. */
int setting_absent(const char *controller, const char *at, struct err *e);
int setting_unknown(const char *what, const char *at, struct err *e);

/* Appends a setting; all strings but controller are copied. UINT64_MAX is "max" in version 2. */
void setting_number(struct cgroup_settings *s, const char *controller, bool v2, unsigned flags,
                    const char *at, const char *file, uint64_t value);
void setting_text(struct cgroup_settings *s, const char *controller, bool v2, unsigned flags,
                  const char *at, const char *file, const char *value);

/* linux.resources.blockIO, in cgroup_resources_io.c. */
int cgroup_io_settings(const struct oci_resources_block_io *b, const struct cgroup_kinds *k,
                       struct cgroup_settings *s, struct err *e);
