/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/blake2b.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* The first 64 bits of the fractions of the square roots of the first 8 primes. */
static const uint64_t start[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* Which words of the message a round takes; the last two rounds begin again. */
static const uint8_t order[10][16] = {
	{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15},
	{14, 10, 4,  8,  9,  15, 13, 6,  1,  12, 0,  2,  11, 7,  5,  3 },
	{11, 8,  12, 0,  5,  2,  15, 13, 10, 14, 3,  6,  7,  1,  9,  4 },
	{7,  9,  3,  1,  13, 12, 11, 14, 2,  6,  5,  10, 4,  0,  15, 8 },
	{9,  0,  5,  7,  2,  4,  10, 15, 14, 1,  11, 12, 6,  8,  3,  13},
	{2,  12, 6,  10, 0,  11, 8,  3,  4,  13, 7,  5,  15, 14, 1,  9 },
	{12, 5,  1,  15, 14, 13, 4,  10, 0,  7,  6,  3,  9,  2,  8,  11},
	{13, 11, 7,  14, 12, 1,  3,  9,  5,  0,  15, 4,  8,  6,  2,  10},
	{6,  15, 14, 9,  11, 3,  0,  8,  12, 2,  13, 7,  1,  4,  10, 5 },
	{10, 2,  8,  4,  7,  6,  1,  5,  15, 11, 9,  14, 3,  12, 13, 0 },
};

static inline uint64_t rotate(uint64_t x, int n)
{
	return x >> n | x << (64 - n);
}

static inline void mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y)
{
	*a += *b + x;
	*d = rotate(*d ^ *a, 32);
	*c += *d;
	*b = rotate(*b ^ *c, 24);
	*a += *b + y;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 63);
}

static void block_add(struct blake2b *b, bool last)
{
	uint64_t m[16], v[16];

	for (int i = 0; i < 16; i++) {
		memcpy(&m[i], b->block + 8 * i, sizeof(m[i]));
		m[i] = le64toh(m[i]);
	}
	memcpy(v, b->h, sizeof(b->h));
	memcpy(v + 8, start, sizeof(start));
	v[12] ^= b->len;
	if (last)
		v[14] = ~v[14];
	for (int round = 0; round < 12; round++) {
		const uint8_t *at = order[round % 10];

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			mix(&v[i], &v[4 + i], &v[8 + i], &v[12 + i], m[at[2 * i]],
			    m[at[2 * i + 1]]);
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			mix(&v[i], &v[4 + (i + 1) % 4], &v[8 + (i + 2) % 4], &v[12 + (i + 3) % 4],
			    m[at[8 + 2 * i]], m[at[9 + 2 * i]]);
	}
	for (int i = 0; i < 8; i++)
		b->h[i] ^= v[i] ^ v[8 + i];
}

void blake2b_begin(struct blake2b *b)
{
	memcpy(b->h, start, sizeof(start));
	b->h[0] ^= 0x01010000 | BLAKE2B_SIZE; /* no key, no tree */
	b->len = 0;
	b->n_block = 0;
}

void blake2b_add(struct blake2b *b, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		if (b->n_block == sizeof(b->block)) {
			b->len += sizeof(b->block);
			block_add(b, false);
			b->n_block = 0;
		}
		size_t n = sizeof(b->block) - b->n_block;

		if (n > len)
			n = len;
		memcpy(b->block + b->n_block, p, n);
		b->n_block += n;
		p += n;
		len -= n;
	}
}

void blake2b_end(struct blake2b *b, uint8_t digest[BLAKE2B_SIZE])
{
	b->len += b->n_block;
	memset(b->block + b->n_block, 0, sizeof(b->block) - b->n_block);
	block_add(b, true);
	for (int i = 0; i < BLAKE2B_SIZE / 8; i++) {
		uint64_t word = htole64(b->h[i]);

		memcpy(digest + 8 * i, &word, sizeof(word));
	}
}
