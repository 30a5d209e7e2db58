// 1,040,000 random accesses to configuration space, BARs and notification registers of every virtio device, both as modern
// and as transitional ones, over memory full of rings that are nearly right: nothing throws, nothing grows without
// bound, and a reset of the bridge leaves no trace in configuration space.

import { describe, expect, it } from 'vitest';
import { MemoryBlock } from '../../src/backends/memory/block.ts';
import { MemoryConsole } from '../../src/backends/memory/console.ts';
import { SeededEntropy } from '../../src/backends/memory/entropy.ts';
import { MemoryShare } from '../../src/backends/memory/share.ts';
import type { NetBackend } from '../../src/backends/net/net-backend.ts';
import { AddressMap, type MmioBytes } from '../../src/device/address-map.ts';
import { HostBridge } from '../../src/pci/host-bridge.ts';
import type { VirtioPci } from '../../src/virtio/transport/virtio-pci.ts';
import type { DeviceMaker } from '../../src/vmm/devices.ts';
import {
  type TransportOptions,
  virtioBalloon,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioNineP,
  virtioRng,
  virtioScsi,
  virtioVsock,
} from '../../src/vmm/virtio-devices.ts';
import { FakeVsock } from '../support/fake-vsock.ts';
import { randomWords } from '../support/random.ts';
import { ManualEvents } from '../support/virtio-bench.ts';
import { TestMemory } from '../support/virtio-memory.ts';
import { makeRubbish, RUBBISH_BUFFERS, RUBBISH_BYTES } from '../support/virtio-rubbish.ts';

const ACCESSES = 65_000;
/** Between two fillings of memory with new rubbish. */
const ROUND = 100;
const BAR_BASE = 0x2100_0000_0000;

const disk = () => new MemoryBlock({ sizeBytes: 2 ** 20, limitBytes: 2 ** 20 });
class NoNetwork implements NetBackend {
  readonly name = 'nothing';
  readonly offloads = { checksum: true, tcp4: true };
  connect(): void {}
  send(): void {}
  close(): void {}
}

const makers: Readonly<Record<string, (transport: TransportOptions) => DeviceMaker>> = {
  'virtio-blk': (transport) => virtioBlock(disk(), { queues: 2 }, transport),
  'virtio-scsi': (transport) => virtioScsi({ units: [{ backend: disk(), target: 0 }] }, transport),
  'virtio-net': (transport) =>
    virtioNet(() => new NoNetwork(), { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1), pairs: 2 }, transport),
  'virtio-console': (transport) =>
    virtioConsole(
      { ports: [{ backend: new MemoryConsole() }, { backend: new MemoryConsole(), name: 'x' }] },
      transport,
    ),
  'virtio-rng': (transport) => virtioRng(new SeededEntropy(1), transport),
  'virtio-balloon': (transport) => virtioBalloon(() => {}, transport),
  'virtio-9p': (transport) => virtioNineP(new MemoryShare({ limitBytes: 2 ** 20, limitFiles: 100 }), 'tag', transport),
  'virtio-vsock': (transport) => virtioVsock(new FakeVsock(), 3, transport),
};

const kinds = Object.keys(makers).flatMap((kind) => [
  { kind, flavour: 'modern', transport: {} },
  // There is no transitional vsock device; one with a pin instead.
  {
    kind,
    flavour: kind === 'virtio-vsock' ? 'pin' : 'transitional',
    transport: kind === 'virtio-vsock' ? { msix: false } : { transitional: true },
  },
]);

