// Table entries: L2 entries and refcounts, by examples worked out from the format's description.

import { describe, expect, it } from 'vitest';
import { decodeL2Entry, type Mapping, storeL2Entry } from './l2-entry.ts';
import { getRefcount, maxRefcount, setRefcount } from './refcount-entry.ts';

describe('L2 entries', () => {
  it.each<[number, number, 2 | 3, Mapping]>([
    [0, 0, 3, { kind: 'unallocated' }],
    [0x8000_0001, 0x0005_0000, 3, { kind: 'data', offset: 0x1_0005_0000, copied: true }],
    [0, 0x0005_0000, 2, { kind: 'data', offset: 0x5_0000, copied: false }],
    [0, 1, 3, { kind: 'zero', offset: 0, copied: false }],
    [0x8000_0000, 0x0005_0001, 3, { kind: 'zero', offset: 0x5_0000, copied: true }],
    // 64 KiB clusters: bits 0 to 53 are the offset, 54 to 61 the further sectors.
    [0x4080_0000, 0x0005_0123, 3, { kind: 'compressed', offset: 0x5_0123, lenBytes: 3 * 512 - 0x123 }],
  ])('%s %s in version %s', (high, low, version, mapping) => {
    expect(decodeL2Entry(high, low, 16, version)).toEqual(mapping);
  });

  it.each([
    ['an offset inside a cluster', 0x8000_0000, 0x0005_0200, 3],
    ['an offset beyond 2^53', 0x0020_0000, 0, 3],
    ['a zero cluster in version 2', 0, 1, 2],
    ['a compressed cluster at 0', 0x4000_0000, 0, 3],
  ] as const)('refuses %s', (_, high, low, version) => {
    expect(() => decodeL2Entry(high, low, 16, version)).toThrow(/IMAGE_CORRUPT|cannot|no cluster|version 2/);
  });

  it('stores what it decodes', () => {
    const view = new DataView(new ArrayBuffer(8));
    const mappings: Mapping[] = [
      { kind: 'unallocated' },
      { kind: 'data', offset: 0x12_3456_0000, copied: true },
      { kind: 'zero', offset: 0x12_3456_0000, copied: true },
      { kind: 'zero', offset: 0, copied: false },
    ];
    for (const mapping of mappings) {
      storeL2Entry(view, 0, mapping);
      expect(decodeL2Entry(view.getUint32(0), view.getUint32(4), 16, 3)).toEqual(mapping);
    }
  });
});

describe('refcounts', () => {
  it.each([0, 1, 2, 3, 4, 5, 6])('of 2^%i bits do not touch their neighbours', (order) => {
    const view = new DataView(new ArrayBuffer(64));
    const most = Math.min(maxRefcount(order), 2 ** 40);
    for (const index of [0, 3, 5]) setRefcount(view, index, order, most);
    setRefcount(view, 3, order, 1);
    expect([0, 1, 2, 3, 4, 5, 6].map((index) => getRefcount(view, index, order))).toEqual([most, 0, 0, 1, 0, most, 0]);
  });

  it('narrower than a byte begin at its low end; wider ones are big-endian', () => {
    const view = new DataView(new ArrayBuffer(8));
    setRefcount(view, 1, 1, 3);
    expect(view.getUint8(0)).toBe(0b1100);
    setRefcount(view, 0, 4, 0x1234);
    expect(view.getUint8(0)).toBe(0x12);
  });
});
