// Which clusters of the file are in use: refcount table and blocks, allocation and release
// (QEMU docs/interop/qcow2.txt, "Host cluster management").
//
// Counts go up in memory before anything refers to the cluster, and the write-back puts them into the file first. A
// cluster that a table stops referring to is released only when the file no longer has that reference (`releaseLater`,
// `takeReleases`): until then a crash must find its old content.

import { headerField, limits } from './header.ts';
import { hex, ImageError } from './image-error.ts';
import { entryOffset } from './l2-entry.ts';
import { Mutex } from './locks.ts';
import { PointerTable } from './pointer-table.ts';
import type { RandomAccessFile } from './ports.ts';
import { getRefcount, maxRefcount, refcountByte, setRefcount } from './refcount-entry.ts';
import { type CachedTable, TableCache } from './table-cache.ts';

export interface RefcountGeometry {
  readonly clusterBytes: number;
  readonly refcountOrder: number;
  /** Clusters that never can be free: header and L1 table, as [offset, bytes]. */
  readonly fixed: readonly (readonly [number, number])[];
}

/** Clusters in a row. `fresh`: the file ends before them, so that what is not written in them reads as zeros. */
export interface Extent {
  readonly offset: number;
  readonly count: number;
  readonly fresh: boolean;
}

/** A run of clusters to be released, as [first cluster, count]. */
export type Release = readonly [number, number];

export interface WriteBackPort {
  /** Writes all changed tables in a safe order. */
  writeBack(): Promise<void>;
  /** Keeps later writes behind earlier ones, also through a loss of power. */
  barrier(): Promise<void>;
}

export class Refcounts {
  readonly table: PointerTable;
  readonly cache: TableCache;
  private readonly file: RandomAccessFile;
  private readonly geometry: RefcountGeometry;
  private readonly order: WriteBackPort;
  private readonly entriesPerBlock: number;
  private readonly mutex = new Mutex();
  /** No cluster below this one is free. */
  private hint = 0;
  /** Where the part of the file begins that was never written. */
  private freshFrom: number;
  private tableChecked = false;
  private later: Release[] = [];
  private ready: Release[] = [];

  constructor(
    file: RandomAccessFile,
    fileBytes: number,
    table: PointerTable,
    geometry: RefcountGeometry,
    cacheTables: number,
    order: WriteBackPort,
  ) {
    this.file = file;
    this.table = table;
    this.geometry = geometry;
    this.order = order;
    this.entriesPerBlock = (geometry.clusterBytes * 8) / 2 ** geometry.refcountOrder;
    this.freshFrom = Math.ceil(fileBytes / geometry.clusterBytes) * geometry.clusterBytes;
    this.cache = new TableCache(file, geometry.clusterBytes, cacheTables, 'a refcount block', () => order.writeBack());
  }

  /** The end of all clusters known: the file as it was opened and everything allocated since. */
  get endOffset(): number {
    return this.freshFrom;
  }

  get coveredClusters(): number {
    return this.table.length * this.entriesPerBlock;
  }

  /** Counts up to `count` free clusters in a row as used; at least one. Throws IMAGE_FULL or IMAGE_CORRUPT. */
  allocate(count: number): Promise<Extent> {
    return this.mutex.run(async () => {
      await this.releaseReady();
      return this.allocateLocked(count);
    });
  }

  /** Gives back what nothing in the file refers to. */
  releaseNow(offset: number, count: number): Promise<void> {
    return this.mutex.run(() => this.decrement([offset / this.geometry.clusterBytes, count]));
  }

  /** Gives back clusters once the next write-back has taken the reference to them out of the file. */
  releaseLater(offset: number, lenBytes: number): void {
    const first = Math.floor(offset / this.geometry.clusterBytes);
    const count = Math.ceil((offset + lenBytes) / this.geometry.clusterBytes) - first;
    const last = this.later[this.later.length - 1];
    if (last !== undefined && last[0] + last[1] === first)
      this.later[this.later.length - 1] = [last[0], last[1] + count];
    else this.later.push([first, count]);
  }

  get releasesWaiting(): number {
    return this.later.length;
  }

  get hasReleases(): boolean {
    return this.later.length > 0 || this.ready.length > 0;
  }

  takeReleases(): Release[] {
    return this.later.splice(0);
  }

  /** Ends what `takeReleases` began: the references are gone from the file, or the releases wait on. */
  settleReleases(releases: readonly Release[], written: boolean): void {
    const list = written ? this.ready : this.later;
    for (const release of releases) list.push(release);
  }

  /** Counts down what is ready for it. */
  applyReleases(): Promise<void> {
    return this.mutex.run(() => this.releaseReady());
  }

  /** The stored count of a cluster. */
  async get(cluster: number): Promise<number> {
    const offset = this.blockOffset(Math.floor(cluster / this.entriesPerBlock));
    if (offset === 0) return 0;
    const block = await this.cache.load(offset);
    return getRefcount(block.view, cluster % this.entriesPerBlock, this.geometry.refcountOrder);
  }

