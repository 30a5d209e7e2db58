// A disk in a qcow2 image: reading, writing, discarding (QEMU docs/interop/qcow2.txt). Requests may be under way at
// the same time; each claims its clusters, exclusively if it may change how they are stored.
//
// Written data goes to the file at once, in place or into newly allocated clusters; only then does the L2 entry change.
// Tables are written back by `flush`, when a cache is full, and by `close` (write-back.ts has the order).
// Left out on purpose: writing compressed clusters, changing the disk's size, managing internal snapshots (images that
// have some are read and written, and the snapshots stay as they are), giving freed clusters back to the host's file.

import { ClusterTables } from './cluster-tables.ts';
import { CompressedClusters } from './compressed-clusters.ts';
import { type CheckResult, checkRefcounts, repairRefcounts } from './consistency.ts';
import { headerField, parseHeader, type Qcow2Header } from './header.ts';
import { hex, ImageError } from './image-error.ts';
import type { Mapping } from './l2-entry.ts';
import { RangeLock } from './locks.ts';
import { PointerTable } from './pointer-table.ts';
import type { ClusterDecompressor, DiskImage, RandomAccessFile } from './ports.ts';
import { type Extent, Refcounts } from './refcounts.ts';
import { TableCache } from './table-cache.ts';
import { WriteBack } from './write-back.ts';

export interface Qcow2Options {
  /** What errors call the image. */
  readonly name: string;
  readonly readOnly: boolean;
  readonly decompress: ClusterDecompressor;
  /** Shows through where the image has nothing. Closed with the image. */
  readonly backing?: DiskImage;
  /** The file is thrown away after use: flushes need not reach the disk. */
  readonly temporary?: boolean;
  /** Memory for L2 tables; refcount blocks get a quarter of it. 4 MiB if absent; never fewer than four tables. */
  readonly cacheBytes?: number;
}

const unallocated: Mapping = { kind: 'unallocated' };
/** Bytes allocated and written in one go. */
const runBytes = 1 << 20;
const readsAtOnce = 32;
/** Released runs that may wait for a write-back. */
const mostReleasesWaiting = 16384;

interface Parts {
  readonly file: RandomAccessFile;
  readonly header: Qcow2Header;
  readonly tables: ClusterTables;
  readonly refcounts: Refcounts;
  readonly writeBack: WriteBack;
}

/** Reads and checks the header of an image. Throws an ImageError. */
export async function readHeader(file: RandomAccessFile, name: string): Promise<Qcow2Header> {
  const fileBytes = await file.size();
  let start = new Uint8Array(Math.min(fileBytes, 4096));
  start = start.subarray(0, await file.read(0, start));
  const clusterBits = start.length < 72 ? 0 : new DataView(start.buffer).getUint32(20);
  // The name of the backing file and the extensions may stand anywhere in the first cluster.
  if (clusterBits > 12 && clusterBits <= 21 && start.length === 4096) {
    start = new Uint8Array(Math.min(fileBytes, 2 ** clusterBits));
    start = start.subarray(0, await file.read(0, start));
  }
  return parseHeader(start, fileBytes, name);
}

export class Qcow2Image implements DiskImage {
  readonly format = 'qcow2';
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly header: Qcow2Header;
  private readonly file: RandomAccessFile;
  private readonly backing: DiskImage | undefined;
  private readonly tables: ClusterTables;
  private readonly refcounts: Refcounts;
  private readonly writeBack: WriteBack;
  private readonly compressed: CompressedClusters;
  private readonly claims = new RangeLock();
  private readonly clusterBytes: number;
  private autoclear: Promise<void> | undefined;
  private closed = false;

