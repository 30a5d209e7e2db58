/* Integer rows. */
#include <string.h>
#include "bench.h"

static u8 *random_bytes(size_t count, u64 seed)
{
  u8 *bytes = memory(count);
  for (size_t i = 0; i < count; i++) bytes[i] = (u8)(sequence(&seed) >> 8);
  return bytes;
}

u64 crc32_table(void)
{
  enum { BYTES = 1 << 20, ROUNDS = 12 };
  static u32 table[256];
  static u8 *bytes;
  if (!bytes) bytes = random_bytes(BYTES, 1);
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  u32 crc = ~0u;
  for (int round = 0; round < ROUNDS; round++)
    for (u32 i = 0; i < BYTES; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >> 8);
  return ~crc;
}

u64 crc32_bits(void)
{
  enum { BYTES = 1 << 20, ROUNDS = 3 };
  static u8 *bytes;
  if (!bytes) bytes = random_bytes(BYTES, 1);
  u32 crc = ~0u;
  for (int round = 0; round < ROUNDS; round++)
    for (u32 i = 0; i < BYTES; i++) {
      crc ^= bytes[i];
      for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
    }
  return ~crc;
}

u64 sieve_4m(void)
{
  enum { SIZE = 4 << 20, ROUNDS = 1 };
  static u8 *composite;
  u64 primes = 0;
  if (!composite) composite = memory(SIZE);
  for (int round = 0; round < ROUNDS; round++) {
    memset(composite, 0, SIZE);
    for (u32 i = 2; i < SIZE; i++) {
      if (composite[i]) continue;
      primes++;
      for (u64 k = (u64)i * i; k < SIZE; k += i) composite[k] = 1;
    }
  }
  return primes;
}

static void sort(u32 *low, u32 *high)
{
  while (high - low > 12) {
    u32 pivot = low[(high - low) / 2], *i = low, *k = high;
    do {
      while (*i < pivot) i++;
      while (*k > pivot) k--;
      if (i <= k) {
        u32 t = *i;
        *i++ = *k;
        *k-- = t;
      }
    } while (i <= k);
    if (k - low < high - i) sort(low, k), low = i;
    else sort(i, high), high = k;
  }
  for (u32 *i = low + 1; i <= high; i++) {
    u32 value = *i, *k = i;
    while (k > low && k[-1] > value) *k = k[-1], k--;
    *k = value;
  }
}

u64 quicksort(void)
{
  enum { COUNT = 400000 };
  static u32 *numbers;
  u64 seed = 5, sum = 0;
  if (!numbers) numbers = memory(COUNT * sizeof *numbers);
  for (int i = 0; i < COUNT; i++) numbers[i] = (u32)sequence(&seed);
  sort(numbers, numbers + COUNT - 1);
  for (int i = 0; i < COUNT; i++) sum = mix(sum, numbers[i]);
  return sum;
}

struct node {
  struct node *next;
  u64 value;
};

/* Nodes over 2 MiB in a shuffled circle: more pages than a first-level cache or a small TLB holds. */
u64 list_chase(void)
{
  enum { NODES = 8192, STRIDE = 272, STEPS = 6000000 };
  static struct node *list;
  if (!list) {
    u8 *area = memory((size_t)NODES * STRIDE);
    u32 *order = memory(NODES * sizeof *order);
    u64 seed = 7;
    for (u32 i = 0; i < NODES; i++) order[i] = i;
    for (u32 i = NODES - 1; i > 0; i--) {
      u32 k = (u32)(sequence(&seed) % i), t = order[i];
      order[i] = order[k], order[k] = t;
    }
    for (u32 i = 0; i < NODES; i++) {
      struct node *node = (struct node *)(area + (size_t)order[i] * STRIDE);
      node->next = (struct node *)(area + (size_t)order[(i + 1) % NODES] * STRIDE);
      node->value = order[i];
    }
    list = (struct node *)area;
  }
  const struct node *at = list;
  u64 sum = 0;
  for (u32 i = 0; i < STEPS; i++) sum += at->value, at = at->next;
  return mix(sum, at->value);
}

