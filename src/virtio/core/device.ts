// A virtio device between its transport and its kind: status, feature negotiation, queues and what happens when the
// driver breaks the rules (VIRTIO 1.2 section 2 and 3.1). A kind (DeviceKind) serves requests and knows no transport; a
// transport reads and writes these registers and knows no kind.

import type { MmioHandler } from '../../device/address-map.ts';
import type { DmaSpace } from '../../pci/dma-space.ts';
import { assert } from '../../util/errors.ts';
import { type DriverFault, driverFaultText } from './fault.ts';
import {
  featureSet,
  featureWord,
  hasFeature,
  offeredRingFeatures,
  type RingOffer,
  ringFeatures,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  withFeatureWord,
} from './features.ts';
import { PackedQueue } from './packed-queue.ts';
import { MAX_QUEUE_SIZE, type QueueHost, type QueueLayout, type Virtqueue } from './queue.ts';
import { SplitQueue } from './split-queue.ts';

/** VIRTIO 1.2 2.1. */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Lines about a misbehaving driver that one device writes in its life. */
const MAX_FAULT_LINES = 8;

/** What one kind of device does. Its methods never throw for what a guest did. */
export interface DeviceKind {
  /** As in `virtio-blk`. */
  readonly name: string;
  /** VIRTIO 1.2 section 5. */
  readonly deviceType: number;
  /** Feature bits of the type, without those of the rings. */
  readonly features: bigint;
  /** Largest size of each queue, powers of two. */
  readonly queueSizes: readonly number[];
  /** The device-specific configuration. */
  readonly config: MmioHandler;
  readonly configBytes: number;
  /** The kind cannot do its work through a platform's DMA: with it the feature is neither offered nor required. */
  readonly ignoresPlatform?: boolean;
  /** Told which device it is part of, once. */
  attach(device: VirtioDevice): void;
  /** False refuses the features a driver chose: FEATURES_OK then stays clear. */
  accepts?(features: bigint): boolean;
  /** DRIVER_OK: queues may be used from now on, and each is looked at once. */
  started?(): void;
  /** The driver has notified `queue`, or it may have become worth looking at. */
  notified(queue: Virtqueue): void;
  /** Back to the initial state; buffers in hand are nobody's. */
  reset(): void;
  /** The machine is disposed of. */
  close?(): void | Promise<void>;
}

/** How the device reaches its driver. */
export interface DeviceInterrupts {
  queue(index: number): void;
  config(): void;
}

export interface VirtioDeviceOptions {
  readonly kind: DeviceKind;
  /** For messages and access records. */
  readonly name: string;
  readonly dma: DmaSpace;
  readonly interrupts: DeviceInterrupts;
  readonly warn: (message: string) => void;
  readonly rings?: RingOffer;
  /** Offers ACCESS_PLATFORM from the start. */
  readonly accessPlatform?: boolean;
}

export type Interface = 'modern' | 'legacy';

/** Why a device was reset: by its driver, with the machine, or because its way to memory is switched. */
export type ResetReason = 'driver' | 'power-on' | 'dma-switch';

/** A reset that found a driver at work. */
export interface LiveReset {
  readonly reason: ResetReason;
  /** The queues that were set up and are gone. */
  readonly queues: readonly number[];
}

export class VirtioDevice implements QueueHost {
  readonly kind: DeviceKind;
  readonly name: string;
  readonly dma: DmaSpace;
  /** Created by enabling; sparse. */
  readonly queues: (Virtqueue | undefined)[] = [];
  /** What the driver asked for so far, or has been granted. */
  driverFeatures = 0n;
  status = 0;
  configGeneration = 0;
  /** Why the device stopped, until the next reset. */
  fault: DriverFault | undefined;
  /** Faults so far. */
  faults = 0;
  /** The latest reset that took the device from a driver. */
  lastReset: LiveReset | undefined;
  private readonly interrupts: DeviceInterrupts;
  private readonly warn: (message: string) => void;
  private readonly rings: RingOffer;
  private platform: boolean;

