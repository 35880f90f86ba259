/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/sha256.h"

#include <endian.h>
#include <string.h>

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t rounds[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static inline uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* word t of the message schedule, kept in a ring of 16 */
static inline uint32_t schedule(uint32_t w[16], int t)
{
	uint32_t a = w[(t + 1) & 15], b = w[(t + 14) & 15];

	w[t & 15] += (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[(t + 9) & 15] +
	             (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	return w[t & 15];
}

/* One round. Which variable plays which part turns with t, so that nothing is moved; a loop over
 * constant turns is unrolled. */
#define V(n) v[((n)-t) & 7]
static inline void round_add(uint32_t v[8], int t, uint32_t x)
{
	V(7) += (rotate(V(4), 6) ^ rotate(V(4), 11) ^ rotate(V(4), 25)) +
	        (V(6) ^ (V(4) & (V(5) ^ V(6)))) + x;
	V(3) += V(7);
	V(7) += (rotate(V(0), 2) ^ rotate(V(0), 13) ^ rotate(V(0), 22)) +
	        ((V(0) & V(1)) | (V(2) & (V(0) | V(1))));
}
#undef V

static void block_add(uint32_t state[8], const uint8_t *data)
{
	uint32_t w[16], v[8];

	memcpy(w, data, sizeof(w));
	memcpy(v, state, sizeof(v));
#pragma GCC unroll 16
	for (int t = 0; t < 16; t++) {
		w[t] = be32toh(w[t]);
		round_add(v, t, rounds[t] + w[t]);
	}
	for (int base = 16; base < 64; base += 16)
#pragma GCC unroll 16
		for (int t = 0; t < 16; t++)
			round_add(v, t, rounds[base + t] + schedule(w, t));
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_begin(struct sha256 *s)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(s->h, start, sizeof(start));
	s->len = 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t used = s->len % 64, n = 64 - used;

		if (n > len)
			n = len;
		memcpy(s->block + used, p, n);
		s->len += n;
		p += n;
		len -= n;
		if (used + n == 64)
			block_add(s->h, s->block);
	}
}

void sha256_end(struct sha256 *s, uint8_t digest[SHA256_SIZE])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = htobe64(s->len * 8);

	sha256_add(s, padding, 1 + (119 - s->len % 64) % 64);
	sha256_add(s, &bits, sizeof(bits));
	for (int i = 0; i < 8; i++) {
		uint32_t word = htobe32(s->h[i]);

		memcpy(digest + 4 * i, &word, sizeof(word));
	}
}
