/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount options of config.md and those that peers accept, and the parser of one mount. */
#include "kernel/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/unapplied.h"

/* The value of a row: what kind of option, how it acts, and its bits. */
enum {
	KIND_NONE,  /* accepted; the default, or without meaning to the kernel */
	KIND_ATTR,  /* MOUNT_ATTR_* */
	KIND_ATIME, /* one of the three values of MOUNT_ATTR__ATIME */
	KIND_SB,    /* MS_* of the superblock */
	KIND_FLAG,  /* MOUNT_* of ours */
	KIND_PROPAGATION,
	KIND_IDMAP
};
#define KIND_SHIFT  40
#define ROW_CLEAR   (INT64_C(1) << 48)
#define ROW_REC     (INT64_C(1) << 49)
#define ROW(kind)   ((int64_t)(kind) << KIND_SHIFT)
#define ROW_BITS    0xffffffffU
#define KIND(value) ((int)((value) >> KIND_SHIFT) & 0xff)

#define ATTR(bit)   (ROW(KIND_ATTR) | (bit))
#define UNATTR(bit) (ATTR(bit) | ROW_CLEAR)
#define ATIME(bit)  (ROW(KIND_ATIME) | (bit))
#define SB(bit)     (ROW(KIND_SB) | (bit))
#define UNSB(bit)   (SB(bit) | ROW_CLEAR)
#define FLAG(bits)  (ROW(KIND_FLAG) | (bits))
#define PROP(bit)   (ROW(KIND_PROPAGATION) | (bit))

