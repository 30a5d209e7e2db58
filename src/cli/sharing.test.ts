import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeHost } from '../../tests/support/fake-host.ts';
import type { SharingReport } from '../machine/witness.ts';
import { main } from './main.ts';
import { sharingLines } from './sharing.ts';

const sharing: SharingReport = {
  ranges: [
    {
      startGra: 0x10000,
      pageBytes: 0x10000,
      pages: 1,
      pagesNow: 0,
      instructions: 5n,
      by: undefined,
      users: [],
      slotsTouched: 0,
      slots: 32,
    },
    {
      startGra: 0x100000,
      pageBytes: 0x10000,
      pages: 2,
      pagesNow: 2,
      instructions: 6n,
      by: {
        vcpu: 1,
        instructions: 3n,
        by: 'ucall',
        chain: [{ address: 0xc000000000001234n, kind: 'here', certain: true }],
      },
      users: [
        { kind: 'device', name: 'blk', queue: 0, use: 'queue', reads: 4, bytesRead: 64, writes: 0, bytesWritten: 0 },
        { kind: 'device', name: 'blk', queue: 0, use: 'buffer', reads: 0, bytesRead: 0, writes: 2, bytesWritten: 512 },
      ],
      slotsTouched: 3,
      slots: 64,
    },
  ],
  unrecorded: 0,
  devices: [{ device: 'blk', bytesRead: 0, bytesWritten: 512 }],
  swiotlb: {
    startGra: 0x100000,
    slots: 64,
    slotBytes: 2048,
    areas: 1,
    inUse: 2,
    highWater: 9,
    source: 'io_tlb_default_mem',
  },
};

const lines = [
  'shared memory: 2 pages now; by address and call:',
  '  0x10000: 1 page of 64 KiB, not any more; not touched by the host',
  '  0x100000: 2 pages of 64 KiB; rings, bounce buffers (swiotlb)',
  '    shared by CPU 1 (ucall): 0xc000000000001234',
  '    3 of 64 slots of 2 KiB touched by devices',
  '    device blk queue 0: 4 reads, 64 bytes',
  '    device blk queue 0, buffers: 2 writes, 512 bytes',
  'bounce slots (io_tlb_default_mem): 2 of 64 in use, 2048 bytes each; at most 9 when a device was started',
  'bounced for blk: 0 bytes to the device, 512 bytes from it',
];

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-sharing-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** What `powervisor sharing` does with a file of this content. */
async function show(content: string) {
  const path = join(directory, 'report.json');
  await writeFile(path, content);
  const host = fakeHost();
  const status = await main(['sharing', path], host);
  return { status, path, out: host.output(), error: host.errors() };
}

it('shows who shared what and who used it, from a machine and from its saved report alike', async () => {
  expect(sharingLines(sharing)).toEqual(lines);
  const report = { sharing };
  const text = JSON.stringify(report, (_key, value) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value));
  expect(await show(text)).toMatchObject({ status: 0, out: `${lines.join('\n')}\n`, error: '' });
});

it('says so if nothing was shared', () => {
  expect(sharingLines({ ...sharing, ranges: [] })).toEqual(['no memory was shared']);
});

it.each(['', '{', '[]', 'null', '{"sharing":{}}', '{"version":"1"}'])(
  'refuses what is no report: %s',
  async (content) => {
    const { status, path, error } = await show(content);
    expect(status).toBe(1);
    expect(error).toBe(`powervisor: ${path} is no report of "powervisor run" that tells of shared memory.\n`);
  },
);
