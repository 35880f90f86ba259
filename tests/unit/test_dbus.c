/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages as bytes, a connection with a server that a test plays, the words for systemd. */
#include "kernel/dbus.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "kernel/cgroup_systemd_bus.h"
#include "tap.h"

static char dir[] = "/tmp/davit-test-dbus-XXXXXX";

static struct dbus_reader reader(const struct str *s)
{
	return (struct dbus_reader){.data = s->s, .len = s->len};
}

static void test_body(void)
{
	autostr b = {0};
	struct dbus_reader r;
	size_t array, end;

	dbus_put_u8(&b, 7);
	dbus_put_u32(&b, 0x01020304);
	dbus_put_string(&b, "abc");
	dbus_put_signature(&b, "as");
	is_int(b.len, 4 + 4 + 8 + 4);
	array = dbus_array_begin(&b, 8);
	dbus_array_end(&b, array, 8);
	is_int(b.len, 24);
	array = dbus_array_begin(&b, 8);
	dbus_put_u64(&b, 9);
	dbus_array_end(&b, array, 8);
	is_int(b.len, 24 + 8 + 8); /* length, padding, 8 bytes */
	r = reader(&b);
	is_int(dbus_take_u32(&r) & 0xff, 7);
	is_int(dbus_take_u32(&r), 0x01020304);
	is_str(dbus_take_string(&r), "abc");
	is_str(dbus_take_signature(&r), "as");
	end = dbus_take_array(&r, 4);
	is_int(r.at, end);
	end = dbus_take_array(&r, 8);
	is_int(r.at, 32);
	is_int(end, 40);
	ok(!r.bad);
	r.at = end;
	is_int(dbus_take_u32(&r), 0);
	is_str(dbus_take_string(&r), "");
	ok(r.bad);
}

/* Lengths that reach beyond the end, text without its NUL or with another. */
static void test_bad_body(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"\3\0\0\0abc",          7},
		{"\3\0\0\0abcd",         8},
		{"\3\0\0\0a\0c",         8},
		{"\xff\xff\xff\xff"
	         "abc", 8},
		{"\3\0\0",               3},
		{"",		     0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dbus_reader r = {.data = rows[i].bytes, .len = rows[i].len};

		is_str(dbus_take_string(&r), "");
		ok(r.bad);
		r = (struct dbus_reader){.data = rows[i].bytes, .len = rows[i].len};
		is_int(dbus_take_array(&r, 4) <= r.len, 1);
	}
}

static void test_message(void)
{
	struct dbus d = DBUS_INIT;
	autostr body = {0};
	struct dbus_call call = {"a.b", "/c", "d.e", "F", "s", &body, false};
	struct dbus_message m;

	dbus_put_string(&body, "text");
	is_int(dbus_call(&d, &call), 1);
	is_int(d.out.len % 8, body.len % 8);
	is_int(d.out.s[2], 0);
	for (size_t n = 0; n < 16; n++)
		is_int(dbus_message_length(d.out.s, n), 0);
	is_int(dbus_message_length(d.out.s, 16), (long long)d.out.len);
	is_int(dbus_message_read(d.out.s, d.out.len, &m), 0);
	is_int(m.type, DBUS_CALL);
	is_str(m.path, "/c");
	is_str(m.interface, "d.e");
	is_str(m.member, "F");
	is_str(m.signature, "s");
	is_str(m.error, "");
	is_str(dbus_take_string(&m.body), "text");
	is_int(m.body.at, m.body.len);
	for (size_t n = 16; n < d.out.len - body.len; n++) {
		is_int(dbus_message_read(d.out.s, n, &m), -1);
		is_int(errno, EPROTO);
	}
	d.out.s[0] = '?';
	is_int(dbus_message_length(d.out.s, 16), -1);
	is_int(errno, EPROTO);
	d.out.len = 0;
	call = (struct dbus_call){"a.b", "/c", "d.e", "G", NULL, NULL, true};
	is_int(dbus_call(&d, &call), 2);
	is_int(d.out.s[2], 1);
	is_int(d.out.len % 8, 0);
	dbus_close(&d);
}

/* ---- a connection */

static int listening(const char *path, size_t len)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, len);
	ok(bind(fd, (struct sockaddr *)&addr,
	        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0);
	ok(listen(fd, 4) == 0);
	return fd;
}

