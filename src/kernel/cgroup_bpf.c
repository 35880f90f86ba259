/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device rules as a BPF_PROG_TYPE_CGROUP_DEVICE program (bpf(2), linux/bpf.h: struct
 * bpf_cgroup_dev_ctx). The program asks the rules from the last to the first; what a rule allows is
 * struck from what was asked, what it denies ends the search. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "kernel/blake2b.h"
#include "kernel/cgroup_device.h"
#include "kernel/cgroup_dir.h"

#ifndef BPF_F_REPLACE
#define BPF_F_REPLACE (1U << 2)
#endif

#define PROGRAM_NAME "davit_dev"
#define RULE_INSNS   12 /* at most, for each rule */
#define PROGS_MAX    64
#define NOTES        ".devices" /* in the state root */
#define NOTES_MAX    64
#define NOTE_SIZE    80

#define INSN(op, d, s, o, i)                                                                       \
	((struct bpf_insn){                                                                        \
		.code = (op), .dst_reg = (d), .src_reg = (s), .off = (short)(o), .imm = (int)(i)})

enum {
	R_TYPE = 2,
	R_LEFT = 3,
	R_MAJOR = 4,
	R_MINOR = 5,
	R_TMP = 6
};

static size_t put_head(struct bpf_insn *p)
{
	size_t n = 0;

	/* access_type: the device type in the low half, BPF_DEVCG_ACC_* in the high one */
	p[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, R_TYPE, 1, 0, 0);
	p[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, R_LEFT, R_TYPE, 0, 0);
	p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	p[n++] = INSN(BPF_ALU64 | BPF_RSH | BPF_K, R_LEFT, 0, 0, 16);
	p[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, R_MAJOR, 1, 4, 0);
	p[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, R_MINOR, 1, 8, 0);
	return n;
}

static size_t put_return(struct bpf_insn *p, int value)
{
	p[0] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value);
	p[1] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

static unsigned kernel_access(unsigned access)
{
	return (access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
	       (access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
	       (access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);
}

static size_t put_rule(struct bpf_insn *p, const struct cgroup_device_rule *r)
{
	unsigned access = kernel_access(r->access);
	size_t skip[4], n_skip = 0, n = 0;

	/* 32-bit comparisons: a number with its high bit set must not be taken as negative */
	if (r->type != 'a') {
		skip[n_skip++] = n;
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, R_TYPE, 0, 0,
		              r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	}
	if (r->major >= 0) {
		skip[n_skip++] = n;
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, R_MAJOR, 0, 0, (unsigned)r->major);
	}
	if (r->minor >= 0) {
		skip[n_skip++] = n;
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, R_MINOR, 0, 0, (unsigned)r->minor);
	}
	if (r->allow) {
		p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, R_LEFT, 0, 0, ~access);
		skip[n_skip++] = n;
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, R_LEFT, 0, 0, 0);
		n += put_return(p + n, 1);
	} else {
		if (access != kernel_access(DEVICE_ALL)) {
			p[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, R_TMP, R_LEFT, 0, 0);
			p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, R_TMP, 0, 0, access);
			skip[n_skip++] = n;
			p[n++] = INSN(BPF_JMP32 | BPF_JEQ | BPF_K, R_TMP, 0, 0, 0);
		}
		n += put_return(p + n, 0);
	}
	for (size_t i = 0; i < n_skip; i++)
		p[skip[i]].off = (short)(n - skip[i] - 1);
	return n;
}

static bool is_total(const struct cgroup_device_rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == DEVICE_ALL;
}

struct bpf_insn *cgroup_device_program(const struct cgroup_device_rules *r, size_t *n)
{
	struct bpf_insn *p;
	int last = 0;

	*n = 0;
	if (cgroup_device_all_allowed(r))
		return NULL;
	p = xcalloc(r->n * RULE_INSNS + 16, sizeof(*p));
	*n = put_head(p);
	for (size_t i = r->n; i-- > 0;) {
		if (is_total(&r->v[i])) { /* rules before it have no effect */
			last = r->v[i].allow;
			break;
		}
		*n += put_rule(p + *n, &r->v[i]);
	}
	*n += put_return(p + *n, last);
	return p;
}

/* ---- the kernel's side */

struct program {
	int fd;
	unsigned id; /* 0: newly loaded, no group has it */
};

