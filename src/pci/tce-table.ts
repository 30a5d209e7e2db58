// A table of translation control entries: one DMA window of a host bridge (LoPAR, DMA Window and TCE). An entry is
// the guest real address of a page, with the value 1 added if devices may read it and 2 if they may write it.
//
// Entries are kept as the guest gave them, as pairs of 32-bit words; an address that is no RAM is found out when a device
// uses it.

import { assert } from '../util/errors.ts';
import type { BusAddress } from './bus-address.ts';

/** What the device does to memory. */
export type DmaAccess = 'read' | 'write';

export const TCE_READ = 1;
export const TCE_WRITE = 2;

/** `translate`: the entry allows neither reading nor writing. */
export const NOT_MAPPED = -1;
/** `translate`: the entry allows the other kind of access only. */
export const NOT_PERMITTED = -2;

/** Entries of the largest table: what one table may take of the host's memory is eight bytes times this. */
export const MAX_TCES = 2 ** 22;

/** Entries whose address is above this have no page behind them. */
const MAX_HIGH = 2 ** 20;
const WORD = 2 ** 32;

export class TceTable {
  /** Logical I/O bus number: what hypercalls call the window. */
  readonly liobn: number;
  /** First bus address of the window. */
  readonly base: BusAddress;
  /** log2 of the bytes an entry maps, 12 to 28. */
  readonly pageShift: number;
  readonly pageBytes: number;
  readonly entries: number;
  readonly sizeBytes: number;
  private readonly pagesPerByte: number;
  private readonly offsetMask: number;
  /** Word 2n is the high word of entry n. */
  private readonly words: Uint32Array;

  constructor(window: { liobn: number; base: BusAddress; pageShift: number; entries: number }) {
    assert(window.entries > 0 && window.entries <= MAX_TCES, `${window.entries} TCEs were not checked by the caller`);
    assert(window.pageShift >= 12 && window.pageShift <= 28, `TCE page shift ${window.pageShift}`);
    this.liobn = window.liobn;
    this.base = window.base;
    this.pageShift = window.pageShift;
    this.pageBytes = 2 ** window.pageShift;
    // Page arithmetic by a power of two is exact in doubles; % on numbers beyond 2^31 would be a slow library call.
    this.pagesPerByte = 1 / this.pageBytes;
    this.offsetMask = this.pageBytes - 1;
    this.entries = window.entries;
    this.sizeBytes = this.entries * this.pageBytes;
    this.words = new Uint32Array(2 * this.entries);
  }

  contains(address: BusAddress): boolean {
    return address >= this.base && address < this.base + this.sizeBytes;
  }

  /** Number of the entry that maps `address`, which may lie anywhere in its page; -1 if it is outside of the window. */
  indexOf(address: BusAddress): number {
    return this.contains(address) ? Math.floor((address - this.base) * this.pagesPerByte) : -1;
  }

  /** Sets entry `index`, 0 to entries - 1, to two 32-bit words. */
  set(index: number, high: number, low: number): void {
    this.words[2 * index] = high;
    this.words[2 * index + 1] = low;
  }

  high(index: number): number {
    return this.words[2 * index];
  }
  low(index: number): number {
    return this.words[2 * index + 1];
  }

  clear(): void {
    this.words.fill(0);
  }

  /**
   * The guest real address behind `address`, which the window contains; NOT_MAPPED or NOT_PERMITTED if the entry says
   * so. The address may not be RAM.
   */
  translate(address: BusAddress, access: DmaAccess): number {
    const offset = address - this.base;
    const index = Math.floor(offset * this.pagesPerByte);
    const low = this.words[2 * index + 1];
    if ((low & (access === 'read' ? TCE_READ : TCE_WRITE)) === 0) {
      return (low & (TCE_READ | TCE_WRITE)) === 0 ? NOT_MAPPED : NOT_PERMITTED;
    }
    const high = this.words[2 * index];
    // Beyond all RAM, yet a number that can be added to.
    if (high >= MAX_HIGH) return MAX_HIGH * WORD;
    return high * WORD + ((low & ~this.offsetMask) >>> 0) + (offset - index * this.pageBytes);
  }

  /** How many bytes of the page lie at `address`, which the window contains, and behind it. */
  leftInPage(address: BusAddress): number {
    const offset = address - this.base;
    return (Math.floor(offset * this.pagesPerByte) + 1) * this.pageBytes - offset;
  }
}
