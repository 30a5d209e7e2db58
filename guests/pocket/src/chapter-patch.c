/* Chapter 7, code that changes: Power ISA 3.0B Book II 1.8 and what Linux relies on (one icbi for any range on a coherent instruction cache). */
#include "runtime.h"

#define CODE (WINDOW + 0x90000)  /* read, write, execute */
#define RUN (WINDOW + 0xa0000)   /* read, execute */
#define WRITE (WINDOW + 0xb0000) /* the same frame: read, write */
#define MOVED (WINDOW + 0xc0000)
#define SMALL (WINDOW + 0x600000) /* two 4K pages */

#define LI_R3(n) (0x38600000u | (n))
#define ADDI_R3(n) (0x38630000u | (n))
#define BLR 0x4e800020u
#define NOP 0x60000000u
#define BRANCH_OVER 0x48000008u /* b .+8 */

typedef u64 function(u64, u64);

static function *at(u64 ea) { return (function *)ea; }

static u32 *new_page(u64 ea, u64 flags)
{
  u32 *frame = allocate(0x10000, 0x10000);
  map(&kernel_space, ea, real_address(frame), PAGE_64K, PTE_PRIVILEGED | PTE_TOUCHED | flags);
  return frame;
}

static void in_place(void)
{
  line("in place");
  volatile u32 *code = (u32 *)CODE;
  code[1] = BLR;
  for (u32 i = 1; i <= 200; i++) {
    code[0] = LI_R3(i);
    flush_code((void *)CODE, 8);
    if (!expect_eq("patched constant", at(CODE)(0, 0), i)) break;
  }
  /* what Linux does on POWER9: sync, one icbi of any address, isync */
  for (u32 i = 1; i <= 200; i++) {
    code[0] = LI_R3(0x1000 + i);
    asm volatile("sync; icbi 0,%0; isync" ::"r"(LINK_BASE) : "memory");
    if (!expect_eq("patched with a far icbi", at(CODE)(0, 0), 0x1000 + i)) break;
  }
  /* a jump label: nop and branch in turn */
  code[0] = LI_R3(10), code[1] = NOP, code[2] = ADDI_R3(5), code[3] = ADDI_R3(1), code[4] = BLR;
  flush_code((void *)CODE, 20);
  for (u32 i = 0; i < 20; i++) {
    code[1] = i & 1 ? BRANCH_OVER : NOP;
    flush_code((void *)(CODE + 4), 4);
    expect_eq("jump label", at(CODE)(0, 0), i & 1 ? 11 : 16);
  }
  result("420 patches of running code, each seen at once");
}

static void ahead(void)
{
  extern char patch_ahead[], patch_ahead_slot[], patch_ahead_end[];
  line("next words");
  memcpy((void *)CODE, patch_ahead, (u64)(patch_ahead_end - patch_ahead));
  flush_code((void *)CODE, (u64)(patch_ahead_end - patch_ahead));
  u64 slot = CODE + (u64)(patch_ahead_slot - patch_ahead);
  for (u32 i = 0; i < 20; i++) expect_eq("slot", at(CODE)(slot, LI_R3(100 + i)), 100 + i);
  result("code that stores the instruction it comes to next");
}

static void through_alias(void)
{
  line("alias");
  u32 *frame = new_page(RUN, PTE_READ | PTE_EXECUTE);
  map(&kernel_space, WRITE, real_address(frame), PAGE_64K, PTE_PRIVILEGED | PTE_TOUCHED | PTE_WRITE);
  volatile u32 *alias = (u32 *)WRITE;
  alias[1] = BLR;
  for (u32 i = 1; i <= 50; i++) {
    alias[0] = LI_R3(i);
    asm volatile("sync; icbi 0,%0; isync" ::"r"(RUN) : "memory");
    if (!expect_eq("through the other mapping", at(RUN)(0, 0), i)) break;
  }
  ((volatile u32 *)frame)[0] = LI_R3(77); /* the linear map */
  flush_code(frame, 4);
  expect_eq("through the linear map", at(RUN)(0, 0), 77);
  set_msr(mfmsr() & ~MSR_DR);
  *(volatile u32 *)real_address(frame) = LI_R3(78);
  set_msr(mfmsr() | MSR_DR);
  flush_code(frame, 4);
  expect_eq("through real mode", at(RUN)(0, 0), 78);
  result("other mapping, linear map, real mode");
}

