/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/idmap.h"

#include <string.h>

#include "arena.h"
#include "base/err.h"
#include "tap.h"

#define MAP(...)                                                                                   \
	((struct idmap){(const struct oci_id_mapping[]){__VA_ARGS__},                              \
	                sizeof((struct oci_id_mapping[]){__VA_ARGS__}) /                           \
	                        sizeof(struct oci_id_mapping)})

static struct err err;

static int check(const struct idmap *map)
{
	err = (struct err){0};
	return idmap_check(map, "/linux/uidMappings", &err);
}

static void test_check(void)
{
	struct idmap good = MAP({0, 100000, 1000}, {1000, 1000, 1}, {1001, 200000, 64535});
	struct idmap empty = MAP({0, 5, 0});
	struct idmap last = MAP({4294967294U, 0, 1});
	struct idmap over = MAP({0, 0, 1}, {4294967294U, 7, 2});
	struct idmap all = MAP({0, 0, 4294967295U});
	struct idmap inside = MAP({0, 10, 5}, {4, 100, 5});
	struct idmap host = MAP({0, 10, 5}, {100, 14, 1});

	is_int(check(&good), 0);
	is_int(check(&empty), -1);
	is_str(err.at, "/linux/uidMappings/0");
	is_int(check(&last), 0);
	is_int(check(&over), -1);
	is_str(err.at, "/linux/uidMappings/1");
	is_int(check(&all), 0);
	is_int(check(&inside), -1);
	is_int(check(&host), -1);
	is_int(check(&(struct idmap){0}), 0);
}

static void test_lookup(void)
{
	struct idmap map = MAP({0, 100000, 1000}, {1000, 1000, 1}, {4294967290U, 5, 5});
	uint32_t id = 77;

	ok(idmap_to_host(&map, 0, &id) && id == 100000);
	ok(idmap_to_host(&map, 999, &id) && id == 100999);
	ok(idmap_to_host(&map, 1000, &id) && id == 1000);
	ok(!idmap_to_host(&map, 1001, &id));
	ok(idmap_to_host(&map, 4294967294U, &id) && id == 9);
	ok(!idmap_to_host(&map, 4294967295U, &id));
	ok(idmap_to_inside(&map, 100999, &id) && id == 999);
	ok(idmap_to_inside(&map, 5, &id) && id == 4294967290U);
	ok(!idmap_to_inside(&map, 0, &id));
}

static void test_parse(void)
{
	struct arena a = {0};
	struct idmaps own = {MAP({0, 100000, 2}, {2, 200000, 10}), MAP({0, 50, 100})};
	struct idmaps out;

	is_int(idmap_parse("uids=0-1000-1#1-2000-10;gids=0-7-1", NULL, &a, &out, &err), 0);
	is_int((long long)out.uid.n, 2);
	is_int(out.uid.v[1].container_id, 1);
	is_int(out.uid.v[1].host_id, 2000);
	is_int(out.uid.v[1].size, 10);
	is_int(out.gid.v[0].host_id, 7);
	/* A relative range over two ranges of the container is split between them. */
	is_int(idmap_parse("gids=@0-1-3;uids=@5-1-4#20-1-1;", &own, &a, &out, &err), 0);
	is_int((long long)out.uid.n, 3);
	is_int(out.uid.v[0].container_id, 5);
	is_int(out.uid.v[0].host_id, 100001);
	is_int(out.uid.v[0].size, 1);
	is_int(out.uid.v[1].container_id, 6);
	is_int(out.uid.v[1].host_id, 200000);
	is_int(out.uid.v[1].size, 3);
	is_int(out.uid.v[2].host_id, 1);
	is_int(out.gid.v[0].host_id, 51);
	arena_free(&a);
}

static void test_parse_errors(void)
{
	static const char *const bad[] = {"",
	                                  "uids=0-1-1",
	                                  "gids=0-1-1",
	                                  "uids=;gids=0-1-1",
	                                  "uids=0-1;gids=0-1-1",
	                                  "uids=0-1-1-1;gids=0-1-1",
	                                  "uids=0-1-0;gids=0-1-1",
	                                  "uids=0-1-4294967295;gids=0-1-1",
	                                  "uids=0-4294967296-1;gids=0-1-1",
	                                  "uids=-1-1-1;gids=0-1-1",
	                                  "uids=0-1-1#;gids=0-1-1",
	                                  "uids=0-1-1,gids=0-1-1",
	                                  "uids=0-1-1;uids=2-1-1;gids=0-1-1",
	                                  "uids=0-1-1;gids=0-1-1;x",
	                                  "uids=@0-100-1;gids=0-1-1"};
	struct idmaps own = {MAP({0, 100000, 2}), MAP({0, 50, 100})};
	struct arena a = {0};
	struct idmaps out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (!ok(idmap_parse(bad[i], &own, &a, &out, &err) == -1))
			printf("# %s\n", bad[i]);
	is_int(idmap_parse("uids=@0-0-1;gids=0-1-1", NULL, &a, &out, &err), -1);
	arena_free(&a);
}

int main(void)
{
	RUN(test_check);
	RUN(test_lookup);
	RUN(test_parse);
	RUN(test_parse_errors);
	return done();
}
