/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/version.h"

#include "commit.h"
#include "davit.h"

#include <seccomp.h>

void version_show(FILE *out)
{
	fprintf(out,
	        "davit version %s\n"
	        "commit: %s\n"
	        "spec: %s\n"
	        "libseccomp: %d.%d.%d\n",
	        PACKAGE_VERSION, DAVIT_COMMIT, DAVIT_SPEC_VERSION, SCMP_VER_MAJOR, SCMP_VER_MINOR,
	        SCMP_VER_MICRO);
}
