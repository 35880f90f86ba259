/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libocispec/read.c: what it takes, what it refuses, and where it says the fault is. */
#include <stdint.h>
#include <stdlib.h>

#include "arena.h"
#include "ocispec.h"
#include "read.h"
#include "tap.h"

static struct arena arena;
static struct oci_config config;
static struct oci_error error;

static int read_bytes(const char *text, size_t len)
{
	return oci_read(&ocispec_schema, OCI_CONFIG, text, len, &arena, &config, &error);
}

/* From memory of exactly that size, so that the address sanitizer sees a byte read too far. */
static int read_exactly(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int result;

	memcpy(copy, text, len);
	result = read_bytes(copy, len);
	free(copy);
	return result;
}

static bool takes(const char *text)
{
	bool good = read_exactly(text, strlen(text)) == 0;

	if (!good)
		printf("# %s\n#   refused: %u:%u %s: %s\n", text, error.line, error.column,
		       error.pointer, error.msg);
	return good;
}

struct refusal {
	const char *text;
	const char *pointer;
	unsigned line, column;
	const char *msg;
};

static void refuses(const struct refusal *r)
{
	bool failed = read_exactly(r->text, strlen(r->text)) < 0, same;

	if (!failed) {
		printf("# %s\n#   was taken\n", r->text);
		ok(failed);
		return;
	}
	same = !strcmp(error.pointer, r->pointer) && error.line == r->line &&
	       error.column == r->column && !strcmp(error.msg, r->msg);
	if (!same)
		printf("# %s\n#   got:  %u:%u %s: %s\n#   want: %u:%u %s: %s\n", r->text,
		       error.line, error.column, error.pointer, error.msg, r->line, r->column,
		       r->pointer, r->msg);
	ok(same);
}

#define REFUSES_ALL(table)                                                                         \
	do {                                                                                       \
		for (size_t i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_++)                 \
			refuses(&(table)[i_]);                                                     \
	} while (0)

/* A document whose property P has the value V; columns of V count from 23 + strlen(P). */
#define DOC(p, v) "{\"ociVersion\":\"1\",\"" p "\":" v "}"

