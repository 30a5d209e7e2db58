// What a disk tells of itself: INQUIRY with its pages of vital product data, capacity, and mode pages (SPC-4 6.4, 7.5,
// 7.8; SBC-3 5.15, 6.5, 6.6).

import type { ModeSense } from './command.ts';
import { SCSI_MAX_SECTORS } from './config.ts';
import { SENSE, type Sense } from './sense.ts';

/** Largest transfer of one command, in bytes. */
export const MAX_TRANSFER_BYTES = SCSI_MAX_SECTORS * 512;
/** Limits of one UNMAP or WRITE SAME. */
export const MAX_UNMAP_RANGES = 256;
export const MAX_RANGE_BYTES = 2 ** 31;

const VENDOR = 'POWERVSR';
const REVISION = '0001';
/** SAM-5, SPC-4, SBC-3, none of them of a certain version. */
const VERSIONS = [0x00a0, 0x0460, 0x04c0];

export interface UnitFacts {
  readonly sizeBytes: number;
  readonly logicalBytes: number;
  readonly physicalBytes: number;
  readonly readOnly: boolean;
  /** Write cache enabled. */
  readonly writeCache: boolean;
  /** At most 16 characters. */
  readonly product: string;
  /** Undefined: it has none. */
  readonly serial: string | undefined;
  /** Tells the unit from others of the machine where there is no serial number. */
  readonly place: string;
}

function ascii(bytes: Uint8Array, at: number, lenBytes: number, text: string): void {
  bytes.fill(0x20, at, at + lenBytes);
  bytes.set(new TextEncoder().encode(text).subarray(0, lenBytes), at);
}

/** Standard INQUIRY data of a disk, or with `present` false, of a place where there is none. */
export function inquiryData(product: string, present = true): Uint8Array {
  const bytes = new Uint8Array(58 + 2 * VERSIONS.length);
  // Peripheral qualifier and type; SPC-4; hierarchical numbers, response format 2; command queueing.
  bytes.set([present ? 0 : 0x7f, 0, 6, 0x12, bytes.length - 5, 0, 0, 2]);
  ascii(bytes, 8, 8, VENDOR);
  ascii(bytes, 16, 16, product);
  ascii(bytes, 32, 4, REVISION);
  const view = new DataView(bytes.buffer);
  VERSIONS.forEach((version, n) => {
    view.setUint16(58 + 2 * n, version);
  });
  return bytes;
}

/** A page of vital product data, or undefined if there is no such one. */
export function vitalPage(page: number, facts: UnitFacts): Uint8Array | undefined {
  const content = pages.get(page)?.(facts);
  if (content === undefined) return undefined;
  const bytes = new Uint8Array(4 + content.length);
  bytes[1] = page;
  new DataView(bytes.buffer).setUint16(2, content.length);
  bytes.set(content, 4);
  return bytes;
}

const pages = new Map<number, (facts: UnitFacts) => Uint8Array | undefined>([
  [0x00, (facts) => Uint8Array.from(pageNumbers(facts))],
  [0x80, ({ serial }) => (serial === undefined ? undefined : new TextEncoder().encode(serial))],
  [0x83, identification],
  [0xb0, blockLimits],
  [0xb1, characteristics],
  [0xb2, ({ readOnly }) => (readOnly ? undefined : Uint8Array.of(0, 0x80 | 0x40 | 0x20, 2, 0))],
]);

function pageNumbers(facts: UnitFacts): number[] {
  return [...pages].filter(([number, make]) => number === 0 || make(facts)).map(([number]) => number);
}

/** A name of vendor, product and serial number, and a number made from it (SPC-4 7.8.6.5, 7.8.6.6.5). */
function identification({ product, serial, place }: UnitFacts): Uint8Array {
  const name = `${VENDOR}${product.padEnd(16)}${serial ?? place}`;
  const text = new TextEncoder().encode(name);
  const bytes = new Uint8Array(4 + text.length + 4 + 8);
  bytes.set([2, 1, 0, text.length]);
  bytes.set(text, 4);
  const at = 4 + text.length;
  bytes.set([1, 3, 0, 8], at);
  // "Locally assigned" in the upper 4 bits; a hash of the name (FNV-1a) in the others.
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of text) hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & 0xffff_ffff_ffff_ffffn;
  new DataView(bytes.buffer).setBigUint64(at + 4, (0x3n << 60n) | (hash >> 4n));
  return bytes;
}

function blockLimits({ logicalBytes, physicalBytes, readOnly }: UnitFacts): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  const granularity = physicalBytes / logicalBytes;
  bytes[0] = 1; // a WRITE SAME of no blocks is refused
  view.setUint16(2, granularity);
  view.setUint32(4, MAX_TRANSFER_BYTES / logicalBytes);
  if (readOnly) return bytes;
  view.setUint32(16, MAX_RANGE_BYTES / logicalBytes);
  view.setUint32(20, MAX_UNMAP_RANGES);
  view.setUint32(24, granularity);
  view.setUint32(28, 0x8000_0000); // the alignment, which is 0, is valid
  view.setUint32(36, MAX_RANGE_BYTES / logicalBytes);
  return bytes;
}

