// Random requests in batches, the same for the same seed, and what a disk may hold when it stopped in between:
// each sector what the last flushed request left there, or what any later one did.

import type { DiskImage } from '../../src/backends/qcow2/ports.ts';
import { randomFrom } from './support.ts';

export interface Operation {
  /** From 1, rising. */
  readonly id: number;
  readonly kind: 'write' | 'zero' | 'discard';
  readonly first: number;
  readonly count: number;
}

export interface Batch {
  /** They touch different sectors, so that they may run at the same time. */
  readonly operations: readonly Operation[];
  readonly flush: boolean;
}

const sectorBytes = 512;
const zeros = new Uint8Array(sectorBytes);

export function* batches(seed: number, sectors: number): Generator<Batch> {
  const random = randomFrom(seed);
  for (let id = 1; ; ) {
    const operations: Operation[] = [];
    for (let step = 0; step < 4; step++) {
      const first = Math.floor(random() * sectors);
      const count = Math.min(sectors - first, 1 + Math.floor(random() ** 2 * 40));
      const choice = random();
      const kind = choice < 0.75 ? 'write' : choice < 0.9 ? 'zero' : 'discard';
      if (operations.some((other) => first < other.first + other.count && other.first < first + count)) continue;
      operations.push({ id: id++, kind, first, count });
    }
    yield { operations, flush: random() < 0.4 };
  }
}

export function perform(disk: DiskImage, { id, kind, first, count }: Operation): Promise<void> {
  if (kind === 'zero') return disk.writeZeroes(first * sectorBytes, count * sectorBytes, id % 2 === 0);
  if (kind === 'discard') return disk.discard(first * sectorBytes, count * sectorBytes);
  const bytes = new Uint8Array(count * sectorBytes);
  for (let index = 0; index < count; index++) fillSector(bytes.subarray(index * sectorBytes), first + index, id);
  return disk.write(first * sectorBytes, bytes);
}

function fillSector(bytes: Uint8Array, sector: number, id: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, sectorBytes);
  for (let at = 0; at < sectorBytes; at += 8) {
    view.setUint32(at, sector);
    view.setUint32(at + 4, id);
  }
}

export class SectorModel {
  private readonly history: Operation[][];

  constructor(sectors: number) {
    this.history = Array.from({ length: sectors }, () => []);
  }

  record(operation: Operation): void {
    for (let sector = operation.first; sector < operation.first + operation.count; sector++) {
      this.history[sector].push(operation);
    }
  }

  /** Complaints about a disk that holds `bytes`, when requests up to `flushedId` were flushed. */
  complaints(bytes: Uint8Array, flushedId: number): string[] {
    const found: string[] = [];
    this.history.forEach((operations, sector) => {
      const part = bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
      const from = operations.findLastIndex(({ id, kind }) => id <= flushedId && kind !== 'discard');
      const allowed = from < 0 ? [0] : [];
      for (const { id, kind } of operations.slice(Math.max(0, from))) allowed.push(kind === 'write' ? id : 0);
      const holds = contentOf(part, sector);
      if (!allowed.includes(holds)) found.push(`sector ${sector} holds ${holds}, not one of ${allowed.join(', ')}`);
    });
    return found;
  }
}

/** The request that wrote the sector; 0 for zeros, -1 for what no request wrote. */
function contentOf(bytes: Uint8Array, sector: number): number {
  if (Buffer.compare(bytes, zeros) === 0) return 0;
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
  const expected = new Uint8Array(sectorBytes);
  fillSector(expected, sector, id);
  return Buffer.compare(bytes, expected) === 0 ? id : -1;
}
