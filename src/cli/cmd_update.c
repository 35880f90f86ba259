/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/opts.h"
#include "davit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define RESOURCES_MAX (16 << 20)

/* Numbers stay text until the resources object is written. */
struct update_args {
	const char *file;
	const char *memory, *memory_reservation, *memory_swap, *kernel_memory, *kernel_memory_tcp;
	const char *cpu_shares, *cpu_quota, *cpu_burst, *cpu_period, *cpu_rt_runtime,
		*cpu_rt_period;
	const char *cpuset_cpus, *cpuset_mems, *cpu_idle;
	const char *pids_limit, *blkio_weight;
	const char *l3_cache_schema, *mem_bw_schema;
};

#define ROW(name, letter, member, metavar, help)                                                   \
	{                                                                                          \
		name, letter, OPT_STR, offsetof(struct update_args, member), metavar, help         \
	}
static const struct opt update_opts[] = {
	ROW("resources", 'r', file, "FILE",
            "take the resources object in FILE, or - for standard input"),
	ROW("memory", 0, memory, "SIZE", "memory limit, such as 512m; -1: none"),
	ROW("memory-reservation", 0, memory_reservation, "SIZE", "memory kept under pressure"),
	ROW("memory-swap", 0, memory_swap, "SIZE", "limit of memory and swap together; -1: none"),
	ROW("kernel-memory", 0, kernel_memory, "SIZE", "obsolete"),
	ROW("kernel-memory-tcp", 0, kernel_memory_tcp, "SIZE", "obsolete"),
	ROW("cpu-share", 0, cpu_shares, "N", "share of CPU time relative to others"),
	ROW("cpu-quota", 0, cpu_quota, "USEC", "CPU time in each period; -1: no limit"),
	ROW("cpu-burst", 0, cpu_burst, "USEC", "CPU time that may be saved for later periods"),
	ROW("cpu-period", 0, cpu_period, "USEC", "length of a period"),
	ROW("cpu-rt-runtime", 0, cpu_rt_runtime, "USEC", "realtime CPU time in each period"),
	ROW("cpu-rt-period", 0, cpu_rt_period, "USEC", "length of a realtime period"),
	ROW("cpu-idle", 0, cpu_idle, "0|1", "1: run only on CPUs that are idle otherwise"),
	ROW("cpuset-cpus", 0, cpuset_cpus, "LIST", "CPUs to run on, such as 0-3,7"),
	ROW("cpuset-mems", 0, cpuset_mems, "LIST", "memory nodes to use"),
	ROW("pids-limit", 0, pids_limit, "N", "number of processes; -1: no limit"),
	ROW("blkio-weight", 0, blkio_weight, "N", "share of block I/O, 10 to 1000"),
	ROW("l3-cache-schema", 0, l3_cache_schema, "TEXT", "level 3 cache schema of resctrl"),
	ROW("mem-bw-schema", 0, mem_bw_schema, "TEXT", "memory bandwidth schema of resctrl"),
	OPT_END,
};
#undef ROW

enum update_kind {
	UPDATE_SIZE,
	UPDATE_SIGNED,
	UPDATE_UNSIGNED,
	UPDATE_LIST
};

/* Where an option's value goes in the resources object; rows of one group stand together. */
static const struct update_row {
	const char *group, *key, *option;
	uint16_t offset;
	uint8_t kind;
} update_rows[] = {
#define ROW(group, key, option, member, kind)                                                      \
	{                                                                                          \
		group, key, option, offsetof(struct update_args, member), kind                     \
	}
	ROW("memory", "limit", "memory", memory, UPDATE_SIZE),
	ROW("memory", "reservation", "memory-reservation", memory_reservation, UPDATE_SIZE),
	ROW("memory", "swap", "memory-swap", memory_swap, UPDATE_SIZE),
	ROW("memory", "kernelTCP", "kernel-memory-tcp", kernel_memory_tcp, UPDATE_SIZE),
	ROW("cpu", "shares", "cpu-share", cpu_shares, UPDATE_UNSIGNED),
	ROW("cpu", "quota", "cpu-quota", cpu_quota, UPDATE_SIGNED),
	ROW("cpu", "burst", "cpu-burst", cpu_burst, UPDATE_UNSIGNED),
	ROW("cpu", "period", "cpu-period", cpu_period, UPDATE_UNSIGNED),
	ROW("cpu", "realtimeRuntime", "cpu-rt-runtime", cpu_rt_runtime, UPDATE_SIGNED),
	ROW("cpu", "realtimePeriod", "cpu-rt-period", cpu_rt_period, UPDATE_UNSIGNED),
	ROW("cpu", "idle", "cpu-idle", cpu_idle, UPDATE_SIGNED),
	ROW("cpu", "cpus", "cpuset-cpus", cpuset_cpus, UPDATE_LIST),
	ROW("cpu", "mems", "cpuset-mems", cpuset_mems, UPDATE_LIST),
	ROW("pids", "limit", "pids-limit", pids_limit, UPDATE_SIGNED),
	ROW("blockIO", "weight", "blkio-weight", blkio_weight, UPDATE_UNSIGNED),
#undef ROW
};

