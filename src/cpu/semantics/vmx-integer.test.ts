import { describe, expect, it } from 'vitest';
import { elements, execute, fromElements, operandsOf, randomVectors } from '../../../tests/support/execute-one.ts';

const ROUNDS = 40;

interface Outcome {
  readonly vector: bigint;
  readonly sat: number;
  readonly cr6: number;
}
function binary(op: string, a: bigint, b: bigint, c = 0n, rc = 0): Outcome {
  const fields = operandsOf(op, { vrt: 1, vra: 2, vrb: 3, vrc: 4, rc });
  const result = execute(op, fields, { vsr: { 34: a, 35: b, 36: c }, cr: 0xffff_ffff });
  return { vector: result.vsr(33), sat: result.vcpu.get32('vscrSat'), cr6: result.vcpu.get32('cr', 6) };
}

type Model = (a: bigint, b: bigint) => bigint;
/** Checks `op` against a model of its elements on many operands. */
function check(op: string, bits: number, signed: boolean, model: Model): void {
  const next = randomVectors(bits);
  const read = (v: bigint) => elements(v, bits).map((e) => (signed ? BigInt.asIntN(bits, e) : e));
  for (let round = 0; round < ROUNDS; round++) {
    const [a, b] = [next(), next()];
    const [x, y] = [read(a), read(b)];
    const wanted = fromElements(
      x.map((e, i) => model(e, y[i])),
      bits,
    );
    expect(binary(op, a, b).vector, `${op} ${a.toString(16)} ${b.toString(16)}`).toBe(wanted);
  }
}
const widths = [
  ['b', 8],
  ['h', 16],
  ['w', 32],
  ['d', 64],
] as const;
const truth = (condition: boolean) => (condition ? -1n : 0n);
const abs = (x: bigint) => (x < 0n ? -x : x);
const max = (a: bigint, b: bigint) => (a + b + abs(a - b)) / 2n;
const min = (a: bigint, b: bigint) => (a + b - abs(a - b)) / 2n;

describe('vector integers, element by element', () => {
  it('add, subtract, compare, take extremes', () => {
    for (const [letter, bits] of widths) {
      check(`vaddu${letter}m`, bits, false, (a, b) => a + b);
      check(`vsubu${letter}m`, bits, false, (a, b) => a - b);
      check(`vcmpequ${letter}`, bits, false, (a, b) => truth(a === b));
      for (const [sign, signed] of [
        ['s', true],
        ['u', false],
      ] as const) {
        check(`vcmpgt${sign}${letter}`, bits, signed, (a, b) => truth(a > b));
        check(`vmax${sign}${letter}`, bits, signed, max);
        check(`vmin${sign}${letter}`, bits, signed, min);
        if (bits < 64) check(`vavg${sign}${letter}`, bits, signed, (a, b) => (a + b + 1n) >> 1n);
      }
      if (bits === 64) continue;
      check(`vabsdu${letter}`, bits, false, (a, b) => abs(a - b));
      check(`vcmpne${letter}`, bits, false, (a, b) => truth(a !== b));
      check(`vcmpnez${letter}`, bits, false, (a, b) => truth(a !== b || a === 0n || b === 0n));
    }
  });

  it('saturate and say so in VSCR, which keeps it', () => {
    for (const [letter, bits] of widths.slice(0, 3)) {
      for (const signed of [true, false]) {
        const least = signed ? -(1n << BigInt(bits - 1)) : 0n;
        const most = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
        const clamp = (x: bigint) => (x < least ? least : x > most ? most : x);
        const next = randomVectors(bits + 1);
        for (const [name, f] of [
          ['vadd', (a: bigint, b: bigint) => a + b],
          ['vsub', (a: bigint, b: bigint) => a - b],
        ] as const) {
          const op = `${name}${signed ? 's' : 'u'}${letter}s`;
          for (let round = 0; round < ROUNDS; round++) {
            const [a, b] = [next(), next()];
            const read = (v: bigint) => elements(v, bits).map((e) => (signed ? BigInt.asIntN(bits, e) : e));
            const exact = read(a).map((e, i) => f(e, read(b)[i]));
            const outcome = binary(op, a, b);
            expect(outcome.vector).toBe(fromElements(exact.map(clamp), bits));
            expect(outcome.sat).toBe(exact.some((e) => clamp(e) !== e) ? 1 : 0);
          }
        }
      }
    }
    const kept = execute('vaddubs', { vrt: 1, vra: 2, vrb: 3 }, { vscrSat: 1 });
    expect(kept.vcpu.get32('vscrSat')).toBe(1);
  });

  it('count bits', () => {
    for (const [letter, bits] of widths) {
      const text = (e: bigint) => e.toString(2).padStart(bits, '0');
      check(`vpopcnt${letter}`, bits, false, (_a, b) => BigInt(text(b).replaceAll('0', '').length));
      check(`vclz${letter}`, bits, false, (_a, b) => BigInt(`${text(b)}1`.indexOf('1')));
      check(`vctz${letter}`, bits, false, (_a, b) => BigInt([...text(b)].reverse().concat('1').indexOf('1')));
    }
    const bytesParity = (e: bigint) => elements(e, 8).reduce((all, byte) => all ^ (byte & 1n), 0n);
    check('vprtybw', 32, false, (_a, b) => bytesParity(b));
    check('vprtybd', 64, false, (_a, b) => bytesParity(b));
    check('vprtybq', 128, false, (_a, b) => bytesParity(b));
  });

  it('change sign and width', () => {
    check('vnegw', 32, false, (_a, b) => -b);
    check('vnegd', 64, false, (_a, b) => -b);
    for (const [op, from, to] of [
      ['vextsb2w', 8, 32],
      ['vextsh2w', 16, 32],
      ['vextsb2d', 8, 64],
      ['vextsh2d', 16, 64],
      ['vextsw2d', 32, 64],
    ] as const)
      check(op, to, false, (_a, b) => BigInt.asIntN(from, b));
  });
});

