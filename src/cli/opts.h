/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines as tables: one row an option, one struct a command. Parsing, --help, the shell
 * completion and the check of the man page all come out of these rows.
 *
 * Understood are --name VALUE, --name=VALUE, -n VALUE, -nVALUE, bundled flags (-fq), long names
 * with one dash (-name), and options after positional arguments. "--" ends the options. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct davit_context;
struct err;

enum opt_kind {
	OPT_FLAG, /* bool: --x, --x=false */
	OPT_BOOL, /* enum davit_tristate: --x, --x=false; DAVIT_AUTO while not given */
	OPT_AUTO, /* enum davit_tristate: --x, --x=WORD, --x WORD; true, false, auto */
	OPT_STR,  /* const char *: the last one given wins */
	OPT_LIST, /* struct opt_list: each one given is added */
	OPT_UINT  /* unsigned */
};

struct opt {
	const char *name; /* NULL: only a short name, and not shown by --help */
	char letter;      /* 0: only a long name */
	uint8_t kind;
	uint16_t offset;     /* of the member of the command's struct */
	const char *metavar; /* what --help calls the value; NULL for flags */
	const char *help;    /* NULL: accepted, but not shown */
};
#define OPT_END                                                                                    \
	{                                                                                          \
		NULL, 0, 0, 0, NULL, NULL                                                          \
	}

struct opt_list {
	const char **v;
	size_t n;
};

/* One use of a command. */
struct call {
	const struct davit_context *ctx;
	const struct command *cmd;
	const void *args; /* the struct that cmd->opts describes */
	char **pos;       /* positional arguments, NULL-terminated */
	int n_pos;
	char *const *argv; /* the program's whole command line, as it was */
	int status;        /* exit status when run returned 0 */
};

enum {
	CMD_WAITS = 1,    /* runs programs and waits for them: signals and umask are put in order */
	CMD_ENTERS = 2,   /* also makes processes in containers */
	CMD_QUIET = 4,    /* engines read its stderr or its log: warnings only on request */
	CMD_QUIET_LOG = 8 /* engines read its log, people its stderr */
};

struct command {
	const char *name;
	const char *synopsis; /* positional arguments */
	const char *help;
	const struct opt *opts;
	uint16_t args_size; /* at most CMD_ARGS_MAX */
	uint8_t min, max;   /* number of positional arguments; max 0 with min > 0: no limit */
	uint8_t last;       /* options end at this positional argument; 0: never */
	uint8_t flags;
	uint8_t failed; /* exit status after an error; 0 means 1 */
	int (*run)(struct call *c, struct err *e);
	const char *missing; /* NULL, or why this build lacks it: even --help fails then */
};
#define CMD_ARGS_MAX 512

extern const struct command cmd_checkpoint, cmd_create, cmd_delete, cmd_events, cmd_exec,
	cmd_features, cmd_kill, cmd_list, cmd_pause, cmd_ps, cmd_restore, cmd_resume, cmd_run,
	cmd_spec, cmd_start, cmd_state, cmd_update;

/* Fills args (a zeroed struct) from argv[1..] and moves the positional arguments to argv[0..],
 * NULL-terminated; *n_pos is their number. last as in struct command. Strings in args point into
 * argv. Returns 1 when --help or -h was met, 0, or -1 with e. */
int opts_parse(const struct opt *table, void *args, char **argv, unsigned last, int *n_pos,
               struct err *e);
/* Frees the lists in args. */
void opts_free(const struct opt *table, void *args);

/* The text of --help for one command, or for a table alone. */
void opts_help(const struct command *cmd, FILE *out);
void opts_rows(const struct opt *table, FILE *out);

/* Number with an optional unit: 512m, 1.5g, 64KiB, 1000; powers of 1024. 0 or -1 (no err: callers
 * name the option). -1 stands for "no limit" and is taken as it is. */
int size_parse(const char *text, int64_t *bytes);

/* Time span: 5s, 500ms, 1m30s, or seconds without a unit, in milliseconds. 0 or -1. */
int duration_parse(const char *text, int64_t *ms);
