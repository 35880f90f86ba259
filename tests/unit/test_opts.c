/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tap.h"

#include "cli/opts.c" /* the command line is no part of the library */

struct args {
	bool all, quiet;
	enum davit_tristate tty, rootless;
	const char *name;
	struct opt_list env;
	unsigned n;
};

#define ROW(kind, name, letter, member)                                                            \
	{                                                                                          \
		name, letter, kind, offsetof(struct args, member), NULL, "text"                    \
	}
static const struct opt table[] = {
	ROW(OPT_FLAG, "all", 'a', all),      ROW(OPT_FLAG, "quiet", 'q', quiet),
	ROW(OPT_BOOL, "tty", 't', tty),      ROW(OPT_AUTO, "rootless", 0, rootless),
	ROW(OPT_STR, "name", 'n', name),     ROW(OPT_LIST, "env", 'e', env),
	ROW(OPT_UINT, "preserve-fds", 0, n), OPT_END,
};

static struct args args;
static struct err err;
static char *argv_now[32];
static int n_pos;

/* Parses the words after the command's name, which are separated by single blanks. */
static int parse(unsigned last, const char *line)
{
	static char copy[256];
	char *rest = copy;
	int n = 0;

	snprintf(copy, sizeof(copy), "cmd %s", line);
	free(args.env.v);
	memset(&args, 0, sizeof(args));
	memset(&err, 0, sizeof(err));
	n_pos = -1;
	while (rest && *rest)
		argv_now[n++] = strsep(&rest, " ");
	argv_now[n] = NULL;
	return opts_parse(table, &args, argv_now, last, &n_pos, &err);
}

static void test_forms(void)
{
	is_int(parse(0, "--name x --all"), 0);
	is_str(args.name, "x");
	ok(args.all);
	is_int(parse(0, "--name=x=y -q"), 0);
	is_str(args.name, "x=y");
	ok(args.quiet);
	ok(!args.all);
	is_int(parse(0, "-n x"), 0);
	is_str(args.name, "x");
	is_int(parse(0, "-nx"), 0);
	is_str(args.name, "x");
	is_int(parse(0, "-n=x"), 0);
	is_str(args.name, "x");
	is_int(parse(0, "--name ="), 0);
	is_str(args.name, "=");
	is_int(parse(0, "--name="), 0);
	is_str(args.name, "");
	is_int(parse(0, "--name --all"), 0);
	is_str(args.name, "--all");
	ok(!args.all);
}

static void test_single_dash_long(void)
{
	is_int(parse(0, "-all -name x -preserve-fds=3"), 0);
	ok(args.all);
	is_str(args.name, "x");
	is_int(args.n, 3);
}

static void test_bundle(void)
{
	is_int(parse(0, "-aqn x"), 0);
	ok(args.all);
	ok(args.quiet);
	is_str(args.name, "x");
	is_int(parse(0, "-aqz"), -1);
	is_str(err.msg, "unknown option -aqz");
}

static void test_bool(void)
{
	is_int(parse(0, ""), 0);
	is_int(args.tty, DAVIT_AUTO);
	is_int(parse(0, "-t"), 0);
	is_int(args.tty, DAVIT_TRUE);
	is_int(parse(0, "--tty=false"), 0);
	is_int(args.tty, DAVIT_FALSE);
	is_int(parse(0, "-t=false --all=true -q=0"), 0);
	is_int(args.tty, DAVIT_FALSE);
	ok(args.all);
	ok(!args.quiet);
	is_int(parse(0, "--all=auto"), -1);
	is_str(err.msg, "invalid value \"auto\" for --all: expected true or false");
	/* a word after it is no value */
	is_int(parse(0, "--tty true"), 0);
	is_int(n_pos, 1);
}

static void test_auto(void)
{
	is_int(parse(0, "--rootless"), 0);
	is_int(args.rootless, DAVIT_TRUE);
	is_int(parse(0, "--rootless=false"), 0);
	is_int(args.rootless, DAVIT_FALSE);
	is_int(parse(0, "--rootless true create"), 0);
	is_int(args.rootless, DAVIT_TRUE);
	is_int(n_pos, 1);
	is_int(parse(0, "--rootless create"), 0);
	is_int(args.rootless, DAVIT_TRUE);
	is_str(argv_now[0], "create");
	is_int(parse(0, "--rootless=auto"), 0);
	is_int(args.rootless, DAVIT_AUTO);
	is_int(parse(0, "--rootless=yes"), -1);
}

static void test_list(void)
{
	is_int(parse(0, "-e A=1 --env B=2,3 -eC"), 0);
	is_int((long long)args.env.n, 3);
	is_str(args.env.v[0], "A=1");
	is_str(args.env.v[1], "B=2,3");
	is_str(args.env.v[2], "C");
}

