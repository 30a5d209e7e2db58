// The only sight of guest memory that the hypervisor and the devices get. Each access names its origin and is checked
// against who owns each 64 KiB page it touches; the type has no way around the check.

import type { AccessCause } from './access-cause.ts';
import type { GuestMemory } from './guest-memory.ts';

/** Who touches memory, and on whose behalf: the first thing a breach report says. */
export interface AccessOrigin {
  readonly kind: 'hcall' | 'rtas' | 'firmware' | 'device' | 'loader';
  /** The hcall, RTAS service or device by name, e.g. `H_PUT_TCE_INDIRECT`. */
  readonly name: string;
  /**
   * What the guest did last that leads to accesses of this origin. For reports only, and kept by the checking view: who
   * has an origin neither sets nor reads it.
   */
  cause?: AccessCause | undefined;
}

/**
 * Accessors over guest real addresses. All multi-byte accessors are big-endian, the order of every PAPR structure.
 * `contains` must hold for a range before it is accessed: hypercall handlers answer H_PARAMETER otherwise.
 */
export interface HostView {
  readonly sizeBytes: number;
  contains(gra: number, lenBytes: number): boolean;
  /** The guest has just told the party behind `origin` of work: accesses by it from now on are what comes of it. */
  told(origin: AccessOrigin): void;
  read(gra: number, lenBytes: number, origin: AccessOrigin): Uint8Array<ArrayBuffer>;
  /** Copies `target.length` bytes of memory into `target`. */
  readInto(gra: number, target: Uint8Array, origin: AccessOrigin): void;
  write(gra: number, source: Uint8Array, origin: AccessOrigin): void;
  fill(gra: number, lenBytes: number, value: number, origin: AccessOrigin): void;
  loadU8(gra: number, origin: AccessOrigin): number;
  loadU16BE(gra: number, origin: AccessOrigin): number;
  loadU32BE(gra: number, origin: AccessOrigin): number;
  loadU64BE(gra: number, origin: AccessOrigin): bigint;
  storeU8(gra: number, value: number, origin: AccessOrigin): void;
  storeU16BE(gra: number, value: number, origin: AccessOrigin): void;
  storeU32BE(gra: number, value: number, origin: AccessOrigin): void;
  storeU64BE(gra: number, value: bigint, origin: AccessOrigin): void;
}

/**
 * The view of a machine without secure memory: every page is normal, so every check passes. The ownership table and
 * with it the refusing view arrive with the ultravisor.
 */
export class NormalHostView implements HostView {
  private readonly memory: GuestMemory;
  constructor(memory: GuestMemory) {
    this.memory = memory;
  }
  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }
  contains(gra: number, lenBytes: number): boolean {
    return this.memory.contains(gra, lenBytes);
  }
  told(): void {}
  read(gra: number, lenBytes: number): Uint8Array<ArrayBuffer> {
    return this.memory.read(gra, lenBytes);
  }
  readInto(gra: number, target: Uint8Array): void {
    this.memory.readInto(gra, target);
  }
  write(gra: number, source: Uint8Array): void {
    this.memory.write(gra, source);
  }
  fill(gra: number, lenBytes: number, value: number): void {
    this.memory.fill(gra, lenBytes, value);
  }
  loadU8(gra: number): number {
    return this.memory.loadU8(gra);
  }
  loadU16BE(gra: number): number {
    return this.memory.loadU16BE(gra);
  }
  loadU32BE(gra: number): number {
    return this.memory.loadU32BE(gra);
  }
  loadU64BE(gra: number): bigint {
    return this.memory.loadU64BE(gra);
  }
  storeU8(gra: number, value: number): void {
    this.memory.storeU8(gra, value);
  }
  storeU16BE(gra: number, value: number): void {
    this.memory.storeU16BE(gra, value);
  }
  storeU32BE(gra: number, value: number): void {
    this.memory.storeU32BE(gra, value);
  }
  storeU64BE(gra: number, value: bigint): void {
    this.memory.storeU64BE(gra, value);
  }
}