function characteristics(): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes[1] = 1; // it does not rotate
  return bytes;
}

export function capacity10({ sizeBytes, logicalBytes }: UnitFacts): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, Math.min(sizeBytes / logicalBytes - 1, 0xffff_ffff));
  view.setUint32(4, logicalBytes);
  return new Uint8Array(view.buffer);
}

export function capacity16({ sizeBytes, logicalBytes, physicalBytes, readOnly }: UnitFacts): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setBigUint64(0, BigInt(sizeBytes / logicalBytes - 1));
  view.setUint32(8, logicalBytes);
  view.setUint8(13, Math.log2(physicalBytes / logicalBytes));
  // Blocks can be unmapped; what they read as is not said.
  view.setUint8(14, readOnly ? 0 : 0x80);
  return new Uint8Array(view.buffer);
}

const CACHING_PAGE = 0x08;
const CONTROL_PAGE = 0x0a;
const ALL_PAGES = 0x3f;
const WCE = 4;

/** Pages as bytes, by number; `changeable`: the bits a MODE SELECT can change. */
function modePage(page: number, values: ModeSense['values'], writeCache: boolean): Uint8Array {
  const bytes = new Uint8Array(page === CACHING_PAGE ? 20 : 12);
  bytes[0] = page;
  bytes[1] = bytes.length - 2;
  if (page === CACHING_PAGE) {
    if (values !== 'current' || writeCache) bytes[2] = WCE;
  } else if (values !== 'changeable') {
    bytes[3] = 0x10; // commands may be reordered
  }
  return bytes;
}

function modeHeader(
  long: boolean,
  pagesBytes: number,
  descriptor: ModeSense['descriptor'],
  facts: UnitFacts,
): Uint8Array {
  const headerBytes = long ? 8 : 4;
  const descriptorBytes = descriptor === 'none' ? 0 : descriptor === 'short' ? 8 : 16;
  const bytes = new Uint8Array(headerBytes + descriptorBytes);
  const view = new DataView(bytes.buffer);
  const total = bytes.length + pagesBytes;
  // Write-protected; FUA is known.
  const specific = (facts.readOnly ? 0x80 : 0) | 0x10;
  if (long) {
    view.setUint16(0, total - 2);
    bytes[3] = specific;
    bytes[4] = descriptor === 'long' ? 1 : 0;
    view.setUint16(6, descriptorBytes);
  } else {
    bytes.set([total - 1, 0, specific, descriptorBytes]);
  }
  const blocks = facts.sizeBytes / facts.logicalBytes;
  if (descriptor === 'short') {
    view.setUint32(headerBytes, Math.min(blocks, 0xffff_ffff));
    view.setUint32(headerBytes + 4, facts.logicalBytes);
  } else if (descriptor === 'long') {
    view.setBigUint64(headerBytes, BigInt(blocks));
    view.setUint32(headerBytes + 12, facts.logicalBytes);
  }
  return bytes;
}

/** The answer to MODE SENSE. */
export function modeData(asked: ModeSense, facts: UnitFacts): Uint8Array | Sense {
  const { page, subpage, values } = asked;
  const all = page === ALL_PAGES;
  const numbers = [CACHING_PAGE, CONTROL_PAGE].filter((each) => all || each === page);
  if (numbers.length === 0 || (subpage !== 0 && subpage !== 0xff)) return SENSE.invalidCdb;
  const list = numbers.map((each) => modePage(each, values, facts.writeCache));
  const content = list.flatMap((bytes) => [...bytes]);
  const header = modeHeader(asked.long, content.length, asked.descriptor, facts);
  return Uint8Array.from([...header, ...content]);
}

/** What a MODE SELECT wants: the write cache on or off, or undefined if it is not spoken of. */
export interface ModeChange {
  readonly writeCache: boolean | undefined;
}

export function parseModeList(list: Uint8Array, long: boolean, facts: UnitFacts): ModeChange | Sense {
  let change: ModeChange = { writeCache: undefined };
  if (list.length === 0) return change;
  const headerBytes = long ? 8 : 4;
  if (list.length < headerBytes) return SENSE.parameterListLength;
  const descriptorBytes = long ? list[6] * 256 + list[7] : list[3];
  let at = headerBytes + descriptorBytes;
  if (at > list.length) return SENSE.parameterListLength;
  while (at < list.length) {
    const number = list[at] & 0x7f;
    if (number !== CACHING_PAGE && number !== CONTROL_PAGE) return SENSE.invalidParameter;
    const current = modePage(number, 'current', facts.writeCache);
    const changeable = modePage(number, 'changeable', facts.writeCache);
    if (at + current.length > list.length) return SENSE.parameterListLength;
    for (let n = 1; n < current.length; n++) {
      const fixed = n === 1 ? 0xff : ~changeable[n];
      if ((list[at + n] ^ current[n]) & fixed) return SENSE.invalidParameter;
    }
    if (number === CACHING_PAGE) change = { writeCache: (list[at + 2] & WCE) !== 0 };
    at += current.length;
  }
  return change;
}
