/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "deny.h"
#include "tap.h"

static struct err err;
static char text[4096];

static void test_fail(void)
{
	struct err e = {0};
	size_t n;

	is_int(fail(&e, ENOENT, "open \"%s\"", "/x"), -1);
	is_int(fail_at(&e, "/mounts/%d", 3), -1);
	is_int(fail_at(&e, "/never"), -1);
	is_int(fail_hint(&e, "do %s", "this"), -1);
	is_int(fail_hint(&e, "do that"), -1);
	is_int(fail_prefix(&e, "mount \"%s\"", "proc"), -1);
	is_str(e.at, "/mounts/3");
	is_str(e.msg, "mount \"proc\": open \"/x\"");
	snprintf(e.step, sizeof(e.step), "mounts");
	n = err_format(&e, text, sizeof(text));
	is_int((long long)n, (long long)strlen(text));
	is_str(text, "mounts: mount \"proc\": open \"/x\": no such file or directory "
	             "(config.json /mounts/3); hint: do this");
	fail(&e, 0, "plain");
	e.step[0] = '\0';
	err_format(&e, text, sizeof(text));
	is_str(text, "plain");
}

static void test_fail_long(void)
{
	struct err e = {0};
	char longer[1000];

	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fail(&e, 0, "%s", longer);
	is_int((long long)strlen(e.msg), sizeof(e.msg) - 1);
	is_str(e.msg + sizeof(e.msg) - 5, "y...");
	fail_prefix(&e, "before");
	is_int((long long)strlen(e.msg), sizeof(e.msg) - 1);
	is_str(e.msg + sizeof(e.msg) - 5, "y...");
	ok(str_starts(e.msg, "before: yyy"));
	fail_at(&e, "/%s", longer);
	fail_hint(&e, "%s", longer);
	is_int((long long)err_format(&e, text, 20), 19);
	is_int((long long)strlen(text), 19);
}

static void test_clean(void)
{
	struct err e = {0};

	fail(&e, 0, "name \"%s\"", "a\nb\033[1mc\x7f");
	err_format(&e, text, sizeof(text));
	is_str(text, "name \"a?b?[1mc?\"");
}

/* Where a child's stderr and log went. */
static char dir[] = "/tmp/davit-test-err-XXXXXX";
static char log_path[64], stderr_path[64];

static const char *content(const char *path)
{
	autofd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(missing)" : text;
}

