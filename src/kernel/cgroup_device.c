/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"
#include "ocispec.h"

/* Every container may make any node (it cannot open it), and use these. */
static const struct cgroup_device_rule defaults[] = {
	{true, 'c', -1,  -1, DEVICE_MKNOD},
        {true, 'b', -1,  -1, DEVICE_MKNOD},
	{true, 'c', 1,   3,  DEVICE_ALL  }, /* null */
	{true, 'c', 1,   5,  DEVICE_ALL  }, /* zero */
	{true, 'c', 1,   7,  DEVICE_ALL  }, /* full */
	{true, 'c', 1,   8,  DEVICE_ALL  }, /* random */
	{true, 'c', 1,   9,  DEVICE_ALL  }, /* urandom */
	{true, 'c', 5,   0,  DEVICE_ALL  }, /* tty */
	{true, 'c', 5,   2,  DEVICE_ALL  }, /* ptmx */
	{true, 'c', 136, -1, DEVICE_ALL  }, /* pts */
};

static int access_parse(const char *text, unsigned *access)
{
	*access = 0;
	for (; text && *text; text++) {
		const char *at = strchr("rwm", *text);

		if (!at)
			return -1;
		*access |= 1u << (at - "rwm");
	}
	/* Nothing at all means everything, as for the other properties. */
	if (!*access)
		*access = DEVICE_ALL;
	return 0;
}

static int rule_make(const struct oci_device_cgroup *d, struct cgroup_device_rule *r, struct err *e)
{
	const char *type = d->type && d->type[0] ? d->type : "a";

	if (strlen(type) != 1 || !strchr("abcu", type[0]))
		return fail(e, EINVAL, "device rule of the type \"%s\"", type);
	r->allow = d->allow;
	r->type = type[0] == 'u' ? 'c' : type[0];
	r->major = d->has_major ? d->major : -1;
	r->minor = d->has_minor ? d->minor : -1;
	if (r->major < -1 || r->major > UINT32_MAX || r->minor < -1 || r->minor > UINT32_MAX)
		return fail(e, ERANGE, "device rule for %" PRId64 ":%" PRId64, r->major, r->minor);
	if (access_parse(d->access, &r->access) < 0)
		return fail(e, EINVAL, "device rule with the access \"%s\"", d->access);
	return 0;
}

int cgroup_device_rules_make(const struct oci_device_cgroup *devices, size_t n,
                             struct cgroup_device_rules *r, struct err *e)
{
	r->v = xcalloc(n + 1 + COUNT(defaults), sizeof(*r->v));
	r->n = 0;
	/* Nothing is allowed until a rule says so. */
	r->v[r->n++] = (struct cgroup_device_rule){false, 'a', -1, -1, DEVICE_ALL};
	for (size_t i = 0; i < n; i++, r->n++)
		if (rule_make(&devices[i], &r->v[r->n], e) < 0) {
			cgroup_device_rules_free(r);
			return fail_at(e, "/linux/resources/devices/%zu", i);
		}
	if (cgroup_device_all_allowed(r))
		return 0;
	memcpy(&r->v[r->n], defaults, sizeof(defaults));
	r->n += COUNT(defaults);
	return 0;
}

void cgroup_device_rules_free(struct cgroup_device_rules *r)
{
	free(r->v);
	memset(r, 0, sizeof(*r));
}

static bool rule_is_total(const struct cgroup_device_rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == DEVICE_ALL;
}

bool cgroup_device_all_allowed(const struct cgroup_device_rules *r)
{
	for (size_t i = r->n; i-- > 0;) {
		if (!r->v[i].allow)
			return false;
		if (rule_is_total(&r->v[i]))
			return true;
	}
	return false;
}

bool cgroup_device_decide(const struct cgroup_device_rules *r, char type, int64_t major,
                          int64_t minor, unsigned access)
{
	unsigned left = access;

	for (size_t i = r->n; i-- > 0 && left;) {
		const struct cgroup_device_rule *q = &r->v[i];

		if ((q->type != 'a' && q->type != type) || (q->major >= 0 && q->major != major) ||
		    (q->minor >= 0 && q->minor != minor) || !(q->access & left))
			continue;
		if (!q->allow)
			return false;
		left &= ~q->access;
	}
	return !left;
}

