/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Global options, the table of commands, exit statuses. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/str.h"
#include "base/timing.h"
#include "cli/opts.h"
#include "cli/version.h"
#include "davit.h"
#include "kernel/exe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

struct globals {
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *on_unsupported;
	bool debug, systemd_cgroup, timings, version;
	enum davit_tristate rootless;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct globals, member), metavar, help                \
	}
static const struct opt global_opts[] = {
	ROW(OPT_STR, "root", 0, root, "DIR", "where the state of containers is kept"),
	ROW(OPT_STR, "log", 0, log, "FILE",
            "append log lines to FILE, or to journald:ID or syslog:ID"),
	ROW(OPT_STR, "log-format", 0, log_format, "FORMAT", "text or json"),
	ROW(OPT_STR, "log-level", 0, log_level, "LEVEL", "error, warning or debug"),
	ROW(OPT_FLAG, "debug", 0, debug, NULL, "the same as --log-level=debug"),
	ROW(OPT_FLAG, "systemd-cgroup", 0, systemd_cgroup, NULL,
            "the same as --cgroup-manager=systemd"),
	ROW(OPT_STR, "cgroup-manager", 0, cgroup_manager, "NAME", "cgroupfs, systemd or disabled"),
	ROW(OPT_AUTO, "rootless", 0, rootless, "[=true|false|auto]",
            "whether to do without what only root may do"),
	ROW(OPT_STR, "on-unsupported", 0, on_unsupported, "WHAT",
            "error or warn: what to do about what this host cannot apply"),
	ROW(OPT_FLAG, "timings", 0, timings, NULL, "log how long each step took"),
	ROW(OPT_FLAG, "version", 'v', version, NULL, "show the version"),
	ROW(OPT_FLAG, NULL, 'V', version, NULL, NULL),
	OPT_END,
};
#undef ROW

