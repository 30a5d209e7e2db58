// Single instructions with recorded inputs and outputs (data/isa-vectors.txt, which describes its format), on each engine
// and, where it is installed, on QEMU: vectors made independently of everything else in this folder.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/cpu/isa/decode.ts';
import type { CpuUnderTest } from '../support/cpu-under-test.ts';
import { codeEa, windowEa } from '../support/cpu-under-test.ts';
import { engines } from '../support/engines.ts';
import { missingTools, Oracle } from './oracle.ts';
import { executeOn, hex32 } from './runner.ts';
import { SlotState, slot } from './state.ts';
import type { Block } from './vectors.ts';

interface Vector {
  readonly word: number;
  readonly name: string;
  readonly before: SlotState;
  readonly after: readonly string[];
}

const vs34 = slot.vsr + 2 * 34;

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

function parse(line: string): Vector {
  const [head, input, output] = line.split(' | ');
  const [word, name] = head.split(' ');
  const [cr, xer, r5, r6, r7, r8, vector, memory] = input.split(' ');
  const before = new SlotState();
  before.cr = Number.parseInt(cr, 16);
  before.xer = BigInt(`0x${xer}`);
  [r5, r6, r7, r8].forEach((value, i) => {
    before.gpr[5 + i] = BigInt(`0x${value}`);
  });
  before.gpr[11] = BigInt(windowEa);
  before.slots[vs34] = BigInt(`0x${vector.slice(0, 16)}`);
  before.slots[vs34 + 1] = BigInt(`0x${vector.slice(16)}`);
  before.window.set(bytesOf(memory));
  const image = new DataView(before.slots.buffer, 8 * slot.window);
  for (let i = 0; i < 3; i++) {
    before.slots[vs34 + 2 * (i + 1)] = image.getBigUint64(16 * i + 8, true);
    before.slots[vs34 + 2 * (i + 1) + 1] = image.getBigUint64(16 * i, true);
  }
  return { word: Number.parseInt(word, 16), name, before, after: output.trim().split(' ') };
}

/** The state in the notation of the file; digits of vs34 that are not checked as dots. */
function shown(state: SlotState, after: readonly string[]): string[] {
  const digits = (value: bigint, length: number) => value.toString(16).padStart(length, '0');
  const vector = digits((state.slots[vs34] << 64n) | state.slots[vs34 + 1], 32);
  const memory = [...state.window.subarray(0, 48)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [
    hex32(state.cr),
    digits(state.xer, 8),
    ...[5, 6, 7].map((n) => digits(state.gpr[n], 16)),
    [...vector].map((digit, i) => (after[5][i] === '.' ? '.' : digit)).join(''),
    memory,
  ];
}

const text = readFileSync(new URL('./data/isa-vectors.txt', import.meta.url), 'utf8');
const vectors = text
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map(parse);

function differences(run: (vector: Vector, after: SlotState) => void, skip: (vector: Vector) => boolean): string[] {
  const found: string[] = [];
  const after = new SlotState();
  for (const vector of vectors) {
    if (skip(vector)) continue;
    run(vector, after);
    const actual = shown(after, vector.after);
    if (actual.join(' ') !== vector.after.join(' '))
      found.push(
        `${hex32(vector.word)} ${vector.name}\n  expected ${vector.after.join(' ')}\n  actual   ${actual.join(' ')}`,
      );
  }
  return found;
}

test('the file has vectors of hundreds of instructions', () => {
  expect(vectors.length).toBeGreaterThan(900);
  expect(new Set(vectors.map((vector) => vector.name)).size).toBeGreaterThan(300);
});

describe.each(engines)('$name', (engine) => {
  test('isa-vectors', async () => {
    const cpu: CpuUnderTest = await engine.createCpu();
    const implemented = engine.implementedOps();
    const absent = (vector: Vector) => !implemented.has(decode(vector.word)?.op ?? '');
    const found = differences(
      (vector, after) => executeOn(cpu, Uint32Array.of(vector.word), vector.before, after),
      absent,
    );
    expect(found.slice(0, 20).join('\n')).toBe('');
  });
});

test.skipIf(missingTools() !== undefined)('QEMU agrees with the vectors', async () => {
  const oracle = new Oracle();
  const states = new Map<Vector, SlotState>();
  for (const vector of vectors) {
    const block: Block = {
      op: vector.name,
      index: 0,
      fixed: true,
      base: vector.before,
      programs: [Uint32Array.of(vector.word)],
      vectors: 1,
      programOf: Uint16Array.of(0),
      changeStart: Uint32Array.of(0, 0),
      changeSlot: new Uint16Array(),
      changeValue: new Uint32Array(),
    };
    const state = new SlotState();
    state.copyFrom(vector.before);
    (await oracle.run(block)).read(0, state);
    expect(state.nia).toBe(BigInt(codeEa + 4));
    states.set(vector, state);
  }
  oracle.close();
  // Where QEMU is wrong (known-differences.ts): the insert of vrldmi, vector conversions with an invalid element.
  const wrong = (vector: Vector) => vector.name === 'vrldmi' || /^xvcv[ds]p[su]x[dw]s$/.test(vector.name);
  const found = differences((vector, after) => after.copyFrom(states.get(vector)!), wrong);
  expect(found.join('\n')).toBe('');
});
