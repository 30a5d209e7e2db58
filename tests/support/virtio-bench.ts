// A virtio device on a host bridge over small RAM, driven through its PCI function as a driver would; and the same device
// without a transport, for throwing rubbish at it.

import { AddressMap } from '../../src/device/address-map.ts';
import { Done, type HostEvents } from '../../src/device/ports.ts';
import { HostBridge } from '../../src/pci/host-bridge.ts';
import { type DeviceKind, STATUS, VirtioDevice } from '../../src/virtio/core/device.ts';
import { featureSet, hasFeature, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED } from '../../src/virtio/core/features.ts';
import { VirtioPci, type VirtioPciOptions } from '../../src/virtio/transport/virtio-pci.ts';
import { randomWords } from './random.ts';
import { type QueueDriver, type QueueFormat, queueDriver } from './virtio-driver.ts';
import { TestMemory } from './virtio-memory.ts';
import { makeRubbish, RUBBISH_BUFFERS, RUBBISH_BYTES } from './virtio-rubbish.ts';

/** Turn boundaries happen when the test says so. */
export class ManualEvents implements HostEvents {
  private queue: Promise<() => void>[] = [];

  post(action: () => void): void {
    this.queue.push(Promise.resolve(action));
  }
  finish<Result>(work: Promise<Result> | Done<Result>, action: (result: Result) => void): void {
    const done = work instanceof Done ? Promise.resolve(work.result) : work;
    this.queue.push(done.then((result) => () => action(result)));
  }
  get pending(): number {
    return this.queue.length;
  }
  /** Does everything that is under way, and what comes of it. */
  async settle(): Promise<void> {
    while (this.queue.length > 0) {
      const { queue } = this;
      this.queue = [];
      for (const each of queue) (await each)();
    }
  }
}

/** Offsets in the common configuration (VIRTIO 1.2 4.1.4.3). */
export const COMMON = {
  deviceFeatureSelect: 0,
  deviceFeature: 4,
  driverFeatureSelect: 8,
  driverFeature: 12,
  configVector: 16,
  numQueues: 18,
  status: 20,
  generation: 21,
  queueSelect: 22,
  queueSize: 24,
  queueVector: 26,
  queueEnable: 28,
  queueNotifyOff: 30,
  queueDesc: 32,
  queueDriver: 40,
  queueDevice: 48,
  queueReset: 58,
} as const;

interface Region {
  readonly bar: number;
  readonly offset: number;
  readonly lenBytes: number;
  readonly multiplier: number;
}

export interface StartOptions {
  readonly format?: QueueFormat;
  /** Features beyond VERSION_1 and the ring format; all that are offered unless given. */
  readonly features?: bigint;
  readonly without?: bigint;
  /** Entries of each queue. */
  readonly size?: number;
}

export class VirtioBench {
  readonly memory: TestMemory;
  readonly bridge: HostBridge;
  readonly pci: VirtioPci;
  readonly interrupts: string[] = [];
  readonly warnings: string[] = [];
  drivers: QueueDriver[] = [];
  private readonly regions = new Map<number, Region>();

  constructor(kind: DeviceKind, options: Omit<VirtioPciOptions, 'warn'> = {}, memoryBytes = 2 ** 20) {
    this.memory = new TestMemory(memoryBytes);
    this.bridge = new HostBridge({
      index: 0,
      view: this.memory.view,
      map: new AddressMap(),
      interrupts: {
        pulse: (irq) => this.interrupts.push(`message ${irq}`),
        setLevel: (_, asserted) => this.interrupts.push(asserted ? 'pin up' : 'pin down'),
        pinIrqFirst: 0x1200,
        messageIrqFirst: 0x1300,
        messageIrqCount: 0x100,
      },
      warn: (message) => this.warnings.push(message),
    });
    this.pci = new VirtioPci(kind, this.bridge, { ...options, warn: (message) => this.warnings.push(message) });
    this.bridge.plug(0, this.pci.functions);
    this.findRegions();
    this.pci.pciFunction.writeConfig(4, 2, 7); // I/O, memory, bus master
  }

