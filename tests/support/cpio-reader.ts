// Files of an initial RAM disk as the host sees them: a gzip-compressed or plain newc archive (cpio(5)).

import { gunzipSync } from 'node:zlib';

export interface CpioFile {
  readonly name: string;
  readonly mode: number;
  readonly data: Uint8Array;
}

export function readCpio(image: Uint8Array): CpioFile[] {
  const bytes = image[0] === 0x1f && image[1] === 0x8b ? gunzipSync(image) : image;
  const text = (at: number, length: number) =>
    Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('latin1');
  const field = (at: number, index: number) => Number.parseInt(text(at + 6 + index * 8, 8), 16);
  const align = (at: number) => (at + 3) & ~3;
  const files: CpioFile[] = [];
  for (let at = 0; text(at, 6) === '070701'; ) {
    const nameBytes = field(at, 11);
    const dataBytes = field(at, 6);
    const name = text(at + 110, nameBytes - 1);
    if (name === 'TRAILER!!!') break;
    const dataAt = align(at + 110 + nameBytes);
    files.push({ name, mode: field(at, 1), data: bytes.subarray(dataAt, dataAt + dataBytes) });
    at = align(dataAt + dataBytes);
  }
  return files;
}
