// MSI of one function (PCI 3.0 6.8.1), with 64-bit address and per-vector masking. All of it lives in the configuration
// space; on pseries the hypervisor fills in address and data (ibm,change-msi).

import { assert } from '../util/errors.ts';
import type { ConfigSpace } from './config-space.ts';
import type { SendMessage } from './msix.ts';

export const MSI_CAPABILITY = 0x05;
const BODY_BYTES = 22;

/** Offsets from the capability. */
const at = { control: 2, addressLow: 4, addressHigh: 8, data: 12, mask: 16, pending: 20 } as const;

const ENABLE = 0x0001;
const ENABLED_COUNT_SHIFT = 4;
const ENABLED_COUNT = 0x0070;
const ADDRESS_64 = 0x0080;
const PER_VECTOR_MASK = 0x0100;

export class MsiUnit {
  readonly vectors: number;
  private readonly config: ConfigSpace;
  private readonly offset: number;
  private readonly send: SendMessage;
  private readonly changed: () => void;
  private wasEnabled = false;

  /** `vectors` is 1, 2, 4, 8, 16 or 32. Adds the capability to `config`. */
  constructor(config: ConfigSpace, options: { vectors: number; at?: number; send: SendMessage; changed: () => void }) {
    const { vectors } = options;
    assert([1, 2, 4, 8, 16, 32].includes(vectors), `MSI with ${vectors} vectors`);
    this.vectors = vectors;
    this.config = config;
    this.send = options.send;
    this.changed = options.changed;
    this.offset = config.addCapability(MSI_CAPABILITY, BODY_BYTES, options.at);
    config.set(this.offset + at.control, 2, (Math.log2(vectors) << 1) | ADDRESS_64 | PER_VECTOR_MASK);
    config.setWritable(this.offset + at.control, 2, ENABLE | ENABLED_COUNT);
    config.setWritable(this.offset + at.addressLow, 4, 0xffff_fffc);
    config.setWritable(this.offset + at.addressHigh, 4, 0xffff_ffff);
    config.setWritable(this.offset + at.data, 2, 0xffff);
    config.setWritable(this.offset + at.mask, 4, vectors === 32 ? 0xffff_ffff : 2 ** vectors - 1);
  }

  get enabled(): boolean {
    return (this.register(at.control, 2) & ENABLE) !== 0;
  }

  /** Vectors the driver uses: a power of two, never more than there are. */
  get enabledVectors(): number {
    const log2 = (this.register(at.control, 2) & ENABLED_COUNT) >> ENABLED_COUNT_SHIFT;
    return Math.min(2 ** log2, this.vectors);
  }

  /** Signals `vector`; masked, it stays pending. False if MSI is off or there is no such vector. */
  notify(vector: number): boolean {
    if (!this.enabled || vector < 0 || vector >= this.vectors) return false;
    // Vectors beyond those the driver took share its last ones (PCI 3.0 6.8.1.3: the low bits of data are replaced).
    const used = vector % this.enabledVectors;
    if ((this.register(at.mask, 4) & (1 << used)) !== 0) this.setPending(this.register(at.pending, 4) | (1 << used));
    else this.deliver(used);
    return true;
  }

  /** Sets address and data of vector 0, as the hypervisor does for the guest. */
  program(addressHigh: number, addressLow: number, data: number): void {
    this.config.set(this.offset + at.addressLow, 4, addressLow);
    this.config.set(this.offset + at.addressHigh, 4, addressHigh);
    this.config.set(this.offset + at.data, 2, data);
  }

  /** Software has changed bytes of the configuration space from `offset` on. */
  configChanged(offset: number): void {
    if (offset < this.offset || offset >= this.offset + 2 + BODY_BYTES) return;
    if (this.enabled !== this.wasEnabled) {
      this.wasEnabled = this.enabled;
      this.changed();
    }
    if (!this.enabled) return;
    const ready = this.register(at.pending, 4) & ~this.register(at.mask, 4);
    this.setPending(this.register(at.pending, 4) & ~ready);
    for (let vector = 0; vector < this.vectors; vector++) if (ready & (1 << vector)) this.deliver(vector);
  }

  /** The capability is as at power-on. */
  reset(): void {
    this.config.set(this.offset + at.control, 2, this.register(at.control, 2) & ~(ENABLE | ENABLED_COUNT));
    this.program(0, 0, 0);
    this.config.set(this.offset + at.mask, 4, 0);
    this.setPending(0);
    this.wasEnabled = false;
  }

  private deliver(vector: number): void {
    const low = this.enabledVectors - 1;
    const data = (this.register(at.data, 2) & ~low) | (vector & low);
    this.send(this.register(at.addressHigh, 4), this.register(at.addressLow, 4), data);
  }

  private setPending(bits: number): void {
    this.config.set(this.offset + at.pending, 4, bits >>> 0);
  }

  private register(offset: number, lenBytes: number): number {
    return this.config.load(this.offset + offset, lenBytes);
  }
}