  /**
   * Opens the image in `file`, which belongs to it from then on. The backing file is the caller's choice (open-image.ts
   * follows the name in the header). Opened for writing, an image with stale refcounts is repaired first.
   * Throws an ImageError if the image is damaged, needs what is not implemented, or may not be written.
   */
  static async open(file: RandomAccessFile, options: Qcow2Options): Promise<Qcow2Image> {
    const { name, readOnly } = options;
    const header = await readHeader(file, name);
    if (!readOnly && file.readOnly) throw new ImageError('IMAGE_READ_ONLY', `${name} is opened for reading only.`);
    if (!readOnly && header.corrupt) {
      throw new ImageError(
        'IMAGE_CORRUPT',
        `${name} is marked as damaged; repair it with qemu-img check -r all, or use it readonly.`,
      );
    }
    const l1Bytes = await readTable(file, header.l1Offset, header.l1Entries * 8);
    const tableBytes = header.refcountTableClusters * header.clusterBytes;
    const refcountBytes = readOnly ? new Uint8Array(0) : await readTable(file, header.refcountTableOffset, tableBytes);
    const parts = assemble(file, await file.size(), header, l1Bytes, refcountBytes, options);
    if (!readOnly && header.dirty) await repairRefcounts(file, name, header, parts);
    return new Qcow2Image(parts, options);
  }

  private constructor(parts: Parts, options: Qcow2Options) {
    const { file, header } = parts;
    this.file = file;
    this.header = header;
    this.tables = parts.tables;
    this.refcounts = parts.refcounts;
    this.writeBack = parts.writeBack;
    this.sizeBytes = header.sizeBytes;
    this.readOnly = options.readOnly;
    this.backing = options.backing;
    this.clusterBytes = header.clusterBytes;
    this.compressed = new CompressedClusters(file, header.clusterBytes, header.compression, options.decompress);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.checkRange(offset, into.length);
    if (into.length === 0) return;
    await this.claimed(offset, into.length, false, () => this.readClaimed(offset, into));
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.checkWrite(offset, from.length);
    if (from.length === 0) return;
    await this.beforeFirstChange();
    const done = await this.claimed(offset, from.length, false, () => this.writeInPlace(offset, from));
    if (!done) await this.claimed(offset, from.length, true, () => this.writeAllocating(offset, from));
  }

  async flush(): Promise<void> {
    this.checkOpen();
    if (!this.readOnly) await this.writeBack.writeBack();
  }

  async discard(offset: number, lenBytes: number): Promise<void> {
    this.checkWrite(offset, lenBytes);
    await this.clearWholeClusters(offset, lenBytes, (mapping, below) => this.discarded(mapping, below));
  }

  async writeZeroes(offset: number, lenBytes: number, unmap: boolean): Promise<void> {
    this.checkWrite(offset, lenBytes);
    const end = offset + lenBytes;
    const [first, count] = this.wholeClusters(offset, lenBytes);
    if (count === 0) return this.zeroPart(offset, end);
    await this.zeroPart(offset, first * this.clusterBytes);
    const left = await this.clearWholeClusters(offset, lenBytes, (mapping, below) =>
      this.zeroed(mapping, below, unmap),
    );
    for (const cluster of left) await this.zeroPart(cluster * this.clusterBytes, (cluster + 1) * this.clusterBytes);
    await this.zeroPart(Math.min(end, (first + count) * this.clusterBytes), end);
  }

  /** Flushes, and compares refcounts with references. Nothing else may be under way. Opened for writing only. */
  async check(): Promise<CheckResult> {
    this.checkWrite(0, 0);
    await this.flush();
    return checkRefcounts(this.file, this.header, { tables: this.tables, refcounts: this.refcounts });
  }

  async close(): Promise<void> {
    const release = await this.claims.acquire(0, Number.POSITIVE_INFINITY, true);
    try {
      if (this.closed) return;
      this.closed = true;
      try {
        if (!this.readOnly) await this.settle();
      } finally {
        await this.file.close();
        await this.backing?.close();
      }
    } finally {
      release();
    }
  }

  /** Writes everything back until nothing waits, so that no cluster leaks, and ends the file with a whole cluster. */
  private async settle(): Promise<void> {
    await this.writeBack.writeBack();
    while (this.refcounts.hasReleases || this.refcounts.cache.hasChanges || this.tables.cache.hasChanges) {
      await this.refcounts.applyReleases();
      await this.writeBack.writeBack();
    }
    const fileBytes = await this.file.size();
    const whole = Math.ceil(fileBytes / this.clusterBytes) * this.clusterBytes;
    if (whole !== fileBytes && fileBytes < this.refcounts.endOffset) await this.file.truncate(whole);
  }

  // ---------------------------------------------------------------------------------------------- reading

