// A buffer that the driver made available, parsed once into a checked value: a list of pieces to read, then a list of
// pieces to write, with known totals. A device never sees a descriptor.

import type { AccessCause } from '../../memory/access-cause.ts';
import type { BusAddress } from '../../pci/bus-address.ts';
import type { DeviceOrigin, DmaFault, DmaSpace } from '../../pci/dma-space.ts';
import type { DriverFaultReason } from './fault.ts';

/** What a chain needs of the queue it came from. */
export interface ChainOwner {
  readonly dma: DmaSpace;
  readonly origin: DeviceOrigin;
  /** Changes when the queue starts over: what came before must not touch memory any more. */
  readonly generation: number;
  /** False once the device has failed. */
  readonly running: boolean;
  fail(reason: DriverFaultReason, detail: string, descriptor?: number, dma?: DmaFault): void;
}

/** The most descriptors of one chain, whatever the size of its queue: bounds the memory one chain takes. */
export const MAX_CHAIN_DESCRIPTORS = 1024;

/** Collects the pieces of a chain; reused for each chain of a queue. */
export class ChainBuilder {
  addresses: BusAddress[] = [];
  lengths: number[] = [];
  descriptors: number[] = [];
  readCount = 0;
  readBytes = 0;
  writeBytes = 0;
  /** Descriptors seen, empty ones included. */
  count = 0;

  start(): void {
    this.addresses = [];
    this.lengths = [];
    this.descriptors = [];
    this.readCount = 0;
    this.readBytes = 0;
    this.writeBytes = 0;
    this.count = 0;
  }

  /** Adds a piece; says what is wrong with it. An empty piece counts and is forgotten. */
  add(
    descriptor: number,
    address: BusAddress,
    lenBytes: number,
    write: boolean,
    maxCount: number,
  ): DriverFaultReason | undefined {
    if (++this.count > maxCount) return 'chain-length';
    if (!write && this.writeBytes > 0 && lenBytes > 0) return 'read-after-write';
    if (this.readBytes + this.writeBytes + lenBytes >= 2 ** 32) return 'chain-bytes';
    if (lenBytes === 0) return undefined;
    this.addresses.push(address);
    this.lengths.push(lenBytes);
    this.descriptors.push(descriptor);
    if (write) this.writeBytes += lenBytes;
    else {
      this.readBytes += lenBytes;
      this.readCount++;
    }
    return undefined;
  }
}

export class DescriptorChain {
  /** Index of the first descriptor (split) or the buffer ID (packed): how the driver recognises the buffer. */
  readonly id: number;
  /** Entries of the ring that the chain takes (packed), or 1. */
  readonly slots: number;
  /** Bytes the device may read. */
  readonly readableBytes: number;
  /** Bytes the device may write. */
  readonly writableBytes: number;
  /** Set by the queue when the device has returned it. */
  returned = false;
  private readonly owner: ChainOwner;
  private readonly generation: number;
  private readonly addresses: readonly BusAddress[];
  private readonly lengths: readonly number[];
  private readonly descriptors: readonly number[];
  private readonly readCount: number;
  /** What the driver did last when the chain was taken: the device may serve it much later. */
  private readonly cause: AccessCause | undefined;

  constructor(owner: ChainOwner, id: number, slots: number, parts: ChainBuilder) {
    this.owner = owner;
    this.generation = owner.generation;
    this.id = id;
    this.slots = slots;
    this.readableBytes = parts.readBytes;
    this.writableBytes = parts.writeBytes;
    this.addresses = parts.addresses;
    this.lengths = parts.lengths;
    this.descriptors = parts.descriptors;
    this.readCount = parts.readCount;
    this.cause = owner.origin.cause;
  }

  /** The queue has not been reset, nor the device, since the chain was taken, and the device has not failed. */
  get live(): boolean {
    return this.generation === this.owner.generation && this.owner.running;
  }

  /**
   * Fills `target` from the readable bytes at `offset`. False if there are fewer, which is the caller's to judge, or if
   * memory could not be reached or the chain is not live, and then the device need not care any more.
   */
  read(offset: number, target: Uint8Array): boolean {
    if (offset + target.length > this.readableBytes) return false;
    return this.transfer(0, this.readCount, offset, target, false);
  }

  /** Copies `lenBytes` readable bytes at `offset`; undefined as `read` gives false. The caller bounds `lenBytes`. */
  readBytes(offset: number, lenBytes: number): Uint8Array<ArrayBuffer> | undefined {
    if (offset + lenBytes > this.readableBytes) return undefined;
    const target = new Uint8Array(lenBytes);
    return this.read(offset, target) ? target : undefined;
  }

  /** Writes all of `source` to the writable bytes at `offset`. False as for `read`. */
  write(offset: number, source: Uint8Array): boolean {
    if (offset + source.length > this.writableBytes) return false;
    return this.transfer(this.readCount, this.addresses.length, offset, source, true);
  }

  private transfer(first: number, end: number, offset: number, buffer: Uint8Array, write: boolean): boolean {
    if (!this.live) return false;
    const { dma, origin } = this.owner;
    const { cause } = origin;
    let skip = offset;
    let done = 0;
    for (let i = first; i < end && done < buffer.length; i++) {
      const length = this.lengths[i];
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const bytes = Math.min(length - skip, buffer.length - done);
      const part = bytes === buffer.length ? buffer : buffer.subarray(done, done + bytes);
      origin.descriptor = this.descriptors[i];
      origin.use = 'buffer';
      origin.cause = this.cause;
      const address = this.addresses[i] + skip;
      const fault = write ? dma.write(address, part, origin) : dma.readInto(address, part, origin);
      origin.descriptor = -1;
      origin.use = 'queue';
      origin.cause = cause;
      if (fault) {
        this.owner.fail('dma', 'buffer', this.descriptors[i], fault);
        return false;
      }
      done += bytes;
      skip = 0;
    }
    return true;
  }
}
