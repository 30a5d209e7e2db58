import { describe, expect, it } from 'vitest';
import { encodeFields } from '../isa/decode.ts';
import { instruction } from '../isa/table.ts';
import { discoverRegion } from './discover.ts';
import { isAround, type Nest, nestAtEntry } from './loops.ts';

const word = (op: string, fields: Record<string, number>) => encodeFields(instruction(op), fields);
const plain = word('addi', { rt: 3, ra: 3, si: 1 });
/** `bc` that may be taken, so many instructions on. */
const branch = (bd: number) => word('bc', { bo: 12, bi: 2, bd });
const end = word('sc', { lev: 1 });

function nestAt(offset: number, words: readonly number[], isHead = (_: number) => true): Nest | undefined {
  const limits = { maxInstructions: 100, maxInlined: 0, maxInlineDepth: 0 };
  return nestAtEntry(
    discoverRegion([offset], (at) => words[at / 4], limits),
    isHead,
  );
}

// Loops at 0x4 to 0x20, in it at 0x8 to 0x1c, in that at 0x10 to 0x14.
const three = [plain, plain, plain, plain, plain, branch(-1), plain, branch(-5), branch(-7), end];

describe('a loop', () => {
  it('is in the outermost one around it that is wanted', () => {
    const inner = { head: 0x10, end: 0x14 };
    expect(nestAt(0x10, three)).toEqual({ inner, outer: { head: 4, end: 0x20 } });
    expect(nestAt(0x10, three, (at) => at > 4)).toEqual({ inner, outer: { head: 8, end: 0x1c } });
    expect(nestAt(8, three)).toEqual({ inner: { head: 8, end: 0x1c }, outer: { head: 4, end: 0x20 } });
    expect(nestAt(4, three)).toBeUndefined();
    expect(nestAt(0x10, three, () => false)).toBeUndefined();
  });
  it('is in none if no branch comes back to it', () => {
    expect(nestAt(0xc, three)).toBeUndefined();
  });
  it('is in none that lies beside it', () => {
    expect(nestAt(8, [plain, branch(-1), plain, branch(-1), end])).toBeUndefined();
  });
  it('is in another one that comes in at its middle', () => {
    // From 0x4 to the inner loop's second instruction.
    const words = [plain, word('b', { li: 2 }), plain, plain, branch(-2), branch(-5), end];
    expect(nestAt(8, words)).toEqual({ inner: { head: 8, end: 0x10 }, outer: { head: 0, end: 0x14 } });
  });
  it('has around it what the outer one has and it has not', () => {
    const nest = { inner: { head: 8, end: 0x10 }, outer: { head: 0, end: 0x14 } };
    const around = [-4, 0, 4, 8, 0xc, 0x10, 0x14, 0x18].filter((at) => isAround(nest, at));
    expect(around).toEqual([0, 4, 0x14]);
  });
});
