/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages as bytes. Each value is aligned to its size, counted from the beginning of the message;
 * a body begins at a multiple of 8, so that it can be made apart. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "kernel/dbus.h"

#define ORDER         (__BYTE_ORDER == __LITTLE_ENDIAN ? 'l' : 'B')
#define VERSION       1
#define FLAG_NO_REPLY 1
#define FIXED         16 /* bytes before the array of fields */
#define LENGTH_MAX    (1u << 27)

enum field {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_REPLY_SERIAL,
	FIELD_DESTINATION,
	FIELD_SENDER,
	FIELD_SIGNATURE
};

/* ---- making */

static size_t padding(size_t at, size_t size)
{
	return (size - at % size) % size;
}

void dbus_align(struct str *b, size_t size)
{
	str_addn(b, "\0\0\0\0\0\0\0", padding(b->len, size));
}

void dbus_put_u8(struct str *b, uint8_t value)
{
	str_addc(b, (char)value);
}

void dbus_put_u32(struct str *b, uint32_t value)
{
	dbus_align(b, sizeof(value));
	str_addn(b, (const char *)&value, sizeof(value));
}

void dbus_put_u64(struct str *b, uint64_t value)
{
	dbus_align(b, sizeof(value));
	str_addn(b, (const char *)&value, sizeof(value));
}

void dbus_put_string(struct str *b, const char *s)
{
	size_t len = strlen(s);

	dbus_put_u32(b, (uint32_t)len);
	str_addn(b, s, len + 1);
}

void dbus_put_signature(struct str *b, const char *s)
{
	size_t len = strlen(s);

	dbus_put_u8(b, (uint8_t)len);
	str_addn(b, s, len + 1);
}

size_t dbus_array_begin(struct str *b, size_t size)
{
	size_t begin;

	dbus_put_u32(b, 0);
	begin = b->len;
	dbus_align(b, size);
	return begin;
}

void dbus_array_end(struct str *b, size_t begin, size_t size)
{
	uint32_t len = (uint32_t)(b->len - begin - padding(begin, size));

	memcpy(b->s + begin - sizeof(len), &len, sizeof(len));
}

static void put_field(struct str *b, enum field code, const char *type, const char *value)
{
	if (!value)
		return;
	dbus_align(b, 8);
	dbus_put_u8(b, (uint8_t)code);
	dbus_put_signature(b, type);
	if (type[0] == 'g')
		dbus_put_signature(b, value);
	else
		dbus_put_string(b, value);
}

uint32_t dbus_call(struct dbus *d, const struct dbus_call *call)
{
	autostr head = {0};
	size_t fields;

	dbus_put_u8(&head, ORDER);
	dbus_put_u8(&head, DBUS_CALL);
	dbus_put_u8(&head, call->no_reply ? FLAG_NO_REPLY : 0);
	dbus_put_u8(&head, VERSION);
	dbus_put_u32(&head, call->body ? (uint32_t)call->body->len : 0);
	dbus_put_u32(&head, ++d->serial);
	fields = dbus_array_begin(&head, 8);
	put_field(&head, FIELD_PATH, "o", call->path);
	put_field(&head, FIELD_INTERFACE, "s", call->interface);
	put_field(&head, FIELD_MEMBER, "s", call->member);
	put_field(&head, FIELD_DESTINATION, "s", call->destination);
	put_field(&head, FIELD_SIGNATURE, "g", call->signature);
	dbus_array_end(&head, fields, 8);
	dbus_align(&head, 8);
	str_addn(&d->out, head.s, head.len);
	if (call->body && call->body->len)
		str_addn(&d->out, call->body->s, call->body->len);
	return d->serial;
}

/* ---- reading */

static bool take(struct dbus_reader *r, void *value, size_t size)
{
	dbus_take_align(r, size);
	if (r->bad || r->len - r->at < size) {
		r->bad = true;
		return false;
	}
	memcpy(value, r->data + r->at, size);
	r->at += size;
	return true;
}

void dbus_take_align(struct dbus_reader *r, size_t size)
{
	size_t skip = padding(r->at, size);

	if (r->bad || r->len - r->at < skip)
		r->bad = true;
	else
		r->at += skip;
}

