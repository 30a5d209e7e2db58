// What comes from the driver of virtio-9p: a 9P message in the readable part of a buffer, room for its answer behind it.

import type { DescriptorChain } from '../../core/chain.ts';
import { MAX_MESSAGE_BYTES } from './server.ts';
import { ERROR_BYTES, HEADER_BYTES, parseHeader } from './wire.ts';

/** Of a message and its answer, as long as they are under way. */
export interface NinePRequest {
  readonly message: Uint8Array;
  readonly roomBytes: number;
}

/** A string says what is wrong; undefined: memory could not be reached. Bytes behind the message are not looked at. */
export function parseRequest(chain: DescriptorChain): NinePRequest | string | undefined {
  if (chain.readableBytes < HEADER_BYTES) return `a message of ${chain.readableBytes} bytes`;
  if (chain.writableBytes < ERROR_BYTES) return `${chain.writableBytes} bytes for the answer`;
  const header = chain.readBytes(0, HEADER_BYTES);
  if (!header) return undefined;
  const { sizeBytes } = parseHeader(header);
  if (sizeBytes < HEADER_BYTES || sizeBytes > chain.readableBytes) {
    return `a message that says it has ${sizeBytes} bytes in a buffer of ${chain.readableBytes}`;
  }
  if (sizeBytes > MAX_MESSAGE_BYTES) return `a message of ${sizeBytes} bytes`;
  const message = chain.readBytes(0, sizeBytes);
  // The driver may have changed it between the two looks at it.
  message?.set(header);
  return message && { message, roomBytes: Math.min(chain.writableBytes, MAX_MESSAGE_BYTES) };
}
