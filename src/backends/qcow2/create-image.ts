// New, empty qcow2 images: the header, one cluster or more of refcount table, the refcount blocks for what there is,
// and an L1 table of zeros.

import { buildHeader, limits } from './header.ts';
import { ImageError } from './image-error.ts';
import type { RandomAccessFile } from './ports.ts';
import { setRefcount } from './refcount-entry.ts';

export interface NewImage {
  /** Size of the disk; a multiple of 512. */
  readonly sizeBytes: number;
  /** 9 to 21; 16 (64 KiB) if absent. */
  readonly clusterBits?: number;
  /** 3 if absent. */
  readonly version?: 2 | 3;
  /** 0 to 6: counts of 1 to 64 bits; 4 if absent, and always in version 2. */
  readonly refcountOrder?: number;
  /** The name that the header gives; neither looked up nor opened here. */
  readonly backingName?: string;
  readonly backingFormat?: 'raw' | 'qcow2';
}

/** Writes an empty image into an empty file. Throws an ImageError if the format cannot hold it. */
export async function createImage(file: RandomAccessFile, image: NewImage): Promise<void> {
  const clusterBits = image.clusterBits ?? 16;
  const version = image.version ?? 3;
  const refcountOrder = image.refcountOrder ?? 4;
  const { min, max } = limits.clusterBits;
  if (!(clusterBits >= min && clusterBits <= max)) {
    throw new ImageError('IMAGE_RANGE', `Clusters must be of 2^${min} to 2^${max} bytes, not 2^${clusterBits}.`);
  }
  if (!(image.sizeBytes >= 0) || image.sizeBytes % 512 !== 0) {
    throw new ImageError('IMAGE_RANGE', `A disk is a multiple of 512 bytes long, not ${image.sizeBytes}.`);
  }
  if (!(refcountOrder >= 0 && refcountOrder <= 6) || (version === 2 && refcountOrder !== 4)) {
    throw new ImageError('IMAGE_RANGE', `Version ${version} has no refcounts of 2^${refcountOrder} bits.`);
  }
  const clusterBytes = 2 ** clusterBits;
  const l1Entries = Math.max(1, Math.ceil(image.sizeBytes / (clusterBytes * (clusterBytes / 8))));
  if (l1Entries * 8 > limits.l1Bytes) {
    throw new ImageError('IMAGE_FULL', `Clusters of ${clusterBytes} bytes are too small for ${image.sizeBytes} bytes.`);
  }
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes);
  const { tableClusters, blocks } = refcountPlan(clusterBytes, refcountOrder, 1 + l1Clusters);
  const blocksAt = (1 + tableClusters) * clusterBytes;
  const l1Offset = blocksAt + blocks * clusterBytes;
  const header = buildHeader({
    version,
    clusterBits,
    sizeBytes: image.sizeBytes,
    l1Entries,
    l1Offset,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: tableClusters,
    refcountOrder,
    backingName: image.backingName,
    backingFormat: image.backingFormat,
  });

  const table = new Uint8Array(tableClusters * clusterBytes);
  const tableView = new DataView(table.buffer);
  const counts = new Uint8Array(blocks * clusterBytes);
  const perBlock = (clusterBytes * 8) / 2 ** refcountOrder;
  const used = 1 + tableClusters + blocks + l1Clusters;
  for (let block = 0; block < blocks; block++) {
    tableView.setUint32(block * 8 + 4, blocksAt + block * clusterBytes);
    const view = new DataView(counts.buffer, block * clusterBytes, clusterBytes);
    for (let entry = 0; entry < Math.min(perBlock, used - block * perBlock); entry++) {
      setRefcount(view, entry, refcountOrder, 1);
    }
  }
  await file.write(clusterBytes, table);
  await file.write(blocksAt, counts);
  await file.truncate(l1Offset + l1Clusters * clusterBytes);
  await file.flush();
  // Last: a file without a header is no image.
  await file.write(0, header);
  await file.flush();
}

/** Clusters of refcount table and blocks that cover `others` clusters and themselves. */
function refcountPlan(clusterBytes: number, order: number, others: number): { tableClusters: number; blocks: number } {
  const perBlock = (clusterBytes * 8) / 2 ** order;
  let blocks = 1;
  for (;;) {
    const tableClusters = Math.ceil((blocks * 8) / clusterBytes);
    const needed = Math.ceil((others + tableClusters + blocks) / perBlock);
    if (needed <= blocks) return { tableClusters, blocks };
    blocks = needed;
  }
}