/* What mount(8) adds to the mounts that it makes for a user: group and owner; users also noexec. */
#define USER_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* "atime", "norelatime" and "nostrictatime" all lead back to the kernel's default, relatime. */
static const struct name mount_option_rows[] = {
	{"async",          UNSB(MS_SYNCHRONOUS)                           },
	{"atime",          ATIME(MOUNT_ATTR_RELATIME)                     },
	{"auto",           ROW(KIND_NONE)				 },
	{"bind",           FLAG(MOUNT_BIND)                               },
	{"copy-symlink",   FLAG(MOUNT_COPY_SYMLINK)                       },
	{"defaults",       ROW(KIND_NONE)                                 },
	{"dest-nofollow",  FLAG(MOUNT_DEST_NOFOLLOW)                      },
	{"dev",            UNATTR(MOUNT_ATTR_NODEV)                       },
	{"diratime",       UNATTR(MOUNT_ATTR_NODIRATIME)                  },
	{"dirsync",        SB(MS_DIRSYNC)                                 },
	{"exec",           UNATTR(MOUNT_ATTR_NOEXEC)                      },
	{"group",          ATTR(USER_SAFE)                                },
	{"idmap",          ROW(KIND_IDMAP) | MOUNT_IDMAP                  },
	{"iversion",       FLAG(MOUNT_IVERSION)                           },
	{"lazytime",       SB(MS_LAZYTIME)                                },
	{"loud",           ROW(KIND_NONE)				 },
	{"mand",           SB(MS_MANDLOCK)				},
	{"noatime",        ATIME(MOUNT_ATTR_NOATIME)                      },
	{"noauto",         ROW(KIND_NONE)				 },
	{"nodev",          ATTR(MOUNT_ATTR_NODEV)                         },
	{"nodiratime",     ATTR(MOUNT_ATTR_NODIRATIME)                    },
	{"noexec",         ATTR(MOUNT_ATTR_NOEXEC)                        },
	{"nofail",         ROW(KIND_NONE)				 },
	{"noiversion",     FLAG(MOUNT_IVERSION) | ROW_CLEAR               },
	{"nolazytime",     UNSB(MS_LAZYTIME)                              },
	{"nomand",         UNSB(MS_MANDLOCK)                              },
	{"norelatime",     ATIME(MOUNT_ATTR_RELATIME)                     },
	{"nostrictatime",  ATIME(MOUNT_ATTR_RELATIME)                     },
	{"nosuid",         ATTR(MOUNT_ATTR_NOSUID)                        },
	{"nosymfollow",    ATTR(MOUNT_ATTR_NOSYMFOLLOW)                   },
	{"nouser",         ROW(KIND_NONE)				 },
	{"owner",          ATTR(USER_SAFE)                                },
	{"private",        PROP(MS_PRIVATE)                               },
	{"ratime",         ATIME(MOUNT_ATTR_RELATIME) | ROW_REC           },
	{"rbind",          FLAG(MOUNT_BIND | MOUNT_REC)                   },
	{"rdev",           UNATTR(MOUNT_ATTR_NODEV) | ROW_REC             },
	{"rdiratime",      UNATTR(MOUNT_ATTR_NODIRATIME) | ROW_REC        },
	{"relatime",       ATIME(MOUNT_ATTR_RELATIME)                     },
	{"remount",        FLAG(MOUNT_REMOUNT)                            },
	{"rexec",          UNATTR(MOUNT_ATTR_NOEXEC) | ROW_REC            },
	{"ridmap",         ROW(KIND_IDMAP) | MOUNT_IDMAP | MOUNT_IDMAP_REC},
	{"rnoatime",       ATIME(MOUNT_ATTR_NOATIME) | ROW_REC            },
	{"rnodev",         ATTR(MOUNT_ATTR_NODEV) | ROW_REC               },
	{"rnodiratime",    ATTR(MOUNT_ATTR_NODIRATIME) | ROW_REC          },
	{"rnoexec",        ATTR(MOUNT_ATTR_NOEXEC) | ROW_REC              },
	{"rnorelatime",    ATIME(MOUNT_ATTR_RELATIME) | ROW_REC           },
	{"rnostrictatime", ATIME(MOUNT_ATTR_RELATIME) | ROW_REC           },
	{"rnosuid",        ATTR(MOUNT_ATTR_NOSUID) | ROW_REC              },
	{"rnosymfollow",   ATTR(MOUNT_ATTR_NOSYMFOLLOW) | ROW_REC         },
	{"ro",             ATTR(MOUNT_ATTR_RDONLY)                        },
	{"rprivate",       PROP(MS_PRIVATE) | ROW_REC                     },
	{"rrelatime",      ATIME(MOUNT_ATTR_RELATIME) | ROW_REC           },
	{"rro",            ATTR(MOUNT_ATTR_RDONLY) | ROW_REC              },
	{"rrw",            UNATTR(MOUNT_ATTR_RDONLY) | ROW_REC            },
	{"rshared",        PROP(MS_SHARED) | ROW_REC                      },
	{"rslave",         PROP(MS_SLAVE) | ROW_REC                       },
	{"rstrictatime",   ATIME(MOUNT_ATTR_STRICTATIME) | ROW_REC        },
	{"rsuid",          UNATTR(MOUNT_ATTR_NOSUID) | ROW_REC            },
	{"rsymfollow",     UNATTR(MOUNT_ATTR_NOSYMFOLLOW) | ROW_REC       },
	{"runbindable",    PROP(MS_UNBINDABLE) | ROW_REC                  },
	{"rw",             UNATTR(MOUNT_ATTR_RDONLY)                      },
	{"shared",         PROP(MS_SHARED)                                },
	{"silent",         ROW(KIND_NONE)				 },
	{"slave",          PROP(MS_SLAVE)				 },
	{"src-nofollow",   FLAG(MOUNT_SRC_NOFOLLOW)                       },
	{"strictatime",    ATIME(MOUNT_ATTR_STRICTATIME)                  },
	{"suid",           UNATTR(MOUNT_ATTR_NOSUID)                      },
	{"symfollow",      UNATTR(MOUNT_ATTR_NOSYMFOLLOW)                 },
	{"sync",           SB(MS_SYNCHRONOUS)                             },
	{"tmpcopyup",      FLAG(MOUNT_COPYUP)                             },
	{"unbindable",     PROP(MS_UNBINDABLE)                            },
	{"user",           ATTR(USER_SAFE | MOUNT_ATTR_NOEXEC)            },
	{"users",          ATTR(USER_SAFE | MOUNT_ATTR_NOEXEC)            },
};
const struct names mount_options = {mount_option_rows, COUNT(mount_option_rows)};

unsigned long mount_propagation(const char *word)
{
	int64_t value;

	if (!names_find(&mount_options, word, &value) || KIND(value) != KIND_PROPAGATION)
		return 0;
	return (unsigned long)(value & ROW_BITS) | (value & ROW_REC ? MS_REC : 0);
}

/* The last word counts where two contradict each other, as in mount(8). */
static void attrs_add(struct mount_attrs *a, int64_t value)
{
	uint64_t bits = (uint64_t)value & ROW_BITS;

	if (KIND(value) == KIND_ATIME) {
		a->set = (a->set & ~(uint64_t)MOUNT_ATTR__ATIME) | bits;
		a->clr |= MOUNT_ATTR__ATIME;
	} else if (value & ROW_CLEAR) {
		a->clr |= bits;
		a->set &= ~bits;
	} else {
		a->set |= bits;
		a->clr &= ~bits;
	}
}

static void sb_add(struct mount_plan *out, int64_t value)
{
	unsigned long bits = (unsigned long)(value & ROW_BITS);

	if (value & ROW_CLEAR) {
		out->sb_clr |= bits;
		out->sb_set &= ~bits;
	} else {
		out->sb_set |= bits;
		out->sb_clr &= ~bits;
	}
}

