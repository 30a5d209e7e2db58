// Where things stand in the WebAssembly memory of the CPU core. Byte offsets; guest RAM comes last.

import { stateBytes } from './layout.ts';

export const MAX_VCPUS = 16;
/** The largest RAM that fits a 4 GiB WebAssembly memory beside the tables below. */
export const MAX_RAM_BYTES = 3584 * 1024 * 1024;

/** Register block of the running vCPU. Offset 0 is left unused, so that 0 can mean "none". */
export const STATE_BASE = 0x1000;
/** What the vCPUs share (`sharedLayout`). */
export const SHARED_BASE = 0x3000;
/** Register blocks of vCPUs that wait for their turn. */
export const SAVED_STATES_BASE = 0x4000;
export const SAVED_STATE_STRIDE = (stateBytes + 0xff) & ~0xff;

/** Translation modes: each has its own TLBs. */
export const TLB_MODES = { real: 0, kernel: 1, user: 2 } as const;
export const TLB_MODE_COUNT = 3;

/** Data TLB entry: read tag (i64), write tag (i64), addend (i32), padding. */
export const DATA_TLB_ENTRIES = 4096;
export const DATA_TLB_ENTRY_BYTES = 32;
export const DATA_TLB_BYTES = DATA_TLB_ENTRIES * DATA_TLB_ENTRY_BYTES;
export const dataTlbEntry = { readTag: 0, writeTag: 8, addend: 16 } as const;
export const DATA_TLB_BASE = 0x40000;

/** Instruction TLB entry: tag (i64), memory offset of the decoded page (i32), padding. */
export const FETCH_TLB_ENTRIES = 1024;
export const FETCH_TLB_ENTRY_BYTES = 16;
export const FETCH_TLB_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_ENTRY_BYTES;
export const fetchTlbEntry = { tag: 0, page: 8 } as const;
export const FETCH_TLB_BASE = DATA_TLB_BASE + TLB_MODE_COUNT * DATA_TLB_BYTES;

/** Context number (u16) of each process ID; 0 where none was given yet. */
export const PID_BITS = 20;
export const PID_CONTEXTS_BASE = 0x200000;
export const PID_CONTEXTS_BYTES = 2 << PID_BITS;

/** One u32 for each 4 KiB page of RAM: decoded-page number plus one in bits 0-15, flags above. */
export const PAGE_INFO_BASE = PID_CONTEXTS_BASE + PID_CONTEXTS_BYTES;
export const PAGE_INFO_BYTES = (MAX_RAM_BYTES / 4096) * 4;
/**
 * `writable`: a TLB entry may let stores to the page pass unseen; `scattered`: and not only the entries at the page's own
 * place, where the kernel's linear mapping and real mode have it.
 */
export const pageInfoFlag = { writable: 0x10000, scattered: 0x20000 } as const;
export const PAGE_INFO_INDEX_MASK = 0xffff;

/**
 * One byte for each 4 KiB page of RAM: 0 while it can be used, `absent` while its contents are elsewhere (every access
 * then asks the host), `watched` until the next access that no TLB settles, which makes it 0 again.
 */
export const PRESENCE_BASE = PAGE_INFO_BASE + PAGE_INFO_BYTES;
export const PRESENCE_BYTES = MAX_RAM_BYTES / 4096;
export const presence = { absent: 1, watched: 2 } as const;

/**
 * Decoded pages: 1,024 slots of (handler index, instruction word) for the words of a 4 KiB page, and one more slot that
 * goes on to the next page. The stride is a power of two so that a slot's page is a mask away.
 */
export const DECODED_PAGES = 8192;
export const DECODED_PAGE_STRIDE = 0x4000;
export const DECODED_SLOT_BYTES = 8;
export const DECODED_END = 1024 * DECODED_SLOT_BYTES;
/**
 * Behind the end slot: RAM offset in memory of the page, mode key, stores seen since it was entered; whether compiled
 * regions hold words of it, and how often such regions were dropped because a word changed; whether it is executed in
 * several translation modes; a number that is another one whenever what regions have taken of the page has become void;
 * when its counts of arrivals began, in 2^20 ticks of the timebase. `covered` is a byte for each word, 1 if it is part of a
 * region; `heat` a 16-bit count of arrivals by branches for each word.
 */
export const decodedPageInfo = {
  source: DECODED_END + 8,
  mode: DECODED_END + 12,
  stores: DECODED_END + 16,
  regions: DECODED_END + 20,
  drops: DECODED_END + 24,
  mixed: DECODED_END + 28,
  generation: DECODED_END + 32,
  since: DECODED_END + 36,
  covered: DECODED_END + 0x40,
  heat: DECODED_END + 0x440,
} as const;
export const DECODED_COVERED_BYTES = 1024;
export const DECODED_HEAT_BYTES = 2048;
export const DECODED_BASE = (PRESENCE_BASE + PRESENCE_BYTES + 0xffff) & ~0xffff;

/** Guest real address 0. */
export const RAM_BASE = DECODED_BASE + DECODED_PAGES * DECODED_PAGE_STRIDE;

export function memoryPages(ramBytes: number): number {
  return (RAM_BASE + ramBytes) / 0x10000;
}
