/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "base/mem.h"
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

static void list_ids(struct davit_listing *l)
{
	struct davit_state s;

	while (davit_list_next(l, &s))
		puts(s.id);
}

static void list_json(struct davit_listing *l)
{
	const char *before = "[";
	struct davit_state s;

	for (; davit_list_next(l, &s); before = ",")
		printf("%s%s", before, s.json_compact);
	printf("%s]\n", *before == '[' ? before : "");
}

/* ---- a table: rows wait until all are known, for the widths. Most of what one says stands in the
 * row above, so that it needs but a few bytes. */

struct row {
	const char *id;
	pid_t pid;
	uint32_t same, more; /* bytes of the texts: as in the row above, and then */
	uint8_t status;
	bool has_id; /* between the first two texts */
};

struct table {
	char *rows; /* each with what it has more behind it */
	size_t len, cap;
	struct str texts; /* of the last row: bundle before and after the id, owner, created */
	int id, bundle;   /* widths */
};

/* The C library takes so much straight from the kernel: what is not filled costs nothing, and more
 * does not mean a copy. */
#define TABLE_SIZE ((size_t)256 << 10)

static void table_put(struct table *t, const void *data, size_t len)
{
	if (t->cap - t->len < len) {
		t->cap = (t->cap ? 2 * t->cap : TABLE_SIZE) + len;
		t->rows = xrealloc(t->rows, t->cap, 1);
	}
	memcpy(t->rows + t->len, data, len);
	t->len += len;
}

static void text_add(struct str *texts, const char *text, size_t len)
{
	str_addn(texts, text, len);
	str_addc(texts, '\0');
}

static void table_add(struct table *t, const struct davit_state *s)
{
	struct row r = {.id = s->id, .pid = s->pid, .status = (uint8_t)s->status};
	int id = (int)strlen(s->id), bundle = (int)strlen(s->bundle);
	const char *end = s->bundle + bundle, *at = strstr(s->bundle, s->id);
	struct str texts = {0};

	r.has_id = at;
	text_add(&texts, s->bundle, (size_t)((at ? at : end) - s->bundle));
	text_add(&texts, at ? at + id : "", at ? (size_t)(end - at - id) : 0);
	text_add(&texts, s->owner, strlen(s->owner));
	text_add(&texts, s->created, strlen(s->created));
	while (r.same < texts.len && r.same < t->texts.len && texts.s[r.same] == t->texts.s[r.same])
		r.same++;
	r.more = (uint32_t)texts.len - r.same;
	table_put(t, &r, sizeof r);
	table_put(t, texts.s + r.same, r.more);
	str_free(&t->texts);
	t->texts = texts;
	t->id = id > t->id ? id : t->id;
	t->bundle = bundle > t->bundle ? bundle : t->bundle;
}

static void row_print(const struct table *t, const struct row *r)
{
	const char *before = t->texts.s, *after = before + strlen(before) + 1;
	const char *owner = after + strlen(after) + 1, *created = owner + strlen(owner) + 1;
	const char *id = r->has_id ? r->id : "";
	int bundle = (int)(strlen(before) + strlen(id) + strlen(after));

	printf("%-*s  %-10d  %-8s  %s%s%s%*s  %-30s  %s\n", t->id, r->id, (int)r->pid,
	       davit_status_names[r->status], before, id, after, t->bundle - bundle, "", created,
	       owner);
}

static void table_print(struct table *t)
{
	struct row r;

	printf("%-*s  %-10s  %-8s  %-*s  %-30s  OWNER\n", t->id, "ID", "PID", "STATUS", t->bundle,
	       "BUNDLE", "CREATED");
	for (size_t at = 0; at < t->len; at += sizeof r + r.more) {
		memcpy(&r, t->rows + at, sizeof r);
		t->texts.len = r.same;
		str_addn(&t->texts, t->rows + at + sizeof r, r.more);
		row_print(t, &r);
	}
}

static void list_table(struct davit_listing *l)
{
	struct table t = {.id = (int)strlen("ID"), .bundle = (int)strlen("BUNDLE")};
	struct davit_state s;

	while (davit_list_next(l, &s))
		table_add(&t, &s);
	table_print(&t);
	free(t.rows);
	str_free(&t.texts);
}

static int list_run(struct call *c, struct err *e)
{
	const struct list_args *a = c->args;
	bool json = str_eq(a->format, "json");
	unsigned flags = a->quiet ? DAVIT_LIST_IDS : json ? DAVIT_LIST_JSON : 0;
	struct davit_listing *l;

	if (a->format && !json && !str_eq(a->format, "table"))
		return fail(e, 0, "invalid value \"%s\" for --format: expected table or json",
		            a->format);
	TRY(davit_list_open(c->ctx, flags, &l, e));
	if (a->quiet)
		list_ids(l);
	else if (json)
		list_json(l);
	else
		list_table(l);
	davit_list_close(l);
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