  private async readClaimed(offset: number, into: Uint8Array): Promise<void> {
    const first = Math.floor(offset / this.clusterBytes);
    const last = Math.floor((offset + into.length - 1) / this.clusterBytes);
    const mappings = await this.tables.lookup(first, last - first + 1);
    const jobs: (() => Promise<void>)[] = [];
    for (let index = 0; index < mappings.length; ) {
      const count = runLength(mappings, index, this.clusterBytes);
      const start = Math.max(offset, (first + index) * this.clusterBytes);
      const end = Math.min(offset + into.length, (first + index + count) * this.clusterBytes);
      const part = into.subarray(start - offset, end - offset);
      const mapping = mappings[index];
      jobs.push(() => this.readRun(mapping, start, part));
      index += count;
    }
    await runAll(jobs, readsAtOnce);
  }

  /** Fills `into` from `offset` of the disk; all of it is stored in a row, as `mapping` says of its first cluster. */
  private async readRun(mapping: Mapping, offset: number, into: Uint8Array): Promise<void> {
    const within = offset % this.clusterBytes;
    switch (mapping.kind) {
      case 'zero':
        into.fill(0);
        return;
      case 'data': {
        const count = await this.file.read(mapping.offset + within, into);
        into.fill(0, count);
        return;
      }
      case 'unallocated':
        return this.readBacking(offset, into);
      case 'compressed': {
        const cluster = await this.compressed.read(mapping.offset, mapping.lenBytes);
        into.set(cluster.subarray(within, within + into.length));
      }
    }
  }

  private async readBacking(offset: number, into: Uint8Array): Promise<void> {
    const available = Math.max(0, Math.min(into.length, (this.backing?.sizeBytes ?? 0) - offset));
    into.fill(0, available);
    if (available > 0) await this.backing?.read(offset, into.subarray(0, available));
  }

  // ---------------------------------------------------------------------------------------------- writing

  /** False, with nothing done, if some cluster cannot be written where it is. */
  private async writeInPlace(offset: number, from: Uint8Array): Promise<boolean> {
    const first = Math.floor(offset / this.clusterBytes);
    const last = Math.floor((offset + from.length - 1) / this.clusterBytes);
    const mappings = await this.tables.lookup(first, last - first + 1);
    if (!mappings.every(isOwnData)) return false;
    const jobs: (() => Promise<void>)[] = [];
    for (let index = 0; index < mappings.length; ) {
      const count = runLength(mappings, index, this.clusterBytes);
      const mapping = mappings[index];
      const from1 = first + index;
      jobs.push(() => this.overwrite(mapping, from1, count, offset, from));
      index += count;
    }
    await runAll(jobs, readsAtOnce);
    return true;
  }

  /** Writes the part of a request that lies in `count` clusters from `first`, stored in a row. */
  private async overwrite(mapping: Mapping, first: number, count: number, offset: number, from: Uint8Array) {
    if (mapping.kind !== 'data') return;
    if (mapping.offset + count * this.clusterBytes > this.refcounts.endOffset) {
      throw new ImageError('IMAGE_CORRUPT', `a cluster at ${hex(mapping.offset)} lies behind the end of the file.`);
    }
    const start = Math.max(offset, first * this.clusterBytes);
    const end = Math.min(offset + from.length, (first + count) * this.clusterBytes);
    const at = mapping.offset + (start - first * this.clusterBytes);
    await this.file.write(at, from.subarray(start - offset, end - offset));
  }

  /** The request in runs, one after the other: in place, or into new clusters. The claim is exclusive. */
  private async writeAllocating(offset: number, from: Uint8Array): Promise<void> {
    const first = Math.floor(offset / this.clusterBytes);
    const last = Math.floor((offset + from.length - 1) / this.clusterBytes);
    const mappings = await this.tables.lookup(first, last - first + 1);
    for (let index = 0; index < mappings.length; ) {
      const inRow = runLength(mappings, index, this.clusterBytes);
      if (isOwnData(mappings[index])) {
        await this.overwrite(mappings[index], first + index, inRow, offset, from);
        index += inRow;
      } else {
        index += await this.writeRun(
          first + index,
          mappings.slice(index, index + this.runLimit(first + index)),
          offset,
          from,
        );
      }
    }
  }

  /** Clusters from `cluster` on that one run may have: within an L2 table, and not too many bytes. */
  private runLimit(cluster: number): number {
    const { entriesPerTable } = this.tables;
    return Math.min(entriesPerTable - (cluster % entriesPerTable), Math.max(1, runBytes / this.clusterBytes));
  }

