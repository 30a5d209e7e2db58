// Guest memory as the ultravisor reads and writes it on a guest's behalf: what is paged out comes back first.

import type { GuestMemory } from '../memory/guest-memory.ts';

export class ResidentMemory {
  private readonly memory: GuestMemory;
  private readonly bringBack: (gra: number, lenBytes: number) => void;

  /** `bringBack` ends the VM if it fails; what is read then is zero. */
  constructor(memory: GuestMemory, bringBack: (gra: number, lenBytes: number) => void) {
    this.memory = memory;
    this.bringBack = bringBack;
  }

  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }
  contains(gra: number, lenBytes: number): boolean {
    return this.memory.contains(gra, lenBytes);
  }
  /** The range must be RAM, here and below. */
  read(gra: number, lenBytes: number): Uint8Array<ArrayBuffer> {
    // Page by page: there need not be room for all of it at once.
    const bytes = new Uint8Array(lenBytes);
    forEachPage(gra, lenBytes, (at, part) => {
      this.bringBack(at, part);
      this.memory.readInto(at, bytes.subarray(at - gra, at - gra + part));
    });
    return bytes;
  }
  write(gra: number, source: Uint8Array): void {
    forEachPage(gra, source.length, (at, part) => {
      this.bringBack(at, part);
      this.memory.write(at, source.subarray(at - gra, at - gra + part));
    });
  }
  loadU16BE(gra: number): number {
    const [high, low] = this.read(gra, 2);
    return (high << 8) | low;
  }
  loadU32BE(gra: number): number {
    return new DataView(this.read(gra, 4).buffer).getUint32(0);
  }
}

const PIECE_BYTES = 4096;

function forEachPage(gra: number, lenBytes: number, use: (at: number, lenBytes: number) => void): void {
  for (let at = gra; at < gra + lenBytes; ) {
    const next = Math.min(gra + lenBytes, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
    use(at, next - at);
    at = next;
  }
}
