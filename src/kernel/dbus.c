/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections: addresses, the greeting, what is sent and received. */
#include "kernel/dbus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"

#define IN_MAX       (16u << 20) /* systemd's longest answers have some KiB */
#define GREETING_MAX 4096

/* ---- addresses */

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The value with its %XX replaced; NULL if one is none, or is a NUL. */
static char *unescape(const char *s, size_t len)
{
	autostr out = {0};

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (s[i] != '%') {
			str_addc(&out, s[i]);
			continue;
		}
		high = i + 2 < len ? hex_value(s[i + 1]) : -1;
		low = high < 0 ? -1 : hex_value(s[i + 2]);
		if (low < 0 || high + low == 0)
			return NULL;
		str_addc(&out, (char)(high * 16 + low));
		i += 2;
	}
	return str_steal(&out);
}

/* The value of a key of "unix:KEY=VALUE,KEY=VALUE"; NULL: not there. */
static char *address_value(const char *address, size_t len, const char *key)
{
	const char *end = address + len, *p = address + strlen("unix:");
	size_t n = strlen(key);

	while (p < end) {
		size_t width = strcspn(p, ",;");

		if (width > n && p[n] == '=' && strncmp(p, key, n) == 0)
			return unescape(p + n + 1, width - n - 1);
		p += width + 1;
	}
	return NULL;
}

static int connect_abstract(const char *name, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	autofd sock = -1;

	if (len >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path + 1, name, len);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* cannot fail */
	if (connect(sock, (struct sockaddr *)&addr,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0) {
		errno = errno == EAGAIN ? ETIMEDOUT : errno;
		return -1;
	}
	return take_fd(&sock);
}

static int address_connect(const char *address, size_t len, int ms)
{
	autofree char *path = NULL;
	autofree char *name = NULL;
	struct err e = {0};
	int fd;

	if (!str_starts(address, "unix:")) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	path = address_value(address, len, "path");
	name = path ? NULL : address_value(address, len, "abstract");
	if (name)
		return connect_abstract(name, ms);
	if (!path) {
		errno = EINVAL;
		return -1;
	}
	fd = unix_connect_within(path, ms, &e);
	if (fd < 0)
		errno = e.errnum;
	return fd;
}

static int ms_left(const struct dbus *d)
{
	int64_t left = d->deadline - clock_ms();

	return left < 0 ? 0 : (int)left;
}

int dbus_open(struct dbus *d, const char *addresses, int64_t deadline)
{
	/* The identity is what the kernel says of us (SO_PEERCRED): it needs no name. */
	static const char greeting[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

	d->deadline = deadline;
	errno = EINVAL; /* of an empty list */
	for (const char *p = addresses; *p; p += *p == ';') {
		size_t len = strcspn(p, ";");
		int ms = ms_left(d);

		d->fd = len ? address_connect(p, len, ms ? ms : 1) : -1;
		if (d->fd >= 0) {
			str_addn(&d->out, greeting, sizeof(greeting) - 1);
			return 0;
		}
		p += len;
	}
	return -1;
}

void dbus_close(struct dbus *d)
{
	fd_close_at(&d->fd);
	str_free(&d->out);
	str_free(&d->in);
}

/* ---- what goes and comes */

int dbus_send(struct dbus *d)
{
	size_t sent = 0;

	while (sent < d->out.len) {
		ssize_t n = send(d->fd, d->out.s + sent, d->out.len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (n == 0 || errno != EINTR) /* a timeout is EAGAIN */
			break;
	}
	if (sent < d->out.len) {
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		else if (errno == EPIPE)
			errno = ECONNRESET;
		return -1;
	}
	d->out.len = 0;
	return 0;
}

/* Waits for more, and appends it. */
static int receive(struct dbus *d)
{
	char buf[4096];

	for (;;) {
		struct pollfd p = {.fd = d->fd, .events = POLLIN};
		int left = ms_left(d);
		/* Not even what is there already: there may be more and more. */
		int ready = left ? poll(&p, 1, left) : 0;
		ssize_t n;

		if (ready == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		n = ready < 0 ? -1 : recv(d->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			str_addn(&d->in, buf, (size_t)n);
			return 0;
		}
		if (n == 0) {
			errno = ECONNRESET;
			return -1;
		}
		if (errno != EINTR && errno != EAGAIN)
			return -1;
	}
}

/* Drops what has been read. */
static void in_forget(struct dbus *d)
{
	if (!d->done)
		return;
	d->in.len -= d->done;
	memmove(d->in.s, d->in.s + d->done, d->in.len + 1); /* with the NUL */
	d->done = 0;
}

/* Reads the lines before the first message: the other side asks for more data, of which there is
 * none, and then agrees. */
static int welcome_read(struct dbus *d)
{
	while (!d->welcome) {
		size_t left = d->in.len - d->done;
		const char *line = left ? d->in.s + d->done : NULL;
		const char *end = line ? memchr(line, '\n', left) : NULL;

		if (end ? d->done > GREETING_MAX : left > GREETING_MAX) {
			errno = EPROTO;
			return -1;
		}
		if (!end) {
			TRY(receive(d));
			continue;
		}
		d->done += (size_t)(end - line) + 1;
		if (str_starts(line, "OK"))
			d->welcome = true;
		else if (!str_starts(line, "DATA")) {
			errno = str_starts(line, "REJECTED") ? EACCES : EPROTO;
			return -1;
		}
	}
	return 0;
}

int dbus_greet(struct dbus *d)
{
	TRY(dbus_send(d));
	return welcome_read(d);
}

/* Whether the message that begins in d->in answers one of ours. Whoever is on the bus may send us
 * any other, but a bus lets nobody answer who was not asked. */
static bool is_answer(const struct dbus *d)
{
	return d->in.s[1] == DBUS_RETURN || d->in.s[1] == DBUS_ERROR;
}

static int message_skip(struct dbus *d, size_t len)
{
	while (len > d->in.len) {
		len -= d->in.len;
		d->in.len = 0;
		TRY(receive(d));
	}
	d->done = len;
	in_forget(d);
	return 0;
}

int dbus_next(struct dbus *d, struct dbus_message *m)
{
	TRY(welcome_read(d));
	in_forget(d);
	for (;;) {
		int64_t len = dbus_message_length(d->in.s, d->in.len);

		if (len < 0)
			return -1;
		if (len == 0 || (len <= IN_MAX && (size_t)len > d->in.len)) {
			TRY(receive(d));
			continue;
		}
		if (len <= IN_MAX && dbus_message_read(d->in.s, (size_t)len, m) == 0) {
			d->done = (size_t)len;
			return 0;
		}
		if (is_answer(d)) {
			errno = len > IN_MAX ? EMSGSIZE : EPROTO;
			return -1;
		}
		TRY(message_skip(d, (size_t)len));
	}
}
