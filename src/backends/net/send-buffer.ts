// Bytes on their way to the guest, until it has acknowledged them: a list of the chunks that the host gave.

import type { Bytes } from './packet.ts';

export class SendBuffer {
  lengthBytes = 0;
  private chunks: Bytes[] = [];
  private first = 0;
  /** Bytes of the first chunk that are gone. */
  private skip = 0;

  append(chunk: Bytes): void {
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.lengthBytes += chunk.length;
  }

  /** Forgets the first `lenBytes` bytes; there must be as many. */
  discard(lenBytes: number): void {
    this.lengthBytes -= lenBytes;
    this.skip += lenBytes;
    while (this.first < this.chunks.length && this.skip >= this.chunks[this.first].length) {
      this.skip -= this.chunks[this.first].length;
      this.first++;
    }
    if (this.first > 64 && this.first * 2 > this.chunks.length) {
      this.chunks = this.chunks.slice(this.first);
      this.first = 0;
    }
  }

  /** Fills `target` with what is `offset` bytes from the start; it must be there. */
  copyTo(offset: number, target: Bytes): void {
    let at = offset + this.skip;
    let done = 0;
    for (let i = this.first; done < target.length; i++) {
      const chunk = this.chunks[i];
      if (at >= chunk.length) {
        at -= chunk.length;
        continue;
      }
      const part = chunk.subarray(at, Math.min(chunk.length, at + target.length - done));
      target.set(part, done);
      done += part.length;
      at = 0;
    }
  }

  clear(): void {
    this.chunks = [];
    this.first = 0;
    this.skip = 0;
    this.lengthBytes = 0;
  }
}
