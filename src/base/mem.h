/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allocation that aborts when memory runs out (a runtime lives for milliseconds), and the
 * attributes that free what a variable owns when it goes out of scope. */
#pragma once

#include <stdlib.h>
#include <string.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

static inline void free_at(void *p)
{
	free(*(void **)p);
}
#define autofree __attribute__((cleanup(free_at)))

/* Gives an owned pointer away: the variable is NULL from there on. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(*(p)) taken_ = *(p);                                                    \
		*(p) = NULL;                                                                       \
		taken_;                                                                            \
	})

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
