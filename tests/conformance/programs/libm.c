// The mathematical library over sweeps of its domain: hexadecimal results of some arguments, a digest of many.
#include <complex.h>
#include <math.h>
#include "common.h"

#define ONE(NAME) {#NAME, NAME}
static const struct { const char *name; double (*function)(double); } functions[] = {
    ONE(sin), ONE(cos), ONE(tan), ONE(asin), ONE(acos), ONE(atan), ONE(sinh), ONE(cosh), ONE(tanh), ONE(asinh), ONE(acosh), ONE(atanh), ONE(exp),
    ONE(exp2), ONE(expm1), ONE(log), ONE(log2), ONE(log10), ONE(log1p), ONE(sqrt), ONE(cbrt), ONE(erf), ONE(erfc), ONE(tgamma), ONE(lgamma),
    ONE(floor), ONE(ceil), ONE(trunc), ONE(round), ONE(rint), ONE(fabs), ONE(j0), ONE(y1), ONE(logb)};
#define ONEF(NAME) {#NAME, NAME}
static const struct { const char *name; float (*function)(float); } single_functions[] = {
    ONEF(sinf), ONEF(cosf), ONEF(tanf), ONEF(expf), ONEF(exp2f), ONEF(logf), ONEF(log2f), ONEF(sqrtf), ONEF(cbrtf), ONEF(atanf), ONEF(asinf), ONEF(tanhf), ONEF(erff), ONEF(tgammaf)};
#define TWO(NAME) {#NAME, NAME}
static const struct { const char *name; double (*function)(double, double); } pairs[] = {
    TWO(pow), TWO(atan2), TWO(hypot), TWO(fmod), TWO(remainder), TWO(copysign), TWO(nextafter), TWO(fdim), TWO(fmax), TWO(fmin)};

static void put(double d) {
  uint64_t b;
  memcpy(&b, &d, 8);
  if (d != d) b = 0x7ff8000000000000u;
  digest(b);
}

int main(void) {
  static const double samples[] = {0.0, -0.0, 1e-310, 1e-8, 0.3, 0.5, 0.999999, 1.0, 1.5, 2.718281828459045, 10.25, 100.7, 709.5, 1e5, 1e22, -0.4, -3.7, -1e3, INFINITY, -INFINITY, NAN};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    printf("%s", functions[i].name);
    for (size_t j = 0; j < sizeof samples / sizeof *samples; j++) {
      double y = functions[i].function(samples[j]);
      if (y != y) printf(" nan"); else printf(" %a", y);
    }
    printf("\n");
    for (int k = 0; k < 1500; k++) {
      double x = (k - 700) * 0.0137 + k * k * 1e-5;
      put(functions[i].function(x));
      put(functions[i].function(x * 50));
    }
    report(functions[i].name);
  }
  for (size_t i = 0; i < sizeof single_functions / sizeof *single_functions; i++) {
    for (int k = 0; k < 3000; k++) put(single_functions[i].function((float)(k - 1400) * 0.021f));
    report(single_functions[i].name);
  }
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    for (int k = 0; k < 40; k++)
      for (int l = 0; l < 40; l++) put(pairs[i].function((k - 15) * 0.77 + 0.01, (l - 20) * 1.31 + 0.003));
    for (size_t j = 0; j < sizeof samples / sizeof *samples; j++)
      for (size_t l = 0; l < sizeof samples / sizeof *samples; l++) put(pairs[i].function(samples[j], samples[l]));
    report(pairs[i].name);
  }
  for (int k = 1; k < 400; k++) {
    int e, q;
    double ip;
    put(frexp(k * 1.7e-3, &e)); digest((uint64_t)e); put(ldexp(k * 0.3, k - 200)); put(modf(k * 1.37 - 100, &ip)); put(ip); put(remquo(k * 3.3, 1.7, &q)); digest((uint64_t)q & 7);
    put(scalbn(k * 1.1, -k * 5)); digest((uint64_t)ilogb(k * 1e-100)); put(fma(k, 1.1, -0.7)); put((double)powl((long double)k, 0.37L)); put((double)sinl((long double)k)); put((double)expl(k / 37.0L));
    double complex z = cexp(k * 0.01 + k * 0.02 * I) * csqrt(k - 200 * I);
    put(creal(z)); put(cimag(z));
  }
  report("others");
  return 0;
}
