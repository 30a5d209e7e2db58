/* Console input, only with the boot argument echo (or echo=LINES): sleeps until the terminal interrupts, echoes, repeats each line whole. */
#include "runtime.h"

#define DEVICE_PRIORITY 5
#define POLL_US 100000

static u32 slept;

static int wait_for_char(void)
{
  for (;;) {
    int c = get_char();
    if (c >= 0) return c;
    slept++;
    set_decrementer((i64)ticks_of_us(POLL_US));
    hcall(H_CEDE, 0, 0, 0, 0);
    interrupts_off();
    park_decrementer();
  }
}

static u32 read_line(char *to, u32 size)
{
  u32 length = 0;
  for (;;) {
    int c = wait_for_char();
    if (c == '\r' || c == '\n') break;
    if (c == 8 || c == 127) {
      if (length) print("\b \b"), length--;
    } else if (c >= ' ' && length + 1 < size) {
      to[length++] = (char)c;
      print("%c", c);
    }
  }
  to[length] = 0;
  print("\n");
  return length;
}

void chapter_echo(void)
{
  char text[128];
  chapter("echo", "what is typed comes back");
  u64 interrupts = this_cpu->device_count;
  xics_open();
  if (machine.terminal_irq) {
    rtas(machine.token.set_xive, 3, 1, machine.terminal_irq, this_cpu->server, DEVICE_PRIORITY);
    rtas(machine.token.int_on, 1, 1, machine.terminal_irq);
  }
  for (u64 lines = bootarg_number("echo", 1); lines; lines--) {
    line("line");
    print("type> ");
    u32 length = read_line(text, sizeof text);
    result("\"%s\", %u characters", text, length);
  }
  if (machine.terminal_irq) rtas(machine.token.int_off, 1, 1, machine.terminal_irq);
  xics_close();
  if (machine.terminal_irq && !slept) skip("interrupt", "all of it had been typed ahead");
  else if (machine.terminal_irq) {
    line("interrupt");
    expect(this_cpu->device_count > interrupts, "the terminal never interrupted");
    result("the terminal woke us");
  }
}
