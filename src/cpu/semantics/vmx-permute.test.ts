import { describe, expect, it } from 'vitest';
import {
  elements,
  execute,
  fromBytes,
  fromElements,
  operandsOf,
  randomVectors,
} from '../../../tests/support/execute-one.ts';

const ROUNDS = 40;

function run(op: string, fields: Record<string, number>, a: bigint, b: bigint, c = 0n, target = 0n) {
  const operands = operandsOf(op, { vrt: 1, vra: 2, vrb: 3, vrc: 4, ...fields });
  const result = execute(op, operands, { vsr: { 33: target, 34: a, 35: b, 36: c } });
  return { vector: result.vsr(33), sat: result.vcpu.get32('vscrSat') };
}
/** Bytes 0 to 15 and 16 to 31: what a permutation of two registers takes shows in its result. */
const low = fromBytes(Array.from({ length: 16 }, (_, i) => i));
const high = fromBytes(Array.from({ length: 16 }, (_, i) => 16 + i));
const bytesOf = (v: bigint) => elements(v, 8).map(Number);
const permuted = (op: string, fields: Record<string, number> = {}) => bytesOf(run(op, fields, low, high).vector);

describe('vector permute', () => {
  it('takes the byte that each index names', () => {
    const next = randomVectors(1);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b, c] = [next(), next(), next()];
      const both = [...elements(a, 8), ...elements(b, 8)];
      const index = elements(c, 8).map((e) => Number(e & 31n));
      expect(run('vperm', {}, a, b, c).vector).toBe(
        fromElements(
          index.map((i) => both[i]),
          8,
        ),
      );
      expect(run('vpermr', {}, a, b, c).vector).toBe(
        fromElements(
          index.map((i) => both[31 - i]),
          8,
        ),
      );
      const nibbles = bytesOf(c);
      const mixed = nibbles.map((n) => elements(a, 8)[n >> 4] ^ elements(b, 8)[n & 15]);
      expect(run('vpermxor', {}, a, b, c).vector).toBe(fromElements(mixed, 8));
    }
  });

  it('merges, splats and shifts by octets', () => {
    expect(permuted('vmrghb').slice(0, 4)).toEqual([0, 16, 1, 17]);
    expect(permuted('vmrglb').slice(0, 4)).toEqual([8, 24, 9, 25]);
    expect(permuted('vmrghh').slice(0, 8)).toEqual([0, 1, 16, 17, 2, 3, 18, 19]);
    expect(permuted('vmrglw').slice(0, 8)).toEqual([8, 9, 10, 11, 24, 25, 26, 27]);
    expect(permuted('vmrgew')).toEqual([0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27]);
    expect(permuted('vmrgow')).toEqual([4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31]);
    expect(permuted('vspltb', { uim: 3 })).toEqual(Array(16).fill(19));
    expect(permuted('vsplth', { uim: 7 }).slice(0, 4)).toEqual([30, 31, 30, 31]);
    expect(permuted('vspltw', { uim: 1 }).slice(0, 4)).toEqual([20, 21, 22, 23]);
    for (let shb = 0; shb < 16; shb++)
      expect(permuted('vsldoi', { shb })).toEqual(Array.from({ length: 16 }, (_, i) => i + shb));
    expect(run('vspltish', { sim: -2 }, 0n, 0n).vector).toBe(fromElements(Array<bigint>(8).fill(-2n), 16));
  });

  it('makes the control vectors of unaligned accesses', () => {
    for (let sh = 0; sh < 16; sh++) {
      const fields = { vrt: 1, ra: 4, rb: 5 };
      const gpr = { 4: 0x1000n, 5: BigInt(0x230 + sh) };
      const numbers = (first: number) => Array.from({ length: 16 }, (_, i) => first + i);
      expect(bytesOf(execute('lvsl', fields, { gpr }).vsr(33))).toEqual(numbers(sh));
      expect(bytesOf(execute('lvsr', fields, { gpr }).vsr(33))).toEqual(numbers(16 - sh));
    }
  });
});

