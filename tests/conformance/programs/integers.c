// Integer work of every width: shifts, division, wide products, 128-bit numbers, bit fields, calls with many and variable
// arguments, switch tables, recursion, non-local jumps, sorting.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include "common.h"

typedef __int128 i128;
typedef unsigned __int128 u128;

static void put128(u128 v) { digest((uint64_t)(v >> 64)); digest((uint64_t)v); }

#define WIDTH(NAME, S, U, BITS)                                             \
  static void NAME(void) {                                                  \
    for (int i = 0; i < 20000; i++) {                                       \
      U a = (U)edgy64(), b = (U)edgy64();                                   \
      S sa = (S)a, sb = (S)b;                                               \
      unsigned n = (unsigned)b & (BITS - 1);                                \
      digest((U)(a + b)); digest((U)(a - b)); digest((U)(a * b));           \
      digest((U)(a << n)); digest((U)(a >> n)); digest((uint64_t)(sa >> n)); \
      digest((U)((U)(a << n) | (U)(a >> ((BITS - n) & (BITS - 1)))));       \
      digest(a < b); digest(sa < sb); digest(a == b);                       \
      if (b) { digest(a / b); digest(a % b); }                              \
      if (b && !(sb == -1 && a == (U)1 << (BITS - 1))) {                    \
        digest((uint64_t)(S)(sa / sb)); digest((uint64_t)(S)(sa % sb));     \
      }                                                                     \
      digest((U)(a & ~b)); digest((U)~(a ^ b)); digest((U)-a);              \
    }                                                                       \
    report(#NAME);                                                          \
  }

WIDTH(width8, int8_t, uint8_t, 8)
WIDTH(width16, int16_t, uint16_t, 16)
WIDTH(width32, int32_t, uint32_t, 32)
WIDTH(width64, int64_t, uint64_t, 64)

static void wide(void) {
  for (int i = 0; i < 10000; i++) {
    u128 a = ((u128)edgy64() << 64) | edgy64(), b = ((u128)edgy64() << 64) | edgy64();
    unsigned n = (unsigned)b & 127;
    put128(a + b); put128(a - b); put128(a * b); put128(a << n); put128(a >> n); put128((u128)((i128)a >> n));
    digest(a < b); digest((i128)a < (i128)b);
    if (b) { put128(a / b); put128(a % b); }
    if (b && !((i128)b == -1)) { put128((u128)((i128)a / (i128)b)); put128((u128)((i128)a % (i128)b)); }
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    digest((uint64_t)(((u128)x * y) >> 64)); digest((uint64_t)(((i128)(int64_t)x * (int64_t)y) >> 64));
  }
  report("wide");
}

static void overflow(void) {
  for (int i = 0; i < 20000; i++) {
    int64_t a = (int64_t)edgy64(), b = (int64_t)edgy64(), r;
    int32_t c = (int32_t)a, d = (int32_t)b, q;
    digest(__builtin_add_overflow(a, b, &r)); digest((uint64_t)r);
    digest(__builtin_sub_overflow(a, b, &r)); digest((uint64_t)r);
    digest(__builtin_mul_overflow(a, b, &r)); digest((uint64_t)r);
    digest(__builtin_add_overflow(c, d, &q)); digest((uint32_t)q);
    digest(__builtin_mul_overflow(c, d, &q)); digest((uint32_t)q);
    digest((uint64_t)__builtin_popcountll((uint64_t)a));
    if (a) { digest((uint64_t)__builtin_clzll((uint64_t)a)); digest((uint64_t)__builtin_ctzll((uint64_t)a)); }
    if (c) { digest((uint64_t)__builtin_clz((uint32_t)c)); digest((uint64_t)__builtin_ctz((uint32_t)c)); }
    digest(__builtin_bswap64((uint64_t)a)); digest(__builtin_bswap32((uint32_t)c)); digest(__builtin_bswap16((uint16_t)c));
    digest((uint64_t)__builtin_parityll((uint64_t)a));
  }
  report("overflow and counts");
}

struct fields {
  unsigned a : 3; int b : 5; uint64_t c : 40; unsigned d : 1; int64_t e : 33; unsigned : 0; unsigned short f : 9; signed char g : 7;
};

static void bitfields(void) {
  struct fields s = {0};
  for (int i = 0; i < 20000; i++) {
    uint64_t r = edgy64();
    s.a += (unsigned)r; s.b ^= (int)(r >> 3); s.c = s.c * 5 + r; s.d = !s.d; s.e -= (int64_t)(r >> 7); s.f |= (unsigned short)r; s.g = (signed char)(s.g + 1);
    if ((r & 15) == 0) s.f = 0;
    digest(s.a); digest((uint64_t)(int64_t)s.b); digest(s.c); digest(s.d); digest((uint64_t)s.e); digest(s.f); digest((uint64_t)s.g);
  }
  report("bit fields");
}

static uint64_t sum(int count, ...) {
  va_list list;
  va_start(list, count);
  uint64_t total = 0;
  for (int i = 0; i < count; i++) {
    switch (i % 4) {
      case 0: total = total * 31 + (uint64_t)va_arg(list, int); break;
      case 1: total = total * 31 + va_arg(list, uint64_t); break;
      case 2: total = total * 31 + (uint64_t)(va_arg(list, double) * 16); break;
      default: total = total * 31 + (uint64_t)*va_arg(list, const char *); break;
    }
  }
  va_end(list);
  return total;
}

static uint64_t many(uint64_t a, int b, double c, short d, float e, uint8_t f, int64_t g, u128 h, double i, int j, struct fields k, double l, char m) {
  return a ^ (uint64_t)(b * 3) ^ (uint64_t)(c * 8) ^ (uint64_t)d ^ (uint64_t)(e * 4) ^ f ^ (uint64_t)g ^ (uint64_t)(h >> 60) ^ (uint64_t)(i * 2) ^ (uint64_t)j ^ k.c ^ (uint64_t)l ^ (uint64_t)m;
}

static void calls(void) {
  struct fields k = {.c = 0x123456789a};
  for (int i = 0; i < 3000; i++) {
    uint64_t r = random64();
    digest(sum(12, (int)r, r, (double)(r & 0xffff), "x", (int)(r >> 9), r * 3, 1.5, "yz", -1, ~r, 2.25, "w"));
    digest(many(r, (int)r, (double)(r & 0xfff), (short)r, (float)(r & 0xff), (uint8_t)r, (int64_t)r, (u128)r << 60, 3.5, 7, k, 9.0, 'm'));
  }
  report("calls");
}

static uint64_t step(uint64_t op, uint64_t v) {
  switch (op) {
    case 0: return v + 1; case 1: return v * 3; case 2: return v ^ 0x55; case 3: return v >> 1; case 4: return v - 7; case 5: return ~v;
    case 6: return v << 3; case 7: return v | 1; case 8: return v & 0xffff; case 9: return v / 3; case 10: return v % 1001; case 11: return v + (v << 5);
    case 40: return 40; case 1000: return v + 1000; case 100000: return v + 5; case (uint64_t)-1: return 12345;
    default: return v ^ op;
  }
}

static unsigned ackermann(unsigned m, unsigned n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }

static int by_value(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static jmp_buf target;
static void leap(int depth) { if (depth == 0) longjmp(target, 42); leap(depth - 1); digest((uint64_t)depth); }

static uint64_t (*const table[])(uint64_t, uint64_t) = {step, step};

int main(int argc, char **argv) {
  width8(); width16(); width32(); width64(); wide(); overflow(); bitfields(); calls();
  for (int i = 0; i < 100000; i++) digest(table[i & 1](edgy64() % 14, random64()) + step(edgy64(), (uint64_t)i));
  report("switch");
  digest(ackermann(2, 60)); digest(ackermann(3, 5));
  report("recursion");
  static int64_t numbers[5000];
  for (int i = 0; i < 5000; i++) numbers[i] = (int64_t)edgy64();
  qsort(numbers, 5000, sizeof *numbers, by_value);
  digest_bytes(numbers, sizeof numbers);
  int64_t key = numbers[1234];
  digest(bsearch(&key, numbers, 5000, sizeof *numbers, by_value) != NULL);
  report("sort");
  volatile int rounds = 0;
  int came = setjmp(target);
  digest((uint64_t)came);
  if (rounds++ < 20) leap(rounds * 3);
  report("jumps");
  char **strings = malloc(500 * sizeof *strings);
  for (int i = 0; i < 500; i++) { strings[i] = malloc((size_t)(random64() % 300 + 20)); snprintf(strings[i], 20, "%llx", (unsigned long long)random64()); }
  for (int i = 0; i < 500; i += 2) strings[i] = realloc(strings[i], 5000);
  for (int i = 0; i < 500; i++) { digest_bytes(strings[i], strlen(strings[i])); free(strings[i]); }
  report("heap");
  printf("%d %s\n", argc, argv[0] ? "named" : "nameless");
  return 7;
}
