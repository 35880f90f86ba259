/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libocispec/arena.c */
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "tap.h"

static bool is_aligned(const void *p)
{
	return (uintptr_t)p % _Alignof(max_align_t) == 0;
}

static void test_alloc(void)
{
	struct arena a = {.next = NULL};
	char *last = NULL;

	ok(arena_alloc(&a, 0) != NULL);
	for (size_t size = 1; size < 3000; size += 7) {
		char *p = arena_alloc(&a, size);

		ok(is_aligned(p) && p != last);
		memset(p, 0xaa, size);
		last = p;
	}
	for (size_t i = 0; i < 10; i++) {
		char *p = arena_zalloc(&a, 1000);
		size_t zeroes = 0;

		while (zeroes < 1000 && !p[zeroes])
			zeroes++;
		is_int(zeroes, 1000);
	}
	arena_free(&a);
	ok(!a.chunks && !a.next);
	arena_free(&a);
}

static void test_big(void)
{
	struct arena a = {.next = NULL};
	char *small = arena_strdup(&a, "small");
	char *big = arena_alloc(&a, 1 << 20);

	memset(big, 1, 1 << 20);
	is_str(small, "small");
	is_str(arena_strdup(&a, "after"), "after");
	arena_free(&a);
}

static void test_text(void)
{
	struct arena a = {.next = NULL};
	char *first = arena_strdup(&a, "one"), *second = arena_strndup(&a, "twofold", 3);

	ok(second == first + 4); /* packed */
	is_str(first, "one");
	is_str(second, "two");
	is_str(arena_strndup(&a, "short", 100), "short");
	is_str(arena_strndup(&a, "", 0), "");
	ok(arena_strdup(&a, NULL) == NULL);
	ok(arena_strndup(&a, NULL, 3) == NULL);
	ok(is_aligned(arena_alloc(&a, 1)));
	is_str(arena_printf(&a, "%d/%s", 42, "x"), "42/x");
	is_int(strlen(arena_printf(&a, "%100000d", 1)), 100000);
	is_str(arena_printf(&a, "%s", ""), "");
	is_int(*(int *)arena_memdup(&a, &(int){7}, sizeof(int)), 7);
	arena_free(&a);
}

/* The text ends exactly at the end of the chunk, or one byte behind it. */
static void test_text_at_the_end(void)
{
	for (size_t room = 0; room < 12; room++) {
		char buf[12];
		struct arena a, b;

		arena_init(&a, buf, room);
		is_str(arena_strdup(&a, "12345"), "12345");
		ok((a.chunks == NULL) == (room >= 6));
		arena_init(&b, buf, room);
		is_str(arena_printf(&b, "%d", 12345), "12345");
		ok((b.chunks == NULL) == (room >= 6));
		arena_free(&a);
		arena_free(&b);
	}
}

static void test_first_buffer(void)
{
	_Alignas(max_align_t) char buf[64];
	struct arena a;

	arena_init(&a, buf, sizeof(buf));
	ok(arena_alloc(&a, 64) == buf);
	ok(!a.chunks);
	ok((char *)arena_alloc(&a, 1) != buf + 64);
	ok(a.chunks != NULL);
	arena_free(&a);
}

static void test_grow(void)
{
	struct arena a = {.next = NULL};
	char *p = arena_grow(&a, NULL, 0, 4), *q;

	memcpy(p, "abc", 4);
	ok(arena_grow(&a, p, 4, 1000) == p); /* the newest block: in place */
	(void)arena_alloc(&a, 1);
	q = arena_grow(&a, p, 1000, 2000);
	ok(q != p);
	is_str(q, "abc");
	q = arena_grow(&a, q, 2000, 100000); /* beyond the chunk */
	is_str(q, "abc");
	memset(q, 0, 100000);
	arena_free(&a);
}

static void test_rewind(void)
{
	char buf[128];
	struct arena a, mark;
	char *kept;

	arena_init(&a, buf, sizeof(buf));
	kept = arena_strdup(&a, "kept");
	mark = a;
	for (int i = 0; i < 1000; i++)
		memset(arena_alloc(&a, 500), i, 500);
	ok(a.chunks != NULL);
	arena_rewind(&a, &mark);
	ok(!a.chunks && a.next == mark.next);
	(void)arena_alloc(&a, 100000);
	mark = a;
	(void)arena_alloc(&a, 100000);
	arena_rewind(&a, &mark);
	ok(a.chunks == mark.chunks);
	is_str(kept, "kept");
	arena_free(&a);
}

static int status_of(void (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void overflow_product(void)
{
	struct arena a = {.next = NULL};

	(void)arena_array(&a, SIZE_MAX / 2, 3);
}

static void overflow_header(void)
{
	struct arena a = {.next = NULL};

	(void)arena_alloc(&a, SIZE_MAX - 4);
}

static void test_overflow_aborts(void)
{
	ok(WIFSIGNALED(status_of(overflow_product)));
	ok(WIFSIGNALED(status_of(overflow_header)));
}

int main(void)
{
	RUN(test_alloc);
	RUN(test_big);
	RUN(test_text);
	RUN(test_text_at_the_end);
	RUN(test_first_buffer);
	RUN(test_grow);
	RUN(test_rewind);
	RUN(test_overflow_aborts);
	return done();
}
