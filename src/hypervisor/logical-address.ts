// Checking of the addresses that hypercalls carry. They are "logical", that is guest real, and arrive in 64-bit
// registers under the guest's control.

const LOGICAL_MASK = 0x0fff_ffff_ffff_ffffn;

/**
 * The guest real address in `value`, its top four bits ignored as in real mode (ISA 3.0B III 5.7.3), or undefined when it
 * is beyond 2^53 and hence beyond anything the machine has. The caller still asks `HostView.contains`.
 */
export function logicalAddress(value: bigint): number | undefined {
  const masked = value & LOGICAL_MASK;
  return masked <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(masked) : undefined;
}
