// A large range of bytes of which only the chunks that were written take memory.

const CHUNK_BYTES = 65536;

export class SparseBytes {
  /** Memory in use. */
  usedBytes = 0;
  private readonly chunks = new Map<number, Uint8Array>();
  private readonly limitBytes: number;
  /** Content of a chunk before its first write. */
  private readonly initial: (offset: number, target: Uint8Array) => Promise<boolean>;

  /**
   * `initial` gives what is at a chunk's place before it is first written; false if that cannot be had. `limitBytes`
   * bounds the memory in use.
   */
  constructor(
    limitBytes: number,
    initial: (offset: number, target: Uint8Array) => Promise<boolean> = async () => true,
  ) {
    this.limitBytes = limitBytes;
    this.initial = initial;
  }

  /** Fills `target`; false if the initial content could not be had. */
  async read(offset: number, target: Uint8Array): Promise<boolean> {
    for (const { index, from, part } of pieces(offset, target)) {
      const chunk = this.chunks.get(index);
      if (chunk) part.set(chunk.subarray(from, from + part.length));
      else {
        part.fill(0);
        if (!(await this.initial(index * CHUNK_BYTES + from, part))) return false;
      }
    }
    return true;
  }

  /** `full`: there is no memory left for it; `unread`: the initial content could not be had. */
  async write(offset: number, source: Uint8Array): Promise<'full' | 'unread' | undefined> {
    for (const { index, from, part } of pieces(offset, source)) {
      const chunk = await this.writable(index, part.length === CHUNK_BYTES);
      if (typeof chunk === 'string') return chunk;
      chunk.set(part, from);
    }
    return undefined;
  }

  private async writable(index: number, whole: boolean): Promise<Uint8Array | 'full' | 'unread'> {
    const present = this.chunks.get(index);
    if (present) return present;
    if (this.usedBytes + CHUNK_BYTES > this.limitBytes) return 'full';
    const chunk = new Uint8Array(CHUNK_BYTES);
    if (!whole && !(await this.initial(index * CHUNK_BYTES, chunk))) return 'unread';
    // Another write may have come first while the content was on its way.
    const raced = this.chunks.get(index);
    if (raced) return raced;
    this.chunks.set(index, chunk);
    this.usedBytes += CHUNK_BYTES;
    return chunk;
  }
}

function* pieces(offset: number, bytes: Uint8Array): Generator<{ index: number; from: number; part: Uint8Array }> {
  for (let done = 0; done < bytes.length; ) {
    const at = offset + done;
    const from = at % CHUNK_BYTES;
    const length = Math.min(CHUNK_BYTES - from, bytes.length - done);
    yield { index: (at - from) / CHUNK_BYTES, from, part: bytes.subarray(done, done + length) };
    done += length;
  }
}
