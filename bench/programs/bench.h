/* The programs of `npm run bench`: one static binary, one function a row. Own code, made for this benchmark. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

/* Each returns a number that depends on all it did, the same for every run. */
u64 coremark_like(void);
u64 dhrystone_like(void);
u64 crc32_table(void);
u64 crc32_bits(void);
u64 sieve_4m(void);
u64 quicksort(void);
u64 list_chase(void);
u64 matmul_int(void);
u64 compress_lz(void);
u64 aes_cbc(void);
u64 sha256_hash(void);
u64 stack_interpreter(void);
u64 indirect_calls(void);
u64 string_library(void);
u64 vector_bytes(void);
u64 matmul_double(void);
u64 nbody(void);
u64 fft_double(void);
u64 matmul_float_vector(void);
u64 stencil_vector(void);
u64 system_calls(void);
u64 fork_exit(void);
u64 fork_exec(void);
u64 pipe_ping_pong(void);
u64 page_faults(void);

/* Runs spread-N or crowd-N; 0 if the name is neither. */
int grown(const char *name);

/* A fixed sequence of numbers from a seed. */
static inline u64 sequence(u64 *state)
{
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return *state >> 33;
}
static inline u64 mix(u64 sum, u64 value) { return (sum ^ value) * 0x100000001b3ull; }
void *memory(size_t bytes);
/* Path of the program itself, for fork_exec. */
extern const char *program_path;

#endif