static void flag_add(struct mount_plan *out, int64_t value)
{
	unsigned bits = (unsigned)(value & ROW_BITS);

	if (value & ROW_CLEAR)
		out->flags &= ~bits;
	else
		out->flags |= bits;
}

/* idmap, ridmap, and the form that carries a map: "idmap=uids=0-1000-1;gids=0-1000-1". */
static int idmap_add(struct mount_plan *out, int64_t value, const char *map,
                     const struct mount_parse *p, struct arena *a, struct err *e)
{
	out->flags |= (unsigned)(value & ROW_BITS);
	return map ? idmap_parse(map, p->own_maps, a, &out->idmap, e) : 0;
}

/* The row of a word; "ro=recursive" is what mount(8) has for "rro", and "ro=vfs" for "ro". */
static bool option_find(char *word, int64_t *value)
{
	char *how = strchr(word, '=');
	bool found;

	if (!how)
		return names_find(&mount_options, word, value);
	if (!str_eq(how, "=recursive") && !str_eq(how, "=vfs"))
		return false;
	*how = '\0';
	found = names_find(&mount_options, word, value) &&
	        (KIND(*value) == KIND_ATTR || KIND(*value) == KIND_ATIME);
	*how = '=';
	if (found && how[1] == 'r')
		*value |= ROW_REC;
	return found;
}

/* For mount(8) alone: fstab(5) lines are copied into configurations. */
static bool option_is_comment(const char *word)
{
	return str_starts(word, "x-") || str_starts(word, "X-") || str_starts(word, "comment=") ||
	       str_eq(word, "_netdev");
}

static int option_add(struct mount_plan *out, char *word, const struct mount_parse *p,
                      struct arena *a, struct err *e)
{
	char *map = strchr(word, '=');
	int64_t value;

	if (map && (str_starts(word, "idmap=") || str_starts(word, "ridmap=")))
		*map++ = '\0';
	else
		map = NULL;
	if (!option_find(word, &value)) {
		if (!option_is_comment(word))
			((const char **)(uintptr_t)out->data)[out->n_data++] = word;
		return 0;
	}
	switch (KIND(value)) {
	case KIND_ATTR:
	case KIND_ATIME:
		attrs_add(value & ROW_REC ? &out->attr_rec : &out->attr, value);
		break;
	case KIND_SB:
		sb_add(out, value);
		break;
	case KIND_FLAG:
		flag_add(out, value);
		break;
	case KIND_PROPAGATION:
		out->propagation = (unsigned long)(value & ROW_BITS);
		out->propagation_rec = value & ROW_REC;
		break;
	case KIND_IDMAP:
		return idmap_add(out, value, map, p, a, e);
	default:
		break;
	}
	return 0;
}

/* The end of the first of several options joined by commas; one that is quoted or escaped
 * stays. */
static char *option_end(char *s)
{
	bool quoted = false;

	for (; *s && (quoted || *s != ','); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (*s == '\\' && s[1])
			s++;
	}
	return s;
}

static size_t options_count(const struct oci_mount *m)
{
	size_t n = m->n_options;

	for (size_t i = 0; i < m->n_options; i++)
		for (const char *s = m->options[i]; *s; s++)
			n += *s == ',';
	return n;
}

/* What a recursive option says holds for the top mount too, in whatever order they stand: a tree
 * of which only the top can be written to is nobody's wish. */
static void attrs_settle(struct mount_plan *out)
{
	uint64_t bits = out->attr_rec.set | out->attr_rec.clr;

	out->attr.set &= ~bits;
	out->attr.clr &= ~bits;
}

static int options_parse(const struct oci_mount *m, const struct mount_parse *p, struct arena *a,
                         struct mount_plan *out, struct err *e)
{
	size_t n = options_count(m);

	out->data = n ? arena_array(a, n, sizeof(*out->data)) : NULL;
	for (size_t i = 0; i < m->n_options; i++) {
		char *word = m->options[i];

		if (strpbrk(word, ",="))
			word = arena_strdup(a, word);
		while (*word) {
			char *end = option_end(word);
			bool more = *end;

			if (more)
				*end = '\0';
			if (*word && option_add(out, word, p, a, e) < 0)
				return fail_at(e, "/mounts/%zu/options/%zu", out->index, i);
			if (!more)
				break;
			word = end + 1;
		}
	}
	attrs_settle(out);
	return 0;
}

