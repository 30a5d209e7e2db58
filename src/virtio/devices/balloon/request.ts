// What a balloon driver sends: lists of page numbers, and statistics (VIRTIO 1.2 5.5.6, 5.5.6.3).

import type { DescriptorChain } from '../../core/chain.ts';

/** Page numbers of one buffer; Linux sends 256. */
export const MAX_PAGES = 16384;
const PAGE_NUMBER_BYTES = 4;

const STAT_BYTES = 10;
/** Statistics of one buffer. */
const MAX_STATS = 64;

/** By tag. */
export const STAT_NAMES = [
  'swap-in',
  'swap-out',
  'major-faults',
  'minor-faults',
  'free-memory',
  'total-memory',
  'available-memory',
  'disk-caches',
  'hugetlb-allocations',
  'hugetlb-failures',
] as const;

export type BalloonStats = Partial<Record<(typeof STAT_NAMES)[number], bigint>>;

/** Numbers of 4 KiB pages; a string says what is wrong; undefined: memory could not be reached. */
export function parsePages(chain: DescriptorChain): Uint32Array | string | undefined {
  const count = chain.readableBytes / PAGE_NUMBER_BYTES;
  if (!Number.isInteger(count) || count > MAX_PAGES) return `a list of pages of ${chain.readableBytes} bytes`;
  const bytes = chain.readBytes(0, chain.readableBytes);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  return Uint32Array.from({ length: count }, (_, n) => view.getUint32(PAGE_NUMBER_BYTES * n, true));
}

/** Unknown tags are left out; a torn last entry is ignored, as Linux may send fewer than it has room for. */
export function parseStats(chain: DescriptorChain): BalloonStats | string | undefined {
  if (chain.readableBytes > MAX_STATS * STAT_BYTES) return `statistics of ${chain.readableBytes} bytes`;
  const bytes = chain.readBytes(0, chain.readableBytes);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  const stats: BalloonStats = {};
  for (let at = 0; at + STAT_BYTES <= bytes.length; at += STAT_BYTES) {
    const name = STAT_NAMES[view.getUint16(at, true)];
    if (name) stats[name] = view.getBigUint64(at + 2, true);
  }
  return stats;
}
