/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session keyring: a container must not see the caller's keys. keyrings(7),
 * session-keyring(7). */
#pragma once

struct err;

/* Joins the session keyring called name (made if there is none; init and each exec of a container
 * name the same one) and lets its owner search it. Only a kernel without keyrings (ENOSYS) is let
 * pass. Runs in: init and exec's process, inside the user namespace, after lsm_keycreate. */
int keyring_join(const char *name, struct err *e);
