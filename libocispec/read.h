/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON text -> the structs of ocispec.h, by walking the rows of a schema:
 *
 *	struct arena arena = {0};
 *	struct oci_config config;
 *	struct oci_error error;
 *	if (oci_read(&ocispec_schema, OCI_CONFIG, text, len, &arena, &config, &error) < 0)
 *		... "config.json:%u:%u: %s", error.line, error.column, error.msg ...
 *
 * What is absent is NULL, 0 or false; numbers and bools that must be told from 0 have a has_
 * field. An empty array or map is not NULL. null is taken as absent (Go writes nil slices so),
 * unless the property is required. Unknown properties are ignored, as the specification demands.
 *
 * Everything else is strict. These are errors: text that is not JSON (RFC 8259) or not UTF-8, more
 * than one value, a NUL or half a surrogate pair in a string, the same key twice in an object (but
 * for objects inside of unknown properties), a value of another type, a number with a fraction or
 * exponent or out of the range of its field, a missing required property, a broken rule of the
 * .def file, more than OCI_DEPTH_MAX levels or OCI_SIZE_MAX bytes.
 */
#pragma once

#include <stddef.h>

#define OCI_DEPTH_MAX 128
#define OCI_SIZE_MAX  (16u << 20)

struct arena;
struct oci_schema;

struct oci_error {
	char pointer[96];      /* RFC 6901, of the value or the missing property; "": the root */
	unsigned line, column; /* from 1; the column counts bytes */
	char msg[256];         /* "expected a whole number"; never empty */
};

/*
 * Reads TEXT (LEN bytes, no terminator needed) as object number OBJECT of SCHEMA into the struct
 * at OUT, which is zeroed first. All it points to is copied into ARENA. Returns 0, or -1 with
 * *ERROR filled in; then OUT is not to be used.
 */
int oci_read(const struct oci_schema *schema, unsigned object, const char *text, size_t len,
             struct arena *arena, void *out, struct oci_error *error);

/* As oci_read(); calls UNKNOWN with the pointer and line of each property that was ignored. */
int oci_read_report(const struct oci_schema *schema, unsigned object, const char *text, size_t len,
                    struct arena *arena, void *out,
                    void (*unknown)(void *data, const char *pointer, unsigned line), void *data,
                    struct oci_error *error);
