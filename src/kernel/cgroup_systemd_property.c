/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_systemd_property.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "kernel/cgroup_resources.h"
#include "ocispec.h"

#define PREFIX   "org.systemd.property."
#define MASK_MAX 1024 /* bytes: 8192 processors */

void systemd_property_add(struct str *out, const char *type, const char *name, const char *fmt, ...)
{
	va_list ap;

	str_addn(out, type, strlen(type) + 1);
	str_addn(out, name, strlen(name) + 1);
	va_start(ap, fmt);
	str_addv(out, fmt, ap);
	va_end(ap);
	str_addn(out, "", 1);
}

static void u64_add(struct str *out, const char *name, uint64_t value)
{
	systemd_property_add(out, "t", name, "%" PRIu64, value);
}

/* ---- resources */

static void memory_add(struct str *out, const struct oci_resources_memory *m, bool v2)
{
	if (!m)
		return;
	if (m->limit)
		u64_add(out, v2 ? "MemoryMax" : "MemoryLimit",
		        m->limit < 0 ? UINT64_MAX : (uint64_t)m->limit);
	if (!v2)
		return;
	if (m->reservation)
		u64_add(out, "MemoryLow",
		        m->reservation < 0 ? UINT64_MAX : (uint64_t)m->reservation);
	if (m->swap < 0 || m->limit < 0)
		u64_add(out, "MemorySwapMax", UINT64_MAX);
	else if (m->swap > 0 && m->limit > 0)
		u64_add(out, "MemorySwapMax", (uint64_t)(m->swap - m->limit));
}

bool systemd_mask(const char *list, struct str *out)
{
	unsigned char mask[MASK_MAX] = {0};
	size_t last = 0;

	for (const char *p = list; *p;) {
		char *end;
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (end == p)
			return false;
		if (*end == '-') {
			p = end + 1;
			to = strtoul(p, &end, 10);
			if (end == p)
				return false;
		}
		if (to < from || to >= MASK_MAX * 8 || (*end && *end != ','))
			return false;
		for (; from <= to; from++)
			mask[from / 8] |= (unsigned char)(1u << from % 8);
		last = to / 8 > last ? to / 8 : last;
		p = end + (*end == ',');
	}
	for (size_t i = 0; i <= last; i++)
		str_addf(out, "%s%u", i ? " " : "", mask[i]);
	return true;
}

static void mask_add(struct str *out, const char *name, const char *list)
{
	autostr mask = {0};

	if (list && list[0] && systemd_mask(list, &mask))
		systemd_property_add(out, "?ay", name, "%s", mask.s);
}

static void quota_add(struct str *out, int64_t quota, uint64_t period)
{
	if (period)
		systemd_property_add(out, "?t", "CPUQuotaPeriodUSec", "%" PRIu64, period);
	if (quota < 0) {
		u64_add(out, "CPUQuotaPerSecUSec", UINT64_MAX);
	} else if (quota > 0) {
		uint64_t each = (uint64_t)quota * 1000000 / (period ? period : 100000);

		/* Seen with 252: a daemon-reload cuts it to whole percents. Never less than asked.
		 */
		u64_add(out, "CPUQuotaPerSecUSec", (each + 9999) / 10000 * 10000);
	}
}

static void cpu_add(struct str *out, const struct oci_resources_cpu *c, bool v2, int64_t quota,
                    uint64_t period)
{
	if (!c)
		return;
	/* Weight 0 is systemd's word for idle since 252; another ends it at a daemon-reload. */
	if (v2 && c->idle > 0)
		systemd_property_add(out, "?t", "CPUWeight", "0");
	else if (c->shares)
		u64_add(out, v2 ? "CPUWeight" : "CPUShares",
		        v2 ? cgroup_cpu_weight(c->shares) : c->shares);
	quota_add(out, quota, period);
	if (!v2)
		return;
	mask_add(out, "AllowedCPUs", c->cpus);
	mask_add(out, "AllowedMemoryNodes", c->mems);
}

