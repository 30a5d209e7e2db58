import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fakeHost } from '../../tests/support/fake-host.ts';
import { type DevicesReport, deviceLines, switchSummary } from './devices-command.ts';
import { main } from './main.ts';

const report: DevicesReport = {
  dmaPolicy: 'transition',
  devices: [
    {
      kind: 'virtio-blk',
      place: '0:0',
      functions: [{ name: 'virtio-blk', id: '1af4:1042', dma: 'bypass' }],
      dmaSwitches: [
        {
          from: 'bypass',
          to: 'platform',
          cause: 'H_SVM_INIT_DONE',
          instructions: 4096n,
          guestSeconds: 1.5,
          reset: { reason: 'dma-switch', queues: [0, 1] },
        },
        { from: 'platform', to: 'bypass', cause: 'machine reset', instructions: 8192n, guestSeconds: 3 },
      ],
    },
    {
      kind: 'virtio-rng',
      place: '1:31',
      functions: [{ name: 'dice', id: '1af4:1044', dma: 'platform' }],
      dmaSwitches: [],
    },
  ],
};

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-devices-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function devices(content: string) {
  const path = join(directory, 'report.json');
  await writeFile(path, content);
  const host = fakeHost();
  const status = await main(['devices', path], host);
  return { status, out: host.output(), err: host.errors(), path };
}

it('shows what a report says, whose counts are in hexadecimal', async () => {
  const content = JSON.stringify(report, (_, each) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each));
  expect(await devices(content)).toMatchObject({
    status: 0,
    err: '',
    out: `DMA policy: transition
0:0   virtio-blk  1af4:1042
      bypass    from power-on
      platform  from 1.500000 s, instruction 4096: the VM turned secure (H_SVM_INIT_DONE); the driver had it and it was reset, with queues 0, 1 set up
      bypass    from 3.000000 s, instruction 8192: the machine started anew
1:31  virtio-rng "dice"  1af4:1044
      platform  from power-on
`,
  });
});

it('says so if there are no devices', () => {
  expect(deviceLines({ dmaPolicy: 'legacy', devices: [] })).toEqual([
    'DMA policy: legacy',
    'The machine has no devices on PCI.',
  ]);
});

it('explains what is no report', async () => {
  for (const [content, problem] of [
    ['{', 'it is not JSON'],
    ['null', 'has no devices'],
    ['{"devices": 3}', 'has no devices'],
  ]) {
    const { status, err, path } = await devices(content);
    expect(status).toBe(1);
    expect(err).toContain(path);
    expect(err).toContain(problem);
  }
  const host = fakeHost();
  expect(await main(['devices', join(directory, 'nowhere')], host)).toBe(1);
  expect(host.errors()).toMatch(/^powervisor: Cannot read the report .*nowhere: /);
});

it('sums up in one sentence what happened to the devices', () => {
  expect(switchSummary(report)).toBe(
    'virtio-blk went to the DMA of the platform at 1.500 s, when the VM turned secure (H_SVM_INIT_DONE).',
  );
  expect(switchSummary({ ...report, devices: report.devices?.slice(1) })).toBeUndefined();
  expect(switchSummary({})).toBeUndefined();
});
