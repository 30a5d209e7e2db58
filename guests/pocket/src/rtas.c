/* Run-time abstraction services after the firmware chapter (LoPAR chapter 7): the call itself, the ends of the machine, and panic. */
#include "runtime.h"

#define RTAS_UNKNOWN (-1000)

i32 rtas(u32 token, u32 inputs, u32 outputs, ...)
{
  u32 *block = this_cpu->rtas_args;
  if (!token || !machine.rtas_entry) return RTAS_UNKNOWN;
  va_list list;
  va_start(list, outputs);
  block[0] = be32(token);
  block[1] = be32(inputs);
  block[2] = be32(outputs);
  for (u32 i = 0; i < inputs; i++) block[3 + i] = be32(va_arg(list, u32));
  for (u32 i = 0; i < outputs; i++) block[3 + inputs + i] = be32((u32)-1);
  va_end(list);
  firmware_call(machine.rtas_entry, real_address(block), machine.rtas_base);
  return (i32)be32(block[3 + inputs]);
}

u32 rtas_output(u32 index)
{
  u32 *block = this_cpu->rtas_args;
  return be32(block[3 + be32(block[1]) + index]);
}

static _Noreturn void stay(void)
{
  for (;;) {
    interrupts_off();
    hcall(H_CEDE, 0, 0, 0, 0);
  }
}

void power_off(void)
{
  flush();
  i32 status = rtas(machine.token.power_off, 2, 1, ~0u, ~0u);
  print("power-off returned %d: staying here\n", status);
  stay();
}

void reboot(void)
{
  flush();
  i32 status = rtas(machine.token.system_reboot, 0, 1);
  print("system-reboot returned %d: staying here\n", status);
  stay();
}

/* The console has one writer: the first processor in trouble speaks, the others wait for the end. */
void last_words(void)
{
  static u32 speaker; /* index + 1 */
  u32 mine = this_cpu->index + 1, owner;
  asm volatile("1: lwarx %0,0,%1; cmpwi %0,0; bne- 2f; stwcx. %2,0,%1; bne- 1b; mr %0,%2; 2: isync" : "=&r"(owner) : "r"(&speaker), "r"(mine) : "cr0", "memory");
  if (owner != mine) stay();
}

/* The guest's last word: on the console, and to the host through ibm,os-term. */
void panic(const char *format, ...)
{
  static char text[256]; /* below 4 GiB, as the call wants */
  va_list list;
  last_words();
  va_start(list, format);
  format_list(text, sizeof text, format, list);
  va_end(list);
  print(colour ? "\n\033[1;31mpocket guest panic\033[0m: %s\n" : "\npocket guest panic: %s\n", text);
  i32 status = rtas(machine.token.os_term, 1, 1, (u32)real_address(text));
  if (status) print("ibm,os-term returned %d\n", status);
  stay();
}
