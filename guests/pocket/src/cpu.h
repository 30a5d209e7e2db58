/* Between chapter-cpu.c, which may not touch FP registers, and cpu-float.c, which may (MSR[FP], [VEC], [VSX] on). */
#ifndef POCKET_CPU_H
#define POCKET_CPU_H
#include "runtime.h"

#define MANDELBROT_COLUMNS 78
#define MANDELBROT_ROWS 24
#define MANDELBROT_LIMIT 192

void floating_point(void);
void vectors_integer(void);
void vectors_crypto(void);
void vectors_floating(void);
void mandelbrot_row(u32 row, u8 iterations[MANDELBROT_COLUMNS]);

u32 crc32_bitwise(u32 crc, const u8 *data, u64 length); /* reflected, polynomial 0xedb88320; start with 0 */
void sha256(const u8 *data, u64 length, u8 digest[32]);
void fill_pattern(u8 *to, u64 bytes);
u64 matmul_double(u32 size, u32 rounds, void *memory); /* bits of a running sum; 3 * size * size doubles of memory */
#endif