static const char *update_text(const struct update_args *a, const struct update_row *row)
{
	const char *text = *(const char *const *)((const char *)a + row->offset);

	return text && *text ? text : NULL;
}

static int update_value(const struct update_row *row, const char *text, struct str *json,
                        struct err *e)
{
	uint64_t u;
	int64_t i;

	if (row->kind == UPDATE_SIZE && size_parse(text, &i) == 0)
		str_addf(json, "%" PRId64, i);
	else if (row->kind == UPDATE_SIGNED && str_to_i64(text, &i) == 0)
		str_addf(json, "%" PRId64, i);
	else if (row->kind == UPDATE_UNSIGNED && str_to_u64(text, &u) == 0)
		str_addf(json, "%" PRIu64, u);
	else if (row->kind == UPDATE_LIST && !text[strspn(text, "0123456789,-")])
		str_addf(json, "\"%s\"", text);
	else
		return fail(e, 0, "invalid value \"%s\" for --%s", text, row->option);
	return 0;
}

/* Returns the number of values written. */
static int update_object(const struct update_args *a, struct str *json, struct err *e)
{
	const char *group = NULL;
	int n = 0;

	str_addc(json, '{');
	for (size_t i = 0; i < COUNT(update_rows); i++) {
		const struct update_row *row = &update_rows[i];
		const char *text = update_text(a, row);

		if (!text)
			continue;
		if (group && str_eq(group, row->group))
			str_addf(json, ",\"%s\":", row->key);
		else
			str_addf(json, "%s\"%s\":{\"%s\":", group ? "}," : "", row->group,
			         row->key);
		TRY(update_value(row, text, json, e));
		group = row->group;
		n++;
	}
	str_add(json, group ? "}}" : "}");
	return n;
}

static char *resources_read(const char *path, struct err *e)
{
	size_t len;
	char *text;

	if (str_eq(path, "-"))
		text = fd_read_all(STDIN_FILENO, RESOURCES_MAX, &len, e);
	else
		text = file_read(AT_FDCWD, path, RESOURCES_MAX, &len, e);
	if (text && strlen(text) != len) {
		free(text);
		fail(e, 0, "\"%s\" contains a NUL byte", path);
		return NULL;
	}
	return text;
}

static int update_run(struct call *c, struct err *e)
{
	const struct update_args *a = c->args;
	autostr json = {0};
	autofree char *file = NULL;
	int n = update_object(a, &json, e);

	TRY(n);
	if (a->file && n)
		return fail(e, 0, "--resources cannot go with options for single resources");
	if (a->kernel_memory)
		log_warn("--kernel-memory: kernels no longer have such a limit, ignoring");
	if (a->kernel_memory_tcp)
		log_warn("--kernel-memory-tcp is obsolete");
	if (a->file) {
		file = resources_read(a->file, e);
		if (!file)
			return -1;
	}
	return davit_update(c->ctx, c->pos[0], file ? file : json.s, a->l3_cache_schema,
	                    a->mem_bw_schema, e);
}

const struct command cmd_update = {
	.name = "update",
	.synopsis = "ID",
	.help = "change the resource limits of a container",
	.opts = update_opts,
	.args_size = sizeof(struct update_args),
	.min = 1,
	.max = 1,
	.run = update_run,
};
