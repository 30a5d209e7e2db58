// Which interrupt sources of a range are handed out, in blocks of consecutive numbers.

import { assert } from '../../util/errors.ts';

export class SourceBlocks {
  private readonly first: number;
  private readonly used: Uint8Array;

  constructor(first: number, count: number) {
    this.first = first;
    this.used = new Uint8Array(count);
  }

  /** The lowest `count` consecutive free numbers from a multiple of `alignment` on, now taken; undefined if there are none. */
  take(count: number, alignment: number): number | undefined {
    let start = (alignment - (this.first % alignment)) % alignment;
    for (; start + count <= this.used.length; start += alignment) {
      if (this.used.subarray(start, start + count).includes(1)) continue;
      this.used.fill(1, start, start + count);
      return this.first + start;
    }
    return undefined;
  }

  /** Gives back numbers that were taken. */
  free(first: number, count: number): void {
    const start = first - this.first;
    assert(!this.used.subarray(start, start + count).includes(0), `interrupt source 0x${first.toString(16)} is free`);
    this.used.fill(0, start, start + count);
  }
}
