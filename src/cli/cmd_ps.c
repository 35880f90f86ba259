/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes of a container: the lines of the host's ps(1) that are about them, or, where there
 * is no such program, a table of our own. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/opts.h"
#include "davit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PS_TIMEOUT_MS 10000
#define PS_OUTPUT_MAX (64 << 20)

struct ps_args {
	const char *format;
};

static const struct opt ps_opts[] = {
	{"format", 'f', OPT_STR, offsetof(struct ps_args, format), "FORMAT", "table or json"},
	OPT_END,
};

static bool pids_contain(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static void ps_json(const pid_t *pids, size_t n)
{
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", (int)pids[i]);
	puts("]");
}

/* argv[0] with the arguments of the command line, or the name of the process in brackets. */
static void ps_command(pid_t pid)
{
	struct err e;
	size_t len = 0;
	autofree char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	autofree char *text = file_read(AT_FDCWD, path, PS_OUTPUT_MAX, &len, &e);

	while (text && len && !text[len - 1])
		len--;
	for (size_t i = 0; text && i < len; i++)
		putchar(text[i] == 0 ? ' ' : iscntrl((unsigned char)text[i]) ? '?' : text[i]);
	if (!text || !len) {
		autofree char *comm_path = xasprintf("/proc/%d/comm", (int)pid);
		autofree char *comm = file_read(AT_FDCWD, comm_path, 64, &len, &e);

		if (comm)
			printf("[%.*s]", (int)strcspn(comm, "\n"), comm);
	}
	putchar('\n');
}

static void ps_table(const pid_t *pids, size_t n)
{
	puts("       PID STATE CMD");
	for (size_t i = 0; i < n; i++) {
		uint64_t start;
		char state;

		if (proc_stat(pids[i], &state, &start) < 0)
			continue; /* it has ended */
		printf("%10d %-5c ", (int)pids[i], state);
		ps_command(pids[i]);
	}
}

static const char *ps_program(void)
{
	static const char *const paths[] = {"/usr/bin/ps", "/bin/ps"};

	for (size_t i = 0; i < COUNT(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Runs ps with the caller's options; returns its output. */
static char *ps_output(const char *program, char **options, struct err *e)
{
	char *env[] = {(char[]){"LC_ALL=C"}, (char[]){"COLUMNS=32767"}, NULL};
	autofd out = memfd_create("ps", MFD_CLOEXEC);
	autostrv argv = {0};
	struct proc_run run = {.path = program,
	                       .envp = env,
	                       .out_fd = out,
	                       .err_fd = -1,
	                       .timeout_ms = PS_TIMEOUT_MS};
	size_t len;
	int status;

	if (out < 0) {
		fail(e, errno, "make a file for the output of \"%s\"", program);
		return NULL;
	}
	strv_add(&argv, program);
	if (!options[0])
		strv_add(&argv, "-ef");
	for (; *options; options++)
		strv_add(&argv, *options);
	run.argv = argv.v;
	if (proc_run(&run, &status, e) < 0)
		return NULL;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fail(e, 0, "\"%s\" failed with %s %d", program,
		     WIFEXITED(status) ? "status" : "signal",
		     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		return NULL;
	}
	if (lseek(out, 0, SEEK_SET) < 0) {
		fail(e, errno, "read the output of \"%s\"", program);
		return NULL;
	}
	return fd_read_all(out, PS_OUTPUT_MAX, &len, e);
}

/* The word with this number in the line, or NULL; *len is its length. */
static const char *word_at(const char *line, size_t number, size_t *len)
{
	for (;;) {
		line += strspn(line, " \t");
		*len = strcspn(line, " \t");
		if (!*len)
			return NULL;
		if (!number--)
			return line;
		line += *len;
	}
}

/* Where the pids are: the number of the column, and the offset of its end, where they end too. */
static int pid_column(const char *title, size_t *column, size_t *right, struct err *e)
{
	const char *word;
	size_t len;

	for (*column = 0; (word = word_at(title, *column, &len)); ++*column) {
		if (len != 3 || memcmp(word, "PID", 3) != 0)
			continue;
		*right = (size_t)(word - title) + len;
		return 0;
	}
	return fail(e, 0, "the output of ps has no PID column");
}

/* Counting words goes wrong behind a column that holds blanks, such as a command; the place goes
 * wrong behind a value that is too wide. */
static long line_pid(const char *line, size_t column, size_t right)
{
	size_t start = right, len;
	const char *word;

	if (strlen(line) >= right && strchr(" \t", line[right])) {
		while (start && isdigit((unsigned char)line[start - 1]))
			start--;
		if (start < right && (!start || line[start - 1] == ' '))
			return strtol(line + start, NULL, 10);
	}
	word = word_at(line, column, &len);
	return word ? strtol(word, NULL, 10) : 0;
}

/* Prints the title and the lines whose PID is in the list. */
static int ps_filter(char *text, const pid_t *pids, size_t n, struct err *e)
{
	char *rest = text, *line = strsep(&rest, "\n");
	size_t column, right = 0;

	TRY(pid_column(line, &column, &right, e));
	puts(line);
	while ((line = strsep(&rest, "\n")))
		if (pids_contain(pids, n, line_pid(line, column, right)))
			puts(line);
	return 0;
}

static int ps_run(struct call *c, struct err *e)
{
	const struct ps_args *a = c->args;
	bool json = str_eq(a->format, "json");
	autofree pid_t *pids = NULL;
	autofree char *text = NULL;
	const char *program;
	size_t n = 0;

	if (a->format && !json && !str_eq(a->format, "table"))
		return fail(e, 0, "invalid value \"%s\" for --format: expected table or json",
		            a->format);
	TRY(davit_ps(c->ctx, c->pos[0], &pids, &n, e));
	if (json) {
		ps_json(pids, n);
		return 0;
	}
	program = ps_program();
	if (!program) {
		ps_table(pids, n);
		return 0;
	}
	text = ps_output(program, c->pos + 1, e);
	if (!text)
		return -1;
	return ps_filter(text, pids, n, e);
}

const struct command cmd_ps = {
	.name = "ps",
	.synopsis = "ID [PS-OPTION...]",
	.help = "show the processes of a container",
	.opts = ps_opts,
	.args_size = sizeof(struct ps_args),
	.min = 1,
	.last = 1,
	.flags = CMD_WAITS,
	.run = ps_run,
};
