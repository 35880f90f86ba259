/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on disk about a container: STATE_ROOT/ID/, mode 0700, with
 *
 *   state.json   the record (record.def): written before the first resource exists, never changed;
 *                two lines, for `state` and `list` read only the first
 *   init         a link whose text is "PID STARTTIME": made in one call once init exists
 *   start        a socket on which a created container's init listens for `start`; its mode tells
 *                whether the container is still being created
 *   seccomp      the compiled filter, for exec
 *   notApplied   lines that came after state.json: what could not be applied (if anything)
 *   exit.json    what is known of the end (exit record)
 *
 * A lock is flock(2) on the directory: it dies with its holder. */
#pragma once

#include <stdbool.h>

#include "arena.h"
#include "base/proc.h"
#include "davit.h"
#include "record.h"

struct err;

#define STATE_LOCK_MS 10000 /* how long to wait for another command that holds the lock */

/* An opened container. container_close() releases everything, the lock too. */
struct container {
	char *id;
	int root;               /* the state root */
	int dir;                /* its directory */
	struct arena arena;     /* owns what rec points to */
	struct rec_record *rec; /* NULL: unmade, or broken */
	bool unmade;            /* no record was written: there is nothing but the directory */
	struct proc_id init;    /* pid 0: none yet */
	bool alive;             /* init runs */
	int pidfd;              /* of init when it is alive, except with STATE_LOOK */
};
#define CONTAINER_NONE                                                                             \
	{                                                                                          \
		.root = -1, .dir = -1, .pidfd = -1                                                 \
	}

/* Letters, digits and _ + . -; at most 255, not beginning with '.' or '-'. */
int state_id_check(const char *id, struct err *e);

/* Opens the state root; with make, makes it (0700). Refuses one that others could write to. */
int state_root_open(const struct davit_context *c, bool make, struct err *e);

/* Makes the directory of a new container and locks it, or takes over one whose creator was killed
 * before it wrote the record; else "container \"ID\" already exists". */
int state_reserve(int root, const char *id, struct err *e);
/* Writes the record; once. */
int state_write(int dir, const struct rec_record *rec, struct err *e);
/* Adds what could not be applied (base/unapplied.h), from note number `from` on, a line each. */
int state_notes_write(int dir, size_t from, struct err *e);
/* Adds those lines to the notes of the record. */
void state_notes_read(struct container *k);
/* Tells who init is; once. */
int state_set_init(int dir, const struct proc_id *init, struct err *e);
/* Removes all files of the directory and the directory. */
int state_remove(int root, const char *id, int dir, struct err *e);

enum {
	STATE_LOCK = 1,   /* take the lock, waiting STATE_LOCK_MS at most */
	STATE_BROKEN = 2, /* an unreadable record is no error: rec is NULL then (delete --force) */
	STATE_LOOK = 4,   /* for who only tells the state: no pidfd */
	STATE_UNMADE = 8, /* no error either: what a creator left that was killed before its
			   * record */
	STATE_HEAD = 16   /* of one that is alive, rec has what the record's first line holds */
};
/* Opens an existing container; "container \"ID\" does not exist" if there is none. On success the
 * caller calls container_close(). */
int container_open(const struct davit_context *c, const char *id, unsigned flags,
                   struct container *out, struct err *e);
/* The same below a state root that is open; k->root stays -1. */
int container_open_in(int root, const char *id, unsigned flags, struct container *out,
                      struct err *e);
void container_close(struct container *k);
#define autocontainer __attribute__((cleanup(container_close))) struct container

/* Writes the pid file: digits only, whole or not at all. */
int pid_file_write(const char *path, pid_t pid, struct err *e);

/* creating, created, running or stopped; paused is the cgroup's to tell (see container.c). */
enum davit_status container_status(const struct container *k);

/* The state object for hooks and seccomp listeners (compact), in arena. */
char *state_oci_json(const struct rec_record *rec, pid_t pid, const char *status, struct arena *a,
                     size_t *len);
/* The object that `state` prints; exit may be NULL. */
char *state_full_json(const struct rec_record *rec, pid_t pid, const char *status,
                      const struct rec_exit *exit, bool pretty, struct arena *a);

/* Connects to the start socket of a created container: the descriptor, or -1 with errno
 * (ENOENT, ECONNREFUSED: it has been started). */
int state_start_connect(int dir);
/* The mode of the socket once the container is created; bind(2) sets no such bit. */
#define START_PUBLISHED (S_ISVTX | 0600)
/* Makes the socket on which init waits for `start`, and later publishes it: its mode turns
 * "creating" into "created". */
int state_start_listen(int dir, struct err *e);
int state_start_publish(int dir, struct err *e);
/* Takes the socket away: the container has been started. */
void state_start_remove(int dir);