/* ---- version 1 */

struct v1_state {
	bool allow; /* of what no exception names */
	struct cgroup_device_rule *ex;
	size_t n_ex;
	struct cgroup_device_write *w;
	size_t n, cap;
};

static void v1_emit(struct v1_state *s, bool allow, const struct cgroup_device_rule *r)
{
	struct cgroup_device_write *w;
	char major[24] = "*", minor[24] = "*", access[4];
	size_t n = 0;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 32;
		s->w = xrealloc(s->w, s->cap, sizeof(*s->w));
	}
	w = &s->w[s->n++];
	w->allow = allow;
	if (!r) {
		memcpy(w->text, "a", 2);
		return;
	}
	if (r->major >= 0)
		(void)snprintf(major, sizeof(major), "%" PRId64, r->major);
	if (r->minor >= 0)
		(void)snprintf(minor, sizeof(minor), "%" PRId64, r->minor);
	for (unsigned i = 0; i < 3; i++)
		if (r->access & 1u << i)
			access[n++] = "rwm"[i];
	access[n] = '\0';
	(void)snprintf(w->text, sizeof(w->text), "%c %s:%s %s", r->type, major, minor, access);
}

static bool covers(int64_t a, int64_t b)
{
	return a < 0 || a == b;
}

/* Against the default: the kernel adds to an exception with the same numbers, or makes one. */
static void v1_except(struct v1_state *s, const struct cgroup_device_rule *r)
{
	v1_emit(s, r->allow, r);
	for (size_t i = 0; i < s->n_ex; i++)
		if (s->ex[i].type == r->type && s->ex[i].major == r->major &&
		    s->ex[i].minor == r->minor) {
			s->ex[i].access |= r->access;
			return;
		}
	s->ex[s->n_ex++] = *r;
}

/* With the default: takes away from exceptions. The kernel only looks for the very same numbers, so
 * each exception that the rule covers gets a write of its own. */
static int v1_unexcept(struct v1_state *s, const struct cgroup_device_rule *r, struct err *e)
{
	for (size_t i = 0; i < s->n_ex; i++) {
		struct cgroup_device_rule *x = &s->ex[i], part;

		if (x->type != r->type || !(x->access & r->access))
			continue;
		if (!(covers(x->major, r->major) || covers(r->major, x->major)) ||
		    !(covers(x->minor, r->minor) || covers(r->minor, x->minor)))
			continue;
		if (!covers(r->major, x->major) || !covers(r->minor, x->minor)) {
			fail(e, 0,
			     "device rule %s a part of what an earlier rule %s, which cgroup "
			     "version 1 cannot do",
			     r->allow ? "allows" : "denies", r->allow ? "denies" : "allows");
			return fail_hint(
				e, "write the rules so that none takes back a part of another");
		}
		part = *x;
		part.access = x->access & r->access;
		v1_emit(s, r->allow, &part);
		x->access &= ~r->access;
	}
	return 0;
}

static int v1_rule(struct v1_state *s, const struct cgroup_device_rule *r, struct err *e)
{
	if (rule_is_total(r)) {
		s->allow = r->allow;
		s->n_ex = 0;
		v1_emit(s, r->allow, NULL);
		return 0;
	}
	if (r->allow == s->allow)
		return v1_unexcept(s, r, e);
	v1_except(s, r);
	return 0;
}

/* Walks the rules; the state's lists are the caller's to free, after a failure too. */
static int v1_walk(const struct cgroup_device_rules *r, struct v1_state *s, struct err *e)
{
	size_t first = 0;

	s->ex = xcalloc(2 * r->n + 1, sizeof(*s->ex));
	for (size_t i = 0; i < r->n; i++)
		if (rule_is_total(&r->v[i]))
			first = i; /* what comes before has no effect */
	for (size_t i = first; i < r->n; i++) {
		struct cgroup_device_rule one = r->v[i];
		int rc = 0;

		if (one.type != 'a' || rule_is_total(&one)) {
			rc = v1_rule(s, &one, e);
		} else { /* the kernel takes 'a' only for everything */
			one.type = 'c';
			rc = v1_rule(s, &one, e);
			one.type = 'b';
			rc = rc < 0 ? rc : v1_rule(s, &one, e);
		}
		if (rc < 0)
			return fail_at(e, "/linux/resources/devices/%zu", i ? i - 1 : 0);
	}
	return 0;
}