  constructor(options: VirtioDeviceOptions) {
    const { kind } = options;
    this.kind = kind;
    this.name = options.name;
    this.dma = options.dma;
    this.interrupts = options.interrupts;
    this.warn = options.warn;
    this.rings = options.rings ?? {};
    this.platform = (options.accessPlatform ?? false) && !kind.ignoresPlatform;
    for (const size of kind.queueSizes) {
      assert(size > 0 && size <= MAX_QUEUE_SIZE && Number.isInteger(Math.log2(size)), `${kind.name}: queue of ${size}`);
    }
    this.dma.mode = this.platform ? 'platform' : 'bypass';
    kind.attach(this);
  }

  /** The driver has finished its set-up and nothing is wrong: requests are served. */
  get running(): boolean {
    return (this.status & STATUS.DRIVER_OK) !== 0 && this.fault === undefined;
  }

  /** The driver is past FEATURES_OK or DRIVER_OK, or has set up a queue, which legacy drivers do before. */
  get live(): boolean {
    return (this.status & (STATUS.FEATURES_OK | STATUS.DRIVER_OK)) !== 0 || this.queues.some(Boolean);
  }

  get accessPlatform(): boolean {
    return this.platform;
  }

  /**
   * Switches how the device reaches memory, and with it whether ACCESS_PLATFORM is offered. The device must have been
   * reset. Kinds that ignore the platform stay as they are.
   */
  setAccessPlatform(on: boolean): void {
    if (this.kind.ignoresPlatform) return;
    assert(!this.live, `${this.name} is switched while a driver has it`);
    this.platform = on;
    this.dma.mode = on ? 'platform' : 'bypass';
  }

  /** The features offered through one of the two interfaces. */
  offered(through: Interface): bigint {
    const all = this.kind.features | offeredRingFeatures(this.rings);
    if (through === 'modern') return this.platform ? all | featureSet(VIRTIO_F_ACCESS_PLATFORM) : all;
    // Bits 0 to 31, of the rings those that legacy has: there is no ACCESS_PLATFORM, so the interface is dead with it.
    if (this.platform) return 0n;
    return (all & 0xffff_ffffn) | featureSet(VIRTIO_F_ANY_LAYOUT);
  }

  /** 32 bits of what the driver wants; ignored once features are settled. */
  setDriverFeatureWord(word: number, value: number): void {
    if (this.status & STATUS.FEATURES_OK) return;
    this.driverFeatures = withFeatureWord(this.driverFeatures, word, value);
  }

  driverFeatureWord(word: number): number {
    return featureWord(this.driverFeatures, word);
  }

  negotiated(bit: number): boolean {
    return hasFeature(this.driverFeatures, bit);
  }

