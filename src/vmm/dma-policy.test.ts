import { describe, expect, it } from 'vitest';
import { testMemory } from '../../tests/support/hypervisor-fakes.ts';
import { scratchDevice } from '../../tests/support/pci-bench.ts';
import { MemoryBlock } from '../backends/memory/block.ts';
import { SeededEntropy } from '../backends/memory/entropy.ts';
import { AddressMap } from '../device/address-map.ts';
import type { DevicePorts } from '../device/ports.ts';
import { DeviceTree } from '../firmware/device-tree.ts';
import type { PciBus } from '../pci/function.ts';
import { UsageError } from '../util/errors.ts';
import { VIRTIO_F_ACCESS_PLATFORM } from '../virtio/core/features.ts';
import type { VirtioPci } from '../virtio/transport/virtio-pci.ts';
import { Devices, type DevicesOptions } from './devices.ts';
import { bounceArea, DMA_POLICIES, type DmaPolicy, type DmaSwitchEvent } from './dma-policy.ts';
import { type TransportOptions, virtioBalloon, virtioBlock, virtioRng } from './virtio-devices.ts';

function bench(dmaPolicy?: DmaPolicy, transport: TransportOptions = {}) {
  const events: DmaSwitchEvent[] = [];
  let instructions = 0n;
  const options: DevicesOptions = {
    view: testMemory(),
    map: new AddressMap(),
    bridges: 1,
    ports: { log: { warn: () => {} }, events: { post() {}, finish() {} } } as unknown as DevicePorts,
    interrupts: () => ({
      pulse: () => {},
      setLevel: () => {},
      pinIrqFirst: 0x1200,
      messageIrqFirst: 0x1300,
      messageIrqCount: 0xd00,
    }),
    now: () => ({ instructions: ++instructions, guestSeconds: Number(instructions) / 2 }),
    dmaSwitched: (event) => events.push(event),
    ...(dmaPolicy && { dmaPolicy }),
  };
  const devices = new Devices(options);
  const disk = new MemoryBlock({ sizeBytes: 2 ** 20 });
  for (const make of [
    virtioBlock(disk, {}, { name: 'disk', ...transport }),
    virtioRng(new SeededEntropy(1), { name: 'rng', ...transport }),
    virtioBalloon(() => {}),
    (bus: PciBus) => scratchDevice(bus),
  ]) {
    devices.plug({ make });
  }
  const [block, rng, balloon] = devices.all().map(({ device }) => device as VirtioPci);
  const modes = () => devices.describe().map(({ functions }) => functions[0].dma);
  const offers = (device: VirtioPci) =>
    ((device.device.offered('modern') >> BigInt(VIRTIO_F_ACCESS_PLATFORM)) & 1n) === 1n;
  return { devices, block, rng, balloon, modes, offers, events };
}

/** A driver as far as the switch is concerned: features settled. */
function take(pci: VirtioPci): void {
  const { device } = pci;
  device.writeStatus(3, 'modern');
  const offered = device.offered('modern');
  device.setDriverFeatureWord(0, Number(offered & 0xffff_ffffn));
  device.setDriverFeatureWord(1, Number(offered >> 32n));
  device.writeStatus(11, 'modern');
  expect(device.status).toBe(11);
}

const PLAIN = ['bypass', 'bypass', 'bypass', 'bypass'];
const SWITCHED = ['platform', 'platform', 'bypass', 'bypass'];

describe('policy transition', () => {
  it('is the default: plain until the VM is secure, and again when it is not', () => {
    const { devices, block, modes, offers, events } = bench();
    expect(devices.dmaPolicy).toBe('transition');
    devices.transition('started');
    expect(modes()).toEqual(PLAIN);
    take(block);
    devices.transition('secure');
    expect(modes()).toEqual(SWITCHED);
    expect(offers(block)).toBe(true);
    expect(events).toEqual([
      {
        device: 'disk',
        from: 'bypass',
        to: 'platform',
        cause: 'H_SVM_INIT_DONE',
        instructions: 1n,
        guestSeconds: 0.5,
        reset: { reason: 'dma-switch', queues: [] },
      },
      { device: 'rng', from: 'bypass', to: 'platform', cause: 'H_SVM_INIT_DONE', instructions: 2n, guestSeconds: 1 },
    ]);
    devices.transition('secure');
    expect(events.length).toBe(2);
    devices.transition('normal');
    expect(modes()).toEqual(PLAIN);
    const [description] = devices.describe();
    expect(description.dmaSwitches?.map(({ cause, to }) => `${cause}: ${to}`)).toEqual([
      'H_SVM_INIT_DONE: platform',
      'normal again: bypass',
    ]);
    expect(devices.describe()[3]).not.toHaveProperty('dmaSwitches');
  });

  it('leaves drivers alone when a transition is undone before it is complete', () => {
    const { devices, block, events } = bench();
    take(block);
    devices.transition('started');
    devices.transition('normal');
    expect(block.device.status).toBe(11);
    expect(events).toEqual([]);
  });

  it('resets the balloon as well, which stays plain', () => {
    const { devices, balloon, events } = bench();
    take(balloon);
    devices.transition('secure');
    expect(balloon.device.status).toBe(0);
    expect(events.find(({ device }) => device === 'virtio-balloon')).toMatchObject({
      from: 'bypass',
      to: 'bypass',
      reset: { reason: 'dma-switch', queues: [] },
    });
  });

  it('leaves devices on the platform that were made so', () => {
    const { devices, modes, events } = bench('transition', { accessPlatform: true });
    devices.transition('secure');
    devices.transition('normal');
    devices.reset();
    expect(modes()).toEqual(SWITCHED);
    expect(events).toEqual([]);
  });

  it('a reset of the machine makes devices plain', () => {
    const { devices, modes, events } = bench();
    devices.transition('secure');
    devices.reset();
    devices.transition('normal');
    expect(modes()).toEqual(PLAIN);
    expect(events.map(({ cause }) => cause).slice(2)).toEqual(['machine reset', 'machine reset']);
  });
});

