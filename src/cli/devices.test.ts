import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine, fakeHost } from '../../tests/support/fake-host.ts';
import { TestMemory } from '../../tests/support/virtio-memory.ts';
import { AddressMap } from '../device/address-map.ts';
import { Devices } from '../vmm/devices.ts';
import { type DeviceOption, openDevices, parseDevice } from './devices.ts';
import { parseDrive } from './drives.ts';
import { main } from './main.ts';

let directory: string;
let disk: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'powervisor-devices-'));
  disk = join(directory, 'disk.img');
  await writeFile(disk, new Uint8Array(4096));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** The devices as a machine would have them. */
async function plug(drives: string[], devices: string[], bridges = 1) {
  const options = devices.map((text) => parseDevice(text) as DeviceOption);
  const requests = await openDevices(drives.map(parseDrive), options, { seed: 1 });
  const silent = { pulse() {}, setLevel() {}, pinIrqFirst: 0, messageIrqFirst: 0, messageIrqCount: 0 };
  const tree = new Devices({
    view: new TestMemory().view,
    map: new AddressMap(),
    bridges,
    interrupts: () => silent,
    ports: {
      clock: { nowNs: () => 0, at: () => () => {}, atOrIdle: () => () => {} },
      events: { post() {}, finish() {} },
      log: { warn() {} },
    },
  });
  for (const request of requests) tree.plug(request);
  const described = tree.describe();
  tree.close();
  return described;
}

describe('devices', () => {
  it('are made as the options say', async () => {
    const described = await plug(
      [`file=${disk},readonly`, `file=${disk},format=raw,if=virtio,snapshot,transitional,queues=3,serial=x,slot=7`],
      [
        'virtio-rng,platform,packed=off',
        'virtio-balloon,target=64M,platform',
        `virtio-console,name=a,file=${join(directory, 'a')},socket=${join(directory, 's')},bridge=1`,
      ],
      2,
    );
    expect(
      described.map(({ kind, place, functions }) => `${kind} ${place} ${functions[0].id} ${functions[0].dma}`),
    ).toEqual([
      'virtio-blk 0:0 1af4:1042 bypass',
      'virtio-blk 0:7 1af4:1001 bypass',
      'virtio-rng 0:1 1af4:1044 platform',
      'virtio-balloon 0:2 1af4:1045 bypass',
      'virtio-console 1:0 1af4:1043 bypass',
    ]);
  });

  it('put SCSI disks on controllers', async () => {
    const scsi = `file=${disk},readonly,if=scsi`;
    const list = [scsi, `${scsi},controller=1,slot=9,queues=2`, `${scsi},lun=3`, `${scsi},target=1,lun=7`, scsi];
    const described = await plug([...list, `${scsi},controller=1,target=0,lun=1`], []);
    expect(described.map(({ kind, place }) => `${kind} ${place}`)).toEqual(['virtio-scsi 0:0', 'virtio-scsi 0:9']);
    await expect(plug([scsi, `${scsi},slot=3`], [])).rejects.toThrow(
      '--drive gives slot to a disk that is not the first of SCSI controller 0',
    );
    const twice = [`${scsi},target=2`, `${scsi},target=2`];
    await expect(plug(twice, [])).rejects.toThrow('two disks at target 2, lun 0 of SCSI controller 0');
  });

  it.each([
    ['readonly', '--drive needs file='],
    ['file=x,readonly,snapshot', '--drive takes readonly or snapshot, not both'],
    ['file=x,lun=1', '--drive takes lun with if=scsi only'],
    [`file=x,if=scsi,serial=${'1'.repeat(37)}`, '--drive takes a serial of at most 36 bytes'],
    ['file=x,serial=123456789012345678901', '--drive takes a serial of at most 20 bytes'],
    ['file=x,transitional,platform', '--drive takes transitional or platform, not both'],
  ])('cannot be: --drive %s', (text, message) => {
    expect(() => parseDrive(text)).toThrow(message);
  });

  it.each([
    [
      'net',
      'There is no device "virtio-net"; there are virtio-rng, virtio-console, virtio-balloon. Network cards are made by',
    ],
    ['rng,queues=3', '--device virtio-rng has no option "queues"'],
    ['virtio-gpu', 'There is no device "virtio-gpu"; there are virtio-rng'],
    ['virtio-blk,file=x', 'Disks are made by --drive.'],
    ['virtio-rng,queues=3', '--device virtio-rng has no option "queues"'],
  ])('cannot be: --device %s', (text, message) => {
    expect(() => parseDevice(text)).toThrow(message);
  });

  it('that have no backend are refused when the machine starts', async () => {
    await expect(plug([], ['virtio-console'])).rejects.toThrow('needs 1 to 16 ports');
    await expect(plug([`file=${join(directory, 'none')}`], [])).rejects.toThrow('there is no such file');
    await expect(plug([], [`virtio-console,file=${directory}`])).rejects.toThrow('Cannot write the console file');
  });
});

describe('powervisor run', () => {
  const run = async (args: string[]) => {
    const host = fakeHost();
    let machine: FakeMachine | undefined;
    const status = await main(['run', ...args], host, async (configuration) => {
      machine = new FakeMachine(configuration, { outcome: { reason: 'power-off' } });
      return machine;
    });
    return { status, host, machine };
  };

  it('lists devices and their options, without a kernel', async () => {
    const list = await run(['--device', 'help']);
    expect(list.status).toBe(0);
    expect(list.host.output()).toContain('virtio-console');
    expect(list.host.output()).toContain('made by --drive if=scsi');
    const one = await run(['--device', 'virtio-balloon,help']);
    expect(one.host.output()).toContain('target=SIZE');
  });

  it('hands all devices to the machine, in order', async () => {
    const other = join(directory, 'other.img');
    await writeFile(other, new Uint8Array(4096));
    const args = [
      '--kernel',
      disk,
      '--drive',
      `file=${disk}`,
      '--device',
      'virtio-rng',
      '--device',
      'virtio-rng,slot=9',
    ];
    const { machine, status } = await run([...args, '--drive', `file=${other},snapshot,bridge=1`]);
    expect(status).toBe(0);
    expect(machine?.configuration.devices?.map(({ slot }) => slot)).toEqual([undefined, undefined, undefined, 9]);
    expect(machine?.configuration.bridges).toBe(2);
  });

  it('names what cannot be', async () => {
    const { status, host } = await run(['--kernel', disk, '--drive', `file=${disk},fromat=raw`]);
    expect(status).toBe(2);
    expect(host.errors()).toContain('--drive has no option "fromat"');
  });
});
