// The pages that a region has code of, besides its own: those that the instruction TLB knows at places near by when the
// region is made. Whether they are still there, with the same code, is looked up whenever control crosses over.

import { FETCH_MODE_USUAL } from '../interpreter/handlers.ts';
import { type StateField, stateOffset } from '../state/layout.ts';
import {
  DECODED_SLOT_BYTES,
  decodedPageInfo,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_ENTRY_BYTES,
  fetchTlbEntry,
  STATE_BASE,
} from '../state/memory-map.ts';

/** A page other than the region's own; `generation` is what it had when its words were read. */
export interface ForeignPage {
  /** Memory offset of the decoded page. */
  readonly decoded: number;
  readonly generation: number;
}

/** How many pages besides its own a region may have code of. */
const MAX_FOREIGN_PAGES = 12;

/** Memory offset of the decoded page that the instruction TLB has for the page of `address`. */
export function decodedPageAt(view: DataView, address: bigint): number | undefined {
  const ea = BigInt.asUintN(64, address & -4096n);
  const place = Number((ea >> 8n) & BigInt((FETCH_TLB_ENTRIES - 1) * FETCH_TLB_ENTRY_BYTES));
  const entry = view.getUint32(STATE_BASE + stateOffset('fetchTlb'), true) + place;
  const field: StateField = ea >> 63n ? 'contextFetchKernel' : 'contextFetch';
  const context = view.getBigUint64(STATE_BASE + stateOffset(field), true);
  if (view.getBigUint64(entry + fetchTlbEntry.tag, true) !== (ea | context)) return undefined;
  return view.getUint32(entry + fetchTlbEntry.page, true);
}

export class RegionPages {
  private readonly view: DataView;
  private readonly own: number;
  private readonly ownEa: bigint;
  /** More changes of code than this make a page unfit for regions. */
  private readonly patience: number;
  private readonly known = new Map<number, ForeignPage | undefined>();
  private count = 0;

  /** `own` is the memory offset of the region's decoded page, `ownEa` the effective address that it is executed at. */
  constructor(view: DataView, own: number, ownEa: bigint, patience: number) {
    this.view = view;
    this.own = own;
    this.ownEa = ownEa;
    this.patience = patience;
  }

  /** The page `index` pages behind the region's own; undefined if the region cannot have code of it. */
  foreign(index: number): ForeignPage | undefined {
    if (this.known.has(index)) return this.known.get(index);
    const found = this.count < MAX_FOREIGN_PAGES ? this.find(index) : undefined;
    if (found) this.count++;
    this.known.set(index, found);
    return found;
  }

  /** Memory offset of the decoded page that a distance is in. */
  decodedAt(offset: number): number | undefined {
    const index = Math.floor(offset / 4096);
    return index === 0 ? this.own : this.foreign(index)?.decoded;
  }

  /** The instruction word at a distance. */
  word(offset: number): number | undefined {
    const decoded = this.decodedAt(offset);
    if (decoded === undefined) return undefined;
    return this.view.getUint32(this.view.getUint32(decoded + decodedPageInfo.source, true) + (offset & 0xfff), true);
  }

  /** The distance of the function that the instruction at a distance calls: undefined if it is no relative `bl`. */
  calledAt(offset: number): number | undefined {
    const word = this.word(offset);
    if (word === undefined || (word & 0xfc00_0003) !== 0x4800_0001) return undefined;
    return offset + (((word & 0x03ff_fffc) << 6) >> 6);
  }

  /** Whether control has been at a distance, as far as the interpreter has noted it. */
  reached(offset: number): boolean {
    const decoded = this.decodedAt(offset);
    if (decoded === undefined) return false;
    const at = decoded + (offset & 0xfff) / 4;
    const heat = this.view.getUint16(decoded + decodedPageInfo.heat + (offset & 0xfff) / 2, true);
    return heat > 0 || this.view.getUint8(at + decodedPageInfo.covered) === 1;
  }

  /** Whether the instruction at a distance has been executed, by the interpreter or in a region that is still there. */
  executed(offset: number): boolean {
    const decoded = this.decodedAt(offset);
    if (decoded === undefined) return false;
    const within = offset & 0xfff;
    if (this.view.getUint32(decoded + (within / 4) * DECODED_SLOT_BYTES, true) !== 0) return true;
    return this.view.getUint8(decoded + decodedPageInfo.covered + within / 4) === 1;
  }

  /** Distances in the page with a place whose count of arrivals is at least `enough`. */
  arrivals(index: number, enough: number): number[] {
    const decoded = this.decodedAt(index * 4096);
    const found: number[] = [];
    if (decoded === undefined) return found;
    for (let within = 0; within < 4096; within += 4) {
      const heat = this.view.getUint16(decoded + decodedPageInfo.heat + within / 2, true);
      if (heat >= enough) found.push(index * 4096 + within);
    }
    return found;
  }

  private find(index: number): ForeignPage | undefined {
    const { view } = this;
    const decoded = decodedPageAt(view, this.ownEa + BigInt(index * 4096));
    if (decoded === undefined) return undefined;
    const usual = view.getUint32(decoded + decodedPageInfo.mode, true) === FETCH_MODE_USUAL;
    const quiet = view.getUint32(decoded + decodedPageInfo.drops, true) <= this.patience;
    if (!usual || !quiet || decoded === this.own) return undefined;
    return { decoded, generation: view.getUint32(decoded + decodedPageInfo.generation, true) };
  }
}
