/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/str.h"

#include "base/mem.h"
#include "tap.h"

static void test_add(void)
{
	autostr b = {0};
	char *taken;

	str_add(&b, "");
	is_str(b.s, "");
	str_add(&b, "ab");
	str_addc(&b, 'c');
	str_addn(&b, "defgh", 2);
	str_addf(&b, "-%d-%s", 42, "x");
	is_str(b.s, "abcde-42-x");
	is_int((long long)b.len, 10);
	for (int i = 0; i < 1000; i++)
		str_addf(&b, "%s", "0123456789");
	is_int((long long)b.len, 10010);
	str_addf(&b, "%2000d", 7);
	is_int((long long)b.len, 12010);
	is_int((long long)strlen(b.s), 12010);
	taken = str_steal(&b);
	is_int((long long)strlen(taken), 12010);
	ok(!b.s && !b.len);
	free(taken);
	taken = str_steal(&b);
	is_str(taken, "");
	free(taken);
}

static void test_vector(void)
{
	autostrv l = {0};
	char one[] = "one";

	strv_add(&l, one);
	one[0] = 'x';
	for (int i = 0; i < 100; i++)
		strv_addf(&l, "n%d", i);
	is_int((long long)l.n, 101);
	is_str(l.v[0], "one");
	is_str(l.v[100], "n99");
	ok(l.v[101] == NULL);
}

static void test_compare(void)
{
	ok(str_eq("a", "a") && str_eq(NULL, NULL));
	ok(!str_eq("a", "b") && !str_eq("a", NULL) && !str_eq(NULL, ""));
	ok(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("a", "ab"));
}

static void test_numbers(void)
{
	static const char *const bad[] = {
		"", "-", "+1", " 1", "1 ", "0x1", "1a", "--1", "1-", "1\n", "18446744073709551616"};
	uint64_t u = 0;
	int64_t i = 0;

	ok(str_to_u64("0", &u) == 0 && u == 0);
	ok(str_to_u64("01", &u) == 0 && u == 1);
	ok(str_to_u64("18446744073709551615", &u) == 0 && u == UINT64_MAX);
	is_int(str_to_u64("-1", &u), -1);
	is_int(str_to_u64("99999999999999999999999", &u), -1);
	ok(str_to_i64("-9223372036854775808", &i) == 0 && i == INT64_MIN);
	ok(str_to_i64("9223372036854775807", &i) == 0 && i == INT64_MAX);
	ok(str_to_i64("-0", &i) == 0 && i == 0);
	is_int(str_to_i64("9223372036854775808", &i), -1);
	is_int(str_to_i64("-9223372036854775809", &i), -1);
	for (size_t n = 0; n < COUNT(bad); n++)
		if (!ok(str_to_u64(bad[n], &u) < 0 && str_to_i64(bad[n], &i) < 0))
			printf("# text \"%s\"\n", bad[n]);
	ok(u == UINT64_MAX); /* untouched by failures */
}

static void test_mem(void)
{
	autofree char *copy = xstrdup("text");
	autofree char *part = xstrndup("text", 2);
	autofree char *made = xasprintf("%d-%s", 1, "x");
	char *taken = take_ptr(&copy);

	is_str(taken, "text");
	ok(copy == NULL);
	is_str(part, "te");
	is_str(made, "1-x");
	free(taken);
	free(xmalloc(0));
	free(xcalloc(0, 8));
}

int main(void)
{
	RUN(test_add);
	RUN(test_vector);
	RUN(test_compare);
	RUN(test_numbers);
	RUN(test_mem);
	return done();
}