static bool opens(const char *addresses)
{
	struct dbus d = DBUS_INIT;
	int rc = dbus_open(&d, addresses, clock_ms() + 1000), errnum = errno;

	dbus_close(&d);
	errno = errnum;
	return rc == 0;
}

static void test_addresses(void)
{
	autofree char *path = xasprintf("%s/a,b", dir);
	autofree char *good = xasprintf("unix:guid=7,path=%s/a%%2cb", dir);
	autofree char *later =
		xasprintf("tcp:host=x;;unix:path=/nonexistent/x;%s;unix:path=/y", good);
	autofree char *name = xasprintf("@%s-abstract", dir);
	autofree char *abstract = xasprintf("unix:abstract=%s-abstract", dir);
	autofd a = listening(path, strlen(path) + 1);
	autofd b = -1;

	ok(a >= 0 && opens(good));
	ok(opens(later));
	name[0] = '\0';
	b = listening(name, 1 + strlen(name + 1));
	ok(opens(abstract));
	ok(!opens("unix:path=/nonexistent/x") && errno == ENOENT);
	ok(!opens("tcp:host=x") && errno == EPROTONOSUPPORT);
	ok(!opens("") && errno == EINVAL);
	ok(!opens("unix:") && errno == EINVAL);
	ok(!opens("unix:path=/x%2") && errno == EINVAL);
	ok(!opens("unix:path=/x%zz") && errno == EINVAL);
	ok(!opens("unix:path=/x%00") && errno == EINVAL);
	unlink(path);
}

struct pair {
	struct dbus d;
	int server, other;
};

static void pair_open(struct pair *p, int ms)
{
	autofree char *path = xasprintf("%s/bus", dir);
	autofree char *address = xasprintf("unix:path=%s", path);

	*p = (struct pair){.d = DBUS_INIT, .server = listening(path, strlen(path) + 1)};
	is_int(dbus_open(&p->d, address, clock_ms() + ms), 0);
	p->other = accept(p->server, NULL, NULL);
	ok(p->other >= 0);
	unlink(path);
}

static void pair_close(struct pair *p)
{
	dbus_close(&p->d);
	close(p->server);
	close(p->other);
}

static void say(struct pair *p, const char *text, size_t len)
{
	is_int(send(p->other, text, len, MSG_NOSIGNAL), (long long)len);
}

