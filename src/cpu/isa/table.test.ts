import { describe, expect, it } from 'vitest';
import { randomWords } from '../../../tests/support/random.ts';
import { decode, encodeFields, fieldValue } from './decode.ts';
import type { Field } from './table.ts';
import { instruction, instructions, isOp, readPicture } from './table.ts';

function fieldMask(field: Field): number {
  let mask = 0;
  for (const { first, last } of field.pieces) for (let i = first; i <= last; i++) mask |= 1 << (31 - i);
  return mask >>> 0;
}

describe('instruction table', () => {
  it('holds every instruction of the architecture up to version 3.0B that user, kernel and hypervisor code can meet', () => {
    expect(instructions.length).toBe(952);
    expect(instructions.every((row, i) => row.index === i)).toBe(true);
  });

  it('accounts for each of the 32 bits of each row exactly once', () => {
    for (const row of instructions) {
      const parts = [row.mask, row.reserved, ...[...row.fields.values()].map(fieldMask)];
      expect(
        parts.reduce((sum, part) => sum + part, 0),
        row.op,
      ).toBe(0xffff_ffff);
      expect(
        parts.reduce((all, part) => (all | part) >>> 0, 0),
        row.op,
      ).toBe(0xffff_ffff);
      expect(((row.match & ~row.mask) >>> 0).toString(16), row.op).toBe('0');
    }
  });

  it('has no two rows that match one word', () => {
    const clashes: string[] = [];
    for (const a of instructions) {
      for (const b of instructions) {
        if (a.index < b.index && ((a.match ^ b.match) & a.mask & b.mask) === 0) clashes.push(`${a.op} ${b.op}`);
      }
    }
    expect(clashes).toEqual([]);
  });

  it('gives the flag fields one length and, but for compares, one place', () => {
    const places = new Set<string>();
    for (const row of instructions) {
      for (const name of ['rc', 'oe', 'aa', 'lk']) {
        const field = row.fields.get(name);
        if (field) places.add(`${name}@${field.pieces.map((piece) => `${piece.first}-${piece.last}`)}`);
      }
    }
    expect([...places].sort()).toEqual(['aa@30-30', 'lk@31-31', 'oe@21-21', 'rc@21-21', 'rc@31-31']);
  });

  it('names only fields of the row in the operand order', () => {
    for (const row of instructions) {
      for (const name of row.asm?.match(/[a-z][a-z0-9]*/g) ?? [])
        expect(row.fields.has(name), `${row.op} ${name}`).toBe(true);
    }
  });

  it('finds rows by mnemonic', () => {
    expect(instruction('addi').bits).toBe('001110 rt:5 ra:5 si:s16');
    expect(isOp('stwcx.')).toBe(true);
    expect(isOp('stwcx')).toBe(false);
    expect(() => instruction('no-such')).toThrow('no instruction is called "no-such"');
  });

  it('refuses a picture that is not 32 bits wide, has a gap in a split field or an odd character', () => {
    expect(() => readPicture('x', '011111 rt:5')).toThrow('11 bits wide');
    expect(() => readPicture('x', '011111 sh/1:26')).toThrow('not numbered from 0');
    expect(() => readPicture('x', '01111x rt:26')).toThrow('not a piece');
  });
});

describe('decode', () => {
  it('finds each row from its match with fields and reserved bits set at random, and gives the fields back', () => {
    const next = randomWords(0x5eed);
    for (const row of instructions) {
      for (let round = 0; round < 8; round++) {
        const values: Record<string, number> = {};
        for (const field of row.fields.values()) {
          const raw = next() % 2 ** field.bits;
          values[field.name] = field.signed && raw >= 2 ** (field.bits - 1) ? raw - 2 ** field.bits : raw;
        }
        const word = encodeFields(row, values);
        const noisy = (word | (next() & row.reserved)) >>> 0;
        const back = Object.fromEntries(
          [...row.fields.values()].map((field) => [field.name, fieldValue(noisy, field)]),
        );
        expect([word & row.reserved, decode(noisy)?.op, decode(noisy | 0)?.op, back]).toEqual([
          0,
          row.op,
          row.op,
          values,
        ]);
      }
    }
  });

  it('agrees with a search of the whole table on random words', () => {
    const next = randomWords(0xdec0de);
    for (let round = 0; round < 50_000; round++) {
      const word = next();
      const expected = instructions.find((row) => (word & row.mask) >>> 0 === row.match);
      if (decode(word) !== expected)
        expect.fail(`${word.toString(16)} is ${expected?.op}, decoded as ${decode(word)?.op}`);
    }
  });

  it('reads split fields in the order of the architecture', () => {
    const value = (word: number, name: string) => {
      const row = decode(word);
      return row && fieldValue(word, row.fields.get(name)!);
    };
    expect(value(0x7c0802a6, 'spr')).toBe(8); // mflr r0
    expect(value(0x7ff04ba6, 'spr')).toBe(304); // mtspr 304,r31
    expect(value(0x7bff07c6, 'sh')).toBe(32); // rldicr r31,r31,32,31
    expect(value(0xf3fffcd7, 'xt')).toBe(63); // xxlxor vs63,vs63,vs63
    expect(value(0x4bfffffc, 'li')).toBe(-1); // b .-4
    expect(value(0x4fffffc5, 'd')).toBe(-1); // addpcis r31,-1
  });

  it('knows no instruction with primary opcode 0 or 1', () => {
    expect(decode(0)).toBeUndefined();
    expect(decode(0x00000200)).toBeUndefined();
    expect(decode(0x04000000)).toBeUndefined();
  });

  it('refuses a field value that does not fit', () => {
    expect(() => encodeFields(instruction('addi'), { si: 32768 })).toThrow('addi: si cannot be 32768');
    expect(() => encodeFields(instruction('addi'), { rb: 0 })).toThrow('addi has no field "rb"');
  });
});
