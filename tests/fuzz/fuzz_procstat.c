/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/stat: the name in it is chosen by the process. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name of any bytes in front of a real tail must not change what is read. */
static void check_name(const uint8_t *name, size_t size)
{
	static const char tail[] = ") S 1 2 2 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 987654 23 24\n";
	size_t len = size + 3 + sizeof(tail) - 1;
	char *text = malloc(len), state = 0;
	uint64_t start = 0;

	memcpy(text, "7 (", 3);
	if (size)
		memcpy(text + 3, name, size);
	memcpy(text + 3 + size, tail, sizeof(tail) - 1);
	if (proc_stat_parse(text, len, &state, &start) < 0 || state != 'S' || start != 987654)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t start;
	char state;

	(void)proc_stat_parse((const char *)data, size, &state, &start);
	check_name(data, size);
	return 0;
}
