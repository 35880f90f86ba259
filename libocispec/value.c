/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "value.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "schema.h"

struct range {
	uint64_t max;
	uint64_t min; /* its magnitude */
	const char *text;
};

static const struct range ranges[] = {
	[OCI_T_INT] = {INT32_MAX,  1ULL << 31, "-2147483648 to 2147483647"                  },
	[OCI_T_I64] = {INT64_MAX,  1ULL << 63, "-9223372036854775808 to 9223372036854775807"},
	[OCI_T_U16] = {UINT16_MAX, 0,          "0 to 65535"                                 },
	[OCI_T_U32] = {UINT32_MAX, 0,          "0 to 4294967295"                            },
	[OCI_T_U64] = {UINT64_MAX, 0,          "0 to 18446744073709551615"                  },
};

enum number {
	NUMBER_FITS,
	NUMBER_TOO_BIG,
	NUMBER_NOT_WHOLE
};

/* The magnitude is in *V. */
static enum number number_parse(const char *s, size_t n, uint64_t *v)
{
	enum number result = NUMBER_FITS;

	*v = 0;
	for (size_t i = *s == '-'; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return NUMBER_NOT_WHOLE;
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(s[i] - '0'), v))
			result = NUMBER_TOO_BIG;
	}
	return result;
}

int value_read_number(const struct oci_field *field, const char *s, size_t n, void *out, char *why,
                      size_t size)
{
	const struct range *range = &ranges[field->type];
	bool negative = *s == '-';
	int shown = n > 40 ? 40 : (int)n;
	uint64_t v;
	enum number result = number_parse(s, n, &v);

	if (result == NUMBER_NOT_WHOLE)
		return snprintf(why, size, "expected a whole number, not %.*s", shown, s), -1;
	if (result == NUMBER_TOO_BIG || v > (negative ? range->min : range->max) ||
	    (negative && !range->min))
		return snprintf(why, size, "%.*s is not in the range %s", shown, s, range->text),
		       -1;
	if ((field->rules & OCI_R_POSITIVE) && (negative || v == 0))
		return snprintf(why, size, "must be greater than 0"), -1;
	if ((field->rules & OCI_R_NATURAL) && negative && v != 0)
		return snprintf(why, size, "must not be negative"), -1;
	if (negative)
		v = -v;
	if (field->type == OCI_T_U16)
		*(uint16_t *)out = (uint16_t)v;
	else if (field->type == OCI_T_INT)
		*(int *)out = (int)(int64_t)v;
	else if (field->type == OCI_T_U32)
		*(uint32_t *)out = (uint32_t)v;
	else
		*(uint64_t *)out = v; /* an int64_t may be accessed as its unsigned type */
	return 0;
}

/* [1-9][0-9]*[KMG]B */
static bool text_is_pagesize(const char *s, size_t n)
{
	if (n < 3 || s[0] == '0' || s[n - 1] != 'B' || !memchr("KMG", s[n - 2], 3))
		return false;
	for (size_t i = 0; i < n - 2; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static bool text_is_cpulist(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!memchr("0123456789, -", s[i], 13))
			return false;
	return true;
}

const char *value_check_string(const struct oci_field *field, const char *s, size_t n)
{
	unsigned rules = field->rules;

	if ((rules & OCI_R_NONEMPTY) && field->shape == OCI_S_ONE && n == 0)
		return "must not be empty";
	if ((rules & OCI_R_ABSOLUTE) && (n == 0 || s[0] != '/'))
		return "must be an absolute path";
	if ((rules & OCI_R_PAGESIZE) && !text_is_pagesize(s, n))
		return "must be a page size such as \"2MB\"";
	if ((rules & OCI_R_CPULIST) && !text_is_cpulist(s, n))
		return "must be a list such as \"0-3,7\"";
	return NULL;
}
