/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* linux.resources.blockIO: weights and throttles, for blkio of version 1 and io of version 2. */
#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_setting.h"
#include "ocispec.h"

static int io_weight_check(uint16_t weight, const char *at, struct err *e)
{
	if (weight >= 10 && weight <= 1000)
		return 0;
	fail(e, 0, "block io weight %u is not within 10 and 1000", weight);
	return fail_at(e, "%s", at);
}

static int io_weight(const struct oci_resources_block_io *b, enum where w,
                     struct cgroup_settings *s, struct err *e)
{
	if (b->leaf_weight && w == IN_V2)
		TRY(setting_unknown("blockIO leafWeight", SETTINGS_ROOT "/blockIO/leafWeight", e));
	else if (b->leaf_weight)
		setting_number(s, "blkio", false, 0, SETTINGS_ROOT "/blockIO/leafWeight",
		               "blkio.leaf_weight", b->leaf_weight);
	if (!b->weight)
		return 0;
	TRY(io_weight_check(b->weight, SETTINGS_ROOT "/blockIO/weight", e));
	if (w == IN_V1) {
		setting_number(s, "blkio", false, SETTING_OR_NEXT, SETTINGS_ROOT "/blockIO/weight",
		               "blkio.weight", b->weight);
		setting_number(s, "blkio", false, 0, SETTINGS_ROOT "/blockIO/weight",
		               "blkio.bfq.weight", b->weight);
	} else {
		setting_number(s, "io", true, SETTING_OR_NEXT, SETTINGS_ROOT "/blockIO/weight",
		               "io.bfq.weight", b->weight);
		setting_number(s, "io", true, 0, SETTINGS_ROOT "/blockIO/weight", "io.weight",
		               cgroup_io_weight(b->weight));
	}
	return 0;
}

static void device_line(struct cgroup_settings *s, enum where w, unsigned flags, const char *at,
                        const char *file, const char *key, const char *prefix, uint64_t value)
{
	autofree char *line = value == UINT64_MAX ? xasprintf("%s %smax", key, prefix)
	                                          : xasprintf("%s %s%" PRIu64, key, prefix, value);

	setting_text(s, w == IN_V2 ? "io" : "blkio", w == IN_V2, flags | SETTING_KEYED, at, file,
	             line);
}

static int io_weight_devices(const struct oci_resources_block_io *b, enum where w,
                             struct cgroup_settings *s, struct err *e)
{
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const struct oci_block_io_weight_device *d = &b->weight_device[i];
		autofree char *at = xasprintf(SETTINGS_ROOT "/blockIO/weightDevice/%zu", i);
		autofree char *key = xasprintf("%" PRId64 ":%" PRId64, d->major, d->minor);

		if (!d->has_weight && !d->has_leaf_weight) {
			fail(e, 0, "block io device %s has neither weight nor leafWeight", key);
			return fail_at(e, "%s", at);
		}
		if (d->leaf_weight && w == IN_V2)
			TRY(setting_unknown("blockIO leafWeight", at, e));
		else if (d->leaf_weight)
			device_line(s, w, 0, at, "blkio.leaf_weight_device", key, "",
			            d->leaf_weight);
		if (!d->weight)
			continue;
		TRY(io_weight_check(d->weight, at, e));
		device_line(s, w, SETTING_OR_NEXT, at,
		            w == IN_V2 ? "io.bfq.weight" : "blkio.weight_device", key, "",
		            d->weight);
		if (w == IN_V2)
			device_line(s, w, 0, at, "io.weight", key, "", cgroup_io_weight(d->weight));
		else
			device_line(s, w, 0, at, "blkio.bfq.weight_device", key, "", d->weight);
	}
	return 0;
}

static void io_throttle(const struct oci_block_io_throttle_device *v, size_t n, const char *name,
                        const char *v1_file, const char *v2_key, enum where w,
                        struct cgroup_settings *s)
{
	for (size_t i = 0; i < n; i++) {
		autofree char *at = xasprintf(SETTINGS_ROOT "/blockIO/%s/%zu", name, i);
		autofree char *key = xasprintf("%" PRId64 ":%" PRId64, v[i].major, v[i].minor);

		if (w == IN_V2) /* 0 lifts the limit in version 1 only */
			device_line(s, w, 0, at, "io.max", key, v2_key,
			            v[i].rate ? v[i].rate : UINT64_MAX);
		else
			device_line(s, w, 0, at, v1_file, key, "", v[i].rate);
	}
}

int cgroup_io_settings(const struct oci_resources_block_io *b, const struct cgroup_kinds *k,
                       struct cgroup_settings *s, struct err *e)
{
	enum where w = cgroup_where(k, "blkio", "io");

	if (!b)
		return 0;
	if (!w)
		return b->weight || b->leaf_weight || b->n_weight_device ||
		                       b->n_throttle_read_bps_device ||
		                       b->n_throttle_write_bps_device ||
		                       b->n_throttle_read_iops_device ||
		                       b->n_throttle_write_iops_device
		               ? setting_absent(k->v2 ? "io" : "blkio", SETTINGS_ROOT "/blockIO", e)
		               : 0;
	TRY(io_weight(b, w, s, e));
	TRY(io_weight_devices(b, w, s, e));
	io_throttle(b->throttle_read_bps_device, b->n_throttle_read_bps_device,
	            "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps=", w, s);
	io_throttle(b->throttle_write_bps_device, b->n_throttle_write_bps_device,
	            "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps=", w, s);
	io_throttle(b->throttle_read_iops_device, b->n_throttle_read_iops_device,
	            "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops=", w, s);
	io_throttle(b->throttle_write_iops_device, b->n_throttle_write_iops_device,
	            "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops=", w, s);
	return 0;
}
