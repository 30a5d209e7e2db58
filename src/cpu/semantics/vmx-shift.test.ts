import { describe, expect, it } from 'vitest';
import { elements, execute, fromElements, randomVectors } from '../../../tests/support/execute-one.ts';

const ROUNDS = 40;

function run(op: string, a: bigint, b: bigint, target = 0n): bigint {
  return execute(op, { vrt: 1, vra: 2, vrb: 3 }, { vsr: { 33: target, 34: a, 35: b } }).vsr(33);
}
const ones = (bits: number) => (1n << BigInt(bits)) - 1n;
const rotate = (x: bigint, n: bigint, bits: number) => ((x << n) | (x >> (BigInt(bits) - n))) & ones(bits);

describe('vector shifts of elements', () => {
  it('take their amount from the same element', () => {
    for (const [letter, bits] of [
      ['b', 8],
      ['h', 16],
      ['w', 32],
      ['d', 64],
    ] as const) {
      const next = randomVectors(bits);
      const models: readonly (readonly [string, (x: bigint, n: bigint) => bigint])[] = [
        ['vrl', (x, n) => rotate(x, n, bits)],
        ['vsl', (x, n) => x << n],
        ['vsr', (x, n) => x >> n],
        ['vsra', (x, n) => BigInt.asIntN(bits, x) >> n],
      ];
      for (const [name, model] of models) {
        for (let round = 0; round < ROUNDS; round++) {
          const [a, b] = [next(), next()];
          const amounts = elements(b, bits).map((n) => n % BigInt(bits));
          const wanted = fromElements(
            elements(a, bits).map((x, i) => model(x, amounts[i])),
            bits,
          );
          expect(run(name + letter, a, b), `${name}${letter}`).toBe(wanted);
        }
      }
    }
  });

  it('rotate under masks, which may wrap around', () => {
    for (const [letter, bits] of [
      ['w', 32],
      ['d', 64],
    ] as const) {
      const next = randomVectors(bits + 7);
      for (let round = 0; round < ROUNDS; round++) {
        const [a, b, target] = [next(), next(), next()];
        const masked = elements(b, bits).map((control, i) => {
          const field = (at: bigint) => (control >> at) % BigInt(bits);
          const [n, end, begin] = [field(0n), field(8n), field(16n)];
          let mask = 0n;
          for (let bit = begin; ; bit = (bit + 1n) % BigInt(bits)) {
            mask |= 1n << (BigInt(bits) - 1n - bit);
            if (bit === end) break;
          }
          return { mask, rotated: rotate(elements(a, bits)[i], n, bits) };
        });
        const and = masked.map(({ mask, rotated }) => rotated & mask);
        expect(run(`vrl${letter}nm`, a, b)).toBe(fromElements(and, bits));
        const inserted = elements(target, bits).map((old, i) => and[i] | (old & ~masked[i].mask));
        expect(run(`vrl${letter}mi`, a, b, target)).toBe(fromElements(inserted, bits));
      }
    }
  });
});

describe('vector shifts of the whole register', () => {
  it('go by bits, by octets, and by each byte for itself', () => {
    const next = randomVectors(3);
    for (let round = 0; round < ROUNDS; round++) {
      const a = next();
      const bits = BigInt(round % 8);
      const everywhere = fromElements(Array<bigint>(16).fill(bits), 8);
      expect(run('vsl', a, everywhere)).toBe(BigInt.asUintN(128, a << bits));
      expect(run('vsr', a, everywhere)).toBe(a >> bits);
      const octets = BigInt(round % 16);
      expect(run('vslo', a, octets << 3n)).toBe(BigInt.asUintN(128, a << (8n * octets)));
      expect(run('vsro', a, octets << 3n)).toBe(a >> (8n * octets));
      const b = next();
      const [x, n] = [elements(a, 8), elements(b, 8).map((e) => e & 7n)];
      const left = x.map((byte, i) => (((byte << 8n) | (x[i + 1] ?? 0n)) << n[i]) >> 8n);
      const right = x.map((byte, i) => (((x[i - 1] ?? 0n) << 8n) | byte) >> n[i]);
      expect(run('vslv', a, b)).toBe(fromElements(left, 8));
      expect(run('vsrv', a, b)).toBe(fromElements(right, 8));
    }
  });
});
