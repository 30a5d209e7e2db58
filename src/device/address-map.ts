// The guest physical address map outside of RAM: ranges of guest real addresses and what answers there.
//
// Devices see 1-, 2- and 4-byte accesses aligned to their size; an 8-byte access reaches them as two of 4 bytes, low
// address first, as on a 32-bit bus, and an unaligned one as single bytes. So no device handles a BigInt or a straddle.
// Values are little-endian numbers: the byte at the lowest address is the least significant.
//
// Ranges may overlap, for guests place BARs where they like: the lowest `rank` wins each address.

import { assert } from '../util/errors.ts';

export type MmioBytes = 1 | 2 | 4;

/** What answers in a range. `offset` counts from the start of the range and is a multiple of `lenBytes`. */
export interface MmioHandler {
  /** An unsigned value of `lenBytes` bytes. */
  load(offset: number, lenBytes: MmioBytes): number;
  /** `value` is unsigned and fits. */
  store(offset: number, lenBytes: MmioBytes, value: number): void;
}

export interface AddressRange {
  /** Guest real address of the first byte, below 2^53 and a multiple of 4. */
  readonly base: number;
  readonly sizeBytes: number;
  /** For messages: what is there. */
  readonly name: string;
  readonly handler: MmioHandler;
  /** Among overlapping ranges the lowest answers; equal ranks must not overlap. */
  readonly rank: number;
}

/** An access that nothing answered. */
export interface UnassignedAccess {
  readonly kind: 'load' | 'store';
  readonly gra: number;
  readonly lenBytes: number;
}

/** A stretch of addresses that belongs to one range. */
interface Segment {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly range: AddressRange;
}

const NOWHERE: Segment = {
  start: 0,
  end: 0,
  range: { base: 0, sizeBytes: 0, name: 'nothing', handler: { load: () => 0, store: () => {} }, rank: 0 },
};

export class AddressMap {
  /** Accesses so far that nothing answered. */
  unassigned = 0;
  private readonly report: (access: UnassignedAccess) => void;
  private readonly ranges = new Set<AddressRange>();
  /** By ascending address, disjoint. */
  private segments: Segment[] = [];
  private last: Segment = NOWHERE;

  /** `report` is told of each access that nothing answers; it must bound what it makes of them. */
  constructor(report: (access: UnassignedAccess) => void = () => {}) {
    this.report = report;
  }

  add(range: AddressRange): void {
    assert(range.sizeBytes > 0 && range.base >= 0, `${range.name} has no addresses`);
    assert(range.base % 4 === 0, `${range.name} starts at 0x${range.base.toString(16)}`);
    assert(Number.isSafeInteger(range.base + range.sizeBytes), `${range.name} lies beyond 2^53`);
    this.ranges.add(range);
    this.arrange();
  }

  remove(range: AddressRange): void {
    if (this.ranges.delete(range)) this.arrange();
  }

  /** What answers at `gra`, or undefined. */
  at(gra: number): AddressRange | undefined {
    return this.find(gra)?.range;
  }

  /** All ranges by ascending base, covered or not. */
  all(): AddressRange[] {
    return [...this.ranges].sort((a, b) => a.base - b.base || a.rank - b.rank);
  }

  /** Value of `lenBytes` (1, 2 or 4) bytes at any `gra`; all ones where nothing answers. */
  load(gra: number, lenBytes: MmioBytes): number {
    const segment = this.find(gra);
    if (segment) {
      const offset = gra - segment.range.base;
      if ((offset & (lenBytes - 1)) === 0 && gra + lenBytes <= segment.end) {
        return segment.range.handler.load(offset, lenBytes);
      }
    }
    if (lenBytes === 1 || gra % lenBytes === 0) {
      this.missed('load', gra, lenBytes);
      return 2 ** (8 * lenBytes) - 1;
    }
    let value = 0;
    for (let i = lenBytes - 1; i >= 0; i--) value = value * 256 + this.load(gra + i, 1);
    return value;
  }

  store(gra: number, lenBytes: MmioBytes, value: number): void {
    const segment = this.find(gra);
    if (segment) {
      const offset = gra - segment.range.base;
      if ((offset & (lenBytes - 1)) === 0 && gra + lenBytes <= segment.end) {
        segment.range.handler.store(offset, lenBytes, value);
        return;
      }
    }
    if (lenBytes === 1 || gra % lenBytes === 0) this.missed('store', gra, lenBytes);
    else for (let i = 0; i < lenBytes; i++) this.store(gra + i, 1, (value >>> (8 * i)) & 0xff);
  }

  /** 8 bytes at any `gra`, as two loads. */
  load64(gra: number): bigint {
    const low = this.load(gra, 4);
    return (BigInt(this.load(gra + 4, 4)) << 32n) | BigInt(low);
  }

  /** `value` is taken modulo 2^64. */
  store64(gra: number, value: bigint): void {
    this.store(gra, 4, Number(value & 0xffff_ffffn));
    this.store(gra + 4, 4, Number((value >> 32n) & 0xffff_ffffn));
  }

  private find(gra: number): Segment | undefined {
    const { last } = this;
    if (gra >= last.start && gra < last.end) return last;
    const { segments } = this;
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (gra >= segments[middle].end) low = middle + 1;
      else high = middle;
    }
    const found = segments[low];
    if (found === undefined || gra < found.start) return undefined;
    this.last = found;
    return found;
  }

  private missed(kind: UnassignedAccess['kind'], gra: number, lenBytes: number): void {
    this.unassigned++;
    this.report({ kind, gra, lenBytes });
  }

  /** Cuts the ranges at each other's borders, so that a lookup need not know of overlaps. */
  private arrange(): void {
    const byRank = [...this.ranges].sort((a, b) => a.rank - b.rank || a.base - b.base);
    let segments: Segment[] = [];
    for (const range of byRank) segments = withFree(segments, range);
    this.segments = segments;
    this.last = NOWHERE;
  }
}

/** `segments` and what of `range` they leave free, by ascending address. */
function withFree(segments: readonly Segment[], range: AddressRange): Segment[] {
  const result: Segment[] = [];
  const end = range.base + range.sizeBytes;
  let free = range.base;
  const fill = (upTo: number) => {
    const stop = Math.min(upTo, end);
    if (free < stop) result.push({ start: free, end: stop, range });
  };
  for (const segment of segments) {
    fill(segment.start);
    result.push(segment);
    free = Math.max(free, segment.end);
  }
  fill(Number.POSITIVE_INFINITY);
  return result;
}