static const struct file_row {
	const char *file, *name;
	enum file_kind {
		KIND_NUMBER, /* or "max" */
		KIND_WEIGHT, /* 1 to 10000 */
		KIND_BFQ,    /* 1 to 1000 */
		KIND_IDLE,   /* 1 is weight 0 */
		KIND_NICE,   /* -20 to 19, each step a quarter more */
		KIND_LIST,
		KIND_QUOTA,
	} kind;
} file_rows[] = {
	{"cpu.idle",              "CPUWeight",          KIND_IDLE  },
	{"cpu.max",               "CPUQuotaPerSecUSec", KIND_QUOTA },
	{"cpu.shares",            "CPUShares",          KIND_NUMBER},
	{"cpu.weight.nice",       "CPUWeight",          KIND_NICE  },
	{"blkio.weight",          "BlockIOWeight",      KIND_WEIGHT},
	{"blkio.bfq.weight",      "BlockIOWeight",      KIND_BFQ   },
	{"io.bfq.weight",         "IOWeight",           KIND_BFQ   },
	{"memory.limit_in_bytes", "MemoryLimit",        KIND_NUMBER},
	{"cpu.weight",            "CPUWeight",          KIND_WEIGHT},
	{"cpuset.cpus",           "AllowedCPUs",        KIND_LIST  },
	{"cpuset.mems",           "AllowedMemoryNodes", KIND_LIST  },
	{"io.weight",             "IOWeight",           KIND_WEIGHT},
	{"memory.high",           "MemoryHigh",         KIND_NUMBER},
	{"memory.low",            "MemoryLow",          KIND_NUMBER},
	{"memory.max",            "MemoryMax",          KIND_NUMBER},
	{"memory.min",            "MemoryMin",          KIND_NUMBER},
	{"memory.swap.max",       "MemorySwapMax",      KIND_NUMBER},
	{"pids.max",              "TasksMax",           KIND_NUMBER},
};

/* "QUOTA [PERIOD]" or "max [PERIOD]". */
static void file_quota_add(struct str *out, const char *value)
{
	const char *blank = strchr(value, ' ');
	int64_t quota = str_starts(value, "max") ? -1 : strtoll(value, NULL, 10);

	quota_add(out, quota, blank ? strtoull(blank + 1, NULL, 10) : 0);
}

/* About the weight that the kernel makes of it. */
static void nice_add(struct str *out, const char *name, const char *text)
{
	long nice = strtol(text, NULL, 10);
	double weight = 100;

	for (; nice > 0 && nice < 20; nice--)
		weight /= 1.25;
	for (; nice < 0 && nice >= -20; nice++)
		weight *= 1.25;
	if (!nice)
		u64_add(out, name, (uint64_t)(weight + 0.5));
}

static void file_value_add(struct str *out, const struct file_row *k, const char *text)
{
	uint64_t value = UINT64_MAX;
	bool number = str_eq(text, "max") || str_to_u64(text, &value) == 0;

	switch (k->kind) {
	case KIND_NUMBER:
		if (number) /* systemd has no 0 here; the kernel's file gets it */
			u64_add(out, k->name, value || !str_eq(k->name, "TasksMax") ? value : 1);
		break;
	case KIND_WEIGHT:
	case KIND_BFQ:
		text += str_starts(text, "default ") ? strlen("default ") : 0;
		if (str_to_u64(text, &value) == 0 && value >= 1 && value <= 10000)
			u64_add(out, k->name,
			        k->kind == KIND_WEIGHT      ? value
			        : str_starts(k->file, "io") ? systemd_io_weight(value, true)
			                                    : systemd_blkio_weight(value, true));
		break;
	case KIND_IDLE:
		if (str_eq(text, "1"))
			systemd_property_add(out, "?t", k->name, "0");
		break;
	case KIND_NICE:
		nice_add(out, k->name, text);
		break;
	case KIND_LIST:
		mask_add(out, k->name, text);
		break;
	case KIND_QUOTA:
		file_quota_add(out, text);
		break;
	}
}

void systemd_file_add(struct str *out, const char *file, const char *value)
{
	for (size_t i = 0; i < COUNT(file_rows); i++)
		if (str_eq(file, file_rows[i].file))
			file_value_add(out, &file_rows[i], value);
	systemd_io_file_add(out, file, value);
}

