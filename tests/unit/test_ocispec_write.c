/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libocispec/write.c, and that reader and writer are each other's inverse for every property. */
#include <stdint.h>
#include <stdlib.h>

#include "arena.h"
#include "ocispec.h"
#include "read.h"
#include "tap.h"
#include "write.h"

#define FULL "tests/fuzz/corpus/config/full.json" /* each property at least once, pretty */

static struct arena arena;
static struct oci_error error;

static char *file_read(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text = arena_alloc(&arena, 1 << 16);

	*len = f ? fread(text, 1, (1 << 16) - 1, f) : 0;
	text[*len] = '\0';
	if (f)
		fclose(f);
	return text;
}

static void test_every_property_round_trip(void)
{
	struct oci_config config, again;
	size_t len, written, compact_len;
	char *text = file_read(FULL, &len), *out, *compact;

	ok(len > 10000);
	is_int(oci_read(&ocispec_schema, OCI_CONFIG, text, len, &arena, &config, &error), 0);
	out = oci_write(&ocispec_schema, OCI_CONFIG, &config, OCI_WRITE_PRETTY | OCI_WRITE_NEWLINE,
	                &arena, &written);
	is_int(written, len);
	is_str(out, text);

	compact = oci_write(&ocispec_schema, OCI_CONFIG, &config, 0, &arena, &compact_len);
	ok(compact_len < len && strlen(compact) == compact_len && !strchr(compact, '\n'));
	is_int(oci_read(&ocispec_schema, OCI_CONFIG, compact, compact_len, &arena, &again, &error),
	       0);
	out = oci_write(&ocispec_schema, OCI_CONFIG, &again, OCI_WRITE_PRETTY | OCI_WRITE_NEWLINE,
	                &arena, NULL);
	is_str(out, text);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

/* So that a new row of the .def file cannot be forgotten in the file of the test above. */
static void test_full_is_full(void)
{
	const struct oci_schema *s = &ocispec_schema;
	size_t len;
	char *text = file_read(FULL, &len);

	for (unsigned o = 0; o <= OCI_CONFIG; o++) {
		for (unsigned i = 0; i < s->objects[o].n; i++) {
			const struct oci_field *f = &s->fields[s->objects[o].first + i];
			char *key = arena_printf(&arena, "\"%s\":", s->names + f->name);

			if (!ok(count(text, key) > 0))
				printf("# %s is not in " FULL "\n", key);
		}
	}
}

/* Every prefix is refused, and so is, or at least does no harm, the text with a byte changed. */
static void test_broken_text(void)
{
	static const char bytes[] = {'"', '\\', '{', ']', ',', '\0', '\x80', '9'};
	struct oci_config config;
	size_t len, n;
	char *text = file_read(FULL, &len), *compact;
	bool all = true;

	ok(oci_read(&ocispec_schema, OCI_CONFIG, text, len, &arena, &config, &error) == 0);
	compact = oci_write(&ocispec_schema, OCI_CONFIG, &config, 0, &arena, &n);
	for (size_t i = 0; i < n; i++) {
		struct arena mark = arena;
		char *part = malloc(i ? i : 1);

		memcpy(part, compact, i);
		if (oci_read(&ocispec_schema, OCI_CONFIG, part, i, &arena, &config, &error) == 0 ||
		    error.line != 1 || error.column > i + 1 || !error.msg[0])
			all = ok(!"a prefix was taken, or the place is beyond it");
		free(part);
		arena_rewind(&arena, &mark);
	}
	for (size_t i = 0; i < n; i++) {
		struct arena mark = arena;
		char old = compact[i];

		compact[i] = bytes[i % sizeof(bytes)];
		(void)oci_read(&ocispec_schema, OCI_CONFIG, compact, n, &arena, &config, &error);
		compact[i] = old;
		arena_rewind(&arena, &mark);
	}
	ok(all);
}

static void test_absent(void)
{
	struct oci_user user = {.uid = 0};
	struct oci_process process = {.cwd = "/", .user = &user};
	struct oci_config config = {.oci_version = "1", .process = &process};

	is_str(oci_write(&ocispec_schema, OCI_CONFIG, &config, 0, &arena, NULL),
	       "{\"ociVersion\":\"1\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\"}}");
	process.has_oom_score_adj = true;
	process.terminal = true;
	is_str(oci_write(&ocispec_schema, OCI_PROCESS, &process, 0, &arena, NULL),
	       "{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/"
	       "\",\"oomScoreAdj\":0}");
	is_str(oci_write(&ocispec_schema, OCI_LINUX, &(struct oci_linux){.n_devices = 0}, 0, &arena,
	                 NULL),
	       "{}");
	is_str(oci_write(&ocispec_schema, OCI_DEVICE_CGROUP,
	                 &(struct oci_device_cgroup){.major = 1}, 0, &arena, NULL),
	       "{\"allow\":false}");
}

static void test_empty(void)
{
	char *none[] = {NULL};
	struct oci_features features = {
		.oci_version_min = "1.0.0",
		.oci_version_max = "1.2.1",
		.hooks = none,
		.annotations = {none, none, 0},
	};

	is_str(oci_write(&ocispec_schema, OCI_FEATURES, &features, 0, &arena, NULL),
	       "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.1\",\"hooks\":[],"
	       "\"annotations\":{}}");
	is_str(oci_write(&ocispec_schema, OCI_FEATURES, &features, OCI_WRITE_PRETTY, &arena, NULL),
	       "{\n  \"ociVersionMin\": \"1.0.0\",\n  \"ociVersionMax\": \"1.2.1\",\n  \"hooks\": "
	       "[],\n"
	       "  \"annotations\": {}\n}");
}

static void test_state(void)
{
	char b[] = "b", a[] = "a", one[] = "1", empty[] = "";
	char *keys[] = {b, a}, *values[] = {one, empty};
	struct oci_state state = {
		.oci_version = "1.2.1",
		.id = "c1",
		.status = "stopped",
		.pid = 0,
		.bundle = "/b",
		.annotations = {keys, values, 2},
	};
	struct oci_state again;
	size_t len;
	const char *text =
		oci_write(&ocispec_schema, OCI_STATE, &state, OCI_WRITE_NEWLINE, &arena, &len);

	is_str(text, "{\"ociVersion\":\"1.2.1\",\"id\":\"c1\",\"status\":\"stopped\",\"pid\":0,"
	             "\"bundle\":\"/b\",\"annotations\":{\"b\":\"1\",\"a\":\"\"}}\n");
	is_int(oci_read(&ocispec_schema, OCI_STATE, text, len, &arena, &again, &error), 0);
	is_str(again.annotations.keys[1], "a");
	text = "{\"ociVersion\":\"1\",\"id\":\"x\",\"status\":\"running\",\"pid\":-1,\"bundle\":\"/"
	       "\"}";
	ok(oci_read(&ocispec_schema, OCI_STATE, text, strlen(text), &arena, &again, &error) < 0);
	is_str(error.msg, "must not be negative");
	is_str(error.pointer, "/pid");
}

static void test_quote(void)
{
	is_str(oci_quote("", &arena), "\"\"");
	is_str(oci_quote("a\"b\\c/d", &arena), "\"a\\\"b\\\\c/d\"");
	is_str(oci_quote("\b\f\n\r\t\x01\x1f\x7f", &arena),
	       "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
	is_str(oci_quote("\xc3\xa9\xf0\x9f\x98\x80", &arena), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	is_str(oci_quote("a\xff\xc3", &arena), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	is_str(oci_quote("\xed\xa0\x80.", &arena), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"");
}

/* Each character at each place of a text, which is looked at eight bytes at a time. */
static void test_quote_anywhere(void)
{
	static const char *const named[128] = {
		['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r",
		['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\"};

	for (int c = 1; c < 256; c++) {
		for (int place = 0; place < 19; place++) {
			char text[] = "0123456789 ~!#[]^az", code[16], want[64];

			text[place] = (char)c;
			if (c < 128 && named[c] != NULL)
				snprintf(code, sizeof(code), "%s", named[c]);
			else if (c < ' ' || c == 0x7f)
				snprintf(code, sizeof(code), "\\u%04x", (unsigned)c);
			else if (c < 0x7f)
				snprintf(code, sizeof(code), "%c", c);
			else
				snprintf(code, sizeof(code), "\xef\xbf\xbd");
			snprintf(want, sizeof(want), "\"%.*s%s%s\"", place, text, code,
			         text + place + 1);
			is_str(oci_quote(text, &arena), want);
		}
	}
}

/* A schema that refers to objects of another one, as a second .def file makes it. */
struct bag {
	struct oci_process *process;
	struct oci_mount *mounts;
	size_t n_mounts;
	struct oci_map labels;
};

static void test_two_schemas(void)
{
	static const struct oci_field fields[] = {
		{0, 7, OCI_T_OBJECT, OCI_S_ONE,  OCI_R_REQUIRED, offsetof(struct bag, process),      0,
	         OCI_FOREIGN | OCI_PROCESS											 },
		{8, 6, OCI_T_OBJECT, OCI_S_LIST, 0,              offsetof(struct bag, mounts),
	         offsetof(struct bag,										     n_mounts), OCI_FOREIGN | OCI_MOUNT},
		{15, 6, OCI_T_STR,            OCI_S_MAP,             0,       offsetof(struct bag,             labels), 0, 0        },
	};
	static const struct oci_object objects[] = {
		{1, 22, 0, 3, sizeof(struct bag)}
        };
	static const struct oci_schema schema = {"process\0mounts\0labels\0bag", fields, objects,
	                                         &ocispec_schema};
	static const char text[] = "{\"process\":{\"user\":{\"uid\":1,\"gid\":2},\"cwd\":\"/\"},"
				   "\"mounts\":[{\"destination\":\"/a\"},{\"destination\":\"/b\"}],"
				   "\"labels\":{\"x\":\"y\"}}";
	struct bag bag;

	is_int(oci_read(&schema, 0, text, strlen(text), &arena, &bag, &error), 0);
	is_int(bag.process->user->gid, 2);
	is_str(bag.mounts[1].destination, "/b");
	is_str(oci_write(&schema, 0, &bag, 0, &arena, NULL), text);
}

static void test_long_text(void)
{
	size_t n = 1 << 20, len;
	char *id = malloc(n + 1), *text;
	struct oci_state state = {.oci_version = "1", .id = id, .status = "s", .bundle = "/"},
			 again;

	memset(id, 'x', n);
	memcpy(id, "a\tb", 3);
	id[n] = '\0';
	text = oci_write(&ocispec_schema, OCI_STATE, &state, 0, &arena, &len);
	ok(len > n && text[len] == '\0' && strlen(text) == len);
	is_int(oci_read(&ocispec_schema, OCI_STATE, text, len, &arena, &again, &error), 0);
	ok(strcmp(again.id, id) == 0);
	free(id);
}

int main(void)
{
	RUN(test_every_property_round_trip);
	RUN(test_full_is_full);
	RUN(test_broken_text);
	RUN(test_absent);
	RUN(test_empty);
	RUN(test_state);
	RUN(test_quote);
	RUN(test_quote_anywhere);
	RUN(test_two_schemas);
	RUN(test_long_text);
	arena_free(&arena);
	return done();
}