describe.each(kinds)('$kind, $flavour', ({ kind, transport }) => {
  it(`survives ${ACCESSES} accesses`, { timeout: 300_000 }, async () => {
    const word = randomWords(kind.length * 31 + Object.keys(transport).length);
    const pick = <Item>(items: readonly Item[]) => items[word() % items.length];
    const memory = new TestMemory(RUBBISH_BYTES);
    const events = new ManualEvents();
    const map = new AddressMap();
    const warnings: string[] = [];
    const bridge = new HostBridge({
      index: 0,
      view: memory.view,
      map,
      interrupts: { pulse() {}, setLevel() {}, pinIrqFirst: 0x1200, messageIrqFirst: 0x1300, messageIrqCount: 0x100 },
      warn: (message) => warnings.push(message),
    });
    const clock = { nowNs: () => 0, at: () => () => {}, atOrIdle: () => () => {} };
    const log = { warn: (message: string) => warnings.push(message) };
    const pci = makers[kind](transport as TransportOptions)(bridge, { clock, events, log }) as VirtioPci;
    bridge.plug(0, pci.functions);
    const { pciFunction } = pci;
    const configuration = () => Array.from({ length: 256 }, (_, at) => pciFunction.readConfig(at, 1));
    const pristine = configuration();

    // Where the driver of a real device writes: statuses, features, queues, notifications.
    const statuses = [0, 1, 3, 11, 15, 15, 15, 64, 128, 255];
    const value = (lenBytes: number) => {
      const any = pick([0, 1, 2, 3, 4, 8, 16, 0xff, 0x1000, 0x2000, 0xffff, 0x1301, word()]);
      return lenBytes === 4 ? any >>> 0 : any % 2 ** (8 * lenBytes);
    };
    const width = () => pick([1, 2, 4] as MmioBytes[]);
    const bars = pciFunction.bars.map(({ index, sizeBytes }) => ({ index, sizeBytes }));
    const outcomes: Record<string, number> = {};
    let started = 0;
    let faults = 0;

    for (let n = 0; n < ACCESSES; n++) {
      if (n % ROUND === 0) {
        for (let index = 0; index < 5; index++) {
          makeRubbish(word, memory.data, word() % 2 ? 'split' : 'packed', { index, size: 2 ** (word() % 5) });
        }
        for (let k = 0; k < 200; k++) memory.data.setUint32(RUBBISH_BUFFERS + 4 * (word() % 0x1f00), word() % 64, true);
        // A driver that means it, so that there is something to go wrong: up to DRIVER_OK with queues on rubbish.
        if (word() % 2 === 0) {
          pciFunction.writeConfig(4, 2, 7);
          bringUp(pci, word);
          if (pci.device.running) started++;
        }
        await events.settle();
      }
      const act = word() % 10;
      const lenBytes = width();
      const { index, sizeBytes } = pick(bars);
      const offset = word() % 4 === 0 ? word() % (2 * sizeBytes) : word() % Math.min(sizeBytes, 128);
      const aligned = word() % 8 === 0 ? offset : offset - (offset % lenBytes);
      if (act === 0)
        outcomes.config =
          (outcomes.config ?? 0) + pciFunction.readConfig((word() % 64) * 4 + (word() % (5 - lenBytes)), lenBytes);
      else if (act === 1)
        pciFunction.writeConfig((word() % 64) * 4 + (word() % (5 - lenBytes)), lenBytes, value(lenBytes));
      else if (act <= 3) pciFunction.loadBar(index, aligned, lenBytes);
      else if (act <= 5) pciFunction.storeBar(index, aligned, lenBytes, value(lenBytes));
      else if (act === 6) pciFunction.storeBar(index, 20, 1, pick(statuses));
      else if (act === 7) pci.device.notify(word() % 8);
      else if (act === 8) {
        // Through the address map, wherever the BAR is now, and around.
        const at = pciFunction.barAddress(index) ?? BAR_BASE;
        map.store(Math.max(0, at + aligned), lenBytes, value(lenBytes));
      } else map.load(BAR_BASE + (word() % 2 ** 20), lenBytes);
      faults = Math.max(faults, pci.device.faults);
    }
    await events.settle();
    expect(started).toBeGreaterThan(10);
    expect(faults).toBeGreaterThan(5);
    expect(warnings.length).toBeLessThan(30);
    expect(map.all().length).toBeLessThan(10);
    expect(events.pending).toBe(0);
    pci.reset();
    bridge.reset();
    await events.settle();
    expect(configuration()).toEqual(pristine);
    expect(pci.device.status).toBe(0);
  });
});

/** The start of a driver, with queues on rubbish. */
function bringUp({ device }: VirtioPci, word: () => number): void {
  device.writeStatus(0, 'modern');
  device.writeStatus(3, 'modern');
  const features = device.offered('modern') & ~(word() % 2 ? 1n << 34n : 0n);
  device.setDriverFeatureWord(0, Number(features & 0xffff_ffffn));
  device.setDriverFeatureWord(1, Number(features >> 32n));
  device.writeStatus(11, 'modern');
  const queues = Math.min(5, device.kind.queueSizes.length);
  for (let index = 0; index < queues; index++) {
    const base = 0x1000 * (index + 1);
    device.enableQueue(
      { index, size: 16, descriptorArea: base, driverArea: base + 0x400, deviceArea: base + 0x600 },
      'modern',
    );
  }
  device.writeStatus(15, 'modern');
}
