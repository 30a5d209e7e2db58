// Memory of the hypervisor's own, outside of the partition: where it keeps what the ultravisor encrypts.

/** Real address of the first such page: beyond any partition's memory. */
const FIRST_RA = 2 ** 44;

export class HostPages {
  private readonly pages = new Map<number, Uint8Array>();
  private readonly free: number[] = [];
  private next = FIRST_RA;
  private readonly pageBytes: number;

  constructor(pageBytes: number) {
    this.pageBytes = pageBytes;
  }

  /** Real address of a page that was not in use. */
  allocate(): number {
    let ra = this.free.pop();
    if (ra === undefined) {
      ra = this.next;
      this.next += this.pageBytes;
    }
    this.pages.set(ra, new Uint8Array(this.pageBytes));
    return ra;
  }
  release(ra: number): void {
    if (this.pages.delete(ra)) this.free.push(ra);
  }
  /** The page at a real address, if it is in use. */
  at(ra: number): Uint8Array | undefined {
    return this.pages.get(ra);
  }
  /** Pages in use. */
  get count(): number {
    return this.pages.size;
  }
  all(): Iterable<Uint8Array> {
    return this.pages.values();
  }
}
