/* Bad ends on demand, for tests of the host: each boot argument here ends the guest before any chapter. README.md lists them. */
#include "runtime.h"

#define GARBAGE_PAGE (WINDOW + 0xf0000)
#define NOWHERE (WINDOW + 0xdead0000)
#define FIRST_VECTOR 0x100
#define VECTORS_END 0x6000
#define MARK U64(0x706f636b65743231) /* pocket21 */
#define NVRAM_OFFSET 0xff00

/* From here on every interrupt lands in words of ones: with FP off they are FP-unavailable interrupts for ever. */
static void spoil_vectors(void)
{
  u64 msr = mfmsr();
  set_msr(msr & ~MSR_DR);
  memset((void *)FIRST_VECTOR, 0xff, VECTORS_END - FIRST_VECTOR);
  set_msr(msr);
  flush_code((void *)(LINK_BASE + FIRST_VECTOR), VECTORS_END - FIRST_VECTOR);
}

static void jump(const char *argument, u64 to)
{
  bool raw = !strncmp(bootarg(argument), "raw", 3);
  print("%s: jumping to 0x%lx%s\n", argument, to, raw ? ", the interrupt vectors are garbage too" : "");
  if (raw) spoil_vectors();
  ((void (*)(void))to)();
}

/* A mark that outlives a reset: in memory nobody clears, and in NVRAM where there is one. */
static volatile u64 *memory_mark(void)
{
  u64 top = machine.real_mode_bytes < U64(0x10000000) ? machine.real_mode_bytes : U64(0x10000000);
  return (u64 *)(LINK_BASE | (top - 0x200000));
}

static u64 nvram_mark(void)
{
  static u64 buffer;
  buffer = 0;
  return rtas(machine.token.nvram_fetch, 3, 2, NVRAM_OFFSET, (u32)real_address(&buffer), 8) ? 0 : buffer;
}

static void set_marks(u64 value)
{
  static u64 buffer;
  buffer = value;
  *memory_mark() = value;
  rtas(machine.token.nvram_store, 3, 2, NVRAM_OFFSET, (u32)real_address(&buffer), 8);
}

static void boot_twice(void)
{
  bool in_memory = *memory_mark() == MARK, in_nvram = nvram_mark() == MARK;
  if (!in_memory && !in_nvram) {
    print("reboot: first boot, system-reboot now\n");
    set_marks(MARK);
    reboot();
  }
  set_marks(0);
  print("reboot: second boot, the mark was in %s%s%s\n", in_memory ? "memory" : "", in_memory && in_nvram ? " and " : "", in_nvram ? "NVRAM" : "");
  power_off();
}

void mischief(void)
{
  if (bootarg("panic")) panic("asked for by the boot arguments");
  if (bootarg("reboot")) boot_twice();
  if (bootarg("loop")) {
    print("loop: branch to self, interrupts off\n");
    asm volatile("b .");
  }
  if (bootarg("garbage") || bootarg("nowhere")) translation_need();
  if (bootarg("garbage")) {
    void *page = allocate(0x10000, 0x10000);
    memset(page, 0xff, 0x10000);
    flush_code(page, 0x10000);
    map(&kernel_space, GARBAGE_PAGE, real_address(page), PAGE_64K, PTE_PRIVILEGED | PTE_READ | PTE_EXECUTE | PTE_TOUCHED);
    jump("garbage", GARBAGE_PAGE);
  }
  if (bootarg("nowhere")) jump("nowhere", NOWHERE);
}
