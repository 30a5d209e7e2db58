// Runs single instructions and short programs on the processor it runs on, from a given full register state, and answers
// with every register that changed. Built statically for ppc64le and run by `qemu-ppc64le -cpu power9`; the reader and
// writer on the other side is oracle.ts.
//
// All registers but the ones of machine control are under test, r1, r2 and r13 included: they are loaded right before
// the program and saved right behind it. Two special registers hold what the harness itself needs at those moments:
// TAR the address of the program (unless the program itself is about TAR: then it stands at CODE_EA and is entered by
// a direct branch), PPR the value of r3 while the save area is addressed.
//
// Signals (illegal instruction, trap, floating-point exception, storage and alignment faults) end a program; the handler
// notes them and lets the interrupted context, registers untouched, continue at the save code.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;

// The layout of a state, in 8-byte slots; state.ts has the same list.
enum {
  GPR = 0, VSR = 32, LR = 160, CTR = 161, XER = 162, FPSCR = 163, CR = 164, VSCR = 165, TAR = 166, SPARE = 167,
  WINDOW = 168, WINDOW_SLOTS = 64, SLOTS = WINDOW + WINDOW_SLOTS
};

// Guest addresses both sides agree on. The window lies across a 64 KiB page boundary.
#define WINDOW_EA 0x0200ff00ul
#define CODE_EA 0x02100000ul
#define DATA_BASE 0x02000000ul
#define DATA_BYTES 0x20000ul
#define CODE_BASE 0x020f0000ul
#define CODE_BYTES 0x20000ul
#define SLOT_BASE 0x02200000ul
#define SLOT_BYTES 0x40000ul
#define STATE_BASE 0x02400000ul

#define TRAP_WORD 0x7fe00008u

static u64 *const inState = (u64 *)STATE_BASE;
static u64 *const outState = (u64 *)(STATE_BASE + 0x1000);

struct noted {
  u32 signal, code;
  u64 nip, address, fpscr;
};
static volatile struct noted noted;
static volatile int running;

void enterBySlot(void);
void enterFixed(void);
extern char leave[];

asm(
    ".machine power9\n"
    ".altmacro\n"
    ".set IN, 0x0240\n"
    ".text\n"
    // Saves what the C code needs back; r1 goes to a fixed place.
    ".macro SAVE_HOST\n"
    "  mflr 0\n"
    "  std 0, 16(1)\n"
    "  mfcr 0\n"
    "  std 0, 8(1)\n"
    "  stdu 1, -1024(1)\n"
    "  .set i, 13\n"
    "  .rept 19\n"
    "    std i, 8*i(1)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  std 2, 96(1)\n"
    "  .set i, 14\n"
    "  .rept 18\n"
    "    stfd i, 256+8*i(1)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  addi 4, 1, 528\n"
    "  .set i, 20\n"
    "  .rept 12\n"
    "    stvx i, 0, 4\n"
    "    addi 4, 4, 16\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  lis 3, IN\n"
    "  std 1, 0x2000(3)\n"
    ".endm\n"
    ".macro LOAD_STATE\n"
    "  ld 4, 8*165(3)\n"
    "  mtvsrdd 32, 0, 4\n"
    "  mtvscr 0\n"
    "  lfd 0, 8*163(3)\n"
    "  mtfsf 255, 0, 1, 0\n"
    "  addi 4, 3, 8*32\n"
    "  .set i, 0\n"
    "  .rept 64\n"
    "    lxvd2x i, 0, 4\n"
    "    addi 4, 4, 16\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  ld 4, 8*160(3)\n"
    "  mtlr 4\n"
    "  ld 4, 8*161(3)\n"
    "  mtctr 4\n"
    "  ld 4, 8*162(3)\n"
    "  mtxer 4\n"
    "  ld 4, 8*164(3)\n"
    "  mtcrf 255, 4\n"
    "  ld 4, 8*166(3)\n"
    "  mtspr 815, 4\n"
    "  ld 0, 0(3)\n"
    "  ld 1, 8(3)\n"
    "  ld 2, 16(3)\n"
    "  .set i, 4\n"
    "  .rept 28\n"
    "    ld i, 8*i(3)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  ld 3, 24(3)\n"
    ".endm\n"
    ".globl enterBySlot\n"
    ".type enterBySlot, @function\n"
    "enterBySlot:\n"
    "  SAVE_HOST\n"
    "  LOAD_STATE\n"
    "  bctar 20, 0, 0\n"
    ".globl enterFixed\n"
    ".type enterFixed, @function\n"
    "enterFixed:\n"
    "  SAVE_HOST\n"
    "  LOAD_STATE\n"
    "  b fixedCode\n"
    ".globl leave\n"
    "leave:\n"
    "  mtspr 896, 3\n"
    "  lis 3, IN\n"
    "  ori 3, 3, 0x1000\n"
    "  std 0, 0(3)\n"
    "  std 1, 8(3)\n"
    "  std 2, 16(3)\n"
    "  .set i, 4\n"
    "  .rept 28\n"
    "    std i, 8*i(3)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  mfspr 4, 896\n"
    "  std 4, 24(3)\n"
    "  mflr 4\n"
    "  std 4, 8*160(3)\n"
    "  mfctr 4\n"
    "  std 4, 8*161(3)\n"
    "  mfxer 4\n"
    "  std 4, 8*162(3)\n"
    "  mfcr 4\n"
    "  std 4, 8*164(3)\n"
    "  mfspr 4, 815\n"
    "  std 4, 8*166(3)\n"
    "  addi 4, 3, 8*32\n"
    "  .set i, 0\n"
    "  .rept 64\n"
    "    stxvd2x i, 0, 4\n"
    "    addi 4, 4, 16\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  mffs 0\n"
    "  stfd 0, 8*163(3)\n"
    "  mfvscr 0\n"
    "  mfvsrld 4, 32\n"
    "  std 4, 8*165(3)\n"
    "  xxlxor 0, 0, 0\n"
    "  mtfsf 255, 0, 1, 0\n"
    "  ld 1, 0x1000(3)\n"
    "  addi 4, 1, 528\n"
    "  .set i, 20\n"
    "  .rept 12\n"
    "    lvx i, 0, 4\n"
    "    addi 4, 4, 16\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  .set i, 14\n"
    "  .rept 18\n"
    "    lfd i, 256+8*i(1)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  ld 2, 96(1)\n"
    "  .set i, 13\n"
    "  .rept 19\n"
    "    ld i, 8*i(1)\n"
    "    .set i, i+1\n"
    "  .endr\n"
    "  addi 1, 1, 1024\n"
    "  ld 0, 8(1)\n"
    "  mtcrf 255, 0\n"
    "  ld 0, 16(1)\n"
    "  mtlr 0\n"
    "  blr\n");

