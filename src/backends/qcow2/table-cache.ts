// A bounded cache of L2 tables or refcount blocks: one cluster each, found by its offset in the file. Changed tables
// stay until they are written back; who writes back decides the order (write-back.ts).

import { hex, ImageError } from './image-error.ts';
import type { RandomAccessFile } from './ports.ts';

export interface CachedTable {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Changed bytes; none if `dirtyFrom` is not below `dirtyTo`. */
  dirtyFrom: number;
  dirtyTo: number;
  /** A copy of it is on its way to the file. */
  busy: boolean;
}

/** Bytes to be written to the file. */
export interface PendingWrite {
  readonly table: CachedTable;
  readonly from: number;
  readonly bytes: Uint8Array;
}

export class TableCache {
  /** Least recently used first. */
  private readonly tables = new Map<number, CachedTable>();
  private readonly dirty = new Set<CachedTable>();
  /** Tables that must stay, with how many want that. */
  private readonly pins = new Map<number, number>();
  private readonly loading = new Map<number, Promise<CachedTable>>();
  private readonly file: RandomAccessFile;
  private readonly tableBytes: number;
  private readonly capacity: number;
  private readonly writeBack: () => Promise<void>;
  private readonly what: string;

  /**
   * Holds up to `capacity` tables of `tableBytes`, more only while as many are changed and `writeBack` is under way.
   * `writeBack` writes changed tables out; it must not need the cache to shrink.
   */
  constructor(
    file: RandomAccessFile,
    tableBytes: number,
    capacity: number,
    what: string,
    writeBack: () => Promise<void>,
  ) {
    this.file = file;
    this.tableBytes = tableBytes;
    this.capacity = capacity;
    this.what = what;
    this.writeBack = writeBack;
  }

  get count(): number {
    return this.tables.size;
  }

  /**
   * Says that the cluster at `offset` is put to a new use. A table that was replaced may still be here; a changed one
   * is in use, and a free cluster cannot hold it. Throws an ImageError then.
   */
  forget(offset: number): void {
    const table = this.tables.get(offset);
    if (table === undefined) return;
    if (table.busy || table.dirtyFrom < table.dirtyTo) {
      throw new ImageError('IMAGE_CORRUPT', `${this.what} at ${hex(offset)} stands in a cluster that counts as free.`);
    }
    this.tables.delete(offset);
  }

  /** The table if it is here. */
  peek(offset: number): CachedTable | undefined {
    const table = this.tables.get(offset);
    if (table === undefined) return undefined;
    this.tables.delete(offset);
    this.tables.set(offset, table);
    return table;
  }

  /** The table, read from the file if need be. To be read only: it may be gone from the cache after the `await`. */
  async load(offset: number): Promise<CachedTable> {
    const here = this.peek(offset);
    if (here !== undefined) return here;
    let loading = this.loading.get(offset);
    if (loading === undefined) {
      loading = this.readTable(offset).finally(() => this.loading.delete(offset));
      this.loading.set(offset, loading);
    }
    return loading;
  }

  /** Runs `action` on the table while it is in the cache; `action` calls `changed` for the bytes it changes. */
  async change<Result>(offset: number, action: (table: CachedTable) => Result): Promise<Result> {
    const here = this.peek(offset);
    if (here !== undefined) return action(here);
    // Requests that load many tables at once would push each other's out before they are used.
    this.pins.set(offset, (this.pins.get(offset) ?? 0) + 1);
    try {
      for (;;) {
        await this.load(offset);
        const table = this.peek(offset);
        if (table !== undefined) return action(table);
      }
    } finally {
      const pins = (this.pins.get(offset) ?? 1) - 1;
      if (pins === 0) this.pins.delete(offset);
      else this.pins.set(offset, pins);
    }
  }

  /** Room for one more table. To be awaited before `insert`. */
  async makeRoom(): Promise<void> {
    if (this.evict()) return;
    await this.writeBack();
    this.evict();
  }

  /** Enters a new table, which is to be written in full. */
  insert(offset: number, bytes: Uint8Array): void {
    this.forget(offset);
    const table = this.enter(offset, bytes);
    this.changed(table, 0, bytes.length);
  }

  changed(table: CachedTable, from: number, to: number): void {
    const clean = table.dirtyFrom >= table.dirtyTo;
    table.dirtyFrom = clean ? from : Math.min(table.dirtyFrom, from);
    table.dirtyTo = clean ? to : Math.max(table.dirtyTo, to);
    this.dirty.add(table);
  }

  get hasChanges(): boolean {
    return this.dirty.size > 0;
  }

  /** Copies of all changed bytes, in the order of the file. The tables count as unchanged from here on. */
  takeChanges(): PendingWrite[] {
    const writes = [...this.dirty].map((table) => ({
      table,
      from: table.dirtyFrom,
      bytes: table.bytes.slice(table.dirtyFrom, table.dirtyTo),
    }));
    for (const { table } of writes) {
      table.dirtyFrom = table.dirtyTo = 0;
      table.busy = true;
    }
    this.dirty.clear();
    return writes.sort((a, b) => a.table.offset - b.table.offset);
  }

  /** Ends what `takeChanges` began: the bytes are in the file, or they are not and stay to be written. */
  settleChanges(writes: readonly PendingWrite[], written: boolean): void {
    for (const { table, from, bytes } of writes) {
      table.busy = false;
      if (!written) this.changed(table, from, from + bytes.length);
    }
  }

  /** Whether the cache is within its capacity, once what may go is gone. */
  private evict(): boolean {
    if (this.tables.size < this.capacity) return true;
    for (const [offset, table] of this.tables) {
      if (table.busy || table.dirtyFrom < table.dirtyTo || this.pins.has(offset)) continue;
      this.tables.delete(offset);
      if (this.tables.size < this.capacity) return true;
    }
    return false;
  }

  private enter(offset: number, bytes: Uint8Array): CachedTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const table: CachedTable = { offset, bytes, view, dirtyFrom: 0, dirtyTo: 0, busy: false };
    this.tables.set(offset, table);
    return table;
  }

  private async readTable(offset: number): Promise<CachedTable> {
    await this.makeRoom();
    const bytes = new Uint8Array(this.tableBytes);
    const count = await this.file.read(offset, bytes);
    if (count === 0) {
      throw new ImageError('IMAGE_CORRUPT', `${this.what} at ${hex(offset)} lies behind the end of the file.`);
    }
    return this.tables.get(offset) ?? this.enter(offset, bytes);
  }
}
