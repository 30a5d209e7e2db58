/* bench NAME REPETITIONS: runs a row so many times. Around each run it prints a line, so that the host can use its own clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

const char *program_path;

static const struct { const char *name; u64 (*run)(void); } rows[] = {
  { "coremark-like", coremark_like },
  { "dhrystone-like", dhrystone_like },
  { "crc32-table", crc32_table },
  { "crc32-bits", crc32_bits },
  { "sieve-4m", sieve_4m },
  { "quicksort", quicksort },
  { "list-chase", list_chase },
  { "matmul-int", matmul_int },
  { "compress-lz", compress_lz },
  { "aes-cbc", aes_cbc },
  { "sha256", sha256_hash },
  { "stack-interpreter", stack_interpreter },
  { "indirect-calls", indirect_calls },
  { "string-library", string_library },
  { "vector-bytes", vector_bytes },
  { "matmul-double", matmul_double },
  { "nbody", nbody },
  { "fft-double", fft_double },
  { "matmul-float-vector", matmul_float_vector },
  { "stencil-vector", stencil_vector },
  { "system-calls", system_calls },
  { "fork-exit", fork_exit },
  { "fork-exec", fork_exec },
  { "pipe-ping-pong", pipe_ping_pong },
  { "page-faults", page_faults },
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
      u64 result = rows[i].run();
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
