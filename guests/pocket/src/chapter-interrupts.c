/* Chapter 5, interrupt controller: the presentation hcalls of XICS on this processor, and the source calls of RTAS (PAPR, LoPAR). */
#include "runtime.h"

#define DEVICE_PRIORITY 5
#define NO_SUCH_IRQ 0xfffff
#define ACCEPTED_IPI U64(0xff000002) /* CPPR 0xff, source 2 */

/* Lets whatever is pending come in. */
static void window(void)
{
  interrupts_on();
  interrupts_off();
}

static void to_itself(void)
{
  struct cpu *cpu = this_cpu;
  u64 r[4], count = cpu->ipi_count;
  line("own IPI");
  xics_open();
  expect(send_ipi(cpu->server), "H_IPI refused");
  expect_eq("IPIs with EE off", cpu->ipi_count, count);
  window();
  expect_eq("IPIs after EE came on", cpu->ipi_count, count + 1);
  window();
  expect_eq("IPIs after the end of interrupt", cpu->ipi_count, count + 1);
  send_ipi(cpu->server);
  u64 start = timebase();
  set_decrementer((i64)ticks_of_us(2000000));
  hcall(H_CEDE, 0, 0, 0, 0);
  interrupts_off();
  park_decrementer();
  expect(cpu->ipi_count == count + 2 && us_of_ticks(timebase() - start) < 1000000, "H_CEDE slept over a pending IPI");
  hcall_results(r, H_XIRR, 0, 0, 0, 0);
  expect((r[0] & 0xffffff) == 0, "H_XIRR with nothing pending: 0x%lx", r[0]);
  result("pending until EE, taken once, wakes H_CEDE");
}

static void priorities(void)
{
  struct cpu *cpu = this_cpu;
  u64 r[4], count = cpu->ipi_count;
  line("priorities");
  hcall(H_CPPR, 4, 0, 0, 0);
  send_ipi(cpu->server); /* priority 4 is not better than 4 */
  window();
  expect_eq("IPIs at CPPR 4", cpu->ipi_count, count);
  xics_open();
  window();
  expect_eq("IPIs after CPPR 0xff", cpu->ipi_count, count + 1);
  /* by hand: accepting raises CPPR, which holds the next one back until the end of interrupt */
  send_ipi(cpu->server);
  hcall_results(r, H_XIRR, 0, 0, 0, 0);
  expect_eq("H_XIRR", r[0] & 0xffffffff, ACCEPTED_IPI);
  hcall(H_IPI, cpu->server, 0xff, 0, 0);
  send_ipi(cpu->server);
  window();
  expect_eq("IPIs before the end of interrupt", cpu->ipi_count, count + 1);
  hcall(H_EOI, ACCEPTED_IPI, 0, 0, 0);
  window();
  expect_eq("IPIs after the end of interrupt", cpu->ipi_count, count + 2);
  expect(hcall(H_IPI, 0x7fff, 4, 0, 0) != H_SUCCESS, "H_IPI to a processor that does not exist succeeded");
  result("CPPR holds back, H_XIRR accepts, H_EOI lets go");
}

static void sources(void)
{
  u32 irq = machine.terminal_irq, server = this_cpu->server;
  if (!irq || !machine.token.set_xive) {
    skip("sources", "the console has no interrupt");
    return;
  }
  line("sources");
  expect_eq("ibm,set-xive", (u32)rtas(machine.token.set_xive, 3, 1, irq, server, DEVICE_PRIORITY), 0);
  expect_eq("ibm,get-xive", (u32)rtas(machine.token.get_xive, 1, 3, irq), 0);
  expect(rtas_output(1) == server && rtas_output(2) == DEVICE_PRIORITY, "ibm,get-xive says server %u, priority %u", rtas_output(1), rtas_output(2));
  expect_eq("ibm,int-off", (u32)rtas(machine.token.int_off, 1, 1, irq), 0);
  rtas(machine.token.get_xive, 1, 3, irq);
  expect_eq("priority while off", rtas_output(2), 0xff);
  expect_eq("ibm,int-on", (u32)rtas(machine.token.int_on, 1, 1, irq), 0);
  rtas(machine.token.get_xive, 1, 3, irq);
  expect_eq("priority when on again", rtas_output(2), DEVICE_PRIORITY);
  rtas(machine.token.int_off, 1, 1, irq);
  expect_eq("ibm,get-xive of no interrupt", (u32)rtas(machine.token.get_xive, 1, 3, NO_SUCH_IRQ), -3u);
  result("irq 0x%x: set, get, off, on through RTAS", irq);
}

void chapter_interrupts(void)
{
  chapter("interrupts", "XICS through hypercalls");
  to_itself();
  priorities();
  sources();
  xics_close();
}
