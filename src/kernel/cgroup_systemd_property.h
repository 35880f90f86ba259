/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd is told about a container's unit, so that it knows the same limits as the kernel and
 * puts them back after a daemon-reload. Text only; private to cgroup_systemd*.c. */
#pragma once

#include "base/str.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_device.h"

struct err;
struct oci_map;
struct oci_resources_block_io;
struct oci_resources;

/* Appends "TYPE\0NAME\0VALUE\0" as unit_properties_put() reads it. A type that begins with "?": an
 * old systemd may not know the property, and the kernel's file is enough then. */
void systemd_property_add(struct str *out, const char *type, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Resources. quota and period are those that hold after an update; 0: not given. */
void systemd_resources_add(struct str *out, const struct oci_resources *r, bool v2, int64_t quota,
                           uint64_t period);

/* The property of one file, if it has one; of a file with a line for each device, all lines. */
void systemd_file_add(struct str *out, const char *file, const char *value);

/* blockIO, in cgroup_systemd_io.c. bfq: weights are those of the scheduler bfq, for which systemd
 * makes one of 1 to 1000 of its own 1 to 10000; else io.weight gets them as they are. */
void systemd_io_add(struct str *out, const struct oci_resources_block_io *b, bool v2, bool bfq);
void systemd_io_file_add(struct str *out, const char *file, const char *value);
void systemd_io_weights_add(struct str *out, const char *text, bool bfq);
uint64_t systemd_io_weight(uint64_t weight, bool bfq);
/* The same for version 1, where its own weights end at 1000: of those of bfq, at 181. */
uint64_t systemd_blkio_weight(uint64_t weight, bool bfq);

/* DevicePolicy and DeviceAllow. classes is the text of /proc/devices. What systemd has no words for
 * is allowed there: the rules themselves are applied to the group as well. */
void systemd_devices_add(struct str *out, const struct cgroup_device_rules *rules,
                         const char *classes);

/* The annotations org.systemd.property.NAME=VALUE. Only properties of a list are taken: those that
 * can run, open or start something are not on it. */
int systemd_annotations_add(struct str *out, const struct oci_map *annotations, struct err *e);

/* A cpu list as the bytes of a bit mask, "15 0 1" for "0-3,16"; false if it is no list. */
bool systemd_mask(const char *list, struct str *out);
