// What split and packed queues have in common (VIRTIO 1.2 2.6): taking buffers, returning them, and telling the driver.
//
// A queue believes nothing the driver wrote. What is wrong fails the device (fault.ts); from then on `take` gives nothing
// and returned buffers go nowhere. Nothing here throws for what a guest did.

import { type BusAddress, busAddressAt } from '../../pci/bus-address.ts';
import { type DeviceOrigin, type DmaFault, type DmaSpace, deviceOrigin } from '../../pci/dma-space.ts';
import { assert } from '../../util/errors.ts';
import { ChainBuilder, type ChainOwner, type DescriptorChain, MAX_CHAIN_DESCRIPTORS } from './chain.ts';
import type { DriverFault, DriverFaultReason } from './fault.ts';
import type { RingFeatures } from './features.ts';

/** Largest size a queue may offer. Deviation: VIRTIO 1.2 2.6 allows 32768. */
export const MAX_QUEUE_SIZE = 1024;

export const DESCRIPTOR_BYTES = 16;
export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;

/** What a queue needs of its device. */
export interface QueueHost {
  /** For access records. */
  readonly name: string;
  readonly dma: DmaSpace;
  readonly running: boolean;
  failed(fault: DriverFault): void;
  /** Tells the driver that buffers were returned. */
  interrupt(queue: number): void;
}

/** Where a queue lies. The areas' names are VIRTIO 1.2's; split queues call them table, available and used ring. */
export interface QueueLayout {
  readonly index: number;
  /** Entries, 1 to MAX_QUEUE_SIZE; a power of two for split queues. */
  readonly size: number;
  readonly descriptorArea: BusAddress;
  readonly driverArea: BusAddress;
  readonly deviceArea: BusAddress;
}

export abstract class Virtqueue implements ChainOwner {
  readonly index: number;
  readonly size: number;
  readonly dma: DmaSpace;
  readonly origin: DeviceOrigin;
  generation = 0;
  /** Entries of the ring that the device holds. */
  slotsTaken = 0;
  protected readonly layout: QueueLayout;
  protected readonly features: RingFeatures;
  protected readonly builder = new ChainBuilder();
  /** One descriptor. */
  protected readonly entry = new Uint8Array(DESCRIPTOR_BYTES);
  protected readonly entryView = new DataView(this.entry.buffer);
  private readonly host: QueueHost;
  /** With IN_ORDER: buffers taken and not yet returned to the driver, oldest first, with their written bytes or -1. */
  private readonly order: { chain: DescriptorChain; written: number }[] = [];
  private table: Uint8Array | undefined;

  constructor(layout: QueueLayout, features: RingFeatures, host: QueueHost) {
    this.layout = layout;
    this.index = layout.index;
    this.size = layout.size;
    this.features = features;
    this.host = host;
    this.dma = host.dma;
    this.origin = deviceOrigin(host.name, layout.index);
  }

  get running(): boolean {
    return this.host.running;
  }

  /** The next buffer of the driver, or undefined if there is none or the device has failed. */
  take(): DescriptorChain | undefined {
    if (!this.running) return undefined;
    const chain = this.takeChain();
    if (chain === undefined) return undefined;
    this.slotsTaken += chain.slots;
    if (this.features.inOrder) this.order.push({ chain, written: -1 });
    return chain;
  }

  /** Returns a buffer to the driver, `writtenBytes` of it written. `signal` tells the driver. */
  complete(chain: DescriptorChain, writtenBytes = 0): void {
    if (!chain.live) return;
    assert(!chain.returned, `${this.origin.name} returned a buffer of queue ${this.index} twice`);
    assert(writtenBytes <= chain.writableBytes, `${this.origin.name} wrote more than there is room for`);
    chain.returned = true;
    if (!this.features.inOrder) {
      this.giveBack(chain, writtenBytes);
      return;
    }
    const place = this.order.find((each) => each.chain === chain);
    assert(place, `${this.origin.name} returned a buffer that queue ${this.index} does not know`);
    place.written = writtenBytes;
    while (this.order.length > 0 && this.order[0].written >= 0) {
      const first = this.order.shift()!;
      this.giveBack(first.chain, first.written);
    }
  }

  /** Interrupts the driver if buffers were returned since the last time and it wants to know. */
  signal(): void {
    if (this.running && this.wantsInterrupt()) this.host.interrupt(this.index);
  }