static int bpf_call(int cmd, union bpf_attr *attr)
{
	int rc;

	do
		rc = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	while (rc < 0 && errno == EAGAIN); /* a signal arrived during verification */
	return rc;
}

static int program_load(const struct bpf_insn *insns, size_t n)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = (unsigned)n;
	attr.license = (unsigned long)"GPL";
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	return bpf_call(BPF_PROG_LOAD, &attr);
}

static int program_info(int prog, struct bpf_prog_info *info)
{
	union bpf_attr attr;

	memset(info, 0, sizeof(*info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (unsigned)prog;
	attr.info.info_len = sizeof(*info);
	attr.info.info = (unsigned long)info;
	return bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

/* A program by its number: 1 it is davit's, *fd and *info; 0 it is not, or is gone. */
static int program_open(unsigned id, int *fd, struct bpf_prog_info *info)
{
	union bpf_attr attr;
	autofd prog = -1;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	prog = bpf_call(BPF_PROG_GET_FD_BY_ID, &attr);
	if (prog < 0)
		return errno == ENOENT ? 0 : -1;
	if (program_info(prog, info) < 0)
		return -1;
	if (info->type != BPF_PROG_TYPE_CGROUP_DEVICE || !str_eq(info->name, PROGRAM_NAME))
		return 0;
	*fd = take_fd(&prog);
	return 1;
}

/* ---- One program for all containers with the same rules. Each of its own would take 7 KiB of the
 * kernel's memory, and the time to check and translate it. The kernel keeps a program as long as a
 * group has it; the note in the state root only tells where it is. */

struct note {
	char name[16]; /* of the symbolic link; programs that meet in one take turns */
	char key[33];  /* names the instructions */
};

static void note_make(const struct bpf_insn *insns, size_t n, struct note *note)
{
	uint8_t digest[BLAKE2B_SIZE];
	struct blake2b s;

	blake2b_begin(&s);
	blake2b_add(&s, insns, n * sizeof(*insns));
	blake2b_end(&s, digest);
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(note->key + 2 * i, 3, "%02x", digest[i]);
	(void)snprintf(note->name, sizeof(note->name), NOTES "/%02x", digest[16] % NOTES_MAX);
}

static void note_text(const struct note *note, const struct bpf_prog_info *info,
                      char text[NOTE_SIZE])
{
	unsigned long long tag;

	_Static_assert(sizeof(tag) == sizeof(info->tag), "a tag has 8 bytes");
	memcpy(&tag, info->tag, sizeof(tag));
	(void)snprintf(text, NOTE_SIZE, "%u %s %llx", info->id, note->key, tag);
}

/* The program that the note tells of; false if it is gone. Its number may be another's by now, but
 * not the tag, which is the kernel's own hash of the instructions. */
static bool note_read(int root, const struct note *note, struct program *prog)
{
	struct bpf_prog_info info;
	char text[NOTE_SIZE], now[NOTE_SIZE];
	ssize_t len = readlinkat(root, note->name, text, sizeof(text) - 1);
	autofd fd = -1;

	if (len < 0)
		return false;
	text[len] = '\0';
	if (program_open((unsigned)strtoul(text, NULL, 10), &fd, &info) != 1)
		return false;
	note_text(note, &info, now);
	if (!str_eq(text, now))
		return false;
	*prog = (struct program){.fd = take_fd(&fd), .id = info.id};
	return true;
}

/* A note that cannot be left costs the next container a program of its own, and so does the moment
 * without one here: a note under another name first would outlive a davit that is killed. */
static void note_write(int root, const struct note *note, int prog)
{
	struct err ignored = {0};
	struct bpf_prog_info info;
	char text[NOTE_SIZE];
	autofd dir = path_mkdirs(root, NOTES, 0700, &ignored);

	if (dir < 0 || program_info(prog, &info) < 0)
		return;
	note_text(note, &info, text);
	(void)unlinkat(root, note->name, 0);
	(void)path_symlink(text, dir, note->name + sizeof(NOTES), &ignored);
}

static int program_get(int root, const struct bpf_insn *insns, size_t n, struct program *prog)
{
	struct note note;

	if (root >= 0) {
		note_make(insns, n, &note);
		if (note_read(root, &note, prog))
			return 0;
	}
	prog->fd = program_load(insns, n);
	if (prog->fd >= 0 && root >= 0)
		note_write(root, &note, prog->fd);
	return prog->fd < 0 ? -1 : 0;
}

/* ---- The group's side */

struct programs {
	unsigned n, ids[PROGS_MAX];
};

static int group_programs(int group, struct programs *have)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned)group;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (unsigned long)have->ids;
	attr.query.prog_cnt = PROGS_MAX;
	if (bpf_call(BPF_PROG_QUERY, &attr) < 0)
		return -1;
	have->n = attr.query.prog_cnt < PROGS_MAX ? attr.query.prog_cnt : PROGS_MAX;
	return 0;
}

static bool group_has(int group, unsigned id)
{
	struct programs have = {0};

	if (!id || group_programs(group, &have) < 0)
		return false;
	while (have.n > 0 && have.ids[have.n - 1] != id)
		have.n--;
	return have.n > 0;
}

/* The program that davit attached to the group before; its fd stays -1 without one. */
static int program_find(int group, struct program *prog)
{
	struct programs have = {0};
	struct bpf_prog_info info;
	int rc = group_programs(group, &have);

	for (unsigned i = 0; i < have.n && !rc; i++) {
		rc = program_open(have.ids[i], &prog->fd, &info);
		prog->id = have.ids[i];
	}
	return rc < 0 ? -1 : 0;
}

static int program_attach(int group, int prog, int old)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)group;
	attr.attach_bpf_fd = (unsigned)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (unsigned)old;
	}
	return bpf_call(BPF_PROG_ATTACH, &attr);
}

