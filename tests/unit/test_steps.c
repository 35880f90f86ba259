/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables cannot deadlock: each row waits for a row above it, of the other process. */
#include "run/steps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"

#include "tap.h"

static int row_find(const struct step *table, const char *name)
{
	for (int i = 0; table[i].name; i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}

static bool waits_upwards(const struct step *table, int n)
{
	const struct step *s = &table[n];
	int i = row_find(table, s->after);

	if (i >= 0 && i < n && (table[i].who == RUNTIME) != (s->who == RUNTIME))
		return true;
	printf("# row %s waits for %s\n", s->name, s->after);
	return false;
}

static void table_check(const struct step *table)
{
	bool in_root = false;
	int n = 0;

	for (; table[n].name; n++) {
		const struct step *s = &table[n];

		ok(!s->after || waits_upwards(table, n));
		ok(!s->undo || s->who == RUNTIME);
		ok(row_find(table, s->name) == n);
		in_root = in_root || s->who == INIT_ROOT;
		ok(!in_root ||
		   s->who != INIT_HOST); /* after the pivot nothing needs the host's tree */
	}
	ok(n > 0 && n <= 64); /* one bit each */
}

static void test_create(void)
{
	table_check(create_steps);
}

static void test_exec(void)
{
	table_check(exec_steps);
}

static bool comes_before(const char *a, const char *b)
{
	int i = row_find(create_steps, a);

	return i >= 0 && i < row_find(create_steps, b);
}

static void test_order(void)
{
	ok(comes_before("state-reserve", "cgroup-create"));
	ok(comes_before("idmap-adopt", "ns-late"));
	ok(comes_before("cgroup-entered", "cgroup-ns"));
	ok(comes_before("sysctl", "rootfs-seal"));
	ok(comes_before("hooks-wait", "pivot"));
	ok(comes_before("lsm-exec", "identity"));
	ok(comes_before("seccomp-early", "identity"));
	ok(comes_before("identity", "seccomp-late"));
	ok(comes_before("fds-seal", "wait-start"));
}

/* Every step is explained in davit(7). */
static void test_manual(void)
{
	const struct step *const tables[] = {create_steps, exec_steps};
	struct err e;
	char *page = file_read(AT_FDCWD, "man/davit.7", 1 << 20, NULL, &e);

	if (!ok(page != NULL))
		return;
	for (size_t i = 0; i < 2; i++)
		for (const struct step *s = tables[i]; s->name; s++)
			if (!ok(strstr(page, s->name) != NULL))
				printf("# %s is not in man/davit.7\n", s->name);
	free(page);
}

int main(void)
{
	RUN(test_create);
	RUN(test_exec);
	RUN(test_order);
	RUN(test_manual);
	return done();
}
