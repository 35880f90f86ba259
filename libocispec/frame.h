/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The open objects, arrays and maps of a reader. Elements of arrays and maps are collected as
 * nodes in a scratch arena, and copied to their final place when their number is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

struct oci_field;
struct oci_object;
struct oci_schema;

enum frame_kind {
	FRAME_OBJECT,
	FRAME_LIST,
	FRAME_MAP
};

/* Kinds of JSON values; also an index into kind_names. */
enum kind {
	KIND_NULL,
	KIND_BOOL,
	KIND_NUMBER,
	KIND_STRING,
	KIND_OBJECT,
	KIND_ARRAY
};

struct node {
	struct node *next;
	char *key; /* NULL in arrays */
	size_t key_len;
	size_t at; /* where the key starts */
	_Alignas(uint64_t) char payload[];
};

struct frame {
	enum frame_kind kind;
	bool busy; /* a value is being read: key or index belong to the pointer */
	/* Of a FRAME_OBJECT itself, else of the elements; object is NULL if they are scalars. */
	const struct oci_schema *schema;
	const struct oci_object *object;
	/* FRAME_OBJECT: the property being read, NULL if unknown; else that of the array or map. */
	const struct oci_field *field;
	char *out;       /* the struct, or the struct with the array or map */
	const char *key; /* FRAME_OBJECT, FRAME_MAP */
	size_t key_len;
	size_t index;       /* FRAME_LIST */
	size_t start;       /* where the value starts in the text */
	uint64_t seen;      /* FRAME_OBJECT: a bit per field */
	unsigned hint;      /* FRAME_OBJECT: the field that probably comes next */
	struct node *first; /* elements; FRAME_OBJECT: the unknown keys */
	struct node *last;
	size_t n;
	struct arena mark; /* of the scratch arena before the first element */
};

/* Makes F a frame of object number OBJECT of SCHEMA, or of elements that are such objects. */
void frame_set_object(struct frame *f, const struct oci_schema *schema, unsigned object);

/* The row of property KEY of a FRAME_OBJECT; F->hint is its number plus 1. NULL if unknown. */
const struct oci_field *frame_find_field(struct frame *f, const char *key, size_t len);

/* The kind of JSON value the row of F asks for; F->field is not NULL. */
enum kind frame_wants(const struct frame *f);
/* Whether null means the same as no value here. */
bool frame_is_null_absent(const struct frame *f);

/* Appends a zeroed element or, to a FRAME_OBJECT, a node for an unknown key. */
struct node *frame_add_node(struct frame *f, struct arena *scratch);

/* Where the value that has come is to be stored: in the struct or in an element. */
void *frame_slot(struct frame *f, struct arena *scratch);

/* Stores the elements of an array or a map in the struct; each array ends with a zeroed element. */
void frame_store(const struct frame *f, struct arena *arena);

/* The later one of two nodes with the same key, or NULL. Loses the order of the nodes. */
const struct node *frame_find_duplicate(struct frame *f);