u64 matmul_int(void)
{
  enum { N = 160, ROUNDS = 6 };
  static i32 a[N][N], b[N][N], c[N][N];
  u64 seed = 3, sum = 0;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) a[i][k] = (i32)(sequence(&seed) & 0xffff), b[i][k] = (i32)(sequence(&seed) & 0xffff);
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++) {
        u32 dot = (u32)round;
        for (int n = 0; n < N; n++) dot += (u32)a[i][n] * (u32)b[n][k];
        c[i][k] = (i32)dot;
      }
    for (int i = 0; i < N; i++) sum = mix(sum, (u32)c[i][(i * 7) % N]);
  }
  return sum;
}

/* An LZ77 compressor with a hash of the last place of each three bytes, and its decompressor. */
static size_t lz_compress(const u8 *in, size_t size, u8 *out)
{
  static i32 last[1 << 14];
  size_t at = 0, used = 0, literals = 0, header = 0;
  memset(last, -1, sizeof last);
  while (at < size) {
    size_t length = 0, distance = 0;
    if (at + 4 <= size) {
      u32 key = (in[at] | in[at + 1] << 8 | in[at + 2] << 16) * 2654435761u >> 18;
      i32 from = last[key];
      last[key] = (i32)at;
      if (from >= 0 && at - (size_t)from < 65536) {
        while (length < 254 && at + length < size && in[from + length] == in[at + length]) length++;
        distance = at - (size_t)from;
      }
    }
    if (length >= 4) {
      out[used++] = (u8)length;
      out[used++] = (u8)distance;
      out[used++] = (u8)(distance >> 8);
      at += length;
      literals = 0;
    } else {
      if (literals == 0) header = used, out[used++] = 0, out[used++] = 0;
      out[used++] = in[at++];
      out[header + 1] = (u8)++literals;
      if (literals == 255) literals = 0;
    }
  }
  return used;
}

static size_t lz_decompress(const u8 *in, size_t size, u8 *out)
{
  size_t at = 0, made = 0;
  while (at < size) {
    u8 length = in[at++];
    if (length == 0) {
      u8 count = in[at++];
      while (count--) out[made++] = in[at++];
    } else {
      size_t distance = in[at] | (size_t)in[at + 1] << 8;
      at += 2;
      for (const u8 *from = out + made - distance; length--;) out[made++] = *from++;
    }
  }
  return made;
}

u64 compress_lz(void)
{
  enum { SIZE = 1 << 20 };
  static u8 *text, *packed, *again;
  static const char *const words[] = { "page", "secure", "shared", "guest", "real", "effective", "address", "entry", " of ", " the ", " a ",
                                       ", ", ".\n", "translation", "interrupt", "queue" };
  u64 seed = 9, sum = 0;
  if (!text) {
    text = memory(SIZE), packed = memory(2 * SIZE), again = memory(SIZE);
    for (size_t at = 0; at < SIZE;) {
      const char *word = words[sequence(&seed) % 16];
      for (; *word && at < SIZE; word++) text[at++] = (u8)*word;
    }
  }
  size_t used = lz_compress(text, SIZE, packed);
  size_t made = lz_decompress(packed, used, again);
  if (made != SIZE || memcmp(text, again, SIZE)) return 0xbad;
  sum = mix(made, used);
  for (size_t i = 0; i < used; i += 64) sum = mix(sum, packed[i]);
  return sum;
}

