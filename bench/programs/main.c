/* bench NAME REPETITIONS: runs a row so many times. Around each run it prints a line, so that the host can use its own clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

const char *program_path;

/* `times`: how often a run does it, so that it takes QEMU some 300 ms on a machine of 2020. */
static const struct { const char *name; u64 (*run)(void); int times; } rows[] = {
  { "coremark-like", coremark_like, 4 },
  { "dhrystone-like", dhrystone_like, 5 },
  { "crc32-table", crc32_table, 3 },
  { "crc32-bits", crc32_bits, 6 },
  { "sieve-4m", sieve_4m, 5 },
  { "quicksort", quicksort, 3 },
  { "list-chase", list_chase, 3 },
  { "matmul-int", matmul_int, 3 },
  { "compress-lz", compress_lz, 9 },
  { "aes-cbc", aes_cbc, 6 },
  { "sha256", sha256_hash, 7 },
  { "stack-interpreter", stack_interpreter, 8 },
  { "indirect-calls", indirect_calls, 4 },
  { "string-library", string_library, 8 },
  { "vector-bytes", vector_bytes, 8 },
  { "matmul-double", matmul_double, 4 },
  { "nbody", nbody, 6 },
  { "fft-double", fft_double, 8 },
  { "matmul-float-vector", matmul_float_vector, 4 },
  { "stencil-vector", stencil_vector, 3 },
  { "system-calls", system_calls, 2 },
  { "fork-exit", fork_exit, 3 },
  { "fork-exec", fork_exec, 3 },
  { "pipe-ping-pong", pipe_ping_pong, 2 },
  { "page-faults", page_faults, 4 },
};

void *memory(size_t bytes)
{
  void *block = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
  if (!block) {
    fprintf(stderr, "bench: no memory\n");
    exit(1);
  }
  return block;
}

int main(int argc, char **argv)
{
  program_path = argv[0];
  if (argc == 2 && !strcmp(argv[1], "nothing")) return 0;
  int repetitions = argc > 2 ? atoi(argv[2]) : 1;
  for (size_t i = 0; argc > 1 && i < sizeof rows / sizeof *rows; i++) {
    if (strcmp(rows[i].name, argv[1])) continue;
    for (int n = 0; n < repetitions; n++) {
      printf("@begin %s\n", rows[i].name);
      fflush(stdout);
      u64 result = 0;
      for (int k = 0; k < rows[i].times; k++) result = mix(result, rows[i].run());
      printf("@end %s %llx\n", rows[i].name, (unsigned long long)result);
      fflush(stdout);
    }
    return 0;
  }
  if (argc > 1 && grown(argv[1])) return 0;
  fprintf(stderr, "usage: bench NAME [REPETITIONS]; NAME is spread-N, crowd-N or one of");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) fprintf(stderr, " %s", rows[i].name);
  fprintf(stderr, "\n");
  return 2;
}
