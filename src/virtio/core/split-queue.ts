// Split virtqueues (VIRTIO 1.2 2.7): descriptor table, available ring, used ring, all little-endian.
// Deviation: legacy queues are little-endian too; VIRTIO 1.2 2.7.1 makes them the guest's native order.

import { busAddressAt } from '../../pci/bus-address.ts';
import { DMA_FAULTED } from '../../pci/dma-space.ts';
import { DescriptorChain } from './chain.ts';
import type { RingFeatures } from './features.ts';
import {
  DESCRIPTOR_BYTES,
  type QueueHost,
  type QueueLayout,
  u16,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  Virtqueue,
} from './queue.ts';

const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
/** Offsets from the start of either ring. */
const FLAGS = 0;
const INDEX = 2;
const ENTRIES = 4;
const AVAILABLE_ENTRY_BYTES = 2;
const USED_ENTRY_BYTES = 8;

export class SplitQueue extends Virtqueue {
  /** Buffers taken so far, modulo 2^16: where in the available ring the next one is. */
  private nextAvailable = 0;
  /** Buffers returned so far, modulo 2^16. */
  private usedIndex = 0;
  /** `usedIndex` when the driver was last considered for an interrupt. */
  private signalled = 0;
  /** The driver's index when it was last read: what it had made available then need not be asked for again. */
  private availableIndex = 0;
  private readonly taken: Uint8Array;
  private readonly used = new Uint8Array(USED_ENTRY_BYTES);
  private readonly usedView = new DataView(this.used.buffer);

  constructor(layout: QueueLayout, features: RingFeatures, host: QueueHost) {
    super(layout, features, host);
    this.taken = new Uint8Array(layout.size);
  }

  protected takeChain(): DescriptorChain | undefined {
    const { size, layout, dma, origin } = this;
    if (this.nextAvailable === this.availableIndex && !this.lookForMore()) return undefined;
    const slot = layout.driverArea + ENTRIES + AVAILABLE_ENTRY_BYTES * (this.nextAvailable % size);
    const head = dma.loadU16LE(slot, origin);
    if (head === DMA_FAULTED) return this.fail('dma', 'available ring', -1, dma.lastFault);
    if (head >= size) return this.fail('descriptor-index', `descriptor ${head} of ${size} is available`);
    if (this.taken[head]) return this.fail('in-flight', 'made available a second time', head);
    if (!this.collect(head)) return undefined;
    this.taken[head] = 1;
    this.nextAvailable = u16(this.nextAvailable + 1);
    return new DescriptorChain(this, head, 1, this.builder);
  }

  /** Reads the driver's index. True if there is a buffer; asks for a notification of the next one if not. */
  private lookForMore(): boolean {
    if (!this.readIndex()) return false;
    if (this.nextAvailable !== this.availableIndex) return true;
    if (!this.features.eventIdx) return false;
    const { layout, dma, origin } = this;
    const eventAt = layout.deviceArea + ENTRIES + USED_ENTRY_BYTES * this.size;
    const fault = dma.storeU16LE(eventAt, this.nextAvailable, origin);
    if (fault) return this.fails('dma', 'used ring', -1, fault);
    return false;
  }

  private readIndex(): boolean {
    const { layout, dma, origin, size } = this;
    const index = dma.loadU16LE(layout.driverArea + INDEX, origin);
    if (index === DMA_FAULTED) return this.fails('dma', 'available ring', -1, dma.lastFault);
    const ahead = u16(index - this.nextAvailable);
    if (ahead > size) return this.fails('available-index', `${ahead} buffers are available in a queue of ${size}`);
    this.availableIndex = index;
    return true;
  }

  private collect(head: number): boolean {
    const { builder, layout, dma, origin, entry, entryView, size } = this;
    builder.start();
    for (let index = head; ; ) {
      origin.descriptor = index;
      const fault = dma.readInto(layout.descriptorArea + DESCRIPTOR_BYTES * index, entry, origin);
      origin.descriptor = -1;
      if (fault) return this.fails('dma', 'descriptor table', index, fault);
      const flags = entryView.getUint16(12, true);
      if (flags & VIRTQ_DESC_F_INDIRECT) {
        if (flags & VIRTQ_DESC_F_NEXT)
          return this.fails('indirect', 'an indirect descriptor with another behind', index);
        return this.addIndirect(index, busAddressAt(entryView, 0), entryView.getUint32(8, true), true);
      }
      const next = entryView.getUint16(14, true);
      if (!this.addPiece(index, entryView, 0, flags, this.maxDirect)) return false;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return true;
      if (next >= size) return this.fails('descriptor-index', `descriptor ${next} of ${size} comes next`, index);
      index = next;
    }
  }

  protected putUsed(chain: DescriptorChain, writtenBytes: number): void {
    const { layout, dma, origin, size } = this;
    this.taken[chain.id] = 0;
    this.usedView.setUint32(0, chain.id, true);
    this.usedView.setUint32(4, writtenBytes, true);
    const at = layout.deviceArea + ENTRIES + USED_ENTRY_BYTES * (this.usedIndex % size);
    this.usedIndex = u16(this.usedIndex + 1);
    const fault = dma.write(at, this.used, origin) ?? dma.storeU16LE(layout.deviceArea + INDEX, this.usedIndex, origin);
    if (fault) this.fail('dma', 'used ring', -1, fault);
  }

  protected wantsInterrupt(): boolean {
    const { layout, dma, origin, size, signalled } = this;
    if (signalled === this.usedIndex) return false;
    this.signalled = this.usedIndex;
    if (!this.features.eventIdx) {
      const flags = dma.loadU16LE(layout.driverArea + FLAGS, origin);
      if (flags === DMA_FAULTED) return this.fails('dma', 'available ring', -1, dma.lastFault);
      return (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
    }
    const event = dma.loadU16LE(layout.driverArea + ENTRIES + AVAILABLE_ENTRY_BYTES * size, origin);
    if (event === DMA_FAULTED) return this.fails('dma', 'available ring', -1, dma.lastFault);
    // The driver waits for used entry number `event`: is it among those returned since?
    return u16(event - signalled) < u16(this.usedIndex - signalled);
  }
}
