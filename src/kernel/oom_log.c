/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/oom_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"

#define RECORD_MAX  8192    /* the kernel's limit, fields and all */
#define RECORDS_MAX 1000000 /* should somebody write faster than this reads */

/* ---- one record: "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT\n KEY=VALUE\n" */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x2c" is how the log writes what is not plain, and backslashes. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] == 'x' && hex(s[2]) >= 0 && hex(s[3]) >= 0) {
			*out++ = (char)(hex(s[2]) * 16 + hex(s[3]));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The word is cut off the text before it; NULL unless it is there exactly once. */
static char *cut_once(char *text, const char *word)
{
	char *at = strstr(text, word);

	if (!at || strstr(at + 1, word))
		return NULL;
	*at = '\0';
	return at + strlen(word);
}

/* Digits only, and the number that a pid can be. */
static bool pid_parse(const char *text, pid_t *pid)
{
	uint64_t value;

	if (str_to_u64(text, &value) < 0 || value == 0 || value > INT_MAX)
		return false;
	*pid = (pid_t)value;
	return true;
}

/* "PRIORITY,SEQUENCE,MICROSECONDS,": what a program wrote has a facility, in the bits above the
 * level, that is not the kernel's. */
static bool prefix_parse(char *prefix, uint64_t *us)
{
	char *save = NULL, *priority = strtok_r(prefix, ",", &save);
	char *sequence = strtok_r(NULL, ",", &save), *time = strtok_r(NULL, ",", &save);
	uint64_t level;

	return priority && sequence && time && str_to_u64(priority, &level) == 0 && level < 8 &&
	       str_to_u64(time, us) == 0;
}

bool oom_kill_parse(char *text, size_t n, struct oom_kill *k)
{
	char *end = memchr(text, '\n', n), *message, *task, *pid = NULL;

	if (!end)
		return false;
	*end = '\0';
	message = strchr(text, ';');
	if (!message)
		return false;
	*message++ = '\0';
	if (!str_starts(message, "oom-kill:") || !prefix_parse(text, &k->us))
		return false;
	unescape(message);
	k->group = cut_once(message, ",task_memcg=");
	task = k->group ? cut_once((char *)k->group, ",task=") : NULL;
	if (!task || k->group[0] != '/')
		return false;
	/* The program's name comes first, and may be anything: the last one is the kernel's. */
	for (char *next = task; (next = strstr(next, ",pid=")); next++)
		pid = next + strlen(",pid=");
	if (!pid || !strstr(pid, ",uid="))
		return false;
	*strstr(pid, ",uid=") = '\0';
	return pid_parse(pid, &k->pid);
}

/* ---- the log */

static uint64_t clock_us(clockid_t id)
{
	struct timespec t = {0};

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* From when on an entry can be about init. The log's clock stands still while the machine sleeps,
 * and is not disciplined: it may drift by a ten-thousandth. Rather too early than too late. */
static uint64_t log_start(const struct proc_id *init)
{
	uint64_t monotonic = clock_us(CLOCK_MONOTONIC), asleep = clock_us(CLOCK_BOOTTIME);
	uint64_t start = init->start * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK), slack;

	asleep -= asleep > monotonic ? monotonic : asleep;
	slack = asleep + 1000000 + monotonic / 10000;
	return start > slack ? start - slack : 0;
}

static bool is_below(const char *group, const char *top)
{
	size_t n = strlen(top);

	return strncmp(group, top, n) == 0 && (!group[n] || group[n] == '/');
}

void oom_victims_read(const char *group, const struct proc_id *init, struct oom_victims *v)
{
	autofd fd = fd_try_open(AT_FDCWD, "/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	uint64_t since = log_start(init);
	char text[RECORD_MAX + 1];
	struct oom_kill k;

	*v = (struct oom_victims){0};
	if (fd < 0 || str_eq(group, "/"))
		return;
	for (unsigned i = 0; i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, text, RECORD_MAX);

		if (n < 0 && (errno == EPIPE || errno == EINTR)) /* overwritten meanwhile */
			continue;
		if (n <= 0)
			return;
		text[n] = '\0';
		if (!oom_kill_parse(text, (size_t)n, &k) || k.us < since ||
		    !is_below(k.group, group))
			continue;
		v->n++;
		v->init = v->init || k.pid == init->pid;
	}
}
