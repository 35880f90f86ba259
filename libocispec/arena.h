/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is freed in one call. An arena of zeroes is empty and ready for use. Blocks are
 * aligned for any type. Running out of memory aborts, so nothing here returns NULL.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	char *next; /* free bytes of the newest chunk */
	char *end;
	struct arena_chunk *chunks;
};

/* Starts with BUF, which the caller owns and must outlive the arena; may avoid any allocation. */
void arena_init(struct arena *a, void *buf, size_t size);
/* Frees every chunk; the arena is empty again, and without its first buffer. */
void arena_free(struct arena *a);
/* Gives back all that was allocated since MARK was copied from *A. */
void arena_rewind(struct arena *a, const struct arena *mark);

void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
/* N elements of SIZE bytes, zeroed; aborts if the product overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
/*
 * P has OLD_SIZE bytes (NULL and 0 at first); grows in place when P is the newest block, else
 * copies.
 */
void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size);
void *arena_memdup(struct arena *a, const void *p, size_t size);

/* NULL yields NULL. */
char *arena_strdup(struct arena *a, const char *s);
/* At most N bytes of S, which need not be terminated; the copy is. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* arena_new(a, struct oci_state): a zeroed object. */
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
