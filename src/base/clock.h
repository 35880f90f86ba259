/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The time of day as text. Not by the C library: its gmtime(3) reads the time zone files first. */
#pragma once

#include <stddef.h>

#define CLOCK_TEXT 36

/* Writes the current time, UTC, as RFC 3339 with nanoseconds into text (CLOCK_TEXT bytes). */
char *clock_rfc3339(char *text, size_t size);
