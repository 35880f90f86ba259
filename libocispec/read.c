/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One frame per open object, array or map that the schema knows. What it does not know is
 * parsed, and only counted (reader.skip).
 */
#include "read.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "arena.h"
#include "frame.h"
#include "place.h"
#include "schema.h"
#include "utf8.h"
#include "value.h"

/* Nesting of what a schema knows; config.json reaches 6. */
#define FRAMES_MAX 16

static const char *const kind_names[] = {
	"null", "true or false", "a whole number", "a string", "an object", "an array",
};

struct reader {
	const char *text;
	size_t len;
	yajl_handle yajl;
	bool finishing;    /* yajl is past the text: its offsets mean nothing */
	size_t token_end;  /* of the token before the present one */
	const char *wrong; /* what utf8_check_json() found at bad; bad is SIZE_MAX if
                        nothing */
	size_t bad;
	struct arena *arena;
	struct arena scratch;
	void (*unknown)(void *data, const char *pointer, unsigned line);
	void *unknown_data;
	struct oci_error *error;
	const struct oci_schema *schema; /* of the document */
	unsigned object;
	char *out;
	unsigned skip; /* levels inside of an unknown value */
	unsigned n_frames;
	struct frame frames[FRAMES_MAX];
};

/* What a callback does with a value. yajl wants STOP to be 0. */
enum verdict {
	STOP,
	TAKE,
	SKIP
};

/* ---- Places and errors */

static size_t reader_consumed(const struct reader *r)
{
	return r->finishing ? r->len : yajl_get_bytes_consumed(r->yajl);
}

static size_t reader_skip_space(const struct reader *r, size_t at)
{
	while (at < r->len && memchr(" \t\n\r", r->text[at], 4))
		at++;
	return at;
}

/* Where the present token starts: between two tokens are white space and at most one of , : */
static size_t reader_token_start(const struct reader *r)
{
	size_t at = reader_skip_space(r, r->token_end);

	if (at < r->len && (r->text[at] == ',' || r->text[at] == ':'))
		at = reader_skip_space(r, at + 1);
	return at;
}

static void reader_pointer(const struct reader *r, char *out, size_t size)
{
	size_t used = 0;
	char index[24];

	out[0] = '\0';
	for (unsigned i = 0; i < r->n_frames && r->frames[i].busy && used < size; i++) {
		const struct frame *f = &r->frames[i];

		if (f->kind == FRAME_LIST)
			used = place_add_key(
				out, size, used, index,
				(size_t)snprintf(index, sizeof(index), "%zu", f->index));
		else
			used = place_add_key(out, size, used, f->key, f->key_len);
	}
	place_clean(out);
}

/* Always STOP. The first failure stays. */
__attribute__((format(printf, 3, 4))) static int reader_fail(struct reader *r, size_t at,
                                                             const char *fmt, ...)
{
	struct oci_error *e = r->error;
	va_list ap;

	if (e->msg[0])
		return STOP;
	reader_pointer(r, e->pointer, sizeof(e->pointer));
	e->line = place_line(r->text, at, &e->column);
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap); /* a long name is cut */
	va_end(ap);
	place_clean(e->msg);
	return STOP;
}

/* ---- Frames */

static struct frame *reader_top(struct reader *r)
{
	return r->n_frames ? &r->frames[r->n_frames - 1] : NULL;
}

static struct frame *reader_push(struct reader *r, enum frame_kind kind)
{
	struct frame *f = &r->frames[r->n_frames++];

	*f = (struct frame){
		.kind = kind,
		.start = reader_consumed(r) - 1, /* the bracket */
		.mark = r->scratch,
	};
	return f;
}

/* ---- Values */