  /** Calls `visit` with the cluster and count of every count that is not zero. */
  async forEach(visit: (cluster: number, count: number) => void): Promise<void> {
    this.checkTable();
    for (let index = 0; index < this.table.length; index++) {
      const offset = this.blockOffset(index);
      if (offset === 0) continue;
      const block = await this.cache.load(offset);
      for (let entry = 0; entry < this.entriesPerBlock; entry++) {
        const count = getRefcount(block.view, entry, this.geometry.refcountOrder);
        if (count !== 0) visit(index * this.entriesPerBlock + entry, count);
      }
    }
  }

  /** Offsets of the refcount blocks, and 0 where there is none. */
  blockOffset(index: number): number {
    if (index >= this.table.length) return 0;
    return entryOffset(this.table.high(index), this.table.low(index), this.geometry.clusterBytes, 'the refcount table');
  }

  /**
   * Sets a count outright, for repair. New blocks for it are allocated from `allocateFrom` on.
   * Throws IMAGE_CORRUPT if the refcount table does not reach that far or the count does not fit.
   */
  repair(cluster: number, count: number, allocateFrom: number): Promise<void> {
    return this.mutex.run(async () => {
      const index = Math.floor(cluster / this.entriesPerBlock);
      if (index >= this.table.length || count > maxRefcount(this.geometry.refcountOrder)) {
        throw new ImageError(
          'IMAGE_CORRUPT',
          `the reference count ${count} of the cluster at ${hex(cluster * this.geometry.clusterBytes)} cannot be stored; repair the image with qemu-img check -r all.`,
        );
      }
      if (this.blockOffset(index) === 0) {
        this.hint = Math.max(this.hint, allocateFrom);
        const { offset } = await this.allocateLocked(1);
        if (this.blockOffset(index) === 0) await this.insertBlock(index, offset);
        else await this.decrement([offset / this.geometry.clusterBytes, 1]);
      }
      await this.changeBlock(index, (block) => this.store(block, cluster % this.entriesPerBlock, count));
    });
  }

  /** After repair: the search for free clusters starts at the beginning again. */
  restartSearch(): void {
    this.hint = 0;
  }

  private async allocateLocked(count: number): Promise<Extent> {
    this.checkTable();
    for (let cluster = this.hint; ; ) {
      const index = Math.floor(cluster / this.entriesPerBlock);
      if (index >= this.table.length) {
        await this.grow();
        continue;
      }
      if (this.blockOffset(index) === 0) {
        await this.createBlock(index, cluster);
        cluster++;
        continue;
      }
      const start = cluster % this.entriesPerBlock;
      const found = await this.changeBlock(index, (block) => this.takeRun(block, start, count));
      if (found !== undefined) {
        const first = index * this.entriesPerBlock + found.entry;
        this.hint = first + found.count;
        return this.extent(first, found.count);
      }
      cluster = (index + 1) * this.entriesPerBlock;
      this.hint = cluster;
    }
  }

  /** Finds free entries in the block from `start` on and sets them to 1. */
  private takeRun(block: CachedTable, start: number, wanted: number): { entry: number; count: number } | undefined {
    const order = this.geometry.refcountOrder;
    let entry = start;
    while (entry < this.entriesPerBlock && getRefcount(block.view, entry, order) !== 0) entry++;
    if (entry >= this.entriesPerBlock) return undefined;
    let count = 0;
    while (count < wanted && entry + count < this.entriesPerBlock) {
      if (getRefcount(block.view, entry + count, order) !== 0) break;
      this.store(block, entry + count, 1);
      count++;
    }
    return { entry, count };
  }

  private extent(first: number, count: number): Extent {
    const { clusterBytes, fixed } = this.geometry;
    const offset = first * clusterBytes;
    const end = offset + count * clusterBytes;
    const inUse = [...fixed, [this.table.offset, this.table.lenBytes] as const];
    for (const [start, lenBytes] of inUse) {
      if (offset < start + lenBytes && start < end) {
        throw new ImageError('IMAGE_CORRUPT', `the cluster at ${hex(start)} is in use but counts as free.`);
      }
    }
    for (let at = offset; at < end; at += clusterBytes) this.cache.forget(at);
    const fresh = offset >= this.freshFrom;
    this.freshFrom = Math.max(this.freshFrom, end);
    return { offset, count, fresh };
  }

  /** Makes the missing block `index`, standing in `cluster`, which it covers itself. */
  private async createBlock(index: number, cluster: number): Promise<void> {
    const { offset } = this.extent(cluster, 1);
    await this.insertBlock(index, offset);
    await this.changeBlock(index, (block) => this.store(block, cluster % this.entriesPerBlock, 1));
  }

