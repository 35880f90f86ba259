/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiled programs, kept under the hash of everything they depend on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "commit.h"
#include "kernel/blake2b.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_arch.h"
#include "kernel/seccomp_compile.h"
#include "ocispec.h"

#define CACHE_MAX 64 /* files; then half of them go */
#define COMPILER  2  /* to be raised with every change of what the compiler makes */
#define KEY_SIZE  (2 * BLAKE2B_SIZE + 1)

/* ---- The key. Each value goes in with its length or count, so that no two profiles look alike. */

static void key_number(struct blake2b *s, uint64_t value)
{
	blake2b_add(s, &value, sizeof(value));
}

static void key_text(struct blake2b *s, const char *text)
{
	uint32_t len = text != NULL ? (uint32_t)strlen(text) : UINT32_MAX;

	blake2b_add(s, &len, sizeof(len));
	if (text != NULL)
		blake2b_add(s, text, len);
}

static void key_texts(struct blake2b *s, char *const *texts, size_t n)
{
	key_number(s, n);
	for (size_t i = 0; i < n; i++)
		key_text(s, texts[i]);
}

static void key_syscall(struct blake2b *s, const struct oci_syscall *call)
{
	key_texts(s, call->names, call->n_names);
	key_text(s, call->action);
	key_number(s, call->has_errno_ret ? call->errno_ret : UINT64_MAX);
	key_number(s, call->n_args);
	for (size_t i = 0; i < call->n_args; i++) {
		key_number(s, call->args[i].index);
		key_number(s, call->args[i].value);
		key_number(s, call->args[i].value_two);
		key_text(s, call->args[i].op);
	}
}

/* The listener's path and metadata are no part of the program, but whether they are well-formed is
 * checked on the way to it. */
static void cache_key(const struct oci_seccomp *p, unsigned options, char key[KEY_SIZE])
{
	const struct scmp_version *library = seccomp_version();
	uint8_t digest[BLAKE2B_SIZE];
	struct blake2b s;

	blake2b_begin(&s);
	key_number(&s, COMPILER);
	key_text(&s, DAVIT_COMMIT);
	key_number(&s, library->major);
	key_number(&s, library->minor);
	key_number(&s, library->micro);
	key_number(&s, seccomp_native_arch());
	key_number(&s, options);
	key_text(&s, p->default_action);
	key_number(&s, p->has_default_errno_ret ? p->default_errno_ret : UINT64_MAX);
	key_texts(&s, p->architectures, p->n_architectures);
	key_texts(&s, p->flags, p->n_flags);
	key_number(&s, p->listener_path != NULL);
	key_number(&s, p->listener_metadata != NULL);
	key_number(&s, p->n_syscalls);
	for (size_t i = 0; i < p->n_syscalls; i++)
		key_syscall(&s, &p->syscalls[i]);
	blake2b_end(&s, digest);
	for (int i = 0; i < BLAKE2B_SIZE; i++) {
		key[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		key[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	key[2 * BLAKE2B_SIZE] = '\0';
}

/* ---- The directory */

int seccomp_cache_open(int parent, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY;
	autofd fd = path_try_beneath(parent, name, flags, 0);
	struct err e = {0};
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		autofd made = path_mkdirs(parent, name, 0700, &e);

		if (made >= 0)
			fd = path_try_beneath(parent, name, flags, 0);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		errno = EPERM;
		return -1;
	}
	return take_fd(&fd);
}

/* Removes half of the files when there are many: whose profile is in use is soon there again. */
static void cache_trim(int cache)
{
	int copy = path_try_beneath(cache, ".", O_RDONLY | O_DIRECTORY, 0);
	autodir *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	if (n < CACHE_MAX)
		return;
	rewinddir(dir);
	while (n > CACHE_MAX / 2 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && unlinkat(cache, entry->d_name, 0) == 0)
			n--;
}

/* Under a name of its own first: a reader sees a whole file or none. */
static void cache_store(int cache, const char *key, const struct seccomp_program *p)
{
	char name[32];
	struct err e = {0};

	cache_trim(cache);
	snprintf(name, sizeof(name), "new.%d", (int)getpid());
	if (seccomp_save(cache, name, p, &e) < 0) {
		log_debug("%s, ignoring", e.msg);
		return;
	}
	if (renameat(cache, name, cache, key) < 0)
		unlinkat(cache, name, 0);
}

/* Puts the program in the directory of a container, where it outlives the cache. Files of the
 * cache are never written to, only made and removed, so a link is as good as a copy, and has no
 * page of its own. Not every file system has links, or one more. */
static int program_keep(int cache, const char *key, int dir, const char *name,
                        const struct seccomp_program *p, struct err *e)
{
	if (dir < 0 || (cache >= 0 && linkat(cache, key, dir, name, 0) == 0))
		return 0;
	return seccomp_save(dir, name, p, e);
}

int seccomp_prepare(const struct oci_seccomp *profile, unsigned options, int cache, int dir,
                    const char *name, struct seccomp_program *out, struct err *e)
{
	char key[KEY_SIZE] = "";
	struct err miss = {0};

	if (cache >= 0)
		cache_key(profile, options, key);
	if (cache < 0 || seccomp_restore(cache, key, out, &miss) < 0) {
		if (cache >= 0 && miss.errnum != ENOENT)
			log_debug("seccomp cache: %s, ignoring", miss.msg);
		TRY(seccomp_compile(profile, seccomp_native_arch(), options, out, e));
		if (cache >= 0)
			cache_store(cache, key, out);
	}
	if (program_keep(cache, key, dir, name, out, e) == 0)
		return 0;
	seccomp_free(out);
	return -1;
}
