// IEEE binary128, in the processor (POWER9) or in the compiler's library (POWER8), under all rounding modes.
#define _GNU_SOURCE
#include <fenv.h>
#include <stdlib.h>
#include "common.h"

typedef _Float128 q;
typedef unsigned __int128 u128;

static q from_bits(u128 b) { q x; memcpy(&x, &b, 16); return x; }
static void put(volatile q *x) { digest_bytes((const void *)x, 16); }

static q edgy(void) {
  u128 r = ((u128)random64() << 64) | random64();
  u128 sign = r & ((u128)1 << 127);
  switch ((unsigned)r % 9) {
    case 0: return from_bits(sign);
    case 1: return from_bits(sign | (r >> 17));
    case 2: return from_bits(sign | (u128)0x7fff << 112);
    case 3: return (q)(double)(int64_t)edgy64();
    case 4: return from_bits(sign | (u128)0x7ffe << 112 | r >> 17);
    default: return from_bits(sign | (u128)(0x3fff - 100 + (unsigned)(r >> 20) % 200) << 112 | (r >> 17 & (((u128)1 << 112) - 1)));
  }
}

int main(void) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};
  for (int m = 0; m < 4; m++) {
    for (int i = 0; i < 3000; i++) {
      volatile q a = edgy(), b = edgy(), r;
      fesetround(modes[m]);
      r = a + b; put(&r); r = a - b; put(&r); r = a * b; put(&r); r = a / b; put(&r);
      r = -a; put(&r); r = __builtin_fabsf128(a); put(&r); r = __builtin_copysignf128(a, b); put(&r);
      volatile double d = (double)a; digest_bytes((const void *)&d, 8);
      volatile float f = (float)b; digest_bytes((const void *)&f, 4);
      r = (q)(int64_t)edgy64(); put(&r); r = (q)edgy64(); put(&r); r = (q)(int32_t)edgy64(); put(&r);
      if (a > -9e18 && a < 9e18) { digest((uint64_t)(int64_t)a); digest((uint64_t)(int32_t)(a / 1e10)); }
      if (a > -0.9 && a < 1.8e19) digest((uint64_t)a);
      digest(a < b); digest(a <= b); digest(a == b); digest(a != b); digest(a > b); digest(__builtin_isunordered(a, b));
      fesetround(FE_TONEAREST);
    }
    report("arithmetic");
  }
  static const char *const texts[] = {"1.5", "0.1", "-3.14159265358979323846264338327950288", "1e4000", "1e-4950", "inf", "123456789012345678901234567890123456789"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    q x = strtof128(texts[i], NULL);
    char line[200];
    strfromf128(line, sizeof line, "%.36g", x); printf("%s ", line);
    strfromf128(line, sizeof line, "%a", x); printf("%s\n", line);
    put((volatile q *)&x);
  }
  q sum = 0, term = 1;
  for (int i = 1; i < 60; i++) { sum += term; term /= i; }
  char line[100];
  strfromf128(line, sizeof line, "%.34g", sum); printf("e = %s\n", line);
  q root = 2;
  for (int i = 0; i < 12; i++) root = (root + 2 / root) / 2;
  strfromf128(line, sizeof line, "%.34g", root); printf("root = %s\n", line);
  report("text");
  return 0;
}
