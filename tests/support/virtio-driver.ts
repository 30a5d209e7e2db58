// Drivers of split and packed virtqueues for tests, written from VIRTIO 1.2 sections 2.7 and 2.8 and not from the device's
// code: they lay out rings in memory, make buffers available, and take them back.

import type { QueueLayout } from '../../src/virtio/core/queue.ts';
import type { TestMemory } from './virtio-memory.ts';

/** A piece of a buffer: bytes the device may read, or a number of bytes it may write. */
export type Piece = Uint8Array | number;

export interface UsedBuffer {
  readonly token: number;
  /** As the device says. */
  readonly writtenBytes: number;
  /** All the bytes it could write. */
  readonly bytes: Uint8Array;
}

export interface DriverOptions {
  readonly index?: number;
  readonly size?: number;
  readonly eventIdx?: boolean;
  /** What an address in memory is on the device's bus. */
  readonly toBus?: (gra: number) => number;
}

interface Posted {
  readonly slots: number;
  readonly descriptors: readonly number[];
  readonly pieces: readonly { readonly gra: number; readonly lenBytes: number; readonly write: boolean }[];
}

export abstract class QueueDriver {
  readonly memory: TestMemory;
  readonly layout: QueueLayout;
  readonly size: number;
  protected readonly eventIdx: boolean;
  protected readonly toBus: (gra: number) => number;
  protected readonly posted = new Map<number, Posted>();
  protected readonly table: number;
  protected readonly driverArea: number;
  protected readonly deviceArea: number;

  constructor(memory: TestMemory, options: DriverOptions, areas: (size: number) => [number, number, number]) {
    const { index = 0, size = 8, eventIdx = false, toBus = (gra) => gra } = options;
    this.memory = memory;
    this.size = size;
    this.eventIdx = eventIdx;
    this.toBus = toBus;
    const [tableBytes, driverBytes, deviceBytes] = areas(size);
    this.table = memory.allocate(tableBytes);
    this.driverArea = memory.allocate(driverBytes);
    this.deviceArea = memory.allocate(deviceBytes);
    this.layout = {
      index,
      size,
      descriptorArea: toBus(this.table),
      driverArea: toBus(this.driverArea),
      deviceArea: toBus(this.deviceArea),
    };
  }

  /** Descriptors that are not in use. */
  abstract get room(): number;

  /** Makes a buffer available; returns its token. One with an indirect table takes one descriptor. */
  add(pieces: readonly Piece[], indirect = false): number {
    const placed = pieces.map((piece) => {
      const write = typeof piece === 'number';
      const lenBytes = write ? piece : piece.length;
      const gra = this.memory.allocate(Math.max(1, lenBytes), 1);
      if (!write) this.memory.bytes.set(piece, gra);
      return { gra, lenBytes, write };
    });
    return this.publish(placed, indirect);
  }

  /** True if the device asked to be told of what was added since the last call. */
  abstract mustNotify(): boolean;
  /** Takes back what the device has returned. */
  abstract takeUsed(): UsedBuffer[];
  /** With EVENT_IDX: interrupt when the device returns the next buffer. Without: interrupts on or off. */
  abstract askForInterrupt(on?: boolean): void;

  protected written(pieces: readonly { gra: number; lenBytes: number; write: boolean }[]): Uint8Array {
    const parts = pieces.filter(({ write }) => write);
    const bytes = new Uint8Array(parts.reduce((sum, { lenBytes }) => sum + lenBytes, 0));
    let at = 0;
    for (const { gra, lenBytes } of parts) {
      bytes.set(this.memory.bytes.subarray(gra, gra + lenBytes), at);
      at += lenBytes;
    }
    return bytes;
  }

  protected abstract publish(pieces: Posted['pieces'], indirect: boolean): number;

  protected descriptor(at: number, gra: number, lenBytes: number): void {
    const { data } = this.memory;
    data.setBigUint64(at, BigInt(this.toBus(gra)), true);
    data.setUint32(at + 8, lenBytes, true);
  }
}

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

