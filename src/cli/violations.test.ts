import { expect, it } from 'vitest';
import type { CauseDescription } from '../memory/access-cause.ts';
import type { Violation } from '../memory/violations.ts';
import { violationLines, violationsIn } from './violations.ts';

const breach = (name: string, times: number, more: Partial<Violation> = {}): Violation => ({
  origin: { kind: 'device', name, queue: 1, descriptor: 7, use: 'buffer', address: '0x12340' } as Violation['origin'],
  direction: 'write',
  gra: 0x12340,
  lenBytes: 512,
  pageGra: 0x10000,
  pageState: 'secure',
  madeBy: 'UV_ESM',
  instructions: 99n,
  times,
  totalBytes: 512 * times,
  ...more,
});

const cause: CauseDescription = {
  vcpu: 2,
  instructions: 50n,
  by: 'mmio',
  chain: [
    { address: 0xc000000000000100n, kind: 'here', certain: true, symbol: 'vp_notify+0x10/0x40' },
    { address: 0xc000000000000200n, kind: 'link', certain: false },
    { address: 0xc000000000000300n, kind: 'interrupted', certain: true, symbol: 'idle+0x0/0x8' },
  ],
};

it('says who, where and since when, once for what is alike', () => {
  const blk = { kind: 'device', name: 'blk0', queue: 1, descriptor: 7, use: 'buffer' };
  const records = [
    breach('blk0', 3, { cause, later: false, origin: { ...blk, address: '0x800000000012340' } as Violation['origin'] }),
    breach('blk0', 2, { cause, later: false, gra: 0x20000, pageGra: 0x20000 }),
    breach('net0', 1, { cause, later: true }),
    breach('rng0', 1, { origin: { kind: 'hcall', name: 'H_PUT_TERM_CHAR' } }),
  ];
  expect(violationLines({ count: 7, unrecorded: 3, policy: 'block', records })).toEqual([
    '7 accesses to secure memory, blocked:',
    '  device blk0 queue 1 descriptor 7, buffer: write of 512 bytes at 0x12340 (bus address 0x800000000012340), a page secure since UV_ESM, instruction 99; 5 times in 2 pages',
    '    by CPU 2 (mmio): vp_notify+0x10/0x40 < 0xc000000000000200? < idle+0x0/0x8 (interrupted)',
    '  device net0 queue 1 descriptor 7, buffer: write of 512 bytes at 0x12340, a page secure since UV_ESM, instruction 99',
    '    asked for earlier by CPU 2 (mmio): vp_notify+0x10/0x40 < 0xc000000000000200? < idle+0x0/0x8 (interrupted)',
    '  hcall H_PUT_TERM_CHAR: write of 512 bytes at 0x12340, a page secure since UV_ESM, instruction 99',
    '    not by anything the guest had just done',
    '  and 3 accesses without a record, for there are too many different ones',
  ]);
});

it('is silent without a breach, and short with many', () => {
  expect(violationLines({ count: 0, unrecorded: 0, policy: 'block', records: [] })).toEqual([]);
  const records = Array.from({ length: 30 }, (_, n) => breach(`d${n}`, 1));
  const lines = violationLines({ count: 30, unrecorded: 0, policy: 'report', records });
  expect(lines.length).toBe(42);
  expect(lines.at(-1)).toContain('10 others');
  expect(violationsIn({})).toBeUndefined();
});
