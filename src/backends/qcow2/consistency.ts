// Counts what the tables of an image refer to, to compare with its refcounts: to repair an image that was written with
// lazy refcounts and not closed (dirty bit), and as a check.
// Left out: internal snapshots and bitmaps, which refer to clusters too; images with them are refused here.

import { headerField, type Qcow2Header } from './header.ts';
import { hex, ImageError } from './image-error.ts';
import { decodeL2Entry, entryOffset } from './l2-entry.ts';
import type { PointerTable } from './pointer-table.ts';
import type { RandomAccessFile } from './ports.ts';
import type { Refcounts } from './refcounts.ts';
import type { WriteBack } from './write-back.ts';

/** References counted at most, to bound memory: 16 million clusters are 1 TiB of the usual 64 KiB. */
const mostClusters = 1 << 24;

export interface ImageTables {
  readonly tables: { readonly l1: PointerTable };
  readonly refcounts: Refcounts;
}

export interface CheckResult {
  /** Clusters in use whose count is too low: data may be lost. */
  readonly errors: string[];
  /** Clusters that count as used more often than they are. */
  readonly leaks: number;
}

/** Compares the refcounts with the references, as far as they are in the file. Throws an ImageError if that cannot be done. */
export async function checkRefcounts(
  file: RandomAccessFile,
  header: Qcow2Header,
  parts: ImageTables,
): Promise<CheckResult> {
  const references = await countReferences(file, header, parts);
  const errors: string[] = [];
  let leaks = 0;
  await parts.refcounts.forEach((cluster, count) => {
    const needed = references.get(cluster) ?? 0;
    references.delete(cluster);
    if (count > needed) leaks++;
    if (count < needed) errors.push(`cluster ${cluster} counts ${count}, used ${needed} times`);
  });
  for (const [cluster, needed] of references) errors.push(`cluster ${cluster} counts 0, used ${needed} times`);
  return { errors, leaks };
}

/** Sets all refcounts right and clears the dirty bit. Throws an ImageError if the image needs qemu-img for that. */
export async function repairRefcounts(
  file: RandomAccessFile,
  name: string,
  header: Qcow2Header,
  parts: ImageTables & { readonly writeBack: WriteBack },
): Promise<void> {
  if (header.snapshots > 0 || header.hasBitmaps) {
    throw new ImageError(
      'IMAGE_UNSUPPORTED',
      `${name} was not closed and has ${header.snapshots > 0 ? 'internal snapshots' : 'bitmaps'}; repair it with qemu-img check -r all, or use it readonly.`,
    );
  }
  const { refcounts, writeBack } = parts;
  const references = await countReferences(file, header, parts);
  const wrong: [number, number][] = [];
  const known = new Set<number>();
  await refcounts.forEach((cluster, count) => {
    known.add(cluster);
    const needed = references.get(cluster) ?? 0;
    if (count !== needed) wrong.push([cluster, needed]);
  });
  let end = Math.ceil(refcounts.endOffset / header.clusterBytes);
  for (const [cluster, needed] of references) {
    if (!known.has(cluster)) wrong.push([cluster, needed]);
    end = Math.max(end, cluster + 1);
  }
  for (const [cluster, needed] of wrong) await refcounts.repair(cluster, needed, end);
  refcounts.restartSearch();
  await writeBack.writeBack();
  const features = new Uint8Array(8);
  await file.read(headerField.incompatible, features);
  features[7] &= 0xfe;
  await file.write(headerField.incompatible, features);
  await writeBack.barrier();
}

async function countReferences(
  file: RandomAccessFile,
  header: Qcow2Header,
  { tables, refcounts }: ImageTables,
): Promise<Map<number, number>> {
  const { clusterBytes } = header;
  const references = new Map<number, number>();
  const endCluster = Math.ceil((await file.size()) / clusterBytes);
  const add = (offset: number, lenBytes: number, what: string) => {
    const last = Math.floor((offset + lenBytes - 1) / clusterBytes);
    for (let cluster = Math.floor(offset / clusterBytes); cluster <= last; cluster++) {
      if (cluster >= endCluster) {
        throw new ImageError('IMAGE_CORRUPT', `${what} at ${hex(offset)} lies behind the end of the file.`);
      }
      references.set(cluster, (references.get(cluster) ?? 0) + 1);
    }
    if (references.size > mostClusters) {
      throw new ImageError(
        'IMAGE_UNSUPPORTED',
        'The image is too large to be repaired here; use qemu-img check -r all.',
      );
    }
  };
  add(0, clusterBytes, 'the header');
  if (header.l1Entries > 0) add(tables.l1.offset, tables.l1.lenBytes, 'the L1 table');
  add(refcounts.table.offset, refcounts.table.lenBytes, 'the refcount table');
  for (let index = 0; index < refcounts.table.length; index++) {
    const offset = refcounts.blockOffset(index);
    if (offset !== 0) add(offset, clusterBytes, 'a refcount block');
  }
  const seen = new Set<number>();
  const bytes = new Uint8Array(clusterBytes);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < tables.l1.length; index++) {
    const offset = entryOffset(tables.l1.high(index), tables.l1.low(index), clusterBytes, 'the L1 table');
    if (offset === 0) continue;
    // Also keeps a small file from costing much time.
    if (seen.has(offset))
      throw new ImageError('IMAGE_CORRUPT', `the L1 table has the L2 table at ${hex(offset)} twice.`);
    seen.add(offset);
    add(offset, clusterBytes, 'an L2 table');
    bytes.fill(0, await file.read(offset, bytes));
    for (let at = 0; at < clusterBytes; at += 8) {
      const mapping = decodeL2Entry(view.getUint32(at), view.getUint32(at + 4), header.clusterBits, header.version);
      if (mapping.kind === 'compressed') add(mapping.offset, mapping.lenBytes, 'a compressed cluster');
      else if (mapping.kind !== 'unallocated' && mapping.offset !== 0) add(mapping.offset, clusterBytes, 'a cluster');
    }
  }
  return references;
}