static int program_detach(int group, int prog)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)group;
	attr.attach_bpf_fd = (unsigned)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return bpf_call(BPF_PROG_DETACH, &attr);
}

/* Linux before 5.6 cannot replace: the new one is attached first, so that no moment is without. No
 * group takes a program twice, and one that was there before may have it from another container. */
static int program_replace(int group, const struct program *prog, const struct program *old)
{
	if (prog->id && prog->id == old->id)
		return 0;
	if (program_attach(group, prog->fd, old->fd) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	if (!group_has(group, prog->id)) {
		errno = EINVAL;
		if (old->fd < 0 || program_attach(group, prog->fd, -1) < 0)
			return -1;
	}
	return old->fd < 0 ? 0 : program_detach(group, old->fd);
}

static int bpf_fail(int errnum, const struct cgroup_dir *d, const char *what, struct err *e)
{
	fail(e, errnum, "%s the device program of cgroup \"%s\"", what, d->path);
	if (errnum == EPERM)
		(void)fail_hint(e,
		                "CAP_BPF or CAP_SYS_ADMIN is needed in the initial user namespace");
	if (errnum == ENOSYS || errnum == EINVAL)
		(void)fail_hint(e, "the kernel needs CONFIG_CGROUP_BPF");
	return fail_at(e, "/linux/resources/devices");
}

static int rules_attach(struct cgroup_dir *d, const struct cgroup_device_rules *r, bool update,
                        int root, struct program *prog, struct program *old, struct err *e)
{
	autofree struct bpf_insn *insns = NULL;
	autofd group = -1;
	size_t n;

	insns = cgroup_device_program(r, &n);
	if (!insns && !update)
		return 0;
	group = cgroup_dir_open(d, ".", O_RDONLY | O_DIRECTORY);
	if (group < 0)
		return fail(e, errno, "open cgroup \"%s\"", d->path);
	if (update && program_find(group, old) < 0)
		return bpf_fail(errno, d, "look for", e);
	if (!insns) {
		if (old->fd >= 0 && program_detach(group, old->fd) < 0)
			return bpf_fail(errno, d, "detach", e);
		return 0;
	}
	if (program_get(root, insns, n, prog) < 0)
		return bpf_fail(errno, d, "load", e);
	if (program_replace(group, prog, old) < 0)
		return bpf_fail(errno, d, "attach", e);
	return 0;
}

int cgroup_bpf_attach(struct cgroup_dir *d, const struct cgroup_device_rules *r, bool update,
                      int root, struct err *e)
{
	struct program prog = {.fd = -1};
	struct program old = {.fd = -1};
	int rc = rules_attach(d, r, update, root, &prog, &old, e);

	fd_close_at(&prog.fd);
	fd_close_at(&old.fd);
	return rc;
}
