/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/timing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "base/err.h"

bool timing_is_on;

/* Of this process, in microseconds: when the part began, what of it was waiting, all parts. */
static struct {
	int64_t begun, waited;
	struct timing sum;
} now;

static int64_t clock_us(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void timing_begin(bool wanted)
{
	if (!wanted || timing_is_on)
		return;
	timing_is_on = true;
	timing_fork();
}

void timing_stop(void)
{
	timing_is_on = false;
}

void timing_fork(void)
{
	if (!timing_is_on)
		return;
	now.begun = clock_us(CLOCK_MONOTONIC);
	now.waited = 0;
	now.sum = (struct timing){0};
}

void timing_take(struct timing *row)
{
	int64_t t;

	if (!timing_is_on)
		return;
	t = clock_us(CLOCK_MONOTONIC);
	*row = (struct timing){t - now.begun - now.waited, now.waited, true};
	now.sum.work += row->work;
	now.sum.waited += row->waited;
	now.begun = t;
	now.waited = 0;
}

void timing_show(const char *name, const char *who, const struct timing *row)
{
	char line[160];

	snprintf(line, sizeof(line), "%-22s %-7s %8" PRId64 " us, waited %8" PRId64 " us", name,
	         who, row->work, row->waited);
	log_line(LOG_LEVEL_INFO, line);
}

void timing_part(const char *name)
{
	struct timing row;

	if (!timing_is_on)
		return;
	timing_take(&row);
	timing_show(name, "runtime", &row);
}

void timing_entry(const char *name)
{
	struct timing row = {.work = 0};

	if (!timing_is_on)
		return;
	row.work = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	now.sum.work += row.work;
	timing_show(name, "runtime", &row);
}

void timing_total(void)
{
	if (timing_is_on)
		timing_show("total", "runtime", &now.sum);
}

int timing_share(struct timing **rows, size_t n, struct err *e)
{
	void *page;

	*rows = NULL;
	if (!timing_is_on)
		return 0;
	page = mmap(NULL, n * sizeof(**rows), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	            -1, 0);
	if (page == MAP_FAILED)
		return fail(e, errno, "map a page for timings");
	*rows = page;
	return 0;
}

void timing_unshare(struct timing **rows, size_t n)
{
	if (*rows != NULL)
		munmap(*rows, n * sizeof(**rows));
	*rows = NULL;
}

int64_t timing_wait_begin(void)
{
	return timing_is_on ? clock_us(CLOCK_MONOTONIC) : 0;
}

void timing_wait_end(int64_t begun)
{
	if (timing_is_on)
		now.waited += clock_us(CLOCK_MONOTONIC) - begun;
}
