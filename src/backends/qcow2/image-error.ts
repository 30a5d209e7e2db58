// Errors of disk images, with stable codes.

import { PowervisorError } from '../../util/errors.ts';

export type ImageErrorCode =
  /** The bytes break the rules of the format. */
  | 'IMAGE_CORRUPT'
  /** The format is known and the image may be fine, but it uses something that is not implemented. */
  | 'IMAGE_UNSUPPORTED'
  | 'IMAGE_READ_ONLY'
  /** A request outside of the disk. */
  | 'IMAGE_RANGE'
  /** A limit of the format or of this implementation is reached. */
  | 'IMAGE_FULL'
  | 'IMAGE_BACKING'
  /** An earlier flush failed; what was written since is not known to be safe. */
  | 'IMAGE_FLUSH_FAILED'
  | 'IMAGE_CLOSED';

export class ImageError extends PowervisorError {
  override readonly name = 'ImageError';
  constructor(code: ImageErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}

/** A number as error texts show it. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
