// Disks whose writes stay in memory: an empty one, and one on top of another disk that is left as it is (--drive's
// `snapshot`). Both forget everything when the machine is disposed of.

import type { BlockBackend, BlockFailure, BlockOutcome } from '../block-backend.ts';
import { SparseBytes } from './sparse-bytes.ts';

const ZERO_BYTES = 2 ** 20;

export interface MemoryBlockOptions {
  /** A multiple of 512. */
  readonly sizeBytes: number;
  readonly readOnly?: boolean;
  readonly name?: string;
  /** Bytes of memory it may take; no bound unless given. */
  readonly limitBytes?: number;
}

export class MemoryBlock implements BlockBackend {
  readonly name: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  private readonly base: BlockBackend | undefined;
  private readonly bytes: SparseBytes;
  private readonly limitBytes: number;
  private baseFailure: BlockFailure | undefined;

  /** With `base`, its content shows wherever nothing was written; it must be as large. `close` closes it. */
  constructor(options: MemoryBlockOptions, base?: BlockBackend) {
    this.name = options.name ?? 'disk in memory';
    this.sizeBytes = options.sizeBytes;
    this.readOnly = options.readOnly ?? false;
    this.base = base;
    this.limitBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
    this.bytes = new SparseBytes(
      this.limitBytes,
      base &&
        (async (offset, target) => {
          // The last chunk may reach beyond the end of the disk.
          this.baseFailure = await base.read(offset, target.subarray(0, Math.max(0, base.sizeBytes - offset)));
          return this.baseFailure === undefined;
        }),
    );
  }

  async read(offset: number, target: Uint8Array): Promise<BlockOutcome> {
    return (await this.bytes.read(offset, target)) ? undefined : this.baseFailure;
  }

  async write(offset: number, source: Uint8Array): Promise<BlockOutcome> {
    const problem = await this.bytes.write(offset, source);
    if (problem === 'unread') return this.baseFailure;
    if (problem === undefined) return undefined;
    return { kind: 'no-space', message: `${this.name} holds ${this.limitBytes} bytes of changes and no more` };
  }

  async flush(): Promise<BlockOutcome> {
    return undefined;
  }

  async discard(): Promise<BlockOutcome> {
    return undefined;
  }

  async writeZeroes(offset: number, lenBytes: number): Promise<BlockOutcome> {
    const zeroes = new Uint8Array(Math.min(lenBytes, ZERO_BYTES));
    for (let done = 0; done < lenBytes; ) {
      const part = zeroes.subarray(0, Math.min(zeroes.length, lenBytes - done));
      const failure = await this.write(offset + done, part);
      if (failure) return failure;
      done += part.length;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.base?.close();
  }
}
