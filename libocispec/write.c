/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "write.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "schema.h"
#include "utf8.h"

struct writer {
	struct arena *arena;
	char *text;
	size_t len;
	size_t size;
	bool pretty;
	unsigned level;
};

/* What does not fit is only counted: see writer_again. */
static void writer_add(struct writer *w, const char *s, size_t n)
{
	if (w->len <= w->size && n <= w->size - w->len)
		memcpy(w->text + w->len, s, n);
	w->len += n;
}

/* True if the text did not fit: there is room for it now, and it is to be written once more. A text
 * that grew by and by would touch twice the memory that it needs. */
static bool writer_again(struct writer *w)
{
	if (w->len <= w->size)
		return false;
	w->size = w->len;
	w->text = arena_alloc(w->arena, w->size);
	w->len = 0;
	return true;
}

static void writer_add_str(struct writer *w, const char *s)
{
	writer_add(w, s, strlen(s));
}

static void writer_add_number(struct writer *w, uint64_t value, bool negative)
{
	char digits[24], *end = digits + sizeof(digits), *at = end;

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (negative)
		*--at = '-';
	writer_add(w, at, (size_t)(end - at));
}

/* Writes the escape for C, if JSON demands one. */
static bool writer_add_escape(struct writer *w, unsigned char c)
{
	static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char code[6] = "\\u00";

	for (const char *p = names; *p; p += 2) {
		if ((unsigned char)p[0] == c) {
			code[1] = p[1];
			writer_add(w, code, 2);
			return true;
		}
	}
	if (c >= ' ' && c != 0x7f)
		return false;
	code[4] = "0123456789abcdef"[c >> 4];
	code[5] = "0123456789abcdef"[c & 15];
	writer_add(w, code, sizeof(code));
	return true;
}

/* How many of the N bytes at S, at least, are ASCII that goes out as it is: eight at a time. */
static size_t plain_length(const char *s, size_t n)
{
	uint64_t word, control, beyond;
	size_t i;

	for (i = 0; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		control = (word - WORD_ONES * ' ') & ~word & WORD_TOPS;
		beyond = (word | (word + WORD_ONES)) & WORD_TOPS; /* DEL and what is not ASCII */
		if (control | beyond | word_find(word, '"') | word_find(word, '\\'))
			break;
	}
	return i;
}

static void writer_add_quoted(struct writer *w, const char *s)
{
	size_t n = strlen(s), start = 0, i, step;

	writer_add(w, "\"", 1);
	for (i = plain_length(s, n); i < n; i += step) {
		const unsigned char *at = (const unsigned char *)s + i;
		bool special = *at < ' ' || *at == '"' || *at == '\\' || *at == 0x7f;

		step = !special && *at < 0x7f ? 1 : utf8_length(at, n - i);
		if (!special && step)
			continue;
		writer_add(w, s + start, i - start);
		if (special)
			writer_add_escape(w, *at);
		else
			writer_add_str(w, "\xef\xbf\xbd"); /* U+FFFD */
		step = 1;
		start = i + 1;
	}
	writer_add(w, s + start, i - start);
	writer_add(w, "\"", 1);
}

static void writer_open(struct writer *w, const char *bracket)
{
	writer_add(w, bracket, 1);
	w->level++;
}

static void writer_indent(struct writer *w)
{
	if (!w->pretty)
		return;
	writer_add(w, "\n", 1);
	for (unsigned i = 0; i < w->level; i++)
		writer_add(w, "  ", 2);
}

static void writer_close(struct writer *w, const char *bracket, bool empty)
{
	w->level--;
	if (!empty)
		writer_indent(w);
	writer_add(w, bracket, 1);
}

static void writer_separate(struct writer *w, bool first)
{
	if (!first)
		writer_add(w, ",", 1);
	writer_indent(w);
}

static void writer_add_key(struct writer *w, const char *key, bool first)
{
	writer_separate(w, first);
	writer_add_quoted(w, key);
	writer_add(w, ": ", w->pretty ? 2 : 1);
}

static void writer_add_object(struct writer *w, const struct oci_schema *schema, unsigned number,
                              const char *in);

