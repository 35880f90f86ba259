/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/creds.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "child.h"
#include "kernel/keyring.h"
#include "ocispec.h"
#include "tap.h"

#define S(literal) ((char[]){literal}) /* the config holds no const strings */

#define BIT(cap) (UINT64_C(1) << (cap))

static void log_none(enum log_level level, const char *text, void *arg)
{
	(void)text;
	*(int *)arg += level == LOG_LEVEL_WARNING;
}
static int warnings;

static void test_names(void)
{
	char *names[] = {S("CAP_CHOWN"), S("cap_kill"), S("net_admin"),
	                 S("CAP_CHECKPOINT_RESTORE")};
	char *bad[] = {
		S("CAP_NOPE"),
		S(""),
		S("CAP_"),
		S("CAP_CHOWN "),
		S("0"),
		S("CAP_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};

	warnings = 0;
	ok(caps_parse(names, 4, "x") ==
	   (BIT(CAP_CHOWN) | BIT(CAP_KILL) | BIT(CAP_NET_ADMIN) | BIT(40)));
	is_int(warnings, 0);
	ok(caps_parse(bad, COUNT(bad), "x") == 0);
	is_int(warnings, COUNT(bad));
	ok(caps_parse(NULL, 0, "x") == 0);
}

static void test_absent(void)
{
	struct oci_process p = {0};
	struct creds_plan plan;
	struct err e = {0};

	memset(&plan, 0xff, sizeof(plan));
	is_int(creds_make(&p, 0, &plan, &e), 0);
	for (int i = 0; i < CREDS_SETS; i++)
		ok(plan.caps[i] == 0);
	is_int(plan.uid, 0);
	is_int((long)plan.n_groups, 0);
	ok(!plan.no_new_privs && !plan.has_umask && !plan.keep_groups);
}

static void test_sets(void)
{
	char *two[] = {S("CAP_CHOWN"), S("CAP_KILL")}, *one[] = {S("CAP_KILL")},
	     *other[] = {S("CAP_FOWNER")};
	struct oci_capabilities caps = {
		.bounding = two,
		.n_bounding = 2,
		.permitted = one,
		.n_permitted = 1,
		.effective = two,
		.n_effective = 2,
		.inheritable = other,
		.n_inheritable = 1,
		.ambient = two,
		.n_ambient = 2,
	};
	struct oci_process p = {.capabilities = &caps, .no_new_privileges = true};
	struct creds_plan plan;
	struct err e = {0};

	warnings = 0;
	is_int(creds_make(&p, 0, &plan, &e), 0);
	ok(plan.caps[CREDS_BOUNDING] == (BIT(CAP_CHOWN) | BIT(CAP_KILL)));
	ok(plan.caps[CREDS_PERMITTED] == BIT(CAP_KILL));
	ok(plan.caps[CREDS_EFFECTIVE] == BIT(CAP_KILL));
	ok(plan.caps[CREDS_INHERITABLE] == 0);
	ok(plan.caps[CREDS_AMBIENT] == 0);
	is_int(warnings, 3);
	ok(plan.no_new_privs);
}

static void test_user(void)
{
	uint32_t groups[] = {5, 6};
	struct oci_user u = {.uid = 1000,
	                     .gid = 100,
	                     .additional_gids = groups,
	                     .n_additional_gids = 2,
	                     .umask = 027,
	                     .has_umask = true};
	struct oci_process p = {.user = &u};
	struct creds_plan plan;
	struct err e = {0};

	is_int(creds_make(&p, 0, &plan, &e), 0);
	ok(plan.uid == 1000 && plan.gid == 100 && plan.n_groups == 2 && plan.groups[1] == 6);
	ok(plan.has_umask && plan.umask == 027);

	is_int(creds_make(&p, CREDS_SETGROUPS_DENIED, &plan, &e), -1);
	is_str(e.at, "/process/user/additionalGids");
	is_int(creds_make(&p, CREDS_SETGROUPS_DENIED | CREDS_KEEP_GROUPS, &plan, &e), 0);
	ok(plan.keep_groups);

	u.uid = UINT32_MAX;
	memset(&e, 0, sizeof(e));
	is_int(creds_make(&p, 0, &plan, &e), -1);
	is_str(e.at, "/process/user");
	u.uid = 0;
	u.umask = 0100000;
	memset(&e, 0, sizeof(e));
	is_int(creds_make(&p, 0, &plan, &e), -1);
	is_str(e.at, "/process/user/umask");
}

/* A process that may change nothing can still become what it is, without capabilities. */
static int apply_self(void)
{
	struct creds_plan plan = {.uid = getuid(),
	                          .gid = getgid(),
	                          .keep_groups = true,
	                          .no_new_privs = true,
	                          .umask = 035,
	                          .has_umask = true};
	struct err e = {0};

	for (int cap = 0; cap < 64 && geteuid() != 0; cap++)
		plan.caps[CREDS_BOUNDING] |= BIT(cap);
	if (creds_apply(&plan, &e) < 0)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || umask(0) != 035)
		return 2;
	return prctl(PR_GET_DUMPABLE) != 0;
}

static void test_apply_self(void)
{
	is_int(in_child(apply_self), 0);
}

static bool status_has(const char *line)
{
	char text[8192];
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	text[n] = '\0';
	if (strstr(text, line) == NULL) {
		printf("# no \"%s\"\n", line);
		return false;
	}
	return true;
}

static int apply_user(void)
{
	gid_t groups[] = {7, 9};
	struct creds_plan plan = {.uid = 1234, .gid = 567, .groups = groups, .n_groups = 2};
	struct err e = {0};

	plan.caps[CREDS_BOUNDING] = BIT(CAP_CHOWN) | BIT(CAP_KILL);
	plan.caps[CREDS_PERMITTED] = plan.caps[CREDS_INHERITABLE] = BIT(CAP_KILL) | BIT(CAP_CHOWN);
	plan.caps[CREDS_EFFECTIVE] = BIT(CAP_KILL);
	plan.caps[CREDS_AMBIENT] = BIT(CAP_KILL);
	if (creds_apply(&plan, &e) < 0)
		return 1;
	return !(status_has("Uid:\t1234\t1234\t1234\t1234\n") &&
	         status_has("Gid:\t567\t567\t567\t567\n") && status_has("Groups:\t7 9 \n") &&
	         status_has("CapBnd:\t0000000000000021\n") &&
	         status_has("CapPrm:\t0000000000000021\n") &&
	         status_has("CapEff:\t0000000000000020\n") &&
	         status_has("CapInh:\t0000000000000021\n") &&
	         status_has("CapAmb:\t0000000000000020\n"));
}

static int apply_none(void)
{
	struct creds_plan plan = {.uid = 1000, .gid = 1000};
	struct err e = {0};

	plan.caps[CREDS_BOUNDING] = BIT(CAP_SYS_ADMIN);
	if (creds_apply(&plan, &e) < 0)
		return 1;
	return !(status_has("CapPrm:\t0000000000000000\n") &&
	         status_has("CapBnd:\t0000000000200000\n") && status_has("Groups:\t \n"));
}

static void test_apply_user(void)
{
	if (geteuid() != 0)
		SKIP("only root can become another user");
	is_int(in_child(apply_user), 0);
	is_int(in_child(apply_none), 0);
}

static int join(void)
{
	struct err e = {0};

	return keyring_join("_davit_unit_test", &e) < 0;
}

static void test_keyring(void)
{
	is_int(in_child(join), 0);
}

int main(void)
{
	struct log_config config = {.level = LOG_LEVEL_WARNING};
	struct err e;

	if (log_open(&config, &e) < 0)
		return 1;
	log_redirect(log_none, &warnings);
	RUN(test_names);
	RUN(test_absent);
	RUN(test_sets);
	RUN(test_user);
	RUN(test_apply_self);
	RUN(test_apply_user);
	RUN(test_keyring);
	return done();
}