/* Judges the value that comes, by its kind. */
static int value_begin(struct reader *r, enum kind got)
{
	struct frame *f = reader_top(r);
	enum kind want = KIND_OBJECT;

	if (f && f->kind == FRAME_LIST) {
		f->busy = true;
		f->index = f->n;
	}
	if (r->bad < reader_consumed(r))
		return reader_fail(r, r->bad, "%s", r->wrong);
	if (got >= KIND_OBJECT && r->n_frames + r->skip >= OCI_DEPTH_MAX)
		return reader_fail(r, reader_consumed(r) - 1, "nested deeper than %d levels",
		                   OCI_DEPTH_MAX);
	if (r->skip || (f && !f->field))
		return SKIP;
	if (f && got == KIND_NULL && frame_is_null_absent(f))
		return SKIP;
	if (f)
		want = frame_wants(f);
	if (got != want)
		return reader_fail(r, reader_token_start(r), "expected %s, not %s",
		                   kind_names[want],
		                   got == KIND_NUMBER ? "a number" : kind_names[got]);
	return TAKE;
}

/* The token has been dealt with; always TAKE. */
static int token_done(struct reader *r)
{
	r->token_end = reader_consumed(r);
	return TAKE;
}

static int value_done(struct reader *r)
{
	struct frame *f = reader_top(r);

	if (f && !r->skip)
		f->busy = false;
	return token_done(r);
}

static int on_null(void *ctx)
{
	return value_begin(ctx, KIND_NULL) == STOP ? STOP : value_done(ctx);
}

static int on_bool(void *ctx, int value)
{
	struct reader *r = ctx;
	int verdict = value_begin(r, KIND_BOOL);

	if (verdict == STOP)
		return STOP;
	if (verdict == TAKE)
		*(bool *)frame_slot(reader_top(r), &r->scratch) = value;
	return value_done(r);
}

static int on_number(void *ctx, const char *s, size_t n)
{
	struct reader *r = ctx;
	int verdict = value_begin(r, KIND_NUMBER);
	struct frame *f = reader_top(r);
	char why[128];

	if (verdict == STOP)
		return STOP;
	if (verdict == TAKE &&
	    value_read_number(f->field, s, n, frame_slot(f, &r->scratch), why, sizeof(why)) < 0)
		return reader_fail(r, reader_token_start(r), "%s", why);
	return value_done(r);
}

static int on_string(void *ctx, const unsigned char *bytes, size_t n)
{
	struct reader *r = ctx;
	int verdict = value_begin(r, KIND_STRING);
	const struct oci_field *field;
	const char *s = (const char *)bytes, *wrong;

	if (verdict != TAKE)
		return verdict == STOP ? STOP : value_done(r);
	field = reader_top(r)->field;
	if (n == 0 && field->rules == OCI_R_ABSOLUTE && field->shape == OCI_S_ONE)
		return value_done(r);
	wrong = value_check_string(field, s, n);
	if (wrong)
		return reader_fail(r, reader_token_start(r), "%s", wrong);
	*(char **)frame_slot(reader_top(r), &r->scratch) = arena_strndup(r->arena, s, n);
	return value_done(r);
}

/* ---- Keys */

/* Keeps a key that is no field, to find duplicates at the end of the object or map. */
static void reader_add_key(struct reader *r, struct frame *f, const char *key, size_t len)
{
	struct node *node = frame_add_node(f, &r->scratch);

	node->key = arena_strndup(f->kind == FRAME_MAP ? r->arena : &r->scratch, key, len);
	node->key_len = len;
	node->at = reader_token_start(r);
	f->key = node->key;
	f->key_len = len;
}

static int reader_fail_duplicate(struct reader *r, struct frame *f, size_t at)
{
	f->busy = true;
	return reader_fail(r, at, "\"%.*s\" appears twice", f->key_len > 64 ? 64 : (int)f->key_len,
	                   f->key);
}

