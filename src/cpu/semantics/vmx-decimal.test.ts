import { describe, expect, it } from 'vitest';
import { execute, operandsOf } from '../../../tests/support/execute-one.ts';

const LT = 8;
const GT = 4;
const EQ = 2;
const SO = 1;

interface Setup {
  readonly a?: bigint;
  readonly b: bigint;
  readonly ps?: number;
}
function run(op: string, { a = 0n, b, ps = 0 }: Setup): { vector: bigint; cr6: number } {
  const result = execute(op, operandsOf(op, { vrt: 1, vra: 2, vrb: 3, ps }), { vsr: { 34: a, 35: b } });
  return { vector: result.vsr(33), cr6: result.vcpu.get32('cr', 6) };
}
const count = (n: number) => BigInt.asUintN(8, BigInt(n)) << 64n;
const nines = BigInt(`0x${'9'.repeat(31)}c`);

describe('packed decimal arithmetic', () => {
  it('adds with preferred signs', () => {
    expect(run('bcdadd.', { a: 0x123fn, b: 0x877an })).toEqual({ vector: 0x1000cn, cr6: GT });
    expect(run('bcdadd.', { a: 0x123fn, b: 0x877an, ps: 1 })).toEqual({ vector: 0x1000fn, cr6: GT });
    expect(run('bcdadd.', { a: 0x1cn, b: 0x5bn })).toEqual({ vector: 0x4dn, cr6: LT });
    expect(run('bcdsub.', { a: 0x1cn, b: 0x5dn })).toEqual({ vector: 0x6cn, cr6: GT });
  });
  it('makes zero positive', () => {
    expect(run('bcdadd.', { a: 0x5dn, b: 0x5cn })).toEqual({ vector: 0xcn, cr6: EQ });
    expect(run('bcdadd.', { a: 0xdn, b: 0xdn, ps: 1 })).toEqual({ vector: 0xfn, cr6: EQ });
  });
  it('keeps the low digits on overflow', () => {
    expect(run('bcdadd.', { a: nines, b: 0x2cn })).toEqual({ vector: 0x1cn, cr6: GT | SO });
    expect(run('bcdsub.', { a: nines | 1n, b: 0x1cn })).toEqual({ vector: 0xdn, cr6: LT | SO });
  });
  it('refuses what is no digit and no sign', () => {
    expect(run('bcdadd.', { a: 0x19n, b: 0x1cn }).cr6).toBe(SO);
    expect(run('bcdadd.', { a: 0x1cn, b: 0xa0cn }).cr6).toBe(SO);
  });
});

describe('decimal conversions', () => {
  it('to and from national', () => {
    const national = 0x0031_0032_0033_0034_0035_0036_0037_002dn;
    expect(run('bcdcfn.', { b: national })).toEqual({ vector: 0x1234567dn, cr6: LT });
    expect(run('bcdctn.', { b: 0x1234567bn })).toEqual({ vector: national, cr6: LT });
    expect(run('bcdctn.', { b: 0x91234567bn })).toEqual({ vector: national, cr6: LT | SO });
    expect(run('bcdcfn.', { b: national + 1n }).cr6).toBe(SO);
  });
  it('to and from zoned', () => {
    const digits = 0x1234567890123456n;
    const zoned = 0x3132333435363738_3930313233343576n;
    expect(run('bcdcfz.', { b: zoned })).toEqual({ vector: (digits << 4n) | 0xdn, cr6: LT });
    expect(run('bcdctz.', { b: (digits << 4n) | 0xdn })).toEqual({ vector: zoned, cr6: LT });
    const ebcdic = 0xf1f2f3f4f5f6f7f8_f9f0f1f2f3f4f5c6n;
    expect(run('bcdcfz.', { b: ebcdic, ps: 1 })).toEqual({ vector: (digits << 4n) | 0xcn, cr6: GT });
    expect(run('bcdctz.', { b: (digits << 4n) | 0xan, ps: 1 })).toEqual({ vector: ebcdic, cr6: GT });
    expect(run('bcdctz.', { b: nines }).cr6).toBe(GT | SO);
    expect(run('bcdcfz.', { b: zoned, ps: 1 }).cr6).toBe(SO);
  });
  it('to and from binary', () => {
    const minus = BigInt.asUintN(128, -1234n);
    expect(run('bcdcfsq.', { b: minus })).toEqual({ vector: 0x1234dn, cr6: LT });
    expect(run('bcdctsq.', { b: 0x1234dn })).toEqual({ vector: minus, cr6: LT });
    expect(run('bcdctsq.', { b: nines })).toEqual({ vector: 10n ** 31n - 1n, cr6: GT });
    expect(run('bcdcfsq.', { b: 10n ** 31n }).cr6).toBe(GT | SO);
    expect(run('bcdcfsq.', { b: 0n, ps: 1 })).toEqual({ vector: 0xfn, cr6: EQ });
  });
});

