/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/creds.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/str.h"
#include "base/unapplied.h"
#include "ocispec.h"

/* ---- The plan */

/* Names come as "CAP_CHOWN" in the specification; `exec --cap` of other runtimes takes "chown"
 * too. */
bool cap_find(const char *name, int *cap)
{
	char full[40];
	int64_t value;

	snprintf(full, sizeof(full), "%s%s", strncasecmp(name, "CAP_", 4) == 0 ? "" : "CAP_", name);
	for (char *c = full; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	if (strlen(name) >= sizeof(full) - 5 || !names_find(&names_capabilities, full, &value))
		return false;
	*cap = (int)value;
	return true;
}

uint64_t caps_parse(char *const *names, size_t n, const char *set)
{
	uint64_t bits = 0;
	int cap;

	for (size_t i = 0; i < n; i++) {
		if (cap_find(names[i], &cap))
			bits |= UINT64_C(1) << cap;
		else
			unapplied_note("unknown capability \"%.64s\" in the %s set", names[i], set);
	}
	return bits;
}

/* Keeps of *set what allowed holds; the rest is named in a warning. */
static void caps_limit(uint64_t *set, uint64_t allowed, const char *name, const char *why)
{
	uint64_t lost = *set & ~allowed;
	autostr list = {0};

	if (lost == 0)
		return;
	for (int cap = 0; cap < 64; cap++) {
		const char *word = names_of(&names_capabilities, cap);

		if (lost & UINT64_C(1) << cap)
			str_addf(&list, " %s", word != NULL ? word : "?");
	}
	unapplied_note("cannot grant in the %s set, %s:%s", name, why, list.s);
	*set &= allowed;
}

static void creds_caps(const struct oci_capabilities *c, uint64_t caps[CREDS_SETS])
{
	if (c == NULL)
		return;
	caps[CREDS_BOUNDING] = caps_parse(c->bounding, c->n_bounding, "bounding");
	caps[CREDS_EFFECTIVE] = caps_parse(c->effective, c->n_effective, "effective");
	caps[CREDS_INHERITABLE] = caps_parse(c->inheritable, c->n_inheritable, "inheritable");
	caps[CREDS_PERMITTED] = caps_parse(c->permitted, c->n_permitted, "permitted");
	caps[CREDS_AMBIENT] = caps_parse(c->ambient, c->n_ambient, "ambient");
	/* The kernel refuses all three with EPERM. */
	caps_limit(&caps[CREDS_INHERITABLE], caps[CREDS_BOUNDING], "inheritable", "not bounding");
	caps_limit(&caps[CREDS_EFFECTIVE], caps[CREDS_PERMITTED], "effective", "not permitted");
	caps_limit(&caps[CREDS_AMBIENT], caps[CREDS_PERMITTED] & caps[CREDS_INHERITABLE], "ambient",
	           "not both permitted and inheritable");
}

int creds_make(const struct oci_process *process, unsigned flags, struct creds_plan *plan,
               struct err *e)
{
	const struct oci_user *user = process->user;

	memset(plan, 0, sizeof(*plan));
	plan->keep_groups = flags & CREDS_KEEP_GROUPS;
	plan->setgroups_denied = flags & CREDS_SETGROUPS_DENIED;
	plan->no_new_privs = process->no_new_privileges;
	creds_caps(process->capabilities, plan->caps);
	if (user == NULL)
		return 0;
	/* -1 means "leave as it is" to setresuid(2). */
	if (user->uid == (uint32_t)-1 || user->gid == (uint32_t)-1) {
		fail(e, 0, "%s 4294967295 is not an id", user->uid == (uint32_t)-1 ? "uid" : "gid");
		return fail_at(e, "/process/user");
	}
	if (user->has_umask && user->umask > 07777) {
		fail(e, 0, "umask %#o has more than permission bits", user->umask);
		return fail_at(e, "/process/user/umask");
	}
	if (plan->setgroups_denied && !plan->keep_groups && user->n_additional_gids > 0) {
		fail(e, 0, "additional groups cannot be set: this user namespace denies setgroups");
		fail_at(e, "/process/user/additionalGids");
		return fail_hint(e, "map the groups with newgidmap (subgid), or leave them out");
	}
	plan->uid = user->uid;
	plan->gid = user->gid;
	plan->groups = user->additional_gids;
	plan->n_groups = user->n_additional_gids;
	plan->umask = user->umask;
	plan->has_umask = user->has_umask;
	return 0;
}

/* ---- Applying it */

struct capsets {
	uint64_t effective, permitted, inheritable;
};

static int capsets_get(struct capsets *c, struct err *e)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &header, data) < 0)
		return fail(e, errno, "capget");
	c->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	c->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	c->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

static int capsets_put(const struct capsets *c, struct err *e)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->inheritable >> 32 * i);
	}
	if (syscall(__NR_capset, &header, data) < 0)
		return fail(e, errno, "set capabilities %#llx", (unsigned long long)c->permitted);
	return 0;
}

