// A table of offsets that is held in memory whole: the L1 table and the refcount table.

/** Bytes to be written to the file at `offset`. */
export interface PointerWrite {
  readonly offset: number;
  readonly from: number;
  readonly bytes: Uint8Array;
}

export class PointerTable {
  offset: number;
  private bytes: Uint8Array;
  private view: DataView;
  private dirtyFrom = 0;
  private dirtyTo = 0;

  /** `offset` is where it stands in the file. */
  constructor(offset: number, bytes: Uint8Array) {
    this.offset = offset;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length / 8;
  }

  get lenBytes(): number {
    return this.bytes.length;
  }

  high(index: number): number {
    return this.view.getUint32(index * 8);
  }

  low(index: number): number {
    return this.view.getUint32(index * 8 + 4);
  }

  /** Sets an entry to an offset, with `flags` in its upper half. */
  set(index: number, offset: number, flags = 0): void {
    this.view.setUint32(index * 8, (Math.floor(offset / 2 ** 32) | flags) >>> 0);
    this.view.setUint32(index * 8 + 4, offset >>> 0);
    this.changed(index * 8, index * 8 + 8);
  }

  /** A longer table at another place, with the same entries at its start; it counts as written. */
  moveTo(offset: number, bytes: Uint8Array): void {
    this.offset = offset;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.dirtyFrom = this.dirtyTo = 0;
  }

  /** A copy of the table, padded with zeros or entries to come. */
  copy(lenBytes: number): Uint8Array {
    const bytes = new Uint8Array(lenBytes);
    bytes.set(this.bytes);
    return bytes;
  }

  /** A copy of the changed bytes; the table counts as unchanged from here on. */
  takeChanges(): PointerWrite | undefined {
    if (this.dirtyFrom >= this.dirtyTo) return undefined;
    const write = { offset: this.offset, from: this.dirtyFrom, bytes: this.bytes.slice(this.dirtyFrom, this.dirtyTo) };
    this.dirtyFrom = this.dirtyTo = 0;
    return write;
  }

  /** Says that what `takeChanges` gave could not be written. */
  restoreChanges(write: PointerWrite): void {
    this.changed(write.from, write.from + write.bytes.length);
  }

  private changed(from: number, to: number): void {
    const clean = this.dirtyFrom >= this.dirtyTo;
    this.dirtyFrom = clean ? from : Math.min(this.dirtyFrom, from);
    this.dirtyTo = clean ? to : Math.max(this.dirtyTo, to);
  }
}
