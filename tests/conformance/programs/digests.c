// CRC-32, SHA-256, AES-128, a Mersenne-like generator, LZ-style matching and a small interpreter: code as programs have it.
#include <stdlib.h>
#include "common.h"

static uint32_t crc_table[256];
static uint32_t crc32(const uint8_t *p, size_t n) {
  uint32_t c = ~0u;
  while (n--) c = crc_table[(c ^ *p++) & 255] ^ (c >> 8);
  return ~c;
}

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256(const uint8_t *data, size_t length, uint32_t h[8]) {
  static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  static uint32_t k[64];
  if (!k[0]) {
    // Cube roots of the first 64 primes, by integer Newton steps.
    int n = 0;
    for (unsigned p = 2; n < 64; p++) {
      int prime = 1;
      for (unsigned d = 2; d * d <= p; d++) if (p % d == 0) prime = 0;
      if (!prime) continue;
      unsigned __int128 target = (unsigned __int128)p << 96;
      uint64_t lo = 0, hi = (uint64_t)8 << 32;
      while (lo + 1 < hi) {
        uint64_t mid = (lo + hi) / 2;
        if ((unsigned __int128)mid * mid * mid <= target) lo = mid; else hi = mid;
      }
      k[n++] = (uint32_t)lo;
    }
  }
  memcpy(h, first, sizeof first);
  size_t total = (length + 9 + 63) / 64 * 64;
  for (size_t at = 0; at < total; at += 64) {
    uint8_t block[64];
    for (size_t i = 0; i < 64; i++) {
      size_t j = at + i;
      block[i] = j < length ? data[j] : j == length ? 0x80 : j >= total - 8 ? (uint8_t)((uint64_t)length * 8 >> (8 * (total - 1 - j))) : 0;
    }
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) w[i] = w[i - 16] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] + (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
      uint32_t t1 = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
      uint32_t t2 = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      v[7] = v[6]; v[6] = v[5]; v[5] = v[4]; v[4] = v[3] + t1; v[3] = v[2]; v[2] = v[1]; v[1] = v[0]; v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
  }
}

static uint8_t sbox[256];
static uint8_t twice(uint8_t x) { return (uint8_t)(x << 1 ^ (x >> 7) * 0x1b); }
static void make_sbox(void) {
  uint8_t p = 1, q = 1;
  do {
    p = (uint8_t)(p ^ twice(p));
    q ^= (uint8_t)(q << 1); q ^= (uint8_t)(q << 2); q ^= (uint8_t)(q << 4);
    if (q & 0x80) q ^= 9;
    uint8_t x = (uint8_t)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4));
    sbox[p] = x ^ 0x63;
  } while (p != 1);
  sbox[0] = 0x63;
}

static void aes128(const uint8_t key[16], uint8_t s[16]) {
  uint8_t k[176];
  memcpy(k, key, 16);
  uint8_t round_constant = 1;
  for (int i = 16; i < 176; i += 4) {
    uint8_t t[4];
    memcpy(t, k + i - 4, 4);
    if (i % 16 == 0) {
      uint8_t f = t[0];
      t[0] = sbox[t[1]] ^ round_constant; t[1] = sbox[t[2]]; t[2] = sbox[t[3]]; t[3] = sbox[f];
      round_constant = twice(round_constant);
    }
    for (int j = 0; j < 4; j++) k[i + j] = k[i + j - 16] ^ t[j];
  }
  for (int i = 0; i < 16; i++) s[i] ^= k[i];
  for (int r = 1; r <= 10; r++) {
    uint8_t t[16];
    for (int i = 0; i < 16; i++) t[i] = sbox[s[(i + 4 * (i & 3)) & 15]];
    for (int c = 0; c < 16; c += 4) {
      uint8_t *a = t + c;
      uint8_t all = a[0] ^ a[1] ^ a[2] ^ a[3], b0 = a[0];
      for (int i = 0; i < 4; i++) {
        uint8_t next = i == 3 ? b0 : a[i + 1];
        s[c + i] = r == 10 ? a[i] : (uint8_t)(a[i] ^ all ^ twice(a[i] ^ next));
      }
    }
    for (int i = 0; i < 16; i++) s[i] ^= k[16 * r + i];
  }
}

static void machine(void) {
  // A small stack machine looking for primes.
  long stack[16], memory[4] = {0};
  int sp = 0;
  for (memory[0] = 2; memory[0] < 3000; memory[0]++) {
    int prime = 1;
    for (memory[1] = 2; memory[1] * memory[1] <= memory[0]; memory[1]++) {
      stack[sp++] = memory[0]; stack[sp++] = memory[1];
      sp--; stack[sp - 1] %= stack[sp];
      if (stack[--sp] == 0) { prime = 0; break; }
    }
    if (prime) digest((uint64_t)memory[0]);
  }
  report("primes");
}

int main(void) {
  for (uint32_t i = 0; i < 256; i++) { uint32_t c = i; for (int j = 0; j < 8; j++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0); crc_table[i] = c; }
  static uint8_t data[100003];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(random64() >> 20);
  printf("crc32 %08x %08x\n", crc32((const uint8_t *)"123456789", 9), crc32(data, sizeof data));
  uint32_t h[8];
  sha256((const uint8_t *)"abc", 3, h);
  printf("sha256 %08x%08x%08x%08x%08x%08x%08x%08x\n", h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
  for (size_t n = 0; n < 130; n++) { sha256(data, n, h); digest_bytes(h, sizeof h); }
  sha256(data, sizeof data, h); digest_bytes(h, sizeof h);
  report("sha256");
  make_sbox();
  uint8_t key[16], block[16];
  for (int i = 0; i < 16; i++) { key[i] = (uint8_t)i; block[i] = (uint8_t)(i * 0x11); }
  aes128(key, block);
  for (int i = 0; i < 16; i++) printf("%02x", block[i]);
  printf("\n");
  for (int i = 0; i < 2000; i++) { aes128(key, block); key[i & 15] ^= block[(i * 7) & 15]; }
  digest_bytes(block, 16); report("aes");
  machine();
  // Longest matches in a window, as a compressor looks for them.
  for (size_t at = 1000; at < 3000; at += 7) {
    size_t best = 0, where = 0;
    for (size_t from = at - 1000; from < at; from++) {
      size_t n = 0;
      while (n < 20 && (data[from + n] & 3) == (data[at + n] & 3)) n++;
      if (n > best) { best = n; where = from; }
    }
    digest(best << 32 | where);
  }
  report("matches");
  memmove(data + 17, data + 3, 50000); digest_bytes(data, sizeof data);
  memmove(data + 3, data + 21, 50001); digest_bytes(data, sizeof data);
  for (int n = 0; n < 200; n++) { memset(data + n * 13, n, (size_t)n); digest((uint64_t)memcmp(data + n, data + 2 * n, (size_t)n) >> 63); memcpy(data + 60000 + n, data + n * 3, (size_t)(n * 5)); }
  digest_bytes(data, sizeof data);
  report("memory");
  return 0;
}