/* Drops what is not wanted, up to the kernel's last capability: it may know more than we. */
static int bounding_limit(uint64_t wanted, struct err *e)
{
	for (int cap = 0; cap < 64; cap++) {
		if (wanted & UINT64_C(1) << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break;
		int errnum = errno;

		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0) {
			const char *name = names_of(&names_capabilities, cap);

			return fail(e, errnum, "drop %s from the bounding set",
			            name ? name : "capability");
		}
	}
	return 0;
}

static int groups_set(const struct creds_plan *plan, struct err *e)
{
	if (plan->keep_groups || plan->setgroups_denied)
		return 0;
	if (setgroups(plan->n_groups, plan->groups) == 0)
		return 0;
	int errnum = errno;

	/* Nothing to drop and nothing to add: a namespace that denies the call is no problem. */
	if (plan->n_groups == 0 && getgroups(0, NULL) == 0)
		return 0;
	fail(e, errnum, "set %zu additional groups", plan->n_groups);
	fail_at(e, "/process/user/additionalGids");
	if (errnum == EINVAL)
		fail_hint(e, "map every group in /linux/gidMappings");
	return -1;
}

static int ids_set(const struct creds_plan *plan, struct err *e)
{
	TRY(groups_set(plan, e));
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0) {
		fail(e, errno, "become gid %u", plan->gid);
		if (e->errnum == EINVAL)
			fail_hint(e, "map it in /linux/gidMappings");
		return fail_at(e, "/process/user/gid");
	}
	/* Without this a change away from uid 0 empties the permitted set. execve(2) resets it. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail(e, errno, "keep capabilities over the change of uid");
	if (setresuid(plan->uid, plan->uid, plan->uid) < 0) {
		fail(e, errno, "become uid %u", plan->uid);
		if (e->errnum == EINVAL)
			fail_hint(e, "map it in /linux/uidMappings");
		return fail_at(e, "/process/user/uid");
	}
	return 0;
}

static int ambient_set(uint64_t wanted, struct err *e)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
		if (errno == EINVAL && wanted == 0)
			return 0; /* a kernel before 4.3 has no ambient set */
		return fail(e, errno, "clear the ambient set");
	}
	for (int cap = 0; cap < 64; cap++) {
		if (!(wanted & UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) {
			const char *name = names_of(&names_capabilities, cap);

			return fail(e, errno, "raise ambient %s", name ? name : "capability");
		}
	}
	return 0;
}

/* Notes what the bounding set lacks already, but for what other sets have been told to lack. What
 * is permitted and not inheritable was in it when davit was executed: capabilities(7). */
static void bounding_note(const uint64_t wanted[CREDS_SETS], const struct capsets *caller)
{
	uint64_t bounding = wanted[CREDS_BOUNDING];
	uint64_t sure = caller->permitted & ~caller->inheritable;
	uint64_t told = (wanted[CREDS_PERMITTED] | wanted[CREDS_INHERITABLE]) & ~caller->permitted;
	uint64_t have = sure | told;

	for (int cap = 0; cap < 64; cap++)
		if (bounding & ~have & UINT64_C(1) << cap &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			have |= UINT64_C(1) << cap;
	caps_limit(&bounding, have, "bounding", "davit does not hold them");
}

/* What the caller holds bounds what it can give. */
static void caps_bound(uint64_t caps[CREDS_SETS], uint64_t held)
{
	caps_limit(&caps[CREDS_PERMITTED], held, "permitted", "davit does not hold them");
	caps_limit(&caps[CREDS_INHERITABLE], held, "inheritable", "davit does not hold them");
	caps[CREDS_EFFECTIVE] &= caps[CREDS_PERMITTED];
	caps[CREDS_AMBIENT] &= caps[CREDS_PERMITTED] & caps[CREDS_INHERITABLE];
}

int creds_apply(const struct creds_plan *plan, struct err *e)
{
	uint64_t caps[CREDS_SETS];
	struct capsets want, have;

	memcpy(caps, plan->caps, sizeof(caps));
	TRY(capsets_get(&have, e));
	caps_bound(caps, have.permitted);
	bounding_note(plan->caps, &have);
	TRY(bounding_limit(plan->caps[CREDS_BOUNDING], e));
	TRY(ids_set(plan, e));
	want = (struct capsets){caps[CREDS_EFFECTIVE], caps[CREDS_PERMITTED],
	                        caps[CREDS_INHERITABLE]};
	TRY(capsets_put(&want, e));
	TRY(ambient_set(caps[CREDS_AMBIENT], e));
	if (plan->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(e, errno, "set no_new_privs");
	TRY(capsets_get(&have, e));
	if (memcmp(&have, &want, sizeof(want)) != 0)
		return fail(e, 0, "capabilities read back as %#llx, not %#llx",
		            (unsigned long long)have.permitted, (unsigned long long)want.permitted);
	if (plan->has_umask)
		umask(plan->umask);
	/* A change of ids may have set it to fs.suid_dumpable. */
	return creds_hide(e);
}

int creds_hide(struct err *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail(e, errno, "make the process non-dumpable");
	return 0;
}
