// Guest RAM, seen by the parties that may see all of it: the CPU core and the ultravisor. The hypervisor and the
// devices never hold this type; they are handed a HostView (host-view.ts), which checks ownership first.
//
// One flat region of guest real addresses from 0. The bytes live in the WebAssembly memory that the CPU core runs on.

import { AssertionFailure } from '../util/errors.ts';

/** Told of every write to RAM that does not come from a CPU, so that decoded code and reservations can be dropped. */
export interface RamWriteObserver {
  ramWritten(gra: number, lenBytes: number): void;
}

/** Guest real addresses are byte offsets from 0 and always below 2^53, hence plain numbers. */
export class GuestMemory {
  readonly sizeBytes: number;
  private readonly memory: WebAssembly.Memory;
  private readonly base: number;
  private readonly observer: RamWriteObserver;
  private view: DataView;
  private bytes: Uint8Array;

  /** `base` is the byte offset of guest real address 0 inside `memory`. */
  constructor(memory: WebAssembly.Memory, base: number, sizeBytes: number, observer: RamWriteObserver) {
    this.memory = memory;
    this.base = base;
    this.sizeBytes = sizeBytes;
    this.observer = observer;
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
  }

  /** True if all of `[gra, gra + lenBytes)` is RAM. */
  contains(gra: number, lenBytes: number): boolean {
    return gra >= 0 && lenBytes >= 0 && gra + lenBytes <= this.sizeBytes;
  }

  /** A copy of the bytes. The range must be RAM (`contains`). */
  read(gra: number, lenBytes: number): Uint8Array<ArrayBuffer> {
    const start = this.offset(gra, lenBytes);
    return this.bytes.slice(start, start + lenBytes) as Uint8Array<ArrayBuffer>;
  }

  /** Copies `target.length` bytes of RAM into `target`. */
  readInto(gra: number, target: Uint8Array): void {
    const start = this.offset(gra, target.length);
    target.set(this.bytes.subarray(start, start + target.length));
  }

  write(gra: number, source: Uint8Array): void {
    this.bytes.set(source, this.offset(gra, source.length));
    this.observer.ramWritten(gra, source.length);
  }

  fill(gra: number, lenBytes: number, value = 0): void {
    const start = this.offset(gra, lenBytes);
    this.bytes.fill(value, start, start + lenBytes);
    this.observer.ramWritten(gra, lenBytes);
  }

  loadU8(gra: number): number {
    return this.view.getUint8(this.offset(gra, 1));
  }
  loadU16BE(gra: number): number {
    return this.view.getUint16(this.offset(gra, 2));
  }
  loadU32BE(gra: number): number {
    return this.view.getUint32(this.offset(gra, 4));
  }
  loadU64BE(gra: number): bigint {
    return this.view.getBigUint64(this.offset(gra, 8));
  }

  storeU8(gra: number, value: number): void {
    this.view.setUint8(this.offset(gra, 1), value);
    this.observer.ramWritten(gra, 1);
  }
  storeU16BE(gra: number, value: number): void {
    this.view.setUint16(this.offset(gra, 2), value);
    this.observer.ramWritten(gra, 2);
  }
  storeU32BE(gra: number, value: number): void {
    this.view.setUint32(this.offset(gra, 4), value);
    this.observer.ramWritten(gra, 4);
  }
  storeU64BE(gra: number, value: bigint): void {
    this.view.setBigUint64(this.offset(gra, 8), value);
    this.observer.ramWritten(gra, 8);
  }

  private offset(gra: number, lenBytes: number): number {
    if (!this.contains(gra, lenBytes)) {
      throw new AssertionFailure(
        `access to guest real address 0x${gra.toString(16)}, ${lenBytes} bytes, outside RAM of 0x${this.sizeBytes.toString(16)} bytes`,
      );
    }
    // A memory that has grown leaves empty views behind. (Asking the memory for its buffer each time costs 100 ns.)
    if (this.bytes.length === 0) {
      this.view = new DataView(this.memory.buffer);
      this.bytes = new Uint8Array(this.memory.buffer);
    }
    return this.base + gra;
  }
}
