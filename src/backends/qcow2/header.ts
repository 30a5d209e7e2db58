// The header of a qcow2 image, versions 2 and 3 (QEMU docs/interop/qcow2.txt, "Header" and "Header extensions").
// Every field is checked here once; the rest of the code works on the checked value. All fields are big-endian.
// Refused by name: encryption, external data files, extended L2 entries, features that are not known.

import { hex, ImageError } from './image-error.ts';
import type { ClusterCompression } from './ports.ts';

export const magicBytes = [0x51, 0x46, 0x49, 0xfb];

/** Limits beyond which an image is taken for damaged. They are those of QEMU, so that every image of its opens. */
export const limits = {
  clusterBits: { min: 9, max: 21 },
  l1Bytes: 32 << 20,
  refcountTableBytes: 8 << 20,
  backingNameBytes: 1023,
  snapshots: 65536,
  headerExtensions: 256,
  /** Offsets are JavaScript numbers. The format allows 2^56. */
  offset: 2 ** 53,
} as const;

const incompatible = { dirty: 1, corrupt: 2, dataFile: 4, compressionType: 8, extendedL2: 16 } as const;
const autoclear = { bitmaps: 1 } as const;
const compatible = { lazyRefcounts: 1 } as const;

export const headerField = {
  backingOffset: 8,
  size: 24,
  refcountTable: 48,
  incompatible: 72,
  autoclear: 88,
} as const;

const extensionType = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  dataFile: 0x44415441,
} as const;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterBytes: number;
  /** Size of the disk in bytes, a multiple of 512. */
  readonly sizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Refcounts are 2 to this power bits wide. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly backingName: string | undefined;
  readonly backingFormat: string | undefined;
  readonly compression: ClusterCompression;
  /** Refcounts may be behind: the last writer used lazy refcounts and was not closed. */
  readonly dirty: boolean;
  /** Somebody found the image damaged; it may be read but not written. */
  readonly corrupt: boolean;
  readonly lazyRefcounts: boolean;
  /** Autoclear feature bits are set; who changes the image clears them (version 3). */
  readonly hasAutoclear: boolean;
  readonly hasBitmaps: boolean;
}

/** Whether the bytes start like a qcow2 image. */
export function isQcow2(bytes: Uint8Array): boolean {
  return magicBytes.every((value, index) => bytes[index] === value);
}

/** The image's first bytes that `parseHeader` wants: no cluster is larger. */
export const headerReadBytes = 1 << limits.clusterBits.max;

/**
 * Checks the header. `bytes` is the start of the file, `fileBytes` its length, `name` what errors call it.
 * Throws an ImageError: IMAGE_CORRUPT or IMAGE_UNSUPPORTED.
 */
