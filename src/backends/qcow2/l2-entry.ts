// Entries of L1 and L2 tables (QEMU docs/interop/qcow2.txt, "Cluster mapping"), without extended L2 entries.
// An entry is handled as two 32-bit halves: offsets fit a JavaScript number, entries do not.

import { hex, ImageError } from './image-error.ts';

/** In the upper half. COPIED: the cluster has exactly one reference, so that it may be written in place. */
export const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
/** In the lower half. */
const ZERO = 1;

/** What a cluster of the disk is made of. */
export type Mapping =
  /** Nothing here: the backing file shows through. */
  | { readonly kind: 'unallocated' }
  | { readonly kind: 'data'; readonly offset: number; readonly copied: boolean }
  /** Reads as zeros; `offset` is the cluster kept for it, 0 if there is none. */
  | { readonly kind: 'zero'; readonly offset: number; readonly copied: boolean }
  | { readonly kind: 'compressed'; readonly offset: number; readonly lenBytes: number };

const unallocated: Mapping = { kind: 'unallocated' };

/** The offset in a standard entry of an L1 or L2 table: bits 9 to 55. Throws an ImageError if it is not possible. */
export function entryOffset(high: number, low: number, clusterBytes: number, what: string): number {
  const offset = (high & 0x00ff_ffff) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0);
  if (offset % clusterBytes !== 0 || offset >= 2 ** 53) {
    throw new ImageError('IMAGE_CORRUPT', `${what} points to ${hex(offset)}, where no cluster can be.`);
  }
  return offset;
}

/** Throws an ImageError if the entry is not possible in this version of the format. */
export function decodeL2Entry(high: number, low: number, clusterBits: number, version: 2 | 3): Mapping {
  if ((high & COMPRESSED) !== 0) return decodeCompressed(high, low, clusterBits);
  const offset = entryOffset(high, low, 2 ** clusterBits, 'an L2 table');
  const copied = (high & COPIED) !== 0;
  if ((low & ZERO) !== 0) {
    if (version < 3) throw new ImageError('IMAGE_CORRUPT', 'an image of version 2 has a zero cluster of version 3.');
    return { kind: 'zero', offset, copied };
  }
  if (offset === 0) return unallocated;
  return { kind: 'data', offset, copied };
}

/** Bits 0 to x-1 are the offset, x to 61 the count of 512-byte sectors after the first, with x = 70 - cluster bits. */
function decodeCompressed(high: number, low: number, clusterBits: number): Mapping {
  const offsetBits = 62 - (clusterBits - 8);
  const highBits = offsetBits - 32;
  const offset = (high & (2 ** highBits - 1)) * 2 ** 32 + (low >>> 0);
  const moreSectors = (high & 0x3fff_ffff) >>> highBits;
  if (offset === 0 || offset >= 2 ** 53 - 2 ** 23) {
    throw new ImageError('IMAGE_CORRUPT', `a compressed cluster cannot be at ${hex(offset)}.`);
  }
  return { kind: 'compressed', offset, lenBytes: (moreSectors + 1) * 512 - (offset % 512) };
}

/** Writes the entry of a cluster into `view` at byte `at`. */
export function storeL2Entry(view: DataView, at: number, mapping: Mapping): void {
  if (mapping.kind === 'compressed') throw new ImageError('IMAGE_UNSUPPORTED', 'compressed clusters are only read.');
  if (mapping.kind === 'unallocated') {
    storeHalves(view, at, 0, 0);
    return;
  }
  const copied = mapping.copied && mapping.offset !== 0 ? COPIED : 0;
  const low = (mapping.offset >>> 0) | (mapping.kind === 'zero' ? ZERO : 0);
  storeHalves(view, at, Math.floor(mapping.offset / 2 ** 32) | copied, low);
}

export function storeHalves(view: DataView, at: number, high: number, low: number): void {
  view.setUint32(at, high >>> 0);
  view.setUint32(at + 4, low >>> 0);
}
