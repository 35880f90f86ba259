/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk against openat2(2) as the model: same inode or same errno, for each path and set of
 * links. The input is lines: the path, then the texts of up to eight links. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const link_names[] = {"l0",     "l1",     "a/l2",     "a/l3",
                                         "a/b/l4", "a/b/l5", "a/b/c/l6", "l7"};
static char top[] = "/tmp/davit-fuzz-path-XXXXXX";
static int root = -1;

static void links_remove(void)
{
	for (size_t i = 0; i < sizeof(link_names) / sizeof(*link_names); i++)
		unlinkat(root, link_names[i], 0);
}

static void tree_remove(void)
{
	links_remove();
	unlinkat(root, "a/b/file", 0);
	unlinkat(root, "file", 0);
	unlinkat(root, "a/b/c", AT_REMOVEDIR);
	unlinkat(root, "a/b", AT_REMOVEDIR);
	unlinkat(root, "a", AT_REMOVEDIR);
	close(root);
	rmdir(top);
}

static void tree_make(void)
{
	if (!mkdtemp(top))
		abort();
	root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "a", 0755) < 0 || mkdirat(root, "a/b", 0755) < 0 ||
	    mkdirat(root, "a/b/c", 0755) < 0 || mknodat(root, "file", S_IFREG | 0644, 0) < 0 ||
	    mknodat(root, "a/b/file", S_IFREG | 0644, 0) < 0)
		abort();
	atexit(tree_remove);
}

struct outcome {
	int errnum;
	ino_t ino;
};

static struct outcome outcome(int fd)
{
	struct outcome o = {.errnum = fd < 0 ? errno : 0};
	struct stat st;

	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			abort();
		o.ino = st.st_ino;
		close(fd);
	}
	return o;
}

static void compare(const char *path, int flags, bool beneath)
{
	struct outcome o[2];

	for (int i = 0; i < 2; i++) {
		path_force_fallback(i);
		o[i] = outcome(beneath ? path_try_beneath(root, path, flags, 0)
		                       : path_try_open(root, path, flags));
	}
	path_force_fallback(false);
	if (o[0].errnum == o[1].errnum && o[0].ino == o[1].ino)
		return;
	fprintf(stderr, "path \"%s\" flags %#o beneath %d: model errno %d, walk errno %d\n", path,
	        (unsigned)flags, beneath, o[0].errnum, o[1].errnum);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *rest, *path;

	if (root < 0)
		tree_make();
	text = strndup((const char *)data, size);
	rest = text;
	path = strsep(&rest, "\n");
	for (size_t i = 0; rest && i < sizeof(link_names) / sizeof(*link_names); i++)
		if (symlinkat(strsep(&rest, "\n"), root, link_names[i]) < 0)
			continue; /* "", or too long: no such link */
	compare(path, O_PATH, false);
	compare(path, O_PATH | O_NOFOLLOW, false);
	compare(path, O_PATH | O_DIRECTORY, false);
	compare(path, O_RDONLY, false);
	compare(path, O_RDONLY | O_NOFOLLOW, false);
	compare(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, false);
	compare(path, O_PATH, true);
	compare(path, O_PATH | O_NOFOLLOW, true);
	compare(path, O_RDONLY, true);
	links_remove();
	free(text);
	return 0;
}
