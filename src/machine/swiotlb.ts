// The bounce slots of a Linux guest by its own count: `io_tlb_default_mem`, found with the kernel's symbols.
//
// The structure differs between versions and configurations, so nothing is taken on trust. It counts as found only if
// its first two doublewords are the bounds of shared memory, a doubleword behind them is the number of slots in that, and
// two words are a number of areas and of slots per area whose product it is (kernels since 6.0); the pointer that follows
// leads to the areas, each with a number of used slots and a next index that are possible. Else there is no answer.

import { SLOT_BYTES } from '../memory/shared-use.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { GuestReader } from './call-chain.ts';

export interface SwiotlbReport {
  readonly startGra: number;
  readonly slots: number;
  readonly slotBytes: number;
  readonly areas: number;
  readonly inUse: number;
  /** Most slots in use when a driver told a device to start. */
  readonly highWater: number;
  /** Where the numbers come from. */
  readonly source: string;
}

const SYMBOL = 'io_tlb_default_mem';
/** Words of the structure that are looked at. */
const WORDS = 32;
/** struct io_tlb_area: used slots (doubleword), next index (word), a lock (word). */
const AREA_BYTES = 16n;
const MAX_AREAS = 4096;
const REAL_MASK = 0x0fff_ffff_ffff_ffffn;

interface Found {
  readonly startGra: number;
  readonly slots: number;
  readonly areas: number;
  readonly areaSlots: number;
  /** Effective address of the areas. */
  readonly areasAt: bigint;
}

export class SwiotlbView {
  private readonly symbols: (reader: GuestReader) => SymbolTable | undefined;
  private readonly shared: () => Iterable<{ readonly startGra: number; readonly endGra: number }>;
  private found: Found | undefined;
  private inUse = 0;
  private highWater = 0;

  /** `shared`: memory that the guest has shared, by the call that did it. */
  constructor(symbols: SwiotlbView['symbols'], shared: SwiotlbView['shared']) {
    this.symbols = symbols;
    this.shared = shared;
  }

  /** Looks at the count now. */
  sample(reader: GuestReader): void {
    this.found ??= this.find(reader);
    if (!this.found) return;
    const used = usedSlots(reader, this.found);
    if (used === undefined) return;
    this.inUse = used;
    this.highWater = Math.max(this.highWater, used);
  }

  /** The machine starts anew. */
  forget(): void {
    this.found = undefined;
    this.inUse = 0;
    this.highWater = 0;
  }

  report(): SwiotlbReport | undefined {
    const { found, inUse, highWater } = this;
    if (!found) return undefined;
    const { startGra, slots, areas } = found;
    return { startGra, slots, slotBytes: SLOT_BYTES, areas, inUse, highWater, source: SYMBOL };
  }

  private find(reader: GuestReader): Found | undefined {
    const shared = [...this.shared()];
    // Reading a kernel's symbols takes a while: not for guests that share nothing.
    if (shared.length === 0) return undefined;
    const at = this.symbols(reader)?.addressOf(SYMBOL);
    if (at === undefined) return undefined;
    const start = reader.load64(at);
    const end = reader.load64(at + 8n);
    if (start === undefined || end === undefined || start >= end || end >= REAL_MASK) return undefined;
    const startGra = Number(start);
    const endGra = Number(end);
    const isShared = shared.some((range) => range.startGra <= startGra && endGra <= range.endGra);
    const slots = (endGra - startGra) / SLOT_BYTES;
    if (!isShared || !Number.isInteger(slots)) return undefined;
    const words = Array.from({ length: WORDS }, (_, i) => reader.load32(at + BigInt(4 * i)) ?? 0);
    const counted = words.some((word, i) => i >= 4 && i % 2 === 0 && word === slots && words[i + 1] === 0);
    if (!counted) return undefined;
    for (let i = 4; i < WORDS - 4; i++) {
      const [areas, areaSlots] = [words[i], words[i + 1]];
      if (areas < 1 || areas > MAX_AREAS || areas * areaSlots !== slots) continue;
      // The slot count itself with the zero above it is no such pair, for its product is zero.
      const areasAt = reader.load64(at + BigInt(8 * Math.ceil((i + 2) / 2)));
      if (areasAt === undefined) continue;
      const found = { startGra, slots, areas, areaSlots, areasAt };
      if (usedSlots(reader, found) !== undefined) return found;
    }
    return undefined;
  }
}

/** Used slots of all areas; undefined if what is there cannot be areas. */
function usedSlots(reader: GuestReader, { areas, areaSlots, areasAt }: Found): number | undefined {
  let sum = 0;
  for (let i = 0; i < areas; i++) {
    const at = areasAt + BigInt(i) * AREA_BYTES;
    const used = reader.load64(at);
    const index = reader.load32(at + 8n);
    if (used === undefined || index === undefined || used > BigInt(areaSlots) || index > areaSlots) return undefined;
    sum += Number(used);
  }
  return sum;
}
