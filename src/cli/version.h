/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of --version. */
#pragma once

#include <stdio.h>

/* The first line is "davit version X"; engines look for that word, so no other line has it. */
void version_show(FILE *out);
