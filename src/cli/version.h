/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of --version. */
#pragma once

#include <stdio.h>

/* The first line is "davit version X"; engines look for that word, so no other line has it. Called
 * by a link named runc or crun it has that name instead: some tools take no other line. */
void version_show(const char *argv0, FILE *out);
