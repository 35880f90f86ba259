/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With malloc's own header a little under 32 KiB: eight pages. */
#define CHUNK_SIZE 32704

struct arena_chunk {
	struct arena_chunk *older;
	_Alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, void *buf, size_t size)
{
	*a = (struct arena){.next = buf, .end = (char *)buf + size};
}

void arena_rewind(struct arena *a, const struct arena *mark)
{
	while (a->chunks != mark->chunks) {
		struct arena_chunk *chunk = a->chunks;

		a->chunks = chunk->older;
		free(chunk);
	}
	*a = *mark;
}

void arena_free(struct arena *a)
{
	arena_rewind(a, &(struct arena){.next = NULL});
}

static size_t arena_padding(const struct arena *a)
{
	return -(uintptr_t)a->next % _Alignof(max_align_t);
}

static void arena_add_chunk(struct arena *a, size_t size)
{
	size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
	struct arena_chunk *chunk;

	if (room > SIZE_MAX - sizeof(*chunk))
		abort();
	chunk = malloc(sizeof(*chunk) + room);
	if (!chunk)
		abort();
	chunk->older = a->chunks;
	*a = (struct arena){.next = chunk->data, .end = chunk->data + room, .chunks = chunk};
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t padding = arena_padding(a);
	size_t room = (size_t)(a->end - a->next);
	void *p;

	if (!a->next || padding > room || size > room - padding) {
		arena_add_chunk(a, size);
		padding = 0;
	}
	p = a->next + padding;
	a->next += padding + size;
	return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		abort();
	return arena_zalloc(a, total);
}

void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size)
{
	void *copy;

	if (p && (char *)p + old_size == a->next && new_size >= old_size &&
	    new_size - old_size <= (size_t)(a->end - a->next)) {
		a->next += new_size - old_size;
		return p;
	}
	copy = arena_alloc(a, new_size);
	if (p)
		memcpy(copy, p, old_size < new_size ? old_size : new_size);
	return copy;
}

void *arena_memdup(struct arena *a, const void *p, size_t size)
{
	void *copy = arena_alloc(a, size);

	return size ? memcpy(copy, p, size) : copy;
}

/* Strings are packed without padding. */
static char *arena_copy_text(struct arena *a, const char *s, size_t n)
{
	char *copy;

	if (n >= (size_t)(a->end - a->next))
		arena_add_chunk(a, n + 1);
	copy = a->next;
	a->next += n + 1;
	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	return s ? arena_copy_text(a, s, strnlen(s, n)) : NULL;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_copy_text(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	size_t room = (size_t)(a->end - a->next);
	va_list again;
	char *out;
	int n;

	va_copy(again, ap);
	n = vsnprintf(a->next, room, fmt, again);
	va_end(again);
	if (n < 0)
		abort();
	if ((size_t)n >= room) {
		arena_add_chunk(a, (size_t)n + 1);
		(void)vsnprintf(a->next, (size_t)n + 1, fmt, ap); /* the same length again */
	}
	out = a->next;
	a->next += (size_t)n + 1;
	return out;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *out;

	va_start(ap, fmt);
	out = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return out;
}
