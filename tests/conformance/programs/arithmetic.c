// Questions about the arithmetic of double and float, in the manner of Kahan's Paranoia: radix, precision, guard digits,
// rounding, sticky bits, commutativity, underflow thresholds, behaviour at infinity. Answers are computed, not assumed.
#include <float.h>
#include <math.h>
#include "common.h"

#define QUESTIONS(NAME, T, SQRT, FMT)                                                                        \
  static void NAME(void) {                                                                                   \
    volatile T one = 1, two = 2, half = one / two, w = 1, y, z, radix, u1, u2, x;                            \
    int digits = 0;                                                                                          \
    do { w = w + w; y = w + one; z = y - w; y = z - one; } while (-one + (y < 0 ? -y : y) < 0);               \
    y = 1;                                                                                                   \
    do { radix = w + y; y = y + y; radix = radix - w; } while (radix == 0);                                  \
    w = 1;                                                                                                   \
    do { digits++; w = w * radix; y = w + one; } while (y - w == one);                                       \
    u1 = one / w; u2 = radix * u1;                                                                           \
    printf(#NAME ": radix " FMT ", %d digits, ulps %a %a\n", radix, digits, (double)u1, (double)u2);         \
    volatile T f9 = half - u1 + half;                                                                        \
    printf("  guard: %d %d\n", (one - f9) == u1, ((one + u2) - one) == u2);                                   \
    volatile T b2 = radix / two, minusOne = -one;                                                            \
    x = (one + u2) * (one + u2) - one - u2 - u2; printf("  product: %a\n", (double)x);                        \
    y = half + u1; x = one + y * u2 - one; printf("  sticky: %d", x == u2);                                   \
    x = one + half * u2; printf(" even: %d", x == one); x = one + u2 + half * u2; printf(" %d\n", x == one + u2 + u2); \
    int wrong = 0;                                                                                           \
    for (int i = 1; i < 3000; i++) {                                                                         \
      volatile T a = (T)(i * 7 + 3) / (T)13, b = (T)(random64() % 100000) / (T)977 + one;                     \
      if (a * b != b * a || a + b != b + a) wrong++;                                                         \
      volatile T s = SQRT(a * a);                                                                            \
      if (s != a && (s - a > a * u2 || a - s > a * u2)) wrong++;                                             \
      volatile T q = a / b, r = q * b - a;                                                                   \
      digest((uint64_t)(int64_t)(q * (T)1048576)); digest(r == 0); digest(r > 0);                             \
      if (SQRT((T)i * (T)i) != (T)i) wrong++;                                                                \
    }                                                                                                        \
    printf("  commutative, roots: %d wrong\n", wrong);                                                       \
    volatile T small = 1, last = 1, normal = 0;                                                              \
    int steps = 0;                                                                                           \
    while (small > 0) { last = small; small = small * half; steps++; volatile T back = last + last * u2; if (back == last && normal == 0) normal = last; } \
    printf("  smallest: %a after %d halvings, gradual from %a\n", (double)last, steps, (double)normal);       \
    volatile T large = 1, before = 1;                                                                        \
    for (steps = 0; large + large != large; steps++) { before = large; large = large + large; }               \
    printf("  largest power %a after %d, then %a\n", (double)before, steps, (double)large);                   \
    volatile T inf = large, nan = inf - inf, zero = 0;                                                       \
    printf("  infinity: %d %d %d %d %d\n", inf > before, one / inf == zero, -one / inf == zero, 1 / (-one / inf) == -inf, inf + minusOne == inf); \
    printf("  NaN: %d %d %d %d %d\n", nan == nan, nan != nan, nan < one, nan > one, zero / zero != zero / zero); \
    printf("  powers:");                                                                                     \
    for (int i = -5; i <= 5; i++) { T p = 1; for (int j = 0; j < (i < 0 ? -i : i); j++) p = i < 0 ? p / b2 / two : p * radix; printf(" " FMT, p); } \
    printf("\n");                                                                                            \
    report(#NAME);                                                                                           \
  }

QUESTIONS(in_double, double, sqrt, "%g")
QUESTIONS(in_float, float, sqrtf, "%g")

// A long computation whose digits depend on every rounding: the logistic map, a linear system, a discrete transform.
static void long_runs(void) {
  volatile double x = 0.3141592653589793;
  for (int i = 0; i < 20000; i++) x = 3.9999 * x * (1 - x);
  printf("logistic %a\n", x);
  static double m[40][41];
  for (int i = 0; i < 40; i++) for (int j = 0; j < 41; j++) m[i][j] = 1.0 / (i + j + 1) + (i == j ? 0.01 : 0);
  for (int k = 0; k < 40; k++) {
    int best = k;
    for (int i = k + 1; i < 40; i++) if (fabs(m[i][k]) > fabs(m[best][k])) best = i;
    for (int j = k; j < 41; j++) { double t = m[k][j]; m[k][j] = m[best][j]; m[best][j] = t; }
    for (int i = k + 1; i < 40; i++) { double f = m[i][k] / m[k][k]; for (int j = k; j < 41; j++) m[i][j] -= f * m[k][j]; }
  }
  for (int k = 39; k >= 0; k--) { for (int j = k + 1; j < 40; j++) m[k][40] -= m[k][j] * m[j][40]; m[k][40] /= m[k][k]; }
  printf("system %a %a %a\n", m[0][40], m[20][40], m[39][40]);
  static double re[256], im[256];
  for (int i = 0; i < 256; i++) { re[i] = sin(i * 0.37) + i * 0.001; im[i] = 0; }
  for (int size = 256; size > 1; size /= 2)
    for (int at = 0; at < 256; at += size)
      for (int i = 0; i < size / 2; i++) {
        double ar = re[at + i], ai = im[at + i], br = re[at + i + size / 2], bi = im[at + i + size / 2], c = cos(-2 * M_PI * i / size), s = sin(-2 * M_PI * i / size);
        re[at + i] = ar + br; im[at + i] = ai + bi;
        re[at + i + size / 2] = (ar - br) * c - (ai - bi) * s; im[at + i + size / 2] = (ar - br) * s + (ai - bi) * c;
      }
  for (int i = 0; i < 256; i++) { uint64_t b; memcpy(&b, &re[i], 8); digest(b); memcpy(&b, &im[i], 8); digest(b); }
  report("transform");
  static float grid[64][64];
  for (int i = 0; i < 64; i++) for (int j = 0; j < 64; j++) grid[i][j] = (float)((i * 37 + j * 17) % 101);
  for (int t = 0; t < 50; t++) for (int i = 1; i < 63; i++) for (int j = 1; j < 63; j++) grid[i][j] = 0.2f * (grid[i][j] + grid[i - 1][j] + grid[i + 1][j] + grid[i][j - 1] + grid[i][j + 1]);
  digest_bytes(grid, sizeof grid);
  report("relaxation");
}

int main(void) {
  in_double();
  in_float();
  long_runs();
  return 0;
}
