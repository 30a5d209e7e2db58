import { expect, it } from 'vitest';
import type { Violation } from '../memory/violations.ts';
import { violationLines, violationsIn } from './violations.ts';

const breach = (name: string, times: number): Violation => ({
  origin: { kind: 'device', name, queue: 1, descriptor: 7 } as Violation['origin'],
  direction: 'write',
  gra: 0x12340,
  lenBytes: 512,
  pageGra: 0x10000,
  pageState: 'secure',
  madeBy: 'UV_ESM',
  instructions: 99n,
  times,
  totalBytes: 512 * times,
});

it('says who, where and since when, once for what is alike', () => {
  const records = [breach('blk0', 3), breach('net0', 1)];
  expect(violationLines({ count: 4, unrecorded: 0, policy: 'block', records })).toEqual([
    '4 accesses to secure memory, blocked:',
    '  device blk0 queue 1 descriptor 7: write of 512 bytes at 0x12340, a page secure since UV_ESM, instruction 99, 3 times',
    '  device net0 queue 1 descriptor 7: write of 512 bytes at 0x12340, a page secure since UV_ESM, instruction 99',
  ]);
});

it('is silent without a breach, and short with many', () => {
  expect(violationLines({ count: 0, unrecorded: 0, policy: 'block', records: [] })).toEqual([]);
  const records = Array.from({ length: 30 }, (_, n) => breach(`d${n}`, 1));
  const lines = violationLines({ count: 30, unrecorded: 0, policy: 'report', records });
  expect(lines.length).toBe(22);
  expect(lines.at(-1)).toContain('10 others');
  expect(violationsIn({})).toBeUndefined();
});