static void test_types(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{"[]", "", 1, 1, "expected an object, not an array"},
		{" \n 7", "", 2, 2, "expected an object, not a number"},
		{"\"x\"", "", 1, 1, "expected an object, not a string"},
		{"null", "", 1, 1, "expected an object, not null"},
		{"{\"ociVersion\":1}", "/ociVersion", 1, 15, "expected a string, not a number"},
		{"{\"ociVersion\":\n  null}", "/ociVersion", 2, 3, "expected a string, not null"},
		{DOC("hostname", "{}"), "/hostname", 1, 30, "expected a string, not an object"},
		{DOC("hostname", "[]"), "/hostname", 1, 30, "expected a string, not an array"},
		{DOC("process", "[]"), "/process", 1, 29, "expected an object, not an array"},
		{DOC("mounts", "{}"), "/mounts", 1, 28, "expected an array, not an object"},
		{DOC("mounts", "[{\"destination\":\"/\"},\n null]"), "/mounts/1", 2, 2,
	         "expected an object, not null"},
		{DOC("annotations", "{\"a/b~c\":null}"), "/annotations/a~1b~0c", 1, 42,
	         "expected a string, not null"},
		{DOC("annotations", "{\"a\":\"b\", \"c\" : 1}"), "/annotations/c", 1, 49,
	         "expected a string, not a number"},
		{DOC("annotations", "[]"), "/annotations", 1, 33, "expected an object, not an array"},
		{DOC("root", "{\"path\":\"r\",\"readonly\":1}"), "/root/readonly", 1, 49,
	         "expected true or false, not a number"},
		{DOC("root", "{\"path\":\"r\",\"readonly\":\"true\"}"), "/root/readonly", 1, 49,
	         "expected true or false, not a string"},
		{DOC("process", "{\"user\":{\"uid\":\"0\"}}"), "/process/user/uid", 1, 44,
	         "expected a whole number, not a string"},
		{DOC("process", "{\"user\":{\"uid\":true}}"), "/process/user/uid", 1, 44,
	         "expected a whole number, not true or false"},
		{DOC("process", "{\"args\":[\"a\",[\"b\"]]}"), "/process/args/1", 1, 42,
	         "expected a string, not an array"},
		{DOC("linux", "{\"resources\":{\"rdma\":{\"mlx\":3}}}"), "/linux/resources/rdma/mlx", 1, 55, "expected an object, not a number"},
		{DOC("linux", "{\"netDevices\":{\"e/0\":{\"name\":[]}}}"),
	         "/linux/netDevices/e~10/name", 1, 56, "expected a string, not an array"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
}

#define UID(v) DOC("process", "{\"cwd\":\"/\",\"user\":{\"uid\":" v "}}")
#define MEM(v) DOC("linux", "{\"resources\":{\"memory\":{\"limit\":" v "}}}")
#define OOM(v) DOC("process", "{\"cwd\":\"/\",\"oomScoreAdj\":" v "}")
#define CPU(v) DOC("linux", "{\"resources\":{\"cpu\":{\"shares\":" v "}}}")
#define BLK(v) DOC("linux", "{\"resources\":{\"blockIO\":{\"weight\":" v "}}}")

static void test_bad_numbers(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{UID("1.0"), "/process/user/uid", 1, 54, "expected a whole number, not 1.0"},
		{UID("1e3"), "/process/user/uid", 1, 54, "expected a whole number, not 1e3"},
		{UID("-1"), "/process/user/uid", 1, 54, "-1 is not in the range 0 to 4294967295"},
		{UID("-0"), "/process/user/uid", 1, 54, "-0 is not in the range 0 to 4294967295"},
		{UID("4294967296"), "/process/user/uid", 1, 54,
	         "4294967296 is not in the range 0 to 4294967295"},
		{UID("18446744073709551616"), "/process/user/uid", 1, 54,
	         "18446744073709551616 is not in the range 0 to 4294967295"},
		{BLK("65536"), "/linux/resources/blockIO/weight", 1, 61,
	         "65536 is not in the range 0 to 65535"},
		{OOM("2147483648"), "/process/oomScoreAdj", 1, 54,
	         "2147483648 is not in the range -2147483648 to 2147483647"},
		{OOM("-2147483649"), "/process/oomScoreAdj", 1, 54,
	         "-2147483649 is not in the range -2147483648 to 2147483647"},
		{MEM("9223372036854775808"), "/linux/resources/memory/limit", 1, 59,
	         "9223372036854775808 is not in the range -9223372036854775808 to 9223372036854775807"},
		{MEM("-9223372036854775809"), "/linux/resources/memory/limit", 1, 59,
	         "-9223372036854775809 is not in the range -9223372036854775808 to "
	         "9223372036854775807"},
		{CPU("18446744073709551616"), "/linux/resources/cpu/shares", 1, 57,
	         "18446744073709551616 is not in the range 0 to 18446744073709551615"},
		{CPU("99999999999999999999999999999999999999999999999999"),
	         "/linux/resources/cpu/shares", 1, 57,
	         "9999999999999999999999999999999999999999 is not in the range 0 to "
	         "18446744073709551615"},
		{DOC("linux", "{\"resources\":{\"blockIO\":{\"weightDevice\":[{\"major\":1}]}}}"),
	         "/linux/resources/blockIO/weightDevice/0/minor", 1, 68,
	         "required property \"minor\" is missing"},
		{DOC("process", "{\"user\":{\"additionalGids\":[1,2,-3]}}"),
	         "/process/user/additionalGids/2", 1, 60,
	         "-3 is not in the range 0 to 4294967295"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
}

static void test_number_boundaries(void)
{
	ok(takes(UID("4294967295")));
	is_int(config.process->user->uid, UINT32_MAX);
	ok(takes(UID("0")));
	is_int(config.process->user->uid, 0);
	ok(takes(OOM("-2147483648")));
	is_int(config.process->oom_score_adj, INT32_MIN);
	ok(config.process->has_oom_score_adj);
	ok(takes(OOM("2147483647")));
	is_int(config.process->oom_score_adj, INT32_MAX);
	ok(takes(OOM("-0")));
	is_int(config.process->oom_score_adj, 0);
	ok(takes(MEM("-9223372036854775808")));
	is_int(config.linux->resources->memory->limit, INT64_MIN);
	ok(takes(MEM("9223372036854775807")));
	is_int(config.linux->resources->memory->limit, INT64_MAX);
	ok(takes(CPU("18446744073709551615")));
	ok(config.linux->resources->cpu->shares == UINT64_MAX);
	ok(takes(CPU("9007199254740993"))); /* no double holds it */
	ok(config.linux->resources->cpu->shares == 9007199254740993);
	ok(takes(BLK("65535")));
	is_int(config.linux->resources->block_io->weight, 65535);
}

static void test_syntax(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{"", "", 1, 1, "not valid JSON: premature EOF"},
		{" \n\n ", "", 3, 2, "not valid JSON: premature EOF"},
		{"{\"ociVersion\":\"1\"", "", 1, 18, "not valid JSON: premature EOF"},
		{"{\"ociVersion\":\"1\"} {}", "", 1, 20, "not valid JSON: trailing garbage"},
		{"{\"ociVersion\":\"1\"}x", "", 1, 19, "not valid JSON: trailing garbage"},
		{"{\"ociVersion\":\"1\",}", "", 1, 19,
	         "not valid JSON: invalid object key (must be a string)"},
		{"{\"ociVersion\":\"1\",\n \"root\":{\"path\" \"r\"}}", "/root/path", 2, 17,
	         "not valid JSON: object key and value must be separated by a colon (':')"},
		{"{,}", "", 1, 2, "not valid JSON: invalid object key (must be a string)"},
		{"{\"ociVersion\" \"1\"}", "/ociVersion", 1, 15,
	         "not valid JSON: object key and value must be separated by a colon (':')"},
		{"{\"mounts\":[,]}", "/mounts", 1, 12, "not valid JSON: unallowed token at this point in JSON text"},
		{"{\"mounts\":[1 2]}", "/mounts/0", 1, 12, "expected an object, not a number"},
		{"{'ociVersion':1}", "", 1, 2, "not valid JSON: invalid char in json text"},
		{"{\"hostname\":\"a\nb\"}", "/hostname", 1, 13,
	         "not valid JSON: invalid character inside string"},
		{"{\"hostname\":\"a\\xb\"}", "/hostname", 1, 13, "not valid JSON: inside a string, '\\' occurs before a character which it may not"},
		{"{\"hostname\":tru}", "/hostname", 1, 13, "not valid JSON: invalid string in json text"},
		{"{\"hostname\":nan}", "/hostname", 1, 13, "not valid JSON: invalid string in json text"},
		{"/* c */ {\"ociVersion\":\"1\"}", "", 1, 1, "not valid JSON: probable comment found in input text, comments are not enabled"},
		{"{\"ociVersion\":\"1\"} // c", "", 1, 20, "not valid JSON: trailing garbage"},
		{UID("01"), "/process/user", 1, 55, "not valid JSON: after key and value, inside map, I expect ',' or '}'"},
		{UID("0x1"), "/process/user", 1, 55, "not valid JSON: invalid char in json text"},
		{UID("+1"), "/process/user/uid", 1, 54, "not valid JSON: invalid char in json text"},
		{UID("1."), "/process/user/uid", 1, 54, "not valid JSON: malformed number, a digit is required after the decimal point"},
		{"\xef\xbb\xbf{\"ociVersion\":\"1\"}", "", 1, 1, "not valid JSON: invalid char in json text"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
}

static void test_strings(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{DOC("hostname", "\"a\\u0000b\""), "/hostname", 1, 32,
	         "a NUL character is not allowed"},
		{DOC("annotations", "{\"k\\u0000\":\"v\"}"), "/annotations", 1, 36,
	         "a NUL character is not allowed"},
		{DOC("unknown", "{\"k\":[\"\\u0000\"]}"), "/unknown", 1, 36,
	         "a NUL character is not allowed"},
		{DOC("mounts", "[{\"destination\":\"/etc\\u0000/evil\"}]"),
	         "/mounts/0/destination", 1, 49, "a NUL character is not allowed"},
		{DOC("hostname", "\"\\ud800\""), "/hostname", 1, 31, "half of a surrogate pair"},
		{DOC("hostname", "\"\\ud800\\u0041\""), "/hostname", 1, 31,
	         "half of a surrogate pair"},
		{DOC("hostname", "\"\\udc00\""), "/hostname", 1, 31, "half of a surrogate pair"},
		{DOC("hostname", "\"a\xff\""), "/hostname", 1, 32, "not valid UTF-8"},
		{DOC("hostname", "\"\xc0\x80\""), "/hostname", 1, 31, "not valid UTF-8"},
		{DOC("hostname", "\"\xed\xa0\x80\""), "/hostname", 1, 31, "not valid UTF-8"},
		{DOC("hostname", "\"\xf4\x90\x80\x80\""), "/hostname", 1, 31, "not valid UTF-8"},
		{DOC("hostname", "\"\xe2\x82\""), "/hostname", 1, 31, "not valid UTF-8"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
	ok(takes(DOC("hostname", "\"\\u00e9\\ud83d\\ude00\\\\u0000\\/\\b\\f\\n\\r\\t\\\"\"")));
	is_str(config.hostname, "\xc3\xa9\xf0\x9f\x98\x80\\u0000/\b\f\n\r\t\"");
	ok(takes(DOC("hostname", "\"\xe2\x82\xac\x7f\xf4\x8f\xbf\xbf\"")));
	is_str(config.hostname, "\xe2\x82\xac\x7f\xf4\x8f\xbf\xbf");
	ok(takes(DOC("hostname", "\"\"")));
	is_str(config.hostname, "");
}

/* A byte of value zero, which no string literal of C can hold for refuses(). */
static void test_raw_nul(void)
{
	static const char text[] = "{\"ociVersion\":\"1\",\"hostname\":\"a\0b\"}";

	ok(read_exactly(text, sizeof(text) - 1) < 0);
	is_str(error.pointer, "/hostname");
	ok(read_exactly("{}\0", 3) < 0);
	ok(read_exactly("\0", 1) < 0);
}

static void test_duplicates(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{"{\"ociVersion\":\"1\",\n\"process\":{\"cwd\":\"/\"},\n \"process\":{\"cwd\":\"/\"}}",
	         "/process", 3, 2, "\"process\" appears twice"},
		{"{\"process\":null,\"ociVersion\":\"1\",\"process\":{\"cwd\":\"/\"}}", "/process", 1,
	         34, "\"process\" appears twice"},
		{"{\"ociVersion\":\"1\",\"ociVersi\\u006fn\":\"2\"}", "/ociVersion", 1, 19,
	         "\"ociVersion\" appears twice"},
		{DOC("annotations", "{\"b\":\"1\",\"a\":\"2\",\"b\":\"1\"}"), "/annotations/b", 1, 50,
	         "\"b\" appears twice"},
		{DOC("linux", "{\"sysctl\":{\"\":\"1\",\"\":\"2\"}}"), "/linux/sysctl/", 1, 45,
	         "\"\" appears twice"},
		{DOC("linux", "{\"netDevices\":{\"e\":{},\"e\":{}}}"), "/linux/netDevices/e", 1, 49,
	         "\"e\" appears twice"},
		{"{\"x\":1,\"ociVersion\":\"1\",\"y\":2,\"x\":{}}", "/x", 1, 31, "\"x\" appears twice"},
		{DOC("mounts", "[{\"destination\":\"/\"},{\"type\":\"a\",\"destination\":\"/\",\"type\":\"b\"}]"),
	         "/mounts/1/type", 1, 79, "\"type\" appears twice"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
	ok(takes(DOC("annotations", "{\"a\":\"1\",\"A\":\"2\",\"aa\":\"3\"}")));
	is_int(config.annotations.n, 3);
	ok(takes(DOC("mounts", "[{\"destination\":\"/a\"},{\"destination\":\"/a\"}]")));
}

static void test_rules(void)
{
	/* clang-format off */
	static const struct refusal bad[] = {
		{"{}", "/ociVersion", 1, 1, "required property \"ociVersion\" is missing"},
		{DOC("process", "\n {}"), "/process/cwd", 2, 2, "required property \"cwd\" is missing"},
		{DOC("process", "{\"cwd\":\"\"}"), "/process/cwd", 1, 36, "must be an absolute path"},
		{DOC("process", "{\"cwd\":\"a/b\"}"), "/process/cwd", 1, 36,
	         "must be an absolute path"},
		{DOC("root", "{\"readonly\":true}"), "/root/path", 1, 26,
	         "required property \"path\" is missing"},
		{DOC("hooks", "{\"poststop\":[{\"path\":\"bin/x\"}]}"), "/hooks/poststop/0/path", 1, 48,
	         "must be an absolute path"},
		{DOC("hooks", "{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}"),
	         "/hooks/prestart/0/timeout", 1, 63, "must be greater than 0"},
		{DOC("hooks", "{\"prestart\":[{\"path\":\"/x\",\"timeout\":-5}]}"),
	         "/hooks/prestart/0/timeout", 1, 63, "must be greater than 0"},
		{DOC("linux", "{\"namespaces\":[{\"type\":\"pid\",\"path\":\"proc/1\"}]}"),
	         "/linux/namespaces/0/path", 1, 63, "must be an absolute path"},
		{DOC("linux", "{\"seccomp\":{\"defaultAction\":\"A\",\"syscalls\":[{\"names\":[],"
	                      "\"action\":\"B\"}]}}"),
	         "/linux/seccomp/syscalls/0/names", 1, 80, "must not be empty"},
		{DOC("linux", "{\"seccomp\":{\"defaultAction\":null}}"),
	         "/linux/seccomp/defaultAction", 1, 55, "expected a string, not null"},
		{DOC("mounts", "[{\"type\":\"x\"}]"), "/mounts/0/destination", 1, 29,
	         "required property \"destination\" is missing"},
		{DOC("mounts", "[{\"destination\":\"\"}]"), "/mounts/0/destination", 1, 44,
	         "must not be empty"},
		{DOC("process", "{\"cwd\":\"/\",\"execCPUAffinity\":{\"final\":\"0-x\"}}"),
	         "/process/execCPUAffinity/final", 1, 67, "must be a list such as \"0-3,7\""},
		{DOC("annotations", "{\"a\":\"\",\"\":\"x\"}"), "/annotations/", 1, 41,
	         "the key must not be empty"},
		{DOC("linux", "{\"maskedPaths\":[\"/a\",\"b\"]}"), "/linux/maskedPaths/1", 1, 48,
	         "must be an absolute path"},
		{DOC("linux", "{\"readonlyPaths\":[\"\"]}"), "/linux/readonlyPaths/0", 1, 45,
	         "must be an absolute path"},
		{DOC("vm", "{}"), "/vm/kernel", 1, 24, "required property \"kernel\" is missing"},
	};
	/* clang-format on */

	REFUSES_ALL(bad);
	ok(takes(DOC("linux", "{\"namespaces\":[{\"type\":\"pid\",\"path\":\"\"}]}")));
	ok(config.linux->namespaces[0].path == NULL);
	ok(takes(DOC("linux", "{\"resources\":{\"pids\":{}}}")));
	ok(config.linux->resources->pids && !config.linux->resources->pids->has_limit);
}

static void test_page_sizes(void)
{
	static const char *const bad[] = {"",     "MB",   "2",   "2M",   "02MB", "0MB", "2mb",
	                                  "2 MB", "-2MB", "2TB", "../x", "2MB ", "2MBB"};
	static const char *const good[] = {"2MB", "1GB", "64KB", "1024KB"};
	char text[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) + sizeof(good) / sizeof(good[0]); i++) {
		bool expect = i >= sizeof(bad) / sizeof(bad[0]);
		const char *size = expect ? good[i - sizeof(bad) / sizeof(bad[0])] : bad[i];

		snprintf(text, sizeof(text),
		         DOC("linux", "{\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"%s\","
		                      "\"limit\":1}]}}"),
		         size);
		if (!ok((read_bytes(text, strlen(text)) == 0) == expect))
			printf("# page size %s\n", size);
	}
}

static void test_null_is_absent(void)
{
	ok(takes("{\"ociVersion\":\"1\",\"process\":{\"cwd\":\"/\",\"args\":null,\"user\":null,"
	         "\"oomScoreAdj\":null,\"terminal\":null,\"capabilities\":{\"ambient\":null}},"
	         "\"mounts\":null,\"annotations\":null,\"root\":null,\"hostname\":null}"));
	ok(!config.process->args && config.process->n_args == 0);
	ok(!config.process->user && !config.process->has_oom_score_adj);
	ok(config.process->capabilities && !config.process->capabilities->ambient);
	ok(!config.mounts && !config.annotations.keys && !config.root && !config.hostname);
}

static void test_empty_is_not_absent(void)
{
	ok(takes("{\"ociVersion\":\"1\",\"mounts\":[],\"annotations\":{},"
	         "\"process\":{\"cwd\":\"/\",\"args\":[],\"user\":{\"additionalGids\":[]}}}"));
	ok(config.mounts && config.n_mounts == 0);
	ok(config.annotations.keys && config.annotations.n == 0);
	ok(config.process->args && config.process->n_args == 0 && !config.process->args[0]);
	ok(config.process->user->additional_gids && !config.process->user->n_additional_gids);
}

static void test_unknown_is_ignored(void)
{
	ok(takes("{\"x\":{\"ociVersion\":1,\"a\":[null,1.5,{\"b\":{}}]},\"ociVersion\":\"1\","
	         "\"Process\":3,\"windows\":[[]],\"linux\":{\"y\":true,\"cgroupsPath\":\"/p\"}}"));
	ok(!config.process);
	is_str(config.linux->cgroups_path, "/p");
}

static char *nested(const char *start, char open, char close, size_t levels)
{
	size_t n = strlen(start);
	char *text = malloc(n + 2 * levels + 2);

	memcpy(text, start, n);
	memset(text + n, open, levels);
	memset(text + n + levels, close, levels);
	memcpy(text + n + 2 * levels, "}", 2);
	return text;
}

static void test_depth(void)
{
	static const char start[] = "{\"ociVersion\":\"1\",\"x\":";
	char *good = nested(start, '[', ']', OCI_DEPTH_MAX - 1);
	char *bad = nested(start, '[', ']', OCI_DEPTH_MAX);
	char *deep = nested(start, '[', ']', 1000000);

	ok(takes(good));
	refuses(&(struct refusal){bad, "/x", 1, sizeof(start) + OCI_DEPTH_MAX - 1,
	                          "nested deeper than 128 levels"});
	ok(read_bytes(deep, strlen(deep)) < 0);
	is_str(error.msg, "nested deeper than 128 levels");
	free(good);
	free(bad);
	free(deep);
}

static void test_size(void)
{
	size_t size = OCI_SIZE_MAX;
	char *text = malloc(size + 1);

	memset(text, ' ', size + 1);
	memcpy(text, "{\"ociVersion\":\"1\"}", 18);
	ok(read_bytes(text, size) == 0);
	ok(read_bytes(text, size + 1) < 0);
	is_str(error.msg, "larger than 16 MiB");
	is_int(error.line, 1);
	free(text);
}

/* Half a million keys, with the first again at the end: sorting them must not take long. */
static void test_many_keys(void)
{
	const unsigned n = 500000;
	char *text = malloc(n * 20 + 100), *at = text;

	at += sprintf(at, "{\"ociVersion\":\"1\",\"annotations\":{\"k0\":\"\"");
	for (unsigned i = 1; i < n; i++)
		at += sprintf(at, ",\"k%u\":\"\"", i);
	memcpy(at, "}}", 3);
	ok(takes(text));
	is_int(config.annotations.n, n);
	is_str(config.annotations.keys[n - 1], "k499999");
	memcpy(at, ",\"k0\":\"\"}}", 11);
	ok(read_bytes(text, strlen(text)) < 0);
	is_str(error.pointer, "/annotations/k0");
	is_int(error.column, at + 2 - text);
	free(text);
	arena_free(&arena);
}

static void test_maps_and_lists(void)
{
	ok(takes("{\"ociVersion\":\"1\",\"annotations\":{\"z\":\"1\",\"a\":\"2\"},\"linux\":{"
	         "\"netDevices\":{\"eth1\":{\"name\":\"in\"},\"eth0\":{}},"
	         "\"resources\":{\"rdma\":{\"mlx\":{\"hcaHandles\":0}}},"
	         "\"timeOffsets\":{\"boottime\":{\"secs\":-5,\"nanosecs\":7}},"
	         "\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1},"
	         "{\"containerID\":1,\"hostID\":100000,\"size\":65536}]}}"));
	is_str(config.annotations.keys[0], "z");
	is_str(config.annotations.values[1], "2");
	ok(config.annotations.keys[2] == NULL);
	is_int(config.linux->net_devices.n, 2);
	is_str(config.linux->net_devices.keys[0], "eth1");
	is_str(config.linux->net_devices.values[0].name, "in");
	ok(config.linux->net_devices.values[1].name == NULL);
	ok(config.linux->resources->rdma.values[0].has_hca_handles);
	ok(!config.linux->resources->rdma.values[0].has_hca_objects);
	is_int(config.linux->time_offsets.n, 1);
	is_str(config.linux->time_offsets.keys[0], "boottime");
	is_int(config.linux->time_offsets.values[0].secs, -5);
	is_int(config.linux->time_offsets.values[0].nanosecs, 7);
	is_int(config.linux->n_uid_mappings, 2);
	is_int(config.linux->uid_mappings[1].host_id, 100000);
}

static char reported[400];

static void note_unknown(void *data, const char *pointer, unsigned line)
{
	size_t n = strlen(reported);

	ok(data == &reported);
	snprintf(reported + n, sizeof(reported) - n, "%s %u\n", pointer, line);
}

static void test_report(void)
{
	static const char text[] = "{\"a\":{\"b\":1},\n\"ociVersion\":\"1\",\n"
				   "\"mounts\":[{\"destination\":\"/\"},\n{\"destination\":\"/\",\n"
				   "\"x/y\":[]}]}";

	reported[0] = '\0';
	ok(oci_read_report(&ocispec_schema, OCI_CONFIG, text, strlen(text), &arena, &config,
	                   note_unknown, reported, &error) == 0);
	is_str(reported, "/a 1\n/mounts/1/x~1y 5\n");
}

static void test_long_pointer(void)
{
	char text[400], key[200];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	snprintf(text, sizeof(text), DOC("annotations", "{\"%s\":1}"), key);
	ok(read_bytes(text, strlen(text)) < 0);
	is_str(error.pointer, "/annotations"); /* the key does not fit */
	refuses(&(struct refusal){DOC("annotations", "{\"a\\n\":\"\",\"a\\n\":\"\"}"),
	                          "/annotations/a?", 1, 43, "\"a?\" appears twice"});
}

int main(void)
{
	RUN(test_types);
	RUN(test_bad_numbers);
	RUN(test_number_boundaries);
	RUN(test_syntax);
	RUN(test_strings);
	RUN(test_raw_nul);
	RUN(test_duplicates);
	RUN(test_rules);
	RUN(test_page_sizes);
	RUN(test_null_is_absent);
	RUN(test_empty_is_not_absent);
	RUN(test_unknown_is_ignored);
	RUN(test_depth);
	RUN(test_size);
	RUN(test_many_keys);
	RUN(test_maps_and_lists);
	RUN(test_report);
	RUN(test_long_pointer);
	arena_free(&arena);
	return done();
}