static int idmap_finish(const struct oci_mount *m, const struct mount_parse *p,
                        struct mount_plan *out, struct err *e)
{
	if (m->n_uid_mappings || m->n_gid_mappings) {
		if (!m->n_uid_mappings || !m->n_gid_mappings)
			return fail(e, 0,
			            "mount on \"%s\": uidMappings and gidMappings go together",
			            m->destination);
		out->idmap.uid = (struct idmap){m->uid_mappings, m->n_uid_mappings};
		out->idmap.gid = (struct idmap){m->gid_mappings, m->n_gid_mappings};
		out->flags |= MOUNT_IDMAP;
	}
	if (!(out->flags & MOUNT_IDMAP))
		return 0;
	if (!(out->flags & MOUNT_BIND) || (out->flags & MOUNT_REMOUNT))
		return fail(e, 0, "mount on \"%s\": only a bind mount can be idmapped", out->dest);
	if (out->idmap.uid.n || out->idmap.gid.n) {
		TRY(idmap_check(&out->idmap.uid, NULL, e));
		return idmap_check(&out->idmap.gid, NULL, e);
	}
	if (!p->userns) {
		fail(e, 0, "mount on \"%s\": idmap without mappings, and no user namespace",
		     out->dest);
		return fail_hint(e, "give uidMappings and gidMappings of the mount");
	}
	out->flags |= MOUNT_IDMAP_OWN;
	return 0;
}

/* True for "/", "//", "/./" and so on. */
static bool dest_is_root(const char *s)
{
	for (; *s; s++)
		if (*s != '/' && !(*s == '.' && (s[1] == '/' || !s[1])))
			return false;
	return true;
}

/* What is a property of the file system, mount(2) does not apply to a bind mount either. */
static void bind_note(const struct mount_plan *m)
{
	static const struct {
		unsigned long flag;
		const char *word;
	} rows[] = {
		{MS_SYNCHRONOUS, "sync"    },
		{MS_DIRSYNC,     "dirsync" },
		{MS_LAZYTIME,    "lazytime"},
		{MS_MANDLOCK,    "mand"    },
	};
	autostr words = {0};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (m->sb_set & rows[i].flag)
			str_addf(&words, " %s", rows[i].word);
	if (m->flags & MOUNT_IVERSION)
		str_add(&words, " iversion");
	for (size_t i = 0; i < m->n_data; i++)
		str_addf(&words, " %s", m->data[i]);
	if (words.len)
		unapplied_note("mount on \"%s\": options of file systems mean nothing to a bind "
		               "mount:%s",
		               m->dest, words.s);
}

static int source_finish(const struct oci_mount *m, const struct mount_parse *p, struct arena *a,
                         struct mount_plan *out, struct err *e)
{
	const char *source = m->source ? m->source : "";

	out->source = source;
	if (!(out->flags & MOUNT_BIND)) {
		out->type = m->type ? m->type : "";
		/* Engines write "none" where a propagation is all that the entry has. */
		if (out->propagation && str_eq(out->type, "none"))
			out->type = "";
		if (*out->type || (out->flags & MOUNT_REMOUNT) || out->propagation)
			return 0;
		return fail(e, 0, "mount on \"%s\" has neither a type nor the option bind",
		            out->dest);
	}
	out->type = "bind";
	bind_note(out);
	out->n_data = 0;
	if (out->flags & MOUNT_REMOUNT)
		return 0;
	if (!*source)
		return fail(e, 0, "bind mount on \"%s\" has no source", out->dest);
	if (*source != '/')
		out->source = arena_printf(a, "%s/%s", p->bundle, source);
	return 0;
}

int mount_plan_parse(const struct oci_mount *m, size_t index, const struct mount_parse *p,
                     struct arena *a, struct mount_plan *out, struct err *e)
{
	*out = (struct mount_plan){.index = index, .dest = m->destination};
	if (m->type && strcmp(m->type, "bind") == 0)
		out->flags |= MOUNT_BIND;
	if (options_parse(m, p, a, out, e) < 0 || source_finish(m, p, a, out, e) < 0 ||
	    idmap_finish(m, p, out, e) < 0)
		return fail_at(e, "/mounts/%zu", index);
	if ((out->flags & MOUNT_COPYUP) && strcmp(out->type, "tmpfs") != 0) {
		fail(e, 0, "mount on \"%s\": tmpcopyup is for tmpfs, not \"%s\"", out->dest,
		     out->type);
		return fail_at(e, "/mounts/%zu", index);
	}
	if (dest_is_root(out->dest) && !(out->flags & MOUNT_REMOUNT)) {
		fail(e, 0, "mount on \"%s\": the root is no destination", out->dest);
		return fail_at(e, "/mounts/%zu/destination", index);
	}
	return 0;
}