describe('vector quadword arithmetic', () => {
  it('adds and subtracts with carries', () => {
    const next = randomVectors(128);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b, c] = [next(), round % 4 ? next() : (1n << 128n) - 1n, next()];
      const complement = BigInt.asUintN(128, ~b);
      for (const [op, other, carry] of [
        ['vaddu', b, 0n],
        ['vsubu', complement, 1n],
        ['vaddeu', b, c & 1n],
        ['vsubeu', complement, c & 1n],
      ] as const) {
        const exact = a + other + carry;
        expect(binary(`${op}qm`, a, b, c).vector).toBe(BigInt.asUintN(128, exact));
        const carryOp = op.endsWith('eu') ? `${op.slice(0, 4)}ecuq` : `${op.slice(0, 4)}cuq`;
        expect(binary(carryOp, a, b, c).vector).toBe(exact >> 128n);
      }
    }
  });
});

describe('vector sums across', () => {
  it('saturate at 32 bits', () => {
    const next = randomVectors(32);
    const clamp = (x: bigint) => (x < -0x80000000n ? -0x80000000n : x > 0x7fffffffn ? 0x7fffffffn : x);
    const signed = (v: bigint, bits: number) => elements(v, bits).map((e) => BigInt.asIntN(bits, e));
    const sum = (list: readonly bigint[]) => list.reduce((all, e) => all + e, 0n);
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = [next(), next()];
      const [aw, bw] = [signed(a, 32), signed(b, 32)];
      const all = sum(aw) + bw[3];
      expect(binary('vsumsws', a, b).vector).toBe(BigInt.asUintN(32, clamp(all)));
      expect(binary('vsumsws', a, b).sat).toBe(clamp(all) === all ? 0 : 1);
      const halves = [aw[0] + aw[1] + bw[1], aw[2] + aw[3] + bw[3]];
      expect(binary('vsum2sws', a, b).vector).toBe(fromElements([0n, clamp(halves[0]), 0n, clamp(halves[1])], 32));
      const fours = bw.map((e, i) => clamp(e + sum(signed(a, 8).slice(4 * i, 4 * i + 4))));
      expect(binary('vsum4sbs', a, b).vector).toBe(fromElements(fours, 32));
      const pairs = bw.map((e, i) => clamp(e + sum(signed(a, 16).slice(2 * i, 2 * i + 2))));
      expect(binary('vsum4shs', a, b).vector).toBe(fromElements(pairs, 32));
      const unsigned = elements(b, 32).map((e, i) => e + sum(elements(a, 8).slice(4 * i, 4 * i + 4)));
      const limited = unsigned.map((e) => (e > 0xffffffffn ? 0xffffffffn : e));
      expect(binary('vsum4ubs', a, b).vector).toBe(fromElements(limited, 32));
    }
  });
});

describe('vector compares with record', () => {
  it('set CR6 to all, none or neither', () => {
    expect(binary('vcmpequb', 5n, 5n, 0n, 1).cr6).toBe(8);
    expect(binary('vcmpequb', 5n, 6n, 0n, 1).cr6).toBe(0);
    expect(binary('vcmpgtsd', 0n, 0n, 0n, 1).cr6).toBe(2);
    expect(binary('vcmpneb', 5n, 6n, 0n, 0).cr6).toBe(15);
  });
});

describe('counts of bytes by their last bit', () => {
  it('go from the left or the right, up to 16', () => {
    for (const [vector, leading, trailing] of [
      [0n, 16n, 16n],
      [1n, 15n, 0n],
      [1n << 120n, 0n, 15n],
      [0x0001_0000n, 13n, 2n],
    ]) {
      expect(execute('vclzlsbb', { rt: 3, vrb: 1 }, { vsr: { 33: vector } }).gpr(3)).toBe(leading);
      expect(execute('vctzlsbb', { rt: 3, vrb: 1 }, { vsr: { 33: vector } }).gpr(3)).toBe(trailing);
    }
  });
});
