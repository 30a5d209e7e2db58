// Puts changed tables into the file, in an order that leaves a sound image whenever the machine stops:
//   1. refcount blocks           what is about to be referred to counts as used
//   2. refcount table            after a barrier, if it changed: its blocks are there
//   3. L2 tables                 after a barrier: data and counts are there
//   4. L1 table                  after a barrier, if it changed: its L2 tables are there
//   5. a barrier; only then are clusters released that are no longer referred to
// A stop in between leaves at most clusters that count as used and are not (leaks).
// Each round writes copies taken at one moment, at which all references are to data that is completely written.

import { ImageError } from './image-error.ts';
import { Mutex } from './locks.ts';
import type { PointerTable } from './pointer-table.ts';
import type { RandomAccessFile } from './ports.ts';
import type { Refcounts, WriteBackPort } from './refcounts.ts';
import type { PendingWrite, TableCache } from './table-cache.ts';

const writesAtOnce = 16;

export class WriteBack implements WriteBackPort {
  private readonly file: RandomAccessFile;
  private readonly durable: boolean;
  private readonly mutex = new Mutex();
  private l1!: PointerTable;
  private l2!: TableCache;
  private refcounts!: Refcounts;
  /** A round that has not begun, which further callers may share. */
  private next: Promise<void> | undefined;
  private failure: unknown;

  /** `durable` false: the file is temporary, and there is no need for barriers. */
  constructor(file: RandomAccessFile, durable: boolean) {
    this.file = file;
    this.durable = durable;
  }

  /** Says what to write back. Before the first round. */
  attach(l1: PointerTable, l2: TableCache, refcounts: Refcounts): void {
    this.l1 = l1;
    this.l2 = l2;
    this.refcounts = refcounts;
  }

  writeBack(): Promise<void> {
    this.next ??= this.mutex.run(() => {
      this.next = undefined;
      return this.round();
    });
    return this.next;
  }

  /**
   * A failed flush may have lost what was written before it, and the host will not say so a second time: from then on
   * every flush fails.
   */
  async barrier(): Promise<void> {
    if (!this.durable) return;
    if (this.failure !== undefined) {
      throw new ImageError('IMAGE_FLUSH_FAILED', 'An earlier flush of the image failed; its last writes may be lost.', {
        cause: this.failure,
      });
    }
    try {
      await this.file.flush();
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  private async round(): Promise<void> {
    const { refcounts, l1, l2 } = this;
    const blocks = refcounts.cache.takeChanges();
    const table = refcounts.table.takeChanges();
    const l2Tables = l2.takeChanges();
    const l1Part = l1.takeChanges();
    const releases = refcounts.takeReleases();
    let written = false;
    try {
      await this.writeTables(blocks);
      if (table !== undefined) {
        await this.barrier();
        await this.file.write(table.offset + table.from, table.bytes);
      }
      if (l2Tables.length > 0 || l1Part !== undefined) await this.barrier();
      await this.writeTables(l2Tables);
      if (l1Part !== undefined) {
        await this.barrier();
        await this.file.write(l1Part.offset + l1Part.from, l1Part.bytes);
      }
      await this.barrier();
      written = true;
    } finally {
      refcounts.cache.settleChanges(blocks, written);
      l2.settleChanges(l2Tables, written);
      if (!written && table !== undefined) refcounts.table.restoreChanges(table);
      if (!written && l1Part !== undefined) l1.restoreChanges(l1Part);
      refcounts.settleReleases(releases, written);
    }
  }

  private async writeTables(writes: readonly PendingWrite[]): Promise<void> {
    for (let at = 0; at < writes.length; at += writesAtOnce) {
      const group = writes.slice(at, at + writesAtOnce);
      const results = await Promise.allSettled(
        group.map(({ table, from, bytes }) => this.file.write(table.offset + from, bytes)),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
  }
}
