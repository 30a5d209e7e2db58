import { describe, expect, it } from 'vitest';
import { elements, execute, fromElements, operandsOf, randomVectors } from '../../../tests/support/execute-one.ts';

const ROUNDS = 60;

function run(op: string, a: bigint, b: bigint, c = 0n) {
  const fields = operandsOf(op, { vrt: 1, vra: 2, vrb: 3, vrc: 4 });
  const result = execute(op, fields, { vsr: { 34: a, 35: b, 36: c } });
  return { vector: result.vsr(33), sat: result.vcpu.get32('vscrSat') };
}
const read = (v: bigint, bits: number, sign: string) =>
  elements(v, bits).map((e) => (sign === 's' ? BigInt.asIntN(bits, e) : e));
const sum = (list: readonly bigint[]) => list.reduce((all, e) => all + e, 0n);
const clamp = (x: bigint, least: bigint, most: bigint) => (x < least ? least : x > most ? most : x);

describe('vector products', () => {
  it('of even and odd elements are twice as wide', () => {
    for (const [letter, bits] of [
      ['b', 8],
      ['h', 16],
      ['w', 32],
    ] as const) {
      for (const sign of ['s', 'u']) {
        const next = randomVectors(bits);
        for (let round = 0; round < ROUNDS; round++) {
          const [a, b] = [next(), next()];
          const products = read(a, bits, sign).map((x, i) => x * read(b, bits, sign)[i]);
          const every = (first: number) => products.filter((_, i) => i % 2 === first);
          expect(run(`vmule${sign}${letter}`, a, b).vector).toBe(fromElements(every(0), 2 * bits));
          expect(run(`vmulo${sign}${letter}`, a, b).vector).toBe(fromElements(every(1), 2 * bits));
        }
      }
    }
  });

  it('are added to elements, rounded and saturated', () => {
    const next = randomVectors(16);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b, c] = round ? [next(), next(), next()] : [1n << 127n, 1n << 127n, 1n << 112n];
      const [x, y, z] = [a, b, c].map((v) => read(v, 16, 's'));
      for (const [op, rounding] of [
        ['vmhaddshs', 0n],
        ['vmhraddshs', 0x4000n],
      ] as const) {
        const exact = x.map((e, i) => ((e * y[i] + rounding) >> 15n) + z[i]);
        const wanted = exact.map((e) => clamp(e, -0x8000n, 0x7fffn));
        const outcome = run(op, a, b, c);
        expect(outcome.vector).toBe(fromElements(wanted, 16));
        expect(outcome.sat).toBe(exact.every((e, i) => e === wanted[i]) ? 0 : 1);
      }
      expect(run('vmladduhm', a, b, c).vector).toBe(
        fromElements(
          x.map((e, i) => e * y[i] + z[i]),
          16,
        ),
      );
      const words = read(a, 32, 'u').map((e, i) => e * read(b, 32, 'u')[i]);
      expect(run('vmuluwm', a, b).vector).toBe(fromElements(words, 32));
    }
  });

  it('are summed within words', () => {
    const next = randomVectors(32);
    const edge = fromElements(Array<bigint>(8).fill(-0x8000n), 16);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = round % 4 ? [next(), next()] : [edge, edge];
      const c = next();
      for (const [op, bits, signA, signB, saturating] of [
        ['vmsumubm', 8, 'u', 'u', false],
        ['vmsummbm', 8, 's', 'u', false],
        ['vmsumuhm', 16, 'u', 'u', false],
        ['vmsumuhs', 16, 'u', 'u', true],
        ['vmsumshm', 16, 's', 's', false],
        ['vmsumshs', 16, 's', 's', true],
      ] as const) {
        const products = read(a, bits, signA).map((x, i) => x * read(b, bits, signB)[i]);
        const each = 32 / bits;
        const exact = read(c, 32, signA).map((z, w) => z + sum(products.slice(each * w, each * w + each)));
        const [least, most] = signA === 's' ? [-0x8000_0000n, 0x7fff_ffffn] : [0n, 0xffff_ffffn];
        const outcome = run(op, a, b, c);
        const wanted = saturating ? exact.map((e) => clamp(e, least, most)) : exact;
        expect(outcome.vector, op).toBe(fromElements(wanted, 32));
        expect(outcome.sat).toBe(wanted.every((e, i) => e === exact[i]) ? 0 : 1);
      }
      const [x, y] = [read(a, 64, 'u'), read(b, 64, 'u')];
      expect(run('vmsumudm', a, b, c).vector).toBe(BigInt.asUintN(128, x[0] * y[0] + x[1] * y[1] + c));
    }
  });

  it('by ten span the register', () => {
    const next = randomVectors(128);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = [next(), next()];
      const digit = b & 15n;
      expect(run('vmul10uq', a, b).vector).toBe(BigInt.asUintN(128, a * 10n));
      expect(run('vmul10cuq', a, b).vector).toBe((a * 10n) >> 128n);
      expect(run('vmul10euq', a, b).vector).toBe(BigInt.asUintN(128, a * 10n + digit));
      expect(run('vmul10ecuq', a, b).vector).toBe((a * 10n + digit) >> 128n);
    }
  });
});