static void test_greeting(void)
{
	static const char want[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	struct dbus_call call = {
		.destination = "a.b", .path = "/c", .interface = "d.e", .member = "F"};
	struct dbus_message m;
	struct pair p;
	char got[256];
	size_t len;

	pair_open(&p, 5000);
	is_int(dbus_call(&p.d, &call), 1);
	len = p.d.out.len;
	is_int(dbus_send(&p.d), 0);
	is_int(p.d.out.len, 0);
	is_int(recv(p.other, got, sizeof(got), 0), (long long)len); /* all in one piece */
	ok(memcmp(got, want, sizeof(want) - 1) == 0);
	/* What we sent comes back; in the same piece as the greeting, and twice. */
	say(&p, "DATA\r\nOK 0123\r\n", 15);
	say(&p, got + sizeof(want) - 1, len - (sizeof(want) - 1));
	say(&p, got + sizeof(want) - 1, 20);
	is_int(dbus_next(&p.d, &m), 0);
	is_str(m.member, "F");
	say(&p, got + sizeof(want) - 1 + 20, len - (sizeof(want) - 1) - 20);
	is_int(dbus_next(&p.d, &m), 0);
	is_str(m.member, "F");
	is_str(m.interface, "d.e");
	shutdown(p.other, SHUT_RDWR);
	is_int(dbus_next(&p.d, &m), -1);
	is_int(errno, ECONNRESET);
	(void)dbus_call(&p.d, &call);
	is_int(dbus_send(&p.d), -1);
	is_int(errno, ECONNRESET);
	pair_close(&p);
}

static void test_greeting_alone(void)
{
	struct dbus_call call = {.path = "/c", .member = "F"};
	struct pair p;
	char got[256];

	pair_open(&p, 5000);
	say(&p, "DATA\r\nOK 0123\r\n", 15);
	is_int(dbus_greet(&p.d), 0);
	is_int(recv(p.other, got, sizeof(got), 0), 29);
	(void)dbus_call(&p.d, &call);
	is_int(dbus_send(&p.d), 0);
	is_int(recv(p.other, got, 1, 0), 1);
	is_int(got[0] == 'l' || got[0] == 'B', 1);
	pair_close(&p);
	pair_open(&p, 20);
	is_int(dbus_greet(&p.d), -1);
	is_int(errno, ETIMEDOUT);
	pair_close(&p);
}

static void test_refusals(void)
{
	static const struct {
		const char *text;
		size_t len;
		int errnum;
	} rows[] = {
		{"DATA\r\nREJECTED EXTERNAL\r\n",                25, EACCES   },
		{"ERROR\r\n",				    7,  EPROTO   },
		{"DATA\r\nOK x\r\nHTTP/1.1 400 Bad Request\r\n", 38, EPROTO   },
		{"DATA\r\nOK x\r\nl\2",                          14, ETIMEDOUT},
		{"DATA\r\n",				     6,  ETIMEDOUT},
		{"",					     0,  ETIMEDOUT},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dbus_message m;
		struct pair p;

		pair_open(&p, rows[i].errnum == ETIMEDOUT ? 20 : 5000);
		say(&p, rows[i].text, rows[i].len);
		is_int(dbus_next(&p.d, &m), -1);
		is_int(errno, rows[i].errnum);
		pair_close(&p);
	}
}

/* What anybody on the bus may send: it is left out, and what comes behind it is heard. */
static void test_others(void)
{
	/* The other byte order; a field that holds an array; 17 MiB. */
	static char foreign[] = "?\4\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1\1o\0\0\0\0\1/\0\0\0\0\0\0\0";
	static const uint32_t array[] = {0, 0, 1, 13};
	static const uint32_t large[] = {0, 17u << 20, 1, 0};
	const bool little = __BYTE_ORDER == __LITTLE_ENDIAN;
	struct dbus_call call = {.path = "/c", .member = "F", .destination = "a.b"};
	struct dbus other = DBUS_INIT;
	struct dbus_message m;
	struct pair p;
	char head[32];
	autofree char *data = xcalloc(17u << 20, 1);

	pair_open(&p, 5000);
	say(&p, "DATA\r\nOK 0123\r\n", 15);
	foreign[0] = little ? 'B' : 'l';
	foreign[little ? 15 : 12] = 10;
	say(&p, foreign, 32);
	memcpy(head, array, sizeof(array));
	memcpy(head, (char[]){little ? 'l' : 'B', 4, 0, 1}, 4);
	memcpy(head + 16, "\xc8\2as\0\0\0\0\0\0\0\0\0\0\0", 16);
	say(&p, head, 32);
	memcpy(head, large, sizeof(large));
	memcpy(head, (char[]){little ? 'l' : 'B', 4, 0, 1}, 4);
	say(&p, head, 16);
	(void)dbus_call(&other, &call);
	if (fork() == 0) {
		close(p.d.fd);
		for (size_t at = 0; at < 17u << 20;) {
			ssize_t n = send(p.other, data + at, (17u << 20) - at, MSG_NOSIGNAL);

			if (n <= 0)
				_exit(1);
			at += (size_t)n;
		}
		_exit(send(p.other, other.out.s, other.out.len, MSG_NOSIGNAL) < 0);
	}
	is_int(dbus_next(&p.d, &m), 0);
	is_str(m.member, "F");
	is_str(m.destination, "a.b");
	ok(p.d.in.cap < 1u << 20);
	pair_close(&p);
	ok(wait(NULL) > 0);
	dbus_close(&other);
}

/* A deadline holds even when there is always more to read, and for a greeting without end. */
static void test_flood(void)
{
	autofree char *data = xcalloc(20000, 1);
	autostr asks = {0};
	struct dbus_message m;
	struct pair p;

	pair_open(&p, 5000);
	say(&p, "DATA\r\nOK 0123\r\n", 15);
	is_int(dbus_greet(&p.d), 0);
	say(&p, data, 20000);
	p.d.deadline = clock_ms() - 1;
	is_int(dbus_next(&p.d, &m), -1);
	is_int(errno, ETIMEDOUT);
	ok(p.d.in.len < 4096);
	pair_close(&p);
	pair_open(&p, 1000);
	while (asks.len < 12000)
		str_add(&asks, "DATA\r\n");
	say(&p, asks.s, asks.len);
	is_int(dbus_next(&p.d, &m), -1);
	is_int(errno, EPROTO);
	pair_close(&p);
}

/* ---- systemd's words */

static void words_add(struct str *s, const char *type, const char *name, const char *value)
{
	str_addn(s, type, strlen(type) + 1);
	str_addn(s, name, strlen(name) + 1);
	str_addn(s, value, strlen(value) + 1);
}

static void property_is(struct dbus_reader *r, const char *name, const char *type)
{
	dbus_take_align(r, 8);
	is_str(dbus_take_string(r), name);
	is_str(dbus_take_signature(r), type);
}

static void test_properties(void)
{
	autostr words = {0};
	autostr body = {0};
	bool has_optional = false;
	struct dbus_reader r;
	size_t end, inner;

	words_add(&words, "s", "Slice", "a.slice");
	words_add(&words, "?t", "CPUWeight", "18446744073709551615");
	words_add(&words, "au", "PIDs", "17 18");
	words_add(&words, "b", "Delegate", "true");
	words_add(&words, "i", "OOMScore", "-5");
	words_add(&words, "a(ss)", "DeviceAllow", "/dev/null rwm\n/dev/a b rw");
	words_add(&words, "a(st)", "IOReadBandwidthMax", "/dev/x 70");
	words_add(&words, "a(ss)", "DeviceAllow", "");
	words_add(&words, "as", "Wants", "a.slice");
	words_add(&words, "ay", "AllowedCPUs", "15 1");
	is_int(unit_properties_put(&body, &words, false, &has_optional), 0);
	ok(has_optional);
	r = reader(&body);
	end = dbus_take_array(&r, 8);
	is_int(end, body.len);
	property_is(&r, "Slice", "s");
	is_str(dbus_take_string(&r), "a.slice");
	property_is(&r, "PIDs", "au");
	is_int(dbus_take_u32(&r), 8);
	is_int(dbus_take_u32(&r), 17);
	is_int(dbus_take_u32(&r), 18);
	property_is(&r, "Delegate", "b");
	is_int(dbus_take_u32(&r), 1);
	property_is(&r, "OOMScore", "i");
	is_int((int)dbus_take_u32(&r), -5);
	property_is(&r, "DeviceAllow", "a(ss)");
	(void)dbus_take_array(&r, 8);
	is_str(dbus_take_string(&r), "/dev/null");
	is_str(dbus_take_string(&r), "rwm");
	dbus_take_align(&r, 8);
	is_str(dbus_take_string(&r), "/dev/a b");
	is_str(dbus_take_string(&r), "rw");
	property_is(&r, "IOReadBandwidthMax", "a(st)");
	(void)dbus_take_array(&r, 8);
	is_str(dbus_take_string(&r), "/dev/x");
	dbus_take_align(&r, 8);
	r.at += 8; /* the number */
	property_is(&r, "DeviceAllow", "a(ss)");
	inner = dbus_take_array(&r, 8);
	is_int(inner, r.at);
	property_is(&r, "Wants", "as");
	(void)dbus_take_array(&r, 4);
	is_str(dbus_take_string(&r), "a.slice");
	property_is(&r, "AllowedCPUs", "ay");
	is_int(dbus_take_array(&r, 1) - r.at, 2);
	is_int(r.at + 2, body.len);
	ok(!r.bad);
}

static void test_bad_properties(void)
{
	static const char *const rows[][2] = {
		{"a(ss)", "noblank"},
		{"v",     "1"      },
		{"",      ""       },
		{"ax",    "1"      },
	};
	autostr none = {0};
	bool has_optional = false;

	for (size_t i = 0; i < COUNT(rows); i++) {
		autostr words = {0};
		autostr body = {0};

		words_add(&words, rows[i][0], "Name", rows[i][1]);
		is_int(unit_properties_put(&body, &words, true, &has_optional), -1);
	}
	is_int(unit_properties_put(&none, NULL, true, &has_optional), 0);
	is_int(none.len, 8); /* an empty array, whose elements would be aligned */
	ok(!has_optional);
}

static void test_path(void)
{
	autofree char *path = unit_path("0a-B_9.scope");

	is_str(path, "/org/freedesktop/systemd1/unit/_30a_2dB_5f9_2escope");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	RUN(test_body);
	RUN(test_bad_body);
	RUN(test_message);
	RUN(test_addresses);
	RUN(test_greeting);
	RUN(test_greeting_alone);
	RUN(test_refusals);
	RUN(test_others);
	RUN(test_flood);
	RUN(test_properties);
	RUN(test_bad_properties);
	RUN(test_path);
	rmdir(dir);
	return done();
}