  private async insertBlock(index: number, offset: number): Promise<void> {
    await this.cache.makeRoom();
    this.cache.insert(offset, new Uint8Array(this.geometry.clusterBytes));
    this.table.set(index, offset);
  }

  /**
   * Moves the refcount table to where no counts reach yet, half as long again, with the blocks that cover the place.
   * The header points to the new table only once it is in the file.
   */
  private async grow(): Promise<void> {
    const { clusterBytes, refcountOrder } = this.geometry;
    const oldLength = this.table.length;
    const first = this.coveredClusters;
    const most = Math.floor(limits.refcountTableBytes / clusterBytes);
    let blocks = 1;
    let tableClusters = 0;
    for (;;) {
      const wanted = oldLength + (oldLength >> 1) + blocks;
      tableClusters = Math.min(most, Math.ceil((wanted * 8) / clusterBytes));
      if (blocks * this.entriesPerBlock >= tableClusters + blocks) break;
      blocks++;
    }
    if (oldLength + blocks > (tableClusters * clusterBytes) / 8) {
      throw new ImageError('IMAGE_FULL', 'the refcount table cannot grow beyond 8 MiB; use larger clusters.');
    }
    await this.order.writeBack();

    const tableOffset = first * clusterBytes;
    const blocksOffset = tableOffset + tableClusters * clusterBytes;
    const grown = new PointerTable(tableOffset, this.table.copy(tableClusters * clusterBytes));
    const blockBytes = new Uint8Array(blocks * clusterBytes);
    for (let index = 0; index < blocks; index++) {
      grown.set(oldLength + index, blocksOffset + index * clusterBytes);
      const view = new DataView(blockBytes.buffer, index * clusterBytes, clusterBytes);
      const used = Math.min(this.entriesPerBlock, tableClusters + blocks - index * this.entriesPerBlock);
      for (let entry = 0; entry < used; entry++) setRefcount(view, entry, refcountOrder, 1);
    }
    this.extent(first, tableClusters + blocks);
    await this.file.write(blocksOffset, blockBytes);
    await this.file.write(tableOffset, grown.copy(grown.lenBytes));
    await this.order.barrier();
    const pointer = new Uint8Array(12);
    const view = new DataView(pointer.buffer);
    view.setUint32(0, Math.floor(tableOffset / 2 ** 32));
    view.setUint32(4, tableOffset >>> 0);
    view.setUint32(8, tableClusters);
    await this.file.write(headerField.refcountTable, pointer);
    await this.order.barrier();

    const oldOffset = this.table.offset;
    this.table.moveTo(tableOffset, grown.copy(grown.lenBytes));
    await this.decrement([oldOffset / clusterBytes, (oldLength * 8) / clusterBytes]);
  }

  private async releaseReady(): Promise<void> {
    for (let release = this.ready.pop(); release !== undefined; release = this.ready.pop()) {
      const [first, count] = release;
      for (let done = 0; done < count; done++) {
        try {
          await this.decrementOne(first + done);
        } catch (error) {
          this.ready.push([first + done, count - done]);
          throw error;
        }
      }
    }
  }

  private async decrement([first, count]: Release): Promise<void> {
    for (let cluster = first; cluster < first + count; cluster++) await this.decrementOne(cluster);
  }

  /** Counts a cluster down. One that counts as free already, in a damaged image, stays so. */
  private async decrementOne(cluster: number): Promise<void> {
    const index = Math.floor(cluster / this.entriesPerBlock);
    if (this.blockOffset(index) === 0) return;
    const entry = cluster % this.entriesPerBlock;
    await this.changeBlock(index, (block) => {
      const value = getRefcount(block.view, entry, this.geometry.refcountOrder);
      if (value === 0) return;
      this.store(block, entry, value - 1);
      if (value === 1) this.hint = Math.min(this.hint, cluster);
    });
  }

  private changeBlock<Result>(index: number, action: (block: CachedTable) => Result): Promise<Result> {
    return this.cache.change(this.blockOffset(index), action);
  }

  private store(block: CachedTable, entry: number, value: number): void {
    const order = this.geometry.refcountOrder;
    setRefcount(block.view, entry, order, value);
    const at = refcountByte(entry, order);
    this.cache.changed(block, at, at + Math.max(1, 2 ** order / 8));
  }

  /** Before the table is searched: no block stands in it twice, so that a search ends where the file does. */
  private checkTable(): void {
    if (this.tableChecked) return;
    const seen = new Set<number>();
    for (let index = 0; index < this.table.length; index++) {
      const offset = this.blockOffset(index);
      if (offset === 0) continue;
      if (seen.has(offset)) throw new ImageError('IMAGE_CORRUPT', 'the refcount table has a block twice.');
      if (offset >= this.freshFrom) {
        throw new ImageError('IMAGE_CORRUPT', `a refcount block at ${hex(offset)} lies behind the end of the file.`);
      }
      seen.add(offset);
    }
    this.tableChecked = true;
  }
}
