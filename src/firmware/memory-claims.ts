// Which guest real memory is spoken for while a client runs on Open Firmware: the state behind the services `claim`
// and `release` and the property `available` of the memory node (IEEE 1275 6.3.2.3 and 3.7.6).

import { assert } from '../util/errors.ts';

/** `[start, end)` in guest real addresses. */
export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

/** A client that scatters claims beyond this is refused, so that it cannot use up the host's memory. */
const MAX_RANGES = 1024;

export class MemoryClaims {
  private readonly memoryBytes: number;
  private readonly limit: number;
  /** Disjoint, not touching, in ascending order. */
  private claimed: MemoryRange[] = [];

  /** `limit` bounds where `claimAnywhere` looks; exact claims may lie anywhere in `[0, memoryBytes)`. */
  constructor(memoryBytes: number, limit: number) {
    this.memoryBytes = memoryBytes;
    this.limit = Math.min(memoryBytes, limit);
  }

  /** Claims exactly these bytes. False, and no change, unless all of them are RAM and free. */
  claim(start: number, lenBytes: number): boolean {
    const end = start + lenBytes;
    if (start < 0 || lenBytes <= 0 || end > this.memoryBytes || this.claimed.length >= MAX_RANGES) return false;
    if (this.claimed.some((range) => range.start < end && start < range.end)) return false;
    this.replace([...this.claimed, { start, end }]);
    return true;
  }

  /** Claims the highest free range below the limit at a multiple of `alignment`; its address, or undefined. */
  claimAnywhere(lenBytes: number, alignment: number): number | undefined {
    assert(alignment >= 1, 'alignment is positive');
    for (const { start, end } of this.free().reverse()) {
      const highest = Math.min(end, this.limit) - lenBytes;
      const aligned = highest - (((highest % alignment) + alignment) % alignment);
      if (aligned >= start && this.claim(aligned, lenBytes)) return aligned;
    }
    return undefined;
  }

  /** Frees these bytes. False, and no change, unless every one of them is claimed. */
  release(start: number, lenBytes: number): boolean {
    const end = start + lenBytes;
    const holder = this.claimed.find((range) => range.start <= start && end <= range.end);
    if (holder === undefined || lenBytes <= 0 || this.claimed.length >= MAX_RANGES) return false;
    const parts = [
      { start: holder.start, end: start },
      { start: end, end: holder.end },
    ];
    this.replace([...this.claimed.filter((range) => range !== holder), ...parts]);
    return true;
  }

  /** The free ranges in ascending order. */
  free(): MemoryRange[] {
    const free: MemoryRange[] = [];
    let at = 0;
    for (const { start, end } of [...this.claimed, { start: this.memoryBytes, end: this.memoryBytes }]) {
      if (start > at) free.push({ start: at, end: start });
      at = end;
    }
    return free;
  }

  /** Sorts, drops empty ranges and joins those that touch. */
  private replace(ranges: MemoryRange[]): void {
    const joined: { start: number; end: number }[] = [];
    for (const range of ranges.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start)) {
      const last = joined.at(-1);
      if (last !== undefined && last.end === range.start) last.end = range.end;
      else joined.push({ ...range });
    }
    this.claimed = joined;
  }
}