uint32_t dbus_take_u32(struct dbus_reader *r)
{
	uint32_t value = 0;

	(void)take(r, &value, sizeof(value));
	return value;
}

/* Text of a known length with its NUL. */
static const char *take_text(struct dbus_reader *r, size_t len)
{
	const char *s = r->data + r->at;

	if (r->bad || len >= r->len - r->at || s[len] || memchr(s, 0, len)) {
		r->bad = true;
		return "";
	}
	r->at += len + 1;
	return s;
}

const char *dbus_take_string(struct dbus_reader *r)
{
	uint32_t len = dbus_take_u32(r);

	return take_text(r, len);
}

const char *dbus_take_signature(struct dbus_reader *r)
{
	uint8_t len = 0;

	(void)take(r, &len, sizeof(len));
	return take_text(r, len);
}

size_t dbus_take_array(struct dbus_reader *r, size_t size)
{
	uint32_t len = dbus_take_u32(r);

	dbus_take_align(r, size);
	if (r->bad || len > r->len - r->at) {
		r->bad = true;
		return r->at;
	}
	return r->at + len;
}

/* A variant of a basic type; a string, or the number. */
static const char *take_variant(struct dbus_reader *r, uint32_t *number)
{
	const char *type = dbus_take_signature(r);
	char skipped[8];

	switch (type[0] && type[1] ? '\0' : type[0]) {
	case 's':
	case 'o':
		return dbus_take_string(r);
	case 'g':
		return dbus_take_signature(r);
	case 'u':
		*number = dbus_take_u32(r);
		return "";
	case 'y':
		(void)take(r, skipped, 1);
		return "";
	case 'n':
	case 'q':
		(void)take(r, skipped, 2);
		return "";
	case 'b':
	case 'i':
		(void)take(r, skipped, 4);
		return "";
	case 'x':
	case 't':
	case 'd':
		(void)take(r, skipped, 8);
		return "";
	default:
		r->bad = true;
		return "";
	}
}

int64_t dbus_message_length(const char *data, size_t len)
{
	uint32_t body, fields;

	if (len < FIXED)
		return 0;
	memcpy(&body, data + 4, sizeof(body));
	memcpy(&fields, data + 12, sizeof(fields));
	body = data[0] == 'l' ? le32toh(body) : be32toh(body);
	fields = data[0] == 'l' ? le32toh(fields) : be32toh(fields);
	if ((data[0] != 'l' && data[0] != 'B') || data[3] != VERSION || body > LENGTH_MAX ||
	    fields > LENGTH_MAX) {
		errno = EPROTO;
		return -1;
	}
	return (int64_t)FIXED + fields + (int64_t)padding(fields, 8) + body;
}

int dbus_message_read(const char *data, size_t len, struct dbus_message *m)
{
	const char *fields[FIELD_SIGNATURE + 1] = {"", "", "", "", "", "", "", "", ""};
	struct dbus_reader r = {.data = data, .len = len, .at = 12};
	size_t end = dbus_take_array(&r, 8);

	*m = (struct dbus_message){.type = (enum dbus_type)(unsigned char)data[1]};
	while (!r.bad && r.at < end) {
		const char *text;
		uint32_t number = 0;
		uint8_t code = 0;

		dbus_take_align(&r, 8);
		(void)take(&r, &code, 1);
		text = take_variant(&r, &number);
		if (code < sizeof(fields) / sizeof(*fields))
			fields[code] = text;
		if (code == FIELD_REPLY_SERIAL)
			m->reply_serial = number;
	}
	dbus_take_align(&r, 8);
	if (r.bad || data[0] != ORDER) {
		errno = EPROTO;
		return -1;
	}
	m->path = fields[FIELD_PATH];
	m->interface = fields[FIELD_INTERFACE];
	m->member = fields[FIELD_MEMBER];
	m->error = fields[FIELD_ERROR];
	m->destination = fields[FIELD_DESTINATION];
	m->signature = fields[FIELD_SIGNATURE];
	m->body = (struct dbus_reader){.data = data + r.at, .len = len - r.at};
	return 0;
}
