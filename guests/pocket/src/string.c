/* The few library functions a freestanding compiler calls or a chapter needs, and the boot arguments. */
#include "runtime.h"

void *memcpy(void *to, const void *from, size_t n)
{
  u8 *t = to;
  const u8 *f = from;
  while (n >= 8) {
    u64 v;
    __builtin_memcpy(&v, f, 8);
    __builtin_memcpy(t, &v, 8);
    t += 8, f += 8, n -= 8;
  }
  while (n--) *t++ = *f++;
  return to;
}

void *memset(void *to, int value, size_t n)
{
  u8 *t = to;
  u64 v = (u8)value * U64(0x0101010101010101);
  while (n >= 8) {
    __builtin_memcpy(t, &v, 8);
    t += 8, n -= 8;
  }
  while (n--) *t++ = (u8)value;
  return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
  const u8 *x = a, *y = b;
  for (; n; n--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

size_t strlen(const char *s)
{
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
  for (; n; n--, a++, b++) {
    if (*a != *b) return (u8)*a - (u8)*b;
    if (!*a) return 0;
  }
  return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, ~(size_t)0); }

const char *bootarg(const char *name)
{
  size_t n = strlen(name);
  for (const char *p = machine.bootargs; *p;) {
    while (*p == ' ') p++;
    if (!strncmp(p, name, n)) {
      if (p[n] == '=') return p + n + 1;
      if (p[n] == ' ' || !p[n]) return "";
    }
    while (*p && *p != ' ') p++;
  }
  return NULL;
}

u64 parse_number(const char *s)
{
  u64 value = 0;
  for (; *s >= '0' && *s <= '9'; s++) value = value * 10 + (u64)(*s - '0');
  return value;
}

u64 bootarg_number(const char *name, u64 if_absent)
{
  const char *value = bootarg(name);
  return value && *value >= '0' && *value <= '9' ? parse_number(value) : if_absent;
}

bool bootarg_lists(const char *name, const char *item)
{
  const char *p = bootarg(name);
  size_t n = strlen(item);
  while (p && *p && *p != ' ') {
    if (!strncmp(p, item, n) && (p[n] == ',' || p[n] == ' ' || !p[n])) return true;
    while (*p && *p != ' ' && *p != ',') p++;
    if (*p == ',') p++;
  }
  return false;
}