static int on_map_key(void *ctx, const unsigned char *bytes, size_t n)
{
	struct reader *r = ctx;
	struct frame *f = reader_top(r);
	const char *key = (const char *)bytes;
	char pointer[sizeof(r->error->pointer)];
	unsigned column;
	uint64_t bit;

	if (r->bad < reader_consumed(r))
		return reader_fail(r, r->bad, "%s", r->wrong);
	if (r->skip)
		return token_done(r);
	if (f->kind == FRAME_OBJECT)
		f->field = frame_find_field(f, key, n);
	if (f->kind == FRAME_MAP || !f->field) {
		reader_add_key(r, f, key, n);
	} else {
		f->key = f->schema->names + f->field->name;
		f->key_len = n;
		bit = 1ULL << (f->hint - 1);
		if (f->seen & bit)
			return reader_fail_duplicate(r, f, reader_token_start(r));
		f->seen |= bit;
	}
	f->busy = true;
	if (f->kind == FRAME_MAP && n == 0 && (f->field->rules & OCI_R_NONEMPTY))
		return reader_fail(r, reader_token_start(r), "the key must not be empty");
	if (!f->field && r->unknown) {
		reader_pointer(r, pointer, sizeof(pointer));
		r->unknown(r->unknown_data, pointer,
		           place_line(r->text, reader_token_start(r), &column));
	}
	return token_done(r);
}

static int reader_check_keys(struct reader *r, struct frame *f)
{
	const struct node *n = frame_find_duplicate(f);

	if (!n)
		return TAKE;
	f->key = n->key;
	f->key_len = n->key_len;
	return reader_fail_duplicate(r, f, n->at);
}

/* ---- Objects, maps and arrays */

static int on_start(struct reader *r, enum kind kind)
{
	int verdict = value_begin(r, kind);
	struct frame *parent = reader_top(r), *f;
	void *slot;

	if (verdict == STOP)
		return STOP;
	if (verdict == SKIP) {
		r->skip++;
		return token_done(r);
	}
	if (r->n_frames == FRAMES_MAX)
		return reader_fail(r, reader_consumed(r) - 1, "the schema is nested too deeply");
	if (!parent) {
		f = reader_push(r, FRAME_OBJECT);
		frame_set_object(f, r->schema, r->object);
		f->out = r->out;
	} else if (parent->kind == FRAME_OBJECT && parent->field->shape >= OCI_S_LIST) {
		f = reader_push(r, parent->field->shape == OCI_S_MAP ? FRAME_MAP : FRAME_LIST);
		f->field = parent->field;
		f->schema = parent->schema;
		f->out = parent->out;
		if (f->field->type == OCI_T_OBJECT)
			frame_set_object(f, parent->schema, f->field->object);
	} else {
		slot = frame_slot(parent, &r->scratch);
		f = reader_push(r, FRAME_OBJECT);
		f->schema = parent->schema;
		f->object = parent->object;
		if (parent->kind == FRAME_OBJECT) {
			frame_set_object(f, parent->schema, parent->field->object);
			slot = *(void **)slot = arena_zalloc(r->arena, f->object->size);
		}
		f->out = slot;
	}
	return token_done(r);
}

static int on_start_map(void *ctx)
{
	return on_start(ctx, KIND_OBJECT);
}

static int on_start_array(void *ctx)
{
	return on_start(ctx, KIND_ARRAY);
}

static int reader_end_object(struct reader *r, struct frame *f)
{
	uint64_t missing = f->object->required & ~f->seen;

	if (missing) {
		const struct oci_field *field =
			&f->schema->fields[f->object->first + (unsigned)__builtin_ctzll(missing)];

		f->key = f->schema->names + field->name;
		f->key_len = field->len;
		f->busy = true;
		return reader_fail(r, f->start, "required property \"%s\" is missing", f->key);
	}
	return reader_check_keys(r, f);
}

static int on_end(void *ctx)
{
	struct reader *r = ctx;
	struct frame *f = reader_top(r);

	if (r->skip) {
		r->skip--;
		return value_done(r);
	}
	if (f->kind == FRAME_OBJECT) {
		if (reader_end_object(r, f) == STOP)
			return STOP;
		r->n_frames--;
		return value_done(r);
	}
	if (f->kind == FRAME_LIST && f->n == 0 && (f->field->rules & OCI_R_NONEMPTY))
		return reader_fail(r, f->start, "must not be empty");
	frame_store(f, r->arena);
	if (f->kind == FRAME_MAP && reader_check_keys(r, f) == STOP)
		return STOP;
	arena_rewind(&r->scratch, &f->mark);
	r->n_frames--;
	return value_done(r);
}

