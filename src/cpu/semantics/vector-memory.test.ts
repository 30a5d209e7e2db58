import { describe, expect, it } from 'vitest';
import { execute, fromBytes, fromElements, RAM_BYTES } from '../../../tests/support/execute-one.ts';

const at = 0x4000;
const bytes = Array.from({ length: 32 }, (_, i) => i + 1);
const first16 = bytes.slice(0, 16);
const memory = { [at]: bytes };
const image = fromBytes(first16.toReversed());

describe('vector loads', () => {
  const load = (op: string, bigEndian: boolean) =>
    execute(op, { xt: 40, ra: 0, rb: 5 }, { memory, gpr: { 5: BigInt(at) }, bigEndian }).vsr(40);

  it('put the byte at the lowest address last in little-endian mode, first in big-endian mode', () => {
    expect(load('lxvx', false)).toBe(image);
    expect(load('lxvx', true)).toBe(fromBytes(first16));
    const lvx = execute('lvx', { vrt: 3, ra: 0, rb: 5 }, { memory, gpr: { 5: BigInt(at + 15) } });
    expect(lvx.vsr(35)).toBe(image);
  });

  it('keep elements in order from left to right, whatever the byte order', () => {
    expect(load('lxvd2x', false)).toBe(fromElements([0x0807060504030201n, 0x100f0e0d0c0b0a09n], 64));
    expect(load('lxvw4x', false)).toBe(fromElements([0x04030201n, 0x08070605n, 0x0c0b0a09n, 0x100f0e0dn], 32));
    expect(load('lxvh8x', false) >> 112n).toBe(0x0201n);
    expect(load('lxvb16x', false)).toBe(fromBytes(first16));
    for (const op of ['lxvd2x', 'lxvw4x', 'lxvh8x', 'lxvb16x']) expect(load(op, true)).toBe(fromBytes(first16));
  });

  it('splat one element', () => {
    expect(load('lxvdsx', false)).toBe(0x08070605040302010807060504030201n);
    expect(load('lxvwsx', true)).toBe(0x01020304010203040102030401020304n);
  });

  it('put scalars at the right end of doubleword 0 and clear doubleword 1', () => {
    const load = (op: string) =>
      execute(
        op,
        { xt: 2, ra: 0, rb: 5 },
        { memory: { [at]: [0xfe, 0xff, 0xff, 0x80, 1, 2, 3, 4] }, gpr: { 5: BigInt(at) }, vsr: { 2: -1n } },
      ).vsr(2);
    expect(load('lxsibzx')).toBe(0xfen << 64n);
    expect(load('lxsihzx')).toBe(0xfffen << 64n);
    expect(load('lxsiwzx')).toBe(0x80fffffen << 64n);
    expect(load('lxsiwax')).toBe(0xffffffff80fffffen << 64n);
    expect(load('lxsdx')).toBe(0x0403020180fffffen << 64n);
  });

  it('place single elements where they would stand in the whole quadword, keeping the others', () => {
    for (const bigEndian of [false, true]) {
      const whole = execute('lvx', { vrt: 1, ra: 0, rb: 5 }, { memory, gpr: { 5: BigInt(at) }, bigEndian }).vsr(33);
      for (const [op, width] of [
        ['lvebx', 1],
        ['lvehx', 2],
        ['lvewx', 4],
      ] as const) {
        for (let offset = 0; offset < 16; offset++) {
          const setup = { memory, gpr: { 5: BigInt(at + offset) }, bigEndian };
          const result = execute(op, { vrt: 1, ra: 0, rb: 5 }, setup).vsr(33);
          const start = offset & -width;
          const lane = bigEndian ? 16 - width - start : start;
          const mask = ((1n << BigInt(8 * width)) - 1n) << BigInt(8 * lane);
          expect(result).toBe(whole & mask);
        }
      }
    }
  });
});

