/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libdavit: create and drive OCI containers. The davit program is its first user.
 *
 * Every function returns 0, or -1 with *e filled; one line of text comes from err_format(). The
 * library prints nothing but log lines (see base/err.h), never exits, and keeps no threads and no
 * daemon. It forks, so a caller with threads should call it from a single-threaded helper. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct err;

#define DAVIT_SPEC_VERSION "1.3.0"

enum davit_cgroup_manager {
	DAVIT_CGROUPFS,
	DAVIT_SYSTEMD,
	DAVIT_CGROUP_DISABLED
};

enum davit_tristate {
	DAVIT_AUTO,
	DAVIT_FALSE,
	DAVIT_TRUE
};

/* What holds for every command. */
struct davit_context {
	const char *root; /* state root; NULL: the default of davit_default_root() */
	enum davit_cgroup_manager manager;
	enum davit_tristate rootless;
	bool unsupported_warn; /* what this host cannot apply is a warning, not an error */
	bool timings;          /* log how long each step took: davit(7) */
	unsigned umask; /* the caller's: of a process whose configuration names none; 0: 022 */
	const char *exit_record; /* run, delete: file that gets the exit record; NULL: none */
};

/* /run/davit for real root (whatever XDG_RUNTIME_DIR says), else $XDG_RUNTIME_DIR/davit, else
 * /run/user/UID/davit. Root of a user namespace is real if USER is root. The caller frees. */
char *davit_default_root(void);

/* create, run and restore. Strings stay the caller's. */
struct davit_create_args {
	const char *id;
	const char *bundle;         /* NULL: "." */
	const char *config;         /* NULL: config.json in the bundle */
	const char *console_socket; /* NULL: none */
	const char *pid_file;
	const char *pidfd_socket;
	unsigned preserve_fds; /* descriptors 3 .. 3+N-1, after those of LISTEN_FDS */
	bool no_pivot, no_new_keyring, no_subreaper;
	bool detach, keep; /* run only */
	FILE *plan_only;   /* print the steps there and do nothing */
};

int davit_create(const struct davit_context *c, const struct davit_create_args *a, struct err *e);
/* *status: the exit status for the shell (128+n for signal n); 0 when detached. */
int davit_run(const struct davit_context *c, const struct davit_create_args *a, int *status,
              struct err *e);
int davit_start(const struct davit_context *c, const char *id, struct err *e);

enum {
	DAVIT_KILL_ALL = 1,     /* every process of the container; gone is success */
	DAVIT_DELETE_FORCE = 2, /* kill first; unknown is success */
};
int davit_kill(const struct davit_context *c, const char *id, int sig, unsigned flags,
               struct err *e);
int davit_delete(const struct davit_context *c, const char *id, unsigned flags, struct err *e);

struct davit_exec_args {
	const char *id;
	const char *process; /* file of a process object; NULL: the container's own, changed by: */
	char *const *argv;   /* NULL-terminated; ignored with process */
	const char *cwd, *user, *process_label, *apparmor;
	const char *const *env; /* "NAME=VALUE"; n_env of them */
	size_t n_env;
	const char *const *caps;
	size_t n_caps;
	const char *const *additional_gids;
	size_t n_additional_gids;
	const char *const *cgroup; /* PATH or CONTROLLER[,CONTROLLER]:PATH */
	size_t n_cgroup;
	enum davit_tristate tty, no_new_privs;
	bool detach, ignore_paused;
	const char *console_socket, *pid_file, *pidfd_socket;
	unsigned preserve_fds;
};
/* *status as in davit_run. */
int davit_exec(const struct davit_context *c, const struct davit_exec_args *a, int *status,
               struct err *e);

enum davit_status {
	DAVIT_CREATING,
	DAVIT_CREATED,
	DAVIT_RUNNING,
	DAVIT_PAUSED,
	DAVIT_STOPPED
};
extern const char *const davit_status_names[]; /* "creating" ... */

/* One container's state. That of davit_state() is the caller's: davit_state_free(). */
struct davit_state {
	const char *id, *bundle, *rootfs, *owner;
	const char *created; /* RFC 3339, UTC */
	pid_t pid;           /* 0 when stopped */
	enum davit_status status;
	const char *json; /* of davit_state: the state object of the specification with our extra
	                     * properties */
	const char *json_compact; /* of davit_list with DAVIT_LIST_JSON: the same in one line */
};
int davit_state(const struct davit_context *c, const char *id, struct davit_state *out,
                struct err *e);
void davit_state_free(struct davit_state *s);

/* All containers below the root, sorted by id; unreadable ones are skipped with a warning. */
struct davit_listing;
enum {
	DAVIT_LIST_JSON = 1, /* with json_compact */
	DAVIT_LIST_IDS = 2   /* nothing else is looked at */
};
int davit_list_open(const struct davit_context *c, unsigned flags, struct davit_listing **out,
                    struct err *e);
/* Looks at the next one; false behind the last. The id lasts until the end of the listing, all else
 * until the next look. */
bool davit_list_next(struct davit_listing *l, struct davit_state *out);
void davit_list_close(struct davit_listing *l); /* NULL is none */

/* Pids (in the caller's pid namespace) of all processes of the container; the caller frees. */
int davit_ps(const struct davit_context *c, const char *id, pid_t **pids, size_t *n, struct err *e);

int davit_pause(const struct davit_context *c, const char *id, struct err *e);
int davit_resume(const struct davit_context *c, const char *id, struct err *e);

/* resources: text of a resources object as in /linux/resources of config.json. */
int davit_update(const struct davit_context *c, const char *id, const char *resources,
                 const char *l3_cache_schema, const char *mem_bw_schema, struct err *e);

/* One JSON line on out: {"type":"stats","id":ID,"data":{...}}. */
int davit_stats(const struct davit_context *c, const char *id, FILE *out, struct err *e);
/* Statistics every interval_ms and a line at each OOM, until the container ends. */
int davit_events(const struct davit_context *c, const char *id, int64_t interval_ms, FILE *out,
                 struct err *e);

/* The features document (features.md of the specification) and a template for config.json; the
 * caller frees the text. */
int davit_features(char **json, struct err *e);
int davit_spec(bool rootless, char **json, struct err *e);
