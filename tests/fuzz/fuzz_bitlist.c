/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of CPUs. What is taken has at least one bit, and writing the bits out and reading them
 * again gives the same list. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/sched.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xstrndup((const char *)data, size);
	struct bitlist one, two;
	struct err e = {0};
	autostr again = {0};

	if (bitlist_parse(text, &one, &e) < 0)
		return one.words != NULL || e.msg[0] == '\0' ? abort(), 0 : 0;
	for (size_t i = 0; i < one.n_bits; i++)
		if (bitlist_has(&one, i))
			str_addf(&again, "%s%zu", again.len > 0 ? "," : "", i);
	if ((*text != '\0') != (again.len > 0))
		abort();
	if (again.len > 0) {
		if (bitlist_parse(again.s, &two, &e) < 0 || two.n_bits != one.n_bits ||
		    memcmp(one.words, two.words, one.n_bits / 8) != 0)
			abort();
		bitlist_free(&two);
	}
	bitlist_free(&one);
	return 0;
}
