// A file of this machine as a disk, byte for byte.
// Left out: discarding gives no space back to the host's file system (Node has no way to punch holes), and two machines
// are not kept from opening the same file.

import { type FileHandle, open } from 'node:fs/promises';
import { PowervisorError, UsageError } from '../../util/errors.ts';
import type { BlockBackend, BlockOutcome } from '../block-backend.ts';

const SECTOR_BYTES = 512;
/** Zeroes are written in pieces of this size. */
const ZEROES = new Uint8Array(2 ** 20);

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied; give it read and write permission, or add readonly or snapshot',
  EPERM: 'this is not permitted; give it read and write permission, or add readonly or snapshot',
  EISDIR: 'it is a directory',
  EROFS: 'it is on a read-only file system; add readonly or snapshot',
  ETXTBSY: 'it is in use',
};

export class RawDisk implements BlockBackend {
  readonly name: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  private readonly file: FileHandle;

  /**
   * Throws PowervisorError if the file cannot be opened, UsageError if it is not a file of whole sectors of 512 bytes.
   */
  static async open(path: string, readOnly: boolean): Promise<RawDisk> {
    let file: FileHandle;
    try {
      file = await open(path, readOnly ? 'r' : 'r+');
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      throw new PowervisorError('DRIVE', `Cannot open the disk ${path}: ${reasons[code] ?? message}.`, { cause });
    }
    const stat = await file.stat();
    const problem = !stat.isFile()
      ? 'is not a regular file; give an image file'
      : stat.size === 0
        ? 'is empty; give it a size first, for example with truncate -s 1G'
        : stat.size % SECTOR_BYTES !== 0
          ? `has ${stat.size} bytes, which is no multiple of 512; pad it with truncate -s %512`
          : undefined;
    if (problem === undefined) return new RawDisk(path, file, stat.size, readOnly);
    await file.close();
    throw new UsageError('DRIVE', `The disk ${path} ${problem}.`);
  }

  private constructor(path: string, file: FileHandle, sizeBytes: number, readOnly: boolean) {
    this.name = path;
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
  }

  read(offset: number, target: Uint8Array): Promise<BlockOutcome> {
    return this.attempt(async () => {
      for (let done = 0; done < target.length; ) {
        const { bytesRead } = await this.file.read(target, done, target.length - done, offset + done);
        if (bytesRead === 0) throw new Error('the file has become shorter');
        done += bytesRead;
      }
    });
  }

  write(offset: number, source: Uint8Array): Promise<BlockOutcome> {
    return this.attempt(() => this.writeAll(offset, source));
  }

  flush(): Promise<BlockOutcome> {
    return this.attempt(() => this.file.datasync());
  }

  async discard(): Promise<BlockOutcome> {
    return undefined;
  }

  writeZeroes(offset: number, lenBytes: number): Promise<BlockOutcome> {
    return this.attempt(async () => {
      for (let done = 0; done < lenBytes; done += ZEROES.length) {
        await this.writeAll(offset + done, ZEROES.subarray(0, Math.min(ZEROES.length, lenBytes - done)));
      }
    });
  }

  async close(): Promise<void> {
    if (!this.readOnly) await this.flush();
    await this.attempt(() => this.file.close());
  }

  private async writeAll(offset: number, source: Uint8Array): Promise<void> {
    for (let done = 0; done < source.length; ) {
      const { bytesWritten } = await this.file.write(source, done, source.length - done, offset + done);
      done += bytesWritten;
    }
  }

  private async attempt(action: () => Promise<void>): Promise<BlockOutcome> {
    try {
      await action();
      return undefined;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
      return { kind: full ? 'no-space' : 'io-error', message };
    }
  }
}
