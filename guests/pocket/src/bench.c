/*
 * Kernels to measure with, the same compiled C under every machine: `bench` (or bench=REPETITIONS). Scalar code on purpose. Each prints a line before it
 * starts, so that the host can use its own clock, and one after it with the best repetition in timebase ticks and a checksum.
 */
#include "cpu.h"

#define CRC_BYTES (256 * 1024)
#define SIEVE_SIZE 65536
#define SIEVE_ROUNDS 32
#define LIST_NODES 512
#define LIST_STRIDE 1088 /* over nine 64K pages, but within a host's first-level cache: the probe is measured, not the cache */
#define LIST_STEPS 8000000
#define MATRIX 48
#define MATRIX_ROUNDS_INT 30
#define MATRIX_ROUNDS_DOUBLE 8

struct node {
  struct node *next;
  u64 value;
};

static u8 *bytes;
static struct node *list;
static i32 *matrices;

static u64 sequence(u64 *x) { return *x = *x * U64(6364136223846793005) + U64(1442695040888963407); }

static u64 crc32_kernel(void) { return crc32_bitwise(0, bytes, CRC_BYTES); }

static u64 sieve_kernel(void)
{
  u64 primes = 0;
  for (u32 round = 0; round < SIEVE_ROUNDS; round++) {
    memset(bytes, 1, SIEVE_SIZE);
    for (u32 i = 2; i < SIEVE_SIZE; i++) {
      if (!bytes[i]) continue;
      primes++;
      for (u32 k = 2 * i; k < SIEVE_SIZE; k += i) bytes[k] = 0;
    }
  }
  return primes;
}

/* One cycle through all nodes in a shuffled order (Sattolo). */
static void build_list(void)
{
  u8 *area = allocate(LIST_NODES * LIST_STRIDE, 0x10000);
  u32 *order = allocate(LIST_NODES * 4, 128);
  u64 x = 7;
  for (u32 i = 0; i < LIST_NODES; i++) order[i] = i;
  for (u32 i = LIST_NODES - 1; i > 0; i--) {
    u32 k = (u32)(sequence(&x) >> 33) % i, t = order[i];
    order[i] = order[k], order[k] = t;
  }
  for (u32 i = 0; i < LIST_NODES; i++) {
    struct node *node = (struct node *)(area + (u64)order[i] * LIST_STRIDE);
    node->next = (struct node *)(area + (u64)order[(i + 1) % LIST_NODES] * LIST_STRIDE);
    node->value = order[i];
  }
  list = (struct node *)area;
}

static u64 chase_kernel(void)
{
  u64 sum = 0;
  const struct node *node = list;
  for (u32 i = 0; i < LIST_STEPS; i++) {
    sum += node->value;
    node = node->next;
  }
  return sum + node->value;
}

static u64 matmul_int_kernel(void)
{
  i32 *a = matrices, *b = a + MATRIX * MATRIX, *c = b + MATRIX * MATRIX;
  u64 sum = 0, x = 3;
  for (u32 i = 0; i < 2 * MATRIX * MATRIX; i++) a[i] = (i32)(sequence(&x) >> 40);
  for (u32 round = 0; round < MATRIX_ROUNDS_INT; round++) {
    for (u32 i = 0; i < MATRIX; i++)
      for (u32 k = 0; k < MATRIX; k++) {
        u32 dot = round;
        for (u32 n = 0; n < MATRIX; n++) dot += (u32)a[i * MATRIX + n] * (u32)b[n * MATRIX + k];
        c[i * MATRIX + k] = (i32)dot;
      }
    for (u32 i = 0; i < MATRIX * MATRIX; i++) sum = sum * 31 + (u32)c[i];
  }
  return sum;
}

static u64 matmul_double_kernel(void)
{
  u64 msr = fpu_on(), sum = matmul_double(MATRIX, MATRIX_ROUNDS_DOUBLE, matrices);
  fpu_restore(msr);
  return sum;
}

static void measure(const char *name, u64 (*kernel)(void), u64 repetitions)
{
  u64 best = ~U64(0), checksum = 0;
  print("bench %s begin\n", name);
  for (u64 i = 0; i < repetitions; i++) {
    u64 start = timebase();
    checksum = kernel();
    u64 ticks = timebase() - start;
    if (ticks < best) best = ticks;
  }
  print("bench %s ticks %lu checksum %lx\n", name, best, checksum);
}

void benchmark(void)
{
  u64 repetitions = bootarg_number("bench", 1);
  if (!translation_need()) panic("bench: no translation");
  bytes = allocate(CRC_BYTES, 128);
  matrices = allocate(3 * MATRIX * MATRIX * 8, 128);
  build_list();
  print("bench timebase %u repetitions %lu\n", machine.timebase_hz, repetitions);
  fill_pattern(bytes, CRC_BYTES);
  measure("crc32", crc32_kernel, repetitions);
  measure("sieve", sieve_kernel, repetitions);
  measure("list-chase", chase_kernel, repetitions);
  measure("matmul-int", matmul_int_kernel, repetitions);
  measure("matmul-double", matmul_double_kernel, repetitions);
  print("bench end\n");
}

/* `spin=N`: N million turns of a loop of three instructions. */
void spin(u64 millions)
{
  u64 start = timebase(), x = 1;
  print("spin %lu million turns begin\n", millions);
  if (millions) asm volatile("mtctr %1; 1: addi %0,%0,3; xori %0,%0,5; bdnz 1b" : "+b"(x) : "r"(millions * 1000000) : "ctr");
  print("spin ticks %lu checksum %lx\n", timebase() - start, x);
}
