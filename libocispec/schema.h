/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows that gen.awk makes from a .def file, and that read.c and write.c walk. Rows refer to
 * each other by number, not by address: the tables need no relocation when a static-pie program
 * starts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* An object with free keys and string values, in the order of the document. NULL keys: absent. */
struct oci_map {
	char **keys;
	char **values;
	size_t n;
};

enum oci_type {
	OCI_T_STR,  /* const char *; char * in lists and maps */
	OCI_T_BOOL, /* bool */
	OCI_T_INT,  /* int, 32 bits */
	OCI_T_I64,
	OCI_T_U16,
	OCI_T_U32,
	OCI_T_U64,
	OCI_T_OBJECT /* pointer to a struct; the struct itself in lists and maps */
};

enum oci_shape {
	OCI_S_ONE,
	OCI_S_OPT,  /* extra is the offset of has_FIELD */
	OCI_S_LIST, /* extra is the offset of n_FIELD */
	OCI_S_MAP   /* {keys, values, n} */
};

enum oci_rule {
	OCI_R_REQUIRED = 1,
	OCI_R_ABSOLUTE = 2,
	OCI_R_NONEMPTY = 4,
	OCI_R_POSITIVE = 8,
	OCI_R_NATURAL = 16,
	OCI_R_PAGESIZE = 32,
	OCI_R_CPULIST = 64
};

struct oci_field {
	uint16_t name; /* offset into names */
	uint8_t len;
	uint8_t type;
	uint8_t shape;
	uint8_t rules;
	uint16_t offset;
	uint16_t extra;
	uint16_t object; /* number of the object; | OCI_FOREIGN if it is in schema->uses */
};

#define OCI_FOREIGN 0x8000

struct oci_object {
	uint64_t required; /* bit n: the rule of field n */
	uint16_t name;
	uint16_t first; /* of its rows in fields */
	uint16_t n;     /* at most 64 */
	uint16_t size;  /* of the struct */
};

struct oci_schema {
	const char *names;
	const struct oci_field *fields;
	const struct oci_object *objects;
	const struct oci_schema *uses; /* NULL: refers to its own objects only */
};

/* The size of one value of TYPE; OBJECT only counts for OCI_T_OBJECT. */
static inline size_t oci_type_size(unsigned type, const struct oci_object *object)
{
	static const uint8_t sizes[] = {sizeof(char *), sizeof(_Bool), sizeof(int), 8, 2, 4, 8};

	return type == OCI_T_OBJECT ? object->size : sizes[type];
}
