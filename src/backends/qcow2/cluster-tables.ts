// The map from clusters of the disk to clusters of the file: L1 table in memory, L2 tables in a bounded cache.

import { ImageError } from './image-error.ts';
import { COPIED, decodeL2Entry, entryOffset, type Mapping, storeL2Entry } from './l2-entry.ts';
import { Mutex } from './locks.ts';
import type { PointerTable } from './pointer-table.ts';
import type { Refcounts } from './refcounts.ts';
import type { CachedTable, TableCache } from './table-cache.ts';

export interface MapGeometry {
  readonly version: 2 | 3;
  readonly clusterBits: number;
}

const unallocated: Mapping = { kind: 'unallocated' };

export class ClusterTables {
  readonly l1: PointerTable;
  readonly cache: TableCache;
  readonly entriesPerTable: number;
  private readonly clusterBytes: number;
  private readonly geometry: MapGeometry;
  private readonly refcounts: Refcounts;
  private readonly mutex = new Mutex();

  constructor(l1: PointerTable, cache: TableCache, geometry: MapGeometry, refcounts: Refcounts) {
    this.l1 = l1;
    this.cache = cache;
    this.geometry = geometry;
    this.refcounts = refcounts;
    this.clusterBytes = 2 ** geometry.clusterBits;
    this.entriesPerTable = this.clusterBytes / 8;
  }

  /**
   * How clusters `first` to `first + count - 1` of the disk are stored; the caller holds a claim on them.
   * Throws IMAGE_CORRUPT for entries that are not possible.
   */
  async lookup(first: number, count: number): Promise<Mapping[]> {
    const mappings: Mapping[] = [];
    for (let cluster = first; cluster < first + count; ) {
      const index = Math.floor(cluster / this.entriesPerTable);
      const end = Math.min(first + count, (index + 1) * this.entriesPerTable);
      const offset = this.l2Offset(index);
      if (offset === 0) {
        for (; cluster < end; cluster++) mappings.push(unallocated);
        continue;
      }
      const table = this.cache.peek(offset) ?? (await this.cache.load(offset));
      for (; cluster < end; cluster++) mappings.push(this.decode(table, cluster));
    }
    return mappings;
  }

  /** Changes the entries of clusters in a row, which the caller has claimed exclusively. */
  async store(first: number, mappings: readonly Mapping[]): Promise<void> {
    for (let done = 0; done < mappings.length; ) {
      const cluster = first + done;
      const index = Math.floor(cluster / this.entriesPerTable);
      await this.ensureOwn(index);
      const entry = cluster % this.entriesPerTable;
      const part = mappings.slice(done, done + this.entriesPerTable - entry);
      await this.cache.change(this.l2Offset(index), (table) => {
        part.forEach((mapping, step) => {
          storeL2Entry(table.view, (entry + step) * 8, mapping);
        });
        this.cache.changed(table, entry * 8, (entry + part.length) * 8);
      });
      done += part.length;
    }
  }

  /** Sees to it that the L2 tables of the clusters exist and are not shared, so that `store` needs no new cluster. */
  async prepare(first: number, count: number): Promise<void> {
    const last = Math.floor((first + count - 1) / this.entriesPerTable);
    for (let index = Math.floor(first / this.entriesPerTable); index <= last; index++) await this.ensureOwn(index);
  }

  /** 0 if there is none. */
  l2Offset(index: number): number {
    if (index >= this.l1.length) throw new ImageError('IMAGE_RANGE', 'The L1 table does not reach that far.');
    return entryOffset(this.l1.high(index), this.l1.low(index), this.clusterBytes, 'the L1 table');
  }

  private decode(table: CachedTable, cluster: number): Mapping {
    const at = (cluster % this.entriesPerTable) * 8;
    return decodeL2Entry(
      table.view.getUint32(at),
      table.view.getUint32(at + 4),
      this.geometry.clusterBits,
      this.geometry.version,
    );
  }

  private async ensureOwn(index: number): Promise<void> {
    const own = () => this.l2Offset(index) !== 0 && (this.l1.high(index) & COPIED) !== 0;
    if (!own()) await this.mutex.run(async () => own() || this.makeOwn(index));
  }

  /** Allocates an L2 table, or a copy of one that an internal snapshot shares. */
  private async makeOwn(index: number): Promise<void> {
    const old = this.l2Offset(index);
    const { offset } = await this.refcounts.allocate(1);
    try {
      await this.cache.makeRoom();
      const bytes = old === 0 ? new Uint8Array(this.clusterBytes) : (await this.cache.load(old)).bytes.slice();
      this.cache.insert(offset, bytes);
    } catch (error) {
      await this.refcounts.releaseNow(offset, 1);
      throw error;
    }
    this.l1.set(index, offset, COPIED);
    if (old !== 0) this.refcounts.releaseLater(old, this.clusterBytes);
  }
}