/* A stack machine whose program counts primes by trial division: what script interpreters do all day. */
u64 stack_interpreter(void)
{
  enum { PUSH, LOAD, STORE, ADD, MUL, REM, LESS, JUMP, JUMP_ZERO, STOP };
  enum { LIMIT = 14000, N = 0, D = 1, FOUND = 2 };
  /* The program is put together here, so that jump targets need no counting. */
  i32 program[128], labels[8];
  int size = 0, fix[8], fixed[8], fixes = 0;
#define EMIT(x) (program[size++] = (x))
#define OP1(op, x) (EMIT(op), EMIT(x))
#define GOTO(op, label) (EMIT(op), fix[fixes] = size, fixed[fixes++] = (label), EMIT(0))
#define LABEL(label) (labels[label] = size)
  OP1(PUSH, 2), OP1(STORE, N), OP1(PUSH, 0), OP1(STORE, FOUND);
  LABEL(0);
  OP1(LOAD, N), OP1(PUSH, LIMIT), EMIT(LESS), GOTO(JUMP_ZERO, 4);
  OP1(PUSH, 2), OP1(STORE, D);
  LABEL(1);
  OP1(LOAD, N), OP1(LOAD, D), OP1(LOAD, D), EMIT(MUL), EMIT(LESS), GOTO(JUMP_ZERO, 2);
  OP1(LOAD, FOUND), OP1(PUSH, 1), EMIT(ADD), OP1(STORE, FOUND), GOTO(JUMP, 3);
  LABEL(2);
  OP1(LOAD, N), OP1(LOAD, D), EMIT(REM), GOTO(JUMP_ZERO, 3);
  OP1(LOAD, D), OP1(PUSH, 1), EMIT(ADD), OP1(STORE, D), GOTO(JUMP, 1);
  LABEL(3);
  OP1(LOAD, N), OP1(PUSH, 1), EMIT(ADD), OP1(STORE, N), GOTO(JUMP, 0);
  LABEL(4);
  EMIT(STOP);
  for (int i = 0; i < fixes; i++) program[fix[i]] = labels[fixed[i]];
  i64 stack[16], *top = stack, variables[4] = { 0 };
  u64 executed = 0;
  for (const i32 *at = program;;) {
    executed++;
    switch (*at++) {
      case PUSH: *top++ = *at++; break;
      case LOAD: *top++ = variables[*at++]; break;
      case STORE: variables[*at++] = *--top; break;
      case ADD: top--; top[-1] += top[0]; break;
      case MUL: top--; top[-1] *= top[0]; break;
      case REM: top--; top[-1] %= top[0]; break;
      case LESS: top--; top[-1] = top[-1] < top[0]; break;
      case JUMP: at = program + *at; break;
      case JUMP_ZERO: at = *--top ? at + 1 : program + *at; break;
      default: return mix(executed, (u64)variables[FOUND]);
    }
  }
}

static __attribute__((noinline)) u64 call_a(u64 x) { return x * 3 + 1; }
static __attribute__((noinline)) u64 call_b(u64 x) { return (x >> 3) ^ 0x55; }
static __attribute__((noinline)) u64 call_c(u64 x) { return x + (x << 7); }
static __attribute__((noinline)) u64 call_d(u64 x) { return ~x + 9; }

u64 indirect_calls(void)
{
  enum { CALLS = 2000000 };
  u64 (*volatile const functions[4])(u64) = { call_a, call_b, call_c, call_d };
  u64 x = 1, seed = 3;
  for (int i = 0; i < CALLS; i++) x = functions[sequence(&seed) & 3](x);
  return x;
}

/* The C library's own memcpy, memset, memchr, strlen and strcmp. */
u64 string_library(void)
{
  enum { SIZE = 8192, ROUNDS = 2500 };
  static char *a, *b;
  u64 sum = 0, seed = 13;
  if (!a) a = memory(SIZE + 64), b = memory(SIZE + 64);
  for (int round = 0; round < ROUNDS; round++) {
    size_t length = sequence(&seed) % (SIZE - 1) + 1, shift = sequence(&seed) & 15;
    memset(a + shift, 'a' + round % 20, length);
    a[shift + length] = 0;
    memcpy(b, a + shift, length + 1);
    b[length / 2] = 'z';
    sum = mix(sum, strlen(b));
    sum = mix(sum, (u64)((char *)memchr(b, 'z', length + 1) - b));
    sum = mix(sum, strcmp(a + shift, b) < 0);
  }
  return sum;
}

typedef u8 bytes16 __attribute__((vector_size(16)));
typedef u32 words4 __attribute__((vector_size(16)));

/* Sixteen bytes at a time (VMX, VSX): case and digits of text by compares and selects, permutes, a checksum of words. */
u64 vector_bytes(void)
{
  enum { N = 4096, ROUNDS = 200 };
  static bytes16 text[N];
  u64 seed = 11;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 16; k++) text[i][k] = (u8)(sequence(&seed) % 96 + 32);
  const bytes16 backwards = { 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 };
  bytes16 digits = { 0 };
  words4 sum = { 1, 2, 3, 4 };
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < N; i++) {
      bytes16 v = text[i];
      bytes16 letters = (bytes16)((v | 32) >= 'a') & (bytes16)((v | 32) <= 'z');
      v ^= letters & 32;
      digits += (bytes16)(v >= '0') & (bytes16)(v <= '9') & 1;
      v = __builtin_shuffle(v, digits, backwards);
      text[i] = v;
      sum = ((sum << 5) | (sum >> 27)) + (words4)v;
    }
  u64 result = 0;
  for (int k = 0; k < 4; k++) result = mix(result, sum[k]);
  for (int k = 0; k < 16; k++) result = mix(result, digits[k]);
  return result;
}