  /** The queue is reset or gone: buffers the device still holds are nobody's. */
  abandon(): void {
    this.generation++;
    this.order.length = 0;
    this.slotsTaken = 0;
  }

  fail(reason: DriverFaultReason, detail: string, descriptor = -1, dma?: DmaFault): undefined {
    this.host.failed({ reason, queue: this.index, descriptor, detail, ...(dma && { dma }) });
    return undefined;
  }

  protected abstract takeChain(): DescriptorChain | undefined;
  protected abstract putUsed(chain: DescriptorChain, writtenBytes: number): void;
  protected abstract wantsInterrupt(): boolean;

  /** The most descriptors of a chain outside of an indirect table: no ring has more. */
  protected get maxDirect(): number {
    return Math.min(this.size, MAX_CHAIN_DESCRIPTORS);
  }

  /**
   * Adds the pieces of an indirect table (VIRTIO 1.2 2.7.5.3, 2.8.8). `linked`: entries say which comes next, as in
   * split queues; else they follow one another. False if the device has failed.
   *
   * Deviation: a table may have more entries than the queue (2.7.5.3.1 forbids it), for Linux makes such ones.
   */
  protected addIndirect(descriptor: number, address: BusAddress, lenBytes: number, linked: boolean): boolean {
    if (!this.features.indirect) return this.fails('indirect', 'indirect descriptors were not negotiated', descriptor);
    const count = lenBytes / DESCRIPTOR_BYTES;
    if (!Number.isInteger(count) || count === 0 || count > MAX_CHAIN_DESCRIPTORS) {
      return this.fails('indirect', `a table of ${lenBytes} bytes`, descriptor);
    }
    this.table ??= new Uint8Array(MAX_CHAIN_DESCRIPTORS * DESCRIPTOR_BYTES);
    const table = this.table.subarray(0, lenBytes);
    this.origin.descriptor = descriptor;
    this.origin.use = 'indirect table';
    const fault = this.dma.readInto(address, table, this.origin);
    this.origin.descriptor = -1;
    this.origin.use = 'queue';
    if (fault) return this.fails('dma', 'indirect table', descriptor, fault);
    const view = new DataView(table.buffer, 0, lenBytes);
    for (let index = 0, steps = 0; steps < count; steps++) {
      const at = index * DESCRIPTOR_BYTES;
      const flags = view.getUint16(linked ? at + 12 : at + 14, true);
      if (flags & VIRTQ_DESC_F_INDIRECT) return this.fails('indirect', 'a table inside of a table', descriptor);
      if (!this.addPiece(descriptor, view, at, flags, MAX_CHAIN_DESCRIPTORS)) return false;
      if (linked) {
        if ((flags & VIRTQ_DESC_F_NEXT) === 0) return true;
        index = view.getUint16(at + 14, true);
        if (index >= count) return this.fails('descriptor-index', `entry ${index} of a table of ${count}`, descriptor);
      } else {
        index++;
      }
    }
    return linked ? this.fails('chain-length', 'a loop in an indirect table', descriptor) : true;
  }

  /** Adds the piece that the 16 bytes at `at` describe. False if the device has failed. */
  protected addPiece(descriptor: number, view: DataView, at: number, flags: number, maxCount: number): boolean {
    const lenBytes = view.getUint32(at + 8, true);
    const write = (flags & VIRTQ_DESC_F_WRITE) !== 0;
    const wrong = this.builder.add(descriptor, busAddressAt(view, at), lenBytes, write, maxCount);
    if (wrong === undefined) return true;
    return this.fails(wrong, pieceFaultText[wrong] ?? wrong, descriptor);
  }

  protected fails(reason: DriverFaultReason, detail: string, descriptor = -1, dma?: DmaFault): false {
    this.fail(reason, detail, descriptor, dma);
    return false;
  }

  private giveBack(chain: DescriptorChain, writtenBytes: number): void {
    this.slotsTaken -= chain.slots;
    this.putUsed(chain, writtenBytes);
  }
}

const pieceFaultText: Partial<Record<DriverFaultReason, string>> = {
  'chain-length': 'a chain with more descriptors than there are',
  'chain-bytes': 'a chain of 4 GiB or more',
  'read-after-write': 'a buffer to read behind one to write',
};

/** `value` modulo 2^16, as ring indices count. */
export function u16(value: number): number {
  return value & 0xffff;
}
