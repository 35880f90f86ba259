/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The compiler proper: pure, for any architecture (little or big endian), hence testable
 * anywhere.
 *
 * Meaning of a profile, as libseccomp would have it:
 * - The architecture of the kernel is always covered; others only if listed. A call from one that
 *   is not is killed. x32 numbers are killed unless SCMP_ARCH_X32 is listed.
 * - The args of one rule are AND-ed, unless two of them look at the same argument: then each is a
 *   rule of its own, which is what runc and crun make of it. Rules for the same call are OR-ed.
 * - A rule without args covers its call wholly, whatever else is said of it. A rule whose action
 *   is the default one is void.
 * - On architectures with socketcall(2) and ipc(2) rules for their parts cover both ways in.
 *   Where it differs, on purpose:
 * - Rules with args of one call whose actions differ are tried in the order of the profile
 *   (libseccomp sorts them by its own key).
 * - Argument 1 of ioctl(2) is compared as the 32 bits the kernel looks at (CVE-2019-10063): with
 *   the lower half of a value it is to equal, and as a smaller one with a value of more bits.
 * - When the default is ERRNO with EPERM, a call newer than every call the profile names for the
 *   architecture gives ENOSYS, so that programs fall back to older calls instead of failing. runc
 *   does so for every refusing default; here a default that kills, traps, notifies or names
 *   another errno is kept: it was chosen.
 * - Pseudo numbers (calls an architecture does not have) are left out of the program.
 * - Names added to Linux after the installed libseccomp are known by their common number. */
#pragma once

#include <stdint.h>

struct err;
struct oci_seccomp;
struct seccomp_program;

/* native: SCMP_ARCH_* of the kernel that will run the program; options: enum seccomp_options. */
int seccomp_compile(const struct oci_seccomp *profile, uint32_t native, unsigned options,
                    struct seccomp_program *out, struct err *e);

/* The profile's flags as SECCOMP_FILTER_FLAG_* bits. */
int seccomp_flags(const struct oci_seccomp *profile, unsigned *flags, struct err *e);
