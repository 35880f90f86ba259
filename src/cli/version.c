/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/version.h"

#include "base/str.h"
#include "commit.h"
#include "davit.h"

#include <seccomp.h>
#include <string.h>

void version_show(const char *argv0, FILE *out)
{
	const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

	fprintf(out,
	        "%s version %s\n"
	        "commit: %s\n"
	        "spec: %s\n"
	        "libseccomp: %d.%d.%d\n",
	        str_eq(name, "runc") || str_eq(name, "crun") ? name : "davit", PACKAGE_VERSION,
	        DAVIT_COMMIT, DAVIT_SPEC_VERSION, SCMP_VER_MAJOR, SCMP_VER_MINOR, SCMP_VER_MICRO);
}