describe('decimal signs, shifts and lengths', () => {
  it('copies and normalises signs', () => {
    expect(run('bcdcpsgn.', { a: 0x123cn, b: 0x9bn })).toEqual({ vector: 0x123bn, cr6: LT });
    expect(run('bcdsetsgn.', { b: 0x123bn })).toEqual({ vector: 0x123dn, cr6: LT });
    expect(run('bcdsetsgn.', { b: 0xan, ps: 1 })).toEqual({ vector: 0xfn, cr6: EQ });
  });
  it('shifts digits, comparing the operand with zero', () => {
    expect(run('bcds.', { a: count(2), b: 0x123bn })).toEqual({ vector: 0x12300dn, cr6: LT });
    expect(run('bcds.', { a: count(-2), b: 0x123cn })).toEqual({ vector: 0x1cn, cr6: GT });
    expect(run('bcds.', { a: count(-5), b: 0x123cn })).toEqual({ vector: 0xcn, cr6: GT });
    expect(run('bcds.', { a: count(31), b: 0x1cn })).toEqual({ vector: 0xcn, cr6: GT | SO });
    expect(run('bcds.', { a: count(127), b: 0xcn })).toEqual({ vector: 0xcn, cr6: EQ });
    expect(run('bcdus.', { a: count(31), b: 0x12n })).toEqual({ vector: 2n << 124n, cr6: GT | SO });
    expect(run('bcdus.', { a: count(-1), b: 0x12n })).toEqual({ vector: 1n, cr6: GT });
  });
  it('rounds half up when it shifts right', () => {
    expect(run('bcdsr.', { a: count(-1), b: 0x125dn })).toEqual({ vector: 0x13dn, cr6: LT });
    expect(run('bcdsr.', { a: count(-1), b: 0x124dn })).toEqual({ vector: 0x12dn, cr6: LT });
    expect(run('bcdsr.', { a: count(-2), b: 0x9950cn })).toEqual({ vector: 0x100cn, cr6: GT });
    // A shift by more digits than there are is one by all of them.
    expect(run('bcdsr.', { a: count(-100), b: nines })).toEqual({ vector: 0x1cn, cr6: GT });
  });
  it('truncates to a length', () => {
    expect(run('bcdtrunc.', { a: 2n << 64n, b: 0x1234cn })).toEqual({ vector: 0x34cn, cr6: GT | SO });
    expect(run('bcdtrunc.', { a: 4n << 64n, b: 0x1234cn, ps: 1 })).toEqual({ vector: 0x1234fn, cr6: GT });
    expect(run('bcdtrunc.', { a: 0x100n << 64n, b: nines })).toEqual({ vector: nines, cr6: GT });
    expect(run('bcdutrunc.', { a: 3n << 64n, b: 0x1234n })).toEqual({ vector: 0x234n, cr6: GT | SO });
    expect(run('bcdutrunc.', { a: 0n, b: 0n })).toEqual({ vector: 0n, cr6: EQ });
  });
});

describe('decimal help for the fixed-point unit', () => {
  it('corrects a decimal addition', () => {
    // 0x2975 + 0x1287 + sixes, less the sixes where no carry came out: 4262.
    const [a, b] = [0x2975n + 0x6666_6666_6666_6666n, 0x1287n];
    const sixes = execute('addg6s', { rt: 3, ra: 4, rb: 5 }, { gpr: { 4: a, 5: b } }).gpr(3);
    expect(BigInt.asUintN(64, a + b - sixes)).toBe(0x4262n);
  });
  it('converts six digits of each word to two declets and back', () => {
    const bcd = 0x0012_3999_0000_0850n;
    const declets = execute('cbcdtd', { rs: 4, ra: 3 }, { gpr: { 4: bcd } }).gpr(3);
    expect(declets >> 32n).toBe(0b001_010_0011_001_111_1111n);
    expect(declets & 0xffff_ffffn).toBe(0b000_101_1100n);
    expect(execute('cdtbcd', { rs: 4, ra: 3 }, { gpr: { 4: declets } }).gpr(3)).toBe(bcd);
  });
});
