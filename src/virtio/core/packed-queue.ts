// Packed virtqueues (VIRTIO 1.2 2.8): one ring of descriptors that driver and device both write, and an event
// suppression structure for each side.

import { busAddressAt } from '../../pci/bus-address.ts';
import { DMA_FAULTED } from '../../pci/dma-space.ts';
import { DescriptorChain } from './chain.ts';
import { DESCRIPTOR_BYTES, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, Virtqueue } from './queue.ts';

const VIRTQ_DESC_F_AVAIL = 1 << 7;
const VIRTQ_DESC_F_USED = 1 << 15;

/** Event suppression structure: offset and wrap counter, then flags. */
const EVENT_PLACE = 0;
const EVENT_FLAGS = 2;
const RING_EVENT_FLAGS_DISABLE = 1;
const RING_EVENT_FLAGS_DESC = 2;
const WRAP = 0x8000;

export class PackedQueue extends Virtqueue {
  private nextAvailable = 0;
  private availableWrap = 1;
  private nextUsed = 0;
  private usedWrap = 1;
  /** Ring entries returned since the start, and how many of them when the driver was last considered for an interrupt. */
  private usedTotal = 0;
  private signalled = 0;
  /** What the driver was last told to notify of, or -1. */
  private eventPlace = -1;

  protected takeChain(): DescriptorChain | undefined {
    const { builder, entryView, size } = this;
    builder.start();
    let index = this.nextAvailable;
    let slots = 0;
    for (;;) {
      if (!this.readEntry(index)) return undefined;
      const flags = entryView.getUint16(14, true);
      if (slots === 0 && !this.available(flags)) {
        this.askForNotification();
        return undefined;
      }
      if (++slots + this.slotsTaken > size) {
        return this.fail('available-index', `more descriptors are available than the ${size} there are`, index);
      }
      if (flags & VIRTQ_DESC_F_INDIRECT) {
        if (flags & VIRTQ_DESC_F_NEXT)
          return this.fail('indirect', 'an indirect descriptor with another behind', index);
        const [address, lenBytes, id] = [busAddressAt(entryView, 0), entryView.getUint32(8, true), this.entryId()];
        return this.addIndirect(index, address, lenBytes, false) ? this.chain(id, slots) : undefined;
      }
      if (!this.addPiece(index, entryView, 0, flags, this.maxDirect)) return undefined;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return this.chain(this.entryId(), slots);
      index = index + 1 === size ? 0 : index + 1;
    }
  }

  private readEntry(index: number): boolean {
    const { layout, dma, origin, entry } = this;
    origin.descriptor = index;
    const fault = dma.readInto(layout.descriptorArea + DESCRIPTOR_BYTES * index, entry, origin);
    origin.descriptor = -1;
    return fault === undefined || this.fails('dma', 'descriptor ring', index, fault);
  }

  /** The buffer ID, which the last descriptor of a chain has (VIRTIO 1.2 2.8.6). */
  private entryId(): number {
    return this.entryView.getUint16(12, true);
  }

  private available(flags: number): boolean {
    const available = (flags & VIRTQ_DESC_F_AVAIL) !== 0;
    const used = (flags & VIRTQ_DESC_F_USED) !== 0;
    return available === (this.availableWrap === 1) && used !== available;
  }

  private chain(id: number, slots: number): DescriptorChain {
    this.nextAvailable += slots;
    if (this.nextAvailable >= this.size) {
      this.nextAvailable -= this.size;
      this.availableWrap ^= 1;
    }
    return new DescriptorChain(this, id, slots, this.builder);
  }

  /** With EVENT_IDX: says that the next buffer is worth a notification (VIRTIO 1.2 2.8.10). */
  private askForNotification(): void {
    if (!this.features.eventIdx) return;
    const place = this.nextAvailable | (this.availableWrap ? WRAP : 0);
    if (place === this.eventPlace) return;
    const { layout, dma, origin } = this;
    const fault =
      dma.storeU16LE(layout.deviceArea + EVENT_PLACE, place, origin) ??
      dma.storeU16LE(layout.deviceArea + EVENT_FLAGS, RING_EVENT_FLAGS_DESC, origin);
    if (fault) this.fail('dma', 'device event suppression', -1, fault);
    this.eventPlace = place;
  }

  protected putUsed(chain: DescriptorChain, writtenBytes: number): void {
    const { layout, dma, origin, entry, entryView, size } = this;
    const at = layout.descriptorArea + DESCRIPTOR_BYTES * this.nextUsed;
    entryView.setUint32(8, writtenBytes, true);
    entryView.setUint16(12, chain.id, true);
    let flags = writtenBytes > 0 ? VIRTQ_DESC_F_WRITE : 0;
    if (this.usedWrap) flags |= VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
    // The flags hand the entry over, so they come last.
    const fault = dma.write(at + 8, entry.subarray(8, 14), origin) ?? dma.storeU16LE(at + 14, flags, origin);
    if (fault) {
      this.fail('dma', 'descriptor ring', this.nextUsed, fault);
      return;
    }
    this.usedTotal += chain.slots;
    this.nextUsed += chain.slots;
    if (this.nextUsed >= size) {
      this.nextUsed -= size;
      this.usedWrap ^= 1;
    }
  }

  protected wantsInterrupt(): boolean {
    const { layout, dma, origin, signalled } = this;
    if (signalled === this.usedTotal) return false;
    this.signalled = this.usedTotal;
    const flags = dma.loadU16LE(layout.driverArea + EVENT_FLAGS, origin);
    if (flags === DMA_FAULTED) return this.fails('dma', 'driver event suppression', -1, dma.lastFault);
    const wanted = flags & 3;
    if (wanted !== RING_EVENT_FLAGS_DESC || !this.features.eventIdx) return wanted !== RING_EVENT_FLAGS_DISABLE;
    const place = dma.loadU16LE(layout.driverArea + EVENT_PLACE, origin);
    if (place === DMA_FAULTED) return this.fails('dma', 'driver event suppression', -1, dma.lastFault);
    // Count of entries, since the start, at which the ring entry named is reached: on this lap or on the one before.
    const lap = this.usedTotal - this.nextUsed;
    const wrap = (place & WRAP) !== 0 ? 1 : 0;
    const event = lap + (place & (WRAP - 1)) - (wrap === this.usedWrap ? 0 : this.size);
    return event >= signalled && event < this.usedTotal;
  }
}