describe('vector loads and stores with length', () => {
  it('move as many bytes as the top byte of RB says, 16 at most, in either byte order', () => {
    for (const bigEndian of [false, true]) {
      for (const length of [...Array(18).keys(), 127, 255]) {
        const taken = Math.min(length, 16);
        const gpr = { 4: BigInt(at), 5: (BigInt(length) << 56n) | 0x123456n };
        const fields = { xt: 33, xs: 34, ra: 4, rb: 5 };
        const start = [...first16.slice(0, taken), ...Array<number>(16 - taken).fill(0)];
        const normal = bigEndian ? start : start.toReversed();
        const setup = { memory, gpr, bigEndian };
        const loadFields = { xt: fields.xt, ra: 4, rb: 5 };
        const storeFields = { xs: fields.xs, ra: 4, rb: 5 };
        expect(execute('lxvl', loadFields, setup).vsr(33)).toBe(fromBytes(normal));
        expect(execute('lxvll', loadFields, setup).vsr(33)).toBe(fromBytes(start));

        const source = fromBytes(Array.from({ length: 16 }, (_, i) => 0xf0 + i));
        const order = Array.from({ length: 16 }, (_, i) => 0xf0 + i);
        const stored = execute('stxvl', storeFields, { ...setup, vsr: { 34: source } }).memory(at, 32);
        const wanted = (bigEndian ? order : order.toReversed()).slice(0, taken);
        expect(stored).toEqual([...wanted, ...bytes.slice(taken)]);
        const left = execute('stxvll', storeFields, { ...setup, vsr: { 34: source } }).memory(at, 32);
        expect(left).toEqual([...order.slice(0, taken), ...bytes.slice(taken)]);
      }
    }
  });

  it('do not touch what lies behind', () => {
    for (let length = 0; length <= 16; length++) {
      const start = BigInt(RAM_BYTES - length);
      const gpr = { 4: start, 5: BigInt(length) << 56n };
      execute('lxvl', { xt: 33, ra: 4, rb: 5 }, { gpr });
      execute('stxvl', { xs: 33, ra: 4, rb: 5 }, { gpr });
    }
  });
});

describe('vector stores', () => {
  it('are the inverse of the loads', () => {
    const source = fromBytes(first16);
    for (const bigEndian of [false, true]) {
      for (const suffix of ['vx', 'vd2x', 'vw4x', 'vh8x', 'vb16x']) {
        const setup = { gpr: { 5: BigInt(at) }, bigEndian };
        const stored = execute(`stx${suffix}`, { xs: 7, ra: 0, rb: 5 }, { ...setup, vsr: { 7: source } });
        const again = { ...setup, memory: { [at]: stored.memory(at, 16) } };
        expect(execute(`lx${suffix}`, { xt: 7, ra: 0, rb: 5 }, again).vsr(7)).toBe(source);
      }
    }
  });
  it('of one element write only it', () => {
    const source = fromBytes(first16);
    const result = execute('stvehx', { vrs: 1, ra: 0, rb: 5 }, { gpr: { 5: BigInt(at + 7) }, vsr: { 33: source } });
    expect(result.memory(at, 16)).toEqual([0, 0, 0, 0, 0, 0, 10, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('single precision in registers of double format', () => {
  const pairs: readonly (readonly [number, bigint])[] = [
    [0x00000000, 0x0000000000000000n],
    [0x80000000, 0x8000000000000000n],
    [0x3f800000, 0x3ff0000000000000n],
    [0x00000001, 0x36a0000000000000n],
    [0x807fffff, 0xb80fffffc0000000n],
    [0x00800000, 0x3810000000000000n],
    [0x7f7fffff, 0x47efffffe0000000n],
    [0x7f800000, 0x7ff0000000000000n],
    [0xff800001, 0xfff0000020000000n],
    [0x7fc12345, 0x7ff82468a0000000n],
  ];
  it('is converted by lxsspx and back by stxsspx without loss', () => {
    for (const [single, double] of pairs) {
      const little = [single & 255, (single >>> 8) & 255, (single >>> 16) & 255, single >>> 24];
      const loaded = execute('lxsspx', { xt: 1, ra: 0, rb: 5 }, { memory: { [at]: little }, gpr: { 5: BigInt(at) } });
      expect(loaded.vsr(1)).toBe(double << 64n);
      const stored = execute('stxsspx', { xs: 1, ra: 0, rb: 5 }, { vsr: { 1: double << 64n }, gpr: { 5: BigInt(at) } });
      expect(stored.memory(at, 4)).toEqual(little);
    }
  });
});
