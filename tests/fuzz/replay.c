/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main of a fuzz target when it is built without libFuzzer: runs every file of the given
 * directories and files through it once, in TAP. A crash or a sanitizer report ends the program,
 * which the runner sees; the input's name is the last line printed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int points;

static void replay_file(const char *path)
{
	struct stat st;
	uint8_t *data = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "rbe");

	printf("# %s\n", path);
	fflush(stdout);
	if (f && fstat(fileno(f), &st) == 0) {
		/* Exactly as large as the input, so that a sanitizer sees a read beyond it. */
		data = malloc(st.st_size ? (size_t)st.st_size : 1);
		if (data)
			size = fread(data, 1, (size_t)st.st_size, f);
	}
	points++;
	if (data && size == (size_t)st.st_size) {
		LLVMFuzzerTestOneInput(data, size);
		printf("ok %d - %s\n", points, path);
	} else {
		printf("not ok %d - %s: cannot be read\n", points, path);
	}
	free(data);
	if (f)
		fclose(f);
}

static int entry_shown(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void replay_path(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, entry_shown, alphasort);

	if (n < 0) {
		replay_file(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char *file = NULL;

		if (asprintf(&file, "%s/%s", path, names[i]->d_name) > 0)
			replay_file(file);
		free(file);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_path(argv[i]);
	printf("1..%d\n", points);
	return points == 0;
}