  /** Writes the first of the clusters, as many as find room in a row, into clusters not used before. Returns how many. */
  private async writeRun(first: number, old: readonly Mapping[], offset: number, from: Uint8Array): Promise<number> {
    await this.tables.prepare(first, 1);
    const kept = old[0];
    const reuse = isOwnZero(kept);
    const extent = reuse
      ? { offset: kept.offset, count: 1, fresh: false }
      : await this.refcounts.allocate(countWhile(old, (mapping) => !isOwnData(mapping) && !isOwnZero(mapping)));
    const replaced = old.slice(0, extent.count);
    try {
      await this.fill(extent, first, replaced, offset, from);
      const entries = replaced.map(
        (_, index): Mapping => ({ kind: 'data', offset: extent.offset + index * this.clusterBytes, copied: true }),
      );
      await this.tables.store(first, entries);
    } catch (error) {
      // The entries are as before: nothing refers to the new clusters.
      if (!reuse) await this.refcounts.releaseNow(extent.offset, extent.count).catch(() => {});
      throw error;
    }
    if (!reuse) this.releaseAll(replaced);
    return extent.count;
  }

  /** Writes the extent: the request's bytes, and around them what the disk had there. */
  private async fill(extent: Extent, first: number, old: readonly Mapping[], offset: number, from: Uint8Array) {
    const runStart = first * this.clusterBytes;
    const runEnd = runStart + extent.count * this.clusterBytes;
    if (extent.offset + extent.count * this.clusterBytes > this.refcounts.endOffset) {
      throw new ImageError('IMAGE_CORRUPT', `a cluster at ${hex(extent.offset)} lies behind the end of the file.`);
    }
    const start = Math.max(offset, runStart);
    const end = Math.min(offset + from.length, runEnd);
    const data = from.subarray(start - offset, end - offset);
    const last = old[old.length - 1];
    const skipHead = start === runStart || (extent.fresh && this.readsAsZeros(old[0], runStart));
    const skipTail = end === runEnd || (extent.fresh && this.readsAsZeros(last, runEnd - this.clusterBytes));
    const head = skipHead ? 0 : start - runStart;
    const tail = skipTail ? 0 : runEnd - end;
    const at = extent.offset + (start - runStart) - head;
    if (head === 0 && tail === 0) return this.file.write(at, data);
    const bytes = new Uint8Array(head + data.length + tail);
    if (head > 0) await this.readRun(old[0], runStart, bytes.subarray(0, head));
    bytes.set(data, head);
    if (tail > 0) await this.readRun(last, end, bytes.subarray(head + data.length));
    return this.file.write(at, bytes);
  }

  private readsAsZeros(mapping: Mapping, offset: number): boolean {
    return mapping.kind === 'zero' || (mapping.kind === 'unallocated' && !this.hasBelow(offset));
  }

  /** Whether the backing file has something at `offset` or behind it. */
  private hasBelow(offset: number): boolean {
    return this.backing !== undefined && offset < this.backing.sizeBytes;
  }

  private releaseAll(mappings: readonly Mapping[]): void {
    for (const mapping of mappings) {
      if (mapping.kind === 'compressed') this.refcounts.releaseLater(mapping.offset, mapping.lenBytes);
      if ((mapping.kind === 'data' || mapping.kind === 'zero') && mapping.offset !== 0) {
        this.refcounts.releaseLater(mapping.offset, this.clusterBytes);
      }
    }
  }

  // ---------------------------------------------------------------------------------------------- clearing

  /** What becomes of a discarded cluster; undefined: it stays. Never may the backing file show through again. */
  private discarded(mapping: Mapping, below: boolean): Mapping | undefined {
    if (mapping.kind === 'unallocated' || (mapping.kind === 'zero' && mapping.offset === 0)) return undefined;
    if (!below) return unallocated;
    return this.header.version === 2 ? undefined : { kind: 'zero', offset: 0, copied: false };
  }

  /** What makes a cluster read as zeros; 'write' if only writing them does. */
  private zeroed(mapping: Mapping, below: boolean, unmap: boolean): Mapping | undefined | 'write' {
    if (mapping.kind === 'zero' || (mapping.kind === 'unallocated' && !below)) return undefined;
    if (this.header.version === 2) return below ? 'write' : unmap ? unallocated : 'write';
    const keep = !unmap && isOwnData(mapping);
    return { kind: 'zero', offset: keep ? mapping.offset : 0, copied: keep };
  }

