/*
 * PCI through the hypervisor: configuration space by RTAS, registers by the cache-inhibited hypercalls, which work in real mode and do not ask for
 * mappings, and the default DMA window by H_PUT_TCE.
 */
#include "runtime.h"

#define H_PUT_TCE 0x20
#define H_LOGICAL_CI_LOAD 0x3c
#define H_LOGICAL_CI_STORE 0x40
#define TCE_READ_WRITE 3
#define TCE_BYTES U64(0x1000)

u32 config_read(u32 address, u32 offset, u32 bytes)
{
  i32 status = rtas(machine.token.read_config, 4, 2, address + offset, machine.bridge.buid_high, machine.bridge.buid_low, bytes);
  return expect(status == 0, "ibm,read-pci-config of 0x%x returned %d", address + offset, status) ? rtas_output(1) : ~0u;
}

void config_write(u32 address, u32 offset, u32 bytes, u32 value)
{
  i32 status = rtas(machine.token.write_config, 5, 1, address + offset, machine.bridge.buid_high, machine.bridge.buid_low, bytes, value);
  expect(status == 0, "ibm,write-pci-config of 0x%x returned %d", address + offset, status);
}

/* The hypercalls move bytes as a big-endian access does. */
static u64 swapped(u64 value, u32 bytes) { return be64(value) >> (64 - 8 * bytes); }

u32 register_read(u64 ra, u32 bytes)
{
  u64 results[4];
  i64 status = hcall_results(results, H_LOGICAL_CI_LOAD, bytes, ra, 0, 0);
  return expect(status == H_SUCCESS, "H_LOGICAL_CI_LOAD of 0x%lx returned %ld", ra, status) ? (u32)swapped(results[0], bytes) : ~0u;
}

void register_write(u64 ra, u32 bytes, u32 value)
{
  i64 status = hcall(H_LOGICAL_CI_STORE, bytes, ra, swapped(value, bytes), 0);
  expect(status == H_SUCCESS, "H_LOGICAL_CI_STORE to 0x%lx returned %ld", ra, status);
}

bool dma_map(u64 bus, u64 ra, u64 bytes)
{
  for (u64 at = 0; at < bytes; at += TCE_BYTES) {
    i64 status = hcall(H_PUT_TCE, machine.bridge.window, bus + at, (ra + at) | TCE_READ_WRITE, 0);
    if (!expect(status == H_SUCCESS, "H_PUT_TCE of 0x%lx returned %ld", bus + at, status)) return false;
  }
  return true;
}
