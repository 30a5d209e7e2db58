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
  /** A page of the hypervisor's own memory, which may hold anything at any time; undefined if there is none at `ra`. */
  hostPage(ra: number): Uint8Array | undefined;
}

/** Which pages the guest can use, and which it has used; ranges are whole pages of 4 KiB in RAM. The CPU core knows. */
export interface Residency {
  /** From now on every access of the guest to the range asks. */
  remove(gra: number, lenBytes: number): void;
  restore(gra: number, lenBytes: number): void;
  /** Watches the pages at `gras` until the guest uses them. */
  watch(gras: readonly number[], lenBytes: number): void;
  /** True if the range is watched and has not been used since. */
  untouched(gra: number, lenBytes: number): boolean;
}

/** What the ultravisor owns of the partition. */
export interface PartitionTable {
  /** The process table of the partition, 2^sizeLog2 bytes; none if `sizeLog2` is 0. */
  setProcessTable(baseGra: number, sizeLog2: number): void;
}
