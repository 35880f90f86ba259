/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

/* A large string gets a mapping of its own at once (malloc(3), M_MMAP_THRESHOLD): what nobody has
 * written there costs no memory, and growing leaves no copies behind on the heap. */
#define STR_LARGE  0x8000
#define STR_MAPPED 0x40000

/* Makes room for n more characters and the NUL. */
static void str_reserve(struct str *b, size_t n)
{
	size_t want, cap = b->cap ? b->cap : 32;

	if (__builtin_add_overflow(b->len, n, &want) || want > SIZE_MAX / 4)
		abort();
	if (want < b->cap)
		return;
	while (cap <= want)
		cap *= 2;
	if (cap >= STR_LARGE && cap < STR_MAPPED)
		cap = STR_MAPPED;
	b->s = xrealloc(b->s, cap, 1);
	b->cap = cap;
}

void str_addn(struct str *b, const char *text, size_t n)
{
	str_reserve(b, n);
	if (n)
		memcpy(b->s + b->len, text, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void str_add(struct str *b, const char *text)
{
	str_addn(b, text, strlen(text));
}

void str_addc(struct str *b, char c)
{
	str_addn(b, &c, 1);
}

void str_addf(struct str *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_addv(b, fmt, ap);
	va_end(ap);
}

void str_addv(struct str *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	/* most texts fit into what is there: format once */
	str_reserve(b, 64);
	va_copy(again, ap);
	n = vsnprintf(b->s + b->len, b->cap - b->len, fmt, ap);
	if (n < 0)
		abort();
	if ((size_t)n >= b->cap - b->len) {
		str_reserve(b, (size_t)n);
		vsnprintf(b->s + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	b->len += (size_t)n;
}

char *str_steal(struct str *b)
{
	char *s = b->s ? b->s : xcalloc(1, 1);

	*b = (struct str){0};
	return s;
}

void str_free(struct str *b)
{
	free(b->s);
	*b = (struct str){0};
}

static void strv_take(struct strv *l, char *text)
{
	if (l->n + 2 > l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->v = xrealloc(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = text;
	l->v[l->n] = NULL;
}

void strv_add(struct strv *l, const char *text)
{
	strv_take(l, xstrdup(text));
}

void strv_addf(struct strv *l, const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;

	va_start(ap, fmt);
	str_addv(&b, fmt, ap);
	va_end(ap);
	strv_take(l, str_steal(&b));
}

void strv_free(struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strv){0};
}

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

int str_to_u64(const char *s, uint64_t *value)
{
	uint64_t sum = 0;

	if (!*s)
		return -1;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*s - '0'), &sum))
			return -1;
	*value = sum;
	return 0;
}

int str_to_i64(const char *s, int64_t *value)
{
	uint64_t magnitude;
	bool negative = *s == '-';

	if (str_to_u64(s + negative, &magnitude) < 0)
		return -1;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return -1;
	*value = (int64_t)(negative ? -magnitude : magnitude);
	return 0;
}
