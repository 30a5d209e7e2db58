// Compressed files as people hand them over: gzip, xz and Zstandard, told apart by their first bytes.
// Streams are used throughout because the data archive of a kernel package unpacks to several hundred megabytes.

import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress as ZstdDecompress } from 'fzstd';
import xz from 'xz-decompress';
import { PowervisorError } from '../../util/errors.ts';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'none';

/** Which of the known formats `bytes` starts like; `none` for anything else. */
export function detectCompression(bytes: Uint8Array): Compression {
  if (startsWith(bytes, [0x1f, 0x8b])) return 'gzip';
  if (startsWith(bytes, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return 'xz';
  if (startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd])) return 'zstd';
  return 'none';
}

/** The unpacked bytes as an iterable of chunks. Bad data makes the iteration throw a PowervisorError naming `what`. */
export async function* decompressChunks(
  bytes: Uint8Array,
  what: string,
  compression: Compression = detectCompression(bytes),
): AsyncGenerator<Uint8Array> {
  try {
    yield* openers[compression](bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PowervisorError('BAD_COMPRESSED_DATA', `${what} is not readable as ${compression} data: ${reason}.`, {
      cause,
    });
  }
}

/**
 * All the unpacked bytes. Bytes in no known format are returned as they are.
 * Throws a PowervisorError for damaged data, and when more than `limitBytes` come out.
 */
export async function decompress(bytes: Uint8Array, what: string, limitBytes: number): Promise<Uint8Array> {
  const compression = detectCompression(bytes);
  if (compression === 'none') return bytes;
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of decompressChunks(bytes, what, compression)) {
    total += chunk.length;
    if (total > limitBytes) {
      throw new PowervisorError('TOO_LARGE', `${what} unpacks to more than ${limitBytes} bytes.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

const inputChunkBytes = 1 << 18;

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += inputChunkBytes) yield bytes.subarray(at, at + inputChunkBytes);
}

const openers: Record<Compression, (bytes: Uint8Array) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>> = {
  none: pieces,
  gzip: (bytes) => Readable.from(pieces(bytes)).pipe(createGunzip()),
  xz: (bytes) => readAll(new xz.XzReadableStream(webStream(pieces(bytes)))),
  zstd: function* (bytes) {
    const ready: Uint8Array[] = [];
    const unpacker = new ZstdDecompress((chunk) => ready.push(chunk));
    let left = bytes.length;
    for (const piece of pieces(bytes)) {
      left -= piece.length;
      unpacker.push(piece, left === 0);
      yield* ready.splice(0);
    }
  },
};

/** A web stream of the chunks. Written out because Node's own adapter fails when its reader stops early. */
function webStream(chunks: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.iterator]();
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel() {
      iterator.return?.();
    },
  });
}

async function* readAll(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // A reader that stops early must say so: the xz decoder holds a lock until its stream ends one way or another.
    await reader.cancel().catch(() => {});
  }
}

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return prefix.every((value, index) => bytes[index] === value);
}
