/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "davit.h"

#include <limits.h>
#include <string.h>

struct parser {
	const struct opt *table;
	char *args;
	char **argv;
	int i; /* the argument after the current one */
	bool help;
};

static const struct opt *opt_by_name(const struct opt *table, const char *name, size_t len)
{
	for (const struct opt *o = table; o->name || o->letter; o++)
		if (o->name && strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct opt *opt_by_letter(const struct opt *table, char letter)
{
	for (const struct opt *o = table; o->name || o->letter; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static bool opt_takes_value(const struct opt *o)
{
	return o->kind == OPT_STR || o->kind == OPT_LIST || o->kind == OPT_UINT;
}

static int opt_word(const char *text, bool allow_auto, enum davit_tristate *value)
{
	if (str_eq(text, "true") || str_eq(text, "1"))
		*value = DAVIT_TRUE;
	else if (str_eq(text, "false") || str_eq(text, "0"))
		*value = DAVIT_FALSE;
	else if (allow_auto && str_eq(text, "auto"))
		*value = DAVIT_AUTO;
	else
		return -1;
	return 0;
}

/* shown: the option as it was typed. text: NULL for a flag without a value. */
static int opt_store(struct parser *p, const struct opt *o, const char *shown, const char *text,
                     struct err *e)
{
	void *member = p->args + o->offset;
	enum davit_tristate word = DAVIT_TRUE;
	struct opt_list *list = member;
	uint64_t number;

	switch (o->kind) {
	case OPT_FLAG:
	case OPT_BOOL:
	case OPT_AUTO:
		if (text && opt_word(text, o->kind == OPT_AUTO, &word) < 0)
			return fail(e, 0, "invalid value \"%s\" for %s: expected true or false%s",
			            text, shown, o->kind == OPT_AUTO ? " or auto" : "");
		if (o->kind == OPT_FLAG)
			*(bool *)member = word == DAVIT_TRUE;
		else
			*(enum davit_tristate *)member = word;
		return 0;
	case OPT_STR:
		*(const char **)member = text;
		return 0;
	case OPT_LIST:
		list->v = xrealloc(list->v, list->n + 1, sizeof(*list->v));
		list->v[list->n++] = text;
		return 0;
	default:
		if (str_to_u64(text, &number) < 0 || number > INT_MAX)
			return fail(e, 0, "invalid value \"%s\" for %s: expected a number", text,
			            shown);
		*(unsigned *)member = (unsigned)number;
		return 0;
	}
}

static int opt_unknown(const char *shown, struct err *e)
{
	return fail(e, 0, "unknown option %s", shown);
}

/* The engines probe for the words of this text. */
static int opt_no_value(const char *shown, struct err *e)
{
	return fail(e, 0, "flag needs an argument: %s", shown);
}

/* name: the option without its dashes, maybe with =VALUE. Returns 0 when there is no such name. */
static int parse_long(struct parser *p, const char *arg, const char *name, struct err *e)
{
	size_t len = strcspn(name, "=");
	const char *text = name[len] ? name + len + 1 : NULL;
	const struct opt *o = opt_by_name(p->table, name, len);
	autofree char *shown = NULL;
	enum davit_tristate word;

	if (!o && len == 4 && memcmp(name, "help", 4) == 0) {
		p->help = true;
		return 1;
	}
	if (!o)
		return 0;
	shown = xasprintf("--%s", o->name);
	if (!text && opt_takes_value(o)) {
		if (!p->argv[p->i])
			return opt_no_value(arg, e);
		text = p->argv[p->i++];
	} else if (!text && o->kind == OPT_AUTO && p->argv[p->i] &&
	           opt_word(p->argv[p->i], true, &word) == 0) {
		text = p->argv[p->i++];
	}
	TRY(opt_store(p, o, shown, text, e));
	return 1;
}

static int parse_letters(struct parser *p, const char *letters, struct err *e)
{
	for (const char *l = letters; *l; l++) {
		char shown[] = {'-', *l, 0};
		const struct opt *o = opt_by_letter(p->table, *l);
		const char *text = NULL;

		if (!o && *l == 'h') {
			p->help = true;
			return 0;
		}
		if (!o)
			return opt_unknown(letters[1] ? letters - 1 : shown, e);
		if (opt_takes_value(o)) {
			text = l[1] == '=' ? l + 2 : l + 1;
			if (!l[1])
				text = p->argv[p->i] ? p->argv[p->i++] : NULL;
			if (!text)
				return opt_no_value(shown, e);
		} else if (l[1] == '=') {
			text = l + 2;
		}
		TRY(opt_store(p, o, shown, text, e));
		if (text)
			return 0;
	}
	return 0;
}

static int parse_option(struct parser *p, const char *arg, struct err *e)
{
	int known = parse_long(p, arg, arg[1] == '-' ? arg + 2 : arg + 1, e);

	if (known != 0)
		return known < 0 ? -1 : 0;
	if (arg[1] == '-')
		return opt_unknown(arg, e);
	return parse_letters(p, arg + 1, e);
}

int opts_parse(const struct opt *table, void *args, char **argv, unsigned last, int *n_pos,
               struct err *e)
{
	struct parser p = {.table = table, .args = args, .argv = argv, .i = 1};
	bool options = true;
	int n = 0;

	while (argv[p.i] && !p.help) {
		char *arg = argv[p.i++];

		if (!options || arg[0] != '-' || !arg[1]) {
			argv[n++] = arg;
			if (last && n == (int)last)
				options = false;
		} else if (str_eq(arg, "--")) {
			options = false;
		} else {
			TRY(parse_option(&p, arg, e));
		}
	}
	if (p.help)
		return 1;
	argv[n] = NULL;
	*n_pos = n;
	return 0;
}

void opts_free(const struct opt *table, void *args)
{
	for (const struct opt *o = table; o->name || o->letter; o++)
		if (o->kind == OPT_LIST)
			free(((struct opt_list *)((char *)args + o->offset))->v);
}

static int opt_left_column(const struct opt *o, char *text, size_t size)
{
	const char *value = o->metavar ? o->metavar : "";
	const char *gap = !o->metavar || o->metavar[0] == '[' ? "" : " ";

	if (o->letter)
		return snprintf(text, size, "-%c, --%s%s%s", o->letter, o->name, gap, value);
	return snprintf(text, size, "    --%s%s%s", o->name, gap, value);
}

void opts_rows(const struct opt *table, FILE *out)
{
	int width = 0;
	char left[128];

	for (const struct opt *o = table; o->name || o->letter; o++) {
		int n = o->help ? opt_left_column(o, left, sizeof(left)) : 0;

		width = n > width ? n : width;
	}
	for (const struct opt *o = table; o->name || o->letter; o++) {
		if (!o->help)
			continue;
		opt_left_column(o, left, sizeof(left));
		fprintf(out, "  %-*s  %s\n", width, left, o->help);
	}
	fprintf(out, "  %-*s  show this help\n", width, "-h, --help");
}

void opts_help(const struct command *cmd, FILE *out)
{
	fprintf(out, "usage: davit [GLOBAL OPTION...] %s [OPTION...]%s%s\n\n%s.\n\n", cmd->name,
	        *cmd->synopsis ? " " : "", cmd->synopsis, cmd->help);
	opts_rows(cmd->opts, out);
}

/* Digits with an optional fraction of at most three digits that count. Returns what follows. */
static const char *number_parse(const char *text, uint64_t *whole, unsigned *thousandths)
{
	const char *s = text;
	unsigned scale = 1000;

	*whole = *thousandths = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, *s - '0', whole))
			return NULL;
	if (s == text)
		return NULL;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return NULL;
		for (s++; *s >= '0' && *s <= '9'; s++) {
			scale /= 10;
			*thousandths += (unsigned)(*s - '0') * scale;
		}
	}
	return s;
}

int size_parse(const char *text, int64_t *bytes)
{
	static const char units[] = "kmgtpe";
	unsigned shift = 0, fraction;
	uint64_t whole, one;
	const char *s, *unit;

	if (str_eq(text, "-1")) {
		*bytes = -1;
		return 0;
	}
	s = number_parse(text, &whole, &fraction);
	if (!s)
		return -1;
	unit = *s ? strchr(units, *s | 0x20) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		s++;
		if (*s == 'i' && (s[1] | 0x20) == 'b')
			s++;
	}
	if ((*s | 0x20) == 'b')
		s++;
	one = (uint64_t)1 << shift;
	if (*s || whole > (uint64_t)INT64_MAX / one)
		return -1;
	*bytes = (int64_t)(whole * one + one / 1000 * fraction + one % 1000 * fraction / 1000);
	return 0;
}

int duration_parse(const char *text, int64_t *ms)
{
	static const struct {
		const char *name;
		unsigned ms;
	} units[] = {
		{"ms", 1      },
                {"s",  1000   },
                {"m",  60000  },
                {"h",  3600000}
        };
	uint64_t whole, total = 0;
	const char *s = text;
	unsigned fraction;
	bool unit = false;

	do {
		s = number_parse(s, &whole, &fraction);
		if (!s || whole > UINT32_MAX)
			return -1;
		if (!*s && !unit) {
			*ms = (int64_t)(whole * 1000 + fraction);
			return 0;
		}
		unit = false;
		for (size_t i = 0; i < COUNT(units) && !unit; i++) {
			unit = str_starts(s, units[i].name);
			if (unit) {
				total += whole * units[i].ms +
				         (uint64_t)fraction * units[i].ms / 1000;
				s += strlen(units[i].name);
			}
		}
		if (!unit)
			return -1;
	} while (*s && total <= UINT32_MAX * 3600000ULL);
	if (*s)
		return -1;
	*ms = (int64_t)total;
	return 0;
}
