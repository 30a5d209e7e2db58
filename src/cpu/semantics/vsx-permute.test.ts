import { describe, expect, it } from 'vitest';
import { elements, execute, fromBytes, fromElements, operandsOf } from '../../../tests/support/execute-one.ts';

const numbers = (first: number) => fromBytes(Array.from({ length: 16 }, (_, i) => first + i));
const low = numbers(0);
const high = numbers(16);
const ones = (1n << 128n) - 1n;

/** XA, in a register shared with the FPRs, is bytes 0 to 15; XB, a VMX register, is bytes 16 to 31. */
function run(op: string, fields: Record<string, number> = {}, c = 0n, target = 0n): bigint {
  const operands = operandsOf(op, { xt: 20, xa: 5, xb: 45, xc: 60, ...fields });
  return execute(op, operands, { vsr: { 20: target, 5: low, 45: high, 60: c } }).vsr(20);
}
const bytes = (v: bigint) => elements(v, 8).map(Number);

describe('VSX logic', () => {
  it('works on all 128 bits', () => {
    expect(run('xxland')).toBe(low & high);
    expect(run('xxlandc')).toBe(low & ~high & ones);
    expect(run('xxlor')).toBe(low | high);
    expect(run('xxlorc')).toBe((low | ~high) & ones);
    expect(run('xxlxor')).toBe(low ^ high);
    expect(run('xxlnor')).toBe(~(low | high) & ones);
    expect(run('xxlnand')).toBe(~(low & high) & ones);
    expect(run('xxleqv')).toBe(~(low ^ high) & ones);
    expect(run('xxsel', {}, 0xffn)).toBe((low & ~0xffn) | (high & 0xffn));
  });
});

describe('VSX permutation', () => {
  it('chooses doublewords and words', () => {
    const halves = (v: bigint) => elements(v, 64);
    for (let dm = 0; dm < 4; dm++)
      expect(halves(run('xxpermdi', { dm }))).toEqual([halves(low)[dm >> 1], halves(high)[dm & 1]]);
    const words = [...elements(low, 32), ...elements(high, 32)];
    for (let dm = 0; dm < 4; dm++) expect(elements(run('xxsldwi', { dm }), 32)).toEqual(words.slice(dm, dm + 4));
    for (let uim = 0; uim < 4; uim++)
      expect(run('xxspltw', { uim })).toBe(fromElements(Array<bigint>(4).fill(words[4 + uim]), 32));
    expect(elements(run('xxmrghw'), 32)).toEqual([words[0], words[4], words[1], words[5]]);
    expect(elements(run('xxmrglw'), 32)).toEqual([words[2], words[6], words[3], words[7]]);
    expect(run('xxspltib', { imm8: 0xa5 })).toBe(fromBytes(Array(16).fill(0xa5)));
  });

  it('takes bytes of XA and the old target by the indices in XB', () => {
    const target = numbers(0x80);
    // XB holds 16 to 31: the bytes of the target, from the right bytes of XA.
    expect(run('xxperm', {}, 0n, target)).toBe(target);
    expect(bytes(run('xxpermr', {}, 0n, target))).toEqual(bytes(low).reverse());
  });

  it('extracts, inserts and reverses', () => {
    for (let uim = 0; uim <= 12; uim++) {
      const taken = bytes(high).slice(uim, uim + 4);
      expect(bytes(run('xxextractuw', { uim })).slice(4, 8)).toEqual(taken);
      const inserted = bytes(low);
      inserted.splice(uim, 4, 20, 21, 22, 23);
      expect(bytes(run('xxinsertw', { uim }, 0n, low))).toEqual(inserted);
    }
    expect(bytes(run('xxbrh')).slice(0, 4)).toEqual([17, 16, 19, 18]);
    expect(bytes(run('xxbrw')).slice(0, 4)).toEqual([19, 18, 17, 16]);
    expect(bytes(run('xxbrd')).slice(0, 2)).toEqual([23, 22]);
    expect(bytes(run('xxbrq'))).toEqual(bytes(high).reverse());
  });
});

describe('moves between register files', () => {
  const gpr = { 4: 0x1122_3344_8566_7788n, 5: 0x99n };
  it('take doubleword 0 or 1', () => {
    const from = (op: string) => execute(op, { xs: 45, ra: 3 }, { vsr: { 45: high } }).gpr(3);
    expect(from('mfvsrd')).toBe(0x1011121314151617n);
    expect(from('mfvsrld')).toBe(0x18191a1b1c1d1e1fn);
    expect(from('mfvsrwz')).toBe(0x14151617n);
  });
  it('fill doubleword 0, both, or all words', () => {
    const to = (op: string, ra = 4) =>
      execute(op, operandsOf(op, { xt: 45, ra, rb: 5 }), { gpr, vsr: { 45: ones } }).vsr(45);
    expect(to('mtvsrd')).toBe(gpr[4] << 64n);
    expect(to('mtvsrwz')).toBe(0x85667788n << 64n);
    expect(to('mtvsrwa')).toBe(0xffff_ffff_8566_7788n << 64n);
    expect(to('mtvsrdd')).toBe((gpr[4] << 64n) | 0x99n);
    expect(to('mtvsrdd', 0)).toBe(0x99n);
    expect(to('mtvsrws')).toBe(fromElements(Array<bigint>(4).fill(0x8566_7788n), 32));
  });
  it('move VSCR, of which two bits exist', () => {
    const set = execute('mtvscr', { vrb: 3 }, { vsr: { 35: ones } });
    expect([set.vcpu.get32('vscrNj'), set.vcpu.get32('vscrSat')]).toEqual([1, 1]);
    expect(execute('mfvscr', { vrt: 1 }, { vscrNj: 1, vscrSat: 1, vsr: { 33: ones } }).vsr(33)).toBe(0x1_0001n);
  });
});
