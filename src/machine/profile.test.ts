import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Machine } from '../index.ts';

const kernel = readFileSync(new URL('../../guests/pocket/pocket.elf', import.meta.url));

interface Profile {
  readonly nodes: { id: number; callFrame: { functionName: string }; hitCount: number; children: number[] }[];
  readonly samples: number[];
  readonly timeDeltas: number[];
  readonly startTime: number;
  readonly endTime: number;
}

async function pocket(profile: boolean) {
  await using machine = await Machine.create({
    kernel,
    memoryBytes: 2 ** 27,
    append: 'plain only=bench bench=1',
    profile,
  });
  machine.closeInput();
  let output = '';
  machine.onConsole((bytes) => {
    output += String.fromCharCode(...bytes);
  });
  const outcome = await machine.run();
  // Ticks are in what the guest prints: it would tell of an instruction more or less.
  const { instructions, guestSeconds } = machine.report();
  return { outcome, profile: machine.profile() as Profile | undefined, output, instructions, guestSeconds };
}

it('tells where a guest spends its instructions, and changes nothing', async () => {
  const { profile, ...measured } = await pocket(true);
  expect(profile).toBeDefined();
  const { nodes, samples, timeDeltas, startTime, endTime } = profile!;
  expect(samples.length).toBeGreaterThan(500);
  expect(timeDeltas).toHaveLength(samples.length);
  expect(timeDeltas.reduce((sum, us) => sum + us, 0)).toBeCloseTo(endTime - startTime, 3);
  const ids = new Set(nodes.map(({ id }) => id));
  expect(ids.size).toBe(nodes.length);
  expect(samples.every((id) => ids.has(id))).toBe(true);
  expect(nodes.reduce((sum, { hitCount }) => sum + hitCount, 0)).toBe(samples.length);
  expect(nodes.flatMap(({ children }) => children).every((id) => ids.has(id))).toBe(true);
  const hot = nodes.reduce((a, b) => (a.hitCount > b.hitCount ? a : b)).callFrame.functionName;
  expect(hot).toMatch(/benchmark|sieve|chase|matmul/);
  const { profile: none, ...plain } = await pocket(false);
  expect(none).toBeUndefined();
  expect(measured).toEqual(plain);
});
