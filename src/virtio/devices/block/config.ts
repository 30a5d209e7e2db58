// Configuration and features of virtio-blk (VIRTIO 1.2 5.2.3, 5.2.4).

import { RegisterMap } from '../../../device/register-map.ts';
import { featureSet } from '../../core/features.ts';

export const VIRTIO_ID_BLOCK = 2;
export const SECTOR_BYTES = 512;

export const VIRTIO_BLK_F_SIZE_MAX = 1;
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_TOPOLOGY = 10;
export const VIRTIO_BLK_F_CONFIG_WCE = 11;
export const VIRTIO_BLK_F_MQ = 12;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

export const BLOCK_QUEUE_SIZE = 256;
/** Data segments of one request: the queue's size less header and status. */
export const SEG_MAX = BLOCK_QUEUE_SIZE - 2;
export const SIZE_MAX = 128 * 1024;
/** What a request within the two limits above can carry; longer ones are refused. */
export const MAX_REQUEST_BYTES = SEG_MAX * SIZE_MAX;
/** Limits of one discard or write-zeroes request. */
export const MAX_RANGES = 32;
export const MAX_RANGE_SECTORS = 2 ** 22;

export const BLOCK_CONFIG_BYTES = 60;

export const BLOCK_CONFIG = new RegisterMap(BLOCK_CONFIG_BYTES, [
  ['capacity_low', 4, 'ro'],
  ['capacity_high', 4, 'ro'],
  ['size_max', 4, 'ro'],
  ['seg_max', 4, 'ro'],
  ['', 4, 'reserved'], // geometry, which is not offered
  ['blk_size', 4, 'ro'],
  ['physical_block_exp', 1, 'ro'],
  ['alignment_offset', 1, 'ro'],
  ['min_io_size', 2, 'ro'],
  ['opt_io_size', 4, 'ro'],
  ['writeback', 1, 'rw'],
  ['', 1, 'reserved'],
  ['num_queues', 2, 'ro'],
  ['max_discard_sectors', 4, 'ro'],
  ['max_discard_seg', 4, 'ro'],
  ['discard_sector_alignment', 4, 'ro'],
  ['max_write_zeroes_sectors', 4, 'ro'],
  ['max_write_zeroes_seg', 4, 'ro'],
  ['write_zeroes_may_unmap', 1, 'ro'],
  ['', 3, 'reserved'],
] as const);

export type BlockRegister = Exclude<Parameters<(typeof BLOCK_CONFIG)['offsetOf']>[0], ''>;

export interface BlockGeometry {
  readonly sizeBytes: number;
  readonly queues: number;
  /** Bytes of a logical block, a power of two from 512. */
  readonly logicalBytes: number;
  /** Bytes of a physical block, a power of two, at least a logical one. */
  readonly physicalBytes: number;
}

/** Value of a register that never changes; `writeback` is the device's. */
export function blockRegister(name: Exclude<BlockRegister, 'writeback'>, geometry: BlockGeometry): number {
  const { sizeBytes, queues, logicalBytes, physicalBytes } = geometry;
  const sectors = sizeBytes / SECTOR_BYTES;
  switch (name) {
    case 'capacity_low':
      return sectors % 2 ** 32;
    case 'capacity_high':
      return Math.floor(sectors / 2 ** 32);
    case 'size_max':
      return SIZE_MAX;
    case 'seg_max':
      return SEG_MAX;
    case 'blk_size':
      return logicalBytes;
    case 'physical_block_exp':
      return Math.log2(physicalBytes / logicalBytes);
    case 'min_io_size':
      return physicalBytes / logicalBytes;
    case 'num_queues':
      return queues;
    case 'max_discard_sectors':
    case 'max_write_zeroes_sectors':
      return MAX_RANGE_SECTORS;
    case 'max_discard_seg':
    case 'max_write_zeroes_seg':
      return MAX_RANGES;
    case 'discard_sector_alignment':
      return logicalBytes / SECTOR_BYTES;
    case 'write_zeroes_may_unmap':
      return 1;
    case 'alignment_offset':
    case 'opt_io_size':
      return 0;
  }
}

export function blockFeatures(readOnly: boolean, queues: number): bigint {
  const bits = [
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_CONFIG_WCE,
  ];
  if (queues > 1) bits.push(VIRTIO_BLK_F_MQ);
  if (readOnly) bits.push(VIRTIO_BLK_F_RO);
  else bits.push(VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES);
  return featureSet(...bits);
}
