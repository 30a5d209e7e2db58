// The C library's formatted output and input, conversions and strings.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <wchar.h>
#include "common.h"

int main(void) {
  static const double values[] = {0.0, -0.0, 1.0, -1.5, 0.1, 123456789.0, 1e21, 1e22, 1e-5, 1e-4, 9.9999995, 0.5, 2.5, 1e100, 1.7976931348623157e308,
                                  2.2250738585072014e-308, 4.9e-324, 3.141592653589793, 1.0 / 3, 65535.99999, 5e-320, INFINITY, -INFINITY, NAN};
  static const char *const formats[] = {"%f", "%e", "%g", "%a", "%.0f", "%.3e", "%#.5g", "%+.10f", "%020.4f", "%-20.2e|", "%.17g", "%.40f", "%G", "%A", "% g"};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    for (size_t j = 0; j < sizeof formats / sizeof *formats; j++) {
      char line[800];
      int n = snprintf(line, sizeof line, formats[j], values[i]);
      if (j < 4) printf("%s%s", line, j == 3 ? "\n" : " ");
      digest_bytes(line, (size_t)n);
    }
  }
  report("double formats");
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char line[800];
    long double x = (long double)values[i] / 3;
    int n = snprintf(line, sizeof line, "%Lf %Le %La %.30Lg", x, x, x, x);
    digest_bytes(line, (size_t)n);
  }
  report("long double formats");
  printf("[%d] [%5d] [%-5d] [%05d] [%+d] [%x] [%#X] [%o] [%#o] [%u] [%c] [%s] [%.2s] [%10s] [%-10s] [%%] [%p]\n", -42, 42, 42, 42, 42, 0xbeefu, 0xbeefu, 8u, 8u, UINT_MAX, 'q', "text", "text", "text", "text", (void *)0x1234);
  printf("%hhd %hd %ld %lld %jd %zu %td %" PRIx64 "\n", (signed char)200, (short)70000, LONG_MIN, LLONG_MAX, INTMAX_MIN, (size_t)-1, (ptrdiff_t)-5, UINT64_C(0xfedcba9876543210));
  printf("[%*d] [%-*d] [%.*f]\n", 6, 42, 6, 42, 3, 2.0 / 3);
  static const char *const numbers[] = {"0", "1e10", "-1.25e-3", "0x1.8p3", "inf", "nan", "1e400", "1e-400", "123456789012345678901234567890", "0.1", "4.9406564584124654e-324",
                                        "2.4703282292062327e-324", "1.7976931348623159e308", "9007199254740993", "0x1.fffffffffffff8p0", "  +7.5xyz", "1e", "."};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    char *end;
    errno = 0;
    double d = strtod(numbers[i], &end);
    printf("%a %d %d ", d, (int)(end - numbers[i]), errno);
    errno = 0;
    float f = strtof(numbers[i], &end);
    printf("%a %d ", (double)f, errno);
    long double l = strtold(numbers[i], &end);
    printf("%La ", l);
    errno = 0;
    printf("%lld %d %llu\n", strtoll(numbers[i], NULL, 0), errno, strtoull(numbers[i], &end, 16));
  }
  for (int i = 0; i < 4000; i++) {
    uint64_t bits = random64();
    double d, back;
    memcpy(&d, &bits, 8);
    if (d != d) continue;
    char line[64];
    snprintf(line, sizeof line, "%.17g", d);
    back = strtod(line, NULL);
    if (memcmp(&d, &back, 8)) printf("round trip of %s fails\n", line);
    digest_bytes(line, strlen(line));
    snprintf(line, sizeof line, "%.9g", (double)(float)(d * 1e-250));
    digest_bytes(line, strlen(line));
  }
  report("round trips");
  char buffer[400] = "the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs";
  for (char *p = strtok(buffer, " ;"); p; p = strtok(NULL, " ;")) { digest(strlen(p)); digest((uint64_t)toupper(*p)); digest((uint64_t)isalpha(p[1])); }
  static char big[9000];
  for (int i = 0; i < 8999; i++) big[i] = (char)('a' + i * i % 23);
  for (int i = 0; i < 300; i++) {
    const char *from = big + i * 3;
    digest(strlen(from + i)); digest((uint64_t)(strchr(from, 'z') == NULL)); digest((uint64_t)((strrchr(from, 'b') ?: big) - big));
    digest((uint64_t)(strcmp(from, from + 23) > 0)); digest((uint64_t)(strncmp(from, big, (size_t)i) > 0)); digest((uint64_t)((strstr(from, "qd") ?: big) - big));
    digest(strspn(from, "abcdefg")); digest(strcspn(from, "xyw")); digest((uint64_t)((const char *)memchr(from, 'k', 100) - from)); digest(strnlen(from, (size_t)i));
  }
  report("strings");
  int a, b; double x; char word[20];
  printf("%d ", sscanf("12 0x1f 3.75e2 word:9", "%d %i %lf %19[a-z]:%*d", &a, &b, &x, word));
  printf("%d %d %g %s\n", a, b, x, word);
  wchar_t wide[40];
  swprintf(wide, 40, L"%d %ls %.2f", 5, L"wide", 1.25);
  printf("%ls %zu\n", wide, wcslen(wide));
  printf("%d %ld %lld\n", abs(-5), labs(-6L), llabs(-7LL));
  div_t q = div(-17, 5); lldiv_t w = lldiv(-170000000000LL, 7);
  printf("%d %d %lld %lld\n", q.quot, q.rem, w.quot, w.rem);
  fflush(stdout);
  fprintf(stderr, "to standard error\n");
  return 0;
}