/* One value of the type of F: IN is where it lies; for objects, the struct itself. */
static void writer_add_value(struct writer *w, const struct oci_schema *schema,
                             const struct oci_field *f, const void *in)
{
	int64_t v = 0;

	switch (f->type) {
	case OCI_T_STR:
		writer_add_quoted(w, *(char *const *)in);
		return;
	case OCI_T_BOOL:
		writer_add_str(w, *(const bool *)in ? "true" : "false");
		return;
	case OCI_T_OBJECT:
		writer_add_object(w, schema, f->object, in);
		return;
	case OCI_T_U16:
		writer_add_number(w, *(const uint16_t *)in, false);
		return;
	case OCI_T_U32:
		writer_add_number(w, *(const uint32_t *)in, false);
		return;
	case OCI_T_U64:
		writer_add_number(w, *(const uint64_t *)in, false);
		return;
	case OCI_T_INT:
		v = *(const int *)in;
		break;
	default:
		v = *(const int64_t *)in;
	}
	writer_add_number(w, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
}

static size_t field_size(const struct oci_schema *schema, const struct oci_field *f)
{
	const struct oci_schema *s = f->object & OCI_FOREIGN ? schema->uses : schema;

	return oci_type_size(f->type, &s->objects[f->object & ~OCI_FOREIGN]);
}

static void writer_add_list(struct writer *w, const struct oci_schema *schema,
                            const struct oci_field *f, const char *in)
{
	size_t size = field_size(schema, f), n = *(const size_t *)(in + f->extra);
	const char *element = *(const char *const *)(in + f->offset);

	writer_open(w, "[");
	for (size_t i = 0; i < n; i++, element += size) {
		writer_separate(w, i == 0);
		writer_add_value(w, schema, f, element);
	}
	writer_close(w, "]", n == 0);
}

static void writer_add_map(struct writer *w, const struct oci_schema *schema,
                           const struct oci_field *f, const struct oci_map *map)
{
	size_t size = field_size(schema, f);
	const char *value = (const char *)map->values; /* or structs: the layout is the same */

	writer_open(w, "{");
	for (size_t i = 0; i < map->n; i++, value += size) {
		writer_add_key(w, map->keys[i], i == 0);
		writer_add_value(w, schema, f, value);
	}
	writer_close(w, "}", map->n == 0);
}

static bool field_is_absent(const struct oci_field *f, const char *in)
{
	const void *at = in + f->offset;

	if (f->shape == OCI_S_OPT)
		return !*(const bool *)(in + f->extra);
	if (f->type == OCI_T_BOOL && f->shape == OCI_S_ONE)
		return !*(const bool *)at && !(f->rules & OCI_R_REQUIRED);
	if (f->type != OCI_T_STR && f->type != OCI_T_OBJECT && f->shape == OCI_S_ONE)
		return false;
	return !*(void *const *)at; /* also of a list, and the keys of a map */
}

static void writer_add_object(struct writer *w, const struct oci_schema *schema, unsigned number,
                              const char *in)
{
	const struct oci_schema *s = number & OCI_FOREIGN ? schema->uses : schema;
	const struct oci_object *object = &s->objects[number & ~OCI_FOREIGN];
	bool empty = true;

	writer_open(w, "{");
	for (const struct oci_field *f = &s->fields[object->first];
	     f < &s->fields[object->first] + object->n; f++) {
		const char *at = in + f->offset;

		if (field_is_absent(f, in))
			continue;
		writer_add_key(w, s->names + f->name, empty);
		empty = false;
		if (f->shape == OCI_S_LIST)
			writer_add_list(w, s, f, in);
		else if (f->shape == OCI_S_MAP)
			writer_add_map(w, s, f, (const struct oci_map *)at);
		else if (f->type == OCI_T_OBJECT)
			writer_add_value(w, s, f, *(const void *const *)at);
		else
			writer_add_value(w, s, f, at);
	}
	writer_close(w, "}", empty);
}

char *oci_write(const struct oci_schema *schema, unsigned object, const void *in, unsigned flags,
                struct arena *arena, size_t *len)
{
	struct writer w = {.arena = arena, .pretty = flags & OCI_WRITE_PRETTY};

	w.size = 2048;
	w.text = arena_alloc(arena, w.size);
	do {
		writer_add_object(&w, schema, object, in);
		if (flags & OCI_WRITE_NEWLINE)
			writer_add(&w, "\n", 1);
		writer_add(&w, "", 1);
	} while (writer_again(&w));
	if (len)
		*len = w.len - 1;
	return w.text;
}

char *oci_quote(const char *s, struct arena *arena)
{
	struct writer w = {.arena = arena};

	w.size = strlen(s) + 16;
	w.text = arena_alloc(arena, w.size);
	do {
		writer_add_quoted(&w, s);
		writer_add(&w, "", 1);
	} while (writer_again(&w));
	return w.text;
}
