/*
 * Order of things: firmware_main runs where the loader put the image, with firmware still alive, and may use no absolute address; then the image moves
 * to real address 0, its own vectors with it, and main runs the chapters.
 */
#include "runtime.h"

struct cpu boot_cpu;
struct machine machine;
static char interrupt_stack[8192] __attribute__((aligned(16)));

void firmware_main(u64 initrd, u64 initrd_size, u64 entry, u64 base)
{
  chapter_firmware_early(initrd, initrd_size, entry, base);
  move_to_zero(base);
}

struct chapter_entry {
  const char *name;
  void (*run)(void);
};

static const struct chapter_entry chapters[] = {
    {"cpu", chapter_cpu}, {"mmu", chapter_mmu}, {"time", chapter_time}, {"interrupts", chapter_interrupts}, {"smp", chapter_smp}, {"patch", chapter_patch},
    {"secure", chapter_secure},
};

static void verdict(u64 started)
{
  u64 us = us_of_ticks(timebase() - started);
  u32 good = lines_passed(), bad = lines_failed();
  print("\nverdict: %u %s ok (%u expectations), %u failed, %lu.%03lu s of guest time\n", good, good == 1 ? "line" : "lines", expectations_met(), bad, us / 1000000, us / 1000 % 1000);
  if (bad) panic("%u of %u lines failed", bad, good + bad);
}

void main(void)
{
  u64 started = timebase();
  this_cpu->interrupt_stack = (u64)interrupt_stack + sizeof interrupt_stack - 64;
  this_cpu->server = machine.boot_server;
  interrupts_off();
  park_decrementer();
  if (!interrupts_need()) panic("H_SET_MODE refused little-endian interrupts");
  mischief();
  if (bootarg("bench")) {
    benchmark();
    power_off();
  }
  if (bootarg("spin")) {
    spin(bootarg_number("spin", 100));
    power_off();
  }
  for (u32 i = 0; i < sizeof chapters / sizeof chapters[0]; i++)
    if (!bootarg("only") || bootarg_lists("only", chapters[i].name)) chapters[i].run();
  if (bootarg("echo")) chapter_echo();
  verdict(started);
  power_off();
}
