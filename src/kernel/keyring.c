/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/keyring.h"

#include <errno.h>

#include "base/err.h"
#include "base/sys.h"

/* The permissions a new session keyring has, plus search by its owner: a process that got the
 * owner's uid by setuid(2) after the join possesses nothing yet must find its keys. */
#define KEYRING_PERM                                                                               \
	(0x3f000000UL /* possessor: all */ | 0x00010000UL /* owner: view */ |                      \
	 0x00020000UL /* read */ | 0x00080000UL /* search */ | 0x00100000UL /* link */)

int keyring_join(const char *name, struct err *e)
{
	long ring = sys_keyctl(SYS_KEYCTL_JOIN_SESSION_KEYRING, (unsigned long)name, 0, 0);

	if (ring < 0) {
		if (errno == ENOSYS) {
			log_debug("the kernel has no keyrings, ignoring");
			return 0;
		}
		fail(e, errno, "join session keyring \"%s\"", name);
		if (e->errnum == EDQUOT)
			fail_hint(e, "raise kernel.keys.maxkeys, or run with --no-new-keyring");
		else if (e->errnum == EPERM)
			fail_hint(e,
			          "if an outer sandbox forbids keyctl, run with --no-new-keyring");
		return -1;
	}
	if (sys_keyctl(SYS_KEYCTL_SETPERM, (unsigned long)ring, KEYRING_PERM, 0) < 0)
		/* it has another owner by now, and was set up when it was new */
		log_debug("permissions of session keyring \"%s\" are kept: errno %d", name, errno);
	return 0;
}