int cgroup_device_v1_writes(const struct cgroup_device_rules *r, struct cgroup_device_write **w,
                            size_t *n, struct err *e)
{
	struct v1_state s = {0};
	int rc = v1_walk(r, &s, e);

	free(s.ex);
	if (rc < 0) {
		free(s.w);
		return -1;
	}
	*w = s.w;
	*n = s.n;
	return 0;
}

int cgroup_device_exceptions(const struct cgroup_device_rules *r, bool *allow,
                             struct cgroup_device_rule **ex, size_t *n)
{
	struct v1_state s = {0};
	struct err ignored = {0};
	int rc = v1_walk(r, &s, &ignored);

	free(s.w);
	*allow = s.allow;
	*ex = s.ex;
	*n = 0;
	for (size_t i = 0; i < s.n_ex; i++)
		if (s.ex[i].access)
			s.ex[(*n)++] = s.ex[i];
	return rc;
}

static int v1_write(const int fd[2], const struct cgroup_dir *d,
                    const struct cgroup_device_write *w, struct err *e)
{
	size_t len = strlen(w->text);
	ssize_t rc;

	do
		rc = write(fd[w->allow], w->text, len);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0)
		return 0;
	fail(e, errno, "write \"%s\" to \"%s/devices.%s\"", w->text, d->path,
	     w->allow ? "allow" : "deny");
	if (errno == EPERM && w->allow)
		return fail_hint(e, "a group above does not have that device itself");
	return -1;
}

static int v1_open(const struct cgroup_dir *d, int *deny, int *allow, struct err *e)
{
	*deny = cgroup_dir_open(d, "devices.deny", O_WRONLY);
	*allow = *deny < 0 ? -1 : cgroup_dir_open(d, "devices.allow", O_WRONLY);
	if (*allow < 0)
		return fail(e, errno, "open \"%s/devices.allow\"", d->path);
	return 0;
}

char *cgroup_device_list(struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "devices");

	return d && !d->v2 ? cgroup_dir_slurp(d, "devices.list") : NULL;
}

void cgroup_device_restore(struct cgroup *cg, const char *list)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "devices");
	struct err ignored = {0};
	struct cgroup_device_write all = {.allow = str_starts(list, "a "), .text = "a"};
	autofd allow = -1;
	autofd deny = -1;

	if (!d || v1_open(d, &deny, &allow, &ignored) < 0)
		return;
	(void)v1_write((const int[2]){deny, allow}, d, &all, &ignored);
	for (const char *p = list; !all.allow && *p;) {
		struct cgroup_device_write w = {.allow = true};
		size_t n = strcspn(p, "\n");

		(void)snprintf(w.text, sizeof(w.text), "%.*s", (int)n, p);
		(void)v1_write((const int[2]){deny, allow}, d, &w, &ignored);
		p += n + (p[n] == '\n');
	}
}

static int v1_apply(const struct cgroup_dir *d, const struct cgroup_device_rules *r, struct err *e)
{
	autofree struct cgroup_device_write *w = NULL;
	autofd allow = -1;
	autofd deny = -1;
	size_t n = 0;

	TRY(cgroup_device_v1_writes(r, &w, &n, e));
	TRY(v1_open(d, &deny, &allow, e));
	for (size_t i = 0; i < n; i++)
		if (v1_write((const int[2]){deny, allow}, d, &w[i], e) < 0)
			return fail_at(e, "/linux/resources/devices");
	return 0;
}

int cgroup_device_apply(struct cgroup *cg, const struct cgroup_device_rules *r, bool update,
                        struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "devices");

	if (!d) {
		if (cgroup_device_all_allowed(r))
			return 0;
		fail(e, 0, "this host has no cgroup controller for devices");
		return fail_at(e, "/linux/resources/devices");
	}
	return d->v2 ? cgroup_bpf_attach(d, r, update, cg->root, e) : v1_apply(d, r, e);
}
