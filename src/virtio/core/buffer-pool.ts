// Buffers for the data of requests, used again: a fresh one of a megabyte costs the host as much as the transfer, for it
// is cleared and its pages are new. What a buffer held before is still in it.

/** Smallest and largest size kept, powers of two. */
const MIN_BYTES = 4096;
const MAX_BYTES = 2 ** 21;
/** Bytes of unused buffers kept at most. */
const MAX_KEPT_BYTES = 2 ** 23;

export class BufferPool {
  /** Unused ones, by size. */
  private readonly unused = new Map<number, ArrayBuffer[]>();
  private keptBytes = 0;

  /** A buffer of `lenBytes` bytes of any content. */
  take(lenBytes: number): Uint8Array<ArrayBuffer> {
    if (lenBytes > MAX_BYTES) return new Uint8Array(lenBytes);
    let sizeBytes = MIN_BYTES;
    while (sizeBytes < lenBytes) sizeBytes *= 2;
    const buffer = this.unused.get(sizeBytes)?.pop();
    if (buffer) this.keptBytes -= sizeBytes;
    return new Uint8Array(buffer ?? new ArrayBuffer(sizeBytes), 0, lenBytes);
  }

  /** Nobody uses what `take` gave any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    const sizeBytes = buffer.byteLength;
    if (sizeBytes > MAX_BYTES || this.keptBytes + sizeBytes > MAX_KEPT_BYTES) return;
    this.keptBytes += sizeBytes;
    const list = this.unused.get(sizeBytes);
    if (list) list.push(buffer);
    else this.unused.set(sizeBytes, [buffer]);
  }
}
