/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame.h"

#include <string.h>

#include "schema.h"

void frame_set_object(struct frame *f, const struct oci_schema *schema, unsigned object)
{
	f->schema = object & OCI_FOREIGN ? schema->uses : schema;
	f->object = &f->schema->objects[object & ~OCI_FOREIGN];
}

static size_t element_size(const struct frame *f)
{
	return oci_type_size(f->field->type, f->object);
}

struct node *frame_add_node(struct frame *f, struct arena *scratch)
{
	size_t payload = f->kind == FRAME_OBJECT ? 0 : element_size(f);
	struct node *node = arena_zalloc(scratch, sizeof(*node) + payload);

	if (f->last)
		f->last->next = node;
	else
		f->first = node;
	f->last = node;
	f->n++;
	return node;
}

void *frame_slot(struct frame *f, struct arena *scratch)
{
	if (f->kind == FRAME_LIST)
		return frame_add_node(f, scratch)->payload;
	if (f->kind == FRAME_MAP)
		return f->last->payload; /* made with the key */
	if (f->field->shape == OCI_S_OPT)
		*(bool *)(f->out + f->field->extra) = true;
	return f->out + f->field->offset;
}

enum kind frame_wants(const struct frame *f)
{
	if (f->kind == FRAME_OBJECT && f->field->shape == OCI_S_LIST)
		return KIND_ARRAY;
	if (f->kind == FRAME_OBJECT && f->field->shape == OCI_S_MAP)
		return KIND_OBJECT;
	switch (f->field->type) {
	case OCI_T_STR:
		return KIND_STRING;
	case OCI_T_BOOL:
		return KIND_BOOL;
	case OCI_T_OBJECT:
		return KIND_OBJECT;
	default:
		return KIND_NUMBER;
	}
}

bool frame_is_null_absent(const struct frame *f)
{
	return f->kind == FRAME_OBJECT && !(f->field->rules & OCI_R_REQUIRED);
}

const struct oci_field *frame_find_field(struct frame *f, const char *key, size_t len)
{
	const struct oci_field *fields = &f->schema->fields[f->object->first];

	for (unsigned i = 0; i < f->object->n; i++) {
		unsigned at = (f->hint + i) % f->object->n;

		if (fields[at].len == len &&
		    !memcmp(f->schema->names + fields[at].name, key, len)) {
			f->hint = at + 1;
			return &fields[at];
		}
	}
	return NULL;
}

static int node_compare(const struct node *a, const struct node *b)
{
	if (a->key_len != b->key_len)
		return a->key_len < b->key_len ? -1 : 1;
	return memcmp(a->key, b->key, a->key_len);
}

static struct node *nodes_merge(struct node *a, struct node *b)
{
	struct node *first = NULL, **end = &first;

	while (a && b) {
		struct node **least = node_compare(a, b) <= 0 ? &a : &b;

		*end = *least;
		end = &(*end)->next;
		*least = *end;
	}
	*end = a ? a : b;
	return first;
}

/* A stable merge sort: a hostile document must not make the search quadratic. */
static struct node *nodes_sort(struct node *list)
{
	struct node *runs[32] = {NULL}, *next; /* runs[i] has 1 << i nodes */
	unsigned i;

	for (; list; list = next) {
		struct node *run = list;

		next = list->next;
		list->next = NULL;
		for (i = 0; runs[i]; i++) {
			run = nodes_merge(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	for (i = 0; i < 32; i++)
		list = nodes_merge(runs[i], list);
	return list;
}

const struct node *frame_find_duplicate(struct frame *f)
{
	for (struct node *n = nodes_sort(f->first); n && n->next; n = n->next)
		if (node_compare(n, n->next) == 0)
			return n->next;
	return NULL;
}

static void *frame_collect(const struct frame *f, struct arena *arena)
{
	size_t size = element_size(f);
	char *array = arena_array(arena, f->n + 1, size), *to = array;

	for (struct node *n = f->first; n; n = n->next, to += size)
		memcpy(to, n->payload, size);
	return array;
}

static char **frame_collect_keys(const struct frame *f, struct arena *arena)
{
	char **keys = arena_array(arena, f->n + 1, sizeof(*keys)), **to = keys;

	for (struct node *n = f->first; n; n = n->next)
		*to++ = n->key;
	return keys;
}

void frame_store(const struct frame *f, struct arena *arena)
{
	void *at = f->out + f->field->offset;

	if (f->kind == FRAME_LIST) {
		*(void **)at = frame_collect(f, arena);
		*(size_t *)(f->out + f->field->extra) = f->n;
		return;
	}
	/* Maps of objects have the same layout. */
	*(struct oci_map *)at = (struct oci_map){
		.keys = frame_collect_keys(f, arena),
		.values = frame_collect(f, arena),
		.n = f->n,
	};
}
