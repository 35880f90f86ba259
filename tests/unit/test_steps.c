/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables cannot deadlock: each row waits for a row above it, of the other process. */
#include "run/steps.h"

#include <string.h>

#include "tap.h"

static int row_find(const struct step *table, const char *name)
{
	for (int i = 0; table[i].name; i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}

static void table_check(const char *title, const struct step *table)
{
	int n = 0, bad_after = 0, bad_undo = 0, twice = 0, back = 0;
	bool in_root = false;

	for (; table[n].name; n++) {
		const struct step *s = &table[n];

		if (s->after) {
			int i = row_find(table, s->after);

			if (i < 0 || i >= n || (table[i].who == RUNTIME) == (s->who == RUNTIME)) {
				diag("%s: row %s waits for %s", title, s->name, s->after);
				bad_after++;
			}
		}
		bad_undo += s->undo && s->who != RUNTIME;
		twice += row_find(table, s->name) != n;
		in_root = in_root || s->who == INIT_ROOT;
		back += in_root && s->who == INIT_HOST;
	}
	ok(n > 0 && n <= 64, "%s: %d rows fit the bits that remember them", title, n);
	is_int(bad_after, 0, "%s: every wait is for a row above, of the other process", title);
	is_int(bad_undo, 0, "%s: only the runtime undoes", title);
	is_int(twice, 0, "%s: names are unique", title);
	is_int(back, 0, "%s: after the pivot nothing needs the host's tree", title);
}

static void order_check(const char *before, const char *after)
{
	ok(row_find(create_steps, before) < row_find(create_steps, after) &&
	           row_find(create_steps, before) >= 0,
	   "%s comes before %s", before, after);
}

int main(void)
{
	table_check("create", create_steps);
	table_check("exec", exec_steps);
	order_check("state-reserve", "cgroup-create");
	order_check("cgroup-entered", "cgroup-ns");
	order_check("sysctl", "rootfs-seal");
	order_check("hooks-wait", "pivot");
	order_check("lsm-exec", "identity");
	order_check("seccomp-early", "identity");
	order_check("identity", "seccomp-late");
	order_check("fds-seal", "wait-start");
	return done();
}
