/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a bus sends: one message after the other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/dbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_read(struct dbus_reader r)
{
	struct dbus_reader other = r;
	size_t end;

	(void)dbus_take_u32(&r);
	while (!r.bad)
		if (strlen(dbus_take_string(&r)) > r.len)
			abort();
	(void)dbus_take_signature(&other);
	end = dbus_take_array(&other, 8);
	while (!other.bad && other.at < end) {
		dbus_take_align(&other, 8);
		(void)dbus_take_string(&other);
	}
	if (r.at > r.len || other.at > other.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1), *p = copy;
	int64_t len;

	memcpy(copy, data, size);
	for (; (len = dbus_message_length(p, size)) > 0 && (size_t)len <= size;
	     p += len, size -= (size_t)len) {
		struct dbus_message m;

		if (dbus_message_read(p, (size_t)len, &m) < 0)
			continue;
		if (m.body.data < p || m.body.len > (size_t)len || strlen(m.path) > size ||
		    strlen(m.error) > size || strlen(m.destination) > size ||
		    strlen(m.signature) > 255)
			abort();
		body_read(m.body);
	}
	free(copy);
	return 0;
}
