/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readiness (sd_notify(3)) of a payload whose caller set NOTIFY_SOCKET: the container gets a
 * private directory of the state, mounted at NOTIFY_DIR, with a socket of its own; only READY=1
 * is passed on, with the payload's pid as MAINPID, so that a container cannot speak for its
 * caller. */
#pragma once

#include <sys/types.h>

#include "arena.h"
#include "davit.h"
#include "ocispec.h"

struct err;

#define NOTIFY_DIR "/run/notify"
#define NOTIFY_ENV "NOTIFY_SOCKET=" NOTIFY_DIR "/notify.sock"

/* The caller's socket, or NULL. */
const char *notify_socket(void);

/* Adds the mount of the directory to the configuration. */
int notify_plan(const struct davit_context *c, const char *id, struct oci_config *config,
                struct arena *a, struct err *e);

/* Makes the directory in the container's state directory. */
int notify_prepare(int dir, struct err *e);

/* Binds the container's socket there: create makes the directory, start or run listens. Returns a
 * descriptor; -1 with errnum ENOENT if the container has no such directory. */
int notify_bind(int dir, struct err *e);

/* Takes what has come: 1 the payload is ready and the caller has been told, 0 not yet, -1 error. */
int notify_step(int sock, pid_t pid, struct err *e);

/* Waits until the payload is ready or ends. */
int notify_wait(int sock, pid_t pid, int pidfd, struct err *e);
