/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges and stores the scalars of a row. */
#pragma once

#include <stddef.h>

struct oci_field;

/*
 * Stores the JSON number S (N > 0 bytes) at OUT as the integer type of FIELD.
 * Returns 0; -1 with the reason in WHY if it is no whole number, out of range,
 * or breaks a rule.
 */
int value_read_number(const struct oci_field *field, const char *s, size_t n, void *out, char *why,
                      size_t size);

/* NULL, or the rule of FIELD that the string S breaks. */
const char *value_check_string(const struct oci_field *field, const char *s, size_t n);
