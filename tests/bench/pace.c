/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pace: runs a command again and again and prints what each run cost.
 *
 *   pace [-u UID] [-w WARM] [-n RUNS] COMMAND [ARG...]   "WALL_NS CPU_US MAXRSS_KIB STATUS" a run
 *   pace -p LANES -t MS COMMAND [ARG...]                 "RUNS FAILED WALL_NS" once
 *
 * "@" in an argument becomes the number of the run. The first form runs WARM runs untimed before,
 * all as user UID. The second keeps LANES commands running until MS milliseconds have passed and
 * waits for the last. CPU and peak memory are those of the command and of all its children that
 * were waited for.
 *
 * It is static and small because execve(2) counts the peak memory of the caller of vfork(2) as the
 * child's: with Python as the caller every command would seem to need 10 MiB. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	ARGS_MAX = 64,
	ARG_SIZE = 512
};

static long number;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Replaces "@" in the arguments. */
static char **arguments(char **argv)
{
	static char text[ARGS_MAX][ARG_SIZE], *result[ARGS_MAX];
	int i;

	number++;
	for (i = 0; argv[i] && i < ARGS_MAX - 1; i++) {
		const char *at = strchr(argv[i], '@');
		result[i] = argv[i];
		if (!at)
			continue;
		snprintf(text[i], ARG_SIZE, "%.*s%ld%s", (int)(at - argv[i]), argv[i], number,
		         at + 1);
		result[i] = text[i];
	}
	result[i] = NULL;
	return result;
}

static pid_t launch(char **argv)
{
	char **args = arguments(argv);
	pid_t pid = vfork();

	if (pid < 0) {
		perror("vfork");
		exit(125);
	}
	if (pid == 0) {
		execvp(args[0], args);
		_exit(errno == ENOENT ? 127 : 126);
	}
	return pid;
}

static int status_number(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void sequence(char **argv, int warm, int runs)
{
	for (int i = -warm; i < runs; i++) {
		struct rusage use;
		int status;
		long long begin = now();
		pid_t pid = launch(argv);

		while (wait4(pid, &status, 0, &use) < 0 && errno == EINTR)
			;
		long long wall = now() - begin;
		long cpu = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000L +
		           use.ru_utime.tv_usec + use.ru_stime.tv_usec;
		if (i >= 0)
			dprintf(3, "%lld %ld %ld %d\n", wall, cpu, use.ru_maxrss,
			        status_number(status));
	}
}

static void lanes(char **argv, int width, long long budget)
{
	long done = 0, failed = 0;
	int live = 0, status;
	long long begin = now();

	do {
		while (live < width && now() - begin < budget) {
			launch(argv);
			live++;
		}
		if (live && waitpid(-1, &status, 0) > 0) {
			live--;
			done++;
			failed += status_number(status) != 0;
		}
	} while (live || now() - begin < budget);
	dprintf(3, "%ld %ld %lld\n", done, failed, now() - begin);
}

int main(int argc, char **argv)
{
	int option, warm = 0, runs = 1, width = 0, ms = 1000;
	uid_t user = 0;

	while ((option = getopt(argc, argv, "+u:w:n:p:t:")) > 0) {
		if (option == 'w')
			warm = (int)strtol(optarg, NULL, 10);
		else if (option == 'u')
			user = (uid_t)strtol(optarg, NULL, 10);
		else if (option == 'n')
			runs = (int)strtol(optarg, NULL, 10);
		else if (option == 'p')
			width = (int)strtol(optarg, NULL, 10);
		else if (option == 't')
			ms = (int)strtol(optarg, NULL, 10);
		else
			return 125;
	}
	if (!argv[optind])
		return 125;
	/* Results go where stdout was; the commands write to nowhere. */
	if (dup2(1, 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0)
		return 125;
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	if (null > 3)
		close(null);
	if (user && (setgroups(0, NULL) < 0 || setgid(user) < 0 || setuid(user) < 0))
		return 125;
	number = (long)getpid() * 10000;
	if (width)
		lanes(argv + optind, width, ms * 1000000LL);
	else
		sequence(argv + optind, warm, runs);
	return 0;
}