// Thread pointer and table of contents hold guest values here: no library call, no thread-local variable.
static void onSignal(int number, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  if (!running) _exit(100 + number);
  running = 0;
  noted.signal = number;
  noted.code = info->si_code;
  noted.address = (u64)info->si_addr;
  noted.nip = uc->uc_mcontext.gp_regs[32];
  // The frame has the whole FPSCR, but the return from the handler restores only its low word.
  u64 fpscr;
  __builtin_memcpy(&fpscr, &uc->uc_mcontext.fp_regs[32], 8);
  noted.fpscr = fpscr;
  uc->uc_mcontext.gp_regs[32] = (u64)leave;
}

static void mapFixed(u64 address, u64 bytes, int protection) {
  void *at = mmap((void *)address, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != (void *)address) {
    fprintf(stderr, "cannot map %#lx\n", address);
    exit(3);
  }
}

static char input[1 << 22];
static char output[1 << 23];
static size_t outputUsed;

static void readAll(void *to, size_t bytes) {
  char *at = to;
  while (bytes > 0) {
    ssize_t got = read(0, at, bytes);
    if (got <= 0) exit(0);
    at += got;
    bytes -= got;
  }
}

static void flushOutput(void) {
  size_t done = 0;
  while (done < outputUsed) {
    ssize_t put = write(1, output + done, outputUsed - done);
    if (put <= 0) exit(4);
    done += put;
  }
  outputUsed = 0;
}

static void put64(u64 value) {
  __builtin_memcpy(output + outputUsed, &value, 8);
  outputUsed += 8;
}

static u32 branchTo(u64 from, u64 to) { return 0x48000000u | ((to - from) & 0x03fffffc); }

static void writeCode(u32 *at, const u32 *words, u32 count) {
  for (u32 i = 0; i < count; i++) at[i] = words[i];
  at[count] = branchTo((u64)(at + count), (u64)leave);
  for (u32 i = 0; i <= count; i += 8) asm volatile("icbi 0,%0" : : "r"(at + i) : "memory");
  asm volatile("sync; isync" : : : "memory");
}

static void fillTraps(u32 *at, u32 count) {
  for (u32 i = 0; i < count; i++) at[i] = TRAP_WORD;
}