static bool child_stderr(void)
{
	int fd = open(stderr_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd >= 0 && dup2(fd, 2) == 2;
}

static bool child_log(struct log_config config)
{
	struct err e = {0};

	if (!child_stderr() || log_open(&config, &err) < 0)
		return false;
	log_warn("warned \"%s\"", "w\xff\n");
	log_debug("debugged");
	fail(&e, EPERM, "tab\t \"quoted\" \\ \xc3\xa9 \xc3( \xed\xa0\x80");
	snprintf(e.step, sizeof(e.step), "pivot");
	fail_at(&e, "/root");
	return log_error(&e, "create web") == -1;
}

static bool child_json(void)
{
	return child_log((struct log_config){.target = log_path, .json = true});
}

static bool child_text(void)
{
	char target[80];

	snprintf(target, sizeof(target), "file:%s", log_path);
	return child_log((struct log_config){.target = target, .level = LOG_LEVEL_DEBUG});
}

static bool child_stderr_only(void)
{
	return child_log((struct log_config){.level = LOG_LEVEL_WARNING});
}

/* Cuts what is after the n-th character sequence mark out of s, up to the next quote. */
static void cut_time(char *s, const char *mark)
{
	char *at = strstr(s, mark), *end;

	if (!at)
		return;
	at += strlen(mark);
	end = strchr(at, '"');
	/* 2026-11-21T23:42:02.123456789Z */
	ok(end && end - at == 30 && at[4] == '-' && at[7] == '-' && at[10] == 'T' &&
	   at[13] == ':' && at[16] == ':' && at[19] == '.' && end[-1] == 'Z');
	if (end)
		memmove(at, end, strlen(end) + 1);
}

#define ON_STDERR                                                                                  \
	"davit: create web: pivot: tab? \"quoted\" \\ \xc3\xa9 \xc3( \xed\xa0\x80: "               \
	"operation not permitted (config.json /root)\n"

static void test_log_json(void)
{
	unlink(log_path);
	ok(deny_run(-1, 0, child_json));
	content(log_path);
	cut_time(text, "\"time\":\"");
	is_str(text, "{\"level\":\"error\",\"msg\":\"create web: pivot: tab? \\\"quoted\\\" \\\\ "
	             "\xc3\xa9 \\ufffd( \\ufffd\\ufffd\\ufffd: operation not permitted "
	             "(config.json /root)\",\"time\":\"\",\"step\":\"pivot\",\"path\":\"/root\","
	             "\"errno\":1}\n");
	is_str(content(stderr_path), ON_STDERR);
}

static void test_log_text(void)
{
	unlink(log_path);
	ok(deny_run(-1, 0, child_text));
	content(log_path);
	cut_time(text, "time=\"");
	cut_time(text, "msg=\"warned \\\"w\\ufffd?\\\"\"\ntime=\"");
	cut_time(text, "msg=\"debugged\"\ntime=\"");
	is_str(text, "time=\"\" level=warning msg=\"warned \\\"w\\ufffd?\\\"\"\n"
	             "time=\"\" level=debug msg=\"debugged\"\n"
	             "time=\"\" level=error msg=\"create web: pivot: tab? \\\"quoted\\\" \\\\ "
	             "\xc3\xa9 \\ufffd( \\ufffd\\ufffd\\ufffd: operation not permitted "
	             "(config.json /root)\"\n");
	is_str(content(stderr_path), ON_STDERR);
}

/* The time must be today's; gmtime(3) is the oracle. */
static void test_log_time(void)
{
	char *at;

	unlink(log_path);
	ok(deny_run(-1, 0, child_json));
	content(log_path);
	at = strstr(text, "\"time\":\"");
	ok(at != NULL);
	if (at) {
		struct stat st;
		struct tm tm;
		char day[32];

		stat(log_path, &st);
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:", gmtime_r(&st.st_mtime, &tm));
		at[8 + 17] = '\0';
		is_str(at + 8, day);
	}
}

static void test_log_stderr(void)
{
	ok(deny_run(-1, 0, child_stderr_only));
	is_str(content(stderr_path), "davit: warning: warned \"w\xff?\"\n" ON_STDERR);
}

static void test_log_append(void)
{
	autofd fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ok(write(fd, "old\n", 4) == 4);
	ok(deny_run(-1, 0, child_json));
	ok(str_starts(content(log_path), "old\n{\"level\":\"error\""));
}

static bool child_fifo(void)
{
	struct log_config config = {.target = log_path, .json = true};

	alarm(5);
	return log_open(&config, &err) == -1 && err.errnum == ENXIO;
}

static void test_log_fifo(void)
{
	unlink(log_path);
	is_int(mkfifo(log_path, 0600), 0);
	ok(deny_run(-1, 0, child_fifo));
	unlink(log_path);
}

static bool child_missing(void)
{
	struct log_config config = {.target = "/nonexistent/log"};

	return log_open(&config, &err) == -1 && err.errnum == ENOENT &&
	       strcmp(err.msg, "open log file \"/nonexistent/log\"") == 0;
}

static void test_log_missing(void)
{
	ok(deny_run(-1, 0, child_missing));
}

static char carried[64];

static void carry(enum log_level level, const char *line, void *arg)
{
	snprintf(carried, sizeof(carried), "%d %s %s", (int)level, line, (char *)arg);
}

static bool child_redirect(void)
{
	char arg[] = "arg";
	struct log_config config = {.target = log_path, .level = LOG_LEVEL_WARNING};
	autofd before = fcntl(0, F_DUPFD_CLOEXEC, 3);

	if (log_open(&config, &err) < 0 || fcntl(before + 1, F_GETFD) < 0)
		return false;
	log_redirect(carry, arg);
	log_warn("hello");
	return strcmp(carried, "1 hello arg") == 0 && fcntl(before + 1, F_GETFD) < 0;
}

static void test_log_redirect(void)
{
	unlink(log_path);
	ok(deny_run(-1, 0, child_redirect));
	is_str(content(log_path), "");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(stderr_path, sizeof(stderr_path), "%s/stderr", dir);
	RUN(test_fail);
	RUN(test_fail_long);
	RUN(test_clean);
	RUN(test_log_json);
	RUN(test_log_text);
	RUN(test_log_time);
	RUN(test_log_stderr);
	RUN(test_log_append);
	RUN(test_log_fifo);
	RUN(test_log_missing);
	RUN(test_log_redirect);
	unlink(log_path);
	unlink(stderr_path);
	rmdir(dir);
	return done();
}
