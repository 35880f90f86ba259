/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structs of ocispec.h -> JSON text, by walking the rows of a schema. Left out: NULL pointers,
 * maps with NULL keys, optional fields without has_, and plain bools that are false and not
 * required. Arrays and maps that are not NULL are written, even if empty; plain numbers always.
 */
#pragma once

#include <stddef.h>

struct arena;
struct oci_schema;

enum oci_write_flags {
	OCI_WRITE_COMPACT = 0,
	OCI_WRITE_PRETTY = 1,  /* two spaces, one value per line */
	OCI_WRITE_NEWLINE = 2, /* ends with a line feed */
};

/*
 * Returns the text of the struct at IN, which is object number OBJECT of SCHEMA, terminated and
 * allocated in ARENA; *LEN, unless LEN is NULL, is its length. Bytes that are not UTF-8 become
 * U+FFFD.
 */
char *oci_write(const struct oci_schema *schema, unsigned object, const void *in, unsigned flags,
                struct arena *arena, size_t *len);

/* S as a JSON string with its quotes, for the few documents that no .def file describes. */
char *oci_quote(const char *s, struct arena *arena);
