// Random bytes from a seed, for runs that are to be repeated (sfc32 by Chris Doty-Humphrey). No secrets: whoever knows
// the seed knows the bytes.

import type { EntropyBackend } from '../entropy-backend.ts';

export class SeededEntropy implements EntropyBackend {
  private a: number;
  private b = 0x9e37_79b9;
  private c = 0x243f_6a88;
  private counter = 1;

  /** Any 32-bit seed. */
  constructor(seed: number) {
    this.a = seed | 0;
    for (let n = 0; n < 12; n++) this.next();
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 4) {
      const word = this.next();
      for (let n = 0; n < 4 && i + n < target.length; n++) target[i + n] = word >>> (8 * n);
    }
  }

  private next(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum;
  }
}
