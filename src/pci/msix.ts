// MSI-X of one function (PCI 3.0 6.8.2): the capability's control word lives in the configuration space, the vector
// table and the pending bits in a BAR of their own. On pseries the hypervisor fills in addresses and data
// (ibm,change-msi); the guest writes the mask bits and the enable bit.

import type { MmioBytes, MmioHandler } from '../device/address-map.ts';
import { assert } from '../util/errors.ts';

export const MSIX_CAPABILITY = 0x11;
/** Bytes of the capability after its header. */
export const MSIX_BODY_BYTES = 10;
export const MAX_MSIX_VECTORS = 2048;

const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;
/** Bits of the control word that software changes. */
export const MSIX_CONTROL_WRITABLE = ENABLE | FUNCTION_MASK;

const ENTRY_BYTES = 16;
const ENTRY_WORDS = ENTRY_BYTES / 4;
const word = { addressLow: 0, addressHigh: 1, data: 2, control: 3 } as const;
const VECTOR_MASKED = 1;

/** Sends a message: a 32-bit write of `data` to a bus address. */
export type SendMessage = (addressHigh: number, addressLow: number, data: number) => void;

export class MsixUnit {
  readonly vectors: number;
  /** Size of the BAR that holds table and pending bits. */
  readonly barBytes: number;
  /** Where in the BAR the pending bits start; the table starts at 0. */
  readonly pendingOffset: number;
  readonly handler: MmioHandler;
  private readonly table: Uint32Array;
  private readonly pending: Uint32Array;
  private readonly send: SendMessage;
  private readonly changed: () => void;
  private control = 0;

  /** `changed` is called when MSI-X is switched on or off. */
  constructor(vectors: number, send: SendMessage, changed: () => void) {
    assert(Number.isInteger(vectors) && vectors >= 1 && vectors <= MAX_MSIX_VECTORS, `${vectors} MSI-X vectors`);
    this.vectors = vectors;
    this.send = send;
    this.changed = changed;
    this.barBytes = Math.max(4096, 2 ** Math.ceil(Math.log2(vectors * ENTRY_BYTES * 2)));
    this.pendingOffset = this.barBytes / 2;
    this.table = new Uint32Array(vectors * ENTRY_WORDS);
    this.pending = new Uint32Array(2 * Math.ceil(vectors / 64));
    this.handler = {
      load: (offset, lenBytes) => this.load(offset, lenBytes),
      store: (offset, lenBytes, value) => this.store(offset, lenBytes, value),
    };
    this.reset();
  }

  /** True once the driver has switched MSI-X on: the function then uses neither its pin nor MSI. */
  get enabled(): boolean {
    return (this.control & ENABLE) !== 0;
  }

  /**
   * Signals `vector`; while it is masked the signal stays pending. False if MSI-X is off or there is no such vector, and
   * nothing happened then.
   */
  notify(vector: number): boolean {
    if (!this.enabled || vector < 0 || vector >= this.vectors) return false;
    if (this.masked(vector)) this.pending[vector >>> 5] |= 1 << (vector & 31);
    else this.deliver(vector);
    return true;
  }

  /** Sets address and data of `vector`, as the hypervisor does for the guest; the mask bit stays. */
  program(vector: number, addressHigh: number, addressLow: number, data: number): void {
    assert(vector >= 0 && vector < this.vectors, `the function has no MSI-X vector ${vector}`);
    const at = vector * ENTRY_WORDS;
    this.table[at + word.addressLow] = addressLow;
    this.table[at + word.addressHigh] = addressHigh;
    this.table[at + word.data] = data;
  }

  /** The control word of the capability has this value now. */
  setControl(control: number): void {
    const was = this.control;
    this.control = control;
    if ((was ^ control) & ENABLE) this.changed();
    this.deliverPending(0, this.vectors);
  }

  /** Power-on state, but for the control word, which is `setControl`'s: all vectors masked. */
  reset(): void {
    this.table.fill(0);
    this.pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) {
      this.table[vector * ENTRY_WORDS + word.control] = VECTOR_MASKED;
    }
  }

  private masked(vector: number): boolean {
    if ((this.control & FUNCTION_MASK) !== 0) return true;
    return (this.table[vector * ENTRY_WORDS + word.control] & VECTOR_MASKED) !== 0;
  }

  private deliver(vector: number): void {
    const at = vector * ENTRY_WORDS;
    this.send(this.table[at + word.addressHigh], this.table[at + word.addressLow], this.table[at + word.data]);
  }

  private deliverPending(from: number, to: number): void {
    if (!this.enabled) return;
    for (let vector = from; vector < to; vector++) {
      const bit = 1 << (vector & 31);
      if ((this.pending[vector >>> 5] & bit) === 0 || this.masked(vector)) continue;
      this.pending[vector >>> 5] &= ~bit;
      this.deliver(vector);
    }
  }

  private load(offset: number, lenBytes: MmioBytes): number {
    const index = offset >>> 2;
    const pendingIndex = (offset - this.pendingOffset) >>> 2;
    let value = 0;
    if (index < this.table.length) value = this.table[index];
    else if (offset >= this.pendingOffset && pendingIndex < this.pending.length) value = this.pending[pendingIndex];
    if (lenBytes === 4) return value;
    return (value >>> (8 * (offset & 3))) & (lenBytes === 2 ? 0xffff : 0xff);
  }

  /** Deviation: narrow stores, which PCI 3.0 6.8.2 leaves undefined, change the bytes they name. */
  private store(offset: number, lenBytes: MmioBytes, value: number): void {
    const index = offset >>> 2;
    if (index >= this.table.length) return;
    const shift = 8 * (offset & 3);
    const mask = lenBytes === 4 ? 0xffff_ffff : (lenBytes === 2 ? 0xffff : 0xff) << shift;
    let merged = (this.table[index] & ~mask) | ((value << shift) & mask);
    const part = index % ENTRY_WORDS;
    if (part === word.addressLow) merged &= ~3;
    if (part === word.control) merged &= VECTOR_MASKED;
    this.table[index] = merged;
    const vector = Math.floor(index / ENTRY_WORDS);
    if (part === word.control) this.deliverPending(vector, vector + 1);
  }
}