static void test_number(void)
{
	static const char *const bad[] = {"-1", "x", "", "3x", "+3", "0x3", "99999999999", "3.0"};

	is_int(parse(0, "--preserve-fds 12"), 0);
	is_int(args.n, 12);
	for (size_t i = 0; i < COUNT(bad); i++) {
		char line[64];

		snprintf(line, sizeof(line), "--preserve-fds=%s", bad[i]);
		is_int(parse(0, line), -1);
	}
}

static void test_positional(void)
{
	is_int(parse(0, "web --all - 9"), 0);
	ok(args.all);
	is_int(n_pos, 3);
	is_str(argv_now[0], "web");
	is_str(argv_now[1], "-");
	is_str(argv_now[2], "9");
	is_str(argv_now[3], NULL);
	is_int(parse(0, "web -- --all"), 0);
	ok(!args.all);
	is_int(n_pos, 2);
	is_str(argv_now[1], "--all");
}

static void test_payload(void)
{
	is_int(parse(2, "-q web -a sh -n x --all --help -- y"), 0);
	ok(args.quiet);
	ok(args.all);
	is_str(args.name, NULL);
	is_int(n_pos, 8);
	is_str(argv_now[0], "web");
	is_str(argv_now[1], "sh");
	is_str(argv_now[2], "-n");
	is_str(argv_now[4], "--all");
	is_str(argv_now[6], "--");
	is_int(parse(2, "web -- -x"), 0);
	is_int(n_pos, 2);
	is_str(argv_now[1], "-x");
}

static void test_errors(void)
{
	is_int(parse(0, "--nosuch"), -1);
	is_str(err.msg, "unknown option --nosuch");
	is_int(parse(0, "-z"), -1);
	is_str(err.msg, "unknown option -z");
	is_int(parse(0, "--nam x"), -1); /* no abbreviations: they break when options are added */
	is_int(parse(0, "-q --name"), -1);
	is_str(err.msg, "flag needs an argument: --name");
	is_int(parse(0, "-qn"), -1);
	is_str(err.msg, "flag needs an argument: -n");
}

static void test_help(void)
{
	is_int(parse(0, "--help"), 1);
	is_int(parse(0, "web -h --nosuch"), 1);
	is_int(parse(0, "-help"), 1);
	is_int(parse(0, "-n --help"), 0);
}

static void test_size(void)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -2: an error */
	} cases[] = {
		{"0",                    0                  },
		{"1000",                 1000               },
		{"-1",                   -1                 },
		{"1k",                   1024               },
		{"512m",                 536870912          },
		{"512M",                 536870912          },
		{"512mb",                536870912          },
		{"512MiB",               536870912          },
		{"1.5g",                 1610612736         },
		{"0.001k",               1                  },
		{"64b",                  64                 },
		{"9223372036854771712",  9223372036854771712},
		{"9223372036854775807",  INT64_MAX          },
		{"9223372036854775808",  -2                 },
		{"18446744073709551616", -2                 },
		{"8e",                   -2                 },
		{"7e",                   8070450532247928832},
		{"",		     -2                 },
		{"-2",                   -2                 },
		{"m",                    -2                 },
		{"1x",                   -2                 },
		{"1.",                   -2                 },
		{"1mm",                  -2                 },
		{" 1",                   -2                 },
		{"1 m",                  -2                 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t got = -3;
		int ret = size_parse(cases[i].text, &got);

		if (!ok(ret == (cases[i].bytes == -2 ? -1 : 0)) ||
		    (ret == 0 && !is_int(got, cases[i].bytes)))
			printf("# in %s\n", cases[i].text);
	}
}

static void test_duration(void)
{
	static const struct {
		const char *text;
		int64_t ms; /* -2: an error */
	} cases[] = {
		{"5",            5000   },
                {"5s",           5000   },
		{"0",            0      },
                {"500ms",        500    },
		{"1m30s",        90000  },
                {"1.5s",         1500   },
		{"1h",           3600000},
                {"0.25",         250    },
		{"1m30",         -2     },
                {"",             -2     },
		{"s",            -2     },
                {"-5s",          -2     },
		{"5x",           -2     },
                {"99999999999s", -2     },
		{"5 s",          -2     },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t got = -3;
		int ret = duration_parse(cases[i].text, &got);

		if (!ok(ret == (cases[i].ms == -2 ? -1 : 0)) ||
		    (ret == 0 && !is_int(got, cases[i].ms)))
			printf("# in %s\n", cases[i].text);
	}
}

int main(void)
{
	RUN(test_forms);
	RUN(test_single_dash_long);
	RUN(test_bundle);
	RUN(test_bool);
	RUN(test_auto);
	RUN(test_list);
	RUN(test_number);
	RUN(test_positional);
	RUN(test_payload);
	RUN(test_errors);
	RUN(test_help);
	RUN(test_size);
	RUN(test_duration);
	return done();
}
