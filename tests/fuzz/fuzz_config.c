/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads bytes as every kind of document. What is taken must come through the writer and the reader
 * unchanged, and what is refused must have a message with a place inside the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "ocispec.h"
#include "read.h"
#include "write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct oci_error *e)
{
	if (!e->msg[0] || e->line == 0 || e->column == 0)
		abort();
}

static void check_round_trip(unsigned object, const void *in, struct arena *arena)
{
	struct oci_error e;
	size_t len, again_len;
	char *text = oci_write(&ocispec_schema, object, in, 0, arena, &len), *again;
	void *out = arena_alloc(arena, ocispec_schema.objects[object].size);

	if (oci_read(&ocispec_schema, object, text, len, arena, out, &e) < 0)
		abort();
	again = oci_write(&ocispec_schema, object, out, 0, arena, &again_len);
	if (len != again_len || memcmp(text, again, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned objects[] = {OCI_CONFIG, OCI_PROCESS, OCI_RESOURCES, OCI_STATE,
	                                   OCI_FEATURES};

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		struct arena arena = {.next = NULL};
		struct oci_error e;
		void *out = arena_alloc(&arena, ocispec_schema.objects[objects[i]].size);

		if (oci_read(&ocispec_schema, objects[i], (const char *)data, size, &arena, out,
		             &e) < 0)
			check_error(&e);
		else
			check_round_trip(objects[i], out, &arena);
		arena_free(&arena);
	}
	return 0;
}
