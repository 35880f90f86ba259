/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cli/opts.h"
#include "davit.h"

#include <stdlib.h>
#include <string.h>

struct list_args {
	const char *format;
	bool quiet;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct list_args, member), metavar, help              \
	}
static const struct opt list_opts[] = {
	ROW(OPT_STR, "format", 'f', format, "FORMAT", "table or json"),
	ROW(OPT_FLAG, "quiet", 'q', quiet, NULL, "show only the IDs"),
	OPT_END,
};
#undef ROW

static void list_json(const struct davit_state *list, size_t n)
{
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%s", i ? "," : "", list[i].json_compact);
	puts("]");
}

static int width_of(const struct davit_state *list, size_t n, bool bundle)
{
	size_t width = bundle ? strlen("BUNDLE") : strlen("ID");

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(bundle ? list[i].bundle : list[i].id);

		width = len > width ? len : width;
	}
	return (int)width;
}

static void list_table(const struct davit_state *list, size_t n)
{
	int id = width_of(list, n, false), bundle = width_of(list, n, true);

	printf("%-*s  %-10s  %-8s  %-*s  %-30s  OWNER\n", id, "ID", "PID", "STATUS", bundle,
	       "BUNDLE", "CREATED");
	for (size_t i = 0; i < n; i++) {
		const struct davit_state *s = &list[i];

		printf("%-*s  %-10d  %-8s  %-*s  %-30s  %s\n", id, s->id, (int)s->pid,
		       davit_status_names[s->status], bundle, s->bundle, s->created, s->owner);
	}
}

static int list_run(struct call *c, struct err *e)
{
	const struct list_args *a = c->args;
	bool json = str_eq(a->format, "json");
	struct davit_state *list = NULL;
	size_t n = 0;

	if (a->format && !json && !str_eq(a->format, "table"))
		return fail(e, 0, "invalid value \"%s\" for --format: expected table or json",
		            a->format);
	TRY(davit_list(c->ctx, json && !a->quiet ? DAVIT_LIST_JSON : 0, &list, &n, e));
	if (a->quiet)
		for (size_t i = 0; i < n; i++)
			puts(list[i].id);
	else if (json)
		list_json(list, n);
	else
		list_table(list, n);
	for (size_t i = 0; i < n; i++)
		davit_state_free(&list[i]);
	free(list);
	return 0;
}

const struct command cmd_list = {
	.name = "list",
	.synopsis = "",
	.help = "list the containers below the root",
	.opts = list_opts,
	.args_size = sizeof(struct list_args),
	.run = list_run,
};
