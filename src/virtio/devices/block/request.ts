// Requests of virtio-blk as bytes, turned into checked values (VIRTIO 1.2 5.2.6): a header of 16 bytes to read, data,
// and a status byte at the very end of what may be written.

import type { DescriptorChain } from '../../core/chain.ts';
import { MAX_RANGE_SECTORS, MAX_RANGES, MAX_REQUEST_BYTES, SECTOR_BYTES } from './config.ts';

export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

export const HEADER_BYTES = 16;
export const ID_BYTES = 20;
const STATUS_BYTES = 1;
const RANGE_BYTES = 16;
const RANGE_F_UNMAP = 1;
/** High words of sector numbers that stay below 2^53 bytes. */
const MAX_SECTOR_HIGH = 2 ** 12;

export interface BlockRange {
  readonly offset: number;
  readonly lenBytes: number;
  readonly unmap: boolean;
}

/** Offsets and lengths are in bytes and lie in the disk. */
export type BlockRequest =
  | { readonly kind: 'read'; readonly offset: number; readonly lenBytes: number }
  | { readonly kind: 'write'; readonly offset: number; readonly lenBytes: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'id'; readonly lenBytes: number }
  | { readonly kind: 'discard' | 'zero'; readonly ranges: readonly BlockRange[] }
  /** Well formed, and still not to be done: the guest gets this status. */
  | { readonly kind: 'refused'; readonly status: number };

export interface DiskLimits {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Reads and writes are multiples of this. */
  readonly logicalBytes: number;
}

/** A string says what is wrong where there is no status byte to say it in; undefined: memory could not be reached. */
export function parseBlockRequest(chain: DescriptorChain, disk: DiskLimits): BlockRequest | string | undefined {
  if (chain.readableBytes < HEADER_BYTES) return `a request header of ${chain.readableBytes} bytes`;
  if (chain.writableBytes < STATUS_BYTES) return 'a request without room for its status';
  const header = chain.readBytes(0, HEADER_BYTES);
  if (!header) return undefined;
  const view = new DataView(header.buffer);
  const type = view.getUint32(0, true);
  const sectorHigh = view.getUint32(12, true);
  const sector = sectorHigh >= MAX_SECTOR_HIGH ? Number.NaN : sectorHigh * 2 ** 32 + view.getUint32(8, true);
  const toRead = chain.readableBytes - HEADER_BYTES;
  const toWrite = chain.writableBytes - STATUS_BYTES;
  switch (type) {
    case VIRTIO_BLK_T_IN:
      return transfer('read', sector, toWrite, disk);
    case VIRTIO_BLK_T_OUT:
      return disk.readOnly ? ioError : transfer('write', sector, toRead, disk);
    case VIRTIO_BLK_T_FLUSH:
      return { kind: 'flush' };
    case VIRTIO_BLK_T_GET_ID:
      return { kind: 'id', lenBytes: Math.min(toWrite, ID_BYTES) };
    case VIRTIO_BLK_T_DISCARD:
      return disk.readOnly ? unsupported : ranges('discard', chain, toRead, disk);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return disk.readOnly ? unsupported : ranges('zero', chain, toRead, disk);
    default:
      return unsupported;
  }
}

const ioError: BlockRequest = { kind: 'refused', status: VIRTIO_BLK_S_IOERR };
const unsupported: BlockRequest = { kind: 'refused', status: VIRTIO_BLK_S_UNSUPP };

function transfer(kind: 'read' | 'write', sector: number, lenBytes: number, disk: DiskLimits): BlockRequest {
  const offset = sector * SECTOR_BYTES;
  const whole = lenBytes % disk.logicalBytes === 0 && offset % disk.logicalBytes === 0;
  // NaN, a sector beyond all disks, fails the comparison.
  const inside = offset + lenBytes <= disk.sizeBytes;
  return whole && inside && lenBytes <= MAX_REQUEST_BYTES ? { kind, offset, lenBytes } : ioError;
}

function ranges(kind: 'discard' | 'zero', chain: DescriptorChain, lenBytes: number, disk: DiskLimits) {
  const count = lenBytes / RANGE_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > MAX_RANGES) return ioError;
  const bytes = chain.readBytes(HEADER_BYTES, lenBytes);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  const list: BlockRange[] = [];
  for (let at = 0; at < lenBytes; at += RANGE_BYTES) {
    const high = view.getUint32(at + 4, true);
    const sectors = view.getUint32(at + 8, true);
    const flags = view.getUint32(at + 12, true);
    // Unknown flags, and unmap for what is unmapped anyway, are not supported (5.2.6.2).
    if (flags & ~RANGE_F_UNMAP || (kind === 'discard' && flags !== 0)) return unsupported;
    const offset = (high * 2 ** 32 + view.getUint32(at, true)) * SECTOR_BYTES;
    const length = sectors * SECTOR_BYTES;
    if (high >= MAX_SECTOR_HIGH || sectors > MAX_RANGE_SECTORS || offset + length > disk.sizeBytes) return ioError;
    list.push({ offset, lenBytes: length, unmap: flags !== 0 });
  }
  return { kind, ranges: list };
}