it.each(['creation', 'window'] as const)('policy %s: on the platform from power-on for ever', (policy) => {
  const { devices, block, modes, offers, events } = bench(policy);
  expect(modes()).toEqual(SWITCHED);
  expect(offers(block)).toBe(true);
  take(block);
  devices.transition('secure');
  devices.transition('normal');
  expect(block.device.status).toBe(11);
  devices.reset();
  expect(modes()).toEqual(SWITCHED);
  expect(events).toEqual([]);
});

it('policy quirk: the guest switches each device, secure or not', () => {
  const { devices, block, modes, events } = bench('quirk');
  const { pciFunction } = block;
  let at = pciFunction.readConfig(0x34, 1);
  while (pciFunction.readConfig(at + 3, 1) !== 9) at = pciFunction.readConfig(at + 1, 1);
  devices.transition('secure');
  expect(modes()).toEqual(PLAIN);
  take(block);
  pciFunction.writeConfig(at + 8, 4, 1);
  expect(modes()).toEqual(['platform', 'bypass', 'bypass', 'bypass']);
  expect(events).toMatchObject([{ cause: 'guest', reset: { reason: 'dma-switch' } }]);
  devices.transition('normal');
  expect(modes()[0]).toBe('platform');
  devices.reset();
  expect(modes()).toEqual(PLAIN);
  // A guest that pokes without end.
  for (let n = 0; n < 200; n++) pciFunction.writeConfig(at + 8, 4, n & 1);
  expect(devices.describe()[0].dmaSwitches?.length).toBe(100);
});

it('policy legacy: plain for ever', () => {
  const { devices, block, modes, events } = bench('legacy');
  take(block);
  devices.transition('secure');
  expect(modes()).toEqual(PLAIN);
  expect(block.device.status).toBe(11);
  expect(events).toEqual([]);
});

describe('what contradicts a policy is refused', () => {
  it.each(['creation', 'window'] as const)('a transitional device under %s', (policy) => {
    expect(() => bench(policy, { transitional: true })).toThrow(UsageError);
  });
  it('a device on the platform under legacy', () => {
    expect(() => bench('legacy', { accessPlatform: true })).toThrow('under the DMA policy "legacy", which never does');
  });
});

describe('the window of policy window', () => {
  it('is the end of memory, at most an eighth and 64 MiB', () => {
    const MiB = 2 ** 20;
    expect(bounceArea(64 * MiB)).toEqual({ gra: 56 * MiB, lenBytes: 8 * MiB });
    expect(bounceArea(1000 * MiB)).toEqual({ gra: 936 * MiB, lenBytes: 64 * MiB });
    expect(bounceArea(3584 * MiB)).toEqual({ gra: 3520 * MiB, lenBytes: 64 * MiB });
  });

  it('stands in the device tree, alone and mapped onto itself', () => {
    const { devices } = bench('window');
    const { bounceArea: area, bridges } = devices;
    const tree = new DeviceTree();
    tree.root.add('interrupt-controller');
    devices.addNodes(tree, () => 1);
    const bridge = tree.root.children.find(({ name }) => name.startsWith('pci'))!;
    expect(bridge.get('ibm,ddw-applicable')).toBeUndefined();
    const pool = tree.find(`/reserved-memory/dma-bounce@${area!.gra.toString(16)}`)!;
    expect(pool.text('compatible')).toBe('restricted-dma-pool');
    expect(bridge.get('memory-region')).toEqual(pool.get('phandle'));
    const window = bridge.get('ibm,dma-window')!;
    const read = (property: Uint8Array, at: number) => new DataView(property.buffer, property.byteOffset).getUint32(at);
    expect([read(window, 8), read(window, 16)]).toEqual([area!.gra, area!.lenBytes]);
    const ranges = bridge.get('dma-ranges')!;
    expect([8, 16, 24].map((at) => read(ranges, at))).toEqual([area!.gra, area!.gra, area!.lenBytes]);

    const { dmaWindows } = bridges[0];
    expect(dmaWindows.query().windowsAvailable).toBe(0);
    expect(dmaWindows.create(16, 30)).toBe('full');
    const table = dmaWindows.windowAt(area!.gra)!;
    expect(table.translate(area!.gra + 4097, 'write')).toBe(area!.gra + 4097);
    expect(dmaWindows.windowAt(area!.gra - 1)).toBeUndefined();
    expect(dmaWindows.windowAt(area!.gra + area!.lenBytes)).toBeUndefined();
    table.clear();
    devices.reset();
    expect(table.translate(area!.gra, 'read')).toBe(area!.gra);
  });
});

it('there are five, each with a line of help', () => {
  expect(Object.keys(DMA_POLICIES)).toEqual(['transition', 'creation', 'quirk', 'window', 'legacy']);
});