static const struct command *const commands[] = {
	&cmd_create, &cmd_start,      &cmd_run,     &cmd_state, &cmd_list,     &cmd_ps,
	&cmd_exec,   &cmd_kill,       &cmd_delete,  &cmd_pause, &cmd_resume,   &cmd_update,
	&cmd_events, &cmd_checkpoint, &cmd_restore, &cmd_spec,  &cmd_features,
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (str_eq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void help_show(FILE *out)
{
	fputs("usage: davit [GLOBAL OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n\n"
	      "Runs containers as the OCI runtime specification " DAVIT_SPEC_VERSION
	      " describes.\n\n"
	      "commands:\n",
	      out);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(out, "  %-10s  %s\n", commands[i]->name, commands[i]->help);
	fputs("\nglobal options:\n", out);
	opts_rows(global_opts, out);
	fputs("\n\"davit COMMAND --help\" tells more about each; so does davit(1).\n", out);
}

static int word_unknown(const char *option, const char *text, struct err *e)
{
	return fail(e, 0, "invalid value \"%s\" for %s", text, option);
}

#define LEVEL(text, level)                                                                         \
	{                                                                                          \
		text, LOG_LEVEL_##level                                                            \
	}
static int log_level_parse(const char *text, enum log_level *level)
{
	/* What runc calls info is not told; the other words are those of further runtimes. */
	static const struct name levels[] = {
		LEVEL("error", ERROR),     LEVEL("fatal", ERROR),  LEVEL("panic", ERROR),
		LEVEL("warning", WARNING), LEVEL("warn", WARNING), LEVEL("info", WARNING),
		LEVEL("debug", DEBUG),     LEVEL("trace", DEBUG),
	};

	for (size_t i = 0; i < COUNT(levels); i++) {
		if (str_eq(levels[i].name, text)) {
			*level = (enum log_level)levels[i].value;
			return 0;
		}
	}
	return -1;
}

static int globals_log(const struct globals *g, const struct command *cmd, struct err *e)
{
	struct log_config log = {.target = g->log, .level = LOG_LEVEL_WARNING};
	unsigned quiet = g->log ? CMD_QUIET | CMD_QUIET_LOG : CMD_QUIET;

	/* One engine parses the whole log as a single object, another takes stderr for output. */
	if (cmd && (cmd->flags & quiet) && !str_eq(g->on_unsupported, "warn"))
		log.level = LOG_LEVEL_ERROR;
	if (g->log_level && log_level_parse(g->log_level, &log.level) < 0)
		return word_unknown("--log-level", g->log_level, e);
	if (g->debug)
		log.level = LOG_LEVEL_DEBUG;
	else if (g->timings && log.level < LOG_LEVEL_INFO)
		log.level = LOG_LEVEL_INFO;
	if (str_eq(g->log_format, "json"))
		log.json = true;
	else if (g->log_format && !str_eq(g->log_format, "text"))
		return word_unknown("--log-format", g->log_format, e);
	return log_open(&log, e);
}

static int globals_context(const struct globals *g, struct davit_context *ctx, struct err *e)
{
	const char *manager = g->cgroup_manager;

	ctx->root = g->root;
	ctx->rootless = g->rootless;
	ctx->timings = g->timings;
	if (manager ? str_eq(manager, "systemd") : g->systemd_cgroup)
		ctx->manager = DAVIT_SYSTEMD;
	else if (str_eq(manager, "disabled"))
		ctx->manager = DAVIT_CGROUP_DISABLED;
	else if (manager && !str_eq(manager, "cgroupfs"))
		return word_unknown("--cgroup-manager", manager, e);
	if (str_eq(g->on_unsupported, "warn"))
		ctx->unsupported_warn = true;
	else if (g->on_unsupported && !str_eq(g->on_unsupported, "error"))
		return word_unknown("--on-unsupported", g->on_unsupported, e);
	return 0;
}

/* A caller may leave anything behind: an ignored SIGCHLD, blocked signals, a strange umask. That
 * one is kept for the payload alone. */
static int process_sanitise(unsigned flags, struct davit_context *ctx, struct err *e)
{
	sigset_t none;

	if (!(flags & (CMD_WAITS | CMD_ENTERS)))
		return 0;
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return fail(e, errno, "reset signals");
	ctx->umask = umask(022);
	return 0;
}

/* How many descriptors from 3 on the payload gets: those of socket activation, then
 * --preserve-fds. */
static int fds_kept(const struct command *cmd, const void *args, struct err *e)
{
	unsigned listen, preserve = 0;

	for (const struct opt *o = cmd->opts; o->name || o->letter; o++)
		if (o->name && str_eq(o->name, "preserve-fds"))
			preserve = *(const unsigned *)((const char *)args + o->offset);
	return fd_passed(preserve, &listen, e);
}

/* Before davit opens anything: what the caller leaked must not reach the container
 * (CVE-2024-21626), nor be held by an init that waits for `start`. */
static int enter_prepare(const struct call *call, struct err *e)
{
	int kept = fds_kept(call->cmd, call->args, e);

	TRY(kept);
	TRY(fd_close_from(3 + kept, e));
	return exe_protect(call->argv, e);
}

static int command_check(const struct command *cmd, int n, char **pos, struct err *e)
{
	if (n < cmd->min)
		fail(e, 0, "an argument is missing");
	else if (cmd->max >= cmd->min && n > cmd->max)
		fail(e, 0, "unexpected argument \"%s\"", pos[cmd->max]);
	else
		return 0;
	return fail_hint(e, "the arguments of davit %s are: %s", cmd->name,
	                 *cmd->synopsis ? cmd->synopsis : "none");
}

static int output_finish(struct err *e)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return fail(e, errno, "write to standard output");
	return 0;
}

static int command_call(struct call *call, struct davit_context *ctx, bool help, struct err *e)
{
	const struct command *cmd = call->cmd;

	if (cmd->missing)
		return fail(e, ENOTSUP, "%s", cmd->missing);
	if (help) {
		opts_help(cmd, stdout);
		return output_finish(e);
	}
	TRY(command_check(cmd, call->n_pos, call->pos, e));
	TRY(process_sanitise(cmd->flags, ctx, e));
	TRY(cmd->run(call, e));
	return output_finish(e);
}

/* argv[0] is the command's name. */
static int command_run(const struct globals *g, const struct command *cmd, char **argv,
                       char *const *line, int *status, struct err *e)
{
	_Alignas(max_align_t) char args[CMD_ARGS_MAX] = {0};
	struct davit_context ctx = {0};
	struct call call = {.ctx = &ctx, .cmd = cmd, .args = args, .pos = argv, .argv = line};
	struct err log_error = {0};
	int ret = opts_parse(cmd->opts, args, argv, cmd->last, &call.n_pos, e);

	if (ret == 0 && (cmd->flags & CMD_ENTERS) && !cmd->missing)
		ret = enter_prepare(&call, e);
	if (globals_log(g, cmd, &log_error) < 0) {
		*e = log_error;
		ret = -1;
	}
	timing_begin(g->timings);
	timing_entry("entry");
	if (ret >= 0 && globals_context(g, &ctx, e) < 0)
		ret = -1;
	if (ret >= 0)
		ret = command_call(&call, &ctx, ret > 0, e);
	timing_part("end");
	timing_total();
	opts_free(cmd->opts, args);
	*status = call.status;
	return ret;
}

/* name: NULL for help about davit itself. */
static int help_run(const char *name, struct err *e)
{
	const struct command *cmd = name ? command_find(name) : NULL;

	if (name && !cmd)
		return fail(e, 0, "unknown command \"%s\"", name);
	if (cmd && cmd->missing)
		return fail(e, ENOTSUP, "%s", cmd->missing);
	if (cmd)
		opts_help(cmd, stdout);
	else
		help_show(stdout);
	return output_finish(e);
}

/* *who: what the error line starts with. */
static int davit_main(char **argv, char *const *line, const char **who, int *failed, int *status,
                      struct err *e)
{
	struct globals g = {0};
	const struct command *cmd;
	int n, help = opts_parse(global_opts, &g, argv, 1, &n, e);

	TRY(help);
	if (help) {
		help_show(stdout);
		return output_finish(e);
	}
	if (n && str_eq(argv[0], "help"))
		return help_run(argv[1], e);
	if (g.version) {
		version_show(line[0], stdout);
		return output_finish(e);
	}
	cmd = n ? command_find(argv[0]) : NULL;
	/* else the log would be opened where the output of a command goes */
	TRY(fd_fill_stdio(cmd && (cmd->flags & (CMD_WAITS | CMD_ENTERS)), e));
	if (!cmd)
		TRY(globals_log(&g, NULL, e));
	if (!n)
		return fail(e, 0, "no command given; \"davit --help\" lists them");
	if (!cmd)
		return fail(e, 0, "unknown command \"%s\"; \"davit --help\" lists them", argv[0]);
	*who = cmd->name;
	*failed = cmd->failed ? cmd->failed : 1;
	return command_run(&g, cmd, argv, line, status, e);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *who = NULL;
	int status = 0, failed = 1;
	autofree char **line = NULL;

	if (argc < 1)
		return 1;
	/* parsing moves the arguments about; exe_protect needs them as they were */
	line = xcalloc((size_t)argc + 1, sizeof *line);
	memcpy(line, argv, (size_t)argc * sizeof *line);
	if (getauxval(AT_SECURE)) {
		fail(&e, 0,
		     "davit must not be set-user-ID, set-group-ID or have file capabilities");
		log_error(&e, NULL);
		return 1;
	}
	if (davit_main(argv, line, &who, &failed, &status, &e) < 0) {
		log_error(&e, who);
		return failed;
	}
	return status;
}
