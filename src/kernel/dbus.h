/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus, as far as asking systemd takes it: method calls with a body of basic types and arrays,
 * their answers, signals. Nothing here knows systemd. Messages are in the machine's byte order. See
 * the D-Bus specification, "Message Protocol" and "Authentication Protocol".
 *
 * All that is asked goes out in one piece, behind the greeting, and no answer is waited for before
 * the next message: d->out gathers, dbus_send sends. One deadline holds for everything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct dbus {
	int fd;
	bool welcome; /* the other side has accepted us */
	uint32_t serial;
	int64_t deadline; /* of clock_ms() */
	struct str out;   /* not sent yet */
	struct str in;    /* what came */
	size_t done;      /* so much of it has been read */
};

#define DBUS_INIT                                                                                  \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Connects to the first address that answers, of a list as in DBUS_SYSTEM_BUS_ADDRESS: UNIX sockets
 * only. The greeting is put into d->out. 0, or -1 with errno. */
int dbus_open(struct dbus *d, const char *addresses, int64_t deadline);
/* Sends the greeting alone and waits until it is accepted. A bus can do without, but sd-bus as a
 * server does not see messages that come in one piece with the greeting. 0, or -1 with errno. */
int dbus_greet(struct dbus *d);
void dbus_close(struct dbus *d);
#define autodbus __attribute__((cleanup(dbus_close))) struct dbus

/* ---- asking */

/* A method call; signature and body may be NULL for one without arguments. */
struct dbus_call {
	const char *destination, *path, *interface, *member;
	const char *signature;
	const struct str *body;
	bool no_reply;
};

/* Puts the call into d->out; its serial number, which the answer repeats. */
uint32_t dbus_call(struct dbus *d, const struct dbus_call *call);
/* Sends d->out. 0, or -1 with errno. */
int dbus_send(struct dbus *d);

/* A body is made from values in their order; it begins empty. */
void dbus_align(struct str *b, size_t size);
void dbus_put_u8(struct str *b, uint8_t value);
void dbus_put_u32(struct str *b, uint32_t value);
void dbus_put_u64(struct str *b, uint64_t value);
void dbus_put_string(struct str *b, const char *s);
void dbus_put_signature(struct str *b, const char *s);
/* An array whose elements are aligned to `size`: what is put between the two is in it. */
size_t dbus_array_begin(struct str *b, size_t size);
void dbus_array_end(struct str *b, size_t begin, size_t size);

/* ---- answers */

enum dbus_type {
	DBUS_CALL = 1,
	DBUS_RETURN,
	DBUS_ERROR,
	DBUS_SIGNAL
};

/* Values are taken from a body one after the other; one that is not there, or not well formed,
 * makes `bad` true and is 0 or "". Strings live as long as the message. */
struct dbus_reader {
	const char *data;
	size_t len, at;
	bool bad;
};

struct dbus_message {
	enum dbus_type type;
	uint32_t reply_serial;
	/* "" if not there */
	const char *path, *interface, *member, *error, *destination, *signature;
	struct dbus_reader body;
};

/* The next message: 0, or -1 with errno: ETIMEDOUT, ECONNRESET, EPROTO for what is no D-Bus, EACCES
 * for a refusal. The message holds until the next call. One that is no answer is left out when it
 * is too large, of the other byte order, or has fields that cannot be read.
 *
 * Whoever is on the bus may send us signals: those have a destination. Those without come by a rule
 * (AddMatch), and the bus has compared them with its sender. */
int dbus_next(struct dbus *d, struct dbus_message *m);

/* The length of the message, of either byte order, that begins at data; 0: it takes more to tell;
 * -1 with errno. */
int64_t dbus_message_length(const char *data, size_t len);
/* Reads the head of a whole message of the machine's byte order. 0, or -1 with errno. */
int dbus_message_read(const char *data, size_t len, struct dbus_message *m);

uint32_t dbus_take_u32(struct dbus_reader *r);
const char *dbus_take_string(struct dbus_reader *r);
const char *dbus_take_signature(struct dbus_reader *r);
/* Enters an array; its end, for `while (!r->bad && r->at < end)`. */
size_t dbus_take_array(struct dbus_reader *r, size_t size);
void dbus_take_align(struct dbus_reader *r, size_t size);
