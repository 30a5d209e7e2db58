// Files in memory for the tests of disk images: plain ones, and ones that lose power.

import type { RandomAccessFile } from '../../src/backends/qcow2/ports.ts';

export class MemoryFile implements RandomAccessFile {
  readOnly = false;
  closed = false;
  flushes = 0;
  writes = 0;
  /** Larger files are refused, like a full disk does. */
  limitBytes = 1 << 28;
  /** Called before each write; may throw. */
  onWrite: (offset: number, lenBytes: number) => void = () => {};
  onFlush: () => void = () => {};
  protected bytes: Uint8Array;
  protected length: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes.slice();
    this.length = bytes.length;
  }

  content(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  async size(): Promise<number> {
    return this.length;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    const count = Math.max(0, Math.min(into.length, this.length - offset));
    if (count > 0) into.set(this.bytes.subarray(offset, offset + count));
    return count;
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.onWrite(offset, from.length);
    if (offset + from.length > this.limitBytes) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    this.writes++;
    this.grow(offset + from.length);
    this.bytes.set(from, offset);
  }

  async flush(): Promise<void> {
    this.onFlush();
    this.flushes++;
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.grow(sizeBytes);
    this.bytes.fill(0, sizeBytes, this.length);
    this.length = sizeBytes;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  protected grow(length: number): void {
    if (length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(length, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.length = Math.max(this.length, length);
  }
}

interface Unflushed {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A file behind a write cache that loses power: each 512-byte sector written since the last flush may or may not have
 * reached the medium.
 */
export class PowerCutFile extends MemoryFile {
  private readonly medium: MemoryFile;
  private unflushed: Unflushed[] = [];

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    super(bytes);
    this.medium = new MemoryFile(bytes);
  }

  override async write(offset: number, from: Uint8Array): Promise<void> {
    // The device may take the bytes any time after the call, so the order of calls is that of the cache.
    await pause();
    await super.write(offset, from);
    this.unflushed.push({ offset, bytes: from.slice() });
    await pause();
  }

  override async flush(): Promise<void> {
    const taken = this.unflushed.length;
    await pause();
    for (const { offset, bytes } of this.unflushed.slice(0, taken)) await this.medium.write(offset, bytes);
    this.unflushed.splice(0, taken);
    this.flushes++;
  }

  /** What is on the medium after a loss of power now. `random` gives numbers from 0 to 1. */
  async cut(random: () => number): Promise<Uint8Array> {
    const after = new MemoryFile(this.medium.content());
    const share = random();
    for (const { offset, bytes } of [...this.unflushed]) {
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 512 - ((offset + at) % 512));
        if (random() < share) await after.write(offset + at, bytes.subarray(at, end));
        at = end;
      }
    }
    return after.content();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
