/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weights of version 1 in terms of version 2. The curve for cpu goes through (2, 1), (1024, 100)
 *and (262144, 10000), so that the default of one version is the default of the other:
 *
 *	weight = ceil(10 ^ ((l*l + 125*l) / 612 - 7/34)),  l = log2(shares)
 *
 * The arithmetic is done here: a static program need not carry libm for one number. */
#include "kernel/cgroup_resources.h"

#define LN2  0.69314718055994530942
#define LN10 2.30258509299404568402

static double log_2(double x)
{
	double t, term, sum = 0;
	int whole = 0;

	for (; x >= 2; x /= 2)
		whole++;
	t = (x - 1) / (x + 1);
	term = t;
	for (int i = 1; i < 60; i += 2, term *= t * t)
		sum += term / i;
	return whole + 2 * sum / LN2;
}

static double power_10(double x)
{
	double sum = 1, term = 1, scale = 1;

	for (; x >= 1; x -= 1)
		scale *= 10;
	for (int i = 1; i < 40; i++) {
		term *= x * LN10 / i;
		sum += term;
	}
	return scale * sum;
}

uint64_t cgroup_cpu_weight(uint64_t shares)
{
	double l, weight;
	uint64_t whole;

	if (!shares)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log_2((double)shares);
	weight = power_10((l * l + 125 * l) / 612 - 7.0 / 34);
	whole = (uint64_t)weight;
	/* No other shares than 1024 come within 1e-6 of a whole number. */
	return weight - (double)whole > 1e-7 ? whole + 1 : whole;
}

uint64_t cgroup_io_weight(uint64_t weight)
{
	return 1 + (weight - 10) * 9999 / 990;
}