  load(offset: number, lenBytes: 1 | 2 | 4): number {
    return this.access(1, offset, lenBytes);
  }
  store(offset: number, lenBytes: 1 | 2 | 4, value: number): void {
    const { bar, offset: base } = this.regions.get(1)!;
    this.pci.pciFunction.storeBar(bar, base + offset, lenBytes, value);
  }
  store64(offset: number, value: number): void {
    this.store(offset, 4, value % 2 ** 32);
    this.store(offset + 4, 4, Math.floor(value / 2 ** 32));
  }
  /** Interrupt status, which reading clears. */
  isr(): number {
    return this.access(3, 0, 1);
  }
  config(offset: number, lenBytes: 1 | 2 | 4): number {
    return this.access(4, offset, lenBytes);
  }
  get status(): number {
    return this.load(COMMON.status, 1);
  }
  notify(queue: number): void {
    this.store(COMMON.queueSelect, 2, queue);
    const { bar, offset, multiplier } = this.regions.get(2)!;
    const place = this.load(COMMON.queueNotifyOff, 2) * multiplier;
    this.pci.pciFunction.storeBar(bar, offset + place, 2, queue);
  }

  offered(): bigint {
    let set = 0n;
    for (const word of [0, 1]) {
      this.store(COMMON.deviceFeatureSelect, 4, word);
      set |= BigInt(this.load(COMMON.deviceFeature, 4)) << BigInt(32 * word);
    }
    return set;
  }

  /** Reset to FEATURES_OK; false if the device refuses. */
  negotiate(features: bigint): boolean {
    this.store(COMMON.status, 1, 0);
    this.store(COMMON.status, 1, STATUS.ACKNOWLEDGE);
    this.store(COMMON.status, 1, STATUS.ACKNOWLEDGE | STATUS.DRIVER);
    for (const word of [0, 1]) {
      this.store(COMMON.driverFeatureSelect, 4, word);
      this.store(COMMON.driverFeature, 4, Number((features >> BigInt(32 * word)) & 0xffff_ffffn));
    }
    this.store(COMMON.status, 1, this.status | STATUS.FEATURES_OK);
    return (this.status & STATUS.FEATURES_OK) !== 0;
  }

  /** The whole start of a driver with all queues (VIRTIO 1.2 3.1.1). */
  start(options: StartOptions = {}): QueueDriver[] {
    const { format = 'split', size = 16 } = options;
    let features = (options.features ?? this.offered()) & ~(options.without ?? 0n);
    const packed = featureSet(VIRTIO_F_RING_PACKED);
    features = format === 'packed' ? features | packed : features & ~packed;
    if (!this.negotiate(features)) throw new Error('the device refused the features');
    const eventIdx = hasFeature(features, VIRTIO_F_EVENT_IDX);
    this.drivers = Array.from({ length: this.load(COMMON.numQueues, 2) }, (_, index) => {
      const driver = queueDriver(format, this.memory, { index, size, eventIdx });
      driver.askForInterrupt();
      this.placeQueue(driver);
      return driver;
    });
    this.store(COMMON.status, 1, this.status | STATUS.DRIVER_OK);
    return this.drivers;
  }

  placeQueue(driver: QueueDriver): void {
    const { index, size, descriptorArea, driverArea, deviceArea } = driver.layout;
    this.store(COMMON.queueSelect, 2, index);
    this.store(COMMON.queueSize, 2, size);
    this.store64(COMMON.queueDesc, descriptorArea);
    this.store64(COMMON.queueDriver, driverArea);
    this.store64(COMMON.queueDevice, deviceArea);
    this.store(COMMON.queueEnable, 2, 1);
  }

  /** Switches MSI-X on with vector n signalling source 0x1300 + n, and gives queue n vector n + 1. */
  useMessages(): void {
    const { msix } = this.pci.pciFunction;
    for (let vector = 0; vector < msix!.vectors; vector++) {
      msix!.program(vector, 0x400, 0, 0x1300 + vector);
      msix!.handler.store(16 * vector + 12, 4, 0);
    }
    const capability = this.capabilities().find(({ id }) => id === 0x11)!;
    this.pci.pciFunction.writeConfig(capability.at + 2, 2, 0x8000);
    this.store(COMMON.configVector, 2, 0);
    for (let queue = 0; queue < this.load(COMMON.numQueues, 2); queue++) {
      this.store(COMMON.queueSelect, 2, queue);
      this.store(COMMON.queueVector, 2, queue + 1);
    }
  }