export class SplitDriver extends QueueDriver {
  private readonly freeDescriptors: number[];
  private available = 0;
  private notified = 0;
  private seen = 0;

  constructor(memory: TestMemory, options: DriverOptions = {}) {
    super(memory, options, (size) => [16 * size, 6 + 2 * size, 6 + 8 * size]);
    this.freeDescriptors = Array.from({ length: this.size }, (_, n) => n);
  }

  get room(): number {
    return this.freeDescriptors.length;
  }

  protected publish(pieces: Posted['pieces'], indirect: boolean): number {
    const { data } = this.memory;
    const count = indirect ? 1 : pieces.length;
    const descriptors = this.freeDescriptors.splice(0, count);
    if (descriptors.length < count) throw new Error('the queue is full');
    const entries = indirect ? pieces.map((_, n) => n) : descriptors;
    const base = indirect ? this.memory.allocate(16 * pieces.length) : this.table;
    pieces.forEach(({ gra, lenBytes, write }, n) => {
      const at = base + 16 * entries[n];
      this.descriptor(at, gra, lenBytes);
      const last = n === pieces.length - 1;
      data.setUint16(at + 12, (write ? WRITE : 0) | (last ? 0 : NEXT), true);
      data.setUint16(at + 14, last ? 0 : entries[n + 1], true);
    });
    const head = descriptors[0];
    if (indirect) {
      this.descriptor(this.table + 16 * head, base, 16 * pieces.length);
      data.setUint16(this.table + 16 * head + 12, INDIRECT, true);
    }
    this.posted.set(head, { slots: count, descriptors, pieces });
    data.setUint16(this.driverArea + 4 + 2 * (this.available % this.size), head, true);
    this.available = (this.available + 1) & 0xffff;
    data.setUint16(this.driverArea + 2, this.available, true);
    return head;
  }

  mustNotify(): boolean {
    const { data } = this.memory;
    const old = this.notified;
    this.notified = this.available;
    if (old === this.available) return false;
    if (!this.eventIdx) return (data.getUint16(this.deviceArea, true) & 1) === 0;
    const event = data.getUint16(this.deviceArea + 4 + 8 * this.size, true);
    return ((this.available - event - 1) & 0xffff) < ((this.available - old) & 0xffff);
  }

  takeUsed(): UsedBuffer[] {
    const { data } = this.memory;
    const result: UsedBuffer[] = [];
    while (this.seen !== data.getUint16(this.deviceArea + 2, true)) {
      const at = this.deviceArea + 4 + 8 * (this.seen % this.size);
      const token = data.getUint32(at, true);
      const posted = this.posted.get(token);
      if (!posted) throw new Error(`the device returned buffer ${token}, which it does not have`);
      this.freeDescriptors.push(...posted.descriptors);
      this.posted.delete(token);
      result.push({ token, writtenBytes: data.getUint32(at + 4, true), bytes: this.written(posted.pieces) });
      this.seen = (this.seen + 1) & 0xffff;
    }
    return result;
  }

  askForInterrupt(on = true): void {
    const { data } = this.memory;
    if (this.eventIdx) data.setUint16(this.driverArea + 4 + 2 * this.size, on ? this.seen : this.seen - 1, true);
    else data.setUint16(this.driverArea, on ? 0 : 1, true);
  }
}

const AVAIL = 0x80;
const USED = 0x8000;

export class PackedDriver extends QueueDriver {
  private next = 0;
  private wrap = true;
  private usedNext = 0;
  private usedWrap = true;
  private freeSlots: number;
  private readonly freeTokens: number[];
  /** Ring entries filled since the last mustNotify. */
  private since = 0;

  constructor(memory: TestMemory, options: DriverOptions = {}) {
    super(memory, options, (size) => [16 * size, 4, 4]);
    this.freeSlots = this.size;
    this.freeTokens = Array.from({ length: this.size }, (_, n) => n);
  }

