// Reading tar archives from a stream, member by member: ustar with the long names of GNU tar and of pax (POSIX.1-2017,
// pax). Enough for the archives dpkg and tar write; sparse members and multi-volume archives are left out.

import { PowervisorError } from '../../util/errors.ts';

export interface TarMember {
  readonly path: string;
  /** The type flag: '0' file, '2' symbolic link, '5' directory ... */
  readonly type: string;
  readonly sizeBytes: number;
  /** The content. May be called once, before the next member is asked for; what is not read is skipped. */
  read(): Promise<Uint8Array>;
}

const blockBytes = 512;
const maxNameBytes = 1 << 20;

/** Yields each member of the archive. Throws a PowervisorError naming `what` if the archive is damaged or cut short. */
export async function* readTar(chunks: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<TarMember> {
  const input = new ByteReader(chunks, what);
  try {
    let longPath: string | undefined;
    for (;;) {
      const header = await input.take(blockBytes);
      if (header.every((byte) => byte === 0)) return;
      checkHeader(header, what);
      const type = header[156] === 0 ? '0' : String.fromCharCode(header[156]);
      const sizeBytes = numberField(header, 124, 12);
      if (Number.isNaN(sizeBytes)) throw damaged(what, 'a header has no size');
      const paddedBytes = Math.ceil(sizeBytes / blockBytes) * blockBytes;
      if (type === 'L' || type === 'x') {
        if (sizeBytes > maxNameBytes) throw damaged(what, 'a name is too long');
        const text = (await input.take(paddedBytes)).subarray(0, sizeBytes);
        longPath = (type === 'L' ? cString(text) : paxPath(text)) ?? longPath;
        continue;
      }
      let unreadBytes = paddedBytes;
      yield {
        path: longPath ?? headerPath(header),
        type,
        sizeBytes,
        async read() {
          unreadBytes = 0;
          return (await input.take(paddedBytes)).subarray(0, sizeBytes);
        },
      };
      await input.skip(unreadBytes);
      longPath = undefined;
    }
  } finally {
    await input.close();
  }
}

/** Chunks of any length, taken in pieces of wanted lengths. */
class ByteReader {
  private readonly iterator: AsyncIterator<Uint8Array>;
  private readonly what: string;
  private chunk: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>, what: string) {
    this.iterator = chunks[Symbol.asyncIterator]();
    this.what = what;
  }

  async take(lenBytes: number): Promise<Uint8Array> {
    const taken = new Uint8Array(lenBytes);
    let filled = 0;
    await this.pass(lenBytes, (piece) => {
      taken.set(piece, filled);
      filled += piece.length;
    });
    return taken;
  }

  skip(lenBytes: number): Promise<void> {
    return this.pass(lenBytes, () => {});
  }

  async close(): Promise<void> {
    await this.iterator.return?.();
  }

  private async pass(lenBytes: number, use: (piece: Uint8Array) => void): Promise<void> {
    for (let left = lenBytes; left > 0; ) {
      if (this.chunk.length === 0) {
        const { done, value } = await this.iterator.next();
        if (done === true) throw damaged(this.what, 'it is cut short');
        this.chunk = value;
      }
      const piece = this.chunk.subarray(0, left);
      use(piece);
      this.chunk = this.chunk.subarray(piece.length);
      left -= piece.length;
    }
  }
}

/** The sum of all bytes of the header, its own eight counted as blanks. */
function checkHeader(header: Uint8Array, what: string): void {
  const blank = 0x20;
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? blank : byte), 0);
  if (sum !== numberField(header, 148, 8)) throw damaged(what, 'a header has a wrong checksum');
}

/** Octal digits, or, with the top bit set, a big-endian binary number (GNU). NaN for anything else. */
function numberField(header: Uint8Array, start: number, lenBytes: number): number {
  const field = header.subarray(start, start + lenBytes);
  if ((field[0] & 0x80) !== 0) return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  const text = cString(field).trim();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || '0', 8) : Number.NaN;
}

function headerPath(header: Uint8Array): string {
  const name = cString(header.subarray(0, 100));
  const isPosix = cString(header.subarray(257, 263)) === 'ustar';
  const prefix = isPosix ? cString(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records `LENGTH key=value\n`, the length counting all of the record. */
function paxPath(records: Uint8Array): string | undefined {
  for (let at = 0; at < records.length; ) {
    const lenBytes = Number.parseInt(Buffer.from(records.subarray(at, at + 12)).toString('latin1'), 10);
    if (!(lenBytes > 0)) return undefined;
    const record = Buffer.from(records.subarray(at, at + lenBytes - 1)).toString();
    const path = /^\d+ path=([\s\S]*)$/.exec(record)?.[1];
    if (path !== undefined) return path;
    at += lenBytes;
  }
  return undefined;
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString();
}

function damaged(what: string, why: string): PowervisorError {
  return new PowervisorError('BAD_PACKAGE', `${what} is not a readable tar archive: ${why}.`);
}
