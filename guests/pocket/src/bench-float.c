/* The floating-point kernel of bench.c. */
#include "cpu.h"

u64 matmul_double(u32 size, u32 rounds, void *memory)
{
  double *a = memory, *b = a + size * size, *c = b + size * size, total = 0;
  u64 x = 3, sum;
  for (u32 i = 0; i < 2 * size * size; i++) {
    x = x * U64(6364136223846793005) + U64(1442695040888963407);
    a[i] = (double)(i64)(x >> 40) / 1024.0 - 8000.0;
  }
  for (u32 round = 0; round < rounds; round++) {
    for (u32 i = 0; i < size; i++)
      for (u32 k = 0; k < size; k++) {
        double dot = round;
        for (u32 n = 0; n < size; n++) dot += a[i * size + n] * b[n * size + k];
        c[i * size + k] = dot;
      }
    for (u32 i = 0; i < size * size; i++) total = total * 0.5 + c[i];
  }
  __builtin_memcpy(&sum, &total, 8);
  return sum;
}
