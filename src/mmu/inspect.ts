// Guest translation for onlookers (reports, debuggers): finds where an effective address leads, changes nothing, and
// raises no fault. The CPU core translates with radix.ts, which is the meaning; this follows the same trees
// (ISA 3.0B III 5.7.10), process-scoped, without checks of privilege and keys.

import type { GuestMemory } from '../memory/guest-memory.ts';
import { ENTRY, REAL_MODE_MASK } from './radix.ts';

/** What a translation starts from. */
export interface TranslationState {
  /** Process table as registered with H_REGISTER_PROC_TBL; 0 bytes if there is none. */
  readonly processTable: bigint;
  readonly processTableBytes: bigint;
  readonly pidr: bigint;
  /** MSR[IR] or MSR[DR], whichever is for the access. */
  readonly relocation: boolean;
}

export interface InspectedPage {
  /** Guest real address of the byte asked for. */
  readonly gra: number;
  /** Bytes from it to the end of its page. */
  readonly leftBytes: number;
  readonly execute: boolean;
}

const QUADRANT_BITS = 0x3ffn << 52n;
const EA_OFFSET = 0x000f_ffff_ffff_ffffn;
const MAX_LEVELS = 4;

/** Where `ea` leads; undefined if nowhere, or not to RAM. */
export function inspect(memory: GuestMemory, state: TranslationState, ea: bigint): InspectedPage | undefined {
  if (!state.relocation) {
    const gra = ea & REAL_MODE_MASK;
    if (gra >= BigInt(memory.sizeBytes)) return undefined;
    return { gra: Number(gra), leftBytes: 0x1000 - Number(gra & 0xfffn), execute: true };
  }
  const quadrant = ea >> 62n;
  if ((quadrant !== 0n && quadrant !== 3n) || (ea & QUADRANT_BITS & ~(3n << 62n)) !== 0n) return undefined;
  const offset = (quadrant === 3n ? 0n : state.pidr) << 4n;
  if (offset + 16n > state.processTableBytes) return undefined;
  const root = load(memory, state.processTable + offset);
  if (root === undefined) return undefined;
  let base = root & ENTRY.nextLevel;
  let bits = root & ENTRY.levelSize;
  let shift = 52n;
  for (let level = 0; level < MAX_LEVELS; level++) {
    shift -= bits;
    if (bits === 0n || shift < 12n) return undefined;
    const index = ((ea & EA_OFFSET) >> shift) & ((1n << bits) - 1n);
    const entry = load(memory, base + (index << 3n));
    if (entry === undefined || (entry & ENTRY.valid) === 0n) return undefined;
    if ((entry & ENTRY.leaf) === 0n) {
      base = entry & ENTRY.nextLevel;
      bits = entry & ENTRY.levelSize;
      continue;
    }
    const within = (1n << shift) - 1n;
    const gra = (entry & ENTRY.realPage & ~within) | (ea & within);
    if (gra >= BigInt(memory.sizeBytes)) return undefined;
    const leftBytes = Number(within + 1n - (ea & within));
    return { gra: Number(gra), leftBytes, execute: (entry & ENTRY.execute) !== 0n };
  }
  return undefined;
}

/** A doubleword of a table; tables are big-endian. */
function load(memory: GuestMemory, address: bigint): bigint | undefined {
  if (address + 8n > BigInt(memory.sizeBytes)) return undefined;
  return memory.loadU64BE(Number(address));
}
