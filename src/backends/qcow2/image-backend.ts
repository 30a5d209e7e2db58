// A disk image as a block device's back end: errors become outcomes that the guest is told of.

import type { BlockBackend, BlockFailure, BlockOutcome } from '../block-backend.ts';
import { ImageError } from './image-error.ts';
import type { DiskImage } from './ports.ts';

export class ImageBackend implements BlockBackend {
  readonly name: string;
  private readonly image: DiskImage;

  /** The image belongs to the back end from then on. */
  constructor(name: string, image: DiskImage) {
    this.name = name;
    this.image = image;
  }

  get sizeBytes(): number {
    return this.image.sizeBytes;
  }

  get readOnly(): boolean {
    return this.image.readOnly;
  }

  read(offset: number, target: Uint8Array): Promise<BlockOutcome> {
    return outcomeOf(this.image.read(offset, target));
  }

  write(offset: number, source: Uint8Array): Promise<BlockOutcome> {
    return outcomeOf(this.image.write(offset, source));
  }

  flush(): Promise<BlockOutcome> {
    return outcomeOf(this.image.flush());
  }

  discard(offset: number, lenBytes: number): Promise<BlockOutcome> {
    return outcomeOf(this.image.discard(offset, lenBytes));
  }

  writeZeroes(offset: number, lenBytes: number, mayUnmap: boolean): Promise<BlockOutcome> {
    return outcomeOf(this.image.writeZeroes(offset, lenBytes, mayUnmap));
  }

  /** Rejects if what is kept in memory cannot be written: the image then lacks what was not flushed. */
  close(): Promise<void> {
    return this.image.close();
  }
}

async function outcomeOf(work: Promise<void>): Promise<BlockOutcome> {
  try {
    await work;
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: kindOf(error), message };
  }
}

/** Codes of the host's errors are those of POSIX. */
const fullCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 'IMAGE_FULL'];

function kindOf(error: unknown): BlockFailure['kind'] {
  if (error instanceof ImageError && error.code === 'IMAGE_READ_ONLY') return 'read-only';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return fullCodes.includes(code) ? 'no-space' : 'io-error';
}