  capabilities(): { id: number; at: number }[] {
    const { pciFunction } = this.pci;
    const list: { id: number; at: number }[] = [];
    for (let at = pciFunction.readConfig(0x34, 1); at !== 0; at = pciFunction.readConfig(at + 1, 1)) {
      list.push({ id: pciFunction.readConfig(at, 1), at });
    }
    return list;
  }

  private access(type: number, offset: number, lenBytes: 1 | 2 | 4): number {
    const { bar, offset: base } = this.regions.get(type)!;
    return this.pci.pciFunction.loadBar(bar, base + offset, lenBytes);
  }

  private findRegions(): void {
    const { pciFunction } = this.pci;
    for (const { id, at } of this.capabilities()) {
      if (id !== 9) continue;
      this.regions.set(pciFunction.readConfig(at + 3, 1), {
        bar: pciFunction.readConfig(at + 4, 1),
        offset: pciFunction.readConfig(at + 8, 4),
        lenBytes: pciFunction.readConfig(at + 12, 4),
        multiplier: pciFunction.readConfig(at + 2, 1) >= 20 ? pciFunction.readConfig(at + 16, 4) : 0,
      });
    }
  }
}

export interface RubbishOutcome {
  /** Rounds by how they ended: the reason of the fault, or none. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly lines: number;
}

/**
 * Throws `rounds` generated sets of queues at a device: each round it is reset, set up and notified, while whatever the
 * host works on is settled now and then. `fill` puts something likely into the buffers.
 */
export async function throwRubbish(
  kind: DeviceKind,
  rounds: number,
  options: {
    events?: ManualEvents;
    fill?: (buffers: DataView, word: () => number) => void;
    after?: () => void;
    pieces?: readonly number[];
    /** True: the queue is not set up this time. */
    leaveOut?: (index: number) => boolean;
  } = {},
): Promise<RubbishOutcome> {
  const memory = new TestMemory(RUBBISH_BYTES);
  const reasons: Record<string, number> = {};
  let lines = 0;
  const device = new VirtioDevice({
    kind,
    name: kind.name,
    dma: memory.dma,
    interrupts: { queue() {}, config() {} },
    warn: () => lines++,
  });
  const buffers = new DataView(memory.data.buffer, RUBBISH_BUFFERS, RUBBISH_BYTES - RUBBISH_BUFFERS);
  const word = randomWords(rounds);
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    const format: QueueFormat = round % 2 === 0 ? 'split' : 'packed';
    device.writeStatus(0, 'modern');
    for (let n = 0; n < 16; n++) buffers.setUint32(4 * (word() % (buffers.byteLength / 4)), word(), true);
    options.fill?.(buffers, word);
    device.writeStatus(STATUS.ACKNOWLEDGE | STATUS.DRIVER, 'modern');
    const packed = featureSet(VIRTIO_F_RING_PACKED);
    const offered = device.offered('modern');
    const features = format === 'packed' ? offered : offered & ~packed;
    device.setDriverFeatureWord(0, Number(features & 0xffff_ffffn));
    device.setDriverFeatureWord(1, Number(features >> 32n));
    device.writeStatus(device.status | STATUS.FEATURES_OK, 'modern');
    const queues = Math.min(7, kind.queueSizes.length);
    for (let index = 0; index < queues; index++) {
      if (options.leaveOut?.(index)) continue;
      const size = format === 'packed' ? 1 + (word() % 16) : 2 ** (word() % 5);
      device.enableQueue(makeRubbish(word, memory.data, format, { index, size, pieces: options.pieces }), 'modern');
    }
    device.writeStatus(device.status | STATUS.DRIVER_OK, 'modern');
    if (word() % 2 === 0) await options.events?.settle();
    for (let n = 0; n < 4; n++) device.notify(word() % (queues + 1));
    options.after?.();
    const reason = device.fault?.reason ?? 'none';
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  await options.events?.settle();
  return { reasons, seconds: (performance.now() - started) / 1000, lines };
}
