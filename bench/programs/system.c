/* What the kernel does for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

static void fail(const char *what)
{
  perror(what);
  exit(1);
}

u64 system_calls(void)
{
  enum { CALLS = 60000 };
  u64 sum = 0;
  for (int i = 0; i < CALLS; i++) sum += (u64)(syscall(SYS_getppid) > 0);
  return sum;
}

static u64 children(int count, int with_exec)
{
  u64 sum = 0;
  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      if (!with_exec) _exit(i & 63);
      execl(program_path, program_path, "nothing", (char *)0);
      _exit(99);
    }
    int status;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    sum = mix(sum, (u64)WEXITSTATUS(status));
  }
  return sum;
}

u64 fork_exit(void) { return children(60, 0); }
u64 fork_exec(void) { return children(50, 1); }

u64 pipe_ping_pong(void)
{
  enum { ROUNDS = 1000 };
  int there[2], back[2];
  u64 sum = 0;
  if (pipe(there) || pipe(back)) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    u8 byte;
    for (int i = 0; i < ROUNDS; i++) {
      if (read(there[0], &byte, 1) != 1) _exit(1);
      byte = (u8)(byte * 5 + 1);
      if (write(back[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  u8 byte = 1;
  for (int i = 0; i < ROUNDS; i++) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) fail("pipe");
    sum = mix(sum, byte);
  }
  int status;
  waitpid(child, &status, 0);
  for (int i = 0; i < 2; i++) close(there[i]), close(back[i]);
  return mix(sum, (u64)status);
}

u64 page_faults(void)
{
  enum { BYTES = 32 << 20, STEP = 65536, ROUNDS = 3 };
  u64 sum = 0;
  for (int round = 0; round < ROUNDS; round++) {
    u8 *area = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) fail("mmap");
    for (size_t at = 0; at < BYTES; at += STEP) sum += area[at], area[at] = (u8)(at >> 16);
    for (size_t at = 0; at < BYTES; at += STEP) sum = mix(sum, area[at]);
    munmap(area, BYTES);
  }
  return sum;
}
