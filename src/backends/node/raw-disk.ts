// A file of this machine as a disk, byte for byte. What is discarded goes back to the host's file system where that can be
// done (hole-punch.ts), and two writers of one file are refused (file-lock.ts).

import { readSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { PowervisorError, UsageError } from '../../util/errors.ts';
import type { BlockBackend, BlockFailure, BlockOutcome } from '../block-backend.ts';
import { lockFile } from './file-lock.ts';
import { HolePuncher } from './hole-punch.ts';

const SECTOR_BYTES = 512;
/** Zeroes are written in pieces of this size. */
const ZEROES = new Uint8Array(2 ** 20);

/** Requests up to this size are done at once: about what the host copies in half a millisecond. */
const MAX_NOW_BYTES = 2 ** 21;
/** One that takes longer had to wait for a medium, for room in the host's cache, or for its turn on a busy processor. */
const SLOW_MS = 4;
/**
 * Each slow one counts so much, each other one takes 1 off. At the limit nothing is done at once for a while, so that the
 * guest seldom stands still for a medium; then it takes one slow one to get there again.
 */
const SLOW_WEIGHT = 4;
const SLOW_LIMIT = 12;
const REST_MS = 250;
const SHORTER = 'the file has become shorter';

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
  private readonly unlock: () => void;
  private readonly holes: HolePuncher;
  private readonly nowMs: () => number;
  private slowness = 0;
  /** When requests may be done at once again. */
  private restUntilMs = 0;

  /**
   * Throws PowervisorError if the file cannot be opened or is in use, UsageError if it is not a file of whole sectors of 512 bytes.
   * `nowMs` is the clock that tells how fast the file is.
   */
  static async open(path: string, readOnly: boolean, nowMs = () => performance.now()): Promise<RawDisk> {
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
    try {
      if (problem !== undefined) throw new UsageError('DRIVE', `The disk ${path} ${problem}.`);
      const unlock = await lockFile(file, path, readOnly ? 'shared' : 'exclusive');
      return new RawDisk(path, file, stat.size, readOnly, unlock, nowMs);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(
    path: string,
    file: FileHandle,
    sizeBytes: number,
    readOnly: boolean,
    unlock: () => void,
    nowMs: () => number,
  ) {
    this.name = path;
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
    this.unlock = unlock;
    this.holes = new HolePuncher(file.fd);
    this.nowMs = nowMs;
  }

  readNow(offset: number, target: Uint8Array): BlockOutcome | 'later' {
    return this.now(target, (done) => {
      const bytesRead = readSync(this.file.fd, target, done, target.length - done, offset + done);
      if (bytesRead === 0) throw new Error(SHORTER);
      return bytesRead;
    });
  }

  writeNow(offset: number, source: Uint8Array): BlockOutcome | 'later' {
    return this.now(source, (done) => writeSync(this.file.fd, source, done, source.length - done, offset + done));
  }

  read(offset: number, target: Uint8Array): Promise<BlockOutcome> {
    return this.attempt(async () => {
      for (let done = 0; done < target.length; ) {
        const { bytesRead } = await this.file.read(target, done, target.length - done, offset + done);
        if (bytesRead === 0) throw new Error(SHORTER);
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

  /** What is discarded reads as zeroes or as before. */
  async discard(offset: number, lenBytes: number): Promise<BlockOutcome> {
    const range = this.holes.inside(offset, lenBytes);
    if (range) await this.holes.punch(range);
    return undefined;
  }

  writeZeroes(offset: number, lenBytes: number, mayUnmap = false): Promise<BlockOutcome> {
    return this.attempt(async () => {
      const range = mayUnmap ? this.holes.inside(offset, lenBytes) : undefined;
      if (!range || !(await this.holes.punch(range))) {
        await this.zero(offset, offset + lenBytes);
        return;
      }
      await this.zero(offset, range.start);
      await this.zero(range.end, offset + lenBytes);
    });
  }

  async close(): Promise<void> {
    if (!this.readOnly) await this.flush();
    await this.attempt(() => this.file.close());
    this.unlock();
  }

  private async zero(start: number, end: number): Promise<void> {
    for (let at = start; at < end; at += ZEROES.length) {
      await this.writeAll(at, ZEROES.subarray(0, Math.min(ZEROES.length, end - at)));
    }
  }

  private async writeAll(offset: number, source: Uint8Array): Promise<void> {
    for (let done = 0; done < source.length; ) {
      const { bytesWritten } = await this.file.write(source, done, source.length - done, offset + done);
      done += bytesWritten;
    }
  }

  /** Transfers all of `bytes`, `step` doing a part each time, unless it would take long. */
  private now(bytes: Uint8Array, step: (done: number) => number): BlockOutcome | 'later' {
    const beganMs = this.nowMs();
    if (bytes.length > MAX_NOW_BYTES || beganMs < this.restUntilMs) return 'later';
    try {
      for (let done = 0; done < bytes.length; ) done += step(done);
      return undefined;
    } catch (cause) {
      return failureOf(cause);
    } finally {
      this.tookNow(this.nowMs() - beganMs);
    }
  }

  private tookNow(ms: number): void {
    if (ms <= SLOW_MS) {
      if (this.slowness > 0) this.slowness--;
      return;
    }
    this.slowness += SLOW_WEIGHT;
    if (this.slowness < SLOW_LIMIT) return;
    this.slowness = SLOW_LIMIT - SLOW_WEIGHT;
    this.restUntilMs = this.nowMs() + REST_MS;
  }

  private async attempt(action: () => Promise<void>): Promise<BlockOutcome> {
    try {
      await action();
      return undefined;
    } catch (cause) {
      return failureOf(cause);
    }
  }
}

function failureOf(cause: unknown): BlockFailure {
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  return { kind: full ? 'no-space' : 'io-error', message };
}
