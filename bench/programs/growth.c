/* Work whose size is in its name: spread-N divides a fixed amount over N processes; crowd-N starts N that live together. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

static void fail(const char *what)
{
  perror(what);
  exit(1);
}

static void begin(const char *name)
{
  printf("@begin %s\n", name);
  fflush(stdout);
}

static void end(const char *name, u64 result)
{
  printf("@end %s %llx\n", name, (unsigned long long)result);
  fflush(stdout);
}

/* One of the pieces that the work is made of: arithmetic over 64 KiB. */
static u64 piece(u32 number, u32 *area)
{
  enum { WORDS = 16384 };
  u64 state = number, sum = 0;
  for (u32 i = 0; i < WORDS; i++) area[i] = (u32)sequence(&state);
  for (u32 step = 1; step < 16; step++)
    for (u32 i = 0; i + step < WORDS; i++) area[i] = area[i] * 31 + (area[i + step] >> 3);
  for (u32 i = 0; i < WORDS; i++) sum = mix(sum, area[i]);
  return sum;
}

/* The same pieces, and so the same sum, whatever the number of workers. */
static u64 spread(int workers)
{
  enum { PIECES = 240 };
  u64 *results = mmap(0, PIECES * sizeof(u64), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (results == MAP_FAILED) fail("mmap");
  for (int worker = 0; worker < workers; worker++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child) continue;
    u32 *area = memory(65536);
    for (int i = worker; i < PIECES; i += workers) results[i] = piece((u32)i, area);
    _exit(0);
  }
  int status, bad = 0;
  while (wait(&status) > 0) bad |= status;
  u64 sum = (u64)bad;
  for (int i = 0; i < PIECES; i++) sum = mix(sum, results[i]);
  munmap(results, PIECES * sizeof(u64));
  return sum;
}

/* A ring of processes, each reading from the one before it and writing to the one behind it. Three rows: starting them,
   a byte that goes round, and their end. The byte makes the same number of steps in a ring of any size. */
static void crowd(int processes)
{
  enum { STEPS = 4000 };
  char name[3][40];
  const char *kinds[] = { "start", "ring", "end" };
  for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "crowd-%d-%s", processes, kinds[i]);
  int first[2], before, next[2];
  begin(name[0]);
  if (pipe(first)) fail("pipe");
  before = first[0];
  for (int i = 0; i < processes; i++) {
    if (pipe(next)) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      close(first[1]);
      close(next[0]);
      u8 *own = mmap(0, 131072, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (own == MAP_FAILED) _exit(1);
      own[0] = (u8)i, own[65536] = 1;
      u8 byte;
      while (read(before, &byte, 1) == 1) {
        own[1] += byte;
        byte = (u8)(byte + own[65536]);
        if (write(next[1], &byte, 1) != 1) _exit(1);
      }
      _exit(own[1] & 31);
    }
    close(before);
    close(next[1]);
    before = next[0];
  }
  u8 byte = 0;
  /* One round, so that all have come to their loop. */
  if (write(first[1], &byte, 1) != 1 || read(before, &byte, 1) != 1) fail("ring");
  end(name[0], byte);
  begin(name[1]);
  for (int round = 0; round < STEPS / processes; round++)
    if (write(first[1], &byte, 1) != 1 || read(before, &byte, 1) != 1) fail("ring");
  end(name[1], byte);
  begin(name[2]);
  close(first[1]);
  int status;
  u64 sum = 0;
  while (wait(&status) > 0) sum += (u64)status;
  close(before);
  end(name[2], sum);
}

int grown(const char *name)
{
  int number;
  char rest;
  if (sscanf(name, "spread-%d%c", &number, &rest) == 1 && number > 0) {
    begin(name);
    end(name, spread(number));
    return 1;
  }
  if (sscanf(name, "crowd-%d%c", &number, &rest) == 1 && number > 0) {
    crowd(number);
    return 1;
  }
  return 0;
}
