// A disk that holds devices to what a block backend may be asked, and fails now and then.

import type { BlockBackend, BlockOutcome } from '../../src/backends/block-backend.ts';

const SIZE = 64 * 512;

/** Checks that the device keeps its word to backends. */
export class StrictDisk implements BlockBackend {
  readonly name = 'strict disk';
  readonly sizeBytes = SIZE;
  readonly readOnly = false;
  requests = 0;

  private async check(offset: number, lenBytes: number): Promise<BlockOutcome> {
    return this.checkNow(offset, lenBytes);
  }
  private checkNow(offset: number, lenBytes: number): BlockOutcome {
    this.requests++;
    const right =
      Number.isInteger(offset) &&
      offset >= 0 &&
      offset % 512 === 0 &&
      lenBytes % 512 === 0 &&
      offset + lenBytes <= SIZE;
    if (!right) throw new Error(`the device asked for ${lenBytes} bytes at ${offset}`);
    return this.requests % 16 === 0 ? { kind: 'io-error', message: 'now and then' } : undefined;
  }
  read(offset: number, target: Uint8Array) {
    return this.check(offset, target.length);
  }
  write(offset: number, source: Uint8Array) {
    return this.check(offset, source.length);
  }
  /** Every third one is put off. */
  private now(offset: number, lenBytes: number): BlockOutcome | 'later' {
    return this.requests % 3 === 0 ? 'later' : this.checkNow(offset, lenBytes);
  }
  readNow(offset: number, target: Uint8Array) {
    return this.now(offset, target.length);
  }
  writeNow(offset: number, source: Uint8Array) {
    return this.now(offset, source.length);
  }
  flush() {
    return this.check(0, 0);
  }
  discard(offset: number, lenBytes: number) {
    return this.check(offset, lenBytes);
  }
  writeZeroes(offset: number, lenBytes: number) {
    return this.check(offset, lenBytes);
  }
  async close() {}
}
