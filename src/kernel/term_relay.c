/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "kernel/term.h"

enum {
	HUNG_MS = 100, /* how often to look whether the payload opened its terminal again */
	DRAIN_MS = 2000
};

/* An own open file of fd, so that O_NONBLOCK does not leak to those who share it. Where that is
 * impossible (a socket, a terminal of somebody else) or pointless (a regular file), a duplicate. */
static int relay_reopen(int fd, int flags)
{
	char path[32];
	struct stat st;
	int own = -1;

	if (fstat(fd, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = fd_try_open(AT_FDCWD, path, flags | O_NONBLOCK);
	}
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void relay_resize(const struct term_relay *r)
{
	struct winsize size;

	/* a line without a size, a serial one say, has 0 x 0 */
	if (ioctl(r->in, TIOCGWINSZ, &size) == 0 && (size.ws_row || size.ws_col))
		(void)ioctl(r->master, TIOCSWINSZ, &size); /* a size is no reason to fail */
}

/* Raw mode, unless another process group has the terminal: it would lose its own settings. */
static void relay_raw(struct term_relay *r)
{
	struct termios raw;

	if (r->raw || tcgetattr(r->in, &r->saved) < 0 || tcgetpgrp(r->in) != getpgrp())
		return;
	raw = r->saved;
	cfmakeraw(&raw);
	r->raw = tcsetattr(r->in, TCSANOW, &raw) == 0;
}

int term_relay_begin(struct term_relay *r, int master, int signals, struct err *e)
{
	int flags = fcntl(master, F_GETFL);

	if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
		return fail(e, errno, "set up the terminal");
	r->master = master;
	r->signals = signals;
	r->in = relay_reopen(STDIN_FILENO, O_RDONLY);
	r->out = relay_reopen(STDOUT_FILENO, O_WRONLY);
	if (r->in < 0 || r->out < 0) {
		fail(e, errno, "duplicate stdin and stdout");
		term_relay_end(r);
		return -1;
	}
	relay_resize(r);
	relay_raw(r);
	return 0;
}

static bool is_later(int errnum)
{
	return errnum == EAGAIN || errnum == EINTR;
}

/* Room for input and the two characters that may have to end it. */
static size_t buffer_room(const struct relay_buffer *b)
{
	return sizeof(b->data) - 2 - b->len;
}

/* Bytes read, 0 for none right now, -1 at the end or on failure. Only if there is room. */
static int buffer_fill(struct relay_buffer *b, int fd)
{
	ssize_t n;

	if (b->start > 0) {
		memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	n = read(fd, b->data + b->len, buffer_room(b));
	if (n > 0)
		b->len += (size_t)n;
	if (n == 0 || (n < 0 && !is_later(errno)))
		return -1;
	return n < 0 ? 0 : (int)n;
}

/* false when nobody will ever read it. */
static bool buffer_flush(struct relay_buffer *b, int fd)
{
	ssize_t n = write(fd, b->data + b->start, b->len);

	if (n < 0)
		return is_later(errno);
	b->start += (size_t)n;
	b->len -= (size_t)n;
	return true;
}

/* The end of stdin as a person would type it: a line that is not finished takes two. */
static void relay_type_eof(struct term_relay *r)
{
	struct relay_buffer *b = &r->to_master;
	struct termios t;

	if (tcgetattr(r->master, &t) < 0 || !(t.c_lflag & ICANON))
		return;
	for (int i = r->in_line ? 2 : 1; i > 0; i--)
		b->data[b->start + b->len++] = (char)t.c_cc[VEOF];
}

static void relay_read_in(struct term_relay *r)
{
	struct relay_buffer *b = &r->to_master;
	int n = buffer_fill(b, r->in);

	if (n > 0)
		r->in_line = b->data[b->len - 1] != '\n' && b->data[b->len - 1] != '\r';
	if (n >= 0)
		return;
	relay_type_eof(r);
	r->in_ended = true;
}

static void relay_write_out(struct term_relay *r)
{
	if (buffer_flush(&r->to_out, r->out))
		return;
	fd_close_at(&r->out); /* what comes from now on is dropped */
	r->to_out.len = r->to_out.start = 0;
}

/* The master fails with EIO, and poll(2) reports POLLHUP at once, while nobody has the other side
 * open: then it is looked at only now and then. */
static void relay_read_master(struct term_relay *r, short revents)
{
	if (!buffer_room(&r->to_out)) {
		r->hung = revents & (POLLHUP | POLLERR);
		return;
	}
	r->hung = buffer_fill(&r->to_out, r->master) < 0;
	if (r->out < 0)
		r->to_out.len = 0;
}

static int relay_read_signal(struct term_relay *r)
{
	struct signalfd_siginfo info;

	if (read(r->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGWINCH)
		relay_resize(r);
	if (info.ssi_signo == SIGCONT) /* perhaps in the foreground now */
		relay_raw(r);
	return (int)info.ssi_signo;
}

/* Descriptors with nothing to do are left out: an error on them would wake us for ever. */
static void relay_poll_set(const struct term_relay *r, struct pollfd p[4])
{
	short master = 0;

	if (buffer_room(&r->to_out) && !r->hung)
		master |= POLLIN;
	if (r->to_master.len > 0 && !r->hung)
		master |= POLLOUT;
	p[0] = (struct pollfd){.fd = !r->in_ended && buffer_room(&r->to_master) ? r->in : -1,
	                       .events = POLLIN};
	p[1] = (struct pollfd){.fd = master ? r->master : -1, .events = master};
	p[2] = (struct pollfd){.fd = r->to_out.len > 0 ? r->out : -1, .events = POLLOUT};
	p[3] = (struct pollfd){.fd = r->signals, .events = POLLIN};
}

int term_relay_step(struct term_relay *r, int *sig, struct err *e)
{
	struct pollfd p[4];

	*sig = 0;
	relay_poll_set(r, p);
	if (poll(p, 4, r->hung ? HUNG_MS : -1) < 0)
		return errno == EINTR ? 0 : fail(e, errno, "wait for the terminal");
	if (p[0].revents)
		relay_read_in(r);
	if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) || r->hung)
		relay_read_master(r, p[1].revents);
	if (p[1].revents & POLLOUT)
		(void)buffer_flush(&r->to_master, r->master); /* EIO: hung, seen by the read */
	if (p[2].revents)
		relay_write_out(r);
	if (p[3].revents)
		*sig = relay_read_signal(r);
	return 0;
}

static void relay_drain(struct term_relay *r)
{
	int64_t deadline = clock_ms() + DRAIN_MS;

	r->to_master.len = 0;
	while (clock_ms() < deadline) {
		bool reads = buffer_room(&r->to_out) && !r->hung;
		struct pollfd p[2] = {
			{.fd = reads ? r->master : -1,          .events = POLLIN },
			{.fd = r->to_out.len > 0 ? r->out : -1, .events = POLLOUT}
                };
		/* the kernel brings what is on its way to the master before it answers */
		int n = poll(p, 2, r->to_out.len > 0 ? 100 : 0);

		if (n == 0 && r->to_out.len == 0)
			return;
		if (p[0].revents)
			relay_read_master(r, p[0].revents);
		if (p[1].revents)
			relay_write_out(r);
		if (r->hung && r->to_out.len == 0)
			return;
	}
}

void term_relay_end(struct term_relay *r)
{
	if (r->master >= 0 && r->out >= 0)
		relay_drain(r);
	if (r->raw)
		(void)tcsetattr(r->in, TCSANOW, &r->saved); /* gone if this fails */
	r->raw = false;
	fd_close_at(&r->in);
	fd_close_at(&r->out);
	r->master = r->signals = -1;
}