void systemd_resources_add(struct str *out, const struct oci_resources *r, bool v2, int64_t quota,
                           uint64_t period)
{
	if (!r)
		return;
	memory_add(out, r->memory, v2);
	cpu_add(out, r->cpu, v2, quota, period);
	systemd_io_add(out, r->block_io, v2, access("/sys/module/bfq", F_OK) == 0);
	/* systemd has no 0 here; the kernel's file gets it */
	if (r->pids && r->pids->has_limit)
		u64_add(out, "TasksMax",
		        r->pids->limit < 0 ? UINT64_MAX
		                           : (uint64_t)(r->pids->limit ? r->pids->limit : 1));
	for (size_t i = 0; v2 && i < r->unified.n; i++)
		systemd_file_add(out, r->unified.keys[i], r->unified.values[i]);
}

/* ---- devices */

/* The name of a major number among the character or block devices of /proc/devices. */
static bool class_find(const char *classes, char type, int64_t major, char *name, size_t size)
{
	const char *p = strstr(classes, type == 'c' ? "Character devices:" : "Block devices:");

	while (p && (p = strchr(p, '\n'))) {
		char *end;
		long number = strtol(++p, &end, 10);

		if (end == p || *p == '\n')
			return false; /* the end of the list */
		if (number == major && *end == ' ') {
			(void)snprintf(name, size, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
			return true;
		}
	}
	return false;
}

static void device_add(struct str *list, const struct cgroup_device_rule *r, const char *classes)
{
	char name[64] = "*", access[4];
	size_t n = 0;

	for (unsigned i = 0; i < 3; i++)
		if (r->access & 1u << i)
			access[n++] = "rwm"[i];
	access[n] = '\0';
	if (r->major >= 0 && r->minor >= 0) {
		str_addf(list, "%s/dev/%s/%" PRId64 ":%" PRId64 " %s", list->len ? "\n" : "",
		         r->type == 'c' ? "char" : "block", r->major, r->minor, access);
		return;
	}
	if (r->major >= 0 && !class_find(classes, r->type, r->major, name, sizeof(name)))
		return; /* no driver: nothing there to be opened */
	str_addf(list, "%s%s-%s %s", list->len ? "\n" : "", r->type == 'c' ? "char" : "block", name,
	         access);
}

void systemd_devices_add(struct str *out, const struct cgroup_device_rules *rules,
                         const char *classes)
{
	autofree struct cgroup_device_rule *ex = NULL;
	autostr list = {0};
	size_t n = 0;
	bool allow = true;

	if (cgroup_device_exceptions(rules, &allow, &ex, &n) < 0 || allow) {
		systemd_property_add(out, "s", "DevicePolicy", "auto");
		systemd_property_add(out, "a(ss)", "DeviceAllow", "%s", "");
		return;
	}
	for (size_t i = 0; i < n; i++)
		device_add(&list, &ex[i], classes);
	systemd_property_add(out, "s", "DevicePolicy", "strict");
	systemd_property_add(out, "a(ss)", "DeviceAllow", "%s", ""); /* empties the list */
	if (list.len)
		systemd_property_add(out, "a(ss)", "DeviceAllow", "%s", list.s);
}

/* ---- annotations */

static const struct {
	const char *name, *type;
} allowed[] = {
	{"After",			 "as"},
	{"Before",			"as"},
	{"CPUQuotaPerSecUSec",            "t" },
	{"CPUWeight",                     "t" },
	{"CollectMode",                   "s" },
	{"DefaultDependencies",           "b" },
	{"Description",                   "s" },
	{"FinalKillSignal",               "i" },
	{"IOWeight",		      "t" },
	{"KillMode",		      "s" },
	{"KillSignal",                    "i" },
	{"ManagedOOMMemoryPressure",      "s" },
	{"ManagedOOMMemoryPressureLimit", "u" },
	{"ManagedOOMPreference",          "s" },
	{"ManagedOOMSwap",                "s" },
	{"MemoryHigh",                    "t" },
	{"MemoryLow",                     "t" },
	{"MemoryMax",                     "t" },
	{"MemoryMin",                     "t" },
	{"MemorySwapMax",                 "t" },
	{"OOMPolicy",                     "s" },
	{"RuntimeMaxUSec",                "t" },
	{"SendSIGHUP",                    "b" },
	{"SendSIGKILL",                   "b" },
	{"StartupCPUWeight",              "t" },
	{"StartupIOWeight",               "t" },
	{"TasksMax",		      "t" },
	{"TimeoutStopUSec",               "t" },
};

static const char *allowed_type(const char *name)
{
	for (size_t i = 0; i < COUNT(allowed); i++)
		if (str_eq(name, allowed[i].name))
			return allowed[i].type;
	return NULL;
}

/* A quoted string of GVariant text at *p, without escapes; false if it is none. */
static bool quoted(const char **p, struct str *out)
{
	char quote = **p;
	const char *end = quote == '\'' || quote == '"' ? strchr(*p + 1, quote) : NULL;

	if (!end)
		return false;
	for (const char *s = *p + 1; s < end; s++)
		if (*s == '\\' || (unsigned char)*s < ' ')
			return false;
	str_addn(out, *p + 1, (size_t)(end - *p - 1));
	*p = end + 1;
	return true;
}

static bool string_list(const char *p, struct str *out)
{
	if (*p++ != '[')
		return false;
	for (bool first = true;; first = false) {
		p += strspn(p, " ");
		if (*p == ']')
			return p[1 + strspn(p + 1, " ")] == '\0';
		if (!first && *p++ != ',')
			return false;
		p += strspn(p, " ");
		if (!first)
			str_addc(out, '\n');
		if (!quoted(&p, out))
			return false;
	}
}

/* "uint64 5", "5", "@t 5"; seconds with a fraction if scale is not 1. */
static bool plain_number(const char *p, uint64_t scale, struct str *out)
{
	static const char *const prefixes[] = {"uint64 ", "int64 ", "uint32 ", "int32 ", "uint16 ",
	                                       "int16 ",  "byte ",  "@t ",     "@u ",    "@i "};
	uint64_t whole = 0, part = 0, unit = scale;
	size_t digits;

	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (str_starts(p, prefixes[i])) {
			p += strlen(prefixes[i]);
			break;
		}
	p += strspn(p, " ");
	digits = strspn(p, "0123456789");
	if (!digits || digits > 18)
		return false;
	for (; digits; digits--)
		whole = whole * 10 + (uint64_t)(*p++ - '0');
	if (*p == '.' && scale > 1)
		for (p++; *p >= '0' && *p <= '9'; p++) {
			unit /= 10;
			part += unit * (uint64_t)(*p - '0');
		}
	if (*p || __builtin_mul_overflow(whole, scale, &whole))
		return false;
	str_addf(out, "%" PRIu64, whole + part);
	return true;
}

static bool value_parse(const char *type, const char *value, uint64_t scale, struct str *out)
{
	const char *p = value + strspn(value, " ");

	switch (type[0]) {
	case 's':
		return quoted(&p, out) && p[strspn(p, " ")] == '\0';
	case 'a':
		return string_list(p, out);
	case 'b':
		str_add(out, p);
		return str_eq(p, "true") || str_eq(p, "false");
	default:
		return plain_number(p, scale, out);
	}
}

static int annotation_add(struct str *out, const char *key, const char *value, struct err *e)
{
	const char *name = key + strlen(PREFIX), *type = allowed_type(name);
	autofree char *usec = NULL;
	size_t n = strlen(name);
	uint64_t scale = 1;
	autostr text = {0};

	if (!type && n > 3 && str_eq(name + n - 3, "Sec")) {
		usec = xasprintf("%.*sUSec", (int)n - 3, name);
		type = allowed_type(usec);
		name = usec;
		scale = 1000000;
	}
	if (!type) {
		fail(e, 0, "annotation \"%s\" sets a systemd property that davit does not pass on",
		     key);
		return fail_at(e, "/annotations/%s", key);
	}
	if (!value_parse(type, value, scale, &text)) {
		fail(e, 0,
		     "annotation \"%s\" has the value \"%s\", which is not of the type \"%s\"", key,
		     value, type);
		return fail_at(e, "/annotations/%s", key);
	}
	systemd_property_add(out, type, name, "%s", text.s ? text.s : "");
	return 0;
}

int systemd_annotations_add(struct str *out, const struct oci_map *annotations, struct err *e)
{
	for (size_t i = 0; annotations && i < annotations->n; i++)
		if (str_starts(annotations->keys[i], PREFIX))
			TRY(annotation_add(out, annotations->keys[i], annotations->values[i], e));
	return 0;
}