static void moved(void)
{
  line("remap");
  u32 *one = new_page(MOVED, PTE_READ | PTE_EXECUTE), *two = allocate(0x10000, 0x10000);
  one[0] = LI_R3(1), two[0] = LI_R3(2), one[1] = two[1] = BLR;
  flush_code(one, 8);
  flush_code(two, 8);
  for (u32 i = 0; i < 10; i++) {
    map(&kernel_space, MOVED, real_address(i & 1 ? two : one), PAGE_64K, PTE_PRIVILEGED | PTE_TOUCHED | PTE_READ | PTE_EXECUTE);
    flush_page(0, MOVED, PAGE_64K);
    expect_eq("code of the frame", at(MOVED)(0, 0), i & 1 ? 2 : 1);
  }
  /* a routine over the end of one 4K page; its second page is patched, then replaced */
  u32 *frames = allocate(0x3000, 0x1000);
  u64 flags = PTE_PRIVILEGED | PTE_TOUCHED | PTE_WRITE | PTE_EXECUTE;
  map(&kernel_space, SMALL, real_address(frames), PAGE_4K, flags);
  map(&kernel_space, SMALL + 0x1000, real_address(frames) + 0x1000, PAGE_4K, flags);
  u32 *first_end = (u32 *)(SMALL + 0xff8), *second = (u32 *)(SMALL + 0x1000);
  first_end[0] = LI_R3(1), first_end[1] = ADDI_R3(1), second[0] = ADDI_R3(10), second[1] = BLR;
  frames[0x800] = ADDI_R3(1000), frames[0x801] = BLR;
  flush_code(first_end, 16);
  flush_code(frames + 0x800, 8);
  expect_eq("over the page end", at(SMALL + 0xff8)(0, 0), 12);
  second[0] = ADDI_R3(100);
  flush_code(second, 4);
  expect_eq("second page patched", at(SMALL + 0xff8)(0, 0), 102);
  map(&kernel_space, SMALL + 0x1000, real_address(frames) + 0x2000, PAGE_4K, flags);
  flush_page(0, SMALL + 0x1000, PAGE_4K);
  expect_eq("second page replaced", at(SMALL + 0xff8)(0, 0), 1002);
  result("frames exchanged under 64K and 4K pages of code");
}

static void generated(void)
{
  line("generated");
  u32 *code = (u32 *)CODE;
  for (u32 n = 1; n <= 32; n++) {
    u32 want = 0;
    code[0] = LI_R3(0);
    for (u32 i = 1; i <= n; i++) code[i] = ADDI_R3(i * n), want += i * n;
    code[n + 1] = BLR;
    flush_code(code, 4 * (n + 2));
    expect_eq("generated routine", at(CODE)(0, 0), want);
  }
  asm volatile("dcbz 0,%0" ::"r"(code) : "memory");
  flush_code(code, 128);
  expect_eq("interrupt after dcbz over the code", trap_call((void (*)(void))CODE, 0), VEC_PROGRAM);
  result("32 routines written and run in one place, then dcbz");
}

void chapter_patch(void)
{
  chapter("patch", "code that changes under the processor");
  if (!translation_need()) {
    line("translation");
    expect(false, "could not be turned on");
    result("%s", "");
    return;
  }
  new_page(CODE, PTE_WRITE | PTE_EXECUTE);
  in_place();
  ahead();
  through_alias();
  moved();
  generated();
}
