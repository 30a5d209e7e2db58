// Messages of 9P2000.L as bytes: little-endian numbers, strings behind their 16-bit lengths, size[4] type[1] tag[2] in
// front. What each message holds is in server.ts, beside what it does.

import { ERRNO, type ErrnoName, ShareError } from '../../../backends/share-backend.ts';

/** The types of requests; the answer to each has the next number. */
export const T = {
  STATFS: 8,
  LOPEN: 12,
  LCREATE: 14,
  SYMLINK: 16,
  MKNOD: 18,
  RENAME: 20,
  READLINK: 22,
  GETATTR: 24,
  SETATTR: 26,
  XATTRWALK: 30,
  XATTRCREATE: 32,
  READDIR: 40,
  FSYNC: 50,
  LOCK: 52,
  GETLOCK: 54,
  LINK: 70,
  MKDIR: 72,
  RENAMEAT: 74,
  UNLINKAT: 76,
  VERSION: 100,
  AUTH: 102,
  ATTACH: 104,
  FLUSH: 108,
  WALK: 110,
  READ: 116,
  WRITE: 118,
  CLUNK: 120,
  REMOVE: 122,
} as const;

const RLERROR = 7;
export const HEADER_BYTES = 7;
/** Of an answer to Tread or Treaddir, in front of the data. */
export const DATA_HEADER_BYTES = HEADER_BYTES + 4;
export const ERROR_BYTES = HEADER_BYTES + 4;
export const QID_BYTES = 13;
export const NO_TAG = 0xffff;

export interface Header {
  readonly sizeBytes: number;
  readonly type: number;
  readonly tag: number;
}

/** `bytes` has at least HEADER_BYTES. */
export function parseHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { sizeBytes: view.getUint32(0, true), type: view.getUint8(4), tag: view.getUint16(5, true) };
}

/** Takes a request apart. What is not there is EINVAL. */
export class MessageReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = HEADER_BYTES;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(): number {
    return this.view.getUint8(this.step(1));
  }
  u16(): number {
    return this.view.getUint16(this.step(2), true);
  }
  u32(): number {
    return this.view.getUint32(this.step(4), true);
  }
  u64(): bigint {
    return this.view.getBigUint64(this.step(8), true);
  }
  /** Each character is one byte. */
  text(): string {
    return byteText(this.data(this.u16()));
  }
  data(lenBytes: number): Uint8Array {
    const at = this.step(lenBytes);
    return this.bytes.subarray(at, at + lenBytes);
  }

  private step(lenBytes: number): number {
    const { at } = this;
    if (lenBytes > this.bytes.length - at) throw new ShareError('EINVAL', 'a message that ends too soon');
    this.at = at + lenBytes;
    return at;
  }
}

/** Puts an answer together. Taking room may replace `view`, so each method takes it first. */
export class MessageWriter {
  private bytes: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private at = HEADER_BYTES;

  constructor(roomBytes = 256) {
    this.bytes = new Uint8Array(roomBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    const at = this.step(1);
    this.view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.step(2);
    this.view.setUint16(at, value, true);
    return this;
  }
  u32(value: number): this {
    const at = this.step(4);
    this.view.setUint32(at, value, true);
    return this;
  }
  u64(value: bigint | number): this {
    const at = this.step(8);
    this.view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }
  text(text: string): this {
    this.u16(text.length);
    const at = this.step(text.length);
    for (let n = 0; n < text.length; n++) this.bytes[at + n] = text.charCodeAt(n);
    return this;
  }
  /** Room for data that the caller fills in. */
  space(lenBytes: number): Uint8Array<ArrayBuffer> {
    const at = this.step(lenBytes);
    return this.bytes.subarray(at, at + lenBytes);
  }
  get lenBytes(): number {
    return this.at;
  }
  /** Takes back what was written behind `lenBytes`. */
  cut(lenBytes: number): void {
    this.at = lenBytes;
  }
  patchU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  finish(type: number, tag: number): Uint8Array<ArrayBuffer> {
    this.view.setUint32(0, this.at, true);
    this.view.setUint8(4, type);
    this.view.setUint16(5, tag, true);
    return this.bytes.subarray(0, this.at);
  }

  private step(lenBytes: number): number {
    const { at } = this;
    this.at = at + lenBytes;
    if (this.at > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.at, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }
}

export function errorMessage(tag: number, errno: ErrnoName): Uint8Array<ArrayBuffer> {
  return new MessageWriter(ERROR_BYTES).u32(ERRNO[errno]).finish(RLERROR, tag);
}

/** Bytes as text of one character each. */
export function byteText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}
