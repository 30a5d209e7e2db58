// Shared by the programs of this folder: deterministic random numbers and a running digest of results.
#ifndef COMMON_H
#define COMMON_H
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t random_state = 0x243f6a8885a308d3u;

static inline uint64_t random64(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state * 0x2545f4914f6cdd1du;
}

// Values near the ends of their range as often as random ones.
static inline uint64_t edgy64(void) {
  uint64_t r = random64();
  switch (r & 7) {
    case 0: return (r >> 8) & 7;
    case 1: return ~((r >> 8) & 7);
    case 2: return (uint64_t)1 << ((r >> 8) & 63);
    case 3: return ((uint64_t)1 << ((r >> 8) & 63)) - 1;
    case 4: return (uint64_t)(int64_t)(int32_t)(r >> 8);
    default: return random64();
  }
}

static uint64_t digest_state = 0xcbf29ce484222325u;

static inline void digest(uint64_t value) {
  for (int i = 0; i < 8; i++) {
    digest_state ^= value & 255;
    digest_state *= 0x100000001b3u;
    value >>= 8;
  }
}

static inline void digest_bytes(const void *bytes, size_t count) {
  const unsigned char *at = bytes;
  for (size_t i = 0; i < count; i++) {
    digest_state ^= at[i];
    digest_state *= 0x100000001b3u;
  }
}

static inline void report(const char *name) {
  printf("%-28s %016llx\n", name, (unsigned long long)digest_state);
  digest_state = 0xcbf29ce484222325u;
}
#endif
