// Partition-wide processor modes: H_SET_MODE (LoPAR, H_SET_MODE) and H_REGISTER_PROC_TBL (LoPAR,
// H_REGISTER_PROCESS_TABLE). Breakpoints and watchpoints (resources 1 and 2) are not offered: H_P2.

import type { HostView } from '../../memory/host-view.ts';
import { H_P2, H_P3, H_P4, H_PARAMETER, H_SUCCESS, unsupportedFlag } from '../h-status.ts';
import type { Hcall, HcallDefinition } from '../hcall-table.ts';
import type { PartitionPort } from '../vcpu-port.ts';

const RESOURCE_INTERRUPT_LOCATION = 3n;
const RESOURCE_INTERRUPT_ENDIAN = 4n;

/** H_REGISTER_PROC_TBL flags. */
const CHANGE = 0x10n;
const REGISTER = 0x08n;
const RADIX = 0x04n;
const HASH_PROCESS_TABLE = 0x02n;
const GTSE = 0x01n;
const DEFINED_FLAGS = CHANGE | REGISTER | RADIX | HASH_PROCESS_TABLE | GTSE;

const MAX_TABLE_SIZE_LOG2 = 24n;

interface ProcessTable {
  readonly baseGra: number;
  readonly sizeLog2: number;
}

/** The process table registration, and the two calls. */
export class PartitionMode {
  private readonly partition: PartitionPort;
  private readonly view: HostView;
  private table: ProcessTable | undefined;

  constructor(partition: PartitionPort, view: HostView) {
    this.partition = partition;
    this.view = view;
  }

  reset(): void {
    this.table = undefined;
  }

  hcalls(): HcallDefinition[] {
    return [
      {
        token: 0x31c,
        name: 'H_SET_MODE',
        inputs: 4,
        outputs: 0,
        functionSet: 'hcall-set-mode',
        handler: (call) => this.setMode(call),
        ref: 'LoPAR H_SET_MODE',
      },
      {
        token: 0x37c,
        name: 'H_REGISTER_PROC_TBL',
        inputs: 4,
        outputs: 0,
        handler: (call) => this.registerProcessTable(call),
        ref: 'LoPAR H_REGISTER_PROCESS_TABLE',
      },
    ];
  }

  /** r4 mflags, r5 resource, r6 value1, r7 value2. */
  private setMode(call: Hcall): number {
    const mflags = call.arg(0);
    const resource = call.arg(1);
    if (resource !== RESOURCE_INTERRUPT_LOCATION && resource !== RESOURCE_INTERRUPT_ENDIAN) return H_P2;
    if (call.arg(2) !== 0n) return H_P3;
    if (call.arg(3) !== 0n) return H_P4;
    if (resource === RESOURCE_INTERRUPT_LOCATION) {
      if (mflags === 1n || mflags > 3n) return unsupportedFlag(firstSetBit(mflags === 1n ? 1n : mflags & ~3n));
      this.partition.setInterruptLocation(mflags === 0n ? 0 : mflags === 2n ? 2 : 3);
    } else {
      if (mflags > 1n) return unsupportedFlag(firstSetBit(mflags & ~1n));
      this.partition.setInterruptEndian(mflags === 1n ? 'little' : 'big');
    }
    return H_SUCCESS;
  }

  /** r4 flags, r5 base, r6 page size, r7 log2 of the size in 4 KiB pages. Radix only. */
  private registerProcessTable(call: Hcall): number {
    const flags = call.arg(0);
    if ((flags & ~DEFINED_FLAGS) !== 0n || (flags & HASH_PROCESS_TABLE) !== 0n) return H_PARAMETER;
    if ((flags & CHANGE) !== 0n && (flags & REGISTER) === 0n) {
      this.table = undefined;
      this.partition.deregisterProcessTable();
      return H_SUCCESS;
    }
    if ((flags & RADIX) === 0n) return H_PARAMETER;
    const changed = (flags & CHANGE) !== 0n ? this.checkedTable(call) : (this.table ?? H_PARAMETER);
    if (typeof changed === 'number') return changed;
    this.table = changed;
    this.partition.registerProcessTable(changed.baseGra, changed.sizeLog2, (flags & GTSE) !== 0n);
    return H_SUCCESS;
  }

  private checkedTable(call: Hcall): ProcessTable | number {
    const base = call.arg(1);
    const size = call.arg(3);
    if ((base & 0xfffn) !== 0n || base > BigInt(this.view.sizeBytes)) return H_P2;
    if (call.arg(2) !== 0n) return H_P3;
    if (size > MAX_TABLE_SIZE_LOG2) return H_P4;
    const sizeLog2 = Number(size) + 12;
    if (!this.view.contains(Number(base), 2 ** sizeLog2)) return H_P2;
    return { baseGra: Number(base), sizeLog2 };
  }
}

/** IBM number of the most significant bit set in `flags`, which is not 0. */
function firstSetBit(flags: bigint): number {
  return 64 - flags.toString(2).length;
}
