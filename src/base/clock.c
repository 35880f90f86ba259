/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

/* Days since 1970-01-01 to a date of the Gregorian calendar; years begin in March here, so that the
 * leap day is the last one. 146097 days are 400 years. */
static void date_of(long long days, int *year, int *month, int *day)
{
	long long era, doe, yoe, doy, mp;

	days += 719468; /* from 0000-03-01 */
	era = days / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

char *clock_rfc3339(char *text, size_t size)
{
	struct timespec t;
	int year, month, day, s;

	clock_gettime(CLOCK_REALTIME, &t);
	date_of(t.tv_sec / 86400, &year, &month, &day);
	s = (int)(t.tv_sec % 86400);
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", year, month, day, s / 3600,
	         s / 60 % 60, s % 60, t.tv_nsec);
	return text;
}
