/* The interrupt presentation controller through hcalls (PAPR XICS: H_CPPR, H_IPI, H_XIRR, H_EOI). Priority 0 is best, 0xff accepts everything. */
#include "runtime.h"

#define SOURCE_IPI 2
#define IPI_PRIORITY 4

void xics_open(void) { hcall(H_CPPR, 0xff, 0, 0, 0); }
void xics_close(void) { hcall(H_CPPR, 0, 0, 0, 0); }
bool send_ipi(u32 server) { return hcall(H_IPI, server, IPI_PRIORITY, 0, 0) == H_SUCCESS; }

void handle_external(void)
{
  struct cpu *cpu = this_cpu;
  u64 r[4];
  hcall_results(r, H_XIRR, 0, 0, 0, 0);
  u32 source = r[0] & 0xffffff;
  if (!source) {
    cpu->spurious_count++;
    return;
  }
  if (source == SOURCE_IPI) {
    hcall(H_IPI, cpu->server, 0xff, 0, 0);
    cpu->ipi_count++;
  } else cpu->device_count++;
  hcall(H_EOI, r[0] & 0xffffffff, 0, 0, 0);
}