  /** A write to the status register. 0 resets; bits are never taken back otherwise (2.1.1). */
  writeStatus(value: number, through: Interface): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const added = value & ~this.status;
    let { status } = this;
    status |= added & (STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FAILED);
    if (through === 'legacy') {
      // Legacy drivers choose by writing and are not asked again (3.1.2).
      this.driverFeatures &= this.offered('legacy');
    } else if (added & STATUS.FEATURES_OK && this.acceptsFeatures()) {
      status |= STATUS.FEATURES_OK;
    }
    this.status = status;
    if ((added & STATUS.DRIVER_OK) === 0) return;
    if (through === 'modern' && (status & STATUS.FEATURES_OK) === 0) {
      this.misused('out-of-turn', 'DRIVER_OK without FEATURES_OK');
      return;
    }
    this.start();
  }

  private acceptsFeatures(): boolean {
    const { driverFeatures } = this;
    if ((driverFeatures & ~this.offered('modern')) !== 0n) return false;
    if (!hasFeature(driverFeatures, VIRTIO_F_VERSION_1)) return false;
    // A driver that goes around the platform's translation would hand out addresses that mean something else.
    if (this.platform && !hasFeature(driverFeatures, VIRTIO_F_ACCESS_PLATFORM)) return false;
    return this.kind.accepts?.(driverFeatures) ?? true;
  }

  private start(): void {
    this.status |= STATUS.DRIVER_OK;
    if (!this.running) return;
    this.kind.started?.();
    for (const queue of this.queues) if (queue && this.running) this.serve(queue);
  }

  /** Sets up a queue where the driver has put it. False if the device has failed over it. */
  enableQueue(layout: QueueLayout, through: Interface): boolean {
    const { index, size } = layout;
    const features = ringFeatures(
      through === 'modern'
        ? this.driverFeatures
        : this.driverFeatures & featureSet(VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX),
    );
    if (index >= this.kind.queueSizes.length) return this.misused('queue-size', `there is no queue ${index}`);
    if (this.queues[index]) return true;
    if (through === 'modern' && (this.status & STATUS.FEATURES_OK) === 0) {
      return this.misused('out-of-turn', 'enabled before FEATURES_OK', index);
    }
    const isPower = Number.isInteger(Math.log2(size));
    if (size < 1 || size > this.kind.queueSizes[index] || (!features.packed && !isPower)) {
      return this.misused('queue-size', `a size of ${size}`, index);
    }
    const { descriptorArea, driverArea, deviceArea } = layout;
    const aligned = (address: number, bytes: number) => address % bytes === 0; // false for no address, NaN
    const wanted = features.packed ? 4 : 2;
    if (!aligned(descriptorArea, 16) || !aligned(driverArea, wanted) || !aligned(deviceArea, 4)) {
      return this.misused('queue-address', 'an area is not aligned or has no address', index);
    }
    const queue = features.packed ? new PackedQueue(layout, features, this) : new SplitQueue(layout, features, this);
    this.queues[index] = queue;
    if (this.running) this.serve(queue);
    return true;
  }

  /** Takes a queue from the driver: RING_RESET (2.6.1), or a legacy address of 0. */
  disableQueue(index: number): void {
    this.queues[index]?.abandon();
    this.queues[index] = undefined;
  }

  /** The driver rings for a queue. */
  notify(index: number): void {
    if (!this.running) return;
    const queue = this.queues[index];
    if (queue) this.serve(queue);
  }

  /** The driver has told of buffers in a queue, or of the queue itself. */
  private serve(queue: Virtqueue): void {
    this.dma.told(queue.origin);
    this.kind.notified(queue);
  }

  /** The device-specific configuration has changed by the device's own doing. */
  configChanged(): void {
    this.configGeneration = (this.configGeneration + 1) & 0xff;
    if (this.running) this.interrupts.config();
  }

  reset(reason: ResetReason = 'driver'): void {
    if (this.live) {
      const queues = [...this.queues.keys()].filter((index) => this.queues[index] !== undefined);
      this.lastReset = { reason, queues };
    }
    this.status = 0;
    this.driverFeatures = 0n;
    this.fault = undefined;
    this.queues.forEach((_, index) => {
      this.disableQueue(index);
    });
    this.queues.length = 0;
    this.kind.reset();
  }

  failed(fault: DriverFault): void {
    if (this.fault) return;
    const told = (this.status & STATUS.DRIVER_OK) !== 0;
    this.fault = fault;
    this.faults++;
    this.status |= STATUS.DEVICE_NEEDS_RESET;
    if (this.faults <= MAX_FAULT_LINES) {
      const last = this.faults === MAX_FAULT_LINES ? '; further ones are only counted' : '';
      this.warn(`${this.name} stopped until its driver resets it: ${driverFaultText(fault)} (${fault.reason})${last}`);
    }
    if (told) this.interrupts.config();
  }

  interrupt(queue: number): void {
    this.interrupts.queue(queue);
  }

  private misused(reason: DriverFault['reason'], detail: string, queue = -1): false {
    this.failed({ reason, queue, descriptor: -1, detail });
    return false;
  }
}
