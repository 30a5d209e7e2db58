// A file that is the disk, byte for byte: the base of a chain of images.

import { ImageError } from './image-error.ts';
import type { DiskImage, RandomAccessFile } from './ports.ts';

const zeros = new Uint8Array(1 << 16);

export class RawImage implements DiskImage {
  readonly format = 'raw';
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  private readonly file: RandomAccessFile;

  /** A last sector that is not whole is filled up with zeros. */
  static async open(file: RandomAccessFile, readOnly: boolean): Promise<RawImage> {
    return new RawImage(file, Math.ceil((await file.size()) / 512) * 512, readOnly);
  }

  private constructor(file: RandomAccessFile, sizeBytes: number, readOnly: boolean) {
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.check(offset, into.length);
    into.fill(0, await this.file.read(offset, into));
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.check(offset, from.length);
    if (this.readOnly) throw new ImageError('IMAGE_READ_ONLY', 'The image is read-only.');
    await this.file.write(offset, from);
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await this.file.flush();
  }

  async discard(): Promise<void> {}

  async writeZeroes(offset: number, lenBytes: number): Promise<void> {
    for (let done = 0; done < lenBytes; done += zeros.length) {
      await this.write(offset + done, zeros.subarray(0, Math.min(zeros.length, lenBytes - done)));
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.file.close();
    }
  }

  private check(offset: number, lenBytes: number): void {
    if (offset >= 0 && offset + lenBytes <= this.sizeBytes) return;
    throw new ImageError(
      'IMAGE_RANGE',
      `A request at ${offset}, ${lenBytes} bytes, is not inside the disk of ${this.sizeBytes} bytes.`,
    );
  }
}
