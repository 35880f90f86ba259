/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs as bytes and as files. */
#include "kernel/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/sys.h"
#include "kernel/blake2b.h"
#include "kernel/seccomp_compile.h"

/* Only read by the machine that wrote it, so the fields are in its byte order. */
struct header {
	char magic[8];
	uint32_t n, flags, notify, zero;
	uint8_t digest[BLAKE2B_SIZE]; /* of the fields above and the instructions */
};
static const char magic[8] = "dvtbpf2";

void seccomp_free(struct seccomp_program *p)
{
	free(p->insns);
	*p = (struct seccomp_program){0};
}

static void header_digest(const struct header *h, const void *insns, uint8_t digest[BLAKE2B_SIZE])
{
	struct blake2b s;

	blake2b_begin(&s);
	blake2b_add(&s, h, offsetof(struct header, digest));
	blake2b_add(&s, insns, h->n * sizeof(struct sock_filter));
	blake2b_end(&s, digest);
}

void *seccomp_to_bytes(const struct seccomp_program *p, size_t *len)
{
	size_t size = p->n * sizeof(struct sock_filter);
	struct header h = {.n = (uint32_t)p->n, .flags = p->flags, .notify = p->notify};
	char *data = xmalloc(sizeof(h) + size);

	memcpy(h.magic, magic, sizeof(magic));
	header_digest(&h, p->insns, h.digest);
	memcpy(data, &h, sizeof(h));
	memcpy(data + sizeof(h), p->insns, size);
	*len = sizeof(h) + size;
	return data;
}

int seccomp_from_bytes(const void *data, size_t len, struct seccomp_program *out, struct err *e)
{
	uint8_t digest[BLAKE2B_SIZE];
	struct header h;

	*out = (struct seccomp_program){0};
	if (len < sizeof(h))
		return fail(e, 0, "stored filter is cut short");
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(magic)) != 0)
		return fail(e, 0, "stored filter has an unknown format");
	if (h.n == 0 || h.n > BPF_MAXINSNS || len != sizeof(h) + h.n * sizeof(struct sock_filter))
		return fail(e, 0, "stored filter has a wrong length");
	header_digest(&h, (const char *)data + sizeof(h), digest);
	if (memcmp(digest, h.digest, sizeof(digest)) != 0)
		return fail(e, 0, "stored filter has a wrong checksum");
	out->insns = xmalloc(h.n * sizeof(struct sock_filter));
	memcpy(out->insns, (const char *)data + sizeof(h), h.n * sizeof(struct sock_filter));
	out->n = h.n;
	out->flags = h.flags;
	out->notify = h.notify != 0;
	return 0;
}

int seccomp_save(int dir, const char *name, const struct seccomp_program *p, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL;
	size_t len;
	autofree void *data = seccomp_to_bytes(p, &len);
	autofd fd = path_try_beneath(dir, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(dir, name, 0) == 0)
		fd = path_try_beneath(dir, name, flags, 0600);
	if (fd >= 0 && fd_write_all(fd, data, len) == 0)
		return 0;
	int errnum = errno;

	if (fd >= 0)
		unlinkat(dir, name, 0);
	return fail(e, errnum, "save the seccomp filter as \"%s\"", name);
}

/* What another user could have made or can change is not ours. It may have many names: the cache's
 * and those of the containers that have this filter. */
static bool file_is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 022) == 0 &&
	       st->st_size > 0 && st->st_size <= SECCOMP_BYTES_MAX;
}

int seccomp_restore(int dir, const char *name, struct seccomp_program *out, struct err *e)
{
	char data[SECCOMP_BYTES_MAX + 1];
	struct stat st;
	size_t len = 0;
	ssize_t n;

	*out = (struct seccomp_program){0};
	autofd fd = path_try_beneath(dir, name, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(e, errno, "open the seccomp filter \"%s\"", name);
	if (!file_is_ours(&st))
		return fail(e, 0, "the seccomp filter \"%s\" is not a private file of ours", name);
	while (len < (size_t)st.st_size && (n = read(fd, data + len, sizeof(data) - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(e, errno, "read the seccomp filter \"%s\"", name);
		len += (size_t)n;
	}
	if (seccomp_from_bytes(data, len, out, e) < 0)
		return fail_prefix(e, "\"%s\"", name);
	return 0;
}

/* ---- Raw filters given as text */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict RFC 4648: padded, no blanks. Returns the length, or -1. */
static ssize_t base64_decode(const char *text, uint8_t *out, size_t max)
{
	size_t len = strlen(text), n = 0, pad = 0;

	if (len % 4 != 0 || len / 4 * 3 > max + 2)
		return -1;
	while (pad < 2 && len > 0 && text[len - 1] == '=') {
		len--;
		pad++;
	}
	for (size_t i = 0; i < len; i += 4) {
		uint32_t group = 0;
		size_t have = len - i < 4 ? len - i : 4;

		for (size_t k = 0; k < 4; k++) {
			int digit = k < have ? base64_digit(text[i + k]) : 0;

			if (digit < 0)
				return -1;
			group = group << 6 | (uint32_t)digit;
		}
		for (size_t k = 0; k + 1 < have; k++) {
			if (n == max)
				return -1;
			out[n++] = (uint8_t)(group >> (16 - 8 * k));
		}
	}
	return (ssize_t)n;
}

int seccomp_decode(const char *base64, const struct oci_seccomp *profile,
                   struct seccomp_program *out, struct err *e)
{
	size_t max = BPF_MAXINSNS * sizeof(struct sock_filter);
	autofree uint8_t *data = xmalloc(max);
	ssize_t n = base64_decode(base64, data, max);

	*out = (struct seccomp_program){0};
	if (n <= 0 || (size_t)n % sizeof(struct sock_filter) != 0)
		return fail(e, 0, "the raw seccomp filter is not base64 of 1 ... %d instructions",
		            BPF_MAXINSNS);
	if (profile != NULL)
		TRY(seccomp_flags(profile, &out->flags, e));
	out->n = (size_t)n / sizeof(struct sock_filter);
	out->insns = (struct sock_filter *)take_ptr(&data);
	for (size_t i = 0; i < out->n; i++)
		out->notify |=
			out->insns[i].code == (BPF_RET | BPF_K) &&
			(out->insns[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;
	return 0;
}