  /**
   * Puts other entries in place of those of all clusters wholly inside the range. Returns the clusters for which
   * `change` said 'write'.
   */
  private async clearWholeClusters(
    offset: number,
    lenBytes: number,
    change: (mapping: Mapping, below: boolean) => Mapping | undefined | 'write',
  ): Promise<number[]> {
    const [first, count] = this.wholeClusters(offset, lenBytes);
    if (count > 0) await this.beforeFirstChange();
    const left: number[] = [];
    for (let cluster = first; cluster < first + count; ) {
      const { entriesPerTable } = this.tables;
      const inTable = Math.min(first + count - cluster, entriesPerTable - (cluster % entriesPerTable));
      const from = cluster;
      await this.claimed(from * this.clusterBytes, inTable * this.clusterBytes, true, async () => {
        const old = await this.tables.lookup(from, inTable);
        const wanted = old.map((mapping, index) => change(mapping, this.hasBelow((from + index) * this.clusterBytes)));
        wanted.forEach((mapping, index) => {
          if (mapping === 'write') left.push(from + index);
        });
        await this.replace(from, old, wanted);
      });
      if (this.refcounts.releasesWaiting > mostReleasesWaiting) await this.writeBack.writeBack();
      cluster += inTable;
    }
    return left;
  }

  private async replace(first: number, old: readonly Mapping[], wanted: readonly (Mapping | undefined | 'write')[]) {
    const isChange = (index: number) => wanted[index] !== undefined && wanted[index] !== 'write';
    for (let index = 0; index < old.length; ) {
      if (!isChange(index)) {
        index++;
        continue;
      }
      let count = 1;
      while (index + count < old.length && isChange(index + count)) count++;
      const entries = wanted.slice(index, index + count) as Mapping[];
      await this.tables.store(first + index, entries);
      this.releaseAll(old.slice(index, index + count).filter((mapping, at) => !keepsCluster(mapping, entries[at])));
      index += count;
    }
  }

  /** First and count of the clusters wholly inside; the end of the disk counts as the end of a cluster. */
  private wholeClusters(offset: number, lenBytes: number): [number, number] {
    const end = offset + lenBytes;
    const first = Math.ceil(offset / this.clusterBytes);
    const last = end === this.sizeBytes ? Math.ceil(end / this.clusterBytes) : Math.floor(end / this.clusterBytes);
    return [first, Math.max(0, last - first)];
  }

  /** Zeros from `start` to `end`, in a cluster or two, written unless they are there. */
  private async zeroPart(start: number, end: number): Promise<void> {
    const last = Math.min(end, this.sizeBytes);
    if (start >= last) return;
    const first = Math.floor(start / this.clusterBytes);
    const count = Math.floor((last - 1) / this.clusterBytes) - first + 1;
    const zeros = await this.claimed(start, last - start, false, async () => {
      const mappings = await this.tables.lookup(first, count);
      return mappings.every((mapping, index) => this.readsAsZeros(mapping, (first + index) * this.clusterBytes));
    });
    if (!zeros) await this.write(start, new Uint8Array(last - start));
  }

  // ---------------------------------------------------------------------------------------------- common

  private async claimed<Result>(
    offset: number,
    lenBytes: number,
    exclusive: boolean,
    task: () => Promise<Result>,
  ): Promise<Result> {
    const first = Math.floor(offset / this.clusterBytes);
    const last = Math.floor((offset + lenBytes - 1) / this.clusterBytes);
    const claim = this.claims.acquire(first, last, exclusive);
    const release = claim instanceof Promise ? await claim : claim;
    try {
      this.checkOpen();
      return await task();
    } finally {
      release();
    }
  }

  /** Features that a writer without knowledge of them must switch off: bitmaps, above all. */
  private beforeFirstChange(): Promise<void> {
    this.autoclear ??= this.clearAutoclear();
    return this.autoclear;
  }

  private async clearAutoclear(): Promise<void> {
    if (!this.header.hasAutoclear) return;
    try {
      await this.file.write(headerField.autoclear, new Uint8Array(8));
      await this.writeBack.barrier();
    } catch (error) {
      this.autoclear = undefined;
      throw error;
    }
  }

