import { describe, expect, it } from 'vitest';
import { bcdToDeclet, declets, decletToBcd, decletValues } from './declet.ts';

describe('declets', () => {
  it('keep small digits as they are and mark the large ones (the examples of the manual)', () => {
    expect(bcdToDeclet(0x005)).toBe(0b000_000_0101);
    expect(bcdToDeclet(0x009)).toBe(0b000_000_1001);
    expect(bcdToDeclet(0x055)).toBe(0b000_101_0101);
    expect(bcdToDeclet(0x079)).toBe(0b000_111_1001);
    expect(bcdToDeclet(0x080)).toBe(0b000_000_1010);
    expect(bcdToDeclet(0x099)).toBe(0b000_101_1111);
    expect(bcdToDeclet(0x555)).toBe(0b101_101_0101);
    expect(bcdToDeclet(0x999)).toBe(0b001_111_1111);
  });
  it('lead back to each of the 1000 numbers, by different declets', () => {
    expect(declets.map((declet) => decletValues[declet])).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    expect(new Set(declets).size).toBe(1000);
  });
  it('have 24 redundant forms, of numbers whose digits are all 8 or 9', () => {
    const redundant = Array.from({ length: 1024 }, (_, n) => n).filter((n) => declets[decletValues[n]] !== n);
    expect(redundant).toHaveLength(24);
    for (const declet of redundant) expect(decletToBcd(declet).toString(16)).toMatch(/^[89]{3}$/);
  });
});
