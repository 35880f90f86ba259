/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* linux.resources.blockIO as properties of a unit. systemd wants devices as paths. On version 1 it
 * is not told of rates: it knows none of operations, and of bytes it keeps only one direction over
 * a daemon-reload (seen with 252). It leaves the files alone when it was not told. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_resources.h"
#include "kernel/cgroup_systemd_property.h"
#include "ocispec.h"

#define BLKIO_WEIGHT_MAX 1000 /* of BlockIOWeight */

/* The path of a device, by the name that the kernel gave it: /dev/block is udev's and may not be
 * there. False for one that systemd must not be told of: it takes a device that lies on another one
 * for that one, and would limit that as well. */
static bool device_path(int64_t major, int64_t minor, char *path, size_t size)
{
	char file[64];
	autofree char *text = NULL;
	const char *name;
	struct err ignored = {0};
	struct stat st;

	(void)snprintf(path, size, "/dev/block/%" PRId64 ":%" PRId64, major, minor);
	(void)snprintf(file, sizeof(file), "/sys/dev/block/%" PRId64 ":%" PRId64 "/uevent", major,
	               minor);
	text = file_read(AT_FDCWD, file, 1u << 14, NULL, &ignored);
	name = text ? strstr(text, "DEVNAME=") : NULL;
	if (!name)
		return true;
	name += strlen("DEVNAME=");
	if (str_starts(name, "dm-"))
		return false;
	if (strcspn(name, "\n") < size - sizeof("/dev/"))
		(void)snprintf(path, size, "/dev/%.*s", (int)strcspn(name, "\n"), name);
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode) &&
	    st.st_rdev == makedev((unsigned)major, (unsigned)minor))
		return true;
	(void)snprintf(path, size, "/dev/block/%" PRId64 ":%" PRId64, major, minor);
	return true;
}

static void device_value_add(struct str *list, int64_t major, int64_t minor, uint64_t value)
{
	char path[256];

	if (device_path(major, minor, path, sizeof(path)))
		str_addf(list, "%s%s %" PRIu64, list->len ? "\n" : "", path, value);
}

static void throttle_add(struct str *out, const char *name,
                         const struct oci_block_io_throttle_device *v, size_t n)
{
	autostr list = {0};

	for (size_t i = 0; i < n; i++) /* 0 lifts the limit */
		device_value_add(&list, v[i].major, v[i].minor, v[i].rate ? v[i].rate : UINT64_MAX);
	if (list.len)
		systemd_property_add(out, "?a(st)", name, "%s", list.s);
}

uint64_t systemd_io_weight(uint64_t weight, bool bfq)
{
	if (!bfq)
		return cgroup_io_weight(weight);
	return weight <= 100 ? weight : 100 + (weight - 100) * 11;
}

uint64_t systemd_blkio_weight(uint64_t weight, bool bfq)
{
	weight = bfq ? systemd_io_weight(weight, true) : weight;
	return weight < BLKIO_WEIGHT_MAX ? weight : BLKIO_WEIGHT_MAX;
}

/* The weights of the devices in the kernel's file, "MAJOR:MINOR WEIGHT" a line, in place of those
 * that systemd has. */
void systemd_io_weights_add(struct str *out, const char *text, bool bfq)
{
	autostr list = {0};

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p != '\0') {
		char *end;
		long major = strtol(p, &end, 10), minor;

		if (*end != ':')
			continue;
		minor = strtol(end + 1, &end, 10);
		if (*end == ' ' && end[1] >= '0' && end[1] <= '9') {
			uint64_t weight = strtoull(end + 1, NULL, 10);

			device_value_add(&list, major, minor,
			                 bfq ? systemd_io_weight(weight, true) : weight);
		}
	}
	systemd_property_add(out, "?a(st)", "IODeviceWeight", "%s", ""); /* empties the list */
	if (list.len)
		systemd_property_add(out, "?a(st)", "IODeviceWeight", "%s", list.s);
}

void systemd_io_add(struct str *out, const struct oci_resources_block_io *b, bool v2, bool bfq)
{
	autostr list = {0};

	if (!b)
		return;
	if (b->weight)
		systemd_property_add(out, "t", v2 ? "IOWeight" : "BlockIOWeight", "%" PRIu64,
		                     v2 ? systemd_io_weight(b->weight, bfq)
		                        : systemd_blkio_weight(b->weight, bfq));
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const struct oci_block_io_weight_device *d = &b->weight_device[i];

		if (d->weight)
			device_value_add(&list, d->major, d->minor,
			                 v2 ? systemd_io_weight(d->weight, bfq) : d->weight);
	}
	if (list.len)
		systemd_property_add(out, "?a(st)", v2 ? "IODeviceWeight" : "BlockIODeviceWeight",
		                     "%s", list.s);
	if (!v2)
		return;
	throttle_add(out, "IOReadBandwidthMax", b->throttle_read_bps_device,
	             b->n_throttle_read_bps_device);
	throttle_add(out, "IOWriteBandwidthMax", b->throttle_write_bps_device,
	             b->n_throttle_write_bps_device);
	throttle_add(out, "IOReadIOPSMax", b->throttle_read_iops_device,
	             b->n_throttle_read_iops_device);
	throttle_add(out, "IOWriteIOPSMax", b->throttle_write_iops_device,
	             b->n_throttle_write_iops_device);
}

/* ---- from the kernel's files */

static const struct {
	const char *file, *key, *name;
} throttles[] = {
	{"io.max", "rbps=",  "IOReadBandwidthMax" },
	{"io.max", "wbps=",  "IOWriteBandwidthMax"},
	{"io.max", "riops=", "IOReadIOPSMax"      },
	{"io.max", "wiops=", "IOWriteIOPSMax"     },
};

/* The value of the key in "MAJOR:MINOR KEY=VALUE ..."; false if none. */
static bool line_value(const char *line, size_t len, const char *key, uint64_t *value)
{
	const char *end = line + len;
	size_t n = strlen(key);

	for (const char *p = memchr(line, ' ', len); p; p = memchr(p, ' ', (size_t)(end - p))) {
		char *after;

		if ((size_t)(end - ++p) < n || strncmp(p, key, n) != 0)
			continue;
		p += n;
		*value = strtoull(p, &after, 10);
		if (after == p)
			*value = UINT64_MAX; /* max */
		if (!*value)
			*value = UINT64_MAX;
		return true;
	}
	return false;
}

void systemd_io_file_add(struct str *out, const char *file, const char *value)
{
	for (size_t i = 0; i < COUNT(throttles); i++) {
		autostr list = {0};

		if (!str_eq(file, throttles[i].file))
			continue;
		for (const char *p = value; *p; p += strcspn(p, "\n"), p += *p != '\0') {
			char *colon;
			long major = strtol(p, &colon, 10);
			uint64_t rate;

			if (*colon == ':' &&
			    line_value(p, strcspn(p, "\n"), throttles[i].key, &rate))
				device_value_add(&list, major, strtol(colon + 1, NULL, 10), rate);
		}
		if (list.len)
			systemd_property_add(out, "?a(st)", throttles[i].name, "%s", list.s);
	}
}