// A request: u32 bytes that follow, u32 fixed, u32 programs, u32 vectors; base state; for each program u32 length and its
// words; (padding to 8); for each vector u32 program, u32 changes, then slot and value of each change as u64.
// An answer: u64 bytes that follow; for each vector u64 outcome (signal << 32 | code, 0 if none), u64 next instruction
// address, u64 fault address, u64 changes, then slot and value of each change.
int main(void) {
  mapFixed(DATA_BASE, DATA_BYTES, PROT_READ | PROT_WRITE);
  mapFixed(CODE_BASE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
  mapFixed(SLOT_BASE, SLOT_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
  mapFixed(STATE_BASE, 0x10000, PROT_READ | PROT_WRITE);
  fillTraps((u32 *)CODE_BASE, CODE_BYTES / 4);
  static char alternate[1 << 16];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = onSignal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  static const int signals[] = {SIGILL, SIGTRAP, SIGFPE, SIGSEGV, SIGBUS};
  for (unsigned i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);

  static u64 base[SLOTS];
  static const u32 *programWords[4096];
  static u32 programLength[4096];
  static u64 programAt[4096];
  u32 fixedWritten = 0;
  for (;;) {
    u32 head[4];
    readAll(head, 16);
    u32 bytes = head[0], fixed = head[1], programs = head[2], vectors = head[3];
    if (bytes > sizeof input || programs > 4096) exit(5);
    readAll(input, bytes);
    char *at = input;
    memcpy(base, at, sizeof base);
    at += sizeof base;
    u64 slot = SLOT_BASE;
    for (u32 p = 0; p < programs; p++) {
      programLength[p] = *(u32 *)at;
      programWords[p] = (u32 *)(at + 4);
      at += 4 + 4 * programLength[p];
      if (!fixed) {
        if (slot + 4 * programLength[p] + 8 > SLOT_BASE + SLOT_BYTES) exit(6);
        programAt[p] = slot;
        writeCode((u32 *)slot, programWords[p], programLength[p]);
        slot += 4 * programLength[p] + 4;
      } else {
        programAt[p] = CODE_EA;
      }
    }
    at = input + ((at - input + 7) & ~7l);
    u32 loaded = ~0u;
    for (u32 v = 0; v < vectors; v++) {
      u32 program = ((u32 *)at)[0], changes = ((u32 *)at)[1];
      at += 8;
      if (fixed && program != loaded) {
        u32 length = programLength[program];
        if (length + 1 < fixedWritten) fillTraps((u32 *)CODE_EA, fixedWritten);
        writeCode((u32 *)CODE_EA, programWords[program], length);
        fixedWritten = length + 1;
        loaded = program;
      }
      memcpy(inState, base, sizeof base);
      for (u32 c = 0; c < changes; c++, at += 16) inState[((u64 *)at)[0]] = ((u64 *)at)[1];
      memcpy((void *)WINDOW_EA, inState + WINDOW, 8 * WINDOW_SLOTS);
      noted.signal = 0;
      u64 start = programAt[program];
      u64 tar = inState[TAR];
      running = 1;
      if (fixed) {
        enterFixed();
      } else {
        inState[TAR] = start;
        enterBySlot();
        outState[TAR] = inState[TAR] = tar;
      }
      running = 0;
      u64 outcome = 0, nia = CODE_EA + 4ul * programLength[program], address = 0;
      if (noted.signal) {
        u64 offset = noted.nip - start;
        int inside = offset < 4ul * programLength[program];
        if (inside) {
          nia = CODE_EA + offset;
          outcome = (u64)noted.signal << 32 | noted.code;
          address = noted.address;
        } else {
          // A branch left the program: what stands at its target is no matter.
          nia = noted.nip;
        }
        outState[FPSCR] = noted.fpscr;
      }
      outState[SPARE] = inState[SPARE];
      memcpy(outState + WINDOW, (void *)WINDOW_EA, 8 * WINDOW_SLOTS);
      if (outputUsed + 64 + 16 * SLOTS > sizeof output) exit(7);
      if (v == 0) put64(0);
      size_t countAt;
      put64(outcome);
      put64(nia);
      put64(address);
      countAt = outputUsed;
      put64(0);
      u64 count = 0;
      for (u32 s = 0; s < SLOTS; s++) {
        if (inState[s] != outState[s]) {
          put64(s);
          put64(outState[s]);
          count++;
        }
      }
      __builtin_memcpy(output + countAt, &count, 8);
    }
    if (vectors == 0) put64(0);
    u64 payload = outputUsed - 8;
    __builtin_memcpy(output, &payload, 8);
    flushOutput();
  }
}