/* ---- yajl */

static void *pool_malloc(void *ctx, size_t size)
{
	size_t *block = arena_alloc(ctx, 16 + size);

	*block = size;
	return block + 16 / sizeof(*block);
}

static void *pool_realloc(void *ctx, void *p, size_t size)
{
	void *copy = pool_malloc(ctx, size);
	size_t old = p ? ((size_t *)p)[-(16 / (ptrdiff_t)sizeof(size_t))] : 0;

	return old ? memcpy(copy, p, old < size ? old : size) : copy;
}

static void pool_free(void *ctx, void *p)
{
	(void)ctx; /* the arena frees it */
	(void)p;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_map_key = on_map_key,
	.yajl_start_map = on_start_map,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/*
 * Where the token is that yajl refused. Its own offset can lie before or after the token, but tells
 * if the separator was refused or what follows it.
 */
static size_t reader_refused_token(const struct reader *r, bool lexical)
{
	size_t separator = reader_skip_space(r, r->token_end), start = reader_token_start(r);

	if (r->finishing)
		return r->len;
	return !lexical && reader_consumed(r) <= separator + 1 ? separator : start;
}

static int reader_fail_syntax(struct reader *r)
{
	const char *text = (const char *)yajl_get_error(r->yajl, 0, NULL, 0);
	const char *colon = strstr(text, ": "), *what = colon ? colon + 2 : text;
	size_t at = reader_refused_token(r, strncmp(text, "lex", 3) == 0);

	if (r->bad <= at)
		return reader_fail(r, r->bad, "%s", r->wrong);
	return reader_fail(r, at, "not valid JSON: %.*s", (int)strcspn(what, ".\n"), what);
}

static int reader_run(struct reader *r)
{
	yajl_status status = yajl_parse(r->yajl, (const unsigned char *)r->text, r->len);

	if (status == yajl_status_ok) {
		r->finishing = true;
		status = yajl_complete_parse(r->yajl);
	}
	if (status == yajl_status_error)
		reader_fail_syntax(r);
	return status == yajl_status_ok ? 0 : -1;
}

int oci_read_report(const struct oci_schema *schema, unsigned object, const char *text, size_t len,
                    struct arena *arena, void *out,
                    void (*unknown)(void *data, const char *pointer, unsigned line), void *data,
                    struct oci_error *error)
{
	_Alignas(max_align_t) char pool_buf[4096], scratch_buf[4096];
	struct arena pool;
	yajl_alloc_funcs funcs = {pool_malloc, pool_realloc, pool_free, &pool};
	struct reader r = {
		.text = text,
		.len = len,
		.arena = arena,
		.bad = SIZE_MAX,
		.unknown = unknown,
		.unknown_data = data,
		.error = error,
		.schema = schema,
		.object = object,
		.out = out,
	};
	int result;

	*error = (struct oci_error){.line = 0};
	memset(out, 0, schema->objects[object].size);
	if (len > OCI_SIZE_MAX) {
		reader_fail(&r, 0, "larger than %u MiB", OCI_SIZE_MAX >> 20);
		return -1;
	}
	arena_init(&pool, pool_buf, sizeof(pool_buf));
	arena_init(&r.scratch, scratch_buf, sizeof(scratch_buf));
	r.yajl = yajl_alloc(&callbacks, &funcs, &r);
	/* Its check of UTF-8 takes overlong forms and surrogates, ours does not. */
	yajl_config(r.yajl, yajl_dont_validate_strings, 1);
	r.wrong = utf8_check_json(text, len, &r.bad);
	result = reader_run(&r);
	arena_free(&pool);
	arena_free(&r.scratch);
	return result;
}

int oci_read(const struct oci_schema *schema, unsigned object, const char *text, size_t len,
             struct arena *arena, void *out, struct oci_error *error)
{
	return oci_read_report(schema, object, text, len, arena, out, NULL, NULL, error);
}
