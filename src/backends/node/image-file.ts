// What disk images need of Node: files with random access, names of files, decompression of clusters.

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { Decompress as ZstdDecompress } from 'fzstd';
import { PowervisorError } from '../../util/errors.ts';
import type { BlockBackend } from '../block-backend.ts';
import { ImageBackend } from '../qcow2/image-backend.ts';
import { openImage, openTemporaryOverlay } from '../qcow2/open-image.ts';
import type { ClusterCompression, FileStore, RandomAccessFile } from '../qcow2/ports.ts';
import { zstdPieces } from '../qcow2/zstd-frame.ts';
import { lockFile } from './file-lock.ts';

export interface ImageChoice {
  readonly format: 'raw' | 'qcow2';
  readonly readOnly: boolean;
  /** Changes go to a temporary file and are gone afterwards; the image is only read. */
  readonly snapshot: boolean;
}

/**
 * The disk in the image file `path`, with its backing files. Throws a PowervisorError saying which file cannot be
 * opened, or which image is damaged or needs something that is not supported.
 */
export async function openDiskImage(path: string, choice: ImageChoice): Promise<BlockBackend> {
  const { format, readOnly, snapshot } = choice;
  const options = { format, readOnly: readOnly || snapshot, decompress: decompressCluster };
  const image = await openImage(nodeFileStore, path, options);
  if (!snapshot || readOnly) return new ImageBackend(path, image);
  try {
    const overlay = await openTemporaryOverlay(image, await openTemporaryFile(), decompressCluster);
    return new ImageBackend(path, overlay);
  } catch (error) {
    await image.close();
    throw error;
  }
}

export class NodeFile implements RandomAccessFile {
  readonly readOnly: boolean;
  private readonly handle: FileHandle;
  private readonly afterClose: (() => Promise<void>) | undefined;

  constructor(handle: FileHandle, readOnly: boolean, afterClose?: () => Promise<void>) {
    this.handle = handle;
    this.readOnly = readOnly;
    this.afterClose = afterClose;
  }

  async size(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.handle.read(into, done, into.length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const { bytesWritten } = await this.handle.write(from, done, from.length - done, offset + done);
      done += bytesWritten;
    }
  }

  async flush(): Promise<void> {
    await this.handle.datasync();
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.handle.truncate(sizeBytes);
  }

  async close(): Promise<void> {
    await this.handle.close();
    await this.afterClose?.();
  }
}

export const nodeFileStore: FileStore = {
  async resolve(name, from) {
    const path = from === undefined ? resolve(name) : resolve(dirname(from), name);
    // A file that is not there keeps its name, for the message of `open`.
    return realpath(path).catch(() => path);
  },

  async open(path, access) {
    try {
      const handle = await open(path, access === 'write' ? 'r+' : 'r');
      const stat = await handle.stat();
      if (stat.isFile()) return await lockedFile(handle, path, access);
      await handle.close();
    } catch (cause) {
      if (cause instanceof PowervisorError) throw cause;
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'there is no such file' : message;
      throw new PowervisorError('DRIVE', `Cannot open the disk image ${path}: ${reason}.`, { cause });
    }
    throw new PowervisorError('DRIVE', `The disk image ${path} is not a regular file; give an image file.`);
  },
};

async function lockedFile(handle: FileHandle, path: string, access: 'read' | 'write'): Promise<NodeFile> {
  try {
    const unlock = await lockFile(handle, path, access === 'read' ? 'shared' : 'exclusive');
    return new NodeFile(handle, access === 'read', async () => unlock());
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** An empty file that is gone once closed; where the system allows it, its name is gone at once. */
export async function openTemporaryFile(): Promise<RandomAccessFile> {
  const path = join(tmpdir(), `powervisor-overlay-${randomUUID()}`);
  const handle = await open(path, 'wx+', 0o600);
  const removed = await unlink(path).then(
    () => true,
    () => false,
  );
  return new NodeFile(handle, false, removed ? undefined : () => unlink(path));
}

const inflate = promisify(inflateRaw);

/** Unpacks one compressed cluster (see ClusterDecompressor). */
export async function decompressCluster(
  method: ClusterCompression,
  bytes: Uint8Array,
  limitBytes: number,
): Promise<Uint8Array> {
  return method === 'deflate' ? inflateCluster(bytes, limitBytes) : unzstdCluster(bytes, limitBytes);
}

async function inflateCluster(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  // What follows the stream is ignored by zlib.
  return (await inflate(bytes, { maxOutputLength: limitBytes })) as Uint8Array;
}

function unzstdCluster(bytes: Uint8Array, limitBytes: number): Uint8Array {
  const unpacked = new Uint8Array(limitBytes);
  let length = 0;
  const unpacker = new ZstdDecompress((chunk) => {
    if (length + chunk.length > limitBytes) throw new Error(`it unpacks to more than ${limitBytes} bytes`);
    unpacked.set(chunk, length);
    length += chunk.length;
  });
  // Block by block, so that a frame that unpacks to far too much is given up early.
  const ends = zstdPieces(bytes);
  ends.forEach((end, index) => {
    unpacker.push(bytes.subarray(index === 0 ? 0 : ends[index - 1], end), index === ends.length - 1);
  });
  return unpacked.subarray(0, length);
}
