/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the time goes, for --timings. A process ends one part after the other, and each is what has
 * passed since the one before, so that the parts of a process make up its whole. Until it is
 * switched on each of these functions tests one variable and does nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Microseconds: at work, and waiting for another process. */
struct timing {
	int64_t work, waited;
	bool done;
};

extern bool timing_is_on __attribute__((visibility("hidden")));

/* Switches it on, if wanted and not on yet: the first part begins here. */
void timing_begin(bool wanted);
/* Switches it off for good, where even reading the clock may be forbidden. */
void timing_stop(void);
/* Counts the processor time until here, since the process was made, as a part. */
void timing_entry(const char *name);
/* Ends a part and logs it. */
void timing_part(const char *name);
/* Logs the sum of all parts. */
void timing_total(void);

/* For parts that are logged later, by another process: records of a table that both see (NULL when
 * it is off), where the child's first part begins, the end of a part, the line of one. */
int timing_share(struct timing **rows, size_t n, struct err *e);
void timing_unshare(struct timing **rows, size_t n);
void timing_fork(void);
void timing_take(struct timing *row);
void timing_show(const char *name, const char *who, const struct timing *row);

/* What passes between them is waiting. */
int64_t timing_wait_begin(void);
void timing_wait_end(int64_t begun);
