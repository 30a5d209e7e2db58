/* CRC-32 (ISO-HDLC, bit by bit) and SHA-256 (FIPS 180-4), and the pattern they are taken of. */
#include "cpu.h"

u32 crc32_bitwise(u32 crc, const u8 *data, u64 length)
{
  crc = ~crc;
  while (length--) {
    crc ^= *data++;
    for (u32 bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

/* The top bytes of a 64-bit linear congruential sequence (Knuth's MMIX constants) that starts after 1. */
void fill_pattern(u8 *to, u64 bytes)
{
  u64 x = 1;
  while (bytes--) {
    x = x * U64(6364136223846793005) + U64(1442695040888963407);
    *to++ = (u8)(x >> 56);
  }
}

static const u32 round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
    0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
    0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
    0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
    0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 rotate_right(u32 x, u32 n) { return x >> n | x << (32 - n); }

static void sha256_block(u32 state[8], const u8 *block)
{
  u32 w[64], s[8];
  for (u32 i = 0; i < 16; i++) {
    u32 v;
    __builtin_memcpy(&v, block + 4 * i, 4);
    w[i] = be32(v);
  }
  for (u32 i = 16; i < 64; i++) {
    u32 a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) + (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
  }
  for (u32 i = 0; i < 8; i++) s[i] = state[i];
  for (u32 i = 0; i < 64; i++) {
    u32 big1 = rotate_right(s[4], 6) ^ rotate_right(s[4], 11) ^ rotate_right(s[4], 25);
    u32 big0 = rotate_right(s[0], 2) ^ rotate_right(s[0], 13) ^ rotate_right(s[0], 22);
    u32 t1 = s[7] + big1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + w[i];
    u32 t2 = big0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (u32 k = 7; k; k--) s[k] = s[k - 1];
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (u32 i = 0; i < 8; i++) state[i] += s[i];
}

void sha256(const u8 *data, u64 length, u8 digest[32])
{
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  u64 left = length;
  for (; left >= 64; left -= 64, data += 64) sha256_block(state, data);
  u8 tail[128];
  memset(tail, 0, sizeof tail);
  memcpy(tail, data, left);
  tail[left] = 0x80;
  u64 end = left < 56 ? 64 : 128, bits = be64(length * 8);
  memcpy(tail + end - 8, &bits, 8);
  for (u64 at = 0; at < end; at += 64) sha256_block(state, tail + at);
  for (u32 i = 0; i < 8; i++) {
    u32 v = be32(state[i]);
    memcpy(digest + 4 * i, &v, 4);
  }
}
