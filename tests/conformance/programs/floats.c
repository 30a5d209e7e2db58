// Floating point under all rounding modes with its exceptions: arithmetic, conversions, subnormal numbers, fused
// multiply-add, comparisons. Built with -ffp-contract=off -frounding-math.
#include <fenv.h>
#include <float.h>
#include <math.h>
#include "common.h"

#pragma STDC FENV_ACCESS ON

static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};
static const char *const mode_names[] = {"nearest", "zero", "up", "down"};

static double as_double(uint64_t bits) { double d; memcpy(&d, &bits, 8); return d; }
static uint64_t bits_of(double d) { uint64_t b; memcpy(&b, &d, 8); return b; }
static float as_float(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
static uint32_t fbits_of(float f) { uint32_t b; memcpy(&b, &f, 4); return b; }

static double edgy_double(void) {
  uint64_t r = random64();
  uint64_t sign = r << 63;
  switch ((r >> 1) % 12) {
    case 0: return as_double(sign);
    case 1: return as_double(sign | ((r >> 8) & 0xfffffffffffffu));
    case 2: return as_double(sign | 0x7ff0000000000000u);
    case 3: return as_double(sign | 0x7ff8000000000000u | (r >> 20));
    case 4: return as_double(sign | 0x7fe0000000000000u | (r >> 12));
    case 5: return as_double(sign | 0x0010000000000000u | ((r >> 8) & 0x1fffffffffffffu));
    case 6: return (double)(int64_t)(r >> (r >> 58));
    case 7: return (double)(float)as_double((r & 0x800fffffffffffffu) | (uint64_t)(1023 + (int)(r >> 50) % 140) << 52);
    default: return as_double((r & 0x800fffffffffffffu) | (uint64_t)(1023 - 60 + (r >> 55) % 120) << 52);
  }
}

static float edgy_float(void) {
  uint32_t r = (uint32_t)random64();
  switch (r % 8) {
    case 0: return as_float(r & 0x80000000u);
    case 1: return as_float(r & 0x807fffffu);
    case 2: return as_float((r & 0x80000000u) | 0x7f800000u);
    case 3: return as_float(r | 0x7f000000u);
    default: return as_float((r & 0x807fffffu) | (127 - 30 + (r >> 24) % 60) << 23);
  }
}

static void exceptions(void) {
  digest((uint64_t)fetestexcept(FE_ALL_EXCEPT));
  feclearexcept(FE_ALL_EXCEPT);
}

static void result(volatile double d) { digest(bits_of(d)); exceptions(); }
static void fresult(volatile float f) { digest(fbits_of(f)); exceptions(); }

static void arithmetic(int count) {
  for (int i = 0; i < count; i++) {
    volatile double a = edgy_double(), b = edgy_double(), c = edgy_double();
    feclearexcept(FE_ALL_EXCEPT);
    result(a + b); result(a - b); result(a * b); result(a / b); result(sqrt(a)); result(fma(a, b, c)); result(fma(a, b, -c));
    result((double)(float)a);
    volatile float f = edgy_float(), g = edgy_float(), h = edgy_float();
    feclearexcept(FE_ALL_EXCEPT);
    fresult(f + g); fresult(f - g); fresult(f * g); fresult(f / g); fresult(sqrtf(f)); fresult(fmaf(f, g, h));
    volatile int less = a < b, lessEqual = a <= b, equal = a == b, unordered = isunordered(a, b), quietLess = isless(a, b);
    digest((uint64_t)(less | lessEqual << 1 | equal << 2 | unordered << 3 | quietLess << 4));
    exceptions();
  }
}

static void conversions(int count) {
  for (int i = 0; i < count; i++) {
    volatile double a = edgy_double();
    volatile int64_t n = (int64_t)edgy64();
    volatile uint64_t u = edgy64();
    volatile int32_t w = (int32_t)n;
    volatile uint32_t v = (uint32_t)u;
    feclearexcept(FE_ALL_EXCEPT);
    result((double)n); result((double)u); result((double)w); result((double)v);
    fresult((float)n); fresult((float)u); fresult((float)w); fresult((float)v);
    if (fabs(a) < 9e18) { digest((uint64_t)(int64_t)a); exceptions(); digest((uint64_t)llrint(a)); exceptions(); digest((uint64_t)llround(a)); exceptions(); }
    if (fabs(a) < 2e9) { digest((uint64_t)(int32_t)a); exceptions(); digest((uint64_t)lrint(a)); exceptions(); }
    if (a > -0.9 && a < 1.8e19) { digest((uint64_t)a); exceptions(); }
    if (a > -0.9 && a < 4e9) { digest((uint32_t)a); exceptions(); }
    result(rint(a)); result(nearbyint(a)); result(floor(a)); result(ceil(a)); result(trunc(a)); result(round(a));
  }
}

int main(void) {
  for (int m = 0; m < 4; m++) {
    fesetround(modes[m]);
    if (fegetround() != modes[m]) printf("rounding mode is not kept\n");
    arithmetic(6000);
    report(mode_names[m]);
    conversions(4000);
    report("conversions");
  }
  fesetround(FE_TONEAREST);
  feclearexcept(FE_ALL_EXCEPT);
  fenv_t saved;
  feholdexcept(&saved);
  volatile double zero = 0, one = 1;
  volatile double x = one / zero;
  printf("%a %d\n", x, fetestexcept(FE_DIVBYZERO) != 0);
  feupdateenv(&saved);
  printf("%d\n", fetestexcept(FE_DIVBYZERO) != 0);
  feraiseexcept(FE_OVERFLOW | FE_UNDERFLOW | FE_INVALID);
  printf("%d %d %d\n", fetestexcept(FE_OVERFLOW) != 0, fetestexcept(FE_UNDERFLOW) != 0, fetestexcept(FE_INVALID) != 0);
  fexcept_t flags;
  fegetexceptflag(&flags, FE_ALL_EXCEPT);
  feclearexcept(FE_ALL_EXCEPT);
  fesetexceptflag(&flags, FE_OVERFLOW);
  printf("%d %d\n", fetestexcept(FE_OVERFLOW) != 0, fetestexcept(FE_INVALID) != 0);
  feclearexcept(FE_ALL_EXCEPT);
  // Subnormal numbers, downwards and up again.
  volatile double d = DBL_MIN;
  for (int i = 0; i < 60; i++) { d /= 2; digest(bits_of(d)); digest((uint64_t)fpclassify(d)); }
  exceptions();
  volatile float f = FLT_MIN;
  for (int i = 0; i < 30; i++) { f = f / 2 * 1.5f; digest(fbits_of(f)); digest((uint64_t)fpclassify(f)); }
  exceptions();
  report("subnormal");
  long double l = 1;
  for (int i = 1; i < 200; i++) { l = l * (i + 0.1L) / (i - 0.3L) + 1e-20L; double parts[2]; memcpy(parts, &l, 16); digest(bits_of(parts[0])); digest(bits_of(parts[1])); }
  report("long double");
  return 0;
}