describe('vector pack and unpack', () => {
  it('saturates to the narrower range and says so', () => {
    for (const [name, bits, from, to] of [
      ['vpkuhus', 16, 'u', 'u'],
      ['vpkuwus', 32, 'u', 'u'],
      ['vpkudus', 64, 'u', 'u'],
      ['vpkshus', 16, 's', 'u'],
      ['vpkswus', 32, 's', 'u'],
      ['vpksdus', 64, 's', 'u'],
      ['vpkshss', 16, 's', 's'],
      ['vpkswss', 32, 's', 's'],
      ['vpksdss', 64, 's', 's'],
    ] as const) {
      const next = randomVectors(bits);
      const half = BigInt(bits / 2);
      const least = to === 's' ? -(1n << (half - 1n)) : 0n;
      const most = (1n << (to === 's' ? half - 1n : half)) - 1n;
      const clamp = (x: bigint) => (x < least ? least : x > most ? most : x);
      for (let round = 0; round < ROUNDS; round++) {
        const [a, b] = [next(), next()];
        const all = [...elements(a, bits), ...elements(b, bits)];
        const values = all.map((e) => (from === 's' ? BigInt.asIntN(bits, e) : e));
        const { vector, sat } = run(name, {}, a, b);
        expect(vector, name).toBe(fromElements(values.map(clamp), bits / 2));
        expect(sat).toBe(values.every((e) => clamp(e) === e) ? 0 : 1);
      }
    }
  });

  it('drops the upper halves, or extends their sign', () => {
    expect(permuted('vpkuhum').slice(0, 4)).toEqual([1, 3, 5, 7]);
    expect(permuted('vpkudum')).toEqual([4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]);
    const b = fromElements([-1n, 2n, -3n, 4n], 32);
    expect(run('vupkhsw', {}, 0n, b).vector).toBe(fromElements([-1n, 2n], 64));
    expect(run('vupklsw', {}, 0n, b).vector).toBe(fromElements([-3n, 4n], 64));
    expect(run('vupkhsb', {}, 0n, 0x80n << 120n).vector).toBe(0xff80n << 112n);
  });

  it('turns pixels into words and back', () => {
    const pixels = 0xffff_8000_7c1f_0421n << 64n;
    const words = run('vupkhpx', {}, 0n, pixels).vector;
    expect(words).toBe(0xff1f1f1f_ff000000_001f001f_00010101n);
    // Packing looks at the upper five bits of a byte, unpacking fills the lower five.
    const bright = fromElements([0x01ff_f8f8n, 0xfe00_0000n, 0n, 0n], 32);
    expect(run('vpkpx', {}, bright, 0n).vector >> 96n).toBe(0xffff_0000n);
  });
});

describe('vector extract and insert', () => {
  it('use byte numbers in the register and the right end of doubleword 0', () => {
    for (const [op, bytes] of [
      ['vextractub', 1],
      ['vextractuh', 2],
      ['vextractuw', 4],
      ['vextractd', 8],
    ] as const) {
      for (let uim = 0; uim <= 16 - bytes; uim++) {
        const wanted = (high >> BigInt(8 * (16 - bytes - uim))) & ((1n << BigInt(8 * bytes)) - 1n);
        expect(run(op, { uim }, 0n, high).vector).toBe(wanted << 64n);
      }
    }
    for (const [op, bytes] of [
      ['vinsertb', 1],
      ['vinserth', 2],
      ['vinsertw', 4],
      ['vinsertd', 8],
    ] as const) {
      for (let uim = 0; uim <= 16 - bytes; uim++) {
        const wanted = bytesOf(low);
        for (let i = 0; i < bytes; i++) wanted[uim + i] = 24 - bytes + i;
        expect(bytesOf(run(op, { uim }, 0n, high, 0n, low).vector)).toEqual(wanted);
      }
    }
  });

  it('moves an element to a GPR, counted from either side', () => {
    const extract = (op: string, index: number) =>
      execute(op, { rt: 3, ra: 4, vrb: 3 }, { gpr: { 4: BigInt(index) - 0x10n }, vsr: { 35: high } }).gpr(3);
    expect(extract('vextublx', 2)).toBe(0x12n);
    expect(extract('vextuhlx', 2)).toBe(0x1213n);
    expect(extract('vextuwlx', 12)).toBe(0x1c1d1e1fn);
    expect(extract('vextubrx', 2)).toBe(0x1dn);
    expect(extract('vextuhrx', 2)).toBe(0x1c1dn);
    expect(extract('vextuwrx', 12)).toBe(0x10111213n);
  });
});

describe('vector bit permute and gather', () => {
  it('pick bits by number; numbers out of range give 0', () => {
    const next = randomVectors(5);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = [next(), next()];
      const index = bytesOf(b);
      const bits = index.map((n) => (n < 128 ? (a >> BigInt(127 - n)) & 1n : 0n));
      expect(run('vbpermq', {}, a, b).vector).toBe(fromElements(bits, 1) << 64n);
      const halves = elements(a, 64).map((half, h) => {
        const chosen = index.slice(8 * h, 8 * h + 8).map((n) => (n < 64 ? (half >> BigInt(63 - n)) & 1n : 0n));
        return fromElements(chosen, 1);
      });
      expect(run('vbpermd', {}, a, b).vector).toBe(fromElements(halves, 64));
      const transposed = elements(b, 64).map((half) => {
        const rows = Array.from({ length: 64 }, (_, n) => {
          const [row, column] = [n >> 3, n & 7];
          return (half >> BigInt(63 - (8 * column + row))) & 1n;
        });
        return fromElements(rows, 1);
      });
      expect(run('vgbbd', {}, 0n, b).vector).toBe(fromElements(transposed, 64));
    }
  });
});