  get room(): number {
    return this.freeSlots;
  }

  protected publish(pieces: Posted['pieces'], indirect: boolean): number {
    const { data } = this.memory;
    const count = indirect ? 1 : pieces.length;
    if (this.freeSlots < count) throw new Error('the queue is full');
    const token = this.freeTokens.shift()!;
    const head = this.next;
    let headFlags = 0;
    let table = 0;
    if (indirect) {
      table = this.memory.allocate(16 * pieces.length);
      pieces.forEach(({ gra, lenBytes, write }, n) => {
        this.descriptor(table + 16 * n, gra, lenBytes);
        data.setUint16(table + 16 * n + 14, write ? WRITE : 0, true);
      });
    }
    for (let n = 0; n < count; n++) {
      const at = this.table + 16 * this.next;
      const { gra, lenBytes, write } = pieces[n];
      if (indirect) this.descriptor(at, table, 16 * pieces.length);
      else this.descriptor(at, gra, lenBytes);
      data.setUint16(at + 12, token, true);
      let flags = this.wrap ? AVAIL : USED;
      if (indirect) flags |= INDIRECT;
      else flags |= (write ? WRITE : 0) | (n === count - 1 ? 0 : NEXT);
      if (n === 0) headFlags = flags;
      else data.setUint16(at + 14, flags, true);
      if (++this.next === this.size) {
        this.next = 0;
        this.wrap = !this.wrap;
      }
    }
    data.setUint16(this.table + 16 * head + 14, headFlags, true);
    this.freeSlots -= count;
    this.since += count;
    this.posted.set(token, { slots: count, descriptors: [], pieces });
    return token;
  }

  mustNotify(): boolean {
    const { data } = this.memory;
    const filled = this.since;
    this.since = 0;
    if (filled === 0) return false;
    const flags = data.getUint16(this.deviceArea + 2, true) & 3;
    if (flags !== 2) return flags === 0;
    const place = data.getUint16(this.deviceArea, true);
    // Which of the ring entries filled since is the one the device waits for?
    for (let back = 1; back <= filled; back++) {
      const behind = this.next - back < 0;
      const slot = (this.next - back + this.size) % this.size;
      if (place === (slot | (this.wrap !== behind ? 0x8000 : 0))) return true;
    }
    return false;
  }

  takeUsed(): UsedBuffer[] {
    const { data } = this.memory;
    const result: UsedBuffer[] = [];
    for (;;) {
      const at = this.table + 16 * this.usedNext;
      const flags = data.getUint16(at + 14, true);
      if (((flags & AVAIL) !== 0) !== this.usedWrap || ((flags & USED) !== 0) !== this.usedWrap) return result;
      const token = data.getUint16(at + 12, true);
      const posted = this.posted.get(token);
      if (!posted) throw new Error(`the device returned buffer ${token}, which it does not have`);
      const writtenBytes = flags & WRITE ? data.getUint32(at + 8, true) : 0;
      result.push({ token, writtenBytes, bytes: this.written(posted.pieces) });
      this.posted.delete(token);
      this.freeTokens.push(token);
      this.freeSlots += posted.slots;
      this.usedNext += posted.slots;
      if (this.usedNext >= this.size) {
        this.usedNext -= this.size;
        this.usedWrap = !this.usedWrap;
      }
    }
  }

  askForInterrupt(on = true): void {
    const { data } = this.memory;
    data.setUint16(this.driverArea, this.usedNext | (this.usedWrap ? 0x8000 : 0), true);
    data.setUint16(this.driverArea + 2, !on ? 1 : this.eventIdx ? 2 : 0, true);
  }
}

export type QueueFormat = 'split' | 'packed';

export function queueDriver(format: QueueFormat, memory: TestMemory, options?: DriverOptions): QueueDriver {
  return format === 'split' ? new SplitDriver(memory, options) : new PackedDriver(memory, options);
}
