/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The formats of statistics files, see cgroup-v2 and blkio in the kernel's documentation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_stats_part.h"

/* A number at *p, which moves behind it; false if there is none or it does not fit. */
static bool number_at(const char **p, uint64_t *value)
{
	const char *s = *p;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*p = s;
	*value = v;
	return true;
}

static const char *line_next(const char *p)
{
	p = strchr(p, '\n');
	return p ? p + 1 : NULL;
}

/* "avg10=0.12" -> 12; behind it *p. */
static uint32_t hundredths(const char *line, const char *key)
{
	const char *p = strstr(line, key);
	uint64_t whole, part = 0;

	if (!p)
		return 0;
	p += strlen(key);
	if (!number_at(&p, &whole) || whole > 1000)
		return 0;
	if (p[0] == '.' && p[1] >= '0' && p[1] <= '9')
		part = (uint64_t)(p[1] - '0') * 10 +
		       (p[2] >= '0' && p[2] <= '9' ? (uint64_t)(p[2] - '0') : 0);
	return (uint32_t)(whole * 100 + part);
}

static void psi_line(const char *line, struct cgroup_psi_line *out)
{
	const char *p = strstr(line, "total=");

	out->avg10 = hundredths(line, "avg10=");
	out->avg60 = hundredths(line, "avg60=");
	out->avg300 = hundredths(line, "avg300=");
	if (p) {
		p += 6;
		(void)number_at(&p, &out->total_us);
	}
}

void cgroup_parse_psi(const char *text, struct cgroup_psi *psi)
{
	memset(psi, 0, sizeof(*psi));
	for (const char *p = text; p && *p; p = line_next(p)) {
		autofree char *line = xstrndup(p, strcspn(p, "\n"));

		if (str_starts(line, "some "))
			psi_line(line, &psi->some);
		else if (str_starts(line, "full "))
			psi_line(line, &psi->full);
		else
			continue;
		psi->has = true;
	}
}

void cgroup_parse_pairs(char *text, struct cgroup_pair **pairs, size_t *n)
{
	size_t cap = 0;

	*pairs = NULL;
	*n = 0;
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n'), *blank;
		const char *digits;
		uint64_t value;

		if (end)
			*end++ = '\0';
		blank = strchr(line, ' ');
		digits = blank ? blank + 1 : "";
		if (blank && number_at(&digits, &value)) {
			*blank = '\0';
			if (*n == cap) {
				cap = cap ? cap * 2 : 64;
				*pairs = xrealloc(*pairs, cap, sizeof(**pairs));
			}
			(*pairs)[(*n)++] = (struct cgroup_pair){line, value};
		}
		line = end;
	}
}

static void blkio_add(struct cgroup_blkio_list *l, const struct cgroup_blkio_entry *entry)
{
	/* grows at powers of two */
	if (!(l->n & (l->n - 1)))
		l->v = xrealloc(l->v, l->n ? l->n * 2 : 1, sizeof(*l->v));
	l->v[l->n++] = *entry;
}

static bool device_at(const char **p, struct cgroup_blkio_entry *entry)
{
	if (!number_at(p, &entry->major) || **p != ':')
		return false;
	++*p;
	return number_at(p, &entry->minor) && **p == ' ' && ++*p;
}

void cgroup_parse_blkio(char *text, struct cgroup_blkio_list *l)
{
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');
		struct cgroup_blkio_entry entry = {.op = ""};
		const char *p = line;

		if (end)
			*end++ = '\0';
		if (device_at(&p, &entry)) {
			char *word = line + (p - line), *blank = strchr(word, ' ');

			if (blank) { /* "Read 123", else the number alone */
				*blank = '\0';
				entry.op = word;
				p = blank + 1;
			}
			if (number_at(&p, &entry.value))
				blkio_add(l, &entry);
		}
		line = end;
	}
}

void cgroup_parse_io_stat(const char *text, struct cgroup_blkio_list *bytes,
                          struct cgroup_blkio_list *ops)
{
	static const struct {
		const char *key, *op;
		bool bytes;
	} keys[] = {
		{"rbytes=", "Read",    true },
                {"wbytes=", "Write",   true },
                {"dbytes=", "Discard", true },
		{"rios=",   "Read",    false},
                {"wios=",   "Write",   false},
                {"dios=",   "Discard", false},
	};

	for (const char *line = text; line && *line; line = line_next(line)) {
		size_t len = strcspn(line, "\n");
		struct cgroup_blkio_entry entry = {0};
		const char *p = line;

		if (!device_at(&p, &entry))
			continue;
		while (p < line + len) {
			size_t n = strcspn(p, " \n");

			for (size_t i = 0; i < COUNT(keys); i++) {
				const char *digits = p + strlen(keys[i].key);

				if (!str_starts(p, keys[i].key) ||
				    !number_at(&digits, &entry.value))
					continue;
				entry.op = keys[i].op;
				blkio_add(keys[i].bytes ? bytes : ops, &entry);
			}
			p += n + (p[n] == ' ');
			if (!n && *p != ' ')
				break;
		}
	}
}