  private checkOpen(): void {
    if (this.closed) throw new ImageError('IMAGE_CLOSED', 'The image is closed.');
  }

  private checkRange(offset: number, lenBytes: number): void {
    this.checkOpen();
    if (!Number.isSafeInteger(offset) || offset < 0 || lenBytes < 0 || offset + lenBytes > this.sizeBytes) {
      throw new ImageError(
        'IMAGE_RANGE',
        `A request at ${hex(offset)}, ${lenBytes} bytes, is not inside the disk of ${this.sizeBytes} bytes.`,
      );
    }
  }

  private checkWrite(offset: number, lenBytes: number): void {
    this.checkRange(offset, lenBytes);
    if (this.readOnly) throw new ImageError('IMAGE_READ_ONLY', 'The image is read-only.');
  }
}

function assemble(
  file: RandomAccessFile,
  fileBytes: number,
  header: Qcow2Header,
  l1Bytes: Uint8Array,
  refcountBytes: Uint8Array,
  options: Qcow2Options,
): Parts {
  const { clusterBytes } = header;
  const cacheBytes = options.cacheBytes ?? 4 << 20;
  const writeBack = new WriteBack(file, options.temporary !== true);
  const geometry = {
    clusterBytes,
    refcountOrder: header.refcountOrder,
    fixed: [
      [0, clusterBytes],
      [header.l1Offset, header.l1Entries * 8],
    ] as const,
  };
  const refcountTable = new PointerTable(header.refcountTableOffset, refcountBytes);
  const blocks = Math.max(4, Math.floor(cacheBytes / 4 / clusterBytes));
  const refcounts = new Refcounts(file, fileBytes, refcountTable, geometry, blocks, writeBack);
  const l2Tables = Math.max(4, Math.floor(cacheBytes / clusterBytes));
  const l2 = new TableCache(file, clusterBytes, l2Tables, 'an L2 table', () => writeBack.writeBack());
  const l1 = new PointerTable(header.l1Offset, l1Bytes);
  writeBack.attach(l1, l2, refcounts);
  return { file, header, tables: new ClusterTables(l1, l2, header, refcounts), refcounts, writeBack };
}

/** `lenBytes` are bounded by the header's limits. */
async function readTable(file: RandomAccessFile, offset: number, lenBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(lenBytes);
  if (lenBytes > 0) await file.read(offset, bytes);
  return bytes;
}

function isOwnData(mapping: Mapping): mapping is Mapping & { kind: 'data' } {
  return mapping.kind === 'data' && mapping.copied;
}

/** A zero cluster with a place of its own in the file. */
function isOwnZero(mapping: Mapping): mapping is Mapping & { kind: 'zero' } {
  return mapping.kind === 'zero' && mapping.copied && mapping.offset !== 0;
}

function keepsCluster(old: Mapping, entry: Mapping): boolean {
  return old.kind === 'data' && entry.kind === 'zero' && entry.offset === old.offset;
}

function countWhile(mappings: readonly Mapping[], test: (mapping: Mapping) => boolean): number {
  const end = mappings.findIndex((mapping) => !test(mapping));
  return end < 0 ? mappings.length : end;
}

/** How many clusters from `index` on are stored as one piece. */
function runLength(mappings: readonly Mapping[], index: number, clusterBytes: number): number {
  const first = mappings[index];
  let count = 1;
  while (index + count < mappings.length && continues(first, mappings[index + count], count * clusterBytes)) count++;
  return count;
}

function continues(first: Mapping, next: Mapping, distance: number): boolean {
  if (first.kind === 'data' && next.kind === 'data') {
    return next.offset === first.offset + distance && next.copied === first.copied;
  }
  return first.kind === next.kind && (first.kind === 'zero' || first.kind === 'unallocated');
}

/** Runs the jobs, some at a time. Ends when all that were begun have ended; throws the first error. */
async function runAll(jobs: readonly (() => Promise<void>)[], atOnce: number): Promise<void> {
  if (jobs.length === 1) return jobs[0]();
  for (let at = 0; at < jobs.length; at += atOnce) {
    const results = await Promise.allSettled(jobs.slice(at, at + atOnce).map((job) => job()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
