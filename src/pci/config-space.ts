// The configuration space of one function: 256 bytes, a mask of the bits that software may change, and the chain of
// capabilities (PCI 3.0 6.1, 6.7). What a change means is the function's business (function.ts).
// Left out: the extended space of PCI Express; these are conventional functions.

import { assert } from '../util/errors.ts';

export const CONFIG_BYTES = 256;
const FIRST_CAPABILITY = 0x40;

/** [name, bytes, bits software may change (little-endian, of the register's width)]. PCI 3.0 figure 6-1, type 00h. */
const HEADER = [
  ['vendorId', 2, 0],
  ['deviceId', 2, 0],
  ['command', 2, 0x507],
  ['status', 2, 0],
  ['revisionId', 1, 0],
  ['classCode', 3, 0],
  ['cacheLineSize', 1, 0xff],
  ['latencyTimer', 1, 0],
  ['headerType', 1, 0],
  ['bist', 1, 0],
  ['bars', 24, 0],
  ['cardbusCis', 4, 0],
  ['subsystemVendorId', 2, 0],
  ['subsystemId', 2, 0],
  ['expansionRom', 4, 0],
  ['capabilities', 1, 0],
  ['reserved', 7, 0],
  ['interruptLine', 1, 0xff],
  ['interruptPin', 1, 0],
  ['minGrant', 1, 0],
  ['maxLatency', 1, 0],
] as const;

export type HeaderField = (typeof HEADER)[number][0];

/** Offset of each header register. */
export const headerOffset: Readonly<Record<HeaderField, number>> = layOut();

function layOut(): Record<HeaderField, number> {
  let offset = 0;
  const offsets = HEADER.map(([name, bytes]) => {
    const entry = [name, offset] as const;
    offset += bytes;
    return entry;
  });
  assert(offset === FIRST_CAPABILITY, `a PCI header has 64 bytes, not ${offset}`);
  return Object.fromEntries(offsets) as Record<HeaderField, number>;
}

export const COMMAND = { io: 1, memory: 2, busMaster: 4, interruptDisable: 0x400 } as const;
export const STATUS = { interrupt: 8, capabilities: 0x10 } as const;

export class ConfigSpace {
  readonly bytes = new Uint8Array(CONFIG_BYTES);
  readonly writable = new Uint8Array(CONFIG_BYTES);
  private readonly view = new DataView(this.bytes.buffer);
  private readonly used = new Uint8Array(CONFIG_BYTES);
  private lastCapability = headerOffset.capabilities;

  constructor() {
    for (const [name, bytes, mask] of HEADER) this.setWritable(headerOffset[name], bytes, mask);
  }

  /** `lenBytes` is 1, 2 or 4 and `offset` a multiple of it. */
  load(offset: number, lenBytes: number): number {
    if (lenBytes === 4) return this.view.getUint32(offset, true);
    return lenBytes === 2 ? this.view.getUint16(offset, true) : this.bytes[offset];
  }

  /** As software does it: only writable bits change. */
  store(offset: number, lenBytes: number, value: number): void {
    for (let i = 0; i < lenBytes; i++) {
      const mask = this.writable[offset + i];
      const byte = (value >>> (8 * i)) & 0xff;
      this.bytes[offset + i] = (this.bytes[offset + i] & ~mask) | (byte & mask);
    }
  }

  /** As the hardware does it: any bits. */
  set(offset: number, lenBytes: number, value: number): void {
    for (let i = 0; i < lenBytes; i++) this.bytes[offset + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
  }

  setWritable(offset: number, lenBytes: number, mask: number): void {
    for (let i = 0; i < Math.min(lenBytes, 4); i++) this.writable[offset + i] = (mask >>> (8 * i)) & 0xff;
  }

  field(name: HeaderField): number {
    return this.load(headerOffset[name], 2);
  }

  /**
   * Appends a capability with this ID and `bodyBytes` bytes after its two-byte header, at `at` (a multiple of 4) or
   * else at the first free place. Returns its offset.
   */
  addCapability(id: number, bodyBytes: number, at?: number): number {
    const length = 2 + bodyBytes;
    const offset = at ?? this.freePlace(length);
    assert(offset >= FIRST_CAPABILITY && offset % 4 === 0, `a capability cannot be at 0x${offset.toString(16)}`);
    assert(offset + length <= CONFIG_BYTES, 'no room for another capability');
    assert(
      !this.used.subarray(offset, offset + length).includes(1),
      `capabilities overlap at 0x${offset.toString(16)}`,
    );
    this.used.fill(1, offset, offset + length);
    this.bytes[offset] = id;
    this.bytes[this.lastCapability] = offset;
    this.lastCapability = offset + 1;
    this.bytes[headerOffset.status] |= STATUS.capabilities;
    return offset;
  }

  private freePlace(length: number): number {
    for (let offset = FIRST_CAPABILITY; offset + length <= CONFIG_BYTES; offset += 4) {
      if (!this.used.subarray(offset, offset + length).includes(1)) return offset;
    }
    return CONFIG_BYTES;
  }
}
