// What the ultravisor needs of the vCPUs and of the hypervisor; the machine implements both. It never sees a device.

import type { HostView } from '../memory/host-view.ts';

/** A vCPU with its true registers. */
export interface GuestCpu {
  readonly id: number;
  readonly msr: bigint;
  readonly nia: bigint;
  /** PIDR: the process, as the guest numbers them. */
  readonly processId: bigint;
  /** True if it executes, or waits to go on executing. */
  readonly active: boolean;
  gpr(n: number): bigint;
  setGpr(n: number, value: bigint): void;
  /** Goes on at `nia` with `msr`, all translations forgotten. */
  redirect(nia: bigint, msr: bigint): void;
}

export interface HypervisorPort {
  /** A hypercall of the ultravisor's own (H_SVM_*). Returns what the hypervisor puts into r3, signed. */
  hcall(token: number, args: readonly number[]): number;
  /**
   * Has the hypervisor serve the hypercall of vCPU `id`. It reads and writes the registers of that vCPU's RegisterWindow
   * and no others. `carried` is where it finds an RTAS call: memory it may touch.
   */
  reflect(id: number, carried: HostView | undefined): void;
}

/** What the ultravisor owns of the partition. */
export interface PartitionTable {
  /** The process table of the partition, 2^sizeLog2 bytes; none if `sizeLog2` is 0. */
  setProcessTable(baseGra: number, sizeLog2: number): void;
}
