/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A growing string, and a growing vector of strings. Both start as {0}. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	char *s; /* NULL while empty, else NUL-terminated */
	size_t len, cap;
};

void str_add(struct str *b, const char *text);
void str_addn(struct str *b, const char *text, size_t n);
void str_addc(struct str *b, char c);
void str_addf(struct str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_addv(struct str *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Gives the text away (never NULL; the caller frees it); the string is empty afterwards. */
char *str_steal(struct str *b);
void str_free(struct str *b);
#define autostr __attribute__((cleanup(str_free))) struct str

struct strv {
	char **v; /* NULL-terminated once something was added */
	size_t n, cap;
};

void strv_add(struct strv *l, const char *text); /* copies */
void strv_addf(struct strv *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_free(struct strv *l);
#define autostrv __attribute__((cleanup(strv_free))) struct strv

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
/* The whole of s is a decimal number without sign or leading blank; 0 or -1 (no err: callers name
 * the object). */
int str_to_u64(const char *s, uint64_t *value);
int str_to_i64(const char *s, int64_t *value); /* the same with an optional leading '-' */
