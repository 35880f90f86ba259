/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The six kinds of hooks (config.md, "POSIX-platform Hooks"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ocispec.h"

struct err;

struct hooks_run {
	const char *kind; /* the property's name: "createRuntime" */
	const struct oci_hook *hooks;
	size_t n;
	const char *state; /* JSON for their stdin */
	size_t state_len;
	const struct oci_map *annotations; /* run.oci.hooks.stdout and .stderr */
	const char *cwd;                   /* NULL: the caller's */
	int stop_fd; /* > 0: when it becomes readable, a hook that runs is killed, and has failed */
	bool tied;   /* a hook that runs is killed when the caller ends */
};

/* Runs them in order, each with exactly its own environment, stdin the state, its own process group
 * (killed as a whole at the timeout). Stops at the first failure, naming hook, exit status or
 * signal, and the end of its stderr. */
int hooks_run(const struct hooks_run *h, struct err *e);

/* As hooks_run, but a failure is a warning and the next hook follows (poststop). */
void hooks_run_all(const struct hooks_run *h);