export function parseHeader(bytes: Uint8Array, fileBytes: number, name: string): Qcow2Header {
  const corrupt = (what: string) => new ImageError('IMAGE_CORRUPT', `${name}: ${what}.`);
  const unsupported = (what: string) => new ImageError('IMAGE_UNSUPPORTED', `${name}: ${what}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 72 || !isQcow2(bytes)) throw corrupt('is not a qcow2 image');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw unsupported(`qcow2 version ${version} is not supported, only 2 and 3`);
  const fixedBytes = version === 2 ? 72 : 104;
  if (bytes.length < fixedBytes) throw corrupt('the file ends inside the header');

  const clusterBits = view.getUint32(20);
  if (clusterBits < limits.clusterBits.min || clusterBits > limits.clusterBits.max) {
    throw corrupt(`the header says clusters of 2^${clusterBits} bytes; 2^9 to 2^21 are allowed`);
  }
  const clusterBytes = 2 ** clusterBits;
  const headerBytes = version === 2 ? 72 : view.getUint32(100);
  if (headerBytes < fixedBytes || headerBytes > Math.min(clusterBytes, bytes.length)) {
    throw corrupt(`the header cannot be ${headerBytes} bytes long`);
  }

  const u64 = (at: number, what: string): number => {
    const value = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
    if (value >= limits.offset) throw unsupported(`${what} ${hex(value)} is beyond 2^53`);
    return value;
  };
  const features = version === 2 ? featuresOfVersion2 : readFeatures(view);
  const extensions = readExtensions(bytes, view, headerBytes, clusterBytes, corrupt);
  refuseFeatures(features, extensions, unsupported);
  const cryptMethod = view.getUint32(32);
  if (cryptMethod !== 0) {
    const method = ['', 'AES', 'LUKS'][cryptMethod] ?? `method ${cryptMethod}`;
    throw unsupported(`encrypted images are not supported (${method}); decrypt it with qemu-img convert`);
  }
  const refcountOrder = version === 2 ? 4 : view.getUint32(96);
  if (refcountOrder > 6) throw corrupt(`refcounts of 2^${refcountOrder} bits are not possible`);

  const sizeBytes = Math.floor(u64(headerField.size, 'the disk size') / 512) * 512;
  const l1Entries = view.getUint32(36);
  const l1Offset = u64(40, 'the offset of the L1 table');
  const bytesPerL2 = clusterBytes * (clusterBytes / 8);
  if (l1Entries * 8 > limits.l1Bytes) throw corrupt(`an L1 table of ${l1Entries} entries is over the limit of 32 MiB`);
  if (l1Entries < Math.ceil(sizeBytes / bytesPerL2)) {
    throw corrupt(`the L1 table has ${l1Entries} entries, too few for a disk of ${sizeBytes} bytes`);
  }
  const within = (what: string, offset: number, lenBytes: number) => {
    if (offset % clusterBytes !== 0) throw corrupt(`${what} at ${hex(offset)} is not aligned to a cluster`);
    if (lenBytes > 0 && (offset === 0 || offset + lenBytes > fileBytes)) {
      throw corrupt(`${what} at ${hex(offset)}, ${lenBytes} bytes, is not inside the file of ${fileBytes} bytes`);
    }
  };
  within('the L1 table', l1Offset, l1Entries * 8);
  const refcountTableOffset = u64(48, 'the offset of the refcount table');
  const refcountTableClusters = view.getUint32(56);
  if (refcountTableClusters * clusterBytes > limits.refcountTableBytes) {
    throw corrupt(`a refcount table of ${refcountTableClusters} clusters is over the limit of 8 MiB`);
  }
  if (refcountTableClusters === 0) throw corrupt('the image has no refcount table');
  within('the refcount table', refcountTableOffset, 1);
  const snapshots = view.getUint32(60);
  if (snapshots > limits.snapshots) throw corrupt(`${snapshots} internal snapshots are over the limit of 65536`);

  return {
    version,
    clusterBits,
    clusterBytes,
    sizeBytes,
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    refcountOrder,
    snapshots,
    backingName: readBackingName(bytes, view, clusterBytes, corrupt),
    backingFormat: extensions.backingFormat,
    compression: readCompression(bytes, features, headerBytes, corrupt, unsupported),
    dirty: (features.incompatible & incompatible.dirty) !== 0,
    corrupt: (features.incompatible & incompatible.corrupt) !== 0,
    lazyRefcounts: (features.compatible & compatible.lazyRefcounts) !== 0,
    hasAutoclear: features.autoclear,
    hasBitmaps: features.bitmaps,
  };
}

type MakeError = (what: string) => ImageError;

interface Features {
  /** Bits 0 to 31. */
  readonly incompatible: number;
  /** Bits 32 to 63. */
  readonly incompatibleHigh: number;
  readonly compatible: number;
  readonly autoclear: boolean;
  readonly bitmaps: boolean;
}

const featuresOfVersion2: Features = {
  incompatible: 0,
  incompatibleHigh: 0,
  compatible: 0,
  autoclear: false,
  bitmaps: false,
};

function readFeatures(view: DataView): Features {
  const autoclearLow = view.getUint32(headerField.autoclear + 4);
  return {
    incompatible: view.getUint32(headerField.incompatible + 4),
    incompatibleHigh: view.getUint32(headerField.incompatible),
    compatible: view.getUint32(84),
    autoclear: (autoclearLow | view.getUint32(headerField.autoclear)) !== 0,
    bitmaps: (autoclearLow & autoclear.bitmaps) !== 0,
  };
}

function refuseFeatures(features: Features, extensions: Extensions, unsupported: MakeError): void {
  const bits = features.incompatible;
  if ((bits & incompatible.dataFile) !== 0) throw unsupported('images with an external data file are not supported');
  if ((bits & incompatible.extendedL2) !== 0) {
    throw unsupported('extended L2 entries (subclusters) are not supported; convert the image without extended_l2');
  }
  const known = Object.values(incompatible).reduce((sum, bit) => sum | bit, 0);
  for (let bit = 0; bit < 64; bit++) {
    const word = bit < 32 ? bits & ~known : features.incompatibleHigh;
    if (((word >>> (bit % 32)) & 1) === 0) continue;
    const name = extensions.featureNames.get(bit);
    throw unsupported(`needs incompatible feature ${bit}${name === undefined ? '' : ` (${name})`}, which is not known`);
  }
}

function readCompression(
  bytes: Uint8Array,
  features: Features,
  headerBytes: number,
  corrupt: MakeError,
  unsupported: MakeError,
): ClusterCompression {
  const type = headerBytes > 104 ? bytes[104] : 0;
  const announced = (features.incompatible & incompatible.compressionType) !== 0;
  if (announced !== (type !== 0)) throw corrupt('the compression type and its feature bit contradict each other');
  if (type > 1) throw unsupported(`compression type ${type} is not known; deflate (0) and zstd (1) are`);
  return type === 1 ? 'zstd' : 'deflate';
}

function readBackingName(
  bytes: Uint8Array,
  view: DataView,
  clusterBytes: number,
  corrupt: MakeError,
): string | undefined {
  const high = view.getUint32(headerField.backingOffset);
  const offset = view.getUint32(headerField.backingOffset + 4);
  if (high === 0 && offset === 0) return undefined;
  const length = view.getUint32(16);
  if (length === 0) return undefined;
  const end = Math.min(clusterBytes, bytes.length);
  if (length > limits.backingNameBytes || high !== 0 || offset > end || offset + length > end) {
    throw corrupt('the name of the backing file does not lie in the first cluster');
  }
  const name = decodeText(bytes.subarray(offset, offset + length));
  if (name.includes('\0')) throw corrupt('the name of the backing file has a zero byte in it');
  return name;
}

interface Extensions {
  backingFormat: string | undefined;
  readonly featureNames: Map<number, string>;
}

function readExtensions(
  bytes: Uint8Array,
  view: DataView,
  headerBytes: number,
  clusterBytes: number,
  corrupt: MakeError,
): Extensions {
  const found: Extensions = { backingFormat: undefined, featureNames: new Map() };
  const backingOffset = view.getUint32(headerField.backingOffset + 4);
  // Extensions stand between the header and the name of the backing file, or the end of the first cluster.
  const end = Math.min(clusterBytes, bytes.length, backingOffset === 0 ? clusterBytes : backingOffset);
  let at = headerBytes;
  for (let count = 0; at + 8 <= end; count++) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === extensionType.end) break;
    if (count >= limits.headerExtensions) throw corrupt('the header has too many extensions');
    if (length > end - at - 8) throw corrupt(`header extension ${hex(type)} is longer than the header`);
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === extensionType.backingFormat) found.backingFormat = printable(decodeText(data));
    if (type === extensionType.featureNames) readFeatureNames(data, found.featureNames);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return found;
}

/** Rows of 48 bytes: kind (0 is incompatible), bit, name. */
function readFeatureNames(data: Uint8Array, names: Map<number, string>): void {
  for (let at = 0; at + 48 <= data.length; at += 48) {
    if (data[at] !== 0) continue;
    const text = data.subarray(at + 2, at + 48);
    const end = text.indexOf(0);
    names.set(data[at + 1], printable(decodeText(end < 0 ? text : text.subarray(0, end))));
  }
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8').decode(bytes);
}

/** Names from the image appear in messages on a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 64);
}

export interface NewHeader {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly refcountOrder: number;
  readonly backingName?: string;
  readonly backingFormat?: string;
  readonly lazyRefcounts?: boolean;
}

/** The first cluster of a new image. Throws an ImageError if the name of the backing file does not fit. */
export function buildHeader(header: NewHeader): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  const u64 = (at: number, value: number) => {
    view.setUint32(at, Math.floor(value / 2 ** 32));
    view.setUint32(at + 4, value >>> 0);
  };
  bytes.set(magicBytes);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  u64(headerField.size, header.sizeBytes);
  view.setUint32(36, header.l1Entries);
  u64(40, header.l1Offset);
  u64(48, header.refcountTableOffset);
  view.setUint32(56, header.refcountTableClusters);
  let at = 72;
  if (header.version === 3) {
    view.setUint32(84, header.lazyRefcounts === true ? compatible.lazyRefcounts : 0);
    view.setUint32(96, header.refcountOrder);
    at = 112;
    view.setUint32(100, at);
  }
  const encoder = new TextEncoder();
  const extension = (type: number, data: Uint8Array) => {
    view.setUint32(at, type);
    view.setUint32(at + 4, data.length);
    bytes.set(data, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  };
  if (header.backingFormat !== undefined) extension(extensionType.backingFormat, encoder.encode(header.backingFormat));
  extension(extensionType.end, new Uint8Array(0));
  if (header.backingName !== undefined) {
    const name = encoder.encode(header.backingName);
    if (name.length > limits.backingNameBytes || at + name.length > bytes.length) {
      throw new ImageError('IMAGE_BACKING', `The name of the backing file is too long: ${header.backingName}.`);
    }
    u64(headerField.backingOffset, at);
    view.setUint32(16, name.length);
    bytes.set(name, at);
  }
  return bytes;
}
