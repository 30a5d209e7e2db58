import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine, UsageError } from './index.ts';

let folder: string;
let kernel: Uint8Array;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'powervisor-library-'));
  kernel = await readFile(new URL('../guests/pocket/pocket.elf', import.meta.url));
});
afterAll(() => rm(folder, { recursive: true }));

describe('devices by the options of the command line', () => {
  it('are plugged in', async () => {
    await writeFile(join(folder, 'disk.raw'), new Uint8Array(1 << 20));
    await using machine = await Machine.create({
      kernel,
      memoryBytes: 2 ** 26,
      drive: [`file=${join(folder, 'disk.raw')}`],
      device: ['virtio-rng,bridge=1'],
      net: ['user'],
      share: [`tag=all,path=${folder},readonly`],
      pcap: join(folder, 'net.pcap'),
    });
    const { devices, clock } = machine.report();
    expect(clock).toBe('host');
    expect(devices.map(({ functions, place }) => `${place} ${functions[0].name}`)).toEqual([
      expect.stringMatching(/^0:\d virtio-blk/),
      expect.stringMatching(/^1:\d virtio-rng/),
      expect.stringMatching(/^0:\d virtio-9p/),
      expect.stringMatching(/^0:\d virtio-net/),
    ]);
  });

  it('are free again once the machine is disposed of', async () => {
    const drive = [`file=${join(folder, 'disk.raw')}`, `file=${join(folder, 'second.raw')},if=scsi`];
    await writeFile(join(folder, 'second.raw'), new Uint8Array(1 << 20));
    for (let round = 0; round < 3; round++) {
      await using machine = await Machine.create({ kernel, memoryBytes: 2 ** 26, drive });
      expect(machine.report().devices.length).toBe(2);
    }
  });

  it('that cannot be are named', async () => {
    await expect(Machine.create({ kernel, drive: ['format=raw'] })).rejects.toThrow(UsageError);
    await expect(Machine.create({ kernel, drive: ['format=raw'] })).rejects.toThrow('--drive needs file=');
    await expect(Machine.create({ kernel, device: ['help'] })).rejects.toThrow('is for the command line');
    await expect(Machine.create({ kernel, drive: ['file=/nowhere/disk'] })).rejects.toThrow('/nowhere/disk');
  });
});
